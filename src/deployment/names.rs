//! The names of deployments, targets and components, each with its own type.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ref_segment::escape_segment;

/// The error that a name is invalid, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} name {name:?} {reason}")]
pub struct NameError {
    /// The kind of the name: `deployment`, `target` or `component`.
    pub what: &'static str,
    /// The name as given.
    pub name: String,
    /// The reason, as the end of a sentence.
    pub reason: &'static str,
}

/// The maximum length of a name: its ref must fit into a file name together with `.lock`.
const MAX_LENGTH: usize = 128;

/// The maximum length of an escaped name in a ref: a file name holds 255 bytes, of which git needs
/// some.
const MAX_SEGMENT: usize = 240;

/// Validates a deployment or target name, which becomes a path segment of refs unchanged.
fn check_plain(what: &'static str, name: &str) -> Result<(), NameError> {
    let fail = |reason| Err(NameError { what, name: name.chars().take(80).collect(), reason });
    let first_is_alphanumeric =
        name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if name.is_empty() {
        fail("is empty")
    } else if name.len() > MAX_LENGTH {
        fail("is longer than 128 bytes")
    } else if name.contains("..") {
        fail("contains \"..\"")
    } else if name.ends_with(".lock") || name.ends_with('.') {
        fail("ends in \".\" or \".lock\", which git refuses in refs")
    } else if !first_is_alphanumeric
        || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
    {
        fail("must start with a lower-case letter or digit and hold only a-z, 0-9, '.', '_' and '-'")
    } else {
        Ok(())
    }
}

/// Validates a component name: it may contain `/`, and is escaped in refs.
fn check_component(what: &'static str, name: &str) -> Result<(), NameError> {
    let fail = |reason| Err(NameError { what, name: name.chars().take(80).collect(), reason });
    if name.is_empty() {
        fail("is empty")
    } else if name.len() > MAX_LENGTH {
        fail("is longer than 128 bytes")
    } else if escape_segment(name).len() > MAX_SEGMENT {
        fail("is longer than 240 bytes where a ref has it, with '/' and the like as three bytes each")
    } else if name.chars().any(char::is_control) {
        fail("contains a control character")
    } else if name.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        fail("has an empty, \".\" or \"..\" part between its slashes")
    } else {
        Ok(())
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $what:literal, $check:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
        )]
        #[serde(try_from = "String", into = "String")]
        #[schemars(inline)]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, NameError> {
                $check($what, name)?;
                Ok(Self(name.to_owned()))
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(name: String) -> Result<Self, NameError> {
                $check($what, &name)?;
                Ok(Self(name))
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type!(
    /// The name of a deployment: `payment-service`. Equals its file's stem.
    DeploymentName,
    "deployment",
    check_plain
);
name_type!(
    /// The name of a target, an environment of a deployment: `prod`.
    TargetName,
    "target",
    check_plain
);
name_type!(
    /// The name of a component without its kind: `api`, `ecs/service-api`.
    ComponentName,
    "component",
    check_component
);

/// What a component is made with; the second half of its identity in a deployment file.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ComponentKind {
    /// Any command line of the team's own.
    Command,
    /// A set of Helm releases, applied by helmfile.
    Helmfile,
    /// A container image built from source.
    Nixpack,
    /// A Terraform or `OpenTofu` root module.
    Terraform,
}

impl ComponentKind {
    /// Every kind, in display order.
    pub const ALL: [Self; 4] = [Self::Nixpack, Self::Terraform, Self::Helmfile, Self::Command];

    /// The kind as written in files and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Helmfile => "helmfile",
            Self::Nixpack => "nixpack",
            Self::Terraform => "terraform",
        }
    }

    /// Parses a kind as written in files and records.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for ComponentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A reference to a component: with its kind (`terraform/ecr/api`) or without (`ecr/api`).
///
/// The declared components decide how a reference is resolved; see
/// [`Deployment::find`](super::Deployment::find).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentReference(pub String);

impl fmt::Display for ComponentReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ComponentReference {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().is_empty() {
            return Err("it is empty; is a variable not set?");
        }
        Ok(Self(text.to_owned()))
    }
}
