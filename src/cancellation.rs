//! Cancellation: how a run is told to stop, and how urgently.
//!
//! A leaf that imports nothing of the crate, because what starts work (the scheduler) and what does
//! it (the components' processes) listen to the same signal.

use std::future::pending;

use tokio::sync::watch;

/// How urgently a run must stop. Later levels are more urgent.
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

/// The end that cancels. Dropping it cancels nothing.
#[derive(Debug)]
pub struct Canceller(watch::Sender<CancellationLevel>);

impl Canceller {
    /// Raises the level. A level that was reached is never taken back.
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

/// The end that listens; cheap to clone.
#[derive(Debug, Clone)]
pub struct Cancellation(watch::Receiver<CancellationLevel>);

impl Cancellation {
    /// A cancellation and what raises it.
    #[must_use]
    pub fn new() -> (Canceller, Self) {
        let (sender, receiver) = watch::channel(CancellationLevel::None);
        (Canceller(sender), Self(receiver))
    }

    /// A cancellation that never comes.
    #[must_use]
    pub fn never() -> Self {
        Self::new().1
    }

    /// A cancellation that follows this one, and can be raised by itself, with what raises it.
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

    /// The level at this moment.
    #[must_use]
    pub fn level(&self) -> CancellationLevel {
        *self.0.borrow()
    }

    /// Whether nothing new may start.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.level() > CancellationLevel::None
    }

    /// Waits until the level is above `level`, and says which it is. Safe to drop and call again.
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
