//! Fetching and pushing, through the executable, with whatever credentials git is configured with.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::deployment::ObjectId;
use crate::deployment::ref_names::TAGS_PREFIX;

use super::process::{Git, GitError, Output};
use super::refs::Ref;
use super::rejection::{Rejection, rejections};
use super::repository::parse_id;

/// How to fetch.
#[derive(Debug, Clone, Default)]
pub struct FetchOptions {
    /// Delete what the refspecs' right sides hold and the remote does not have.
    pub prune: bool,
    /// Fetch only so many commits of each history.
    pub depth: Option<u32>,
    /// Fetch so many commits more of each history that was fetched in part.
    pub deepen: Option<u32>,
    /// Fetch the whole history of what was fetched in part.
    pub unshallow: bool,
    /// Give up after this time.
    pub limit: Option<Duration>,
}

/// Which refs of a remote are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TipKind {
    Branches,
    Tags,
}

/// How the names of the ledger's tags start.
const LEDGER: &str = "atmos/";

/// What a fetch says of the refs that it asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FetchReport {
    /// Tags that are here as the remote has them, without `refs/tags/`.
    pub agreed: BTreeSet<String>,
    /// Tags that are other objects here than on the remote.
    pub differing: BTreeSet<String>,
}

/// One ref to push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushUpdate {
    /// The full name, the same on both sides.
    pub name: String,
    /// The new value; `None` deletes the ref.
    pub new: Option<ObjectId>,
    /// What the remote must have; `None` means that it must not have the ref.
    pub expected: Option<ObjectId>,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushOutcome {
    Accepted,
    /// The remote did not take some refs: each with why.
    Rejected(Vec<(String, Rejection)>),
    /// The server cannot push atomically; nothing was changed.
    AtomicUnsupported,
}

impl Git {
    /// Fetches exactly these refspecs: no tags besides, nothing written to `FETCH_HEAD`, no maintenance.
    pub fn fetch(&self, remote: &str, refspecs: &[String], options: &FetchOptions) -> Result<(), GitError> {
        let output = self.run_fetch("--quiet", remote, refspecs, options)?;
        if fetched(&output, options) {
            return Ok(());
        }
        Err(fetch_failed(output.status.code(), output.stderr))
    }

    /// Fetches tags, which are never overwritten, and says which of them the remote has.
    ///
    /// # Errors
    ///
    /// As [`Self::fetch`]. A tag that differs is none: the report names it.
    pub fn fetch_tags(
        &self,
        remote: &str,
        refspecs: &[String],
        options: &FetchOptions,
    ) -> Result<FetchReport, GitError> {
        // In full: names that are the same on both sides would be written once otherwise.
        let git = self.with_setting("fetch.output=full");
        let output = git.run_fetch("--verbose", remote, refspecs, options)?;
        let report = fetch_report(&output.stderr);
        if fetched(&output, options) || (!complains(&output.stderr) && !report.differing.is_empty()) {
            return Ok(report);
        }
        let said = output.stderr.lines().filter(|line| reported(line).is_none());
        Err(fetch_failed(output.status.code(), said.collect::<Vec<_>>().join("\n")))
    }

    fn run_fetch(
        &self,
        verbosity: &str,
        remote: &str,
        refspecs: &[String],
        options: &FetchOptions,
    ) -> Result<Output, GitError> {
        let mut invocation = self
            .verb("fetch")
            .args([verbosity, "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"])
            .args(["--no-recurse-submodules", "--refmap="]);
        if options.prune {
            invocation = invocation.arg("--prune");
        }
        if let Some(depth) = options.depth {
            invocation = invocation.arg(format!("--depth={depth}"));
        }
        if let Some(commits) = options.deepen {
            invocation = invocation.arg(format!("--deepen={commits}"));
        }
        if options.unshallow {
            invocation = invocation.arg("--unshallow");
        }
        invocation.limit(options.limit).arg("--").arg(remote).args(refspecs).output()
    }

    /// What a remote has under exactly these names.
    pub fn remote_refs(
        &self,
        remote: &str,
        names: &[String],
        limit: Option<Duration>,
    ) -> Result<Vec<Ref>, GitError> {
        let invocation = self.verb("ls-remote").args(["--refs", "--", remote]).args(names);
        let output = invocation.limit(limit).run()?;
        let text = String::from_utf8_lossy(&output);
        let lines = text.lines().filter_map(|line| line.split_once('\t'));
        // Git lists names that end so as well.
        let wanted = lines.filter(|(_, name)| names.iter().any(|wanted| wanted == name));
        wanted
            .map(|(object, name)| Ok(Ref { name: name.to_owned(), object: parse_id("ls-remote", object)? }))
            .collect()
    }

