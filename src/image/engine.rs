//! The container engine, which builds images by a recipe and pushes them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::recipe::Recipe;
use super::registry::is_local;
use super::{Build, BuildError, EngineError, Surroundings};
use crate::component::Environment;
use crate::component::process::StdoutUse;

/// The variable that names the engine.
const VARIABLE: &str = "ATMOS_CONTAINER_ENGINE";

/// The supported engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// Docker, with buildx.
    Docker,
    Buildah,
    Podman,
}

/// An engine that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    pub kind: EngineKind,
    program: PathBuf,
}

impl EngineKind {
    /// The program's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Buildah => "buildah",
            Self::Podman => "podman",
        }
    }
}

impl Engine {
    /// The engine that the environment asks for, else the first that is on
    /// `PATH`: docker, buildah, podman.
    pub fn find(environment: &Environment) -> Result<Self, EngineError> {
        let all = [EngineKind::Docker, EngineKind::Buildah, EngineKind::Podman];
        let find =
            |kind: EngineKind| environment.find_program(kind.as_str()).map(|program| Self { kind, program });
        let asked = environment.get(VARIABLE).map(|name| name.to_string_lossy().into_owned());
        let Some(asked) = asked.filter(|name| !name.is_empty()) else {
            return all.into_iter().find_map(find).ok_or(EngineError::NoneFound);
        };
        let kind = all.into_iter().find(|kind| kind.as_str() == asked);
        let kind = kind.ok_or_else(|| EngineError::Unknown(asked.clone()))?;
        find(kind).ok_or(EngineError::Missing(asked))
    }

    /// The engine's version as it prints it: `buildah version 1.28.2`.
    pub async fn version(&self, around: Surroundings<'_>) -> String {
        let name = self.kind.as_str();
        let version = vec!["--version".into()];
        let directory = Path::new("/");
        let said = around.run(name, self.program.clone(), version, directory, StdoutUse::Data, &[]).await;
        let said = said.unwrap_or_default();
        let said = String::from_utf8_lossy(&said).lines().next().unwrap_or_default().trim().to_owned();
        if said.is_empty() { name.to_owned() } else { said }
    }

    /// Builds an image by a recipe, and returns the engine's id of it.
    pub(super) async fn build(&self, build: &Build<'_>, recipe: &Recipe) -> Result<String, BuildError> {
        let id_file = build.scratch.join("image-id");
        let time = build.commit_time.to_string();
        let mut arguments: Vec<OsString> = match self.kind {
            // Without docker's own attestations, so that the digest is that of the image.
            EngineKind::Docker => {
                ["buildx", "build", "--load", "--provenance=false", "--sbom=false"].map(OsString::from).into()
            }
            EngineKind::Buildah | EngineKind::Podman => {
                vec!["build".into(), "--timestamp".into(), time.clone().into()]
            }
        };
        arguments.extend(["--iidfile".into(), id_file.clone().into()]);
        arguments.extend(["--file".into(), recipe.dockerfile.clone().into()]);
        arguments.extend(["--tag".into(), build.name.reference().into()]);
        for (name, value) in &recipe.arguments {
            arguments.extend(["--build-arg".into(), format!("{name}={value}").into()]);
        }
        arguments.push(recipe.context.clone().into());
        if let Err(error) = self.run(build, arguments, &[("SOURCE_DATE_EPOCH", time)]).await {
            let error = BuildError::process("the image could not be built")(error);
            let lacks_buildx = !error.is_cancelled() && self.lacks_buildx(build.surroundings).await;
            return Err(if lacks_buildx { BuildError::BuildxMissing } else { error });
        }
        self.written(&id_file)
    }

    /// Whether this is docker without buildx. Checked only after a build has failed, as docker
    /// itself just complains about a flag.
    async fn lacks_buildx(&self, around: Surroundings<'_>) -> bool {
        let version = ["buildx", "version"].map(OsString::from).into();
        self.kind == EngineKind::Docker && self.output(around, version).await.is_err()
    }

