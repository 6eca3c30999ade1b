//! Fetches the ledger's refs into the mirror: exact prefixes, no other tags, and
//! no more history than is needed.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::deployment::ref_names::{
    LATEST_PREFIX, LEDGER_PREFIX, LOCK_PREFIX, MIRROR_PREFIX, NOTES_PREFIX, RECORD_TAG_PREFIX, RULES_PREFIX,
    STATE_PREFIX, TAGS_PREFIX, notes_ref,
};
use crate::deployment::{CommitId, DeploymentName, ObjectId};
use crate::git::GitError;
use crate::git::damage::Damage;
use crate::git::transport::{FetchOptions, FetchReport};

use super::backoff::backoff;
use super::heard::Part;
use super::namespaces::SHOWN;
use super::refs::mirror_of;
use super::warnings::Cause;
use super::{Ledger, LedgerError, Scope};

/// The timeout of a fetch where a stale mirror can be shown instead.
const TIMEOUT_WITH_A_MIRROR: Duration = Duration::from_secs(5);
/// The timeout of a fetch where nothing is mirrored yet.
const TIMEOUT_WITHOUT_MIRROR: Duration = Duration::from_mins(2);

/// The most retries of a fetch that loses races against other processes of this checkout.
const FETCHES: u32 = 6;

/// Messages of git about refs that another process locked or changed during the fetch. A remote
/// that lists a ref while writing it can list the null object.
const WRITTEN_MEANWHILE: [&str; 4] =
    ["cannot lock ref", "unable to resolve reference", "but expected", "not our ref 0000000"];

/// Retries a fetch while other processes, here or on the remote, write the same refs.
fn again_while_locked<T>(fetch: impl Fn() -> Result<T, GitError>) -> Result<T, GitError> {
    let mut attempt = 0;
    loop {
        match fetch() {
            Err(error) if attempt < FETCHES && is_written_meanwhile(&error) => {
                std::thread::sleep(backoff(attempt));
                attempt += 1;
            }
            result => return result,
        }
    }
}

fn is_written_meanwhile(error: &GitError) -> bool {
    match error {
        GitError::Failed { stderr, .. } => {
            // A retry does not help where only the user can remove the obstacle.
            error.way_out().is_none() && WRITTEN_MEANWHILE.iter().any(|text| stderr.contains(text))
        }
        error => error.is_briefly_locked(),
    }
}

/// The freshness of the mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshness {
    /// The remote has just been asked, or there is no remote.
    Current,
    /// The network was not to be used; with the time of the last fetch, where known.
    Offline { since: Option<Timestamp> },
    /// The remote could not be asked, or something is damaged; with the time of the last fetch,
    /// where known, and the reason.
    Stale {
        since: Option<Timestamp>,
        reason: String,
        /// Whether the cause is in this checkout, and not on the remote.
        here: bool,
        /// The user's remedy: the condition under which it is right, and the command.
        way_out: Option<(&'static str, String)>,
        damage: Option<Damage>,
    },
}

/// The options of a refresh, beside states, newest records and locks.
struct Wanted<'w> {
    scope: &'w Scope,
    /// The namespaces of notes.
    notes: &'w [&'w str],
    /// The refs to exclude, because their values are known.
    known: &'w [String],
    /// Whether the commit whose rules bind is fetched as well.
    rules: bool,
}

/// The result of fetching the remote's history tags.
#[derive(Debug, Default)]
pub(super) struct ToldTags {
    pub(super) report: FetchReport,
    /// The remote's objects of tags that differ here or could not be stored, by their refs.
    pub(super) not_here: BTreeMap<String, ObjectId>,
}

