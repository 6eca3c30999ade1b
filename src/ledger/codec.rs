//! Messages of the ledger's tags: the API version, the kind, `---`, then YAML (`git-tracking.md`, "Tag Message Format").

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use memchr::{memchr, memmem};
use serde::Deserialize;

use crate::deployment::lock::Lock;
use crate::deployment::record::{Record, RecordDetails, RecordStatus};
use crate::deployment::{
    BuildRecord, CommitId, ComponentKind, ComponentName, DeploymentName, ObjectId, TargetName,
};

use super::canonical::{self, Entry};
use super::yaml::{Mapping, parse};

/// The version that this program writes.
pub const API_VERSION: &str = "atmos.tools/v1alpha1";

/// Why a tag's message is not a record that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("it is not text")]
    NotText,
    #[error("it does not start with {API_VERSION}")]
    NotARecord,
    #[error("it was written for {0}, which this version cannot read; update atmos")]
    UnknownVersion(String),
    #[error("its kind is {found:?}, not {expected}")]
    WrongKind { expected: &'static str, found: String },
    #[error("{0}")]
    Yaml(String),
    #[error("its {field} {value:?} cannot be read")]
    Field { field: &'static str, value: String },
}

/// A message split into its kind and its YAML.
struct Message<'m> {
    kind: Option<&'m str>,
    body: Cow<'m, str>,
}

/// Where signatures begin, in the formats that git writes.
const SIGNATURES: [&str; 4] = [
    "-----BEGIN PGP SIGNATURE-----",
    "-----BEGIN PGP MESSAGE-----",
    "-----BEGIN SSH SIGNATURE-----",
    "-----BEGIN SIGNED MESSAGE-----",
];

/// Where a signature begins: at the start of a line.
fn signature(text: &str) -> Option<usize> {
    let starts_a_line = |at: &usize| text[..*at].is_empty() || text[..*at].ends_with('\n');
    let mut begins = memmem::find_iter(text.as_bytes(), "-----BEGIN ").filter(starts_a_line);
    begins.find(|at| SIGNATURES.iter().any(|marker| text[*at..].starts_with(marker)))
}

impl<'m> Message<'m> {
    /// Takes a message apart. Accepts what plain git commands write: blank lines before the first line, no `---`, the
    /// kind inside the YAML, a signature at the end.
    fn split(text: &'m str) -> Result<Self, CodecError> {
        let text = text.trim_start_matches(['\n', ' ']);
        let text = match signature(text) {
            Some(at) => &text[..at],
            None => text,
        };
        let (version, rest) = text.split_once('\n').unwrap_or((text, ""));
        let version = version.trim();
        if version != API_VERSION {
            return Err(if version.starts_with("atmos.tools/") {
                CodecError::UnknownVersion(version.chars().take(40).collect())
            } else {
                CodecError::NotARecord
            });
        }
        let mut kind = None;
        let mut rest = rest;
        while !rest.is_empty() {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            let trimmed = line.trim();
            if let Some(value) = line.strip_prefix("kind:") {
                kind = Some(value.trim());
            } else if !trimmed.is_empty() && trimmed != "---" {
                break;
            }
            rest = after;
            if trimmed == "---" {
                break;
            }
        }
        let body = if rest.ends_with('\n') { rest.into() } else { format!("{rest}\n").into() };
        Ok(Self { kind, body })
    }
}

/// Reads a message's YAML as what `expected` is made of. Returns it as well where it may hold more than that.
fn read<T: for<'de> Deserialize<'de> + HasKind>(
    message: &[u8],
    expected: &'static str,
) -> Result<(T, Option<String>), CodecError> {
    let text = std::str::from_utf8(message).map_err(|_| CodecError::NotText)?;
    // Plain git on Windows ends lines so.
    let text: Cow<'_, str> =
        if memchr(b'\r', message).is_some() { text.replace("\r\n", "\n").into() } else { text.into() };
    let Message { kind, body } = Message::split(&text)?;
    let wrong = |found: &str| CodecError::WrongKind { expected, found: found.to_owned() };
    // Before the body: a record of another kind need not have our fields.
    if let Some(found) = kind.filter(|kind| *kind != expected) {
        return Err(wrong(found));
    }
    let (fields, rest) = match canonical::read(&body).and_then(T::from_canonical) {
        Some(fields) => (fields, None),
        None => (parse(&body).map_err(CodecError::Yaml)?, Some(body.into_owned())),
    };
    match fields.kind().filter(|kind| *kind != expected) {
        Some(found) => Err(wrong(found)),
        None => Ok((fields, rest)),
    }
}

