//! The sticky comment: found by a hidden marker, edited in place, written once.

use std::time::Duration;

use async_trait::async_trait;

use super::error::ProviderError;
use crate::deployment::DeploymentName;

/// The most pages of comments to search.
const MOST_PAGES: u32 = 300;

/// The most retries after a comment vanished or a response was lost.
const MOST_ROUNDS: u32 = 3;

/// A comment of which there is one per deployment and change request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickyComment {
    marker: String,
    body: String,
}

impl StickyComment {
    /// The room to leave for the marker in a platform's [limit](super::Platform::comment_limit).
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

/// The result of posting a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Posted {
    Created,
    Edited,
    /// The comment had the same text already.
    Unchanged,
}

/// A comment on the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostedComment {
    pub id: u64,
    pub posted: Posted,
    /// Its address, if the platform gives one.
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

/// Edits the comment with the marker, or creates it. `pause` is the delay before searching for a
/// comment whose response was lost.
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
                    // Platforms trim stored comments.
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
                // The response names the author reliably.
                author = written.author.clone().or(author);
                if !is_second(comments, comment, &written, &mut author).await {
                    return Ok(written.posted(posted));
                }
                // Lost race: edit the other job's comment in the next round.
                round += 1;
            }
            Ok(written) => return Ok(written.posted(posted)),
            // Race: it was deleted meanwhile, or created with a lost response. Search again.
            Err(error) if round < MOST_ROUNDS && (vanished(&error) || error.may_have_happened()) => {
                tokio::time::sleep(pause).await;
                round += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Race: whether another job created the comment first. If so, deletes the one just created. Both
/// jobs see the same order, so exactly one comment stays.
async fn is_second(
    comments: &impl Comments,
    comment: &StickyComment,
    written: &Comment,
    author: &mut Option<String>,
) -> bool {
    match find(comments, &comment.marker, author).await {
        Ok(Some(found)) if found.first.id != written.id => is_gone(comments.delete(written.id).await),
        // An error is ignored: the comment exists, and the next run removes duplicates.
        Ok(_) | Err(_) => false,
    }
}

/// Whether a comment is gone. The job that created the first one may have deleted it as well.
fn is_gone(deleted: Result<(), ProviderError>) -> bool {
    deleted.map_or_else(|error| error.is_not_found(), |()| true)
}

/// Our comments with the marker, on the page of the first.
struct Found {
    first: Comment,
    /// Duplicates, after a lost response or of two jobs at once.
    seconds: Vec<u64>,
}

impl Found {
    /// Deletes the duplicates. The next run retries failures.
    async fn take_back_seconds(&self, comments: &impl Comments) {
        for second in &self.seconds {
            if let Err(error) = comments.delete(*second).await {
                tracing::debug!(%error, second, "a second comment stays");
            }
        }
    }
}

/// Finds our own comments that begin with the marker. Comments of other authors with a copied
/// marker are never edited or deleted. `author` is the token's account, fetched on first use.
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
