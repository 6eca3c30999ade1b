//! Approvals: the approver, the approved digests and the expiry.
//!
//! An approval is a line of JSON in the note of the approved commits (`target-promotion.md`,
//! "Approval recorded as Git note"). It covers components by their digests, each on top of the
//! record that ran at the time of the approval: once the target has moved on, the approval is used
//! up. That check needs no clock; only the expiry does.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::commit::{CommitId, ObjectId};
use super::digest::{Digest, canonical_json, content_digest};
use super::names::{ComponentName, DeploymentName, TargetName};
use super::state::TargetState;

/// An approval as stored in a note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub approved_by: String,
    pub approved_at: Timestamp,
    /// The approver's role in the approval service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approver_role: Option<String>,
    /// The method of the approval: `manual`, `ci`, `pro`.
    #[serde(default)]
    pub method: String,
    pub deployment: DeploymentName,
    pub target: TargetName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_from: Option<TargetName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The digest of the plan that was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The covered components. Lines of other writers and digests of other versions cover nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "covered")]
    pub components: Vec<Covered>,
    /// The `--context` of the covered components, as in records.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub context_overrides: BTreeMap<String, String>,
    /// Whether the approver saw the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<ApprovalOf>,
    /// The expiry, from which on the approval is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The run that requested it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
}

/// Parses the components whose digests are of this version: approvals of another version are shown,
/// but cover nothing.
fn covered<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Covered>, D::Error> {
    let components = Vec::<Value>::deserialize(deserializer)?;
    Ok(components.into_iter().filter_map(|one| serde_json::from_value(one).ok()).collect())
}

/// One component that an approval covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    pub component: ComponentName,
    pub commit: CommitId,
    pub digest: Digest,
    /// The record that ran when the approval was given; absent where nothing did. The approval is
    /// valid while that record runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<ObjectId>,
}

/// What the approver had before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalOf {
    /// The plan that ran, by its digest.
    Seen,
    /// A run, whose plan the approver need not have looked at.
    Unseen,
}

impl ApprovalOf {
    /// The name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Unseen => "unseen",
        }
    }
}

/// A revocation, a line in the same notes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The approval, by [`Approval::id`].
    pub revokes: String,
    pub revoked_by: String,
    pub revoked_at: Timestamp,
    pub deployment: DeploymentName,
    pub target: TargetName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A line of the approvals' notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalLine {
    Approval { id: String, approval: Box<Approval> },
    Revocation(Revocation),
}

impl ApprovalLine {
    /// Parses a line; `None` where it is neither, since notes may contain arbitrary lines.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        if value.get("revokes").is_some() {
            return serde_json::from_value(value).ok().map(Self::Revocation);
        }
        let id = id_of(&value);
        let approval = serde_json::from_value(value).ok()?;
        Some(Self::Approval { id, approval: Box::new(approval) })
    }
}

/// The identity of a line: the SHA-256 of its RFC 8785 form, without a signature.
fn id_of(line: &Value) -> String {
    let mut unsigned = line.clone();
    if let Some(fields) = unsigned.as_object_mut() {
        fields.remove("signature");
    }
    content_digest(canonical_json(&unsigned).as_bytes())
}

impl Approval {
    /// The id of the approval in records.
    #[must_use]
    pub fn id(&self) -> String {
        // A struct of strings and times always serialises.
        id_of(&serde_json::to_value(self).unwrap_or_default())
    }

    /// The approval as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn covers(&self, wanted: &Covered) -> bool {
        self.components.iter().any(|covered| covered == wanted)
    }
}

