//! `protect`: the protection of the ledger on the hosting platform.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Document, is_false};

/// What was done to protect the ledger, and what cannot be protected.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ProtectionResult {
    pub platform: String,
    /// Nothing was changed: this is what would be done.
    #[serde(skip_serializing_if = "is_false")]
    pub dry_run: bool,
    pub rules: Vec<RuleItem>,
    /// What the platform cannot protect, in sentences.
    pub unprotected: Vec<String>,
}

impl Document for ProtectionResult {
    const KIND: &'static str = "ProtectionResult";
}

/// A rule of the platform.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RuleItem {
    /// What the rule says, as people would.
    pub description: String,
    /// How it was found.
    pub found: RuleFound,
    /// What is to be done by hand: the platform's API corrects no rule, and nothing was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// How a rule was found on the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleFound {
    /// As it should be: nothing to do.
    InPlace,
    /// It says something else, and is made what it should be, unless there is a remedy.
    Differs,
    /// It is made.
    Missing,
}
