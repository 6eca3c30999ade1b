//! The recipe of an image: a Dockerfile that nixpacks writes, or the source's own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::settings::BuildSettings;
use super::{Build, BuildError};
use crate::component::Environment;
use crate::component::process::StdoutUse;
use crate::deployment::build_report::BuildStep;

/// The name of the source's own recipe.
const DOCKERFILE: &str = "Dockerfile";
/// The folder that nixpacks writes to, and that its Dockerfile reads from.
const NIXPACKS_FOLDER: &str = ".nixpacks";

/// A recipe for a container engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    pub dockerfile: PathBuf,
    /// The folder that the Dockerfile copies from.
    pub context: PathBuf,
    /// The values of the Dockerfile's arguments.
    pub arguments: BTreeMap<String, String>,
    /// The name of the builder that wrote it.
    pub builder: String,
    /// The build plan that it follows from, as nixpacks prints it.
    pub plan: Option<serde_json::Value>,
}

/// The fields that are read of the plan that nixpacks prints.
#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct Plan {
    variables: BTreeMap<String, String>,
}

/// Writes the recipe of a folder of source code.
#[async_trait]
pub trait Builder: Send + Sync {
    /// Writes the recipe.
    async fn write(&self, build: &Build<'_>, source: &Path) -> Result<Recipe, BuildError>;
}

/// Whether a folder is built by its own Dockerfile: where that is asked for, and there.
#[must_use]
pub fn has_dockerfile(settings: &BuildSettings, source: &Path) -> bool {
    settings.dockerfile_escape && source.join(DOCKERFILE).is_file()
}

/// Writes the recipe of an image: the source's own Dockerfile, else one by nixpacks.
pub async fn write_recipe(build: &Build<'_>) -> Result<Recipe, BuildError> {
    (build.surroundings.on_step)(BuildStep::Planning);
    let source = build.settings.source_folder(build.checkout)?;
    let builder: &dyn Builder =
        if has_dockerfile(build.settings, &source) { &OwnDockerfile } else { &Nixpacks };
    builder.write(build, &source).await
}

/// The executable, where it is installed.
#[must_use]
pub fn nixpacks_program(environment: &Environment) -> Option<PathBuf> {
    environment.find_program("nixpacks")
}

/// The source's own Dockerfile.
struct OwnDockerfile;

#[async_trait]
impl Builder for OwnDockerfile {
    async fn write(&self, build: &Build<'_>, source: &Path) -> Result<Recipe, BuildError> {
        Ok(Recipe {
            dockerfile: source.join(DOCKERFILE),
            context: source.to_owned(),
            arguments: build.settings.arguments.clone(),
            builder: DOCKERFILE.to_owned(),
            plan: None,
        })
    }
}

/// Nixpacks: looks at the source and writes a Dockerfile.
struct Nixpacks;

#[async_trait]
impl Builder for Nixpacks {
    async fn write(&self, build: &Build<'_>, source: &Path) -> Result<Recipe, BuildError> {
        let around = build.surroundings;
        let program = nixpacks_program(around.environment).ok_or(BuildError::NixpacksMissing)?;
        let version = around
            .run("nixpacks", program.clone(), vec!["--version".into()], source, StdoutUse::Data, &[])
            .await
            .map_err(BuildError::process("nixpacks does not run"))?;
        // A backtrace would hide the reason in the error message.
        let no_backtrace = [("RUST_BACKTRACE", "0".to_owned())];
        let failed = || BuildError::process("nixpacks found no way to build it");
        let mut plan: Vec<OsString> = vec!["plan".into(), source.into(), "--format=json".into()];
        plan.extend(options(build.settings));
        let plan = around
            .run("nixpacks", program.clone(), plan, source, StdoutUse::Data, &no_backtrace)
            .await
            .map_err(failed())?;
        let printed: Option<serde_json::Value> = crate::text::json(&plan).ok();
        let plan: Plan = crate::text::json(&plan).unwrap_or_default();
        let out = build.scratch.join("nixpacks");
        // By default the cache is named after the folder, which differs in every build.
        let cache = format!("--cache-key={}", build.cache_key);
        let mut arguments: Vec<OsString> =
            vec!["build".into(), source.into(), "--out".into(), out.clone().into(), cache.into()];
        arguments.extend(options(build.settings));
        around
            .run("nixpacks", program, arguments, source, StdoutUse::Log, &no_backtrace)
            .await
            .map_err(failed())?;
        // Its Dockerfile copies its own files from the context.
        let folder = source.join(NIXPACKS_FOLDER);
        std::fs::rename(out.join(NIXPACKS_FOLDER), &folder)
            .or_else(|_| copy_folder(&out.join(NIXPACKS_FOLDER), &folder))
            .map_err(BuildError::files("put what nixpacks wrote beside the source"))?;
        Ok(Recipe {
            dockerfile: folder.join(DOCKERFILE),
            context: source.to_owned(),
            arguments: plan.variables,
            builder: String::from_utf8_lossy(&version).trim().to_owned(),
            plan: printed,
        })
    }
}

/// The nixpacks options that the component's variables translate to.
fn options(settings: &BuildSettings) -> Vec<OsString> {
    let mut options: Vec<String> = Vec::new();
    let commands = [
        ("install", &settings.install_command),
        ("build", &settings.build_command),
        ("start", &settings.start_command),
    ];
    for (name, command) in commands {
        options.extend(command.iter().map(|command| format!("--{name}-cmd={command}")));
    }
    options.extend(settings.packages.iter().map(|package| format!("--pkgs={package}")));
    options.extend(settings.apt_packages.iter().map(|package| format!("--apt={package}")));
    options.extend(settings.arguments.iter().map(|(name, value)| format!("--env={name}={value}")));
    options.into_iter().map(OsString::from).collect()
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
