//! The environment of functions in stacks that are shown.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use serde_json::Value;

use crate::component::Environment;
use crate::stacks::{Functions, OutputRequest};

/// The environment and the repository; outputs are shown as written.
pub struct World {
    pub environment: BTreeMap<String, String>,
    pub repository_root: Option<String>,
}

impl Functions for World {
    fn environment(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    fn repository_root(&self) -> Option<String> {
        self.repository_root.clone()
    }

    fn terraform_output(&self, _: &OutputRequest<'_>) -> Result<Value, String> {
        Err("outputs are only known when a component runs".to_owned())
    }

    fn shows_outputs_as_written(&self) -> bool {
        true
    }
}

/// The environment variables that are valid text.
pub fn environment_of(environment: &Environment) -> BTreeMap<String, String> {
    let text =
        |(name, value): (&OsStr, &OsStr)| Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()));
    environment.iter().filter_map(text).collect()
}
