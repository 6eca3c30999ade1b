//! Credential helpers: programs called `docker-credential-<name>` that store secrets outside of
//! files.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde::Deserialize;

use crate::cancellation::Cancellation;
use crate::component::process::{self, Invocation, StdoutUse, Supervision};
use crate::component::{Environment, Masks, ProcessError};

/// The timeout of a helper. Some ask a cloud; none may wait for a person.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// The message of helpers that have no credentials for a registry.
const NOT_FOUND: &str = "credentials not found";

/// The user name that marks the secret as an identity token, which is exchanged for other tokens.
const IDENTITY_TOKEN: &str = "<token>";

/// The reason why a helper did not answer. Never its output, which may hold a secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum HelperError {
    #[error("the credential helper {0} is not on PATH")]
    Missing(String),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("{0} answered with something other than credentials")]
    Answer(String),
    #[error("{0} keeps an identity token, which only the engine can use")]
    IdentityToken(String),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

/// Asks a helper for the credentials of a registry, as `user:password` in
/// base64; `None` where it has none.
pub(super) async fn ask(
    helper: &str,
    registry: &str,
    environment: &Environment,
    patience: Duration,
) -> Result<Option<SecretString>, HelperError> {
    let name = format!("docker-credential-{helper}");
    // The name comes from a file: it must not be a path.
    let is_name = helper.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let program = environment.find_program(&name).filter(|_| is_name);
    let Some(program) = program else { return Err(HelperError::Missing(name)) };
    let invocation = Invocation {
        name: name.clone(),
        program,
        arguments: vec!["get".into()],
        directory: PathBuf::from("/"),
        environment: environment.clone(),
        timeout: Some(patience),
        input: format!("{registry}\n").into_bytes(),
        // Never logged.
        stdout: StdoutUse::Data,
    };
    let supervision = Supervision {
        log: &|_: crate::component::Stream, _: &str| {},
        masks: &Masks::default(),
        cancellation: &Cancellation::never(),
    };
    let printed = match process::run(&invocation, supervision).await {
        Ok(printed) => printed,
        // Helpers report this on standard output, which is data here, so a failure without other
        // output counts as it.
        Err(ProcessError::Failed { tail, .. }) if tail.iter().all(|line| line.contains(NOT_FOUND)) => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let answer: Answer = crate::text::json(&printed).map_err(|_| HelperError::Answer(name.clone()))?;
    if answer.username == IDENTITY_TOKEN {
        return Err(HelperError::IdentityToken(name));
    }
    Ok(Some(STANDARD.encode(format!("{}:{}", answer.username, answer.secret)).into()))
}
