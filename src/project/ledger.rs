//! Opens the ledger for commands, reads snapshots, and prints how stale they are.

use std::num::NonZeroUsize;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::AtmosConfig;
use crate::context::{Context, now};
use crate::deployment::DeploymentName;
use crate::deployment::state::DeploymentState;
use crate::error::{Code, CommandError};
use crate::git::Repository;
use crate::ledger::{Freshness, Ledger, LedgerOptions, Scope, Snapshot};
use crate::render::document::error::Hint;

/// The timeout of one exchange with the remote when writing.
const WRITE_LIMIT: Duration = Duration::from_mins(5);

impl Context {
    /// Opens the ledger of a repository.
    pub fn ledger<'r>(
        &self,
        repository: &'r Repository,
        config: &AtmosConfig,
    ) -> Result<Ledger<'r>, CommandError> {
        let wanted = self.variable("ATMOS_REMOTE").or(config.deployments.remote.as_deref());
        let remote = repository.remote(wanted)?;
        // If git's own choice of a remote is ambiguous, the ledger's remote is also the code's.
        let code_remote = wanted.and_then(|_| repository.remote(None).ok().flatten());
        let limit = config.deployments.ledger.max_refs_per_push;
        let options = LedgerOptions {
            remote,
            code_remote,
            default_branch: self.job().and_then(|job| job.default_branch),
            max_refs_per_push: limit.and_then(|limit| NonZeroUsize::new(usize::try_from(limit).ok()?)),
            ..self.ledger_options(repository, WRITE_LIMIT)
        };
        Ok(Ledger::open(repository, options)?)
    }

    /// Opens the ledger of a given remote, ignoring the checkout's configuration.
    pub fn ledger_of<'r>(
        &self,
        repository: &'r Repository,
        remote: Option<String>,
        limit: Duration,
    ) -> Result<Ledger<'r>, CommandError> {
        Ok(Ledger::open(repository, LedgerOptions { remote, ..self.ledger_options(repository, limit) })?)
    }

    fn ledger_options(&self, repository: &Repository, write_limit: Duration) -> LedgerOptions {
        let writer = repository.identity().map_or_else(
            || ("atmos".to_owned(), self.actor(repository)),
            |identity| (identity.name, identity.email),
        );
        LedgerOptions {
            remote: None,
            code_remote: None,
            default_branch: None,
            offline: self.global().offline,
            writer,
            write_limit,
            max_refs_per_push: None,
            now,
        }
    }

    /// The actor: git's committer, else the CI's actor, else the user of this machine.
    pub fn actor(&self, repository: &Repository) -> String {
        repository
            .identity()
            .map(|identity| identity.email)
            .or_else(|| {
                let names = ["GITHUB_ACTOR", "GITLAB_USER_EMAIL", "GITLAB_USER_LOGIN", "USER", "LOGNAME"];
                names.iter().find_map(|name| self.variable(name)).map(str::to_owned)
            })
            .unwrap_or_else(|| "unknown".to_owned())
    }

    /// Fetches and reads a snapshot; if the remote is unreachable, a stale one with a warning.
    ///
    /// Also publishes pending records of ended runs of this checkout.
    pub fn snapshot(&self, ledger: &Ledger<'_>, scope: &Scope) -> Result<Snapshot, CommandError> {
        self.snapshot_of(ledger, scope, &ledger.refresh(scope))
    }

    /// A [`snapshot`](Self::snapshot) that also fetches observations of health and drift.
    pub fn snapshot_with_observations(
        &self,
        ledger: &Ledger<'_>,
        scope: &Scope,
    ) -> Result<Snapshot, CommandError> {
        self.snapshot_of(ledger, scope, &ledger.refresh_with_observations(scope))
    }

    /// A [`snapshot`](Self::snapshot) that also fetches observations and
    /// the rules of the default branch.
    pub fn snapshot_with_rules(&self, ledger: &Ledger<'_>, scope: &Scope) -> Result<Snapshot, CommandError> {
        self.snapshot_of(ledger, scope, &ledger.refresh_for_reports(scope))
    }

    /// Reads a snapshot after a refresh with this result.
    pub fn snapshot_of(
        &self,
        ledger: &Ledger<'_>,
        scope: &Scope,
        freshness: &Freshness,
    ) -> Result<Snapshot, CommandError> {
        let mut snapshot = ledger.read(scope)?;
        if self.publish_left_behind(ledger, &snapshot.pending, freshness) {
            snapshot = ledger.read(scope)?;
        }
        self.say_freshness(ledger, freshness);
        Ok(snapshot)
    }

    /// Prints how stale the mirror is, after an offline or failed
    /// refresh, and the ledger's warnings.
    pub fn say_freshness(&self, ledger: &Ledger<'_>, freshness: &Freshness) {
        let clock = self.clock();
        let since = |since: &Option<Timestamp>| {
            since.map_or_else(
                || "this checkout has never been told all of what is asked here".to_owned(),
                |since| format!("as of {}", clock.relative_and_exact(since)),
            )
        };
        match freshness {
            Freshness::Current => {}
            Freshness::Offline { since: time } => {
                self.streams().note(&format!("Offline: {}\n", since(time)));
            }
            Freshness::Stale { since: time, damage: Some(damage), reason, .. } => {
                let (what, examined_by, since) = (damage.as_words(), damage.examined_by(), since(time));
                self.warn(&format!("{what} ({examined_by}), {since}: {reason}"));
            }
            Freshness::Stale { since: time, reason, here, way_out, damage: None } => {
                let remote = ledger.remote().unwrap_or("the remote");
                let what = if *here {
                    format!("this checkout could not take over what {remote} has")
                } else {
                    format!("{remote} did not answer")
                };
                self.warn(&format!("{what}, {}: {reason}", since(time)));
                if let Some((when, command)) = way_out {
                    self.warn(&format!("{when}: {command}"));
                }
            }
        }
        self.say_warnings(ledger);
    }

    /// Warns about deployments whose states were never fetched.
    pub fn say_unheard(&self, ledger: &Ledger<'_>, names: &[&DeploymentName]) {
        if !names.is_empty() {
            let remote = ledger.remote().unwrap_or("the remote");
            let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
            self.warn(&format!(
                "what runs of these is not known here, since {remote} has never told this checkout: {}",
                names.join(", ")
            ));
        }
    }

    /// Prints the ledger's warnings.
    pub fn say_warnings(&self, ledger: &Ledger<'_>) {
        for warning in ledger.take_warnings() {
            self.warn(&warning);
        }
    }
}