/// Fields that may name their kind, as some of the specification's examples do.
trait HasKind: Sized {
    fn kind(&self) -> Option<&str>;

    /// Picks the fields out of what was read the quick way; `None`, where there are others, leaves it to the YAML parser.
    fn from_canonical(_: Vec<(&str, Entry<'_>)>) -> Option<Self> {
        None
    }
}

/// The fields of a deployment record, as text; what is missing stays missing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RecordFields {
    kind: Option<String>,
    component_type: Option<String>,
    deployed_by: Option<String>,
    build_id: Option<String>,
    timestamp: Option<String>,
    status: Option<String>,
    promoted_from: Option<String>,
    promoted_at: Option<String>,
    rollback_of: Option<String>,
    previous: Option<String>,
    run_id: Option<String>,
    #[serde(deserialize_with = "read_texts")]
    artifacts: BTreeMap<String, String>,
    #[serde(deserialize_with = "read_texts")]
    metadata: BTreeMap<String, String>,
}

impl HasKind for RecordFields {
    fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    fn from_canonical(entries: Vec<(&str, Entry<'_>)>) -> Option<Self> {
        let mut fields = Self::default();
        for (key, entry) in entries {
            match (key, entry) {
                // The tag's name and target say these.
                ("deployment" | "target" | "component" | "git_sha", Entry::Text(_)) => {}
                ("artifacts", Entry::Map(map)) => fields.artifacts = texts(map),
                ("metadata", Entry::Map(map)) => fields.metadata = texts(map),
                (key, Entry::Text(text)) => *fields.text(key)? = Some(text.into_owned()),
                (_, Entry::Map(_)) => return None,
            }
        }
        Some(fields)
    }
}

impl RecordFields {
    /// The field of this name, where it is a text.
    fn text(&mut self, key: &str) -> Option<&mut Option<String>> {
        Some(match key {
            "component_type" => &mut self.component_type,
            "deployed_by" => &mut self.deployed_by,
            "build_id" => &mut self.build_id,
            "timestamp" => &mut self.timestamp,
            "status" => &mut self.status,
            "promoted_from" => &mut self.promoted_from,
            "promoted_at" => &mut self.promoted_at,
            "rollback_of" => &mut self.rollback_of,
            "previous" => &mut self.previous,
            "run_id" => &mut self.run_id,
            _ => return None,
        })
    }
}

fn texts(map: Vec<(&str, Cow<'_, str>)>) -> BTreeMap<String, String> {
    map.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect()
}

/// Reads a mapping of texts, which may be left empty.
fn read_texts<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let map = Option::<BTreeMap<String, Text>>::deserialize(deserializer)?;
    Ok(map.unwrap_or_default().into_iter().map(|(key, Text(value))| (key, value)).collect())
}

/// A value that should be a string and is kept as one whatever it is.
#[derive(Debug)]
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Ok(Self(match value {
            serde_json::Value::String(text) => text,
            serde_json::Value::Null => String::new(),
            other => other.to_string(),
        }))
    }
}

/// The keys of [`RecordFields`] and those that the tag's name and target already say.
const KNOWN_KEYS: [&str; 17] = [
    "kind",
    "deployment",
    "target",
    "component",
    "component_type",
    "deployed_by",
    "build_id",
    "git_sha",
    "timestamp",
    "status",
    "promoted_from",
    "promoted_at",
    "rollback_of",
    "previous",
    "run_id",
    "artifacts",
    "metadata",
];

/// Where a record was found. The tag's name and target are the truth for what they say: they are what plain git
/// commands see, and a message cannot claim another place.
pub struct Found<'a> {
    pub deployment: &'a DeploymentName,
    pub target: &'a TargetName,
    pub component: &'a ComponentName,
    pub timestamp: Timestamp,
    pub commit: CommitId,
}

