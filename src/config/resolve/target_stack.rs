//! The stack that a target names, with its templates filled in.

use serde_json::{Value, json};

use crate::deployment::definition::{Labels, StackImport, Values};
use crate::deployment::template::Renderer;
use crate::deployment::{Deployment, TargetName};

use super::super::problem::Problems;
use super::super::span::Span;
use super::Places;

/// The names that the stack of a target can refer to.
pub(super) struct StackNames<'a> {
    pub(super) labels: &'a Labels,
    pub(super) context: &'a Values,
    pub(super) target: &'a TargetName,
}

impl StackNames<'_> {
    /// The stack of a target, with its templates filled in.
    pub(super) fn stack(
        &self,
        written: &str,
        deployment: &Deployment,
        places: Places<'_>,
        problems: &mut Problems<'_>,
    ) -> Option<StackImport> {
        let span = places.value(&["targets", self.target.as_str(), "stack"]);
        let mut labels = deployment.labels.clone();
        labels.extend(self.labels.clone());
        let renderer = Renderer::of_names(json!({
            "labels": labels,
            "context": self.context,
            "target": { "name": self.target },
            "deployment": { "name": deployment.name },
        }));
        let path = match renderer.value("stack", written) {
            Ok(Value::String(path)) if !path.is_empty() => path,
            Ok(other) => {
                let message = format!("the stack of target `{}` is {other}, and not a name", self.target);
                problems.error(span, message, None);
                return None;
            }
            Err(error) => {
                let hint = "known are labels, context, target.name and deployment.name".to_owned();
                let message = format!("the stack of target `{}`: {}", self.target, error.message);
                problems.error(span, message, Some(hint));
                return None;
            }
        };
        let Span { line, column, .. } = span;
        Some(StackImport { path, file: problems.file().to_owned(), line, column })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Problem, parse_deployment};

    /// The stacks of the targets of a deployment with these targets, with their places.
    fn stacks(targets: &str) -> Result<Vec<String>, String> {
        let text = format!(
            "deployment:\n  name: d\n  labels: {{ tenant: acme, area: all }}\n  components: {{}}\n  targets:\n{targets}"
        );
        let loaded = parse_deployment("deployments/d.yaml", &"d".parse().unwrap(), &text);
        let messages = |problems: Vec<Problem>| {
            problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>().join("; ")
        };
        let deployment = loaded.map_err(messages)?.deployment;
        let stacks = deployment.targets.values().filter_map(|target| target.stack.as_ref());
        Ok(stacks.map(|stack| format!("{} {}:{}", stack.path, stack.line, stack.column)).collect())
    }

    #[test]
    fn a_target_s_stack_is_made_of_the_names_of_the_target() {
        let targets = "    dev: { stack: 'orgs/{{ labels.tenant }}/{{ labels.area }}/{{ target.name }}', labels: { area: eu } }\n    \
                       prod: { stack: '{{ deployment.name }}-{{ context.zone }}', context: { zone: 1 } }\n    qa: {}\n";
        assert_eq!(stacks(targets).unwrap(), ["orgs/acme/eu/dev 6:19", "d-1 7:20"]);
    }

    #[test]
    fn a_stack_that_cannot_be_named_is_refused() {
        for (stack, message) in [
            ("'{{ labels.team }}'", "labels.team is not known here"),
            ("'{{ git.sha }}'", "git.sha is not known here"),
            ("'{{ env \"A\" }}'", "env"),
            ("'{{ labels }}'", "and not a name"),
            ("'{{ labels.tenant'", "the stack of target `dev`"),
        ] {
            let refused = stacks(&format!("    dev: {{ stack: {stack} }}\n")).unwrap_err();
            assert!(refused.contains(message), "{stack}: {refused}");
        }
    }
}
