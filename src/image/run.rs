//! Runs a build: reuses existing images, builds the rest in parallel, and publishes the results.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::runtime::Runtime;

use super::Options;
use super::finished::{Finished, unbuilt};
use super::prepare::{Job, Prepared, engine, environment};
use super::progress::EventSink;
use super::publish::{Published, publish};
use super::{
    Build, BuildError, Built, Engine, ImageReference, Presence, Registry, Surroundings, has_dockerfile,
    nixpacks_program, syft_packages, write_recipe,
};
use crate::cancellation::Cancellation;
use crate::component::{Environment, Masks, Stream};
use crate::context::Context;
use crate::deployment::ComponentName;
use crate::deployment::build_report::{BuildEvent, BuildStatus, BuildStep, ComponentBuild};
use crate::deployment::graph::Graph;
use crate::error::{Code, CommandError};
use crate::execution::CheckoutError;
use crate::render::document::error::Hint;
use crate::sbom;
use crate::scheduler::{Execution, Limits, Outcome, Scheduler, Slot};

/// The state that all components' builds share.
struct Shared {
    /// Each component with a checkout of its own.
    jobs: BTreeMap<ComponentName, (Job, PathBuf)>,
    /// Absent in a dry run.
    engine: Option<Engine>,
    registry: Registry,
    environment: Environment,
    masks: Masks,
    cache_prefix: String,
    commit_time: i64,
    scratch: tempfile::TempDir,
    events: EventSink,
}

/// The result of a build of all components.
pub struct Acted {
    pub builds: Vec<ComponentBuild>,
    pub published: Published,
    pub duration: Duration,
}

pub fn run(
    options: &Options,
    context: &Context,
    prepared: &Prepared<'_>,
    events: &EventSink,
    cancellation: &Cancellation,
) -> Result<Acted, CommandError> {
    let began = Instant::now();
    let runtime = Runtime::new().map_err(|error| CommandError::internal(error.to_string()))?;
    let environment = environment(context);
    let registry = Registry::new(&environment).map_err(|error| CommandError::internal(error.to_string()))?;
    let mut finished = reused(context, prepared, &registry, &runtime)?;
    let is_done = |job: &&Job| finished.iter().any(|done| done.build.component == job.component);
    let to_build: Vec<_> = prepared.jobs.iter().filter(|job| !is_done(job)).cloned().collect();
    let engine = if options.plan || to_build.is_empty() { None } else { Some(engine(&environment)?) };
    events(BuildEvent::Started {
        deployment: prepared.deployment.name.clone(),
        target: prepared.target.clone(),
        commit: prepared.commit.clone(),
        dry_run: options.plan,
        names: prepared.jobs.iter().map(|job| job.component.clone()).collect(),
    });
    for done in &finished {
        events(BuildEvent::ComponentFinished(done.build.clone()));
    }
    let scratch = tempfile::tempdir().map_err(|error| CommandError::new(Code::Files, error.to_string()))?;
    let jobs = check_out(prepared, to_build, scratch.path())?;
    check_nixpacks(&environment, &jobs)?;
    let shared = Arc::new(Shared {
        jobs,
        engine,
        registry,
        environment,
        masks: Masks::default(),
        cache_prefix: prepared.deployment.name.to_string(),
        commit_time: prepared.repository.objects()?.commit_time(&prepared.commit).unwrap_or(0),
        scratch,
        events: Arc::clone(events),
    });
    let parallelism = options.parallelism;
    finished.extend(runtime.block_on(side_by_side(&shared, parallelism, cancellation)));
    finished.sort_by_key(|done| prepared.jobs.iter().position(|job| job.component == done.build.component));
    for done in &finished {
        for warning in &done.warnings {
            context.warn(&format!("{}: {warning}", done.build.component));
        }
    }
    let published = match &shared.engine {
        Some(engine) => {
            let version = runtime.block_on(engine.version(shared.surroundings(
                &|_: Stream, _: &str| {},
                cancellation,
                &|_| {},
            )));
            let checkout =
                shared.jobs.values().next().map(|(_, checkout)| checkout.clone()).unwrap_or_default();
            publish(options, context, prepared, &finished, &version, &checkout)?
        }
        None => Published::default(),
    };
    events(BuildEvent::Finished);
    let builds = finished.into_iter().map(|done| done.build).collect();
    Ok(Acted { builds, published, duration: began.elapsed() })
}

