//! `atmos deployment <verb>`: one file per verb.

mod activity;
mod approvals;
mod approve;
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
mod vendor;

use std::process::ExitCode;

use clap::Subcommand;

use super::deferred::Deferred;
use crate::context::Context;
use crate::error::CommandError;

#[derive(Debug, clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct DeploymentArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Build the images of a commit, push them, and record what they are made of
    ///
    /// What is built is the commit, never the working tree. An image that was built of the commit with the same context is
    /// not built again.
    Build(Deferred<build::Args>),
    /// Run the tests of components in the images that were built of a commit
    ///
    /// A component's tests are the command settings.nixpack.test. It finds the name of the file that its JUnit report is
    /// expected in as `ATMOS_JUNIT_XML`; a command that writes none counts as one test. The results are noted on the commit.
    Test(Deferred<test::Args>),
    /// Note what a scanner found on a commit, and count it by severity
    ///
    /// The scanner is run by the CI; this takes its file. With --fail-on, findings of that severity or a worse one end with
    /// exit code 5, after they have been noted.
    Scan(Deferred<scan::Args>),
    /// Note files of other CI steps on a commit: SBOMs, results of tests and scans
    ///
    /// What is noted already is added to, also while others add to the same commit. Of an SBOM, a component that is there
    /// already is replaced.
    Attach(Deferred<attach::Args>),
    /// Deploy to a target, promote from another one, or roll back
    Rollout(Deferred<rollout::Args>),
    /// Show what a deployment is made of: its software bill of materials
    ///
    /// Of a target, each component's is that of the commit that runs there. Without a target and a commit, it is the
    /// deployment's default target, or the commit that is checked out.
    // Its own `--format` takes the place of every command's, which would be there before it.
    Sbom(sbom::Args),
    /// Show what runs where, since when and why
    Status(Deferred<status::Args>),
    /// Show what was deployed to a target, newest first
    History(Deferred<history::Args>),
    /// Compare what runs on two targets, or two commits
    ///
    /// Commits, components and configuration are compared; a target can also be compared with a commit. Of the
    /// commits, the newest 50 are listed and the others counted.
    Diff(Deferred<diff::Args>),
    /// List deployments, targets or components
    List(Deferred<list::Args>),
    /// Show a deployment with everything resolved, on one target if one is named
    Describe(Deferred<describe::Args>),
    /// Check the configuration; exit code 2 where it is not valid
    Validate(Deferred<validate::Args>),
    /// Fetch and show the sources of components whose code is not in the commit
    ///
    /// A rollout fetches what it needs; this does it ahead, and shows what the vendor cache holds.
    Vendor(Deferred<vendor::Args>),
    /// Draw the promotion paths, and what runs on each target
    PromotionGraph(Deferred<promotion_graph::Args>),
    /// Show what can be promoted now, and what is in the way
    PromotionStatus(Deferred<promotion_status::Args>),
    /// Freeze a target, or keep everybody from some of its components
    ///
    /// While a target is frozen, no rollout to it starts. Rollouts that are running go on, and are listed.
    Lock(Deferred<lock::Args>),
    /// Take a lock away: a target's freeze, or the locks of some components
    ///
    /// The lock of a rollout that may still be running is only taken away with --force. Where nothing is locked, there is
    /// nothing to do, and that is no error.
    Unlock(Deferred<unlock::Args>),
    /// Show which locks are held: by rollouts, and to freeze targets
    Locks(Deferred<locks::Args>),
    /// Approve a rollout ahead of it, or take an approval back
    ///
    /// The plan is made as the rollout would make it, and its components are approved by their digests, for one rollout. It
    /// counts for the targets whose approval method is manual, until it expires or what runs there changes.
    Approve(Deferred<approve::Args>),
    /// Show who approved what, and whether that still counts
    Approvals(Deferred<approvals::Args>),
    /// Print a rollout as jobs for the CI, one for each component
    ///
    /// For GitHub, the matrix of a job: `{"include":[{component,type,wave,depends_on}]}`, at most 256 jobs. For GitLab, a child
    /// pipeline whose jobs extend the template's `.atmos-rollout` and wait for what they need.
    ///
    /// A job needs only jobs of earlier waves. What a component needs through components without a job, it needs all the same.
    Matrix(Deferred<matrix::Args>),
    /// Protect the ledger's tags on the hosting platform
    ///
    /// On GitHub a ruleset, on GitLab protected tags: nobody changes or deletes a record. What the platform cannot protect is
    /// said. Which platform it is, the CI job tells, else the address of the remote; the token comes from `ATMOS_GITHUB_TOKEN`,
    /// `GITHUB_TOKEN` or `GH_TOKEN`, on GitLab from `ATMOS_GITLAB_TOKEN` or `GITLAB_TOKEN`.
    Protect(Deferred<protect::Args>),
    /// Do what the inputs of a CI job ask for, and report on it
    ///
    /// The inputs are read from the environment: on GitHub Actions as the runner of a container action sets them
    /// (`INPUT_PROMOTE-FROM`), elsewhere as `ATMOS_INPUT_PROMOTE_FROM`. See docs/ci.md.
    Ci(Deferred<ci::Args>),
}

/// The definition of one verb.
pub(super) fn verb(name: &str) -> Option<clap::Command> {
    let mut verbs = Verb::augment_subcommands(clap::Command::default());
    verbs.find_subcommand_mut(name).map(std::mem::take)
}

pub(super) fn run(args: &DeploymentArgs, context: &Context) -> Result<ExitCode, CommandError> {
    let writes = match &args.verb {
        Verb::Rollout(args) => !args.subject().dry_run,
        Verb::Lock(_) | Verb::Unlock(_) | Verb::Approve(_) | Verb::Attach(_) => true,
        _ => false,
    };
    run_verb(&args.verb, context).map_err(|error| if writes { error.needs_the_remote() } else { error })
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
        Verb::Vendor(args) => vendor::run(args, context),
        Verb::PromotionGraph(args) => promotion_graph::run(args, context),
        Verb::PromotionStatus(args) => promotion_status::run(args, context),
        Verb::Lock(args) => lock::run(args, context),
        Verb::Unlock(args) => unlock::run(args, context),
        Verb::Locks(args) => locks::run(args, context),
        Verb::Approve(args) => approve::run(args, context),
        Verb::Approvals(args) => approvals::run(args, context),
        Verb::Matrix(args) => matrix::run(args, context),
        Verb::Protect(args) => protect::run(args, context),
        Verb::Ci(_) => Ok(ci::run(context)),
    }
}
