//! Health checks of components: a team's own command, a URL, Kubernetes, ECS.

mod answers;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::log::Stream;
use super::process::{self, Invocation, ProcessError, StdoutUse, Supervision};
use super::{ComponentError, ComponentRun, command};
use crate::cancellation::CancellationLevel;
use crate::deployment::health::{Health, HealthCheck, HealthStatus, Probe};

/// The timeout of a single check.
const LIMIT: Duration = Duration::from_secs(30);

/// Checks until the component is healthy or the timeout ends, and returns the last result.
pub async fn wait(run: ComponentRun<'_>, check: &HealthCheck) -> Result<Health, ComponentError> {
    let deadline = Instant::now() + check.timeout;
    let mut last: Option<Health> = None;
    loop {
        let health = self::check(run, &check.probe).await?;
        let ended = health.status == HealthStatus::Healthy || Instant::now() + check.interval > deadline;
        if !ended && last.as_ref() != Some(&health) {
            run.log.line(Stream::Stdout, &format!("waiting for the component to become healthy: {health}"));
        }
        if ended {
            return Ok(health);
        }
        last = Some(health);
        tokio::select! {
            () = sleep(check.interval) => {}
            _ = run.cancellation.above(CancellationLevel::None) => return Err(cancelled()),
        }
    }
}

/// Runs one health check. A probe without an answer is a result; an error means that the probe
/// could not run.
pub async fn check(run: ComponentRun<'_>, probe: &Probe) -> Result<Health, ComponentError> {
    match probe {
        Probe::Command(argv) => by_command(run, argv).await,
        Probe::Http { url, status } => tokio::select! {
            health = by_http(url, *status) => Ok(health),
            _ = run.cancellation.above(CancellationLevel::None) => Err(cancelled()),
        },
        Probe::Kubernetes { resource, namespace, context } => {
            let mut arguments = vec!["get", resource, "--output=json"];
            for (flag, value) in [("--namespace", namespace), ("--context", context)] {
                arguments.extend(value.iter().flat_map(|value| [flag, value.as_str()]));
            }
            by_tool(run, "kubectl", &arguments, answers::kubernetes).await
        }
        Probe::Ecs { cluster, service, region } => {
            let mut arguments = vec!["ecs", "describe-services", "--output", "json"];
            arguments.extend(["--cluster", cluster, "--services", service]);
            arguments.extend(region.iter().flat_map(|region| ["--region", region.as_str()]));
            by_tool(run, "aws", &arguments, answers::ecs).await
        }
    }
}

fn cancelled() -> ComponentError {
    ProcessError::Cancelled { program: "the health check".to_owned(), tail: Vec::new() }.into()
}

/// Runs a team's own command, in the checkout of the commit. The last line of its output is the
/// detail.
async fn by_command(run: ComponentRun<'_>, argv: &[String]) -> Result<Health, ComponentError> {
    let (program, arguments) = argv.split_first().ok_or(ComponentError::NoCommand)?;
    let directory = run.checkout.to_owned();
    let invocation = Invocation {
        name: program.clone(),
        program: command::resolve(program, &directory, run.environment)?,
        arguments: arguments.iter().map(OsString::from).collect(),
        environment: command::told(run, run.environment.clone()),
        directory,
        timeout: Some(LIMIT),
        input: Vec::new(),
        stdout: StdoutUse::Log,
    };
    let last_line = Mutex::new(None);
    let log = |_: Stream, line: &str| {
        if !line.trim().is_empty() {
            *last_line.lock().unwrap_or_else(PoisonError::into_inner) = Some(line.trim().to_owned());
        }
    };
    let ended = process::run(&invocation, Supervision { log: &log, ..quiet(run) }).await;
    let detail = last_line.into_inner().unwrap_or_else(PoisonError::into_inner);
    match ended {
        Ok(_) => Ok(Health { status: HealthStatus::Healthy, detail }),
        Err(error @ ProcessError::Failed { .. }) => {
            Ok(Health::new(HealthStatus::Unhealthy, detail.unwrap_or_else(|| error.to_string())))
        }
        Err(error @ ProcessError::TimedOut { .. }) => {
            Ok(Health::new(HealthStatus::Unhealthy, error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

async fn by_http(url: &str, expected: Option<u16>) -> Health {
    let client = reqwest::Client::builder().timeout(LIMIT).build();
    let answer = match client {
        Ok(client) => client.get(url).send().await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(answer) => {
            let status = answer.status();
            let as_expected = expected.map_or(status.is_success(), |expected| expected == status.as_u16());
            let health = if as_expected { HealthStatus::Healthy } else { HealthStatus::Unhealthy };
            Health::new(health, format!("HTTP {}", status.as_u16()))
        }
        // A URL may contain a token, and errors include it.
        Err(error) => {
            let error = error.without_url();
            let what = if error.is_timeout() {
                "no answer in time"
            } else if error.is_connect() {
                "no connection"
            } else {
                "no answer"
            };
            Health::new(HealthStatus::Unhealthy, what)
        }
    }
}

/// Runs a tool that answers in JSON.
async fn by_tool(
    run: ComponentRun<'_>,
    tool: &str,
    arguments: &[&str],
    read: fn(&[u8]) -> Option<Health>,
) -> Result<Health, ComponentError> {
    let missing = || ProcessError::Missing { program: tool.to_owned() };
    let program: PathBuf = run.environment.find(tool).ok_or_else(missing)?;
    let invocation = Invocation {
        name: tool.to_owned(),
        program,
        arguments: arguments.iter().map(OsString::from).collect(),
        directory: run.scratch.to_owned(),
        environment: run.environment.clone(),
        timeout: Some(LIMIT),
        input: Vec::new(),
        stdout: StdoutUse::Data,
    };
    match process::run(&invocation, quiet(run)).await {
        Ok(answer) => Ok(read(&answer).unwrap_or_else(|| {
            Health::new(HealthStatus::Unknown, format!("{tool} answered something that is not understood"))
        })),
        Err(error @ (ProcessError::Failed { .. } | ProcessError::TimedOut { .. })) => {
            let detail = error.tail().last().cloned().unwrap_or_else(|| error.to_string());
            Ok(Health::new(HealthStatus::Unknown, detail))
        }
        Err(error) => Err(error.into()),
    }
}

/// Disables the log: the output of repeated checks is not worth logging.
fn quiet(run: ComponentRun<'_>) -> Supervision<'_> {
    Supervision { log: &|_: Stream, _: &str| {}, masks: run.masks, cancellation: run.cancellation }
}

#[cfg(test)]
mod tests;
