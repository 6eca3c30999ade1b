//! Messages of deployment records. `docs/ledger.md` has the table of all fields.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::deployment::commit::is_abbreviated_id;
use crate::deployment::record::{Record, RecordDetails, RecordStatus};
use crate::deployment::{CommitId, ComponentKind, ComponentName, DeploymentName, ObjectId, TargetName};

use super::canonical::Entry;
use super::{CodecError, HasKind, field, message, parse, read, time};

/// The fields of a deployment record, as text; missing fields stay absent.
///
/// A wrong type drops only the field itself, except in the fields of the first version.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct RecordFields {
    kind: Option<String>,
    component_type: Option<String>,
    deployed_by: Option<String>,
    build_id: Option<String>,
    timestamp: Option<String>,
    #[serde(deserialize_with = "lenient_number")]
    number: Option<u64>,
    status: Option<String>,
    error: Option<String>,
    #[serde(deserialize_with = "lenient_number")]
    duration_seconds: Option<u64>,
    promoted_from: Option<String>,
    promoted_at: Option<String>,
    rollback_of: Option<String>,
    previous: Option<String>,
    run_id: Option<String>,
    run_url: Option<String>,
    digest: Option<String>,
    rules: Option<String>,
    #[serde(deserialize_with = "lenient_list")]
    approvals: Vec<String>,
    approvals_of: Option<String>,
    #[serde(rename = "override")]
    gate_override: Option<String>,
    reason: Option<String>,
    #[serde(deserialize_with = "lenient_texts")]
    context_overrides: BTreeMap<String, String>,
    #[serde(deserialize_with = "read_texts")]
    artifacts: BTreeMap<String, String>,
    #[serde(deserialize_with = "lenient_texts")]
    sources: BTreeMap<String, String>,
    workspace: Option<String>,
    stack: Option<String>,
    late_of: Option<String>,
    published_by: Option<String>,
    original: Option<String>,
    retired: Option<String>,
    renamed_from: Option<String>,
    imported_from: Option<String>,
    repository: Option<String>,
    #[serde(deserialize_with = "read_texts")]
    metadata: BTreeMap<String, String>,
}

