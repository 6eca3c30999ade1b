//! The platform's protection of the ledger's refs, and its gaps.

/// The rules that protect the ledger, and the unprotected refs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protection {
    pub rules: Vec<ProtectionRule>,
    /// The gaps that the platform cannot protect, in sentences.
    pub unprotected: Vec<String>,
}

/// A rule that protects refs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectionRule {
    /// The rule in words.
    pub description: String,
    pub state: RuleState,
    /// The manual remedy, where the platform's API cannot correct the rule.
    pub remedy: Option<String>,
}

/// The state of a rule on the platform, compared with the required one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleState {
    InPlace,
    /// There is a rule of this name with other settings.
    Differs,
    Missing,
}

impl Protection {
    /// Whether everything that can be protected is.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.rules.iter().all(|rule| rule.state == RuleState::InPlace)
    }
}

/// The refs that no platform can protect: rules are for branches and tags.
pub(super) fn refs_that_nothing_guards() -> Vec<String> {
    vec![
        "refs/atmos/* (the index of what runs where): anyone who may push may write them. The tags are the truth."
            .to_owned(),
        "refs/notes/atmos/* (approvals, SBOMs): anyone who may push may write them.".to_owned(),
    ]
}
