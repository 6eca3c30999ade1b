//! The identity of this job: GitHub's `OpenID Connect` token.
//!
//! It names the environment that the job waited for, even with
//! `environment: { deployment: false }`.
//!
//! <https://docs.github.com/actions/reference/security/oidc>. Its signature is not checked: it
//! comes straight from the address that the runner gives the job, over a connection that is.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{ACCEPT, AUTHORIZATION};
use reqwest::Url;
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::waiting::Waited;
use crate::provider::client::ClientSettings;
use crate::provider::environment::is_same_environment;
use crate::provider::http::{Request, Response, Transport, TransportError};
use crate::provider::retry::Client;
use crate::provider::settings::IdentitySettings;
use crate::provider::{Capability, Platform, ProviderError, RetryPolicy, Token};

/// The token's audience. The token is thrown away once it is read.
const AUDIENCE: &str = "atmos-deployments";

/// The used part of the answer.
#[derive(Deserialize)]
struct Answer {
    value: String,
}

/// The used claims of the token.
#[derive(Deserialize)]
struct Claims {
    run_id: String,
    /// Absent where the job names no environment.
    #[serde(default)]
    environment: Option<String>,
}

/// The endpoint for the identity of the job.
pub(super) struct Identity {
    client: Client<Connection>,
}

impl Identity {
    pub(super) fn new(settings: IdentitySettings, client: ClientSettings, policy: RetryPolicy) -> Self {
        let IdentitySettings { url, token } = settings;
        Self {
            client: Client {
                platform: Platform::GitHub,
                api_url: url.clone(),
                transport: Connection { url, token: token.clone(), client, reqwest: OnceCell::new() },
                policy,
                token,
                advice: Box::new(|_, _| None),
            },
        }
    }

    /// Whether this job of the run waited for an environment.
    ///
    /// # Errors
    ///
    /// Fails where GitHub does not tell.
    pub(super) async fn waited(&self, run: u64, environment: &str) -> Result<Waited, ProviderError> {
        let answer: Answer = self.client.read(&Request::get(Capability::Waiting, String::new())).await?;
        let unreadable = || ProviderError::UnexpectedAnswer {
            platform: Platform::GitHub,
            capability: Capability::Waiting,
            reason: "its identity token cannot be read".to_owned(),
        };
        let claims: Claims = answer
            .value
            .split('.')
            .nth(1)
            .and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok())
            .and_then(|claims| crate::text::json(&claims).ok())
            .ok_or_else(unreadable)?;
        if claims.run_id != run.to_string() {
            return Ok(Waited::Unknown(format!("the job's identity is that of run {}", claims.run_id)));
        }
        let is_it = claims.environment.is_some_and(|named| is_same_environment(&named, environment));
        Ok(if is_it { Waited::Yes } else { Waited::No })
    }
}

/// The transport of the request for the token.
struct Connection {
    url: String,
    token: Token,
    client: ClientSettings,
    reqwest: OnceCell<reqwest::Client>,
}

#[async_trait]
impl Transport for Connection {
    async fn send(&self, _: &Request) -> Result<Response, TransportError> {
        let client = self.reqwest.get_or_try_init(|| async { self.client.client() }).await?;
        let mut url = Url::parse(&self.url)
            .map_err(|_| TransportError::Hopeless("ACTIONS_ID_TOKEN_REQUEST_URL is no address".to_owned()))?;
        url.query_pairs_mut().append_pair("audience", AUDIENCE);
        let exchange = async || {
            let request = client
                .get(url)
                .header(ACCEPT, "application/json")
                .header(AUTHORIZATION, format!("Bearer {}", self.token.expose()));
            let answer = request.send().await?;
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            Ok(Response { status, headers, body: answer.text().await? })
        };
        exchange().await.map_err(|error: reqwest::Error| TransportError::from_error(&error))
    }
}