/// Fields whose wrong type makes a record unreadable: those of the first version of the format.
const STRICT: [&str; 13] = [
    "kind",
    "component_type",
    "deployed_by",
    "build_id",
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

impl HasKind for RecordFields {
    fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    fn from_canonical(entries: Vec<(&str, Entry<'_>)>) -> Option<Self> {
        let mut fields = Self::default();
        for (key, entry) in entries {
            match (key, entry) {
                // Fields that the tag's name and target already state.
                ("deployment" | "target" | "component" | "git_sha", Entry::Text(_)) => {}
                ("number", Entry::Number(number)) => fields.number = Some(number),
                ("duration_seconds", Entry::Number(seconds)) => fields.duration_seconds = Some(seconds),
                ("approvals", Entry::List(list)) => {
                    fields.approvals = list.into_iter().map(Cow::into_owned).collect();
                }
                (key, Entry::Map(map)) => *fields.map(key)? = texts(map),
                (key, Entry::Text(text)) => *fields.text(key)? = Some(text.into_owned()),
                (_, Entry::Number(_) | Entry::List(_)) => return None,
            }
        }
        Some(fields)
    }

    fn from_values(values: Map<String, Value>) -> Option<Self> {
        let mut fields = Self::default();
        for (key, value) in values {
            match key.as_str() {
                "number" => fields.number = value.as_u64(),
                "duration_seconds" => fields.duration_seconds = value.as_u64(),
                "approvals" => fields.approvals = list(value),
                key => {
                    if let Some(map) = fields.map(key) {
                        if !matches!(value, Value::Object(_) | Value::Null) && STRICT.contains(&key) {
                            return None;
                        }
                        *map = text_map(value);
                    } else if let Some(text) = fields.text(key) {
                        if matches!(value, Value::Object(_) | Value::Array(_)) && STRICT.contains(&key) {
                            return None;
                        }
                        *text = scalar_text(value);
                    }
                }
            }
        }
        Some(fields)
    }
}

impl RecordFields {
    /// The field of this name, where it is a text.
    fn text(&mut self, key: &str) -> Option<&mut Option<String>> {
        Some(match key {
            "kind" => &mut self.kind,
            "component_type" => &mut self.component_type,
            "deployed_by" => &mut self.deployed_by,
            "build_id" => &mut self.build_id,
            "timestamp" => &mut self.timestamp,
            "status" => &mut self.status,
            "error" => &mut self.error,
            "promoted_from" => &mut self.promoted_from,
            "promoted_at" => &mut self.promoted_at,
            "rollback_of" => &mut self.rollback_of,
            "previous" => &mut self.previous,
            "run_id" => &mut self.run_id,
            "run_url" => &mut self.run_url,
            "digest" => &mut self.digest,
            "rules" => &mut self.rules,
            "approvals_of" => &mut self.approvals_of,
            "override" => &mut self.gate_override,
            "reason" => &mut self.reason,
            "workspace" => &mut self.workspace,
            "stack" => &mut self.stack,
            "late_of" => &mut self.late_of,
            "published_by" => &mut self.published_by,
            "original" => &mut self.original,
            "retired" => &mut self.retired,
            "renamed_from" => &mut self.renamed_from,
            "imported_from" => &mut self.imported_from,
            "repository" => &mut self.repository,
            _ => return None,
        })
    }

    /// The field of this name, where it is a mapping of texts.
    fn map(&mut self, key: &str) -> Option<&mut BTreeMap<String, String>> {
        Some(match key {
            "context_overrides" => &mut self.context_overrides,
            "artifacts" => &mut self.artifacts,
            "sources" => &mut self.sources,
            "metadata" => &mut self.metadata,
            _ => return None,
        })
    }
}

fn texts(map: Vec<(&str, Cow<'_, str>)>) -> BTreeMap<String, String> {
    map.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect()
}

/// Reads a mapping of texts, which may be left empty.
fn read_texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let map = Option::<BTreeMap<String, Text>>::deserialize(deserializer)?;
    Ok(map.unwrap_or_default().into_iter().map(|(key, Text(value))| (key, value)).collect())
}

/// A value that should be a string; any other type is converted to one.
#[derive(Debug)]
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(text_of(Value::deserialize(deserializer)?)))
    }
}

fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Reads a mapping of texts; any other type reads as an empty one.
fn lenient_texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    Value::deserialize(deserializer).map(text_map)
}

fn text_map(value: Value) -> BTreeMap<String, String> {
    match value {
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, text_of(value))).collect(),
        _ => BTreeMap::new(),
    }
}

/// Reads a whole number; any other type reads as absent.
fn lenient_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_u64())
}

/// Reads a list of texts; a single text reads as a list of one, any other type as an empty list.
fn lenient_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Value::deserialize(deserializer).map(list)
}

fn list(value: Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.into_iter().filter_map(scalar_text).collect(),
        value => scalar_text(value).into_iter().collect(),
    }
}

/// A scalar as text.
fn scalar_text(value: Value) -> Option<String> {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        scalar => Some(text_of(scalar)),
    }
}

/// The keys of [`RecordFields`] and those that the tag's name and target already say.
const KNOWN_KEYS: [&str; 38] = [
    "kind",
    "deployment",
    "target",
    "component",
    "component_type",
    "deployed_by",
    "build_id",
    "git_sha",
    "timestamp",
    "number",
    "status",
    "error",
    "duration_seconds",
    "promoted_from",
    "promoted_at",
    "rollback_of",
    "previous",
    "run_id",
    "run_url",
    "digest",
    "rules",
    "approvals",
    "approvals_of",
    "override",
    "reason",
    "context_overrides",
    "artifacts",
    "sources",
    "workspace",
    "stack",
    "late_of",
    "published_by",
    "original",
    "retired",
    "renamed_from",
    "imported_from",
    "repository",
    "metadata",
];

