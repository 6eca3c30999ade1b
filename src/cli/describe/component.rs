//! `atmos describe component`: the sections of one component in a stack.

use std::process::ExitCode;

use super::{OutputArgs, ProcessingArgs, Tree, failures, print, provenance};
use crate::context::Context;
use crate::error::{Code, CommandError};
use crate::project::stacks::ShownOutputs;
use crate::render::document::Format;
use crate::render::document::error::Hint;
use crate::stacks::{Describer, StackReader, Stacks};

/// Show a component of a stack with everything resolved
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos describe component vpc --stack dev
  atmos describe component ecs/service -s prod --format json
  atmos describe component . -s dev --query .vars
  atmos describe component vpc -s dev --provenance")]
pub(super) struct Args {
    /// The component, or the path of the folder of its code
    component: String,
    /// The stack, by its name
    #[arg(short, long, env = "ATMOS_STACK", value_name = "STACK")]
    stack: String,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    processing: ProcessingArgs,
    /// Show the file and line that each value is written on: behind it, or in JSON as `provenance`
    #[arg(long)]
    provenance: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let tree = Tree::find(context)?;
    let reader = StackReader::new(&*tree.files, &tree.settings);
    let stacks = reader.all()?;
    let functions = ShownOutputs::new(&reader, &stacks, &tree.world, tree.root.as_deref());
    let describer = Describer::new(&reader, &functions, (&args.processing).into());
    let describer = describer.skipping(args.processing.skipped());
    let describer = describer.tolerating(!args.processing.strict).tracing_lines(args.provenance);
    let by_name = describer.find(&stacks, &args.stack, None, &args.component);
    let found = match by_name {
        Ok(found) => found,
        Err(error) => match by_path(args, context, &tree, &describer, &stacks)? {
            Some((kind, name)) => describer.find(&stacks, &args.stack, Some(&kind), &name)?,
            None => return Err(error.into()),
        },
    };
    let mut sections = found.sections;
    if args.provenance && context.global().document_format() == Some(Format::Json) {
        sections.insert("provenance".to_owned(), provenance::document(&found.provenance));
    }
    print(context, &args.output, &sections.into(), &found.provenance)?;
    failures::report(context, &args.output, found.failures.iter().map(|failure| (&[][..], failure)))?;
    Ok(ExitCode::SUCCESS)
}

/// The kind and name of the component whose folder was given instead of its name.
fn by_path(
    args: &Args,
    context: &Context,
    tree: &Tree,
    describer: &Describer<'_>,
    stacks: &Stacks,
) -> Result<Option<(String, String)>, CommandError> {
    if !args.component.contains(['/', std::path::MAIN_SEPARATOR])
        && !matches!(args.component.as_str(), "." | "..")
    {
        return Ok(None);
    }
    let path = context.directory().join(&args.component);
    let Some((kind, folder)) = tree.folder_of_component(&path) else { return Ok(None) };
    let made = describer.made_of(stacks, &args.stack, kind, &folder)?;
    match made.as_slice() {
        [] => Ok(None),
        [name] => Ok(Some((kind.to_owned(), name.clone()))),
        several => {
            let message = format!(
                "{} components of the stack \"{}\" are made of {folder}: {}",
                several.len(),
                args.stack,
                several.join(", ")
            );
            let error = CommandError::new(Code::AmbiguousComponent, message);
            Err(error.hint(Hint::note("Give the component by its name")))
        }
    }
}
