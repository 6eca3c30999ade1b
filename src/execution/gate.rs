//! The gate before the start of components: a run that cannot renew its locks, or whose records are
//! refused, starts no more components.

use std::time::Instant;

use tokio::sync::watch;

use crate::cancellation::{Cancellation, CancellationLevel};

/// Whether components may start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Position {
    /// Open until this time, when the lease gets too short. The deadline holds even if the
    /// publisher is suspended (SIGSTOP, a sleeping machine) and its locks are taken over.
    OpenUntil(Instant),
    #[default]
    Open,
    /// Undecided: wait.
    Paused,
    /// Closed for good, for this reason.
    Shut(String),
}

/// The publisher's end. Dropping it leaves the gate in its position.
#[derive(Debug, Default)]
pub(super) struct Gate(watch::Sender<Position>);

/// The components' end; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Passage(watch::Receiver<Position>);

impl Gate {
    pub(super) fn passage(&self) -> Passage {
        Passage(self.0.subscribe())
    }

    /// Makes components wait until the gate is opened or shut.
    pub(super) fn pause(&self) {
        self.set(Position::Paused);
    }

    pub(super) fn open(&self, until: Option<Instant>) {
        self.set(until.map_or(Position::Open, Position::OpenUntil));
    }

    /// Sets the deadline of an open gate.
    pub(super) fn stay_open(&self, until: Instant) {
        self.0.send_if_modified(|current| {
            let is_open = matches!(current, Position::Open | Position::OpenUntil(_));
            let changes = is_open && *current != Position::OpenUntil(until);
            if changes {
                *current = Position::OpenUntil(until);
            }
            changes
        });
    }

    /// Closes the gate for good. The first reason is kept.
    pub(super) fn shut(&self, reason: String) {
        self.set(Position::Shut(reason));
    }

    fn set(&self, position: Position) {
        self.0.send_if_modified(|current| {
            let may_change = !matches!(current, Position::Shut(_));
            if may_change {
                *current = position;
            }
            may_change
        });
    }
}

impl Passage {
    /// Waits until a component may start. The error is the reason of a closed gate.
    pub(super) async fn pass(&self, cancellation: &Cancellation) -> Result<(), String> {
        let mut receiver = self.0.clone();
        let decided = receiver.wait_for(|position| match position {
            Position::Paused => false,
            Position::OpenUntil(until) => Instant::now() < *until,
            Position::Open | Position::Shut(_) => true,
        });
        tokio::select! {
            position = decided => match position.as_deref() {
                Ok(Position::Shut(reason)) => Err(reason.clone()),
                // Without the publisher's end, nothing holds components back.
                Ok(_) | Err(_) => Ok(()),
            },
            _ = cancellation.above(CancellationLevel::None) => Err("the rollout was cancelled".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn components_pass_an_open_gate_wait_at_a_paused_one_and_never_pass_a_shut_one() {
        let gate = Gate::default();
        let passage = gate.passage();
        let never = Cancellation::never();
        assert_eq!(passage.pass(&never).await, Ok(()));
        gate.pause();
        let waiting = passage.pass(&never);
        tokio::pin!(waiting);
        assert!(futures_are_pending(waiting.as_mut()).await);
        gate.open(None);
        assert_eq!(waiting.await, Ok(()));
        // The publishing thread, which would pause it, was not running.
        gate.stay_open(Instant::now());
        let waiting = passage.pass(&never);
        tokio::pin!(waiting);
        assert!(futures_are_pending(waiting.as_mut()).await);
        gate.stay_open(Instant::now() + std::time::Duration::from_mins(1));
        assert_eq!(waiting.await, Ok(()));
        gate.shut("lost".to_owned());
        gate.open(None);
        gate.shut("later".to_owned());
        assert_eq!(passage.pass(&never).await, Err("lost".to_owned()));
    }

    #[tokio::test]
    async fn a_component_that_waits_can_be_cancelled() {
        let gate = Gate::default();
        gate.pause();
        let (canceller, cancellation) = Cancellation::new();
        canceller.raise(CancellationLevel::Graceful);
        assert!(gate.passage().pass(&cancellation).await.is_err());
    }

    async fn futures_are_pending(future: std::pin::Pin<&mut impl Future>) -> bool {
        let mut future = Some(future);
        std::future::poll_fn(move |context| {
            let polled = future.take().map(|future| future.poll(context).is_pending());
            std::task::Poll::Ready(polled.unwrap_or(true))
        })
        .await
    }
}
