//! The credentials that engines are configured with: `auth.json` of podman and
//! buildah, `config.json` of docker.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::helper::{self, HelperError, TIMEOUT};
use super::reference::ImageReference;
use crate::component::Environment;

/// A file of credentials.
#[derive(Deserialize, Default)]
#[serde(default)]
struct AuthFile {
    auths: BTreeMap<String, Auth>,
    /// The credential helper of a registry.
    #[serde(rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    /// The credential helper of all other registries.
    #[serde(rename = "credsStore")]
    store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Auth {
    /// `user:password` in base64.
    #[serde(rename = "auth")]
    encoded: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

/// Credentials by registry, or by a part of one, and the credential helpers.
#[derive(Clone, Default)]
pub(super) struct Credentials {
    known: BTreeMap<String, SecretString>,
    helpers: BTreeMap<String, String>,
    store: Option<String>,
    environment: Environment,
}

impl Credentials {
    /// Reads the files that the engines of this environment read; the first that has credentials
    /// for a registry takes precedence.
    pub(super) fn of(environment: &Environment) -> Self {
        let mut credentials = Self { environment: environment.clone(), ..Self::default() };
        for file in files(environment) {
            let content = std::fs::read(&file).unwrap_or_default();
            let parsed: AuthFile = crate::text::json(&content).unwrap_or_default();
            for (registry, auth) in parsed.auths {
                if let Some(basic) = auth.basic() {
                    credentials.known.entry(normal(&registry)).or_insert(basic);
                }
            }
            for (registry, helper) in parsed.helpers {
                credentials.helpers.entry(normal(&registry)).or_insert(helper);
            }
            credentials.store = credentials.store.or(parsed.store).filter(|store| !store.is_empty());
        }
        credentials
    }

    /// The value of the `Authorization` header for an image: from its registry's own helper, else
    /// from the longest part of its name with credentials, else from the helper for all registries.
    ///
    /// An error says why a helper did not answer.
    pub(super) async fn basic(&self, image: &ImageReference) -> Result<Option<String>, HelperError> {
        let names = image.registry_names();
        let own = names.iter().find_map(|name| self.helpers.get(*name));
        let secret = match (own, self.in_a_file(image), &self.store) {
            (Some(helper), _, _) => helper::ask(helper, names[0], &self.environment, TIMEOUT).await?,
            (None, Some(secret), _) => Some(secret.clone()),
            (None, None, Some(store)) => helper::ask(store, names[0], &self.environment, TIMEOUT).await?,
            (None, None, None) => None,
        };
        Ok(secret.map(|secret| format!("Basic {}", secret.expose_secret())))
    }

    fn in_a_file(&self, image: &ImageReference) -> Option<&SecretString> {
        let repository = image.repository();
        let is_part = |known: &str| {
            repository.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let known = self.known.iter().filter(|(known, _)| is_part(known));
        known.max_by_key(|(known, _)| known.len()).map(|(_, secret)| secret)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.known.keys().chain(self.helpers.keys())).finish()
    }
}

impl Auth {
    fn basic(self) -> Option<SecretString> {
        let encoded = match (self.encoded, self.username, self.password) {
            (Some(auth), _, _) if !auth.is_empty() => auth,
            (_, Some(user), Some(password)) => STANDARD.encode(format!("{user}:{password}")),
            _ => return None,
        };
        // A value that is not base64 would make an invalid header.
        STANDARD.decode(&encoded).is_ok().then(|| encoded.into())
    }
}

/// `https://index.docker.io/v1/` as `index.docker.io`.
fn normal(registry: &str) -> String {
    let host = registry.trim_start_matches("https://").trim_start_matches("http://");
    let host = host.trim_end_matches('/');
    host.strip_suffix("/v1").or_else(|| host.strip_suffix("/v2")).unwrap_or(host).to_owned()
}

fn files(environment: &Environment) -> Vec<PathBuf> {
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = variable("HOME");
    let docker = variable("DOCKER_CONFIG").or_else(|| home.map(|home| home.join(".docker")));
    let runtime = variable("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json"));
    let user = rustix::process::getuid().as_raw();
    let of_root = Path::new("/run/containers").join(user.to_string()).join("auth.json");
    [variable("REGISTRY_AUTH_FILE"), runtime, Some(of_root), docker.map(|folder| folder.join("config.json"))]
        .into_iter()
        .flatten()
        .collect()
}
