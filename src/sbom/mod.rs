//! Software bills of materials (SBOMs) of deployments (`definitions.md`, "SBOM").
//!
//! One CycloneDX document per deployment: its components, and nested in each its dependencies.
//! Foreign documents are merged with ours and may be of a newer version of the standard, with
//! unknown keys; so a document is kept as its JSON, without loss. Input is bounded: it may be
//! hostile.

mod attach;
mod compare;
mod deployment_bom;
mod document;
mod files;
mod from_spdx;
mod helm;
mod lock_files;
mod merge;
mod package;
mod parse;
mod purl;
mod spdx;
mod summary;
mod terraform;

pub use attach::as_component;
pub use compare::{ComponentChange, SbomComparison, VersionChange, compare, version_changes};
pub use deployment_bom::{Bill, BilledComponent, select};
pub use document::{Bom, DocumentError, FORMAT};
pub use files::ReadError;
pub use helm::charts;
pub use lock_files::{application_packages, folder_packages, lock_file_packages};
pub use merge::{merge, merge_notes, spdx_note};
pub use package::{Hash, Package, packages_of};
pub use purl::image as image_purl;
pub use spdx::to_spdx;
pub use summary::{Dependency, Summary, SummaryComponent, WHOLE, summarise};
pub use terraform::modules_and_providers;