/// The components with a recorded build of the same inputs whose image still exists.
fn reused(
    context: &Context,
    prepared: &Prepared<'_>,
    registry: &Registry,
    runtime: &Runtime,
) -> Result<Vec<Finished>, CommandError> {
    let published = prepared.jobs.iter().filter(|job| job.publish);
    let asked: Vec<_> = published.map(|job| (job.component.clone(), prepared.commit.clone())).collect();
    let images = prepared.ledger.built_images(&prepared.deployment.name, &asked)?;
    let mut found = Vec::new();
    for job in &prepared.jobs {
        let Some(build) = images.get(&job.component) else { continue };
        if build.inputs.as_ref() != Some(&job.inputs) {
            continue;
        }
        let presence =
            ImageReference::parse(&build.image).map(|image| runtime.block_on(registry.presence(&image)));
        if presence == Some(Presence::Missing) {
            context.warn(&format!(
                "{} is on record and not in its registry any more: it is built anew",
                build.image
            ));
            continue;
        }
        let build =
            ComponentBuild { status: BuildStatus::Reused, image: Some(build.image.clone()), ..unbuilt(job) };
        found.push(Finished { build, started_at: context.now(), packages: Vec::new(), warnings: Vec::new() });
    }
    Ok(found)
}

/// Checks the commit out for every image, as recipes are written into it. Outside of the
/// repository, as builders would leave out its ignored files.
fn check_out(
    prepared: &Prepared<'_>,
    jobs: Vec<Job>,
    scratch: &Path,
) -> Result<BTreeMap<ComponentName, (Job, PathBuf)>, CommandError> {
    let mut checked_out = BTreeMap::new();
    for (number, job) in jobs.into_iter().enumerate() {
        let folder = scratch.join(format!("checkout-{number}"));
        let files = |source| CheckoutError::Files { path: folder.clone(), source };
        std::fs::create_dir(&folder).map_err(files)?;
        let index = folder.with_extension("index");
        prepared
            .repository
            .git()
            .materialise(&prepared.commit, &folder, &index)
            .map_err(|source| CheckoutError::Git { commit: prepared.commit.clone(), source })?;
        checked_out.insert(job.component.clone(), (job, folder));
    }
    Ok(checked_out)
}

/// Checks before any build whether nixpacks is needed and missing.
fn check_nixpacks(
    environment: &Environment,
    jobs: &BTreeMap<ComponentName, (Job, PathBuf)>,
) -> Result<(), CommandError> {
    let needs = |(job, checkout): &&(Job, PathBuf)| {
        let source = job.settings.source_folder(checkout);
        // A missing folder is reported by that component's own build.
        source.is_ok_and(|source| !has_dockerfile(&job.settings, &source))
    };
    let Some((job, _)) = jobs.values().find(needs) else { return Ok(()) };
    if nixpacks_program(environment).is_some() {
        return Ok(());
    }
    let message = format!("{} needs the program \"nixpacks\", which is not on PATH", job.component);
    Err(CommandError::new(Code::Preflight, message)
        .hint(Hint::command("To install it", "cargo install nixpacks"))
        .hint(Hint::note("Or build with the source's Dockerfile: settings.nixpack.dockerfile_escape: true")))
}

/// Builds the images in parallel.
async fn side_by_side(
    shared: &Arc<Shared>,
    parallelism: Option<NonZeroUsize>,
    cancellation: &Cancellation,
) -> Vec<Finished> {
    let mut graph = Graph::default();
    for component in shared.jobs.keys() {
        graph.insert(component.clone(), std::collections::BTreeSet::new());
    }
    let cores = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let limits = Limits { parallelism: parallelism.unwrap_or_else(cores), fail_fast: false };
    // Without needs there are no cycles.
    let Ok(scheduler) = Scheduler::new(&graph, limits) else { return Vec::new() };
    let executor = {
        let shared = Arc::clone(shared);
        move |component: ComponentName, _slot: Slot, cancellation: Cancellation| {
            let shared = Arc::clone(&shared);
            async move {
                match shared.jobs.get(&component) {
                    Some((job, checkout)) => {
                        Execution::Succeeded(one(&shared, job, checkout, cancellation).await)
                    }
                    None => Execution::Failed(()),
                }
            }
        }
    };
    let completions = scheduler.run(executor, cancellation.clone(), |_| {}).await;
    completions
        .into_iter()
        .filter_map(|completion| match completion.outcome {
            Outcome::Succeeded(finished) => Some(finished),
            // Cancelled before it started.
            _ => shared.jobs.get(&completion.component).map(|(job, _)| Finished {
                build: ComponentBuild { status: BuildStatus::Cancelled, ..unbuilt(job) },
                started_at: Timestamp::now(),
                packages: Vec::new(),
                warnings: Vec::new(),
            }),
        })
        .collect()
}

