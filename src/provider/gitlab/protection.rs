//! Protected tags: the rule that covers the ledger's tags, and the roles that may create them.
//!
//! A rule prevents changing or deleting a tag with git, and names the roles that may create one.
//! The API can create and delete rules but not change them, so a wrong rule is only reported:
//! without it, everyone who may push could rewrite the records in the meantime.

use serde::Deserialize;
use serde_json::json;

use super::GitLab;
use crate::provider::http::{PAGE_SIZE, Request, segment};
use crate::provider::protection::{Protection, ProtectionRule, RuleState, refs_that_nothing_guards};
use crate::provider::{Capability, ProviderError};

/// The tags of the ledger. Here `*` crosses `/`.
const TAGS: &str = "atmos/*";

/// Developers and those above them may create the protected tags, as jobs must.
const DEVELOPER: u32 = 30;

/// The pages of rules that are read.
const MOST_PAGES: u32 = 20;

#[derive(Debug, Deserialize)]
struct ProtectedTag {
    /// A name or a pattern.
    name: String,
    create_access_levels: Vec<Creator>,
}

/// A creator of tags that a rule allows: a role, or a user, a group or a deploy key.
#[derive(Debug, Deserialize)]
struct Creator {
    #[serde(default)]
    access_level: Option<u32>,
    #[serde(default)]
    access_level_description: Option<String>,
    #[serde(default)]
    user_id: Option<u64>,
    #[serde(default)]
    group_id: Option<u64>,
    #[serde(default)]
    deploy_key_id: Option<u64>,
}

impl Creator {
    /// Whether everyone with the role Developer has it.
    fn admits_developers(&self) -> bool {
        let is_role = self.user_id.is_none() && self.group_id.is_none() && self.deploy_key_id.is_none();
        is_role && self.access_level.is_some_and(|level| (1..=DEVELOPER).contains(&level))
    }

    fn name(&self) -> String {
        match (&self.access_level_description, self.access_level) {
            (Some(name), _) => name.clone(),
            (None, Some(level)) => format!("level {level}"),
            (None, None) => "someone".to_owned(),
        }
    }
}

impl ProtectedTag {
    /// Whether developers, and so jobs, may create the tags that it matches.
    fn admits_developers(&self) -> bool {
        self.create_access_levels.iter().any(Creator::admits_developers)
    }

    /// Whether the pattern matches every tag of the ledger.
    fn covers_the_ledger(&self) -> bool {
        let Some(pattern) = self.name.strip_suffix('*') else { return false };
        let mut parts = pattern.split('*');
        let begin = parts.next().unwrap_or_default();
        let mut rest = TAGS.trim_end_matches('*').strip_prefix(begin);
        for part in parts {
            rest = rest.and_then(|rest| rest.find(part).map(|at| &rest[at + part.len()..]));
        }
        rest.is_some()
    }
}

impl GitLab {
    /// The protection of the ledger's tags.
    pub(super) async fn tag_protection(&self) -> Result<Protection, ProviderError> {
        let path = self.path(&format!("/protected_tags/{}", segment(TAGS)));
        let rules = match self.client.read::<ProtectedTag>(&Request::get(Capability::Protection, path)).await
        {
            Ok(own) if own.admits_developers() => vec![own],
            // Other rules may allow what this one forbids.
            Ok(own) => self.protected_tags().await?.into_iter().chain([own]).collect(),
            Err(error) if error.is_not_found() => self.protected_tags().await?,
            Err(error) => return Err(error),
        };
        let rule = assess(&rules);
        let mut unprotected = refs_that_nothing_guards();
        unprotected.push(
            "Protected tags can still be deleted in the user interface and through the API by maintainers."
                .to_owned(),
        );
        Ok(Protection { rules: vec![rule], unprotected })
    }

    /// All rules of the project.
    async fn protected_tags(&self) -> Result<Vec<ProtectedTag>, ProviderError> {
        let mut rules = Vec::new();
        for page in 1..=MOST_PAGES {
            let path = self.path(&format!("/protected_tags?per_page={PAGE_SIZE}&page={page}"));
            let response = match self.client.call(&Request::get(Capability::Protection, path)).await {
                // A missing project is reported by the request that creates the rule.
                Err(error) if error.is_not_found() => break,
                answer => answer?,
            };
            let listed: Vec<ProtectedTag> = self.client.parse(Capability::Protection, &response)?;
            let has_next = response.has_next_page(listed.len());
            rules.extend(listed);
            if !has_next {
                break;
            }
        }
        Ok(rules)
    }

    /// Protects the ledger's tags, where no rule does.
    pub(super) async fn protect_tags(&self) -> Result<Protection, ProviderError> {
        let protection = self.tag_protection().await?;
        if protection.rules.iter().any(|rule| rule.state == RuleState::Missing) {
            let body = json!({ "name": TAGS, "create_access_level": DEVELOPER });
            let request = Request::create(Capability::Protection, self.path("/protected_tags"), body);
            self.client.call(&request).await?;
        }
        Ok(protection)
    }
}

/// The effect of a rule, in words.
const GUARDED: &str = "tags of the ledger can be neither changed nor deleted with git";

