//! The effective promotion rules of a rollout: those of the default branch and those of the
//! checkout, both.
//!
//! A checked-out commit, or a working tree, can loosen its own rules, but not those of the default
//! branch. For each target, the stricter setting of the two is taken; if they have no source in
//! common, nothing can be promoted and the merge is refused.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::json;

use super::commit::CommitId;
use super::definition::{Deployment, PromotionRule, Target};
use super::digest::{canonical_json, content_digest};
use super::names::TargetName;

/// The origin of the rules, as stored in records (`rules:`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RulesOrigin {
    /// The default branch's commit; without a remote, the checked-out commit.
    Commit(CommitId),
    /// The rules of the working tree differ from those of the checked-out commit.
    Uncommitted,
    /// The default branch's commit as of the last contact with the remote.
    Stale(CommitId),
}

impl fmt::Display for RulesOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit(commit) => write!(f, "{commit}"),
            Self::Uncommitted => f.write_str("uncommitted"),
            Self::Stale(commit) => write!(f, "stale {commit}"),
        }
    }
}

/// A conflict between rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RulesConflict {
    /// The default branch and the checkout have no source in common.
    Sources { target: TargetName, trusted: Vec<TargetName>, checkout: Vec<TargetName> },
    /// The default branch does not declare the target yet, but the checkout defines rules for it.
    Undeclared { target: TargetName },
}

impl fmt::Display for RulesConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list =
            |names: &[TargetName]| names.iter().map(TargetName::as_str).collect::<Vec<_>>().join(" or ");
        match self {
            Self::Sources { target, trusted, checkout } => write!(
                f,
                "the default branch promotes to {target} from {}, this checkout from {}",
                list(trusted),
                list(checkout)
            ),
            Self::Undeclared { target } => {
                write!(f, "the default branch does not declare {target} yet, so it can have no rules")
            }
        }
    }
}

/// The digest of a target's rule, as an input of rollout digests.
///
/// Settings at their default are left out, so that settings of later versions do not change digests
/// that do not use them.
#[must_use]
pub fn rule_digest(rule: Option<&PromotionRule>) -> String {
    let mut document = serde_json::Map::new();
    if let Some(rule) = rule {
        let default = PromotionRule::default();
        let mut sources: Vec<_> = rule.sources.iter().map(TargetName::as_str).collect();
        sources.sort_unstable();
        let mut set = |key: &str, is_set: bool, value: serde_json::Value| {
            if is_set {
                document.insert(key.to_owned(), value);
            }
        };
        set("sources", rule.is_guarded(), json!(sources));
        set("requires_approval", rule.requires_approval, json!(true));
        set("approval_method", rule.requires_approval, json!(rule.approval_method));
        let expires = rule.approval_expires;
        set("approval_expires_seconds", expires != default.approval_expires, json!(expires.as_secs()));
        set("require_digest", rule.require_digest, json!(true));
        set("hold", rule.hold.is_some(), json!(rule.hold));
    }
    if document.is_empty() {
        return String::new();
    }
    content_digest(canonical_json(&document.into()).as_bytes())
}

