//! `atmos describe stacks`: every stack and its components.

use std::process::ExitCode;

use super::{OutputArgs, ProcessingArgs, Tree, failures, print};
use crate::context::Context;
use crate::error::CommandError;
use crate::project::stacks::ShownOutputs;
use crate::stacks::{Describer, Filter, StackReader};

/// Show the stacks and their components with everything resolved
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos describe stacks
  atmos describe stacks --stack dev --components vpc,ecs --sections vars,metadata
  atmos describe stacks --component-types terraform --format json")]
pub(super) struct Args {
    /// Only this stack, by its name or its file
    #[arg(short, long, env = "ATMOS_STACK", value_name = "STACK")]
    stack: Option<String>,
    /// Only these components, and those that are made of them
    #[arg(long, value_name = "COMPONENTS", value_delimiter = ',')]
    components: Vec<String>,
    /// Only components of these types, such as terraform
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    component_types: Vec<String>,
    /// Only these sections of each component, such as vars
    #[arg(long, value_name = "SECTIONS", value_delimiter = ',')]
    sections: Vec<String>,
    /// Also stacks without components
    #[arg(long)]
    include_empty_stacks: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    processing: ProcessingArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let tree = Tree::find(context)?;
    let reader = StackReader::new(&*tree.files, &tree.settings);
    let stacks = reader.all()?;
    let functions = ShownOutputs::new(&reader, &stacks, &tree.world, tree.root.as_deref());
    let describer = Describer::new(&reader, &functions, (&args.processing).into());
    let describer = describer.skipping(args.processing.skipped()).tolerating(!args.processing.strict);
    let filter = Filter {
        stacks: args.stack.iter().cloned().collect(),
        components: args.components.clone(),
        kinds: args.component_types.clone(),
        sections: args.sections.clone(),
        empty_stacks: args.include_empty_stacks,
    };
    let listing = describer.stacks(&stacks, &filter)?;
    for conflict in &listing.conflicts {
        context.warn(&format!("{conflict}; the first is shown"));
    }
    print(context, &args.output, &listing.stacks.into(), &[])?;
    let failures = listing.failures.iter().map(|failed| (failed.place.as_slice(), &failed.failure));
    failures::report(context, &args.output, failures)?;
    Ok(ExitCode::SUCCESS)
}