/// Evaluates the rules of a project for the ledger's tags. Where several match a tag, each of them
/// may allow to create it: the most permissive one decides.
///
/// <https://docs.gitlab.com/user/project/protected_tags/#wildcard-protected-tags>
fn assess(rules: &[ProtectedTag]) -> ProtectionRule {
    let mut covering: Vec<_> = rules.iter().filter(|rule| rule.covers_the_ledger()).collect();
    covering.sort_by_key(|rule| rule.name != TAGS);
    if let Some(rule) = covering.iter().find(|rule| rule.admits_developers()) {
        let description = format!("protected tags {}: {GUARDED}", rule.name);
        return ProtectionRule { description, state: RuleState::InPlace, remedy: None };
    }
    let description = match covering.first() {
        Some(own) if own.name == TAGS => return differs(own),
        Some(rule) => {
            format!(
                "protected tags {TAGS}: developers, and so jobs, may create what {} keeps from them",
                rule.name
            )
        }
        None => format!("protected tags {TAGS}: {GUARDED}"),
    };
    ProtectionRule { description, state: RuleState::Missing, remedy: None }
}

/// The ledger's own rule where it, and every other one, keeps jobs from creating the tags.
fn differs(own: &ProtectedTag) -> ProtectionRule {
    let has: Vec<_> = own.create_access_levels.iter().map(Creator::name).collect();
    let has = if has.is_empty() { "No one".to_owned() } else { has.join(", ") };
    ProtectionRule {
        description: format!(
            "protected tags {TAGS}: allowed to create: {has}; jobs need Developers + Maintainers"
        ),
        state: RuleState::Differs,
        remedy: Some(format!(
            "GitLab's API changes no such rule, and without it records could be rewritten: set \"Allowed to create\" \
             to \"Developers + Maintainers\" by hand (Settings → Repository → Protected tags → {TAGS})"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, levels: &serde_json::Value) -> ProtectedTag {
        serde_json::from_value(json!({ "name": name, "create_access_levels": levels })).unwrap()
    }

    #[test]
    fn a_pattern_covers_the_ledger_where_it_matches_all_of_it() {
        for name in ["atmos/*", "*", "a*", "atmos*", "**", "at*s/*", "*/*", "atmos/**"] {
            assert!(rule(name, &json!([])).covers_the_ledger(), "{name}");
        }
        for name in ["atmos/", "atmos/deployments/*", "v*", "*/prod/*", "*x*", "atmos", "*.1", "b*", ""] {
            assert!(!rule(name, &json!([])).covers_the_ledger(), "{name}");
        }
    }

    #[test]
    fn a_rule_counts_by_who_may_create_what_it_covers() {
        let developers =
            json!([{ "access_level": 30, "access_level_description": "Developers + Maintainers" }]);
        let maintainers = json!([{ "access_level": 40, "access_level_description": "Maintainers" }]);
        let no_one = json!([{ "access_level": 0, "access_level_description": "No one" }]);
        let key = json!([{ "access_level": 30, "access_level_description": "Key", "deploy_key_id": 1 }]);
        for (levels, state, said) in [
            (&developers, RuleState::InPlace, "protected tags atmos/*: tags of the ledger"),
            (&maintainers, RuleState::Differs, "allowed to create: Maintainers; jobs need Developers"),
            (&no_one, RuleState::Differs, "allowed to create: No one; jobs need Developers + Maintainers"),
            (&json!([]), RuleState::Differs, "allowed to create: No one; jobs need"),
            (&key, RuleState::Differs, "allowed to create: Key; jobs need"),
        ] {
            let assessed = assess(&[rule("*", &no_one), rule(TAGS, levels)]);
            assert_eq!(assessed.state, state, "{}", assessed.description);
            assert!(assessed.description.contains(said), "{}", assessed.description);
            assert_eq!(assessed.remedy.is_some(), state == RuleState::Differs);
        }
        for (rules, state, said) in [
            (vec![], RuleState::Missing, "protected tags atmos/*: tags of the ledger"),
            (vec![rule("v*", &developers)], RuleState::Missing, "atmos/*: tags of the ledger"),
            (vec![rule("*", &developers)], RuleState::InPlace, "tags *: tags of the ledger"),
            (vec![rule("*", &no_one)], RuleState::Missing, "may create what * keeps from them"),
            (vec![rule("*", &no_one), rule("a*", &developers)], RuleState::InPlace, "tags a*: tags"),
            // Each of them may allow the creation.
            (vec![rule(TAGS, &maintainers), rule("*", &developers)], RuleState::InPlace, "tags *: tags"),
            (vec![rule("*", &developers), rule(TAGS, &no_one)], RuleState::InPlace, "tags *: tags"),
            (vec![rule("v*", &developers), rule(TAGS, &no_one)], RuleState::Differs, "create: No one"),
            (vec![rule("*", &developers), rule(TAGS, &developers)], RuleState::InPlace, "tags atmos/*: tags"),
        ] {
            let assessed = assess(&rules);
            assert_eq!(assessed.state, state, "{}", assessed.description);
            assert!(assessed.description.contains(said), "{}", assessed.description);
        }
    }
}
