//! The names of the ledger's refs and tags, and their parsers (`design/ledger.md`, "Names").
//!
//! A component's name may contain `/`, and Git cannot store one ref below another. So a component
//! becomes one path segment, with all characters that are invalid in a ref escaped as `%XX`.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::lock::LockScope;
use super::names::{ComponentName, DeploymentName, NameError, TargetName};
use super::record::{Record, RecordId, in_whole_seconds};
use super::ref_segment::{escape_segment, unescape_segment};

/// The ledger's refs, which every clone may share.
pub const LEDGER_PREFIX: &str = "refs/atmos/";
/// The mirror of a remote's refs as last fetched: `refs/atmos-remotes/<remote>/…`. Outside of
/// `refs/atmos/`, so that a plain `git push origin 'refs/atmos/*'` does not push it.
pub const MIRROR_PREFIX: &str = "refs/atmos-remotes/";
/// Commits fetched for their promotion rules: `refs/atmos-rules/<remote>/…`. Outside of
/// `refs/atmos/` and of the mirror, so that nothing lists, prunes or pushes them.
pub const RULES_PREFIX: &str = "refs/atmos-rules/";
/// The ledger's tags.
pub const OWN_TAGS_PREFIX: &str = "refs/tags/atmos/";
/// All ref prefixes that belong to this program.
pub const OWN_PREFIXES: [&str; 5] =
    [LEDGER_PREFIX, MIRROR_PREFIX, RULES_PREFIX, OWN_TAGS_PREFIX, NOTES_PREFIX];

/// Current states: `refs/atmos/deployments/<deployment>/<target>/<component>`.
pub const STATE_PREFIX: &str = "refs/atmos/deployments/";
/// Newest records: `refs/atmos/latest/<deployment>/<target>/<component>`.
pub const LATEST_PREFIX: &str = "refs/atmos/latest/";
/// Locks: `refs/atmos/locks/<deployment>/<target>/<component>` or `…/%target`.
pub const LOCK_PREFIX: &str = "refs/atmos/locks/";
/// Build records: `refs/atmos/builds/<build_id>`.
pub const BUILD_PREFIX: &str = "refs/atmos/builds/";
/// Notes: `refs/notes/atmos/<deployment>/<namespace>`.
pub const NOTES_PREFIX: &str = "refs/notes/atmos/";
/// The prefix of tags; a history record is `refs/tags/<tag name>`.
pub const TAGS_PREFIX: &str = "refs/tags/";
/// The tag names of history records:
/// `atmos/deployments/<deployment>/<target>/<component>/<timestamp>`.
pub const RECORD_TAG_PREFIX: &str = "atmos/deployments/";

