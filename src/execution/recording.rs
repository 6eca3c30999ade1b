//! What a run does next about its records and its locks, as a pure state machine.
//!
//! It is told what has happened and when, by the run's own monotonic clock, and says what follows:
//! `ledger.md`, "What crashes and refusals may not do". The publisher carries that out.

use std::time::Duration;

use crate::deployment::lease::Lease;

/// How long a record waits for company, so that a chain of short components costs one push.
const COMPANY: Duration = Duration::from_millis(250);

/// How soon a push is made again that has not reached the remote; less under short leases.
const RETRY: Duration = Duration::from_secs(10);

/// How an exchange with the remote ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Arrived,
    /// The remote did not answer, so that it can be made again.
    NotReached,
    /// The remote did not take it, and will not.
    Refused,
    /// Another run has the locks.
    LockLost,
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happened {
    /// Time has passed.
    Nothing,
    /// Records are durable here.
    Kept,
    /// A component has ended whose record could not be written here.
    NotKept,
    /// No component runs any more.
    Closed,
    /// The push in flight has ended.
    Pushed(End),
    /// The renewal in flight has ended.
    Renewed(End),
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Push all records that are kept; the `last` push lets go of the locks.
    Push {
        last: bool,
    },
    Renew,
    /// Start nothing for now.
    Pause,
    Resume,
    /// Start nothing more.
    Stop(Stop),
    /// End the components that run, as on SIGTERM.
    EndComponents,
    /// Nothing is left to do.
    Finish,
}

/// Why nothing more is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The remote refuses records, or they cannot be kept here.
    NotRecorded,
    LockLost,
    /// The lease has ended without a renewal.
    LeaseEnded,
}

/// The state of a run's records and locks.
#[derive(Debug, Clone)]
pub(super) struct Recording {
    lease: Lease,
    /// When the newest exchange began that has renewed the locks.
    renewed: Duration,
    push: Option<Push>,
    renewal: Option<Duration>,
    /// When the records that are kept are pushed.
    push_at: Option<Duration>,
    renew_again_at: Duration,
    phase: Phase,
    paused: bool,
    stopped: Option<Stop>,
    /// Nothing more is pushed.
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
    /// Components run, or may start.
    Open,
    Closed,
    Finished,
}

impl Recording {
    /// A run that took its locks at this time.
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

    /// Takes note of what has happened, and says what follows at once.
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

    /// When it has to be told the time again.
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

    /// Until when components may start without a renewal; `None` where there are no locks to renew.
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
                // A run that has ended does not wait for the remote to come back.
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
            // The last push may have let go of the locks meanwhile.
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

    /// Starts nothing more, and ends what runs where another run may start the same.
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

    /// Whether there are locks to renew: not once they are lost, or let go. A run whose records are
    /// refused keeps them for as long as its components run.
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