impl Ledger<'_> {
    /// Fetches states, newest records and locks into the mirror. An unreachable remote is not an
    /// error: the returned [`Freshness`] says how stale the mirror is.
    pub fn refresh(&self, scope: &Scope) -> Freshness {
        self.refresh_and(scope, &[], false)
    }

    /// [`Self::refresh`] that also fetches the commit whose promotion rules
    /// bind: [`Ledger::rules_commit`].
    pub fn refresh_with_rules(&self, scope: &Scope) -> Freshness {
        self.refresh_and(scope, &[], true)
    }

    /// [`Self::refresh`] that also fetches observations of health and drift.
    pub fn refresh_with_observations(&self, scope: &Scope) -> Freshness {
        self.refresh_and(scope, &SHOWN, false)
    }

    /// [`Self::refresh`] of everything that reports read: states, observations and holds,
    /// and the commit whose rules bind.
    pub fn refresh_for_reports(&self, scope: &Scope) -> Freshness {
        self.refresh_and(scope, &SHOWN, true)
    }

    fn refresh_and(&self, scope: &Scope, notes: &[&str], rules: bool) -> Freshness {
        self.binding.set(false);
        let part = Part::states(scope);
        let Some(remote) = self.reachable_remote() else { return self.refresh_nothing(&part) };
        match self.fetch_states(remote, &Wanted { scope, notes, known: &[], rules }, self.patience(&part)) {
            Ok(()) => {
                for (name, leads_to) in &*self.symbolic_there.borrow() {
                    let warning = format!("{name} on {remote} is symbolic: it is what {leads_to} is");
                    self.warn_of(Cause::Ref, warning);
                }
                Freshness::Current
            }
            Err(error) => self.stale(&error, &part),
        }
    }

    /// The freshness of a part for which no remote is asked.
    pub(super) fn refresh_nothing(&self, part: &Part) -> Freshness {
        match self.remote() {
            Some(_) => Freshness::Offline { since: self.heard(part) },
            None => Freshness::Current,
        }
    }

    /// The freshness of a part after its fetch failed.
    pub(super) fn stale(&self, error: &GitError, part: &Part) -> Freshness {
        let here = error.is_of_this_checkout();
        let (since, damage, way_out) = (self.heard(part), error.damage(), error.way_out());
        Freshness::Stale { since, reason: error.to_string(), here, way_out, damage }
    }

    /// The timeout for fetching a part: shorter where a stale copy can be shown instead.
    fn patience(&self, part: &Part) -> Duration {
        if self.heard(part).is_some() { TIMEOUT_WITH_A_MIRROR } else { TIMEOUT_WITHOUT_MIRROR }
    }

    /// Fetches states, newest records, locks and the commit whose rules bind, or fails: decisions
    /// must not be made on a stale mirror.
    ///
    /// Reads of the history must then reach the remote as well, until the next
    /// [`Self::refresh`]. Where the code has a remote of its own, [`Ledger::rules_commit`]
    /// reports whether that answered.
    ///
    /// # Errors
    ///
    /// Fails where the remote does not answer within
    /// [`LedgerOptions::write_limit`](super::LedgerOptions), or where one of the refs is symbolic
    /// on it.
    pub fn refresh_or_fail(&self, scope: &Scope) -> Result<(), LedgerError> {
        self.refresh_without(scope, &[])
    }

    /// [`Self::refresh_or_fail`] without the commit whose rules bind.
    ///
    /// # Errors
    ///
    /// As [`Self::refresh_or_fail`].
    pub fn refresh_states_or_fail(&self, scope: &Scope) -> Result<(), LedgerError> {
        self.insist_on(&Wanted { scope, notes: &[], known: &[], rules: false })
    }

    /// [`Self::refresh_or_fail`] without refs that this process has just written, and so knows.
    pub(super) fn refresh_without(&self, scope: &Scope, known: &[String]) -> Result<(), LedgerError> {
        self.insist_on_history();
        self.insist_on(&Wanted { scope, notes: &[], known, rules: true })
    }

    /// Makes reads of the history fail from now on where the remote does not answer, because
    /// decisions depend on them. [`Self::refresh`] resets that.
    pub fn insist_on_history(&self) {
        self.binding.set(true);
    }

    fn insist_on(&self, wanted: &Wanted<'_>) -> Result<(), LedgerError> {
        match self.reachable_remote() {
            Some(remote) => {
                self.fetch_states(remote, wanted, self.options.write_limit)?;
                Ok(self.refuse_symbolic(remote, |name| wanted.scope.has(name))?)
            }
            None => Ok(()),
        }
    }

    fn fetch_states(&self, remote: &str, wanted: &Wanted<'_>, limit: Duration) -> Result<(), GitError> {
        let &Wanted { scope, notes, known, rules } = wanted;
        let mut refspecs: Vec<_> = known.iter().map(|name| format!("^{name}")).collect();
        for namespace in notes {
            let name = match scope.deployment() {
                // With a star, because a namespace that does not exist yet is not an error.
                Some(deployment) => format!("{}*", notes_ref(deployment, namespace)),
                None => format!("{NOTES_PREFIX}*/{namespace}"),
            };
            refspecs.push(format!("+{name}:{}", mirror_of(remote, &name)));
        }
        for namespace in [STATE_PREFIX, LATEST_PREFIX, LOCK_PREFIX] {
            for prefix in scope.prefixes() {
                let name = format!("{namespace}{prefix}*");
                refspecs.push(format!("+{name}:{}", mirror_of(remote, &name)));
            }
        }
        let options = FetchOptions { limit: Some(limit), ..self.fetch_options() };
        let pruning = FetchOptions { prune: true, ..options.clone() };
        if rules && self.reachable_code_remote() == Some(remote) {
            self.fetch_with_rules(remote, &refspecs, &pruning)?;
        } else {
            self.fetch(remote, &refspecs, &pruning)?;
            if rules {
                self.fetch_rules_apart(&options);
            }
        }
        self.answered.set(true);
        self.note_heard(&Part::states(scope));
        Ok(())
    }

    /// Fetches the history tags below these prefixes (`<deployment>/<target>/…/`) and reports which
    /// of them the remote has; `None` where no remote is asked. Tags are never overwritten.
    pub(super) fn fetch_tags(&self, prefixes: &[String]) -> Result<Option<ToldTags>, GitError> {
        let Some(remote) = self.reachable_remote() else { return Ok(None) };
        let names: Vec<_> =
            prefixes.iter().map(|prefix| format!("{TAGS_PREFIX}{RECORD_TAG_PREFIX}{prefix}")).collect();
        let refspecs: Vec<_> = names.iter().map(|name| format!("{name}*:{name}*")).collect();
        let part = Part::history(prefixes);
        let limit = Some(if self.binding.get() { self.options.write_limit } else { self.patience(&part) });
        let options = FetchOptions { limit, ..self.fetch_options() };
        let git = self.repository.git();
        let report = again_while_locked(|| {
            self.keeping_history(&options, || git.fetch_tags(remote, &refspecs, &options))
        })?;
        self.note_heard(&part);
        let mut told = ToldTags { report, not_here: BTreeMap::new() };
        let FetchReport { differing, unstored, way_out, .. } = &told.report;
        if let Some((when, command)) = way_out {
            self.warn(format!("records of {remote} cannot be kept in this checkout"));
            self.warn(format!("{when}: {command}"));
        }
        if !differing.is_empty() || !unstored.is_empty() {
            let is_other = |name: &str| {
                let tag = name.strip_prefix(TAGS_PREFIX).unwrap_or_default();
                differing.contains(tag) || unstored.contains(tag)
            };
            let there = git.remote_refs_below(remote, &names, limit)?.into_iter();
            told.not_here =
                there.filter(|found| is_other(&found.name)).map(|found| (found.name, found.object)).collect();
        }
        Ok(Some(told))
    }

    /// Fetches one namespace of a deployment's notes into the mirror.
    pub(super) fn fetch_notes(&self, deployment: &DeploymentName, namespace: &str) -> Result<(), GitError> {
        let Some(remote) = self.reachable_remote() else { return Ok(()) };
        let name = notes_ref(deployment, namespace);
        // With a star, because a namespace that does not exist yet is not an error.
        let refspec = format!("+{name}*:{}*", mirror_of(remote, &name));
        // Pruned, so that the mirror does not keep notes that the remote has deleted.
        let limit = Some(self.options.write_limit);
        let options = FetchOptions { prune: true, limit, ..FetchOptions::default() };
        self.fetch(remote, &[refspec], &options)?;
        self.note_heard(&Part::notes(deployment, namespace));
        Ok(())
    }

    /// Fetches refs below a name prefix to the same names, without a mirror.
    pub(super) fn fetch_prefix(&self, prefix: &str) -> Result<(), GitError> {
        let Some(remote) = self.reachable_remote() else { return Ok(()) };
        self.fetch(remote, &[format!("{prefix}*:{prefix}*")], &self.fetch_options())
    }

    /// Fetches a commit by its full id.
    ///
    /// # Errors
    ///
    /// Fails where the remote does not answer or does not have the commit. Offline nothing is
    /// fetched, and that is no error.
    pub fn fetch_commit(&self, commit: &CommitId) -> Result<(), GitError> {
        let Some(remote) = self.reachable_remote() else { return Ok(()) };
        self.fetch(remote, &[commit.to_string()], &self.fetch_options())
    }

    /// Unshallows the history of these commits, which must be here. Returns whether it is complete.
    ///
    /// # Errors
    ///
    /// Fails where a commit is missing here, or where the remote does not answer.
    pub fn complete_history(&self, commits: &[CommitId]) -> Result<bool, GitError> {
        let missing = self.repository.history_ends(commits)?;
        let Some(remote) = self.reachable_remote() else { return Ok(missing.is_empty()) };
        if missing.is_empty() {
            return Ok(true);
        }
        // The remote has the commits at the shallow boundary: they were fetched from it.
        let wanted: Vec<_> = missing.iter().map(ToString::to_string).collect();
        let options = FetchOptions { unshallow: true, ..FetchOptions::default() };
        self.fetch(remote, &wanted, &options)?;
        Ok(self.repository.history_ends(commits)?.is_empty())
    }

    /// Fetches without cutting off history that a shallow checkout has.
    pub(super) fn fetch(
        &self,
        remote: &str,
        refspecs: &[String],
        options: &FetchOptions,
    ) -> Result<(), GitError> {
        // Removed first: the fetch would write through a symbolic ref to the ref that it leads to.
        let own = [format!("{MIRROR_PREFIX}{remote}/"), RULES_PREFIX.to_owned()];
        self.repository.remove_symbolic_refs(&own)?;
        let symbolic = again_while_locked(|| {
            self.keeping_history(options, || self.repository.git().fetch(remote, refspecs, options))
        })?;
        let is_ours = |name: &String| name.starts_with(LEDGER_PREFIX) || name.starts_with(NOTES_PREFIX);
        let symbolic = symbolic.into_iter().filter(|(name, _)| is_ours(name));
        self.symbolic_there.borrow_mut().extend(symbolic);
        Ok(())
    }

    /// Refuses refs that are symbolic on the remote: a push would
    /// change the refs that they lead to.
    pub(super) fn refuse_symbolic(
        &self,
        remote: &str,
        is_meant: impl Fn(&str) -> bool,
    ) -> Result<(), GitError> {
        let symbolic = self.symbolic_there.borrow();
        let Some((name, leads_to)) = symbolic.iter().find(|(name, _)| is_meant(name)) else { return Ok(()) };
        let (name, leads_to) = (name.clone(), leads_to.clone());
        Err(GitError::SymbolicRef { remote: remote.to_owned(), name, leads_to })
    }

    /// Leaves a shallow checkout the history that it has before a fetch with these options.
    fn keeping_history<T>(&self, options: &FetchOptions, fetch: impl FnOnce() -> T) -> T {
        let moves_ends = options.depth.is_some() || options.deepen.is_some() || options.unshallow;
        let ends = moves_ends.then(|| self.repository.shallow_commits());
        let result = fetch();
        if let Some(Err(error)) = ends.map(|ends| self.repository.restore_history(&ends)) {
            self.warn(format!("this shallow checkout has lost some of its history: {error}"));
        }
        result
    }

    /// Fetch options that keep a checkout's depth: one commit deep where it is shallow, as in CI.
    pub(super) fn fetch_options(&self) -> FetchOptions {
        FetchOptions { depth: self.repository.is_shallow().then_some(1), ..FetchOptions::default() }
    }
}
