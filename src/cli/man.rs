//! `atmos man`: the manual page, every command in one.

use std::process::ExitCode;

use crate::context::Context;
use crate::error::CommandError;

pub(super) fn run(context: &Context) -> Result<ExitCode, CommandError> {
    let mut page = Vec::new();
    render(&super::whole_command(), &mut page)?;
    context.streams().data(&String::from_utf8_lossy(&page))?;
    Ok(ExitCode::SUCCESS)
}

fn render(command: &clap::Command, page: &mut Vec<u8>) -> Result<(), CommandError> {
    clap_mangen::Man::new(command.clone())
        .render(page)
        .map_err(|error| CommandError::internal(format!("cannot write the manual page: {error}")))?;
    command.get_subcommands().try_for_each(|subcommand| render(subcommand, page))
}
