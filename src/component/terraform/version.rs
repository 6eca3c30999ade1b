//! Checks the version of Terraform.

use std::time::Duration;

use serde::Deserialize;

use super::super::log::{Masks, Stream};
use super::super::process::{self, Invocation, StdoutUse, Supervision};
use super::{Environment, TerraformSettings};
use crate::cancellation::Cancellation;

/// The first version of Terraform that creates a workspace when it selects it.
const MINIMUM: Version = Version([1, 4, 0]);

/// The timeout for a program to report its version.
const LIMIT: Duration = Duration::from_secs(30);

/// A version without any suffix after `-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version([u32; 3]);

/// A Terraform that is too old.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{program} {version} is too old: version {minimum} or newer is needed")]
pub struct TooOld {
    pub program: String,
    pub version: String,
    pub minimum: String,
    /// The hint how to install a newer one.
    pub hint: String,
}

/// The relevant part of `terraform version -json`. OpenTofu has the same format.
#[derive(Debug, Deserialize)]
struct Answer {
    terraform_version: String,
}

impl TerraformSettings {
    /// Checks the program's version. A program that does not report one, such as a wrapper, is
    /// accepted.
    pub async fn check_version(&self, environment: &Environment) -> Result<(), TooOld> {
        match self.version(environment).await {
            Some((version, parsed)) if parsed < MINIMUM => Err(TooOld {
                program: self.program.clone(),
                version,
                minimum: MINIMUM.to_string(),
                hint: self.hint(),
            }),
            _ => Ok(()),
        }
    }

    async fn version(&self, environment: &Environment) -> Option<(String, Version)> {
        let mut environment = environment.clone();
        // Checks only the version of this program, without asking its maker for newer ones.
        environment.set("CHECKPOINT_DISABLE", "1");
        let invocation = Invocation {
            name: format!("{} version", self.program),
            program: self.find_program(&environment)?,
            arguments: ["version", "-json"].map(Into::into).into(),
            directory: "/".into(),
            environment,
            timeout: Some(LIMIT),
            input: Vec::new(),
            stdout: StdoutUse::Data,
        };
        let (log, masks, cancellation) = (|_: Stream, _: &str| {}, Masks::default(), Cancellation::never());
        let supervision = Supervision { log: &log, masks: &masks, cancellation: &cancellation };
        let answer = process::run(&invocation, supervision).await.ok()?;
        let text = String::from_utf8_lossy(&answer);
        let version = serde_json::from_str::<Answer>(&text)
            .map(|answer| answer.terraform_version)
            .ok()
            // The text format before JSON: `Terraform v0.11.14`.
            .or_else(|| text.split_whitespace().find_map(|word| word.strip_prefix('v')).map(str::to_owned))?;
        let parsed = Version::parse(&version)?;
        Some((version, parsed))
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
    use super::*;
    use crate::component::testing::write_program;

    /// The result for a program with this answer.
    async fn check(answer: &str) -> Result<(), TooOld> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("terraform");
        write_program(&path, &format!("#!/bin/sh\n{answer}\n"));
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
            assert!(error.to_string().ends_with("is too old: version 1.4.0 or newer is needed"), "{error}");
        }
        for silent in ["echo hello", "exit 3"] {
            assert_eq!(check(silent).await, Ok(()), "{silent}");
        }
    }
}
