//! `atmos deployment <verb>`: one file per verb.

mod attach;
mod build;
mod ci;
mod describe;
mod diff;
mod history;
mod list;
mod lock;
mod locks;
mod matrix;
mod promotion_graph;
mod promotion_status;
mod protect;
mod rollout;
mod sbom;
mod scan;
mod status;
mod test;
mod unlock;
mod validate;

use std::process::ExitCode;

use clap::Subcommand;

use super::context::Context;
use super::error::CommandError;

/// Roll out deployments and answer what runs where
#[derive(Debug, clap::Args)]
pub struct DeploymentArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Build(build::Args),
    Test(test::Args),
    Scan(scan::Args),
    Attach(attach::Args),
    Rollout(rollout::Args),
    Sbom(sbom::Args),
    Status(status::Args),
    History(history::Args),
    Diff(diff::Args),
    List(list::Args),
    Describe(describe::Args),
    Validate(validate::Args),
    PromotionGraph(promotion_graph::Args),
    PromotionStatus(promotion_status::Args),
    Lock(lock::Args),
    Unlock(unlock::Args),
    Locks(locks::Args),
    Matrix(matrix::Args),
    Protect(protect::Args),
    Ci(ci::Args),
}

pub(super) fn run(args: &DeploymentArgs, context: &Context) -> Result<ExitCode, CommandError> {
    run_verb(&args.verb, context)
}

fn run_verb(verb: &Verb, context: &Context) -> Result<ExitCode, CommandError> {
    match verb {
        Verb::Build(args) => build::run(args, context),
        Verb::Test(args) => test::run(args, context),
        Verb::Scan(args) => scan::run(args, context),
        Verb::Attach(args) => attach::run(args, context),
        Verb::Rollout(args) => rollout::run(args, context),
        Verb::Sbom(args) => sbom::run(args, context),
        Verb::Status(args) => status::run(args, context),
        Verb::History(args) => history::run(args, context),
        Verb::Diff(args) => diff::run(args, context),
        Verb::List(args) => list::run(args, context),
        Verb::Describe(args) => describe::run(args, context),
        Verb::Validate(args) => validate::run(args, context),
        Verb::PromotionGraph(args) => promotion_graph::run(args, context),
        Verb::PromotionStatus(args) => promotion_status::run(args, context),
        Verb::Lock(args) => lock::run(args, context),
        Verb::Unlock(args) => unlock::run(args, context),
        Verb::Locks(args) => locks::run(args, context),
        Verb::Matrix(args) => matrix::run(args, context),
        Verb::Protect(args) => protect::run(args, context),
        Verb::Ci(ci::Args {}) => Ok(ci::run(context)),
    }
}
