//! The credentials that engines are configured with: `auth.json` of podman and buildah, `config.json` of docker.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::reference::ImageReference;
use crate::component::Environment;

/// A file of credentials. What helpers keep is not in it: registries that need one are told of as not answering.
#[derive(Deserialize, Default)]
#[serde(default)]
struct AuthFile {
    auths: BTreeMap<String, Auth>,
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

/// Credentials by registry, or by a part of one.
#[derive(Clone, Default)]
pub(super) struct Credentials(BTreeMap<String, SecretString>);

impl Credentials {
    /// Reads the files that the engines of this environment read; the first that knows a registry counts.
    pub(super) fn of(environment: &Environment) -> Self {
        let mut credentials = Self::default();
        for file in files(environment) {
            let content = std::fs::read(&file).unwrap_or_default();
            let parsed: AuthFile = serde_json::from_slice(&content).unwrap_or_default();
            for (registry, auth) in parsed.auths {
                if let Some(basic) = auth.basic() {
                    credentials.0.entry(normal(&registry)).or_insert(basic);
                }
            }
        }
        credentials
    }

    /// The header's value for an image: of the longest part of its name that there are credentials for.
    pub(super) fn basic(&self, image: &ImageReference) -> Option<String> {
        let repository = image.repository();
        let is_part = |known: &str| {
            repository.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let known = self.0.iter().filter(|(known, _)| is_part(known));
        let (_, secret) = known.max_by_key(|(known, _)| known.len())?;
        Some(format!("Basic {}", secret.expose_secret()))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Auth {
    fn basic(self) -> Option<SecretString> {
        let encoded = match (self.encoded, self.username, self.password) {
            (Some(auth), _, _) if !auth.is_empty() => auth,
            (_, Some(user), Some(password)) => STANDARD.encode(format!("{user}:{password}")),
            _ => return None,
        };
        // What is not base64 would be a broken header.
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
