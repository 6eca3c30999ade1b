//! The decisions about a run's pushes and locks, as a pure state machine.
//!
//! Inputs are events with times of the run's own monotonic clock, outputs are actions that the
//! publisher executes (`ledger.md`, "What crashes and refusals may not do").

use std::time::Duration;

use crate::deployment::lease::Lease;

/// The batching delay for records that unblock nothing: a chain of short components costs one push.
const COMPANY: Duration = Duration::from_millis(250);

/// The retry delay of a push that has not reached the remote; less under short leases.
const RETRY: Duration = Duration::from_secs(10);

/// The end of an exchange with the remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Arrived,
    /// The remote did not answer: retry.
    NotReached,
    /// A refusal: a retry does not help.
    Refused,
    /// Another run has taken the locks over.
    LockLost,
}

/// An input of the state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happened {
    /// Time has passed.
    Nothing,
    /// Records are durable here.
    Kept,
    /// A component has ended and its record could not be made durable.
    NotKept,
    /// All components have ended.
    Closed,
    /// The push in flight has ended.
    Pushed(End),
    /// The renewal in flight has ended.
    Renewed(End),
}

/// An action of the publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Push all pending records; the `last` push releases the locks.
    Push {
        last: bool,
    },
    Renew,
    /// Start no components for now.
    Pause,
    Resume,
    /// Start no more components.
    Stop(Stop),
    /// Cancel running components, as on SIGTERM.
    EndComponents,
    /// Nothing is left to do.
    Finish,
}

/// The reason why no more components are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The remote refuses records, or they cannot be made durable here.
    NotRecorded,
    LockLost,
    /// The lease has ended without a renewal.
    LeaseEnded,
}

/// The state of a run's records and locks.
#[derive(Debug, Clone)]
pub(super) struct Recording {
    lease: Lease,
    /// The start of the last exchange that renewed the locks. Its start, because the
    /// lease counts from when it was sent.
    renewed: Duration,
    push: Option<Push>,
    renewal: Option<Duration>,
    /// The time of the next push.
    push_at: Option<Duration>,
    renew_again_at: Duration,
    phase: Phase,
    paused: bool,
    stopped: Option<Stop>,
    /// No more pushes: the locks are lost, the remote refuses records, or the last push has ended.
    given_up: bool,
}

/// The push in flight.
#[derive(Debug, Clone, Copy)]
struct Push {
    began: Duration,
    last: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Components run or may start.
    Open,
    Closed,
    Finished,
}

impl Recording {
    /// The state of a run that acquired its locks at this time.
    pub(super) const fn new(lease: Lease, now: Duration) -> Self {
        Self {
            lease,
            renewed: now,
            push: None,
            renewal: None,
            push_at: None,
            renew_again_at: Duration::ZERO,
            phase: Phase::Open,
            paused: false,
            stopped: None,
            given_up: false,
        }
    }

    /// Processes an input and returns the actions to execute at once.
    pub(super) fn after(&mut self, now: Duration, happened: Happened) -> Vec<Act> {
        let mut acts = Vec::new();
        match happened {
            Happened::Nothing => {}
            Happened::Kept => self.push_at = Some(self.push_at.unwrap_or(now + COMPANY)),
            Happened::NotKept => self.stop(Stop::NotRecorded, &mut acts),
            Happened::Closed => self.phase = Phase::Closed,
            Happened::Pushed(end) => self.pushed(now, end, &mut acts),
            Happened::Renewed(end) => self.was_renewed(now, end, &mut acts),
        }
        self.judge_lease(now, &mut acts);
        self.exchange(now, &mut acts);
        acts
    }