/// A declaration whose rules limit those of the working tree.
#[derive(Debug, Clone, Copy)]
pub enum TrustedSide<'d> {
    /// The default branch's; `None` where it does not declare the deployment.
    DefaultBranch(Option<&'d Deployment>),
    /// The checked-out commit's.
    Commit(&'d Deployment),
}

/// The checkout's deployment, with the rule of `target` as strict as all of `trusted` demand.
///
/// # Errors
///
/// If the rules conflict, or `target` has rules but is not declared on the default branch (the
/// first of `trusted`).
pub fn stricter(
    checkout: &Deployment,
    trusted: &[TrustedSide<'_>],
    target: &TargetName,
) -> Result<Deployment, RulesConflict> {
    let mut policy = checkout.clone();
    let Some(own) = policy.targets.get_mut(target) else { return Ok(policy) };
    // The later of two sides wins where only one can: the default branch comes last.
    for side in trusted.iter().rev() {
        let declared = match side {
            TrustedSide::DefaultBranch(declared) => declared.and_then(|side| side.targets.get(target)),
            // A target that is not committed yet.
            TrustedSide::Commit(declared) if !declared.targets.contains_key(target) => continue,
            TrustedSide::Commit(declared) => declared.targets.get(target),
        };
        own.promotion = merged(target, own.promotion.take(), declared)?;
    }
    Ok(policy)
}

/// [`stricter`] for every target, for views. A target whose rules conflict keeps those of the
/// checkout, and the conflict is returned separately.
#[must_use]
pub fn stricter_everywhere(
    checkout: &Deployment,
    trusted: &[TrustedSide<'_>],
) -> (Deployment, BTreeMap<TargetName, RulesConflict>) {
    let mut policy = checkout.clone();
    let mut conflicts = BTreeMap::new();
    for target in checkout.targets.keys() {
        match stricter(&policy, trusted, target) {
            Ok(merged) => policy = merged,
            Err(conflict) => {
                conflicts.insert(target.clone(), conflict);
            }
        }
    }
    (policy, conflicts)
}

/// The stricter of two rules of one target.
fn merged(
    target: &TargetName,
    checkout: Option<PromotionRule>,
    trusted: Option<&Target>,
) -> Result<Option<PromotionRule>, RulesConflict> {
    let trusted = match (trusted, &checkout) {
        (None, Some(_)) => return Err(RulesConflict::Undeclared { target: target.clone() }),
        (None, None) => return Ok(None),
        (Some(declared), _) => declared.promotion.as_ref(),
    };
    let (trusted, checkout) = match (trusted, checkout) {
        (None, checkout) => return Ok(checkout),
        (Some(trusted), None) => return Ok(Some(trusted.clone())),
        (Some(trusted), Some(checkout)) => (trusted, checkout),
    };
    let sources = match (trusted.is_guarded(), checkout.is_guarded()) {
        (true, true) => {
            let allowed = checkout.sources.iter().filter(|source| trusted.sources.contains(source));
            let allowed: Vec<_> = allowed.cloned().collect();
            if allowed.is_empty() {
                return Err(RulesConflict::Sources {
                    target: target.clone(),
                    trusted: trusted.sources.clone(),
                    checkout: checkout.sources,
                });
            }
            allowed
        }
        (true, false) => trusted.sources.clone(),
        (false, _) => checkout.sources,
    };
    Ok(Some(PromotionRule {
        sources,
        requires_approval: trusted.requires_approval || checkout.requires_approval,
        approval_method: if trusted.requires_approval {
            trusted.approval_method
        } else {
            checkout.approval_method
        },
        approval_expires: match (trusted.requires_approval, checkout.requires_approval) {
            (true, true) => trusted.approval_expires.min(checkout.approval_expires),
            (true, false) => trusted.approval_expires,
            (false, _) => checkout.approval_expires,
        },
        require_digest: trusted.require_digest || checkout.require_digest,
        hold: strictest_hold(trusted.hold, checkout.hold),
    }))
}

/// `true` is the strictest, `false` the loosest; an absent value is in between.
const fn strictest_hold(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::definition::ApprovalMethod;
    use super::super::fixtures::{deployment, target_name};
    use super::*;

    fn declared(rule: Option<PromotionRule>) -> Deployment {
        let mut deployment = deployment(&["api"], &[("dev", &[]), ("qa", &["dev"]), ("prod", &[])]);
        deployment.targets.get_mut(&target_name("prod")).unwrap().promotion = rule;
        deployment
    }

    fn from(sources: &[&str]) -> PromotionRule {
        PromotionRule {
            sources: sources.iter().copied().map(target_name).collect(),
            ..PromotionRule::default()
        }
    }

    fn both(
        trusted: Option<PromotionRule>,
        checkout: Option<PromotionRule>,
    ) -> Result<Option<PromotionRule>, RulesConflict> {
        let (trusted, checkout) = (declared(trusted), declared(checkout));
        let prod = target_name("prod");
        stricter(&checkout, &[TrustedSide::DefaultBranch(Some(&trusted))], &prod)
            .map(|policy| policy.targets[&prod].promotion.clone())
    }

    #[test]
    fn the_stricter_of_each_rule_counts_whichever_side_has_it() {
        let approved = || PromotionRule {
            requires_approval: true,
            approval_method: ApprovalMethod::Manual,
            ..from(&["dev"])
        };
        for (trusted, checkout, merged) in [
            (None, None, None),
            (Some(from(&["dev"])), None, Some(from(&["dev"]))),
            (None, Some(from(&["dev"])), Some(from(&["dev"]))),
            (Some(approved()), None, Some(approved())),
            (Some(approved()), Some(from(&["dev"])), Some(approved())),
            (Some(from(&["dev"])), Some(approved()), Some(approved())),
            (Some(from(&["dev", "qa"])), Some(from(&["qa"])), Some(from(&["qa"]))),
            (Some(PromotionRule::default()), Some(from(&["qa"])), Some(from(&["qa"]))),
        ] {
            assert_eq!(both(trusted.clone(), checkout.clone()), Ok(merged), "{trusted:?} {checkout:?}");
        }
        let lasting = |hours| PromotionRule { approval_expires: Duration::from_hours(hours), ..approved() };
        assert_eq!(both(Some(lasting(8)), Some(lasting(24))), Ok(Some(lasting(8))));
        assert_eq!(both(Some(lasting(24)), Some(lasting(8))), Ok(Some(lasting(8))));
        let held = |hold| PromotionRule { hold, ..from(&["dev"]) };
        assert_eq!(both(Some(held(Some(false))), Some(held(None))), Ok(Some(held(None))));
        assert_eq!(both(Some(held(Some(true))), Some(held(Some(false)))), Ok(Some(held(Some(true)))));
        let seen = |require_digest| PromotionRule { require_digest, ..approved() };
        assert_eq!(both(Some(seen(true)), Some(seen(false))), Ok(Some(seen(true))));
    }

    #[test]
    fn the_default_branch_s_method_wins_over_those_of_all_other_sides() {
        use ApprovalMethod::{Ci, Manual, Pro};
        let by = |method: Option<ApprovalMethod>| {
            let rule = |approval_method| PromotionRule {
                requires_approval: true,
                approval_method,
                ..from(&["dev"])
            };
            declared(Some(method.map_or_else(|| from(&["dev"]), rule)))
        };
        let prod = target_name("prod");
        for (default, committed, checkout, wins) in [
            (Some(Ci), Some(Manual), Some(Manual), Ci),
            (Some(Ci), Some(Manual), Some(Pro), Ci),
            (Some(Ci), Some(Ci), Some(Manual), Ci),
            (Some(Ci), None, Some(Manual), Ci),
            (Some(Ci), Some(Manual), None, Ci),
            (None, Some(Ci), Some(Manual), Ci),
            (None, None, Some(Manual), Manual),
        ] {
            let (default, committed) = (by(default), by(committed));
            let merged = stricter(
                &by(checkout),
                &[TrustedSide::DefaultBranch(Some(&default)), TrustedSide::Commit(&committed)],
                &prod,
            )
            .unwrap();
            let rule = merged.targets[&prod].promotion.as_ref().unwrap();
            assert_eq!((rule.requires_approval, rule.approval_method), (true, wins));
        }
    }

    #[test]
    fn a_target_that_is_not_committed_yet_may_have_rules() {
        let (prod, checkout) = (target_name("prod"), declared(Some(from(&["dev"]))));
        let mut committed = declared(None);
        committed.targets.shift_remove(&prod);
        let merged = stricter(&checkout, &[TrustedSide::Commit(&committed)], &prod).unwrap();
        assert_eq!(merged.targets[&prod].promotion, Some(from(&["dev"])));
    }

    #[test]
    fn sources_without_any_in_common_are_refused() {
        let refused = both(Some(from(&["qa"])), Some(from(&["dev"]))).unwrap_err();
        assert!(matches!(refused, RulesConflict::Sources { .. }), "{refused:?}");
    }

    #[test]
    fn a_target_that_the_default_branch_does_not_declare_has_no_rules() {
        let prod = target_name("prod");
        let mut trusted = declared(None);
        trusted.targets.shift_remove(&prod);
        for side in [Some(&trusted), None] {
            let open = stricter(&declared(None), &[TrustedSide::DefaultBranch(side)], &prod).unwrap();
            assert_eq!(open.targets[&prod].promotion, None);
            let refused =
                stricter(&declared(Some(from(&["dev"]))), &[TrustedSide::DefaultBranch(side)], &prod)
                    .unwrap_err();
            assert_eq!(refused, RulesConflict::Undeclared { target: prod.clone() });
        }
    }

    #[test]
    fn every_part_of_a_rule_is_in_its_digest_and_its_order_is_not() {
        let all = [
            None,
            Some(from(&["dev"])),
            Some(from(&["dev", "qa"])),
            Some(PromotionRule { requires_approval: true, ..from(&["dev"]) }),
            Some(PromotionRule {
                requires_approval: true,
                approval_method: ApprovalMethod::Manual,
                ..from(&["dev"])
            }),
            Some(PromotionRule { approval_expires: Duration::from_hours(1), ..from(&["dev"]) }),
            Some(PromotionRule { require_digest: true, ..from(&["dev"]) }),
            Some(PromotionRule { hold: Some(true), ..from(&["dev"]) }),
            Some(PromotionRule { hold: Some(false), ..from(&["dev"]) }),
        ];
        let digests: std::collections::BTreeSet<_> =
            all.iter().map(|rule| rule_digest(rule.as_ref())).collect();
        assert_eq!(digests.len(), all.len());
        assert_eq!(rule_digest(Some(&from(&["qa", "dev"]))), rule_digest(Some(&from(&["dev", "qa"]))));
        for none in [None, Some(PromotionRule::default())] {
            assert_eq!(rule_digest(none.as_ref()), "");
        }
        // As documented in docs/digest.md.
        let documented = r#"{"approval_method":"manual","requires_approval":true,"sources":["staging"]}"#;
        let rule = PromotionRule {
            requires_approval: true,
            approval_method: ApprovalMethod::Manual,
            ..from(&["staging"])
        };
        assert_eq!(rule_digest(Some(&rule)), content_digest(documented.as_bytes()));
    }

    #[test]
    fn records_say_whose_rules_they_obeyed() {
        let commit: CommitId = "a".repeat(40).parse().unwrap();
        assert_eq!(RulesOrigin::Commit(commit.clone()).to_string(), "a".repeat(40));
        assert_eq!(RulesOrigin::Uncommitted.to_string(), "uncommitted");
        assert_eq!(RulesOrigin::Stale(commit).to_string(), format!("stale {}", "a".repeat(40)));
    }
}
