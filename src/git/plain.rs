//! Parsing of git's own files without git: plain names of refs and plain object ids.

use std::io;

use crate::deployment::ObjectId;

/// A case that is not handled here. Git handles it, or reports the error.
#[derive(Debug)]
pub(super) struct Unusual;

impl From<io::Error> for Unusual {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// Whether a ref matches a prefix: it has this name, or is below it.
pub(super) fn is_asked_for(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/'))
}

/// The name of a ref, where it is a valid one.
pub(super) fn plain_name(name: &str) -> Result<&str, Unusual> {
    // No name of these characters is forbidden, and they cover nearly all names.
    let is_harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'%');
    let is_simple = |name: &str| {
        let mut segments = name.as_bytes().split(|byte| *byte == b'/');
        segments.all(|segment| !segment.is_empty() && segment.iter().copied().all(is_harmless))
    };
    Some(name)
        .filter(|name| (name.contains('/') && is_simple(name)) || git2::Reference::is_valid_name(name))
        .ok_or(Unusual)
}

/// The object that a ref points at.
pub(super) fn plain_id(text: &[u8]) -> Result<ObjectId, Unusual> {
    let text = std::str::from_utf8(text).map_err(|_| Unusual)?;
    // Zeros stand for no object at all, which git calls a broken ref.
    if text.bytes().all(|byte| byte == b'0') {
        return Err(Unusual);
    }
    text.parse().map_err(|_| Unusual)
}
