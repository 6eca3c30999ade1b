//! Fetching and pushing, through the executable, with whatever credentials git is configured with.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::deployment::ObjectId;
use crate::deployment::ref_names::TAGS_PREFIX;

use super::error::GitError;
use super::process::{Git, Output};
use super::refs::Ref;
use super::rejection::{Rejection, rejections};
use super::repository::parse_id;
use super::symbolic::{self, SymbolicRefs};

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

/// What git says of a ref that it could not write here.
const UNSTORED: &str = "(unable to update local ref)";

/// How the names of the ledger's tags start.
const LEDGER: &str = "atmos/";

/// What a fetch says of the refs that it asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FetchReport {
    /// Tags that are here as the remote has them, without `refs/tags/`.
    pub agreed: BTreeSet<String>,
    /// Tags that are other objects here than on the remote.
    pub differing: BTreeSet<String>,
    /// Tags that could not be made here, because another ref is in their way.
    pub unstored: BTreeSet<String>,
    /// What the user can do about that: when it is right, and the command.
    pub way_out: Option<(&'static str, String)>,
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
    /// Fetches exactly these refspecs: no tags besides, nothing written to `FETCH_HEAD`, no
    /// maintenance. Returns which of the remote's refs are symbolic, as far as its server tells.
    ///
    /// # Errors
    ///
    /// Where git fails.
    pub fn fetch(
        &self,
        remote: &str,
        refspecs: &[String],
        options: &FetchOptions,
    ) -> Result<SymbolicRefs, GitError> {
        self.locking(&written_by(refspecs), || {
            let (symbolic, output) = self.run_fetch("--quiet", remote, refspecs, options)?;
            if fetched(&output, options) {
                return Ok(symbolic);
            }
            Err(fetch_failed(output.status.code(), output.stderr))
        })
    }

    /// Fetches tags, which are never overwritten, and says which of them the remote has.
    ///
    /// # Errors
    ///
    /// As [`Self::fetch`]. A tag that differs, or that another ref is in the way of, is none: the
    /// report names it.
    pub fn fetch_tags(
        &self,
        remote: &str,
        refspecs: &[String],
        options: &FetchOptions,
    ) -> Result<FetchReport, GitError> {
        // In full: names that are the same on both sides would be written once otherwise.
        let git = self.with_setting("fetch.output=full");
        self.locking(&written_by(refspecs), || {
            let (_, output) = git.run_fetch("--verbose", remote, refspecs, options)?;
            let mut report = fetch_report(&output.stderr);
            if fetched(&output, options) || (!complains(&output.stderr) && !report.differing.is_empty()) {
                return Ok(report);
            }
            let said = output.stderr.lines().filter(|line| reported(line).is_none());
            let failed = fetch_failed(output.status.code(), said.collect::<Vec<_>>().join("\n"));
            report.way_out = failed.way_out();
            if report.unstored.is_empty() || report.way_out.is_none() { Err(failed) } else { Ok(report) }
        })
    }

    /// Runs a fetch: which of the remote's refs are symbolic, and what git printed besides.
    fn run_fetch(
        &self,
        verbosity: &str,
        remote: &str,
        refspecs: &[String],
        options: &FetchOptions,
    ) -> Result<(SymbolicRefs, Output), GitError> {
        let mut invocation = self
            .verb("fetch")
            .env_unless_set(symbolic::TRACE, "1")
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
        let asked_by = self.asked_by(remote)?;
        let mut output = invocation.limit(options.limit).arg("--").arg(&*asked_by).args(refspecs).output()?;
        let (symbolic, stderr) = symbolic::told_in(&output.stderr);
        output.stderr = stderr;
        Ok((symbolic, output))
    }

    /// What a remote has under exactly these names.
    ///
    /// # Errors
    ///
    /// [`GitError::SymbolicRef`] where one of them is symbolic there.
    pub fn remote_refs(
        &self,
        remote: &str,
        names: &[String],
        limit: Option<Duration>,
    ) -> Result<Vec<Ref>, GitError> {
        let asked_by = self.asked_by(remote)?;
        let invocation = self.verb("ls-remote").args(["--refs", "--symref", "--", &asked_by]).args(names);
        let output = invocation.limit(limit).run()?;
        let text = String::from_utf8_lossy(&output);
        // Git lists names that end so as well.
        let is_wanted = |name: &str| names.iter().any(|wanted| wanted == name);
        let mut symbolic = text.lines().filter_map(symbolic::listed);
        if let Some((name, leads_to)) = symbolic.find(|(name, _)| is_wanted(name)) {
            let (name, leads_to) = (name.to_owned(), leads_to.to_owned());
            return Err(GitError::SymbolicRef { remote: remote.to_owned(), name, leads_to });
        }
        let lines = text.lines().filter(|line| symbolic::listed(line).is_none());
        refs_listed(lines, is_wanted)
    }

    /// What a remote has below these prefixes of names.
    ///
    /// # Errors
    ///
    /// Where the remote does not answer.
    pub fn remote_refs_below(
        &self,
        remote: &str,
        prefixes: &[String],
        limit: Option<Duration>,
    ) -> Result<Vec<Ref>, GitError> {
        let asked_by = self.asked_by(remote)?;
        let patterns = prefixes.iter().map(|prefix| format!("{prefix}*"));
        let output =
            self.verb("ls-remote").args(["--refs", "--", &asked_by]).args(patterns).limit(limit).run()?;
        let text = String::from_utf8_lossy(&output);
        refs_listed(text.lines(), |name| prefixes.iter().any(|prefix| name.starts_with(prefix.as_str())))
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
        let asked_by = self.asked_by(remote)?;
        let output = self.verb("ls-remote").args([option, "--", &asked_by]).limit(limit).run()?;
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
    ///
    /// # Errors
    ///
    /// Where git fails without naming a ref, or the remote stands for several places.
    pub fn push(
        &self,
        remote: &str,
        updates: &[PushUpdate],
        atomic: bool,
        limit: Option<Duration>,
    ) -> Result<PushOutcome, GitError> {
        self.insist_on_one_address(remote)?;
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
            // A mirror clone (`git clone --mirror`) pushes everything, or nothing by name.
            .with_setting(&format!("remote.{remote}.mirror=false"))
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

/// The refs that a fetch writes: the right sides of its refspecs.
fn written_by(refspecs: &[String]) -> Vec<&str> {
    refspecs.iter().filter_map(|refspec| Some(refspec.split_once(':')?.1)).collect()
}

fn complains(stderr: &str) -> bool {
    stderr.lines().any(|line| line.starts_with("fatal: ") || line.starts_with("error: "))
}

fn fetch_failed(code: Option<i32>, stderr: String) -> GitError {
    GitError::Failed { verb: "fetch".to_owned(), code, stderr }
}

/// The refs that lines of `ls-remote` list and that are wanted.
fn refs_listed<'t>(
    lines: impl Iterator<Item = &'t str>,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Ref>, GitError> {
    let lines = lines.filter_map(|line| line.split_once('\t')).filter(|(_, name)| is_wanted(name));
    lines
        .map(|(object, name)| Ok(Ref { name: name.to_owned(), object: parse_id("ls-remote", object)? }))
        .collect()
}

/// What `git fetch --verbose` says of its refs.
fn fetch_report(stderr: &str) -> FetchReport {
    let mut report = FetchReport::default();
    for line in stderr.lines() {
        let Some((flag, name)) = reported(line) else { continue };
        let names = match flag {
            '!' if line.ends_with(UNSTORED) => &mut report.unstored,
            '!' => &mut report.differing,
            _ => &mut report.agreed,
        };
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
            \u{20}! [rejected]        atmos/a/3 -> atmos/a/3  (would clobber existing tag)\n\
            \u{20}! [new tag]         atmos/a/4 -> atmos/a/4  (unable to update local ref)\nwarning: x -> y\n";
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let expected = FetchReport {
            agreed: names(&["atmos/a/1", "atmos/a/2"]),
            differing: names(&["atmos/a/3"]),
            unstored: names(&["atmos/a/4"]),
            way_out: None,
        };
        assert_eq!(fetch_report(stderr), expected);
    }
}
