//! The result of one component's build.

use std::time::Duration;

use jiff::Timestamp;

use super::prepare::Job;
use crate::deployment::build_report::{BuildStatus, ComponentBuild};
use crate::sbom::Package;

/// The result of a component's build, with the data to publish about it.
#[derive(Debug, Clone)]
pub struct Finished {
    pub build: ComponentBuild,
    pub started_at: Timestamp,
    /// The packages of the image's application.
    pub packages: Vec<Package>,
    pub warnings: Vec<String>,
}

/// The default result of a component, before its build has run.
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
