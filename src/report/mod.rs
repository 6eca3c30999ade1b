//! Reports of a CI job: log, summary, outputs and annotations of the job; comment, commit status
//! and deployment record on the platform.

mod annotate;
mod change_request;
mod dependencies;
mod descriptions;
mod dispatch;
mod failure;
mod hand_on;
mod log;
mod notices;
mod outbox;
mod outcome;
mod outputs;
mod overview;
mod part_names;
mod platform_record;
mod presence;
mod reports;
mod requested_commits;
mod staleness;
mod steps;
mod subject;
mod summary;
mod undelivered_reports;
mod view;

pub use hand_on::hand_on;
pub use log::Log;
pub use notices::Notices;
pub use outbox::Outbox;
pub use outcome::{Ending, Outcome, Seen};
pub use overview::{Overview, OverviewSource};
pub use reports::{Reports, Switches};
pub use subject::Subject;
