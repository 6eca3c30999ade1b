//! The errors of a component's run.

use std::time::Duration;

use crate::component::{ComponentError, Masks};
use crate::deployment::health::Health;
use crate::deployment::resolution::ResolutionError;
use crate::deployment::stack_layer::StackRefusal;
use crate::deployment::template::TemplateError;
use crate::deployment::{ComponentKind, ComponentName, TargetName};
use crate::text::error_chain;

/// The reason why a component did not succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error("the deployed commit does not have this component")]
    NotInCommit,
    #[error(transparent)]
    Resolution(#[from] ResolutionError),
    #[error("it needs outputs of {0}, which may run after it: add {0} to its metadata.depends_on")]
    NotAfter(ComponentName),
    #[error("its variables name its own outputs, which are there only when it has run")]
    OwnOutputs,
    #[error("it needs outputs of {0}, which the deployment does not have")]
    OutputsOfNobody(ComponentName),
    #[error("{source}; {component} has put out no such value on {target}")]
    NoOutput { component: ComponentName, target: TargetName, source: Box<TemplateError> },
    #[error("{source}; what a {kind} component puts out is known only while it is rolled out, so {component} has to \
             be rolled out together with this", kind = kind.as_str())]
    NotKept { component: ComponentName, kind: ComponentKind, source: Box<TemplateError> },
    #[error("cannot read the outputs of {component}")]
    Outputs { component: ComponentName, source: ComponentError },
    #[error("it is not healthy after {} s: {health}", waited.as_secs_f64())]
    Unhealthy { health: Health, waited: Duration },
    #[error("its health cannot be checked")]
    Health(#[source] ComponentError),
    #[error(transparent)]
    Component(ComponentError),
}

impl RunError {
    /// The component whose outputs are not there (yet).
    pub(super) const fn lacks_outputs_of(&self) -> Option<&ComponentName> {
        match self {
            Self::Resolution(ResolutionError::Stack(StackRefusal::NoOutput { component, .. }))
            | Self::NoOutput { component, .. }
            | Self::NotKept { component, .. } => Some(component),
            _ => None,
        }
    }

    /// The record's one-line text of the error: how the tool ended and its first error, without
    /// values that the configuration may contain.
    pub(super) fn recorded(&self, values: &Masks) -> String {
        match self {
            Self::Component(_) | Self::Health(_) => {
                let ended = error_chain(self);
                let told = self.reason().into_iter().find(|line| line.starts_with("Error:"));
                match told.map(|line| values.apply(line)) {
                    Some(line) => format!("{ended}: {}", first_characters(&line)),
                    None => ended,
                }
            }
            Self::Unhealthy { waited, .. } => format!("it is not healthy after {} s", waited.as_secs_f64()),
            Self::Resolution(_) => "its configuration cannot be resolved".to_owned(),
            Self::NoOutput { component, .. } | Self::NotKept { component, .. } => {
                format!("it needs outputs of {component}, which are not there")
            }
            Self::NotInCommit
            | Self::NotAfter(_)
            | Self::OwnOutputs
            | Self::OutputsOfNobody(_)
            | Self::Outputs { .. } => error_chain(self),
        }
    }

    /// The lines in which a tool gives the reason of its failure.
    pub(super) fn reason(&self) -> Vec<String> {
        match self {
            Self::Component(error) | Self::Health(error) => error.reason(),
            _ => Vec::new(),
        }
    }

    /// Whether a missing value may be known only to the job that rolls out.
    pub(super) const fn lacks_surroundings(&self) -> bool {
        matches!(self, Self::Resolution(ResolutionError::Template(error)) if error.lacks_surroundings)
    }
}

/// The maximum length of a tool's error in a record, in characters.
const LONGEST_ERROR: usize = 300;

fn first_characters(line: &str) -> String {
    let mut characters = line.chars();
    let shown: String = characters.by_ref().take(LONGEST_ERROR).collect();
    if characters.next().is_some() { shown + "…" } else { shown }
}