impl Revocation {
    /// The revocation as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The validity of an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Valid for the components in `left`, and used up for those that have moved on since.
    Valid {
        left: Vec<ComponentName>,
        used: Vec<ComponentName>,
    },
    /// The ledger has moved past it: it was used, or another rollout came first.
    Used,
    Expired {
        at: Timestamp,
    },
    Revoked {
        by: String,
        at: Timestamp,
        reason: Option<String>,
    },
    /// Covers nothing: another version or another program wrote it.
    CoversNothing,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Valid { used, .. } if used.is_empty() => "valid",
            Self::Valid { .. } => "partly used",
            Self::Used => "used",
            Self::Expired { .. } => "expired",
            Self::Revoked { .. } => "revoked",
            Self::CoversNothing => "covers nothing",
        })
    }
}

/// The approvals of one target of a deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approvals {
    /// By identity, each once, regardless of the number of commits it is noted on.
    approvals: BTreeMap<String, Approval>,
    revocations: BTreeMap<String, Revocation>,
}

impl Approvals {
    /// Selects the approvals of a target from the lines of a deployment's notes.
    pub fn of_target<'l>(
        lines: impl IntoIterator<Item = &'l str>,
        deployment: &DeploymentName,
        target: &TargetName,
    ) -> Self {
        let mut all = Self::default();
        for line in lines.into_iter().filter_map(ApprovalLine::parse) {
            match line {
                ApprovalLine::Approval { id, approval } => {
                    if approval.deployment == *deployment && approval.target == *target {
                        all.approvals.insert(id, *approval);
                    }
                }
                ApprovalLine::Revocation(revocation) => {
                    if revocation.deployment == *deployment && revocation.target == *target {
                        all.revocations.insert(revocation.revokes.clone(), revocation);
                    }
                }
            }
        }
        all
    }

    /// The approvals with their identities, newest first.
    #[must_use]
    pub fn newest_first(&self) -> Vec<(&str, &Approval)> {
        let mut all: Vec<_> = self.approvals.iter().map(|(id, approval)| (id.as_str(), approval)).collect();
        all.sort_by(|(one_id, one), (other_id, other)| {
            (other.approved_at, *other_id).cmp(&(one.approved_at, *one_id))
        });
        all
    }

    /// The validity of an approval, given the state of its target.
    #[must_use]
    pub fn standing(
        &self,
        id: &str,
        approval: &Approval,
        state: Option<&TargetState>,
        now: Timestamp,
    ) -> Standing {
        if let Some(Revocation { revoked_by, revoked_at, reason, .. }) = self.revocations.get(id) {
            return Standing::Revoked { by: revoked_by.clone(), at: *revoked_at, reason: reason.clone() };
        }
        if approval.components.is_empty() {
            return Standing::CoversNothing;
        }
        let runs = |component: &ComponentName| {
            let running = state.and_then(|state| state.components.get(component)?.running.as_ref());
            running.map(|running| running.object.clone())
        };
        let (left, used): (Vec<_>, Vec<_>) =
            approval.components.iter().partition(|covered| covered.replaces == runs(&covered.component));
        let names = |covered: Vec<&Covered>| covered.iter().map(|one| one.component.clone()).collect();
        if left.is_empty() {
            return Standing::Used;
        }
        match approval.expires_at.filter(|expiry| *expiry <= now) {
            Some(at) => Standing::Expired { at },
            None => Standing::Valid { left: names(left), used: names(used) },
        }
    }

    /// The newest valid approval by this method that covers all wanted components.
    #[must_use]
    pub fn covering(&self, wanted: &[Covered], method: &str, need: Need) -> Option<(&str, &Approval)> {
        self.newest_first().into_iter().find(|(id, approval)| {
            approval.method == method
                && approval.expires_at.is_none_or(|expiry| expiry > need.now)
                && !self.revocations.contains_key(*id)
                && (!need.seen || approval.of == Some(ApprovalOf::Seen))
                && wanted.iter().all(|wanted| approval.covers(wanted))
        })
    }
}

