//! The commit whose promotion rules bind: the tip of the default branch of the code's remote.

use crate::deployment::CommitId;
use crate::deployment::ref_names::RULES_PREFIX;
use crate::git::GitError;
use crate::git::refs::is_branch_name;
use crate::git::transport::FetchOptions;

use super::{Ledger, LedgerError};

/// The commit whose rules bind, and how current it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RulesCommit {
    /// This process has fetched it.
    Fetched(CommitId),
    /// Stale: an earlier process has fetched it, and this one has not reached the remote.
    LastSeen(CommitId),
    /// The remote's `HEAD` points nowhere.
    NoDefaultBranch,
    /// This checkout has never fetched it.
    NeverSeen,
    /// The repository has no remote.
    NoRemote,
}

/// This process's progress in finding the branch of the rules.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// The number of candidate names that the remote does not have.
    absent: usize,
    fetched: bool,
}

impl Ledger<'_> {
    /// The commit whose rules bind, as of the last [`Ledger::refresh_with_rules`] or
    /// [`Ledger::refresh_or_fail`].
    ///
    /// # Errors
    ///
    /// Fails where refs cannot be read.
    pub fn rules_commit(&self) -> Result<RulesCommit, LedgerError> {
        let Some(remote) = self.code_remote() else { return Ok(RulesCommit::NoRemote) };
        let progress = self.rules.get();
        if progress.absent == self.rules_sources().len() {
            return Ok(RulesCommit::NoDefaultBranch);
        }
        Ok(match self.tip(&default_ref(remote))? {
            Some(commit) if progress.fetched => RulesCommit::Fetched(commit),
            Some(commit) => RulesCommit::LastSeen(commit),
            None => RulesCommit::NeverSeen,
        })
    }

    /// Fetches the tip of a branch of the code's remote; `None` where it has no such branch.
    /// Offline, as [`Ledger::last_seen_branch_tip`].
    ///
    /// # Errors
    ///
    /// Fails where the remote does not answer.
    pub fn fetch_branch_tip(&self, branch: &str) -> Result<Option<CommitId>, LedgerError> {
        let Some(remote) = self.reachable_code_remote() else { return self.last_seen_branch_tip(branch) };
        if !is_branch_name(branch) {
            return Ok(None);
        }
        let name = branch_ref(remote, branch);
        let refspec = format!("+refs/heads/{branch}:{name}");
        let options = FetchOptions { limit: Some(self.options.write_limit), ..self.fetch_options() };
        match self.fetch(remote, &[refspec], &options) {
            Ok(()) => self.tip(&name),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The last fetched tip of a branch of the code's remote; `None` where it never was fetched.
    ///
    /// # Errors
    ///
    /// Fails where refs cannot be read.
    pub fn last_seen_branch_tip(&self, branch: &str) -> Result<Option<CommitId>, LedgerError> {
        self.code_remote().map_or(Ok(None), |remote| self.tip(&branch_ref(remote, branch)))
    }

    /// Fetches refspecs and the commit whose rules bind in one exchange.
    pub(super) fn fetch_with_rules(
        &self,
        remote: &str,
        refspecs: &[String],
        options: &FetchOptions,
    ) -> Result<(), GitError> {
        let sources = self.rules_sources();
        let name = default_ref(remote);
        let mut overtaken = false;
        while let Some(source) = sources.get(self.rules.get().absent) {
            let all = [&[format!("+{source}:{name}")], refspecs].concat();
            match self.fetch(remote, &all, options) {
                Ok(()) => {
                    self.rules.set(Progress { fetched: true, ..self.rules.get() });
                    return Ok(());
                }
                Err(error) if is_absent(&error) => {
                    let absent = self.rules.get().absent + 1;
                    self.rules.set(Progress { absent, fetched: false });
                    if absent < sources.len() {
                        self.warn(format!("{remote} has no {source}: the rules are those of its HEAD"));
                    }
                }
                // Race: another process of this checkout has just written the same ref.
                Err(GitError::Failed { stderr, .. }) if !overtaken && stderr.contains(&name) => {
                    overtaken = true;
                }
                Err(error) => return Err(error),
            }
        }
        if refspecs.is_empty() { Ok(()) } else { self.fetch(remote, refspecs, options) }
    }

    /// Fetches the commit whose rules bind from a code remote that is not the ledger's. An
    /// unreachable one leaves the commit stale; the caller decides whether that is good enough.
    pub(super) fn fetch_rules_apart(&self, options: &FetchOptions) {
        let Some(remote) = self.reachable_code_remote() else { return };
        if let Err(error) = self.fetch_with_rules(remote, &[], options) {
            self.warn(format!("the promotion rules could not be fetched from {remote}: {error}"));
        }
    }

    /// The candidate names of the branch of the rules, in order.
    fn rules_sources(&self) -> Vec<String> {
        let branch = self.options.default_branch.as_deref().filter(|branch| is_branch_name(branch));
        let branch = branch.map(|branch| format!("refs/heads/{branch}"));
        branch.into_iter().chain(["HEAD".to_owned()]).collect()
    }

    /// The remote of the code; by default that of the ledger.
    #[must_use]
    pub fn code_remote(&self) -> Option<&str> {
        self.options.code_remote.as_deref().or(self.remote())
    }

    /// The remote of the code; `None` with `--offline`.
    pub(super) fn reachable_code_remote(&self) -> Option<&str> {
        self.code_remote().filter(|_| !self.options.offline)
    }

    fn tip(&self, name: &str) -> Result<Option<CommitId>, LedgerError> {
        let refs = self.repository.refs(&[name])?;
        Ok(refs.into_iter().find(|found| found.name == name).map(|found| CommitId(found.object)))
    }
}

/// Whether a fetch failed because the remote does not have a ref.
fn is_absent(error: &GitError) -> bool {
    matches!(error, GitError::Failed { stderr, .. } if stderr.contains("couldn't find remote ref"))
}

/// The local ref of the default branch's tip.
fn default_ref(remote: &str) -> String {
    format!("{RULES_PREFIX}{remote}/default")
}

/// The local ref of a branch's tip. Its name is one segment, because branches come and go, and git
/// cannot store both `a` and `a/b`.
fn branch_ref(remote: &str, branch: &str) -> String {
    format!("{RULES_PREFIX}{remote}/heads/{}", branch.replace('%', "%25").replace('/', "%2F"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Checkout, Workspace, open};
    use super::super::{Freshness, LedgerOptions, Scope};
    use super::*;

    const SHALLOW: &str = "--depth=1 --single-branch --branch=side";

    /// Refreshes with the rules, and returns their commit and the warnings.
    fn refreshed(checkout: &Checkout, set: impl FnOnce(&mut LedgerOptions)) -> (RulesCommit, Vec<String>) {
        let repository = checkout.repository();
        let ledger = open(&repository, set);
        ledger.refresh_with_rules(&Scope::All);
        (ledger.rules_commit().unwrap(), ledger.take_warnings())
    }

    fn fetched(commit: CommitId) -> (RulesCommit, Vec<String>) {
        (RulesCommit::Fetched(commit), Vec::new())
    }

    #[test]
    fn they_are_those_of_the_remote_s_head_in_every_checkout() {
        let workspace = Workspace::new();
        for clone in ["", SHALLOW, "--single-branch --branch=side", "--filter=blob:none", "--filter=tree:0"] {
            let checkout = workspace.clone(clone);
            assert_eq!(refreshed(&checkout, |_| ()), fetched(workspace.commit("main~0")), "{clone}");
            // Again, with an existing ref, and by the other refresh.
            let repository = checkout.repository();
            let ledger = open(&repository, |_| ());
            ledger.refresh_or_fail(&Scope::All).unwrap();
            assert_eq!(
                ledger.rules_commit().unwrap(),
                RulesCommit::Fetched(workspace.commit("main~0")),
                "{clone}"
            );
            checkout.git(&["fsck", "--connectivity-only"]);
        }
    }

    #[test]
    fn they_move_with_the_branch_also_backwards() {
        let workspace = Workspace::new();
        for clone in ["", SHALLOW] {
            let checkout = workspace.clone(clone);
            for commit in ["main~7", "orphan~0", "main~0"].map(|name| workspace.commit(name)) {
                workspace.remote().git(&["update-ref", "refs/heads/main", commit.as_str()]);
                assert_eq!(refreshed(&checkout, |_| ()), fetched(commit), "{clone}");
            }
        }
    }

    #[test]
    fn a_shallow_checkout_gets_one_commit_and_keeps_what_it_has() {
        let workspace = Workspace::new();
        let checkout = workspace.clone(SHALLOW);
        refreshed(&checkout, |_| ());
        assert_eq!(checkout.git(&["rev-list", "--count", "refs/atmos-rules/origin/default"]), "1");
        let deeper = workspace.clone("--depth=5");
        refreshed(&deeper, |_| ());
        assert_eq!(deeper.git(&["rev-list", "--count", "HEAD"]), "5");
    }

    #[test]
    fn the_branch_that_the_ci_names_counts_and_one_that_is_gone_does_not() {
        let workspace = Workspace::new();
        let checkout = workspace.clone(SHALLOW);
        let named =
            |branch: &str| refreshed(&checkout, |options| options.default_branch = Some(branch.to_owned()));
        assert_eq!(named("orphan"), fetched(workspace.commit("orphan~0")));
        let (rules, warnings) = named("gone");
        assert_eq!(rules, RulesCommit::Fetched(workspace.commit("main~0")));
        assert_eq!(warnings, ["origin has no refs/heads/gone: the rules are those of its HEAD"]);
        // An invalid branch name is no refspec either.
        assert_eq!(named("x:refs/heads/side").0, RulesCommit::Fetched(workspace.commit("main~0")));
    }

    #[test]
    fn a_head_that_points_nowhere_fails_nothing() {
        let workspace = Workspace::new();
        let checkout = workspace.clone(SHALLOW);
        let state = "refs/atmos/deployments/shop/dev/api";
        workspace.remote().git(&["update-ref", state, "refs/heads/main"]);
        workspace.remote().git(&["symbolic-ref", "HEAD", "refs/heads/unborn"]);
        let repository = checkout.repository();
        let ledger = open(&repository, |options| options.default_branch = Some("gone".to_owned()));
        for _ in 0..2 {
            assert_eq!(ledger.refresh_with_rules(&Scope::All), Freshness::Current);
            assert_eq!(ledger.rules_commit().unwrap(), RulesCommit::NoDefaultBranch);
        }
        assert_eq!(ledger.read(&Scope::All).unwrap().deployments.len(), 1, "the ledger was fetched");
        let nothing = workspace.empty("nothing.git");
        checkout.git(&["remote", "set-url", "origin", &nothing.url()]);
        assert_eq!(refreshed(&checkout, |_| ()).0, RulesCommit::NoDefaultBranch);
    }

    #[test]
    fn what_was_seen_last_is_known_without_the_remote() {
        let workspace = Workspace::new();
        let checkout = workspace.clone("");
        let offline = |options: &mut LedgerOptions| options.offline = true;
        assert_eq!(refreshed(&checkout, offline).0, RulesCommit::NeverSeen);
        refreshed(&checkout, |_| ());
        let seen = RulesCommit::LastSeen(workspace.commit("main~0"));
        assert_eq!(refreshed(&checkout, offline).0, seen);
        checkout.git(&["remote", "set-url", "origin", "/nowhere"]);
        assert_eq!(refreshed(&checkout, |_| ()).0, seen);
        assert_eq!(refreshed(&checkout, |options| options.remote = None).0, RulesCommit::NoRemote);
    }

    #[test]
    fn they_are_not_fetched_to_read_the_ledger() {
        let workspace = Workspace::new();
        let checkout = workspace.clone("");
        let repository = checkout.repository();
        let ledger = open(&repository, |_| ());
        ledger.refresh(&Scope::All);
        ledger.refresh_with_observations(&Scope::All);
        ledger.refresh_states_or_fail(&Scope::All).unwrap();
        assert_eq!(ledger.rules_commit().unwrap(), RulesCommit::NeverSeen);
    }

    #[test]
    fn the_code_can_have_a_remote_of_its_own() {
        let workspace = Workspace::new();
        let checkout = workspace.clone(SHALLOW);
        let records = workspace.empty("records.git");
        let other = records.commit_to("main");
        checkout.git(&["remote", "add", "records", &records.url()]);
        let elsewhere = |options: &mut LedgerOptions| {
            options.remote = Some("records".to_owned());
            options.code_remote = Some("origin".to_owned());
        };
        assert_eq!(refreshed(&checkout, elsewhere), fetched(workspace.commit("main~0")));
        let alone = |options: &mut LedgerOptions| options.remote = Some("records".to_owned());
        assert_eq!(refreshed(&checkout, alone), fetched(other));
        checkout.git(&["remote", "set-url", "origin", "/nowhere"]);
        let (rules, warnings) = refreshed(&checkout, elsewhere);
        assert_eq!(rules, RulesCommit::LastSeen(workspace.commit("main~0")));
        assert!(warnings[0].starts_with("the promotion rules could not be fetched"), "{warnings:?}");
    }

    #[test]
    fn a_branch_can_be_asked_for_by_name() {
        let workspace = Workspace::new();
        for clone in ["", SHALLOW] {
            let checkout = workspace.clone(clone);
            workspace.remote().git(&["update-ref", "refs/heads/rules/v1", "refs/heads/orphan"]);
            let repository = checkout.repository();
            let tip = |branch: &str| open(&repository, |_| ()).fetch_branch_tip(branch).unwrap();
            let offline = |branch: &str| {
                open(&repository, |options| options.offline = true).fetch_branch_tip(branch).unwrap()
            };
            assert_eq!(offline("rules/v1"), None);
            assert_eq!(tip("rules/v1"), Some(workspace.commit("orphan~0")));
            assert_eq!(tip("gone"), None);
            assert_eq!(tip("+refs/heads/main"), None);
            assert_eq!(offline("rules/v1"), Some(workspace.commit("orphan~0")));
            // A branch takes the place of a folder of branches.
            workspace.remote().git(&["update-ref", "-d", "refs/heads/rules/v1"]);
            workspace.remote().git(&["update-ref", "refs/heads/rules", "refs/heads/main"]);
            assert_eq!(tip("rules"), Some(workspace.commit("main~0")));
            workspace.remote().git(&["update-ref", "-d", "refs/heads/rules"]);
            checkout.git(&["remote", "set-url", "origin", "/nowhere"]);
            let ledger = open(&repository, |_| ());
            assert!(ledger.fetch_branch_tip("rules").is_err());
            assert_eq!(ledger.last_seen_branch_tip("rules").unwrap(), Some(workspace.commit("main~0")));
        }
    }

    #[test]
    fn nothing_pushes_or_lists_what_was_fetched_for_its_rules() {
        let workspace = Workspace::new();
        let checkout = workspace.clone("");
        refreshed(&checkout, |_| ());
        let repository = checkout.repository();
        let ledger = open(&repository, |_| ());
        assert!(ledger.read(&Scope::All).unwrap().deployments.is_empty());
        ledger.refresh(&Scope::All);
        assert_eq!(ledger.rules_commit().unwrap(), RulesCommit::LastSeen(workspace.commit("main~0")));
        let target = workspace.empty("target.git");
        checkout.git(&["update-ref", "refs/atmos/deployments/a/b/c", "HEAD"]);
        checkout.git(&["push", "--quiet", &target.url(), "refs/atmos/*"]);
        let pushed = target.git(&["for-each-ref", "--format=%(refname)"]);
        assert_eq!(pushed, "refs/atmos/deployments/a/b/c");
    }
}
