//! The staleness of the ledger in a report, where its remote was not asked or did not answer.

use crate::ci::comment::{NotTold, Stale};
use crate::context::Context;
use crate::deployment::DeploymentName;
use crate::error::CommandError;
use crate::ledger::{Freshness, Ledger, Scope};

/// The notice of a stale ledger; `None` for a current one, or without a remote.
pub fn stale(ledger: &Ledger<'_>, freshness: &Freshness) -> Option<Stale> {
    let (why, as_of) = match freshness {
        Freshness::Current => return None,
        Freshness::Offline { since } => (NotTold::NotAsked, *since),
        Freshness::Stale { since, here: true, .. } => (NotTold::NotTakenOver, *since),
        Freshness::Stale { since, .. } => (NotTold::NoAnswer, *since),
    };
    Some(Stale { remote: ledger.remote().unwrap_or("the remote").to_owned(), why, as_of })
}

/// The notice of a job that runs with `--offline`; `None` for any other job.
pub fn offline(context: &Context, name: &DeploymentName) -> Option<Stale> {
    let look = || -> Result<Option<Stale>, CommandError> {
        let repository = context.repository()?;
        let project = context.project(&repository)?;
        let ledger = context.ledger(&repository, &project.config)?;
        Ok(stale(&ledger, &ledger.refresh(&Scope::Deployment(name.clone()))))
    };
    context.global().offline.then(look)?.ok().flatten()
}
