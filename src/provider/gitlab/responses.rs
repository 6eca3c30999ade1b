//! GitLab's responses, limited to the used fields.

use jiff::Timestamp;
use serde::Deserialize;

use crate::provider::comment::Comment;

#[derive(Deserialize)]
pub(super) struct Note {
    pub(super) id: u64,
    pub(super) body: String,
    pub(super) author: User,
}

impl From<Note> for Comment {
    fn from(note: Note) -> Self {
        Self { id: note.id, body: note.body, url: None, author: Some(note.author.username) }
    }
}

#[derive(Deserialize)]
pub(super) struct User {
    pub(super) username: String,
}

#[derive(Deserialize)]
pub(super) struct Deployment {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) sha: String,
    #[serde(default)]
    pub(super) status: String,
    /// The job that deploys; absent where the API made the record.
    #[serde(default)]
    pub(super) deployable: Option<Deployable>,
    /// Only in a deployment's own answer.
    #[serde(default)]
    pub(super) approvals: Vec<Approval>,
}

#[derive(Deserialize)]
pub(super) struct Deployable {
    pub(super) id: u64,
}

#[derive(Deserialize)]
pub(super) struct Approval {
    pub(super) user: User,
    pub(super) status: String,
    #[serde(default)]
    pub(super) created_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) comment: Option<String>,
}
