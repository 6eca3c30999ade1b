//! `atmos describe`: the contents of stacks, in the keys of the reference implementation, read from
//! the working tree.

mod component;
mod failures;
mod provenance;
mod query;
mod stacks;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::config::atmos::FILE_NAMES;
use crate::config::{AtmosConfig, DirectorySource};
use crate::render::document;
use crate::stacks::{DirectoryFiles, Processing, Provenance, StackFiles, StackSettings};

use crate::context::Context;
use crate::error::{Code, CommandError};
use crate::project::stacks::{CheckoutFiles, CommitFiles, World, environment_of, settings};
use crate::render::document::Format;
use query::Query;

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

/// Where a description goes, and how much of it.
#[derive(Debug, Args)]
struct OutputArgs {
    /// Only the value at this path of the description, such as `.vars.tags` or `.dev.components`.
    /// `-q` with a path behind it means the same
    #[arg(long, value_name = "PATH")]
    query: Option<Query>,
    /// Write to this file instead of stdout
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
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
    /// Show calls of these YAML functions as they are written, such as `terraform.output`
    #[arg(long, value_name = "FUNCTIONS", value_delimiter = ',')]
    skip: Vec<String>,
    /// End with the first value that cannot be computed, instead of showing it as it is written
    #[arg(long)]
    strict: bool,
}

impl ProcessingArgs {
    /// The names of the functions that are not computed, without `!`.
    fn skipped(&self) -> Vec<String> {
        self.skip.iter().map(|name| name.trim_start_matches('!').to_owned()).collect()
    }
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
    /// The root of all paths; absent in a bare repository.
    root: Option<PathBuf>,
    settings: StackSettings,
    world: World,
}

impl Tree {
    /// Finds the stacks. Like the reference implementation, this needs no repository: without one,
    /// everything is relative to the nearest `atmos.yaml`.
    fn find(context: &Context) -> Result<Self, CommandError> {
        let tree =
            |files: Box<dyn StackFiles>, root: Option<PathBuf>, config: &AtmosConfig, repository_root| {
                let world = World {
                    environment: environment_of(&context.environment().iter().cloned().collect()),
                    repository_root,
                };
                Self { files, root, settings: settings(config), world }
            };
        let of_directory = |root: &Path, config: &AtmosConfig, repository_root| {
            tree(Box::new(DirectoryFiles::new(root)), Some(root.to_owned()), config, repository_root)
        };
        let Some(repository) = context.repository_if_any()? else {
            let has_config = |directory: &&Path| FILE_NAMES.iter().any(|name| directory.join(name).is_file());
            let directory = context.directory();
            let root = directory.ancestors().find(has_config).unwrap_or(directory);
            let mut config = context.config(&DirectorySource::new(root), "", Some(root))?;
            let root_text = root.to_str().map(str::to_owned);
            // Paths out of the folder of `atmos.yaml` need a root further up.
            let above = config.stacks_directory().split('/').take_while(|part| *part == "..").count();
            let top = root.ancestors().nth(above).unwrap_or(root);
            let directory = root.strip_prefix(top).ok().and_then(Path::to_str).unwrap_or_default();
            let directory = directory.replace(std::path::MAIN_SEPARATOR, "/");
            let below = format!("{directory}/{}", config.directory);
            below.trim_matches('/').clone_into(&mut config.directory);
            return Ok(of_directory(top, &config, root_text));
        };
        let mut config = context.project(&repository)?.config;
        let Some(root) = repository.work_tree() else {
            let files = CommitFiles::new(&repository, repository.head()?)?;
            return Ok(tree(Box::new(files), None, &config, None));
        };
        let root_text = root.to_str().map(str::to_owned);
        // Paths are shown relative to `atmos.yaml`, if all stacks are below it.
        let directory = std::mem::take(&mut config.directory);
        let folder = if config.stacks_directory().starts_with("..") {
            config.directory = directory;
            String::new()
        } else {
            directory
        };
        let files = CheckoutFiles::new(&repository, root, &folder)?;
        Ok(tree(Box::new(files), Some(root.join(folder)), &config, root_text))
    }

    /// The kind of the components in a folder, and the folder relative to that kind's base path.
    fn folder_of_component(&self, path: &Path) -> Option<(&str, String)> {
        let root = self.root.as_ref()?.canonicalize().ok()?;
        let path = path.canonicalize().ok()?;
        let path = path.strip_prefix(root).ok()?.to_str()?.replace(std::path::MAIN_SEPARATOR, "/");
        self.settings.kinds.iter().find_map(|(kind, settings)| {
            let below = path.strip_prefix(settings.base_path.as_deref()?)?.strip_prefix('/')?;
            Some((kind.as_str(), below.to_owned()))
        })
    }
}

/// Prints a description, or writes it to a file: YAML unless JSON is requested. In YAML, known
/// source locations of values are added as comments.
fn print(
    context: &Context,
    output: &OutputArgs,
    description: &Value,
    provenance: &[Provenance],
) -> Result<(), CommandError> {
    let picked = output.query.as_ref().map(|query| query.of(description)).transpose()?;
    let description = picked.as_ref().unwrap_or(description);
    let text = match context.global().format {
        Format::Json | Format::CyclonedxJson | Format::SpdxJson => document::plain_json(description)?,
        Format::Table | Format::Yaml => {
            let above = output.query.as_ref().map_or(Some(Vec::new()), Query::fields);
            provenance::annotated(document::plain_yaml(description)?, above.as_deref(), provenance)
        }
    };
    match &output.file {
        Some(file) => {
            let path = context.directory().join(file);
            let refuse =
                |error| CommandError::new(Code::Output, format!("cannot write {}: {error}", path.display()));
            std::fs::write(&path, text).map_err(refuse)?;
        }
        None => context.streams().data(&text)?,
    }
    Ok(())
}
