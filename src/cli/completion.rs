//! `atmos completion <shell>`.

use std::process::ExitCode;

use clap_complete::Shell;

use crate::context::Context;
use crate::error::CommandError;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "atmos", &mut script);
    context.streams().data(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