/// The identity of a record by its tag. The tag's name and target are authoritative for these
/// values: plain git commands show them, and a message cannot claim others.
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
    let details = &record.details;
    message("Deployment")
        .text("deployment", Some(record.deployment.as_str()))
        .text("target", Some(record.target.as_str()))
        .text("component", Some(record.component.as_str()))
        .text("component_type", record.component_type.map(ComponentKind::as_str))
        .text("deployed_by", record.deployed_by.as_deref())
        .text("build_id", record.build_id.as_deref())
        .text("git_sha", Some(record.commit.as_str()))
        .time("timestamp", Some(record.timestamp))
        .number("number", details.number)
        .text("status", Some(record.status.as_str()))
        .text("error", details.error.as_deref())
        .number("duration_seconds", details.duration_seconds)
        .text("promoted_from", record.promoted_from.as_ref().map(TargetName::as_str))
        .time("promoted_at", record.promoted_at)
        .text("rollback_of", record.rollback_of.as_deref())
        .text("previous", record.previous.as_ref().map(ObjectId::as_str))
        .text("run_id", record.run_id.as_deref())
        .text("run_url", details.run_url.as_deref())
        .text("digest", details.digest.as_deref())
        .text("rules", details.rules.as_deref())
        .list("approvals", &details.approvals)
        .text("approvals_of", details.approvals_of.as_deref())
        .text("override", details.gate_override.as_deref())
        .text("reason", details.reason.as_deref())
        .map("context_overrides", &record.context_overrides)
        .map("artifacts", &record.artifacts)
        .map("sources", &record.sources)
        .text("workspace", details.workspace.as_deref())
        .text("stack", details.stack.as_deref())
        .text("late_of", details.late_of.as_deref())
        .text("published_by", details.published_by.as_deref())
        .block("original", details.original.as_deref())
        .text("retired", details.retired.as_deref())
        .text("renamed_from", details.renamed_from.as_deref())
        .text("imported_from", details.imported_from.as_deref())
        .text("repository", details.repository.as_deref())
        .map("metadata", &record.metadata)
        .finish()
}

/// Reads a deployment record.
///
/// # Errors
///
/// Fails where the message is not of a deployment record that this version can read.
pub fn decode_record(message: &[u8], found: Found<'_>) -> Result<Record, CodecError> {
    let (fields, rest) = read::<RecordFields>(message, "Deployment")?;
    let status = match fields.status.as_deref() {
        // The specification's own command writes a status; a record without one
        // was made by hand after the fact.
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
            // The value of a script that had none to write.
            .filter(|name| !name.is_empty())
            .map(|name| name.parse().map_err(|_| field("promoted_from", &name)))
            .transpose()?,
        promoted_at: time("promoted_at", fields.promoted_at.as_deref())?,
        rollback_of: fields
            .rollback_of
            .filter(|left| is_abbreviated_id(left))
            .map(|left| left.to_ascii_lowercase()),
        previous: fields.previous.and_then(|id| id.parse().ok()),
        run_id: fields.run_id,
        artifacts: fields.artifacts,
        sources: fields.sources,
        context_overrides: fields.context_overrides,
        metadata: fields.metadata,
        details: RecordDetails {
            number: fields.number,
            error: fields.error,
            duration_seconds: fields.duration_seconds,
            run_url: fields.run_url,
            digest: fields.digest,
            rules: fields.rules,
            approvals: fields.approvals,
            approvals_of: fields.approvals_of,
            gate_override: fields.gate_override,
            reason: fields.reason,
            workspace: fields.workspace,
            stack: fields.stack,
            late_of: fields.late_of,
            published_by: fields.published_by,
            original: fields.original,
            retired: fields.retired,
            renamed_from: fields.renamed_from,
            imported_from: fields.imported_from,
            repository: fields.repository,
        },
        unknown: rest.as_deref().map(unknown_fields).unwrap_or_default(),
    })
}

/// The fields of a record that this version does not know. Searched only where a top-level key is
/// unknown.
fn unknown_fields(body: &str) -> Map<String, Value> {
    let is_unknown = |line: &str| {
        !line.starts_with([' ', '\t', '#', '-', '}', '{'])
            && line.split_once(':').is_some_and(|(key, _)| !KNOWN_KEYS.contains(&key.trim_matches('"')))
    };
    if !body.lines().any(is_unknown) {
        return Map::new();
    }
    let mut all: Map<String, Value> = parse(body).unwrap_or_default();
    all.retain(|key, _| !KNOWN_KEYS.contains(&key.as_str()));
    all
}
