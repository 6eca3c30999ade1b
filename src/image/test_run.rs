//! Running a component's tests in its image.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use super::engine::{Engine, EngineKind};
use super::registry::is_local;
use super::{BuildError, Surroundings};
use crate::component::ProcessError;

/// The folder for reports, in the container.
const FOLDER: &str = "/atmos";
/// The report that the tests may write there.
const REPORT: &str = "junit.xml";

/// The tests to run.
pub struct TestRun<'a> {
    /// `registry/name@sha256:…`
    pub image: &'a str,
    /// The argument vector; no shell reads it.
    pub command: &'a [String],
    /// A folder of this run's own, which the container can write to.
    pub folder: &'a Path,
    pub engine: &'a Engine,
    pub surroundings: Surroundings<'a>,
}

/// The result of a run of tests.
#[derive(Debug)]
pub struct TestOutcome {
    /// The error of the command itself, where it failed.
    pub failure: Option<ProcessError>,
    /// The JUnit report that it wrote, where it wrote one.
    pub report: Option<Vec<u8>>,
    pub duration: Duration,
}

/// Runs a command in an image, with the variable `ATMOS_JUNIT_XML` naming the file
/// that its report is expected in.
pub async fn run_tests(run: TestRun<'_>) -> Result<TestOutcome, BuildError> {
    std::fs::create_dir_all(run.folder).map_err(BuildError::files("make a folder for the tests' report"))?;
    let variable = format!("ATMOS_JUNIT_XML={FOLDER}/{REPORT}");
    let volume = |options: &str| format!("{}:{FOLDER}{options}", run.folder.display());
    let began = Instant::now();
    let ended = if run.engine.kind == EngineKind::Buildah {
        run_in_buildah(&run, &variable, &volume("")).await?
    } else {
        let mut arguments: Vec<OsString> =
            ["run", "--rm", "--env", &variable, "--volume", &volume(":rw")].map(OsString::from).into();
        if run.engine.kind == EngineKind::Podman && is_local(run.image) {
            arguments.push("--tls-verify=false".into());
        }
        // The tests' command replaces the image's entrypoint.
        let (program, rest) = run.command.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
        arguments.extend(["--entrypoint".into(), program.into(), run.image.into()]);
        arguments.extend(rest.iter().map(OsString::from));
        run.engine.log(run.surroundings, arguments).await
    };
    let duration = began.elapsed();
    let failure = match ended {
        Ok(()) => None,
        Err(cancelled @ ProcessError::Cancelled { .. }) => {
            return Err(BuildError::Process { what: "the tests were stopped", source: cancelled });
        }
        Err(error) => Some(error),
    };
    let report = run.folder.join(REPORT);
    let is_file = report.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
    let report = if is_file { std::fs::read(report).ok() } else { None };
    Ok(TestOutcome { failure, report, duration })
}

/// Runs the tests with buildah: in a container made of the image, which is deleted afterwards.
async fn run_in_buildah(
    run: &TestRun<'_>,
    variable: &str,
    volume: &str,
) -> Result<Result<(), ProcessError>, BuildError> {
    let mut from: Vec<OsString> = vec!["from".into()];
    if is_local(run.image) {
        from.push("--tls-verify=false".into());
    }
    from.push(format!("docker://{}", run.image).into());
    let failed = "a container for the tests could not be made";
    let name = run.engine.output(run.surroundings, from).await.map_err(BuildError::process(failed))?;
    let name = String::from_utf8_lossy(&name).lines().next_back().unwrap_or_default().trim().to_owned();
    let mut arguments: Vec<OsString> =
        ["run", "--env", variable, "--volume", volume, "--", &name].map(OsString::from).into();
    arguments.extend(run.command.iter().map(OsString::from));
    let ended = run.engine.log(run.surroundings, arguments).await;
    let removed = run.engine.output(run.surroundings, vec!["rm".into(), name.into()]).await;
    if let Err(error) = removed {
        tracing::warn!(%error, "a container of the tests is left");
    }
    Ok(ended)
}
