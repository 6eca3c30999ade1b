//! Errors of stacks, reported with the file and, if known, the line and column.

use super::value::Location;

/// The reason that stacks could not be read or a component could not be resolved.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// A file could not be read, for a reason other than that it does not exist.
    #[error("cannot read {path}")]
    Read {
        /// Relative to the repository.
        path: String,
        source: std::io::Error,
    },
    /// A file is not valid YAML, or is YAML that no stack can be made of.
    #[error("{at}: {message}")]
    Yaml { at: Location, message: String },
    /// An import names a file that is not there.
    #[error("{}: the import \"{import}\" is not there (imported by {})", at, chain.join(" → "))]
    ImportNotFound {
        import: String,
        at: Location,
        /// The files that led here, the stack's own first.
        chain: Vec<String>,
    },
    /// Imports lead back to a file that is being imported.
    #[error("the imports go in a circle: {}", chain.join(" → "))]
    ImportCycle {
        /// The files of the circle and those that led to it; the last one is there twice.
        chain: Vec<String>,
    },
    /// An import, or a path in the configuration, that cannot be understood.
    #[error("{at}: {message}")]
    Import { at: Location, message: String },
    /// A section has the wrong type.
    #[error("{file}: `{section}` must be {expected}, but is {found}")]
    Section { file: String, section: String, expected: &'static str, found: &'static str },
    /// A function or template that is deliberately not supported, or one that cannot be computed.
    #[error("{at}: {what}")]
    Unsupported {
        /// The function or template by its name, and why it is refused.
        what: String,
        at: Location,
    },
    /// A limit of `limits.rs` is exceeded.
    #[error("{place}: {what}: {change}")]
    Limit {
        /// The file, with line and column where they are known.
        place: String,
        /// The limit.
        what: String,
        change: &'static str,
    },
    /// A glob or stack name setting of `atmos.yaml` that cannot be used.
    #[error("stacks setting \"{setting}\": {message}")]
    Setting { setting: String, message: String },
    /// No file is a stack.
    #[error("there are no stacks: {}", no_stacks(directory, *has_files, included))]
    NoStacks {
        /// The stacks folder.
        directory: String,
        has_files: bool,
        /// `stacks.included_paths`.
        included: String,
    },
    /// A component inherits from something that is not in the stack.
    #[error("{file}: the component {component} inherits from {base}, which the stack does not define")]
    UnknownBase { file: String, component: String, base: String },
    /// Components inherit from each other.
    #[error("{file}: components inherit from each other in a circle: {}", chain.join(" → "))]
    InheritanceCycle { file: String, chain: Vec<String> },
    /// `backend_type` names a backend that `backend` does not configure.
    #[error(
        "{file}: the component {component} has `{section}_type: {backend_type}`, but `{section}` only \
         configures {configured}"
    )]
    BackendMismatch {
        file: String,
        component: String,
        /// `backend` or `remote_state_backend`.
        section: &'static str,
        backend_type: String,
        configured: String,
    },
    /// The stack's name cannot be made from the component's variables.
    #[error("{file}: no stack name for the component {component}: {message}")]
    Name { file: String, component: String, message: String },
    /// There is no stack of that name.
    #[error("there is no stack \"{stack}\"{}", hint(did_you_mean.as_deref()))]
    UnknownStack {
        stack: String,
        /// The valid name of the stack whose file was named, or the nearest name.
        did_you_mean: Option<String>,
    },
    /// The stack has no such component.
    #[error("the stack \"{stack}\" has no component \"{component}\"{}", hint(did_you_mean.as_deref()))]
    UnknownComponent { stack: String, component: String, did_you_mean: Option<String> },
    /// Several files make a stack of this name and do not agree about the component.
    #[error(
        "the stack name \"{stack}\" is ambiguous for the component {component}: it is made by {}",
        files.join(", ")
    )]
    DuplicateStack { stack: String, component: String, files: Vec<String> },
    /// Several files make a stack of this name.
    #[error("the stack name \"{stack}\" is ambiguous: it is made by {}", files.join(", "))]
    AmbiguousStack { stack: String, files: Vec<String> },
}

impl StackError {
    /// The position in a file that the error refers to, if any.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        match self {
            Self::Yaml { at, .. }
            | Self::ImportNotFound { at, .. }
            | Self::Import { at, .. }
            | Self::Unsupported { at, .. } => Some(at),
            _ => None,
        }
    }

    /// Whether the error can be deferred until a selected component needs the refused value.
    pub(super) fn can_wait(&self) -> bool {
        matches!(self, Self::Unsupported { .. })
    }
}

fn no_stacks(directory: &str, has_files: bool, included: &str) -> String {
    if has_files {
        format!(
            "of the files in {directory}, stacks.included_paths and excluded_paths leave none ({included})"
        )
    } else {
        format!("the stacks folder {directory} is not there, or empty")
    }
}

fn hint(did_you_mean: Option<&str>) -> String {
    did_you_mean.map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default()
}