    /// What a remote's branches, or its tags, lead to, by their names: of an annotated tag, what it
    /// points at. The ledger's tags are none of the repository's.
    ///
    /// # Errors
    ///
    /// Fails where the remote does not answer.
    pub fn remote_tips(
        &self,
        remote: &str,
        kind: TipKind,
        limit: Option<Duration>,
    ) -> Result<BTreeMap<String, ObjectId>, GitError> {
        // Servers of version 2 of the protocol send nothing else then.
        let (option, prefix) = match kind {
            TipKind::Branches => ("--heads", "refs/heads/"),
            TipKind::Tags => ("--tags", TAGS_PREFIX),
        };
        let output = self.verb("ls-remote").args([option, "--", remote]).limit(limit).run()?;
        let text = String::from_utf8_lossy(&output);
        let lines = text.lines().filter_map(|line| line.split_once('\t'));
        let mut tips = BTreeMap::new();
        for (object, name) in lines {
            let Some(own) = name.strip_prefix(prefix).filter(|name| !name.starts_with(LEDGER)) else {
                continue;
            };
            // What a tag points at comes after it.
            let name = own.strip_suffix("^{}").unwrap_or(own);
            tips.insert(name.to_owned(), parse_id("ls-remote", object)?);
        }
        Ok(tips)
    }

    /// Pushes with a lease on every ref; atomically, unless the caller gives that up.
    pub fn push(
        &self,
        remote: &str,
        updates: &[PushUpdate],
        atomic: bool,
        limit: Option<Duration>,
    ) -> Result<PushOutcome, GitError> {
        let leases = updates.iter().map(|update| {
            let expected = update.expected.as_ref().map_or("", |id| id.as_str());
            format!("--force-with-lease={}:{expected}", update.name)
        });
        // No `+`: it would switch the lease off.
        let refspecs = updates
            .iter()
            .map(|update| format!("{}:{}", update.new.as_ref().map_or("", |id| id.as_str()), update.name));
        let output = self
            // Where the checkout's own refspecs cover them, git sets refs here after a push, which
            // it may find locked: by who pushes, to set them as well. No push need wait for that.
            .with_setting("core.filesRefLockTimeout=0")
            .verb("push")
            .args([
                "--porcelain",
                "--no-verify",
                "--no-follow-tags",
                "--no-signed",
                "--recurse-submodules=no",
            ])
            .args(atomic.then_some("--atomic"))
            .args(leases)
            .limit(limit)
            .arg("--")
            .arg(remote)
            .args(refspecs)
            .output()?;
        if output.status.success() {
            return Ok(PushOutcome::Accepted);
        }
        if output.stderr.contains("does not support --atomic") {
            return Ok(PushOutcome::AtomicUnsupported);
        }
        let rejected = rejections(&String::from_utf8_lossy(&output.stdout), &output.stderr);
        if rejected.is_empty() {
            return Err(GitError::Failed {
                verb: "push".to_owned(),
                code: output.status.code(),
                stderr: output.stderr,
            });
        }
        Ok(PushOutcome::Rejected(rejected))
    }
}

/// Whether a fetch has worked. With a depth, git calls it a failure, without a word, that no ref
/// matched. What it traces is no word.
fn fetched(output: &Output, options: &FetchOptions) -> bool {
    output.status.success()
        || (options.depth.is_some()
            && !complains(&output.stderr)
            && fetch_report(&output.stderr).differing.is_empty())
}

fn complains(stderr: &str) -> bool {
    stderr.lines().any(|line| line.starts_with("fatal: ") || line.starts_with("error: "))
}

fn fetch_failed(code: Option<i32>, stderr: String) -> GitError {
    GitError::Failed { verb: "fetch".to_owned(), code, stderr }
}

/// What `git fetch --verbose` says of its refs.
fn fetch_report(stderr: &str) -> FetchReport {
    let mut report = FetchReport::default();
    for (flag, name) in stderr.lines().filter_map(reported) {
        let names = if flag == '!' { &mut report.differing } else { &mut report.agreed };
        names.insert(name.to_owned());
    }
    report
}

/// A line of `git fetch --verbose`: a blank, a flag, a blank, what was done, the ref there, `->`,
/// the ref here, and why not in brackets.
fn reported(line: &str) -> Option<(char, &str)> {
    let (done, here) = line.split_once(" -> ")?;
    let mut done = done.strip_prefix(' ')?.chars();
    let flag = done.next().filter(|flag| "=*!+t ".contains(*flag))?;
    (done.next() == Some(' ')).then_some(())?;
    Some((flag, here.split_whitespace().next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verbose_fetch_tells_what_agrees_and_what_differs() {
        let stderr = "From file:///remote\n = [up to date]      atmos/a/1 -> atmos/a/1\n\
            \u{20}* [new tag]         atmos/a/2                 -> atmos/a/2\n\
            \u{20}! [rejected]        atmos/a/3 -> atmos/a/3  (would clobber existing tag)\nwarning: x -> y\n";
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let expected =
            FetchReport { agreed: names(&["atmos/a/1", "atmos/a/2"]), differing: names(&["atmos/a/3"]) };
        assert_eq!(fetch_report(stderr), expected);
    }
}
