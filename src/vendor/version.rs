//! Versions of sources: exact ones, ranges, and refs.

use semver::{Version, VersionReq};

use super::error::VendorError;
use crate::deployment::CommitId;
use crate::deployment::nearest::nearest;
use crate::git::foreign::{ForeignRefs, full_id};

/// The wanted version of a git source.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// A tag or branch by its name, or a commit.
    Reference(String),
    /// A tag of this version, with or without `v`.
    Exact(String),
    /// The newest tag in a range.
    Range(VersionReq, String),
}

/// The commit that a wish leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The tag, branch or commit, as people name it.
    pub version: String,
    /// The name to fetch it by.
    pub name: String,
    pub commit: CommitId,
}

impl Wish {
    /// The wish of a declaration; `reference` is the `?ref=` of its source. The error is what is
    /// wrong, with a hint.
    pub fn read(reference: Option<&str>, version: Option<&str>) -> Result<Self, (String, &'static str)> {
        match (reference, version) {
            (Some(reference), Some(version)) if bare(reference) != bare(version) => Err((
                format!("the version is {version}, and the source says ref={reference}"),
                "leave one of them out, or write ref={{.Version}}",
            )),
            (Some(reference), _) => Ok(Self::Reference(reference.to_owned())),
            (None, Some(version)) if is_range(version) => match requirement(version) {
                Some(range) => Ok(Self::Range(range, version.to_owned())),
                None => Err((
                    format!("the version {version:?} is no range"),
                    "write a version, ~> 1.2, ^1.2, or bounds such as >= 1.2, < 2",
                )),
            },
            (None, Some(version)) if full_id(version).is_some() => Ok(Self::Reference(version.to_owned())),
            (None, Some(version)) => Ok(Self::Exact(version.to_owned())),
            (None, None) => Err((
                "the source has no version".to_owned(),
                "write a version, or ?ref= with a tag, a branch or a commit",
            )),
        }
    }

    /// As declared.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Reference(text) | Self::Exact(text) | Self::Range(_, text) => text,
        }
    }

    /// Finds the commit among the refs of a repository.
    ///
    /// # Errors
    ///
    /// Fails where there is none, or more than one.
    pub fn find(&self, refs: &ForeignRefs, place: &str) -> Result<Found, VendorError> {
        let missing =
            |message: String, hint: String| VendorError::Source { place: place.to_owned(), message, hint };
        let tag = |name: &str| {
            let commit = refs.tags.get(name)?.clone();
            Some(Found { version: name.to_owned(), name: format!("refs/tags/{name}"), commit })
        };
        match self {
            Self::Reference(text) => {
                if let Some(commit) = full_id(text) {
                    return Ok(Found { version: text.clone(), name: commit.to_string(), commit });
                }
                let short = text.trim_start_matches("refs/tags/").trim_start_matches("refs/heads/");
                let branch = refs.branches.get(short).map(|commit| Found {
                    version: short.to_owned(),
                    name: format!("refs/heads/{short}"),
                    commit: commit.clone(),
                });
                let (tag, branch) = (
                    tag(short).filter(|_| !text.starts_with("refs/heads/")),
                    branch.filter(|_| !text.starts_with("refs/tags/")),
                );
                match (tag, branch) {
                    (Some(tag), Some(branch)) if tag.commit != branch.commit => Err(missing(
                        format!("{text} is a tag and a branch, at different commits"),
                        format!("write ref=refs/tags/{text} or ref=refs/heads/{text}"),
                    )),
                    (Some(found), _) | (None, Some(found)) => Ok(found),
                    (None, None) => Err(missing(
                        format!("there is no tag or branch {text}"),
                        suggestion(text, refs.tags.keys().chain(refs.branches.keys())),
                    )),
                }
            }
            Self::Exact(version) => {
                let plain = bare(version);
                match (tag(plain), tag(&format!("v{plain}"))) {
                    (Some(one), Some(other)) if one.commit != other.commit => Err(missing(
                        format!("the tags {plain} and v{plain} are different commits"),
                        "write which one it is, as ?ref= in the source".to_owned(),
                    )),
                    (_, Some(found)) if version.starts_with('v') => Ok(found),
                    (Some(found), _) | (None, Some(found)) => Ok(found),
                    (None, None) => Err(missing(
                        format!("there is no tag {plain} or v{plain}"),
                        suggestion(version, refs.tags.keys()),
                    )),
                }
            }
            Self::Range(range, text) => {
                let versions =
                    refs.tags.keys().filter_map(|name| Some((Version::parse(bare(name)).ok()?, name)));
                let newest = versions.filter(|(version, _)| range.matches(version)).max();
                newest.and_then(|(_, name)| tag(name)).ok_or_else(|| {
                    missing(format!("no tag is a version of {text}"), suggestion("", refs.tags.keys()))
                })
            }
        }
    }
}

/// A version without its `v`.
fn bare(version: &str) -> &str {
    let rest = version.strip_prefix('v').unwrap_or(version);
    if rest.starts_with(|first: char| first.is_ascii_digit()) { rest } else { version }
}

