//! Fetch, ls-remote and push through git's executable, which uses the configured credentials.

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

/// The options of a fetch.
#[derive(Debug, Clone, Default)]
pub struct FetchOptions {
    /// Delete local refs under the refspecs' destinations that the remote does not have.
    pub prune: bool,
    /// Fetch only this many commits of each history.
    pub depth: Option<u32>,
    /// Deepen shallow histories by this many commits.
    pub deepen: Option<u32>,
    /// Fetch shallow histories completely.
    pub unshallow: bool,
    /// The timeout.
    pub limit: Option<Duration>,
}

/// The kind of a remote's refs to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TipKind {
    Branches,
    Tags,
}

/// Git's message for a ref that it could not write locally.
const UNSTORED: &str = "(unable to update local ref)";

/// The prefix of the ledger's tags.
const LEDGER: &str = "atmos/";

/// The result of fetching tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FetchReport {
    /// Tags that are the same here and on the remote, without `refs/tags/`.
    pub agreed: BTreeSet<String>,
    /// Tags that are other objects here than on the remote.
    pub differing: BTreeSet<String>,
    /// Tags that could not be written here, because another ref is in their way (`a` and `a/b`).
    pub unstored: BTreeSet<String>,
    /// A remedy for the user: its condition, and the command.
    pub way_out: Option<(&'static str, String)>,
}

/// One ref to push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushUpdate {
    /// The full name, the same on both sides.
    pub name: String,
    /// The new value; `None` deletes the ref.
    pub new: Option<ObjectId>,
    /// The lease: the expected old value on the remote; `None` requires that the ref is absent.
    pub expected: Option<ObjectId>,
}

/// The result of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushOutcome {
    Accepted,
    /// The remote rejected these refs.
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
    /// Fails where git cannot reach the remote, lacks a ref there, or cannot write one here.
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

    /// Fetches tags, never overwriting any, and reports which of them the remote has.
    ///
    /// # Errors
    ///
    /// As [`Self::fetch`]. A tag that differs or cannot be stored is no error: the report names it.
    pub fn fetch_tags(
        &self,
        remote: &str,
        refspecs: &[String],
        options: &FetchOptions,
    ) -> Result<FetchReport, GitError> {
        // The compact format would print names that are the same on both sides only once.
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

    /// Runs a fetch. Returns the remote's symbolic refs, and git's other output.
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

    /// Lists a remote's refs of exactly these names.
    ///
    /// # Errors
    ///
    /// [`GitError::SymbolicRef`] where one of them is symbolic on the remote; otherwise where it
    /// does not answer within `limit`.
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
        // Git matches patterns at the end of names as well.
        let is_wanted = |name: &str| names.iter().any(|wanted| wanted == name);
        let mut symbolic = text.lines().filter_map(symbolic::listed);
        if let Some((name, leads_to)) = symbolic.find(|(name, _)| is_wanted(name)) {
            let (name, leads_to) = (name.to_owned(), leads_to.to_owned());
            return Err(GitError::SymbolicRef { remote: remote.to_owned(), name, leads_to });
        }
        let lines = text.lines().filter(|line| symbolic::listed(line).is_none());
        refs_listed(lines, is_wanted)
    }

    /// Lists a remote's refs below these prefixes.
    ///
    /// # Errors
    ///
    /// Fails where the remote does not answer within `limit`.
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

    /// Lists a remote's branches or tags with their objects; annotated tags are peeled. The
    /// ledger's own tags are left out.
    ///
    /// # Errors
    ///
    /// Fails where the remote does not answer within `limit`.
    pub fn remote_tips(
        &self,
        remote: &str,
        kind: TipKind,
        limit: Option<Duration>,
    ) -> Result<BTreeMap<String, ObjectId>, GitError> {
        // With version 2 of the protocol, servers send only these refs.
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
            // The peeled object follows its tag and replaces it in the map.
            let name = own.strip_suffix("^{}").unwrap_or(own);
            tips.insert(name.to_owned(), parse_id("ls-remote", object)?);
        }
        Ok(tips)
    }

    /// Pushes with a lease on every ref (compare-and-swap), as one transaction if `atomic`.
    ///
    /// # Errors
    ///
    /// Fails where git fails without naming a ref (no connection, no permission, a timeout), or
    /// where the remote has several push addresses.
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
        // No `+`: it would disable the lease.
        let refspecs = updates
            .iter()
            .map(|update| format!("{}:{}", update.new.as_ref().map_or("", |id| id.as_str()), update.name));
        let output = self
            // If the checkout's own refspecs cover the pushed refs, git updates them here after the
            // push. The caller may hold their locks to do the same, so git must not wait for them.
            .with_setting("core.filesRefLockTimeout=0")
            // In a mirror clone (`git clone --mirror`) git refuses to push single refs.
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

/// Whether a fetch has succeeded. With a depth, git fails without a message if no ref matched.
fn fetched(output: &Output, options: &FetchOptions) -> bool {
    output.status.success()
        || (options.depth.is_some()
            && !complains(&output.stderr)
            && fetch_report(&output.stderr).differing.is_empty())
}

/// The refs that a fetch writes: the destinations of its refspecs.
fn written_by(refspecs: &[String]) -> Vec<&str> {
    refspecs.iter().filter_map(|refspec| Some(refspec.split_once(':')?.1)).collect()
}

fn complains(stderr: &str) -> bool {
    stderr.lines().any(|line| line.starts_with("fatal: ") || line.starts_with("error: "))
}

fn fetch_failed(code: Option<i32>, stderr: String) -> GitError {
    GitError::Failed { verb: "fetch".to_owned(), code, stderr }
}

/// The wanted refs of the lines of `ls-remote`.
fn refs_listed<'t>(
    lines: impl Iterator<Item = &'t str>,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Ref>, GitError> {
    let lines = lines.filter_map(|line| line.split_once('\t')).filter(|(_, name)| is_wanted(name));
    lines
        .map(|(object, name)| Ok(Ref { name: name.to_owned(), object: parse_id("ls-remote", object)? }))
        .collect()
}

/// Parses the output of `git fetch --verbose`.
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

/// Parses a line of `git fetch --verbose`: ` <flag> <summary> <remote
/// ref> -> <local ref> (<reason>)`.
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