    /// The time of the next timeout.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        let mut times = Vec::new();
        if self.push.is_none() && !self.given_up {
            times.extend(self.push_at);
        }
        if self.keeps_locks() {
            if self.renewal.is_none() {
                times.push(self.renewal_due());
            }
            if self.stopped.is_none() {
                times.push(self.renewed + self.lease.0);
                if !self.paused {
                    times.push(self.renewed + self.lease.starts_within());
                }
            }
        }
        times.into_iter().min()
    }

    /// The time until which components may start without a renewal; `None` without locks to renew.
    pub(super) fn starts_until(&self) -> Option<Duration> {
        self.keeps_locks().then(|| self.renewed + self.lease.starts_within())
    }

    fn pushed(&mut self, now: Duration, end: End, acts: &mut Vec<Act>) {
        let push = self.push.take().unwrap_or(Push { began: now, last: false });
        match end {
            End::Arrived => {
                self.renewed = self.renewed.max(push.began);
                self.given_up |= push.last;
            }
            End::NotReached => {
                self.push_at = Some(now + RETRY.min(self.lease.0 / 6));
                // No retry of the last push: an ended run does not wait for an unreachable remote.
                self.given_up |= push.last;
            }
            End::Refused => {
                self.given_up = true;
                self.stop(Stop::NotRecorded, acts);
            }
            End::LockLost => self.lost(acts),
        }
    }

    fn was_renewed(&mut self, now: Duration, end: End, acts: &mut Vec<Act>) {
        let began = self.renewal.take().unwrap_or(now);
        match end {
            End::Arrived => self.renewed = self.renewed.max(began),
            // Race: the last push may have released the locks before the renewal.
            End::LockLost if !self.given_up => self.lost(acts),
            End::LockLost | End::NotReached | End::Refused => {
                self.renew_again_at = now + self.lease.0 / 12;
            }
        }
    }

    fn lost(&mut self, acts: &mut Vec<Act>) {
        self.given_up = true;
        self.stop(Stop::LockLost, acts);
    }

    /// Starts no more components, and cancels running ones where another run may start the same.
    fn stop(&mut self, why: Stop, acts: &mut Vec<Act>) {
        let ends = |stop: Stop| stop != Stop::NotRecorded;
        let before = self.stopped;
        if before.is_some_and(|before| ends(before) || !ends(why)) {
            return;
        }
        self.stopped = Some(why);
        acts.push(Act::Stop(why));
        if ends(why) {
            acts.push(Act::EndComponents);
        }
    }

    fn judge_lease(&mut self, now: Duration, acts: &mut Vec<Act>) {
        if !self.keeps_locks() || self.phase != Phase::Open {
            return;
        }
        let age = now.saturating_sub(self.renewed);
        if age >= self.lease.0 {
            self.stop(Stop::LeaseEnded, acts);
        } else if self.stopped.is_none() && self.paused != (age >= self.lease.starts_within()) {
            self.paused = !self.paused;
            acts.push(if self.paused { Act::Pause } else { Act::Resume });
        }
    }

    fn exchange(&mut self, now: Duration, acts: &mut Vec<Act>) {
        if self.push.is_none() && !self.given_up {
            let last = self.phase != Phase::Open;
            if last || self.push_at.is_some_and(|at| at <= now) {
                self.push_at = None;
                self.push = Some(Push { began: now, last });
                acts.push(Act::Push { last });
            }
        }
        if self.renewal.is_none() && self.keeps_locks() && self.renewal_due() <= now {
            self.renewal = Some(now);
            acts.push(Act::Renew);
        }
        let is_idle = self.push.is_none() && self.renewal.is_none();
        if self.phase == Phase::Closed && self.given_up && is_idle {
            self.phase = Phase::Finished;
            acts.push(Act::Finish);
        }
    }

    /// Whether there are locks to renew: not once they are lost or released. A run whose records
    /// are refused keeps its locks until its components have ended.
    fn keeps_locks(&self) -> bool {
        let has_ended = self.phase != Phase::Open && self.given_up;
        self.stopped != Some(Stop::LockLost) && !has_ended
    }

    fn renewal_due(&self) -> Duration {
        let after = match self.push {
            Some(_) => self.lease.renewal_interval_beside_push(),
            None => self.lease.renewal_interval(),
        };
        (self.renewed + after).max(self.renew_again_at)
    }
}

#[cfg(test)]
mod tests;
