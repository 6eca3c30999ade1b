//! `atmos deployment ci`: the entry of the action and of the template. The job's inputs become one
//! verb, whose outcome is reported to people and to later jobs.

mod command;
mod credentials;
mod fan_in;
mod inputs;
mod prepare;
mod reporting;
mod request;
mod switches;
mod trust;
mod usage;
mod verb_environment;
mod words;

use std::process::ExitCode;

use self::command::CiCommand;
use crate::context::Context;
use crate::report::{Notices, Outcome, hand_on};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ATMOS_INPUT_COMMAND=status atmos deployment ci
  ATMOS_INPUT_COMMAND=rollout ATMOS_INPUT_DEPLOYMENT=payment-service ATMOS_INPUT_TARGET=dev atmos deployment ci")]
pub struct Args {}

pub(super) fn run(outer: &Context) -> ExitCode {
    let job = outer.job();
    match CiCommand::prepare(outer, job.clone()) {
        Ok(command) => command.execute(),
        Err(error) => {
            let outcome = Outcome::without_a_verb(error);
            let code = outcome.show(outer);
            hand_on(outer, job.as_ref(), outer.directory(), &outcome, None, Notices::default());
            code
        }
    }
}
