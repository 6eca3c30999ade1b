//! Building images: a recipe is written or found, an engine builds by it, the registry tells the
//! resulting digest.
//!
//! The source is a checkout of a commit. Nothing is read from the process; the output of children
//! goes to a sink.

mod attestation;
mod component_test;
mod engine;
mod error;
mod finished;
mod first;
mod options;
mod other_components;
mod prepare;
mod progress;
mod provenance;
mod publish;
mod recipe;
mod registry;
mod run;
mod sbom_note;
mod settings;
mod syft;
mod test_run;
mod without_images;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cancellation::Cancellation;
use crate::component::process::{self, Invocation, StdoutUse, Supervision};
use crate::component::{Environment, LogSink, Masks};
use crate::deployment::build_report::BuildStep;

pub use attestation::{SigningError, SigningKey};
pub use component_test::{ComponentTest, ComponentTestResult};
pub use engine::{Engine, EngineKind};
pub use error::{BuildError, EngineError};
pub use first::{Wanted, build_first};
pub use options::Options;
pub use other_components::derived;
pub use prepare::{Prepared, commit_of, engine, environment, prepare};
pub use progress::event_sink;
pub use provenance::{Provenance, statement};
pub use recipe::{Builder, Recipe, has_dockerfile, nixpacks_program, write_recipe};
pub use registry::{ImageReference, Presence, Registry};
pub use run::{Acted, run};
pub use sbom_note::{parse_sbom_note, sbom_edit};
pub use settings::{BuildSettings, ImageName, SettingsError};
pub use syft::syft_packages;
pub use without_images::note_components;

/// The timeout of one program. A build that takes longer counts as hanging.
const LONGEST: Duration = Duration::from_hours(2);

/// One image to build.
pub struct Build<'a> {
    /// The root of a checkout of the commit that is this build's own: recipes are written into it.
    pub checkout: &'a Path,
    pub settings: &'a BuildSettings,
    pub name: &'a ImageName,
    /// The prefix of the cache names of this component's builds.
    pub cache_key: &'a str,
    /// When the commit was made, in seconds since 1970: the time that everything in the image has,
    /// so that the same source gives the same digest.
    pub commit_time: i64,
    /// The registry to push to; without one, the image stays in the engine's own storage.
    pub registry: Option<&'a Registry>,
    /// A folder for temporary files, outside of the checkout.
    pub scratch: &'a Path,
    pub surroundings: Surroundings<'a>,
}

/// The environment, log sink and cancellation of the child processes of a build.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    pub environment: &'a Environment,
    pub log: &'a dyn LogSink,
    pub masks: &'a Masks,
    pub cancellation: &'a Cancellation,
    pub on_step: &'a (dyn Fn(BuildStep) + Send + Sync),
}

/// The image that a build made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// `registry/name@sha256:…`; absent where nothing was pushed.
    pub image: Option<String>,
    /// The engine's own id of the image.
    pub local_id: String,
    pub builder: String,
    /// A warning, where the registry could not confirm the digest.
    pub warning: Option<String>,
}

/// Builds an image, and pushes it where a registry is given.
pub async fn build(build: &Build<'_>, engine: &Engine) -> Result<Built, BuildError> {
    let around = build.surroundings;
    let recipe = write_recipe(build).await?;
    (around.on_step)(BuildStep::Building);
    let local_id = engine.build(build, &recipe).await?;
    let builder = recipe.builder;
    let Some(registry) = build.registry else {
        return Ok(Built { image: None, local_id, builder, warning: None });
    };
    (around.on_step)(BuildStep::Pushing);
    let digest = engine.push(build).await?;
    let repository = build.name.repository();
    let reference = ImageReference::by_digest(&repository, &digest);
    let (digest, warning) = match registry.presence(&reference).await {
        Presence::Present => (digest, None),
        // The registry stored the image under another digest: the one that can be pulled is used.
        Presence::Missing => match registry.digest_of_tag(&repository, &build.name.tag).await {
            Some(kept) => (kept, None),
            None => return Err(BuildError::NotInRegistry { image: reference.to_string() }),
        },
        Presence::Unknown(reason) => {
            (digest, Some(format!("{repository} could not be asked for the digest: {reason}")))
        }
    };
    Ok(Built { image: Some(format!("{repository}@{digest}")), local_id, builder, warning })
}

impl Surroundings<'_> {
    /// Runs a program to its end, and returns its output where that is data.
    async fn run(
        &self,
        name: &str,
        program: PathBuf,
        arguments: Vec<std::ffi::OsString>,
        directory: &Path,
        stdout: StdoutUse,
        extra: &[(&str, String)],
    ) -> Result<Vec<u8>, process::ProcessError> {
        let mut environment = self.environment.clone();
        for (name, value) in extra {
            environment.set(*name, value);
        }
        let invocation = Invocation {
            name: name.to_owned(),
            program,
            arguments,
            directory: directory.to_owned(),
            environment,
            timeout: Some(LONGEST),
            input: Vec::new(),
            stdout,
        };
        let supervision = Supervision { log: self.log, masks: self.masks, cancellation: self.cancellation };
        process::run(&invocation, supervision).await
    }
}
