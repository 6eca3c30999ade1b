//! The domain: deployments, targets, components, records, promotion. Pure.
//!
//! This module does not use git, files, the clock or the environment, and imports no other module
//! of the crate; `tests/it/layers.rs` checks that. The terms are those of the specification's
//! `definitions.md`.

pub mod approval;
pub mod build_record;
pub mod build_report;
pub mod chain;
pub mod change;
pub mod change_request;
pub mod commit;
pub mod configuration_diff;
pub mod count;
pub mod declarations;
pub mod definition;
pub mod dependencies;
pub mod diff;
pub mod digest;
pub mod fan_in;
pub mod fan_out;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod footprint;
pub mod graph;
pub mod health;
pub mod image_binding;
pub mod judgement;
pub mod lease;
pub mod lock;
pub mod names;
pub mod nearest;
pub mod note;
pub mod observation;
pub mod overrides;
pub mod promotable;
pub mod promotion;
pub mod promotion_status;
pub mod record;
pub mod record_order;
pub mod ref_names;
mod ref_segment;
pub mod resolution;
pub mod rollout_history;
pub mod rollout_plan;
pub mod rollout_report;
pub mod rules;
pub mod run;
pub mod stack_layer;
pub mod stack_order;
pub mod state;
pub mod template;
pub mod values;
pub mod variables;
pub mod vendoring;

pub use build_record::BuildRecord;
pub use commit::{CommitId, ObjectId};
pub use definition::{Component, Deployment, PromotionRule, Target};
pub use names::{ComponentKind, ComponentName, DeploymentName, TargetName};
pub use note::NoteNamespace;
pub use record::{Record, RecordId, RecordStatus};
