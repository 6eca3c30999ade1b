//! The sticky comment: found by a hidden marker, edited in place, written once.

use std::time::Duration;

use async_trait::async_trait;

use super::error::ProviderError;
use crate::deployment::DeploymentName;

/// How many pages of comments are searched.
const MOST_PAGES: u32 = 300;

/// How often the search starts anew, because a comment vanished or the answer for one was lost.
const MOST_ROUNDS: u32 = 3;

/// A comment of which there is one per deployment and change request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickyComment {
    marker: String,
    body: String,
}

impl StickyComment {
    /// How much of a platform's [limit](super::Platform::comment_limit) the marker takes at most.
    pub const MARKER_ROOM: usize = 192;

    /// The comment of a deployment. `body` is Markdown without the marker.
    #[must_use]
    pub fn new(deployment: &DeploymentName, body: &str) -> Self {
        let marker = format!("<!-- atmos-deployments: {deployment} -->");
        Self { body: format!("{marker}\n{body}"), marker }
    }

    /// The comment as it is posted.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }
}

/// What became of a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Posted {
    Created,
    Edited,
    /// It said the same already.
    Unchanged,
}

/// A comment that is on the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostedComment {
    pub id: u64,
    pub posted: Posted,
    /// Where to read it, if the platform says so.
    pub url: Option<String>,
}

/// A comment as the platform lists it.
#[derive(Debug, Clone)]
pub(super) struct Comment {
    pub id: u64,
    pub body: String,
    pub url: Option<String>,
    /// Absent where the account was deleted.
    pub author: Option<String>,
}

impl Comment {
    fn posted(self, posted: Posted) -> PostedComment {
        PostedComment { id: self.id, posted, url: self.url }
    }
}

/// One page of comments, oldest first.
pub(super) struct CommentPage {
    pub comments: Vec<Comment>,
    pub has_next: bool,
}

/// A platform's comments on one change request.
#[async_trait]
pub(super) trait Comments: Sync {
    async fn page(&self, page: u32) -> Result<CommentPage, ProviderError>;
    async fn create(&self, body: &str) -> Result<Comment, ProviderError>;
    async fn edit(&self, id: u64, body: &str) -> Result<Comment, ProviderError>;
    async fn delete(&self, id: u64) -> Result<(), ProviderError>;
    /// The account that the token acts as.
    async fn author(&self) -> Result<String, ProviderError>;
}

/// Edits the comment with the marker, or writes it. `pause` is how long a comment that was written
/// without an answer may take to appear.
pub(super) async fn put(
    comments: &impl Comments,
    comment: &StickyComment,
    pause: Duration,
) -> Result<PostedComment, ProviderError> {
    let mut author = None;
    let mut round = 1;
    loop {
        let (answer, posted) = match find(comments, &comment.marker, &mut author).await? {
            Some(found) => {
                found.take_back_seconds(comments).await;
                match found.first {
                    // Platforms trim what they keep.
                    first if first.body.trim_end() == comment.body.trim_end() => {
                        (Ok(first), Posted::Unchanged)
                    }
                    first => (comments.edit(first.id, &comment.body).await, Posted::Edited),
                }
            }
            None => (comments.create(&comment.body).await, Posted::Created),
        };
        let vanished = |error: &ProviderError| posted == Posted::Edited && error.is_not_found();
        match answer {
            Ok(written) if posted == Posted::Created && round < MOST_ROUNDS => {
                // The answer tells for certain who writes.
                author = written.author.clone().or(author);
                if !is_second(comments, comment, &written, &mut author).await {
                    return Ok(written.posted(posted));
                }
                // The other one stays, and says what this one would have.
                round += 1;
            }
            Ok(written) => return Ok(written.posted(posted)),
            // Deleted since it was found, or written without an answer: what is there now decides.
            Err(error) if round < MOST_ROUNDS && (vanished(&error) || error.may_have_happened()) => {
                tokio::time::sleep(pause).await;
                round += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether another job has written the comment at the same time, and first: then the one just
/// written is taken back. Both see the same order, so that one of them stays.
async fn is_second(
    comments: &impl Comments,
    comment: &StickyComment,
    written: &Comment,
    author: &mut Option<String>,
) -> bool {
    match find(comments, &comment.marker, author).await {
        Ok(Some(found)) if found.first.id != written.id => is_gone(comments.delete(written.id).await),
        // What was written is there, which is what matters.
        Ok(_) | Err(_) => false,
    }
}

/// Whether a comment is not there any more. The job that wrote the first one may have deleted it as
/// well.
fn is_gone(deleted: Result<(), ProviderError>) -> bool {
    deleted.map_or_else(|error| error.is_not_found(), |()| true)
}

/// Our comments with the marker, on the page of the first.
struct Found {
    first: Comment,
    /// Written because an answer was lost, or by two jobs at once.
    seconds: Vec<u64>,
}

impl Found {
    /// Deletes all but the first. One that stays is deleted by the next run.
    async fn take_back_seconds(&self, comments: &impl Comments) {
        for second in &self.seconds {
            if let Err(error) = comments.delete(*second).await {
                tracing::debug!(%error, second, "a second comment stays");
            }
        }
    }
}

/// The comments that begin with the marker and are our own: one of another author, who has copied
/// the marker, is neither edited nor deleted. `author` is who the token acts as, asked for where it
/// is needed first.
async fn find(
    comments: &impl Comments,
    marker: &str,
    author: &mut Option<String>,
) -> Result<Option<Found>, ProviderError> {
    let mut searched = 0;
    for number in 1..=MOST_PAGES {
        let CommentPage { comments: listed, has_next } = comments.page(number).await?;
        searched += listed.len();
        let candidates: Vec<_> =
            listed.into_iter().filter(|comment| comment.body.starts_with(marker)).collect();
        if !candidates.is_empty() && author.is_none() {
            *author = Some(comments.author().await?);
        }
        let mut ours =
            candidates.into_iter().filter(|comment| comment.author.is_some() && comment.author == *author);
        if let Some(first) = ours.next() {
            return Ok(Some(Found { first, seconds: ours.map(|second| second.id).collect() }));
        }
        if !has_next {
            return Ok(None);
        }
    }
    Err(ProviderError::TooManyComments { searched })
}
