//! Starting a workflow with the inputs that it declares: GitHub refuses a dispatch with others.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::GitHub;
use crate::provider::http::{Request, segment};
use crate::provider::{Capability, Dispatch, ProviderError, WorkflowInputs};

/// The largest workflow that is read, encoded.
const LARGEST: usize = 1024 * 1024;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    encoding: String,
    #[serde(default)]
    content: String,
}

impl GitHub {
    /// The inputs that a workflow declares where it is started: on a branch or tag as it is now.
    pub(super) async fn declared_inputs(
        &self,
        workflow: &str,
        reference: &str,
    ) -> Result<WorkflowInputs, ProviderError> {
        let file = format!(".github/workflows/{workflow}");
        let path = format!("/contents/{}?ref={}", segment(&file), segment(reference));
        let file: File = self.client.read(&Request::get(Capability::Workflows, self.path(&path))).await?;
        Ok(file.declared().map_or(WorkflowInputs::Unreadable, WorkflowInputs::Declared))
    }

    pub(super) async fn start_workflow(&self, dispatch: &Dispatch) -> Result<(), ProviderError> {
        let path = self.path(&format!("/actions/workflows/{}/dispatches", segment(&dispatch.workflow)));
        let body = json!({ "ref": dispatch.reference, "inputs": dispatch.inputs });
        self.client.call(&Request::create(Capability::Dispatch, path, body)).await.map(drop)
    }
}

impl File {
    fn declared(&self) -> Option<BTreeSet<String>> {
        if self.encoding != "base64" || self.content.len() > LARGEST {
            return None;
        }
        let encoded: String = self.content.split_whitespace().collect();
        inputs_of(&String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?)
    }
}

/// The names of the inputs under `on.workflow_dispatch.inputs`; `None` where the text is no
/// workflow.
fn inputs_of(workflow: &str) -> Option<BTreeSet<String>> {
    let document: Value = serde_yaml::from_str(workflow).ok()?;
    // YAML 1.1 reads the key `on` as a truth value.
    let events = document.get("on").or_else(|| document.get("true"))?;
    let inputs = events.get("workflow_dispatch").and_then(|event| event.get("inputs"));
    let names = inputs.and_then(Value::as_object).into_iter().flat_map(|inputs| inputs.keys());
    Some(names.cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_those_that_the_workflow_declares() {
        for (workflow, declared) in [
            ("on: workflow_dispatch\njobs: {}", Some(vec![])),
            ("on: [push, workflow_dispatch]", Some(vec![])),
            ("on:\n  workflow_dispatch:\n", Some(vec![])),
            (
                "on:\n  push:\n  workflow_dispatch:\n    inputs: { target: { type: string }, commit: {} }",
                Some(vec!["commit", "target"]),
            ),
            ("'on': { workflow_dispatch: { inputs: { deployment: } } }", Some(vec!["deployment"])),
            ("on: { workflow_call: { inputs: { target: {} } } }", Some(vec![])),
            ("jobs: {}", None),
            ("- a", None),
            ("{", None),
        ] {
            let expected = declared.map(|names| names.into_iter().map(str::to_owned).collect());
            assert_eq!(inputs_of(workflow), expected, "{workflow}");
        }
    }
}