/// The requirements of an approval besides its coverage.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    pub now: Timestamp,
    /// Whether the approver must have seen the plan (`require_digest`).
    pub seen: bool,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::fixtures::{commit, component_name, running, time};
    use super::*;

    const NOW: &str = "2025-01-22T14:00:00Z";

    fn digest(digit: &str) -> Digest {
        format!("v1:sha256:{}", digit.repeat(64)).parse().unwrap()
    }

    fn covered(name: &str, digit: &str, replaces: Option<&str>) -> Covered {
        Covered {
            component: component_name(name),
            commit: commit("abc123d"),
            digest: digest(digit),
            replaces: replaces.map(|object| commit(object).0),
        }
    }

    fn approval(components: Vec<Covered>) -> Approval {
        Approval {
            approved_by: "alice@example.com".to_owned(),
            approved_at: time("2025-01-22T12:00:00Z"),
            approver_role: None,
            method: "manual".to_owned(),
            deployment: "payment-service".parse().unwrap(),
            target: "prod".parse().unwrap(),
            promoted_from: None,
            reason: Some("looked at it".to_owned()),
            digest: Some(digest("f").to_string()),
            components,
            context_overrides: BTreeMap::new(),
            of: Some(ApprovalOf::Seen),
            expires_at: Some(time("2025-01-23T12:00:00Z")),
            run_id: None,
        }
    }

    fn approvals(lines: &[String]) -> Approvals {
        let lines = lines.iter().map(String::as_str);
        Approvals::of_target(lines, &"payment-service".parse().unwrap(), &"prod".parse().unwrap())
    }

    /// A target where `api` runs, by this record.
    fn target(object: &str) -> TargetState {
        let mut api = running("prod", "api", "abc123d", "2025-01-22T11:00:00Z");
        Arc::make_mut(api.running.as_mut().unwrap()).object = commit(object).0;
        TargetState { components: [(component_name("api"), api)].into(), locks: Vec::new() }
    }

    fn covers(given: &Approval, wanted: &[Covered], need: Need) -> bool {
        approvals(&[given.to_json()]).covering(wanted, "manual", need).is_some()
    }

    fn now() -> Need {
        Need { now: time(NOW), seen: false }
    }

    #[test]
    fn it_covers_its_digests_on_top_of_what_ran_and_any_part_of_them() {
        let given = approval(vec![covered("api", "1", Some("0a")), covered("worker", "2", None)]);
        for (wanted, is_covered) in [
            (vec![covered("api", "1", Some("0a"))], true),
            (vec![covered("worker", "2", None)], true),
            (vec![covered("api", "1", Some("0a")), covered("worker", "2", None)], true),
            (vec![covered("api", "2", Some("0a"))], false),
            (vec![covered("worker", "1", None)], false),
            (vec![covered("api", "1", Some("0b"))], false),
            (vec![covered("api", "1", None)], false),
            (vec![covered("worker", "2", Some("0a"))], false),
            (vec![covered("api", "1", Some("0a")), covered("database", "3", None)], false),
        ] {
            assert_eq!(covers(&given, &wanted, now()), is_covered, "{wanted:?}");
        }
    }

    #[test]
    fn it_counts_until_it_expires_or_is_revoked_and_by_its_method() {
        let wanted = [covered("api", "1", None)];
        let given = approval(wanted.to_vec());
        assert!(covers(&given, &wanted, Need { now: time("2025-01-23T11:59:59Z"), seen: true }));
        assert!(!covers(&given, &wanted, Need { now: time("2025-01-23T12:00:00Z"), ..now() }));
        let unseen = Approval { of: Some(ApprovalOf::Unseen), ..given.clone() };
        assert!(covers(&unseen, &wanted, now()));
        assert!(!covers(&unseen, &wanted, Need { seen: true, ..now() }));
        assert!(approvals(&[given.to_json()]).covering(&wanted, "ci", now()).is_none());
        let revoked = Revocation {
            revokes: given.id(),
            revoked_by: "bob@example.com".to_owned(),
            revoked_at: time("2025-01-22T13:00:00Z"),
            deployment: given.deployment.clone(),
            target: given.target.clone(),
            reason: None,
        };
        assert!(
            approvals(&[given.to_json(), revoked.to_json()]).covering(&wanted, "manual", now()).is_none()
        );
        let elsewhere = Revocation { target: "dev".parse().unwrap(), ..revoked };
        assert!(
            approvals(&[given.to_json(), elsewhere.to_json()]).covering(&wanted, "manual", now()).is_some()
        );
    }

    #[test]
    fn digests_of_another_version_are_shown_and_cover_nothing() {
        let wanted = [covered("api", "1", None)];
        let line = approval(wanted.to_vec()).to_json().replace("v1:sha256", "v2:sha256");
        let Some(ApprovalLine::Approval { approval, .. }) = ApprovalLine::parse(&line) else {
            panic!("it is an approval all the same: {line}");
        };
        assert_eq!(approval.components, []);
        assert!(!covers(&approval, &wanted, now()));
    }

    #[test]
    fn it_is_of_one_target_and_one_deployment() {
        let wanted = [covered("api", "1", None)];
        for other in [
            Approval { target: "dev".parse().unwrap(), ..approval(wanted.to_vec()) },
            Approval { deployment: "other".parse().unwrap(), ..approval(wanted.to_vec()) },
        ] {
            assert!(!covers(&other, &wanted, now()));
        }
    }

    #[test]
    fn it_is_used_once_the_target_has_moved_on() {
        let given = approval(vec![covered("api", "1", Some("0a")), covered("worker", "2", None)]);
        let all = approvals(&[given.to_json()]);
        let standing = |object, at| all.standing(&given.id(), &given, Some(&target(object)), time(at));
        let both = vec![component_name("api"), component_name("worker")];
        assert_eq!(standing("0a", NOW), Standing::Valid { left: both, used: Vec::new() });
        let partly =
            Standing::Valid { left: vec![component_name("worker")], used: vec![component_name("api")] };
        assert_eq!(standing("0b", NOW), partly);
        let at = time("2025-01-23T12:00:00Z");
        assert_eq!(standing("0a", "2025-01-24T12:00:00Z"), Standing::Expired { at });
        let only = approval(vec![covered("api", "1", Some("0a"))]);
        let all = approvals(&[only.to_json()]);
        assert_eq!(all.standing(&only.id(), &only, Some(&target("0b")), time(NOW)), Standing::Used);
    }

    #[test]
    fn the_identity_is_that_of_the_line_however_it_is_written() {
        let given = approval(vec![covered("api", "1", None)]);
        let value: Value = serde_json::from_str(&given.to_json()).unwrap();
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let mut signed = value;
        signed["signature"] = "-----BEGIN SSH SIGNATURE-----".into();
        for line in [given.to_json(), pretty, signed.to_string()] {
            let Some(ApprovalLine::Approval { id, .. }) = ApprovalLine::parse(&line) else {
                panic!("{line}")
            };
            assert_eq!(id, given.id());
        }
    }

    #[test]
    fn lines_of_others_are_read_and_cover_nothing() {
        let example = r#"{"approved_by": "alice@example.com", "approved_at": "2025-01-22T12:30:00Z",
            "approver_role": "ops-lead", "target": "prod", "deployment": "payment-service",
            "promoted_from": "staging"}"#
            .to_owned();
        let former = r#"{"approved_by":"bob","approved_at":"2025-01-22T12:30:00Z","method":"manual",
            "deployment":"payment-service","target":"prod","digest":"sha256:00"}"#
            .to_owned();
        let all = approvals(&[example, former, "{}".to_owned(), "looks good".to_owned()]);
        let found = all.newest_first();
        assert_eq!(found.len(), 2);
        for (id, approval) in found {
            assert_eq!(all.standing(id, approval, None, time(NOW)), Standing::CoversNothing);
        }
        assert!(all.covering(&[covered("api", "1", None)], "manual", now()).is_none());
    }
}
