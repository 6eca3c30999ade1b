//! The ref that a run is for: `GITHUB_REF`.

/// A ref by its kind, with its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reference<'v> {
    Branch(&'v str),
    Tag(&'v str),
    /// The head or the trial merge of a pull request.
    PullRequest(u64),
    /// None, or one that is neither branch nor tag.
    Other,
}

impl<'v> Reference<'v> {
    pub(super) fn read(variable: &impl Fn(&str) -> Option<&'v str>) -> Self {
        let Some(name) = variable("GITHUB_REF") else {
            return match (variable("GITHUB_REF_TYPE"), variable("GITHUB_REF_NAME")) {
                (Some("tag"), Some(name)) => Self::Tag(name),
                (Some("branch") | None, Some(name)) => Self::Branch(name),
                _ => Self::Other,
            };
        };
        if let Some(branch) = name.strip_prefix("refs/heads/") {
            return Self::Branch(branch);
        }
        if let Some(tag) = name.strip_prefix("refs/tags/") {
            return Self::Tag(tag);
        }
        let number = name.strip_prefix("refs/pull/").and_then(|rest| rest.split('/').next()?.parse().ok());
        number.map_or(Self::Other, Self::PullRequest)
    }

    pub(super) const fn branch(self) -> Option<&'v str> {
        match self {
            Self::Branch(branch) => Some(branch),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ref_is_a_branch_a_tag_a_pull_request_or_nothing_to_go_by() {
        let read = |reference: &'static str, kind: &'static str, name: &'static str| {
            Reference::read(&move |variable: &str| {
                let value = match variable {
                    "GITHUB_REF" => reference,
                    "GITHUB_REF_TYPE" => kind,
                    "GITHUB_REF_NAME" => name,
                    _ => "",
                };
                Some(value).filter(|value| !value.is_empty())
            })
        };
        assert_eq!(read("refs/heads/a/b", "tag", "x"), Reference::Branch("a/b"));
        assert_eq!(read("refs/tags/v1", "", ""), Reference::Tag("v1"));
        assert_eq!(read("refs/pull/7/merge", "branch", "7/merge"), Reference::PullRequest(7));
        assert_eq!(read("refs/notes/x", "branch", "x"), Reference::Other);
        assert_eq!(read("", "tag", "v1"), Reference::Tag("v1"));
        assert_eq!(read("", "", "main"), Reference::Branch("main"));
        assert_eq!(read("", "", ""), Reference::Other);
    }
}
