//! How the platform guards the ledger's refs, and what it cannot guard.

/// What protects the ledger, and what does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protection {
    pub rules: Vec<ProtectionRule>,
    /// What the platform cannot protect, in sentences.
    pub unprotected: Vec<String>,
}

/// A rule that protects something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectionRule {
    /// What the rule says, as people would.
    pub description: String,
    pub state: RuleState,
    /// What has to be done by hand, where the platform's API cannot correct the rule.
    pub remedy: Option<String>,
}

/// How a rule on the platform stands to what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleState {
    InPlace,
    /// There is one of this name that says something else.
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

/// What no platform can guard: rules are for branches and tags.
pub(super) fn refs_that_nothing_guards() -> Vec<String> {
    vec![
        "refs/atmos/* (the index of what runs where): anyone who may push may write them. The tags are the truth."
            .to_owned(),
        "refs/notes/atmos/* (approvals, SBOMs): anyone who may push may write them.".to_owned(),
    ]
}