/// Refuses to report an empty ledger where nothing was ever fetched from the remote.
///
/// # Errors
///
/// Fails after an offline or failed refresh without any earlier one.
pub fn refuse_ignorance(ledger: &Ledger<'_>, freshness: &Freshness) -> Result<(), CommandError> {
    let (Freshness::Offline { since: None } | Freshness::Stale { since: None, .. }) = freshness else {
        return Ok(());
    };
    Err(never_refreshed(ledger))
}

/// Refuses to report an empty deployment, as [`refuse_ignorance`] does.
///
/// # Errors
///
/// Fails where nothing is here, and the scope was never fetched.
pub fn refuse_unheard(
    ledger: &Ledger<'_>,
    scope: &Scope,
    state: &DeploymentState,
) -> Result<(), CommandError> {
    let is_unknown = state.used_targets().next().is_none() && ledger.never_heard_of(scope);
    if is_unknown { Err(never_refreshed(ledger)) } else { Ok(()) }
}

/// The error if nothing was ever fetched from the remote.
pub fn never_refreshed(ledger: &Ledger<'_>) -> CommandError {
    let remote = ledger.remote().unwrap_or("the remote");
    let message = format!("this checkout has never been refreshed from {remote}, and cannot tell");
    CommandError::new(Code::NeverRefreshed, message)
        .hint(Hint::command("To have the ledger here once, with the network", "atmos deployment status"))
}

/// Refuses `--offline` for a write if there is a remote: a local lock, hold, approval or note would
/// not be visible to any other checkout.
pub fn reachable(context: &Context, ledger: &Ledger<'_>, what: &str) -> Result<(), CommandError> {
    match ledger.remote() {
        Some(remote) if context.global().offline => Err(CommandError::usage(format!(
            "{what} are kept on {remote}, which --offline does not let this command reach"
        ))
        .hint(Hint::note("Leave out --offline"))),
        _ => Ok(()),
    }
}
