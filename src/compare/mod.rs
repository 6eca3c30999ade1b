//! Differences between commits, or between the running state and the planned one: files,
//! configuration, and the reasons why a component has to be rolled out.

mod at_commit;
mod changes;
mod commits;
mod components;
mod configurations;
mod made_of;
mod same;
mod side;
mod step;

pub use changes::{Changes, Place};
pub use commits::{WithFiles, compare_commits, summaries};
pub use components::{chosen_components, components};
pub use configurations::Configurations;
pub use same::Comparison;
pub use side::{RecordedOverrides, Side};
pub use step::{Step, of_step};
