//! `atmos describe`: what stacks say, in the keys of the reference implementation, read from the working tree.

mod component;
mod stacks;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::config::{AtmosConfig, DirectorySource};
use crate::render::document;
use crate::stacks::{DirectoryFiles, Processing, StackFiles, StackSettings};

use super::args::Format;
use super::context::Context;
use super::error::CommandError;
use super::stacks::{CommitFiles, World, environment_of, settings};

#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(super) struct DescribeArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Component(component::Args),
    Stacks(stacks::Args),
}

/// What is computed and what is shown as it is written.
#[derive(Debug, Args)]
struct ProcessingArgs {
    /// Fill in templates; `--process-templates=false` shows them as they are written
    #[arg(long, value_name = "BOOLEAN", default_value_t = true, default_missing_value = "true",
          num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set, hide_default_value = true,
          hide_possible_values = true)]
    process_templates: bool,
    /// Compute YAML functions; `--process-functions=false` shows them as they are written
    #[arg(long, value_name = "BOOLEAN", default_value_t = true, default_missing_value = "true",
          num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set, hide_default_value = true,
          hide_possible_values = true)]
    process_functions: bool,
}

impl From<&ProcessingArgs> for Processing {
    fn from(args: &ProcessingArgs) -> Self {
        Self { templates: args.process_templates, functions: args.process_functions, ..Self::DESCRIBE }
    }
}

pub(super) fn run(args: &DescribeArgs, context: &Context) -> Result<ExitCode, CommandError> {
    match &args.what {
        What::Component(args) => component::run(args, context),
        What::Stacks(args) => stacks::run(args, context),
    }
}

/// The stacks of the working tree; of the head commit in a bare repository.
struct Tree {
    files: Box<dyn StackFiles>,
    settings: StackSettings,
    world: World,
}

impl Tree {
    /// Finds them. Like the reference implementation, this needs no repository: then everything is relative to the
    /// nearest `atmos.yaml`.
    fn find(context: &Context) -> Result<Self, CommandError> {
        let environment = environment_of(context.environment());
        let tree = |files: Box<dyn StackFiles>, config: &AtmosConfig, repository_root| Self {
            files,
            settings: settings(config),
            world: World { environment, repository_root },
        };
        let Some(repository) = context.repository_if_any()? else {
            let has_config = |directory: &&std::path::Path| {
                ["atmos.yaml", "atmos.yml"].iter().any(|name| directory.join(name).is_file())
            };
            let directory = context.directory();
            let root = directory.ancestors().find(has_config).unwrap_or(directory);
            let config = context.config(&DirectorySource::new(root), "")?;
            let root_text = root.to_str().map(str::to_owned);
            return Ok(tree(Box::new(DirectoryFiles::new(root)), &config, root_text));
        };
        let mut config = context.project(&repository)?.config;
        let Some(root) = repository.work_tree() else {
            let files = CommitFiles::new(&repository, repository.head()?)?;
            return Ok(tree(Box::new(files), &config, None));
        };
        let root_text = root.to_str().map(str::to_owned);
        // Paths are shown relative to `atmos.yaml`, as far as everything is below it.
        let root = if config.base_path.starts_with("..") {
            root.to_owned()
        } else {
            root.join(std::mem::take(&mut config.directory))
        };
        Ok(tree(Box::new(DirectoryFiles::new(root)), &config, root_text))
    }
}

/// Prints a description: YAML unless JSON is asked for.
fn print(context: &Context, description: &impl Serialize) -> Result<ExitCode, CommandError> {
    let text = match context.global().format {
        Format::Json | Format::CyclonedxJson | Format::SpdxJson => document::plain_json(description)?,
        Format::Table | Format::Yaml => document::plain_yaml(description)?,
    };
    context.streams().data(&text)?;
    Ok(ExitCode::SUCCESS)
}
