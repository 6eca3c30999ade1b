//! The names and functions that the templates of a component see.

use serde_json::Value as Json;

use super::super::template::{Failure, NO_VALUE, Scope};
use super::{Evaluator, Frame};

/// The scope that a template of a component sees.
pub(super) struct Visible<'v, 'e> {
    pub(super) evaluator: &'v Evaluator<'e>,
    pub(super) frame: &'v Frame<'v>,
}

impl Scope for Visible<'_, '_> {
    fn value(&self, path: &[String]) -> Result<Option<Json>, Failure> {
        Ok(self.evaluator.field(path, self.frame)?)
    }

    fn missing(&self) -> Result<Json, Failure> {
        Ok(Json::Null)
    }

    fn function(&self, name: &str, arguments: &[Json]) -> Result<Option<Json>, Failure> {
        let environment = |name: &str| self.evaluator.template_environment(name, self.frame);
        match (name, arguments) {
            ("env" | "getenv" | "env.Getenv", [Json::String(name)]) => {
                Ok(Some(Json::String(environment(name)?.unwrap_or_default())))
            }
            ("getenv" | "env.Getenv", [Json::String(name), default]) => {
                let value = environment(name)?.filter(|value| !value.is_empty());
                Ok(Some(value.map_or_else(|| default.clone(), Json::String)))
            }
            _ => Ok(None),
        }
    }

    fn no_value(&self) -> Option<&str> {
        (!self.evaluator.processing.strict).then_some(NO_VALUE)
    }
}