    /// Pushes the image, and returns the digest of the pushed manifest.
    pub(super) async fn push(&self, build: &Build<'_>) -> Result<String, BuildError> {
        let digest_file = build.scratch.join("digest");
        let reference = build.name.reference();
        let failed = "the image could not be pushed";
        if self.kind == EngineKind::Docker {
            let printed = self
                .output(build.surroundings, vec!["push".into(), reference.into()])
                .await
                .map_err(BuildError::process(failed))?;
            // `tag: digest: sha256:… size: 499`
            let printed = String::from_utf8_lossy(&printed);
            let mut words = printed.split_whitespace().rev();
            let digest = words.find(|word| is_digest(word)).map(str::to_owned);
            return digest.ok_or_else(|| BuildError::NoDigest { engine: self.kind.as_str().to_owned() });
        }
        let mut arguments: Vec<OsString> =
            vec!["push".into(), "--digestfile".into(), digest_file.clone().into()];
        // Docker skips TLS for local registries by default.
        if is_local(&reference) {
            arguments.push("--tls-verify=false".into());
        }
        arguments.extend([reference.clone().into(), format!("docker://{reference}").into()]);
        self.run(build, arguments, &[]).await.map_err(BuildError::process(failed))?;
        self.written(&digest_file)
    }

    async fn run(
        &self,
        build: &Build<'_>,
        arguments: Vec<OsString>,
        extra: &[(&str, String)],
    ) -> Result<Vec<u8>, crate::component::ProcessError> {
        let (name, program) = (self.kind.as_str(), self.program.clone());
        build.surroundings.run(name, program, arguments, build.checkout, StdoutUse::Log, extra).await
    }

    /// Runs the engine and returns its output.
    pub(super) async fn output(
        &self,
        around: Surroundings<'_>,
        arguments: Vec<OsString>,
    ) -> Result<Vec<u8>, crate::component::ProcessError> {
        let (name, program) = (self.kind.as_str(), self.program.clone());
        around.run(name, program, arguments, Path::new("/"), StdoutUse::Data, &[]).await
    }

    /// Runs the engine; its output goes to the log, for people.
    pub(super) async fn log(
        &self,
        around: Surroundings<'_>,
        arguments: Vec<OsString>,
    ) -> Result<(), crate::component::ProcessError> {
        let (name, program) = (self.kind.as_str(), self.program.clone());
        around.run(name, program, arguments, Path::new("/"), StdoutUse::Log, &[]).await.map(drop)
    }

    /// The digest that the engine has written to a file.
    fn written(&self, file: &Path) -> Result<String, BuildError> {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let digest = text.trim();
        // Buildah before 1.24 writes no algorithm in front.
        let digest = if digest.contains(':') { digest.to_owned() } else { format!("sha256:{digest}") };
        if is_digest(&digest) {
            Ok(digest)
        } else {
            Err(BuildError::NoDigest { engine: self.kind.as_str().to_owned() })
        }
    }
}

fn is_digest(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:");
    digits.is_some_and(|digits| digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_engine_that_is_asked_for_is_used_or_missed() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["podman", "buildah"] {
            let file = folder.path().join(name);
            std::fs::write(&file, "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let find = |asked: Option<&str>| {
            let mut environment = Environment::default();
            environment.set("PATH", folder.path());
            if let Some(asked) = asked {
                environment.set(VARIABLE, asked);
            }
            Engine::find(&environment)
        };
        assert_eq!(find(None).unwrap().kind, EngineKind::Buildah);
        assert_eq!(find(Some("podman")).unwrap().kind, EngineKind::Podman);
        assert!(matches!(find(Some("docker")), Err(EngineError::Missing(name)) if name == "docker"));
        assert!(matches!(find(Some("rkt")), Err(EngineError::Unknown(_))));
        assert!(matches!(Engine::find(&Environment::default()), Err(EngineError::NoneFound)));
    }
}