/// Whether a ref, or a prefix of refs, belongs to this program.
#[must_use]
pub fn is_own(name: &str) -> bool {
    OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The segment that locks a whole target. No component is encoded to it: `%` is always escaped.
const TARGET_LOCK_SEGMENT: &str = "%target";

/// A ref or tag under the ledger's prefixes whose name no version of this program writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefNameError {
    #[error("{name:?} is not of the form {form}")]
    Form { name: String, form: &'static str },
    #[error("{segment:?} is not how a component is written in a ref: {reason}")]
    Segment { segment: String, reason: &'static str },
    #[error("{0:?} is not a record's timestamp (YYYY-MM-DDTHH-MM-SSZ, or with -2, -3, … behind it)")]
    Timestamp(String),
    #[error(transparent)]
    Name(#[from] NameError),
}

/// One component of one target of one deployment: the subject of state and latest refs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentAddress {
    pub deployment: DeploymentName,
    pub target: TargetName,
    pub component: ComponentName,
}

impl ComponentAddress {
    /// The component of a record that has no id yet.
    #[must_use]
    pub fn of_record(record: &Record) -> Self {
        Self {
            deployment: record.deployment.clone(),
            target: record.target.clone(),
            component: record.component.clone(),
        }
    }

    /// The component of a record, from its id.
    #[must_use]
    pub fn of(record: &RecordId) -> Self {
        Self {
            deployment: record.deployment.clone(),
            target: record.target.clone(),
            component: record.component.clone(),
        }
    }
}

/// Encodes a component's name as one path segment of a ref. Names of plain characters are
/// unchanged.
#[must_use]
pub fn component_segment(component: &ComponentName) -> String {
    escape_segment(component.as_str())
}

/// Decodes a component's name from its path segment.
///
/// Only the exact output of [`component_segment`] is accepted, so that one component has one ref.
pub fn component_from_segment(segment: &str) -> Result<ComponentName, RefNameError> {
    let fail = |reason| RefNameError::Segment { segment: segment.to_owned(), reason };
    let name =
        unescape_segment(segment).ok_or_else(|| fail("a '%' is not followed by a byte in hexadecimal"))?;
    if escape_segment(&name) != segment {
        return Err(fail("its escapes are not the canonical ones"));
    }
    Ok(name.parse::<ComponentName>()?)
}

/// The ref of a component's current state.
#[must_use]
pub fn state_ref(deployment: &DeploymentName, target: &TargetName, component: &ComponentName) -> String {
    format!("{STATE_PREFIX}{deployment}/{target}/{}", component_segment(component))
}

/// The ref of a component's newest record.
#[must_use]
pub fn latest_ref(deployment: &DeploymentName, target: &TargetName, component: &ComponentName) -> String {
    format!("{LATEST_PREFIX}{deployment}/{target}/{}", component_segment(component))
}

/// The ref of a lock on a component or a whole target.
#[must_use]
pub fn lock_ref(deployment: &DeploymentName, target: &TargetName, scope: &LockScope) -> String {
    match scope {
        LockScope::Component(component) => {
            format!("{LOCK_PREFIX}{deployment}/{target}/{}", component_segment(component))
        }
        LockScope::Target => format!("{LOCK_PREFIX}{deployment}/{target}/{TARGET_LOCK_SEGMENT}"),
    }
}

/// The ref of a namespace of notes, like `sbom` or `approvals`.
#[must_use]
pub fn notes_ref(deployment: &DeploymentName, namespace: &str) -> String {
    format!("{NOTES_PREFIX}{deployment}/{}", escape_segment(namespace))
}

/// The ref of a build record.
#[must_use]
pub fn build_ref(build_id: &str) -> String {
    format!("{BUILD_PREFIX}{}", escape_segment(build_id))
}

/// The prefix of one deployment's refs under one of the `*_PREFIX` constants, ending in `/`.
#[must_use]
pub fn deployment_prefix(prefix: &str, deployment: &DeploymentName) -> String {
    format!("{prefix}{deployment}/")
}

/// The prefix of one target's refs under one of the `*_PREFIX` constants, ending in `/`.
#[must_use]
pub fn target_prefix(prefix: &str, deployment: &DeploymentName, target: &TargetName) -> String {
    format!("{prefix}{deployment}/{target}/")
}

/// The prefix of one component's record tag names, ending in `/`; without `refs/tags/`.
#[must_use]
pub fn record_tag_prefix(
    deployment: &DeploymentName,
    target: &TargetName,
    component: &ComponentName,
) -> String {
    format!("{RECORD_TAG_PREFIX}{deployment}/{target}/{}/", component_segment(component))
}

/// Parses a current-state ref.
pub fn parse_state_ref(name: &str) -> Result<ComponentAddress, RefNameError> {
    parse_address(name, STATE_PREFIX, "refs/atmos/deployments/<deployment>/<target>/<component>")
}

/// Parses a newest-record ref.
pub fn parse_latest_ref(name: &str) -> Result<ComponentAddress, RefNameError> {
    parse_address(name, LATEST_PREFIX, "refs/atmos/latest/<deployment>/<target>/<component>")
}

/// Parses a lock ref into its target and scope.
pub fn parse_lock_ref(name: &str) -> Result<(DeploymentName, TargetName, LockScope), RefNameError> {
    let [deployment, target, segment] =
        segments(name, LOCK_PREFIX, "refs/atmos/locks/<deployment>/<target>/<component>")?;
    let scope = if segment == TARGET_LOCK_SEGMENT {
        LockScope::Target
    } else {
        LockScope::Component(component_from_segment(segment)?)
    };
    Ok((deployment.parse()?, target.parse()?, scope))
}

impl RecordId {
    /// The name of the record's history tag, without `refs/tags/`.
    #[must_use]
    pub fn tag_name(&self) -> String {
        let mut name = record_tag_prefix(&self.deployment, &self.target, &self.component);
        name.push_str(&timestamp_segment(self.timestamp));
        if self.sequence > 1 {
            // Writing to a string cannot fail.
            let _ = write!(name, "-{}", self.sequence);
        }
        name
    }

    /// The full name of the record's history tag.
    #[must_use]
    pub fn tag_ref(&self) -> String {
        format!("{TAGS_PREFIX}{}", self.tag_name())
    }

    /// Parses a history tag's name, without `refs/tags/`.
    pub fn parse(tag: &str) -> Result<Self, RefNameError> {
        let [deployment, target, component, time] = segments(
            tag,
            RECORD_TAG_PREFIX,
            "atmos/deployments/<deployment>/<target>/<component>/<timestamp>",
        )?;
        let (timestamp, sequence) =
            parse_timestamp(time).ok_or_else(|| RefNameError::Timestamp(time.to_owned()))?;
        Ok(Self {
            deployment: deployment.parse()?,
            target: target.parse()?,
            component: component_from_segment(component)?,
            timestamp,
            sequence,
        })
    }
}

fn parse_address(name: &str, prefix: &str, form: &'static str) -> Result<ComponentAddress, RefNameError> {
    let [deployment, target, segment] = segments(name, prefix, form)?;
    Ok(ComponentAddress {
        deployment: deployment.parse()?,
        target: target.parse()?,
        component: component_from_segment(segment)?,
    })
}

/// Splits off exactly `N` path segments after the prefix.
fn segments<'a, const N: usize>(
    name: &'a str,
    prefix: &str,
    form: &'static str,
) -> Result<[&'a str; N], RefNameError> {
    name.strip_prefix(prefix)
        .and_then(|rest| rest.split('/').collect::<Vec<_>>().try_into().ok())
        .ok_or_else(|| RefNameError::Form { name: name.to_owned(), form })
}

/// The time in whole seconds, as the last segment of a record tag: `2025-01-22T12-00-00Z`.
fn timestamp_segment(time: Timestamp) -> String {
    in_whole_seconds(time).to_string().replace(':', "-")
}

/// Parses a record tag's last segment: the time, and the sequence within that second.
fn parse_timestamp(text: &str) -> Option<(Timestamp, u32)> {
    let at = text.find('Z')? + 1;
    let (time, sequence) = text.split_at(at);
    let (date, clock) = time.split_once('T')?;
    let timestamp: Timestamp = format!("{date}T{}", clock.replace('-', ":")).parse().ok()?;
    let sequence = match sequence.strip_prefix('-') {
        None if sequence.is_empty() => 1,
        None => return None,
        Some(digits) => {
            digits.parse().ok().filter(|number: &u32| *number >= 2 && digits == number.to_string())?
        }
    };
    // Only the canonical form of a time is accepted, so that one record has one tag.
    (timestamp_segment(timestamp) == time).then_some((timestamp, sequence))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_component_that_no_ref_could_hold_is_refused() {
        let fits = ["abcd"; 25].join("/");
        assert_eq!(component_from_segment(&component_segment(&component(&fits))).unwrap(), component(&fits));
        let escaped = ["a"; 64].join("/");
        assert!(escaped.len() < 128 && escaped.parse::<ComponentName>().is_err());
    }

    fn component(name: &str) -> ComponentName {
        name.parse().unwrap()
    }

    fn record(component_name: &str, timestamp: &str, sequence: u32) -> RecordId {
        RecordId {
            deployment: "payment-service".parse().unwrap(),
            target: "prod".parse().unwrap(),
            component: component(component_name),
            timestamp: timestamp.parse().unwrap(),
            sequence,
        }
    }

    /// `git check-ref-format`'s rules for one path segment, restated.
    fn is_valid_segment(segment: &str) -> bool {
        !segment.is_empty()
            && !segment.starts_with('.')
            && !segment.ends_with('.')
            && !segment.ends_with(".lock")
            && !segment.contains("..")
            && !segment.contains("@{")
            && !segment.contains(|c: char| c.is_ascii_control() || " ~^:?*[\\/".contains(c))
    }

    #[test]
    fn plain_names_look_as_in_the_specification() {
        assert_eq!(
            record("api", "2025-01-22T12:00:00Z", 1).tag_name(),
            "atmos/deployments/payment-service/prod/api/2025-01-22T12-00-00Z"
        );
        let (deployment, target) = ("api".parse().unwrap(), "dev".parse().unwrap());
        assert_eq!(state_ref(&deployment, &target, &component("api")), "refs/atmos/deployments/api/dev/api");
        assert_eq!(notes_ref(&deployment, "sbom"), "refs/notes/atmos/api/sbom");
    }

    #[test]
    fn a_component_is_one_segment() {
        assert_eq!(component_segment(&component("ecs/service-api")), "ecs%2Fservice-api");
        assert_eq!(component_segment(&component("100%")), "100%25");
        assert_eq!(component_segment(&component(".a..b.lock")), "%2Ea.%2Eb%2Elock");
        assert_eq!(component_segment(&component("@{x}@")), "%40{x}@");
        assert_eq!(component_segment(&component("größe")), "größe");
    }

    #[test]
    fn two_spellings_of_one_component_are_not_both_read() {
        assert_eq!(component_from_segment("ecr%2Fapi").unwrap(), component("ecr/api"));
        for segment in ["ecr%2fapi", "%61pi", "100%", "a%2", "a%FFb", "", "a%2F%2Fb", "%target"] {
            assert!(component_from_segment(segment).is_err(), "{segment}");
        }
    }

    #[test]
    fn records_of_one_second_are_numbered_from_two() {
        let tag = "atmos/deployments/payment-service/prod/api/2025-01-22T12-00-00Z";
        assert_eq!(RecordId::parse(&format!("{tag}-3")).unwrap(), record("api", "2025-01-22T12:00:00Z", 3));
        for end in ["-1", "-02", "-", "x", "-2-2", "/"] {
            assert!(RecordId::parse(&format!("{tag}{end}")).is_err(), "{end}");
        }
        for time in ["2025-1-22T12-00-00Z", "2025-02-30T12-00-00Z", "2025-01-22T12:00:00Z", ""] {
            assert!(RecordId::parse(&format!("atmos/deployments/a/b/c/{time}")).is_err(), "{time}");
        }
    }

    #[test]
    fn a_freeze_is_no_component() {
        let (deployment, target) = ("api".parse().unwrap(), "dev".parse().unwrap());
        for scope in [LockScope::Target, LockScope::Component(component("%target"))] {
            let name = lock_ref(&deployment, &target, &scope);
            assert_eq!(parse_lock_ref(&name).unwrap(), (deployment.clone(), target.clone(), scope));
        }
    }

    #[test]
    fn a_ref_of_another_shape_is_refused() {
        for name in ["refs/heads/main", "refs/atmos/deployments/a/b", "refs/atmos/deployments/a/b/c/d"] {
            assert!(matches!(parse_state_ref(name), Err(RefNameError::Form { .. })), "{name}");
        }
        assert!(matches!(parse_state_ref("refs/atmos/deployments/A/b/c"), Err(RefNameError::Name(_))));
    }

    #[test]
    fn git_agrees() {
        for name in
            [" ~^:?*[\\", ".hidden", "x.lock", "x.lock/y.lock", "a..b...c.", "@{u}", "@", "%", "-x", "日本"]
        {
            let name = state_ref(&"api".parse().unwrap(), &"dev".parse().unwrap(), &component(name));
            let status = Command::new("git").args(["check-ref-format", &name]).status().unwrap();
            assert!(status.success(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn names_survive_the_round_trip(name in r"[ -~é日.@{%/]{1,40}") {
            if let Ok(component) = name.parse::<ComponentName>() {
                let segment = component_segment(&component);
                prop_assert!(is_valid_segment(&segment), "{}", segment);
                prop_assert_eq!(component_from_segment(&segment), Ok(component));
            }
        }

        #[test]
        fn free_text_makes_valid_build_refs(id in r"\PC{1,40}|[\x00-\x7f]{1,20}") {
            prop_assert!(is_valid_segment(&escape_segment(&id)));
            prop_assert_eq!(unescape_segment(&escape_segment(&id)), Some(id));
        }

        #[test]
        fn records_survive_the_round_trip(seconds in 0_i64..253_402_300_799, sequence in 1_u32..) {
            let id = RecordId {
                timestamp: Timestamp::from_second(seconds).unwrap(),
                ..record("ecr/api", "2025-01-22T12:00:00Z", sequence)
            };
            prop_assert_eq!(RecordId::parse(&id.tag_name()), Ok(id));
        }

        #[test]
        fn nothing_that_is_read_panics_or_is_read_twice(tag in r"atmos/deployments/a/b/\PC{0,20}/[0-9TZ-]{0,30}") {
            if let Ok(id) = RecordId::parse(&tag) {
                prop_assert_eq!(id.tag_name(), tag);
            }
        }
    }
}