/// Builds one component, and emits its events.
async fn one(shared: &Shared, job: &Job, checkout: &Path, cancellation: Cancellation) -> Finished {
    let (began, started_at) = (Instant::now(), Timestamp::now());
    let component = || job.component.clone();
    (shared.events)(BuildEvent::ComponentStarted { component: component() });
    let log = |stream: Stream, line: &str| {
        let (line, is_error) = (line.to_owned(), stream == Stream::Stderr);
        (shared.events)(BuildEvent::Output { component: component(), line, is_error });
    };
    let on_step = |step| (shared.events)(BuildEvent::Step { component: component(), step });
    let surroundings = shared.surroundings(&log, &cancellation, &on_step);
    let mut finished =
        Finished { build: unbuilt(job), started_at, packages: Vec::new(), warnings: Vec::new() };
    let result = shared.execute(job, checkout, surroundings, &mut finished).await;
    if let Err(error) = result {
        let status = if error.is_cancelled() { BuildStatus::Cancelled } else { BuildStatus::Failed };
        finished.build.status = status;
        finished.build.error = Some(error.to_string());
    }
    finished.build.duration = began.elapsed();
    (shared.events)(BuildEvent::ComponentFinished(finished.build.clone()));
    finished
}

impl Shared {
    fn surroundings<'s>(
        &'s self,
        log: &'s dyn crate::component::LogSink,
        cancellation: &'s Cancellation,
        on_step: &'s (dyn Fn(BuildStep) + Send + Sync),
    ) -> Surroundings<'s> {
        Surroundings { environment: &self.environment, log, masks: &self.masks, cancellation, on_step }
    }

    async fn execute(
        &self,
        job: &Job,
        checkout: &Path,
        surroundings: Surroundings<'_>,
        finished: &mut Finished,
    ) -> Result<(), BuildError> {
        let scratch = self.scratch.path().join(uuid::Uuid::now_v7().simple().to_string());
        std::fs::create_dir_all(&scratch)
            .map_err(|source| BuildError::Files { action: "make a folder for temporary files", source })?;
        let build = Build {
            checkout,
            settings: &job.settings,
            name: &job.name,
            cache_key: &format!("{}-{}", self.cache_prefix, job.component),
            commit_time: self.commit_time,
            registry: job.publish.then_some(&self.registry),
            scratch: &scratch,
            surroundings,
        };
        let source = job.settings.source_folder(checkout)?;
        // Before the builder writes its own files beside the source.
        let (packages, problems) = sbom::application_packages(checkout, &source);
        let Some(engine) = &self.engine else {
            let recipe = write_recipe(&build).await?;
            finished.build.status = BuildStatus::Planned;
            finished.build.builder = recipe.builder;
            finished.build.plan = recipe.plan;
            finished.build.recipe = std::fs::read_to_string(recipe.dockerfile).ok();
            return Ok(());
        };
        let Built { image, local_id, builder, warning } = super::build(&build, engine).await?;
        finished.warnings.extend(warning);
        (surroundings.on_step)(BuildStep::Billing);
        finished.packages = match syft_packages(surroundings, image.as_deref(), &source).await {
            Some(Ok(packages)) => packages,
            found => {
                if let Some(Err(reason)) = found {
                    finished
                        .warnings
                        .push(format!("lock files are read instead of what syft finds: {reason}"));
                }
                finished.warnings.extend(problems.iter().map(ToString::to_string));
                packages
            }
        };
        finished.build.status = BuildStatus::Built;
        finished.build.image = image;
        finished.build.local_id = Some(local_id);
        finished.build.builder = builder;
        Ok(())
    }
}
