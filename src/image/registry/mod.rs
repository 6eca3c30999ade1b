//! Checks whether a registry has an image, by the OCI distribution specification.
//!
//! Nothing is pulled and nothing is pushed here: engines do that. A rollout has no engine, and
//! still has to check that its images exist.

mod credentials;
mod helper;
mod reference;

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode};

use crate::component::Environment;
use credentials::Credentials;
use helper::HelperError;

pub use reference::ImageReference;
pub(super) use reference::is_local;

/// The timeout of a request to a registry.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Every kind of manifest that an image can have.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                         application/vnd.docker.distribution.manifest.v2+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json";

/// Whether an image is in its registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    Present,
    Missing,
    /// The reason why the registry does not tell.
    Unknown(String),
}

/// A registry that did not answer, or could not be asked.
#[derive(Debug, thiserror::Error)]
enum RegistryError {
    #[error("{}", cause(.0))]
    Exchange(#[from] reqwest::Error),
    #[error("it wants credentials, and {0}")]
    Helper(#[from] HelperError),
}

/// Registries, with the credentials that engines are configured with.
#[derive(Debug, Clone)]
pub struct Registry {
    client: Client,
    credentials: Credentials,
}

impl Registry {
    /// Registries as the engines of this environment know them.
    pub fn new(environment: &Environment) -> Result<Self, reqwest::Error> {
        let client = Client::builder().timeout(TIMEOUT).user_agent("atmos-deployments").build()?;
        Ok(Self { client, credentials: Credentials::of(environment) })
    }

    /// Whether the registry has an image.
    pub async fn presence(&self, image: &ImageReference) -> Presence {
        match self.manifest(image).await {
            Ok(answer) if answer.status().is_success() => Presence::Present,
            Ok(answer) if answer.status() == StatusCode::NOT_FOUND => Presence::Missing,
            Ok(answer) => Presence::Unknown(format!("it answers {}", answer.status())),
            Err(error) => Presence::Unknown(error.to_string()),
        }
    }

    /// The digest that a tag resolves to; `None` where the registry does not tell.
    pub async fn digest_of_tag(&self, repository: &str, tag: &str) -> Option<String> {
        let answer = self.manifest(&ImageReference::by_tag(repository, tag)).await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        let digest = answer.headers().get("docker-content-digest")?.to_str().ok()?;
        digest.starts_with("sha256:").then(|| digest.to_owned())
    }

    /// Requests an image's manifest, without its body. On a challenge it authorizes and retries.
    async fn manifest(&self, image: &ImageReference) -> Result<Response, RegistryError> {
        let ask = |authorization: Option<String>| {
            let request = self.client.head(image.manifest_url()).header(ACCEPT, MANIFESTS);
            match authorization {
                Some(authorization) => request.header(AUTHORIZATION, authorization).send(),
                None => request.send(),
            }
        };
        let answer = ask(None).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let challenge = answer.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let Some(authorization) = self.authorization(image, challenge.unwrap_or_default()).await? else {
            return Ok(answer);
        };
        Ok(ask(Some(authorization)).await?)
    }

    /// The `Authorization` header for a challenge: the credentials themselves, or a token requested
    /// with them.
    async fn authorization(
        &self,
        image: &ImageReference,
        challenge: &str,
    ) -> Result<Option<String>, RegistryError> {
        let basic = self.credentials.basic(image).await?;
        let (scheme, parameters) = challenge.split_once(' ').unwrap_or((challenge, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Ok(basic);
        }
        let Some(realm) = parameter(parameters, "realm") else { return Ok(None) };
        // Credentials are sent only over TLS or to this machine: plain HTTP can be read on the way.
        if !realm.starts_with("https://") && !is_local(realm.trim_start_matches("http://")) {
            return Ok(None);
        }
        let mut query = vec![("scope", format!("repository:{}:pull", image.name()))];
        query.extend(parameter(parameters, "service").map(|service| ("service", service.to_owned())));
        let encoded = query.iter().map(|(name, value)| {
            let value = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
            format!("{name}={value}")
        });
        let separator = if realm.contains('?') { '&' } else { '?' };
        let url = format!("{realm}{separator}{}", encoded.collect::<Vec<_>>().join("&"));
        let request = self.client.get(url);
        let request = match basic {
            Some(basic) => request.header(AUTHORIZATION, basic),
            None => request,
        };
        let answer = request.send().await?;
        if !answer.status().is_success() {
            return Ok(None);
        }
        let body = answer.bytes().await?;
        let answer: serde_json::Value = crate::text::json(&body).unwrap_or_default();
        let token = answer["token"].as_str().or_else(|| answer["access_token"].as_str());
        Ok(token.map(|token| format!("Bearer {token}")))
    }
}

/// A parameter of a challenge: `realm="https://…",service="…"`.
fn parameter<'c>(parameters: &'c str, name: &str) -> Option<&'c str> {
    let (_, rest) = parameters.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// The root cause of an error, as text.
fn cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(inner) = error.source() {
        error = inner;
    }
    error.to_string()
}

#[cfg(test)]
mod tests;
