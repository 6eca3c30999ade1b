//! Messages of build records.

use serde::Deserialize;

use crate::deployment::BuildRecord;

use super::{CodecError, HasKind, field, message, read};

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

/// The parts of a build record that other code needs.
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
///
/// # Errors
///
/// Fails where the message is no build record that this version can read, or names no image digest.
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
