//! The ref that follow-up runs use: a branch or tag that this repository has.

use super::payload::Payload;
use super::reference::Reference;
use crate::deployment::change_request::ChangeRequest;

/// The base of a pull request, whichever event is about it; else the branch or tag of the run, else
/// the default branch.
///
/// Never the head of a pull request, which may be another repository's, and never the branch of a
/// merge queue, which is gone once it has merged.
pub(super) fn reference<'v>(
    variable: &impl Fn(&str) -> Option<&'v str>,
    payload: &Payload,
    reference: Reference<'_>,
    request: Option<&ChangeRequest>,
) -> Option<String> {
    let of_request = request.and_then(|request| request.base.as_deref()).or(variable("GITHUB_BASE_REF"));
    let of_group = payload.merge_group.as_ref().and_then(|group| group.base_ref.as_deref());
    let of_group = of_group.map(|base| base.strip_prefix("refs/heads/").unwrap_or(base));
    let of_run = match reference {
        Reference::Branch(name) if name.starts_with("gh-readonly-queue/") => None,
        Reference::Branch(name) | Reference::Tag(name) => Some(name),
        Reference::PullRequest(_) | Reference::Other => None,
    };
    of_request.or(of_group).or(of_run).or_else(|| payload.default_branch()).map(str::to_owned)
}
