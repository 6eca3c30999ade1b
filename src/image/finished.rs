//! How the build of one component ended.

use std::time::Duration;

use jiff::Timestamp;

use super::prepare::Job;
use crate::deployment::build_report::{BuildStatus, ComponentBuild};
use crate::sbom::Package;

/// How a component's build ended, with what is to be published of it.
#[derive(Debug, Clone)]
pub struct Finished {
    pub build: ComponentBuild,
    pub started_at: Timestamp,
    /// What the image's application is made of.
    pub packages: Vec<Package>,
    pub warnings: Vec<String>,
}

/// What is said of a component before anything is known.
pub fn unbuilt(job: &Job) -> ComponentBuild {
    ComponentBuild {
        component: job.component.clone(),
        status: BuildStatus::Failed,
        name: job.name.reference(),
        image: None,
        local_id: None,
        builder: String::new(),
        duration: Duration::ZERO,
        error: None,
        recipe: None,
        plan: None,
    }
}
