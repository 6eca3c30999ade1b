//! The build settings of an image, from the variables of its component.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::component::FolderError;
use crate::component::checkout::folder;
use crate::deployment::definition::Values;
use crate::deployment::{CommitId, Component};

/// The variables that are build settings; all others are build arguments.
const KNOWN: [&str; 7] = ["source", "install_cmd", "build_cmd", "start_cmd", "pkgs", "apt_pkgs", "image"];

/// Invalid build variables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("vars.{name} should be {expected}")]
    Type { name: String, expected: &'static str },
    #[error("vars.image.registry is missing: there is nowhere to push to")]
    NoRegistry,
    #[error("{0:?} cannot be part of an image's name")]
    Name(String),
    #[error("{0:?} cannot be an image's tag")]
    Tag(String),
}

/// The build settings of one image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BuildSettings {
    /// Relative to the repository's root.
    pub source: String,
    pub install_command: Option<String>,
    pub build_command: Option<String>,
    pub start_command: Option<String>,
    pub packages: Vec<String>,
    pub apt_packages: Vec<String>,
    /// Use the source's own Dockerfile where there is one.
    pub dockerfile_escape: bool,
    /// Arguments of the build, by name.
    pub arguments: BTreeMap<String, String>,
}

/// The name that an image is pushed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageName {
    /// Absent where the image is not pushed anywhere.
    pub registry: Option<String>,
    pub name: String,
    pub tag: String,
}

impl BuildSettings {
    /// Reads the settings from a component's resolved variables.
    pub fn new(component: &Component, variables: &Values) -> Result<Self, SettingsError> {
        let escape = component.settings.nixpack.as_ref().is_some_and(|nixpack| nixpack.dockerfile_escape);
        Ok(Self {
            source: text(variables, "source")?.unwrap_or_else(|| ".".to_owned()),
            install_command: text(variables, "install_cmd")?,
            build_command: text(variables, "build_cmd")?,
            start_command: text(variables, "start_cmd")?,
            packages: texts(variables, "pkgs")?,
            apt_packages: texts(variables, "apt_pkgs")?,
            dockerfile_escape: escape,
            arguments: variables
                .iter()
                .filter(|(name, _)| !KNOWN.contains(&name.as_str()))
                .filter_map(|(name, value)| Some((name.clone(), scalar(value)?)))
                .collect(),
        })
    }

    /// The folder of the source in a checkout.
    pub fn source_folder(&self, checkout: &Path) -> Result<PathBuf, FolderError> {
        folder(checkout, Path::new(&self.source))
    }

    /// A digest of every build input beside the commit: an image with the same digest is reused.
    #[must_use]
    pub fn inputs(&self, repository: &str) -> String {
        let digest = Sha256::digest(format!("{self:?}\n{repository}"));
        digest.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
    }
}

impl ImageName {
    /// The name from the component's resolved variables. The tag defaults to the commit, the
    /// registry to the project's.
    pub fn new(
        component: &Component,
        variables: &Values,
        tag: Option<&str>,
        commit: &CommitId,
        default_registry: Option<&str>,
    ) -> Result<Self, SettingsError> {
        let image = match variables.get("image") {
            None | Some(Value::Null) => Values::new(),
            Some(Value::Object(image)) => image.clone(),
            Some(_) => {
                return Err(SettingsError::Type {
                    name: "image".to_owned(),
                    expected: "registry, name and tag",
                });
            }
        };
        let registry = text(&image, "registry")?.or_else(|| default_registry.map(str::to_owned));
        let registry = registry.map(|registry| registry.trim_end_matches('/').to_owned());
        let name = text(&image, "name")?.unwrap_or_else(|| component.name.as_str().to_owned());
        let tag = match tag {
            Some(tag) => tag.to_owned(),
            None => text(&image, "tag")?.unwrap_or_else(|| commit.short().to_owned()),
        };
        if let Some(registry) = &registry {
            check_name(registry, true)?;
        }
        check_name(&name, false)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if tag.is_empty() || tag.len() > 128 || !tag.chars().all(allowed) || tag.starts_with(['.', '-']) {
            return Err(SettingsError::Tag(tag));
        }
        Ok(Self { registry, name, tag })
    }

    /// `registry/name`.
    #[must_use]
    pub fn repository(&self) -> String {
        match &self.registry {
            Some(registry) => format!("{registry}/{}", self.name),
            None => self.name.clone(),
        }
    }

    /// `registry/name:tag`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}:{}", self.repository(), self.tag)
    }
}