/// Writes a deployment record.
#[must_use]
pub fn encode_record(record: &Record) -> String {
    message("Deployment")
        .text("deployment", Some(record.deployment.as_str()))
        .text("target", Some(record.target.as_str()))
        .text("component", Some(record.component.as_str()))
        .text("component_type", record.component_type.map(ComponentKind::as_str))
        .text("deployed_by", record.deployed_by.as_deref())
        .text("build_id", record.build_id.as_deref())
        .text("git_sha", Some(record.commit.as_str()))
        .time("timestamp", Some(record.timestamp))
        .text("status", Some(record.status.as_str()))
        .text("promoted_from", record.promoted_from.as_ref().map(TargetName::as_str))
        .time("promoted_at", record.promoted_at)
        .text("rollback_of", record.rollback_of.as_deref())
        .text("previous", record.previous.as_ref().map(ObjectId::as_str))
        .text("run_id", record.run_id.as_deref())
        .map("artifacts", &record.artifacts)
        .map("metadata", &record.metadata)
        .finish()
}

/// The start of a message of this kind.
fn message(kind: &str) -> Mapping {
    Mapping::after(format!("{API_VERSION}\nkind: {kind}\n---\n"))
}

/// Reads a deployment record.
pub fn decode_record(message: &[u8], found: Found<'_>) -> Result<Record, CodecError> {
    let (fields, rest) = read::<RecordFields>(message, "Deployment")?;
    let status = match fields.status.as_deref() {
        // The specification's own command writes a status; a record without one was made by hand after the fact.
        None | Some("success") => RecordStatus::Success,
        Some("failed") => RecordStatus::Failed,
        Some("cancelled") => RecordStatus::Cancelled,
        Some(other) => return Err(field("status", other)),
    };
    Ok(Record {
        deployment: found.deployment.clone(),
        target: found.target.clone(),
        component: found.component.clone(),
        component_type: fields.component_type.as_deref().and_then(ComponentKind::parse),
        deployed_by: fields.deployed_by,
        build_id: fields.build_id,
        commit: found.commit,
        timestamp: time("timestamp", fields.timestamp.as_deref())?.unwrap_or(found.timestamp),
        status,
        promoted_from: fields
            .promoted_from
            .map(|name| name.parse().map_err(|_| field("promoted_from", &name)))
            .transpose()?,
        promoted_at: time("promoted_at", fields.promoted_at.as_deref())?,
        rollback_of: fields.rollback_of,
        previous: fields.previous.and_then(|id| id.parse().ok()),
        run_id: fields.run_id,
        artifacts: fields.artifacts,
        sources: BTreeMap::new(),
        context_overrides: BTreeMap::new(),
        metadata: fields.metadata,
        details: RecordDetails::default(),
        unknown: rest.as_deref().map(unknown_fields).unwrap_or_default(),
    })
}

/// The fields of a record that this version does not know. Looked for only where a top-level key says so.
fn unknown_fields(body: &str) -> serde_json::Map<String, serde_json::Value> {
    let is_unknown = |line: &str| {
        !line.starts_with([' ', '\t', '#', '-', '}', '{'])
            && line.split_once(':').is_some_and(|(key, _)| !KNOWN_KEYS.contains(&key.trim_matches('"')))
    };
    if !body.lines().any(is_unknown) {
        return serde_json::Map::new();
    }
    let mut all: serde_json::Map<String, serde_json::Value> = parse(body).unwrap_or_default();
    all.retain(|key, _| !KNOWN_KEYS.contains(&key.as_str()));
    all
}

/// The fields of a lock.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LockFields {
    kind: Option<String>,
    holder: Option<String>,
    run_id: Option<String>,
    run_url: Option<String>,
    reason: Option<String>,
    acquired_at: Option<String>,
    expires_at: Option<String>,
    host: Option<String>,
    process: Option<u32>,
    process_started: Option<u64>,
    request: Option<String>,
}

impl HasKind for LockFields {
    fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }
}

/// Writes a lock. `nonce` makes its object unique: a push of an object that the remote already has would succeed.
#[must_use]
pub fn encode_lock(lock: &Lock, nonce: &str) -> String {
    message("Lock")
        .text("holder", Some(&lock.holder))
        .text("run_id", Some(&lock.run_id))
        .text("run_url", lock.run_url.as_deref())
        .text("reason", lock.reason.as_deref())
        .time("acquired_at", Some(lock.acquired_at))
        .time("expires_at", lock.expires_at)
        .text("host", lock.host.as_deref())
        .number("process", lock.process.map(u64::from))
        .number("process_started", lock.process_started)
        .text("request", lock.request.as_deref())
        .text("nonce", Some(nonce))
        .finish()
}

