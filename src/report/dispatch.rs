//! The next workflow or pipeline after a successful rollout: where it runs, and its inputs.

use std::collections::BTreeMap;

use crate::ci::{Job, System};
use crate::deployment::CommitId;
use crate::deployment::change_request::{ChangeRequest, RequestLookup};
use crate::deployment::rollout_report::RolloutReport;
use crate::provider::{Dispatch, Provider, ProviderError, WorkflowInputs};

/// The variable that tells a GitLab pipeline why it was started. Inputs of the template
/// would override those of its jobs.
const VARIABLE: &str = "ATMOS_DISPATCH";

/// A workflow or pipeline to start.
pub struct Next {
    workflow: String,
    /// The branch or tag to run it on, from the event.
    reference: Option<String>,
    /// Whether it runs on the base of the change request, which only a lookup of the request tells.
    on_base_of_request: bool,
    /// Its inputs, as far as the workflow declares them.
    values: BTreeMap<String, String>,
}

/// The result of a dispatch.
pub enum Started {
    WithInputs,
    /// The reason why it has no inputs.
    WithoutInputs(String),
    /// There is no known branch to start it on.
    Nowhere,
}

impl Next {
    /// The workflow to start after a job's rollout.
    pub fn new(job: &Job, workflow: &str, rollout: Option<&RolloutReport>) -> Self {
        let names = |name: &str| match job.system {
            System::GitHubActions => name.to_owned(),
            System::GitLabCi => format!("{VARIABLE}_{}", name.to_uppercase()),
        };
        let mut values = BTreeMap::new();
        if let Some(report) = rollout {
            values.insert(names("deployment"), report.deployment.to_string());
            values.insert(names("target"), report.target.to_string());
            values.extend(only_commit(report).map(|commit| (names("commit"), commit.to_string())));
        }
        if job.system == System::GitLabCi {
            values.insert(VARIABLE.to_owned(), workflow.to_owned());
        }
        // Users name a workflow by its path, and GitHub's API by its file name in this folder.
        let workflow = match job.system {
            System::GitHubActions => workflow.strip_prefix(".github/workflows/").unwrap_or(workflow),
            System::GitLabCi => workflow,
        };
        Self {
            workflow: workflow.to_owned(),
            reference: job.next_reference.clone(),
            on_base_of_request: matches!(job.request_lookup, Some(RequestLookup::Number(_))),
            values,
        }
    }

    /// Starts the workflow, with those values for which it declares inputs.
    pub async fn start(
        self,
        provider: &dyn Provider,
        request: Option<&ChangeRequest>,
    ) -> Result<Started, ProviderError> {
        let base = request.filter(|_| self.on_base_of_request).and_then(|request| request.base.clone());
        let Some(reference) = base.or(self.reference) else { return Ok(Started::Nowhere) };
        let Self { workflow, values: mut inputs, .. } = self;
        let mut started = Started::WithInputs;
        match provider.workflow_inputs(&workflow, &reference).await {
            Ok(WorkflowInputs::Any) => {}
            Ok(WorkflowInputs::Declared(names)) => inputs.retain(|name, _| names.contains(name)),
            Ok(WorkflowInputs::Unreadable) => {
                inputs.clear();
                started = Started::WithoutInputs("its file cannot be read".to_owned());
            }
            Err(error @ (ProviderError::Refused { .. } | ProviderError::UnexpectedAnswer { .. })) => {
                inputs.clear();
                started = Started::WithoutInputs(error.to_string());
            }
            Err(error) => return Err(error),
        }
        provider.dispatch(&Dispatch { workflow, reference, inputs }).await?;
        Ok(started)
    }
}

/// The commit that all components run; `None` where they differ.
fn only_commit(report: &RolloutReport) -> Option<&CommitId> {
    let mut commits = report.components.iter().map(|component| &component.commit);
    let first = commits.next()?;
    commits.all(|commit| commit == first).then_some(first)
}
