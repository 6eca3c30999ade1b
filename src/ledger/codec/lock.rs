//! Messages of locks.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::deployment::ComponentName;
use crate::deployment::lock::Lock;

use super::{CodecError, HasKind, message, read, time};

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
    lease_seconds: Option<u64>,
    host: Option<String>,
    process: Option<u32>,
    process_started: Option<u64>,
    user: Option<u32>,
    session: Option<String>,
    intends: BTreeMap<String, String>,
    follows: BTreeMap<String, String>,
}

impl HasKind for LockFields {
    fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }
}

/// Writes a lock. `nonce` makes its object unique: a push of an object that the
/// remote already has would succeed.
#[must_use]
pub fn encode_lock(lock: &Lock, nonce: &str) -> String {
    message("Lock")
        .text("holder", Some(&lock.holder))
        .text("run_id", Some(&lock.run_id))
        .text("run_url", lock.run_url.as_deref())
        .text("reason", lock.reason.as_deref())
        .time("acquired_at", Some(lock.acquired_at))
        .time("expires_at", lock.expires_at)
        .number("lease_seconds", lock.lease.map(|lease| lease.as_secs()))
        .text("host", lock.host.as_deref())
        .number("process", lock.process.map(u64::from))
        .number("process_started", lock.process_started)
        .number("user", lock.user.map(u64::from))
        .text("session", lock.session.as_deref())
        .map("intends", &texts(&lock.intends))
        .map("follows", &texts(&lock.follows))
        .text("nonce", Some(nonce))
        .finish()
}

/// Reads a lock.
///
/// # Errors
///
/// Fails where the message is no lock that this version can read, or where one of its times is
/// malformed.
pub fn decode_lock(message: &[u8]) -> Result<Lock, CodecError> {
    let (fields, _) = read::<LockFields>(message, "Lock")?;
    Ok(Lock {
        holder: fields.holder.unwrap_or_else(|| "unknown".to_owned()),
        run_id: fields.run_id.unwrap_or_default(),
        run_url: fields.run_url,
        reason: fields.reason,
        acquired_at: time("acquired_at", fields.acquired_at.as_deref())?.unwrap_or(Timestamp::UNIX_EPOCH),
        expires_at: time("expires_at", fields.expires_at.as_deref())?,
        lease: fields.lease_seconds.map(Duration::from_secs),
        host: fields.host,
        process: fields.process,
        process_started: fields.process_started,
        user: fields.user,
        session: fields.session,
        intends: readable(&fields.intends),
        follows: readable(&fields.follows),
    })
}

/// The valid entries of a mapping of components.
fn readable<V: FromStr>(map: &BTreeMap<String, String>) -> BTreeMap<ComponentName, V> {
    map.iter().filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?))).collect()
}

fn texts<V: ToString>(map: &BTreeMap<ComponentName, V>) -> BTreeMap<String, String> {
    map.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}