/// Reads a lock.
pub fn decode_lock(message: &[u8]) -> Result<Lock, CodecError> {
    let (fields, _) = read::<LockFields>(message, "Lock")?;
    Ok(Lock {
        holder: fields.holder.unwrap_or_else(|| "somebody".to_owned()),
        run_id: fields.run_id.unwrap_or_default(),
        run_url: fields.run_url,
        reason: fields.reason,
        acquired_at: time("acquired_at", fields.acquired_at.as_deref())?.unwrap_or(Timestamp::UNIX_EPOCH),
        expires_at: time("expires_at", fields.expires_at.as_deref())?,
        host: fields.host,
        process: fields.process,
        process_started: fields.process_started,
        request: fields.request,
    })
}

/// The image of a build record, by digest: `kind: Build`, `image: registry/name@sha256:…`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BuildFields {
    kind: Option<String>,
    build_id: Option<String>,
    image: Option<String>,
    tag: Option<String>,
    inputs: Option<String>,
}

impl HasKind for BuildFields {
    fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }
}

/// What others need of a build record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildImage {
    pub build_id: Option<String>,
    /// `registry/name@sha256:…`
    pub image: String,
    /// The tag that was pushed besides.
    pub tag: Option<String>,
    /// A digest of everything beside the commit that the image depends on.
    pub inputs: Option<String>,
}

/// Writes a build record.
#[must_use]
pub fn encode_build(record: &BuildRecord) -> String {
    message("Build")
        .text("build_id", Some(&record.id()))
        .text("deployment", Some(record.deployment.as_str()))
        .text("component", Some(record.component.as_str()))
        .text("target", Some(record.target.as_str()))
        .text("git_sha", Some(record.commit.as_str()))
        .text("image", Some(&record.image))
        .text("tag", record.tag.as_deref())
        .text("inputs", Some(&record.inputs))
        .text("builder", Some(&record.builder))
        .text("engine", Some(&record.engine))
        .text("built_by", Some(&record.built_by))
        .time("timestamp", Some(record.timestamp))
        .text("run_id", Some(&record.run_id))
        .finish()
}

/// Reads a build record.
pub fn decode_build(message: &[u8]) -> Result<BuildImage, CodecError> {
    let (fields, _) = read::<BuildFields>(message, "Build")?;
    match fields.image {
        Some(image) if image.contains("@sha256:") => {
            let BuildFields { build_id, tag, inputs, .. } = fields;
            Ok(BuildImage { build_id, image, tag, inputs })
        }
        image => Err(field("image", &image.unwrap_or_default())),
    }
}

fn time(name: &'static str, text: Option<&str>) -> Result<Option<Timestamp>, CodecError> {
    text.map(|text| text.trim().parse().map_err(|_| field(name, text))).transpose()
}

