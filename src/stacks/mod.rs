//! Stacks: Atmos's own configuration, with its imports, inheritance, overrides and names.
//!
//! Manifests are read through [`StackFiles`], so that they can come from a directory or from a
//! commit, and each file is parsed once however many stacks import it. [`StackReader`] gives
//! stacks: one composed out of an import list, or all that the settings include. [`Describer`]
//! puts a stack's components together. What is not supported (`!exec`, `!store`, template
//! functions that ask the world, remote imports) is refused by name and position, and only when a
//! component that is selected needs it.
//!
//! The way of a value: `yaml` reads it, `manifest` fills in an import's context, `import` merges
//! files, `component` merges layers, `evaluate` computes functions and templates.

mod backend;
mod cache;
mod component;
mod describe;
mod error;
mod evaluate;
mod failures;
mod files;
mod functions;
mod generate;
mod hcl;
mod import;
mod imported;
mod include;
mod inherit;
mod integrations;
mod limits;
mod list_merge;
mod listing;
mod locals;
mod manifest;
mod merge;
mod name;
mod overrides;
mod paths;
mod places;
mod provenance;
mod query;
mod scalar;
mod sections;
mod selection;
mod settings;
mod source;
mod sources;
mod stack;
mod state;
mod template;
#[cfg(test)]
mod tests;
mod unapplied;
mod value;
mod world;
mod yaml;

pub use cache::StackCache;
pub use describe::{Describer, StackComponent};
pub use error::StackError;
pub use evaluate::Processing;
pub use failures::Failure;
pub use files::{DirectoryFiles, StackFiles};
pub use generate::{BACKEND_FILE, PROVIDERS_FILE, REQUIREMENTS_FILE};
pub use list_merge::ListMergeStrategy;
pub use listing::{Filter, Listing, Unshown};
pub use provenance::{Provenance, line_of};
pub use query::{check as check_query, find_in};
pub use selection::StateLocation;
pub use settings::{Inherit, KindSettings, StackSettings, Variable};
pub use stack::{ImportRequest, Stack, StackReader, Stacks};
pub use state::{KeptOutputs, outputs_of_state};
pub use unapplied::{AUTH_HINT, BACKEND_TYPE, Unapplied};
pub use value::Location;
pub use world::{Functions, OutputRequest};