/// The tags that there are.
fn suggestion<'n>(wanted: &str, names: impl Iterator<Item = &'n String>) -> String {
    let names: Vec<_> = names.map(String::as_str).collect();
    if let Some(near) = nearest(wanted, names.iter().copied()) {
        return format!("did you mean {near}?");
    }
    match names.as_slice() {
        [] => "the repository has no tags".to_owned(),
        names => {
            let newest = names[names.len().saturating_sub(5)..].join(", ");
            format!("there are {} of them, such as {newest}", names.len())
        }
    }
}

fn is_range(version: &str) -> bool {
    version.contains(['^', '~', '<', '>', '=', '*', ',', ' ', '|'])
        || version.split('.').any(|part| matches!(part, "x" | "X"))
}

/// A range of Cargo's or Terraform's form.
fn requirement(text: &str) -> Option<VersionReq> {
    let parts = text.split(',').map(|part| {
        let part = part.trim().replace(['x', 'X'], "*");
        let Some(rest) = part.strip_prefix("~>") else {
            let start = part.find(|c: char| c.is_alphanumeric() || c == '*')?;
            let (comparison, version) = part.split_at(start);
            return Some(format!("{comparison}{}", bare(version.trim())));
        };
        // The last number may grow.
        let rest = bare(rest.trim());
        let numbers: Option<Vec<u64>> = rest.split('.').map(|number| number.parse().ok()).collect();
        let mut above = numbers?;
        if above.len() < 2 {
            return Some(format!(">={rest}"));
        }
        above.pop();
        if let Some(last) = above.last_mut() {
            *last += 1;
        }
        let above: Vec<_> = above.iter().map(ToString::to_string).collect();
        Some(format!(">={rest}, <{}", above.join(".")))
    });
    VersionReq::parse(&parts.collect::<Option<Vec<_>>>()?.join(", ")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(digit: u8) -> CommitId {
        char::from(b'0' + digit).to_string().repeat(40).parse().unwrap()
    }

    fn refs() -> ForeignRefs {
        let named = |names: &[(&str, u8)]| {
            names.iter().map(|(name, digit)| ((*name).to_owned(), commit(*digit))).collect()
        };
        ForeignRefs {
            tags: named(&[
                ("1.2.0", 1),
                ("v1.3.5", 2),
                ("v1.10.0", 3),
                ("v2.0.0-rc.1", 4),
                ("same", 5),
                ("v9.0.0", 6),
                ("9.0.0", 7),
                ("8.0.0", 8),
                ("v8.0.0", 8),
            ]),
            branches: named(&[("main", 9), ("same", 6)]),
        }
    }

    fn found(reference: Option<&str>, version: Option<&str>) -> Result<(String, CommitId), String> {
        let wish = Wish::read(reference, version).map_err(|(message, _)| message)?;
        let found = wish.find(&refs(), "place").map_err(|error| error.to_string())?;
        Ok((found.name, found.commit))
    }

    #[test]
    fn versions_and_ranges_lead_to_one_commit() {
        let tag = |name: &str, digit| Ok((format!("refs/tags/{name}"), commit(digit)));
        assert_eq!(found(None, Some("1.2.0")), tag("1.2.0", 1));
        assert_eq!(found(None, Some("v1.2.0")), tag("1.2.0", 1));
        assert_eq!(found(None, Some("1.3.5")), tag("v1.3.5", 2));
        assert_eq!(found(None, Some("8.0.0")), tag("8.0.0", 8));
        assert_eq!(found(None, Some("v8.0.0")), tag("v8.0.0", 8));
        assert_eq!(found(None, Some("~> 1.2")), tag("v1.10.0", 3));
        assert_eq!(found(None, Some("~> 1.3.0")), tag("v1.3.5", 2));
        assert_eq!(found(None, Some("^1")), tag("v1.10.0", 3));
        assert_eq!(found(None, Some(">= 1.2, < 1.10")), tag("v1.3.5", 2));
        assert_eq!(found(None, Some("1.x")), tag("v1.10.0", 3));
        assert_eq!(found(Some("v1.3.5"), Some("1.3.5")), tag("v1.3.5", 2));
        assert_eq!(found(Some("main"), None), Ok(("refs/heads/main".to_owned(), commit(9))));
        assert_eq!(found(Some("refs/heads/same"), None), Ok(("refs/heads/same".to_owned(), commit(6))));
        assert_eq!(found(Some("refs/tags/same"), None), tag("same", 5));
        assert_eq!(found(None, Some(&"a".repeat(40))).unwrap().0, "a".repeat(40));
    }

    #[test]
    fn what_leads_to_no_commit_or_to_several_is_refused() {
        let told = |reference, version| found(reference, version).unwrap_err();
        assert_eq!(told(Some("v1"), Some("1.2")), "the version is 1.2, and the source says ref=v1");
        assert_eq!(told(None, None), "the source has no version");
        assert_eq!(told(None, Some(">= x.y.")), "the version \">= x.y.\" is no range");
        assert_eq!(told(None, Some("1.4.0")), "place: there is no tag 1.4.0 or v1.4.0");
        assert_eq!(told(None, Some("^3")), "place: no tag is a version of ^3");
        assert_eq!(told(None, Some("9.0.0")), "place: the tags 9.0.0 and v9.0.0 are different commits");
        assert_eq!(told(Some("same"), None), "place: same is a tag and a branch, at different commits");
        assert_eq!(told(Some("develop"), None), "place: there is no tag or branch develop");
    }
}
