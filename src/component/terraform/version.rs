//! Which Terraform this is, and whether it will do.

use std::time::Duration;

use serde::Deserialize;

use super::super::log::{Masks, Stream};
use super::super::process::{self, Invocation, StdoutUse, Supervision};
use super::{Environment, TerraformSettings};
use crate::cancellation::Cancellation;

/// The first Terraform that makes a workspace while it selects it.
const MINIMUM: Version = Version([1, 4, 0]);

/// How long a program may take to say its version.
const LIMIT: Duration = Duration::from_secs(30);

/// A version without what may follow a `-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version([u32; 3]);

/// A Terraform that will not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    #[error("{program} {version} is too old: version {minimum} or newer is needed")]
    TooOld { program: String, version: String, minimum: String, hint: String },
    #[error("{program} does not say which version it is: {reason}")]
    Unknown { program: String, reason: String },
}

/// The part of `terraform version -json` that is read. OpenTofu says the same.
#[derive(Debug, Deserialize)]
struct Answer {
    terraform_version: String,
}

impl TerraformSettings {
    /// Asks the program for its version, and whether that will do. The program is there.
    pub async fn check_version(&self, environment: &Environment) -> Result<(), VersionError> {
        let Some(program) = self.find_program(environment) else { return Ok(()) };
        let mut environment = environment.clone();
        // Only the version of this program, not of what might be had from its maker.
        environment.set("CHECKPOINT_DISABLE", "1");
        let invocation = Invocation {
            name: format!("{} version", self.program),
            program,
            arguments: ["version", "-json"].map(Into::into).into(),
            directory: std::env::temp_dir(),
            environment,
            timeout: Some(LIMIT),
            stdout: StdoutUse::Data,
        };
        let (log, masks, cancellation) = (|_: Stream, _: &str| {}, Masks::default(), Cancellation::never());
        let supervision = Supervision { log: &log, masks: &masks, cancellation: &cancellation };
        let unknown = |reason: String| VersionError::Unknown { program: self.program.clone(), reason };
        let answer =
            process::run(&invocation, supervision).await.map_err(|error| unknown(error.to_string()))?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let version = serde_json::from_str::<Answer>(&text)
            .map(|answer| answer.terraform_version)
            .ok()
            // What is older than JSON: `Terraform v0.11.14`.
            .or_else(|| text.split_whitespace().find_map(|word| word.strip_prefix('v')).map(str::to_owned));
        match version.as_deref().map(|version| (version, Version::parse(version))) {
            Some((_, Some(version))) if version >= MINIMUM => Ok(()),
            Some((version, Some(_))) => Err(VersionError::TooOld {
                program: self.program.clone(),
                version: version.to_owned(),
                minimum: MINIMUM.to_string(),
                hint: self.hint(),
            }),
            _ => Err(unknown("its answer to `version -json` names none".to_owned())),
        }
    }
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let release = text.split(['-', '+']).next()?;
        let mut parts = release.split('.').map(|part| part.parse().ok());
        Some(Self([parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?]))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self([major, minor, patch]) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// What is said of a program that answers so.
    async fn check(answer: &str) -> Result<(), VersionError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("terraform");
        std::fs::write(&path, format!("#!/bin/sh\n{answer}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let program = path.to_str().unwrap().to_owned();
        TerraformSettings { program, ..TerraformSettings::default() }
            .check_version(&[("PATH".into(), "/usr/bin:/bin".into())].into_iter().collect())
            .await
    }

    #[tokio::test]
    async fn what_is_too_old_is_refused_with_what_is_needed() {
        for new in ["1.4.0", "1.11.4", "1.10.0-alpha20240730", "2.0"] {
            assert_eq!(check(&format!("echo '{{\"terraform_version\": \"{new}\"}}'")).await, Ok(()), "{new}");
        }
        for old in ["echo '{\"terraform_version\": \"1.3.9\"}'", "echo 'Terraform v0.11.14\n+ provider'"] {
            let error = check(old).await.unwrap_err();
            assert!(matches!(&error, VersionError::TooOld { minimum, .. } if minimum == "1.4.0"), "{error}");
        }
        for silent in ["echo hello", "exit 3"] {
            assert!(matches!(check(silent).await, Err(VersionError::Unknown { .. })), "{silent}");
        }
    }
}