fn field(field: &'static str, value: &str) -> CodecError {
    CodecError::Field { field, value: value.chars().take(80).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(message: &str) -> Result<Record, CodecError> {
        let (deployment, target, component) =
            ("payment-service".parse().unwrap(), "prod".parse().unwrap(), "api".parse().unwrap());
        let found = Found {
            deployment: &deployment,
            target: &target,
            component: &component,
            timestamp: "2025-01-22T10:30:00Z".parse().unwrap(),
            commit: "a".repeat(40).parse().unwrap(),
        };
        decode_record(message.as_bytes(), found)
    }

    #[test]
    fn every_example_of_the_specification_reads() {
        let git_tracking = "atmos.tools/v1alpha1\nkind: Deployment\n---\ndeployment: payment-service\ntarget: prod\n\
            component: api\ndeployed_by: ci@example.com\nbuild_id: abc123\ngit_sha: abc123def456789\n\
            timestamp: 2025-01-22T10:30:00Z\nstatus: success\nmetadata:\n  pr: \"#482\"\n  jira: PROJ-123\n  \
            approver: user@example.com\nrollback_of: null\n";
        let record = decode(git_tracking).unwrap();
        assert_eq!(record.deployed_by.as_deref(), Some("ci@example.com"));
        assert_eq!(record.metadata["pr"], "#482");
        assert_eq!(record.rollback_of, None);
        assert_eq!(record.commit.as_str(), "a".repeat(40), "a short id gives way to the tag's target");

        let promoted = decode(
            "atmos.tools/v1alpha1\nkind: Deployment\n---\ndeployment: payment-service\ntarget: prod\ncomponent: api\n\
            timestamp: 2025-01-22T12:00:00Z\nstatus: success\npromoted_from: staging  # Source target\n\
            promoted_at: 2025-01-22T12:00:00Z\nmetadata:\n  approval_timestamp: 2025-01-22T11:55:00Z\n",
        )
        .unwrap();
        assert_eq!(promoted.promoted_from.unwrap().as_str(), "staging");
        assert_eq!(promoted.metadata["approval_timestamp"], "2025-01-22T11:55:00Z");

        // What the specification's own code writes: the kind once more inside the YAML.
        let doubled =
            "atmos.tools/v1alpha1\nkind: Deployment\n---\nkind: Deployment\ndeployment: x\nstatus: failed\n";
        assert_eq!(decode(doubled).unwrap().status, RecordStatus::Failed);
    }

    #[test]
    fn line_ends_blank_lines_and_signatures_do_not_matter() {
        let message = "\r\natmos.tools/v1alpha1\r\nkind: Deployment\r\n---\r\nstatus: success\r\nmetadata:\r\n  \
            why: |\r\n    one\r\n\r\n    two\r\n-----BEGIN SSH SIGNATURE-----\nU1NI\n-----END SSH SIGNATURE-----\n";
        assert_eq!(decode(message).unwrap().metadata["why"], "one\n\ntwo\n");
    }

    #[test]
    fn numbers_that_are_not_meant_as_numbers_stay_text() {
        let record =
            decode("atmos.tools/v1alpha1\nkind: Deployment\n---\nbuild_id: 12e4567\nrollback_of: 0123456\n");
        let record = record.unwrap();
        assert_eq!(record.build_id.as_deref(), Some("12e4567"));
        assert_eq!(record.rollback_of.as_deref(), Some("0123456"));
    }

    #[test]
    fn unknown_fields_are_kept() {
        let record =
            decode("atmos.tools/v1alpha1\nkind: Deployment\n---\nstatus: success\nregion: [eu, us]\n")
                .unwrap();
        assert_eq!(record.unknown["region"], serde_json::json!(["eu", "us"]));
    }

    #[test]
    fn what_is_no_record_of_ours_is_told_apart() {
        assert_eq!(decode("v1.2.3\n"), Err(CodecError::NotARecord));
        assert_eq!(
            decode("atmos.tools/v9\nkind: Deployment\n---\n"),
            Err(CodecError::UnknownVersion("atmos.tools/v9".to_owned()))
        );
        assert!(matches!(
            decode("atmos.tools/v1alpha1\nkind: Release\n---\n"),
            Err(CodecError::WrongKind { .. })
        ));
        assert!(matches!(
            decode("atmos.tools/v1alpha1\nkind: Deployment\n---\na: &a [x]\nb: [*a, *a]\n"),
            Err(CodecError::Yaml(_))
        ));
        assert!(matches!(
            decode("atmos.tools/v1alpha1\nkind: Deployment\n---\nstatus: exploded\n"),
            Err(CodecError::Field { field: "status", .. })
        ));
    }

    proptest::proptest! {
        #[test]
        fn a_record_reads_back_as_it_was_written(
            by in proptest::option::of(".*"),
            metadata in proptest::collection::btree_map("[a-z_]{1,12}", ".*", 0..4),
            sequence in 0..3_usize,
        ) {
            let status = [RecordStatus::Success, RecordStatus::Failed, RecordStatus::Cancelled][sequence];
            let mut record = decode("atmos.tools/v1alpha1\nkind: Deployment\n---\nstatus: success\n").unwrap();
            record.deployed_by = by;
            record.metadata = metadata;
            record.status = status;
            record.promoted_at = Some(record.timestamp);
            proptest::prop_assert_eq!(decode(&encode_record(&record)), Ok(record));
        }

        #[test]
        fn no_message_whatsoever_is_a_panic(message in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = decode_lock(&message);
            let _ = decode_build(&message);
        }
    }
}
