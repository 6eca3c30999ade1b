//! `atmos deployment history`: what was deployed to a target, newest first.

use std::process::ExitCode;

use crate::cli::args::Moment;
use crate::cli::context::{Context, known_component, known_target};
use crate::cli::error::CommandError;
use crate::deployment::names::ComponentReference;
use crate::deployment::{ComponentName, Deployment, DeploymentName, TargetName};
use crate::ledger::HistoryQuery;
use crate::render;
use crate::render::document::history::{DeploymentHistory, HistoryRecord};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment history payment-service --target prod
  atmos deployment history payment-service --target prod --component api
  atmos deployment history payment-service --target prod --limit 10
  atmos deployment history payment-service --target prod --since 2025-01-01 --until 2025-01-31")]
pub struct Args {
    /// The deployment
    deployment: DeploymentName,
    /// The target
    #[arg(long, value_name = "TARGET")]
    target: TargetName,
    /// Only this component (repeatable)
    #[arg(long, value_name = "COMPONENT")]
    component: Vec<ComponentReference>,
    /// At most so many records; 0 for all
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    limit: usize,
    /// Only records from this date (2025-01-31) or time (2025-01-31T12:00:00Z) on
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only records up to the end of this date, or to this time
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let deployment = project.deployment(context, &args.deployment)?;
    let ledger = context.ledger(&repository, &project.config)?;
    let zone = &context.global().timezone;
    let query = HistoryQuery {
        deployment: args.deployment.clone(),
        target: args.target.clone(),
        components: args
            .component
            .iter()
            .map(|reference| component_name(&deployment, reference))
            .collect::<Result<_, _>>()?,
        since: args.since.and_then(|since| since.start(zone)),
        until: args.until.and_then(|until| until.end(zone)),
        limit: Some(args.limit).filter(|limit| *limit > 0),
    };
    let freshness = ledger.refresh_history(&query);
    let mut history = ledger.history(&query)?;
    if context.publish_left_behind(&ledger, &history.pending, &freshness) {
        history = ledger.history(&query)?;
    }
    if history.total == 0 {
        // What is not declared any more may still have a history; what has none either is a slip of the pen.
        known_target(&deployment, &args.target)?;
        for reference in &args.component {
            known_component(&deployment, reference)?;
        }
    }
    let document = DeploymentHistory {
        deployment: query.deployment,
        target: query.target,
        truncated: query.limit.is_some_and(|limit| history.total > limit),
        records: history.records.into_iter().map(HistoryRecord::from).collect(),
    };
    context.print(&document, render::history::text)?;
    context.say_freshness(&ledger, &freshness);
    Ok(ExitCode::SUCCESS)
}

/// The component that a reference means; one that is not declared any more goes by its name.
fn component_name(
    deployment: &Deployment,
    reference: &ComponentReference,
) -> Result<ComponentName, CommandError> {
    match deployment.find(reference) {
        Some(component) => Ok(component.name.clone()),
        None => reference.0.parse().map_err(|error| CommandError::usage(format!("{error}"))),
    }
}
