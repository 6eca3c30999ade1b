//! Cancellation of a run, in levels of urgency.
//!
//! A leaf that imports nothing of the crate, because the scheduler, which starts work, and the
//! components' processes, which do it, listen to the same signal.

use std::future::pending;

use tokio::sync::watch;

/// The urgency of a cancellation. Later levels are more urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum CancellationLevel {
    /// Carry on.
    #[default]
    None,
    /// Start nothing new; children get SIGTERM and the time they need.
    Graceful,
    /// Children get SIGKILL.
    Immediate,
}

/// The sender of a cancellation. Dropping it cancels nothing.
#[derive(Debug)]
pub struct Canceller(watch::Sender<CancellationLevel>);

impl Canceller {
    /// Raises the level, which never falls again.
    pub fn raise(&self, level: CancellationLevel) {
        self.0.send_if_modified(|current| {
            let raised = level > *current;
            if raised {
                *current = level;
            }
            raised
        });
    }
}

/// The receiver of a cancellation; cheap to clone.
#[derive(Debug, Clone)]
pub struct Cancellation(watch::Receiver<CancellationLevel>);

impl Cancellation {
    /// Creates a cancellation with its sender.
    #[must_use]
    pub fn new() -> (Canceller, Self) {
        let (sender, receiver) = watch::channel(CancellationLevel::None);
        (Canceller(sender), Self(receiver))
    }

    /// Creates a cancellation that never happens.
    #[must_use]
    pub fn never() -> Self {
        Self::new().1
    }

    /// Creates a cancellation that follows this one and can also be raised by its own sender.
    #[must_use]
    pub fn derived(&self, runtime: &tokio::runtime::Handle) -> (Canceller, Self) {
        let (canceller, derived) = Self::new();
        let (raised, leading) = (Canceller(canceller.0.clone()), self.clone());
        runtime.spawn(async move {
            let mut level = CancellationLevel::None;
            loop {
                level = leading.above(level).await;
                raised.raise(level);
            }
        });
        (canceller, derived)
    }

    /// The current level.
    #[must_use]
    pub fn level(&self) -> CancellationLevel {
        *self.0.borrow()
    }

    /// Whether nothing new may start.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.level() > CancellationLevel::None
    }

    /// Waits until the level is above `level`, and returns the new level. Safe to drop and call
    /// again.
    pub async fn above(&self, level: CancellationLevel) -> CancellationLevel {
        let mut receiver = self.0.clone();
        let raised = receiver.wait_for(|current| *current > level).await.map(|current| *current);
        match raised {
            Ok(level) => level,
            // The sender is gone, so this can no longer be cancelled.
            Err(_) => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_level_only_rises_and_outlives_its_sender() {
        let (canceller, cancellation) = Cancellation::new();
        assert!(!cancellation.is_cancelled());
        canceller.raise(CancellationLevel::Immediate);
        canceller.raise(CancellationLevel::Graceful);
        drop(canceller);
        assert_eq!(cancellation.above(CancellationLevel::Graceful).await, CancellationLevel::Immediate);
    }
}