/// Validates a name by the standard of registries: lower case, and no separator at an end. A
/// registry may have a port.
fn check_name(name: &str, is_registry: bool) -> Result<(), SettingsError> {
    let (name, port) = match name.split_once(':') {
        Some((host, rest)) if is_registry => (host, Some(rest)),
        _ => (name, None),
    };
    let digits = port.map(|rest| rest.split('/').next().unwrap_or_default());
    let port_is_fine =
        digits.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    let path = port.and_then(|rest| rest.split_once('/')).map(|(_, path)| path);
    let is_allowed = |part: &str| {
        let allowed = |c: char| {
            c.is_ascii_lowercase()
                || c.is_ascii_digit()
                || matches!(c, '.' | '_' | '-')
                || (is_registry && c.is_ascii_uppercase())
        };
        !part.is_empty()
            && part.chars().all(allowed)
            && !part.starts_with(['.', '-', '_'])
            && !part.ends_with(['.', '-', '_'])
    };
    let bracketed = is_registry && name.starts_with('[');
    let parts_are_fine =
        bracketed || name.split('/').chain(path.into_iter().flat_map(|path| path.split('/'))).all(is_allowed);
    if port_is_fine && parts_are_fine { Ok(()) } else { Err(SettingsError::Name(name.to_owned())) }
}

fn text(variables: &Values, name: &str) -> Result<Option<String>, SettingsError> {
    match variables.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        // YAML parses a tag that looks like a number as one.
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
        Some(_) => Err(SettingsError::Type { name: name.to_owned(), expected: "a text" }),
    }
}

fn texts(variables: &Values, name: &str) -> Result<Vec<String>, SettingsError> {
    let wrong = || SettingsError::Type { name: name.to_owned(), expected: "a list of texts" };
    match variables.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// The value as a build argument: text, numbers and booleans only.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn component() -> Component {
        Component {
            name: "api".parse().unwrap(),
            kind: crate::deployment::ComponentKind::Nixpack,
            folder: None,
            labels: indexmap::IndexMap::new(),
            depends_on: Vec::new(),
            vars: Values::new(),
            settings: crate::deployment::definition::ComponentSettings::default(),
        }
    }

    fn name(image: &Value, tag: Option<&str>) -> Result<String, SettingsError> {
        let variables = json!({ "image": image });
        let commit = "a".repeat(40).parse().unwrap();
        ImageName::new(&component(), variables.as_object().unwrap(), tag, &commit, None)
            .map(|name| name.reference())
    }

    #[test]
    fn the_default_registry_is_that_of_images_that_name_none() {
        let commit = "a".repeat(40).parse().unwrap();
        let name = |image: Value, default: &str| {
            let variables = json!({ "image": image });
            let variables = variables.as_object().unwrap();
            ImageName::new(&component(), variables, None, &commit, Some(default))
                .map(|name| name.repository())
        };
        assert_eq!(name(json!({}), "r.example.com/team/").unwrap(), "r.example.com/team/api");
        assert_eq!(
            name(json!({"registry": "own.example.com"}), "r.example.com").unwrap(),
            "own.example.com/api"
        );
        assert!(name(json!({}), "no registry").is_err());
    }

    #[test]
    fn names_are_those_that_registries_take() {
        let full = json!({ "registry": "registry.example.com:5000/team", "name": "my/api", "tag": 12 });
        assert_eq!(name(&full, None).unwrap(), "registry.example.com:5000/team/my/api:12");
        assert_eq!(name(&full, Some("v1")).unwrap(), "registry.example.com:5000/team/my/api:v1");
        assert_eq!(
            name(&json!({ "registry": "localhost:5000" }), None).unwrap(),
            "localhost:5000/api:aaaaaaa"
        );
        for bad in [
            json!({ "name": "API" }),
            json!({ "name": "a b" }),
            json!({ "name": "--privileged" }),
            json!({ "registry": "host:port" }),
            json!({ "registry": "-x" }),
            json!({ "tag": "a/b" }),
            json!({ "tag": "-x" }),
            json!("text"),
        ] {
            assert!(name(&bad, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn other_variables_are_arguments_and_change_what_is_built() {
        let settings = |variables: Value| BuildSettings::new(&component(), variables.as_object().unwrap());
        let plain = settings(json!({ "source": "./api", "cpu": 256, "map": {} })).unwrap();
        assert_eq!(plain.arguments, [("cpu".to_owned(), "256".to_owned())].into());
        let other = settings(json!({ "source": "./api", "cpu": 512 })).unwrap();
        assert_ne!(plain.inputs("r/api"), other.inputs("r/api"));
        assert_eq!(plain.inputs("r/api"), plain.clone().inputs("r/api"));
        assert!(matches!(settings(json!({ "pkgs": "ffmpeg" })), Err(SettingsError::Type { .. })));
    }
}
