//! Signed tags, written by git itself, which knows every kind of signature and its configuration.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::deployment::ObjectId;

use super::error::GitError;
use super::repository::{Repository, parse_id};

/// An annotated tag of a commit that is about to be written.
#[derive(Debug, Clone, Copy)]
pub struct NewTag<'t> {
    pub commit: &'t ObjectId,
    /// Without `refs/tags/`.
    pub name: &'t str,
    /// Byte for byte.
    pub message: &'t str,
    /// Name and mail of the tagger.
    pub tagger: (&'t str, &'t str),
    /// In seconds since 1970.
    pub time: i64,
}

impl Repository {
    /// Writes a signed annotated tag, by `gpg.format` and `user.signingKey`, and returns its id.
    ///
    /// No ref is created here: git runs in a temporary repository that shares the objects.
    ///
    /// # Errors
    ///
    /// Fails where git cannot sign within `limit`: no key, no signing program, a prompt without a
    /// terminal.
    pub fn write_signed_tag(&self, tag: NewTag<'_>, limit: Duration) -> Result<ObjectId, GitError> {
        let folder = tempfile::tempdir()?;
        make_repository(folder.path(), tag.commit)?;
        // Includes this repository's configuration.
        let include = format!("include.path={}", self.common_dir().join("config").display());
        let git = self.git().elsewhere(folder.path(), &self.common_dir().join("objects"), vec![include]);
        let (name, mail) = tag.tagger;
        git.verb("tag")
            .args(["--sign", "--cleanup=verbatim", "--file=-", "--", tag.name, tag.commit.as_str()])
            .env("GIT_COMMITTER_NAME", name)
            .env("GIT_COMMITTER_EMAIL", mail)
            .env("GIT_COMMITTER_DATE", format!("@{} +0000", tag.time))
            .input(tag.message.as_bytes().to_vec())
            .limit(Some(limit))
            .run()?;
        let id = fs::read_to_string(folder.path().join("refs/tags").join(tag.name))?;
        let id = parse_id("tag", &id)?;
        // Kept against `git gc`, because no ref leads to it here.
        if let Err(error) = self.keep_object(&id) {
            tracing::debug!(%error, "a signed tag is not kept");
        }
        Ok(id)
    }
}

/// An empty bare repository for objects of this kind, with refs in files.
fn make_repository(folder: &Path, object: &ObjectId) -> io::Result<()> {
    fs::create_dir_all(folder.join("refs/tags"))?;
    fs::write(folder.join("HEAD"), "ref: refs/heads/main\n")?;
    let config = if object.as_str().len() == 64 {
        "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n"
    } else {
        "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
    };
    fs::write(folder.join("config"), config)
}
