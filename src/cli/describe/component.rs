//! `atmos describe component`: everything that a stack says of one component.

use std::process::ExitCode;

use super::{ProcessingArgs, Tree, print};
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::stacks::{Describer, StackReader};

/// Show a component of a stack with everything resolved
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos describe component vpc --stack dev
  atmos describe component ecs/service -s prod --format json")]
pub(super) struct Args {
    /// The component
    component: String,
    /// The stack, by its name
    #[arg(short, long, env = "ATMOS_STACK", value_name = "STACK")]
    stack: String,
    #[command(flatten)]
    processing: ProcessingArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let tree = Tree::find(context)?;
    let reader = StackReader::new(&*tree.files, &tree.settings);
    let stacks = reader.all()?;
    let describer = Describer::new(&reader, &tree.world, (&args.processing).into());
    let found = describer.find(&stacks, &args.stack, None, &args.component)?;
    print(context, &found.sections)
}
