//! Publication of records while other components still run.
//!
//! The calling thread makes records durable (pending refs) and decides what happens next
//! ([`Recording`]). One thread pushes, one push at a time, and another one renews the locks:
//! neither components nor renewals wait for a slow push.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::cancellation::{CancellationLevel, Canceller};
use crate::deployment::Record;
use crate::deployment::record::LedgerRecord;
use crate::deployment::rollout_report::RolloutEvent;
use crate::ledger::{Delivery, Kept, LedgerError, Renewal, Session};

use super::EventSink;
use super::gate::Gate;
use super::recording::{Act, End, Happened, Recording, Stop};

/// A message to the publisher.
pub(super) enum Message {
    /// A component has ended.
    Ended {
        record: Box<Record>,
        /// Receives whether the record is durable here. Its dependents wait for that.
        kept: Option<oneshot::Sender<bool>>,
    },
    /// All components have ended.
    Closed,
    /// A push has ended, with the records that it contained.
    Pushed(Kept, Result<(), LedgerError>),
    /// A renewal has ended.
    Renewed(Result<(), LedgerError>),
    /// A warning of the ledger.
    Warning(String),
}

/// The result of the publication.
#[derive(Debug, Default)]
pub(super) struct Published {
    pub(super) records: Vec<LedgerRecord>,
    /// The number of records that have not reached the remote and stay pending.
    pub(super) kept: usize,
    /// The first failure, or the loss of the locks that ended the run.
    pub(super) failure: Option<LedgerError>,
    /// The number of pushes, failed ones included.
    pub(super) pushes: usize,
    pub(super) warnings: Vec<String>,
}

/// The channels and controls of the publisher.
pub(super) struct Surroundings<'p> {
    /// Messages of components and of the publisher's own threads.
    pub(super) messages: Receiver<Message>,
    pub(super) teller: Sender<Message>,
    /// Keeps components from starting.
    pub(super) gate: &'p Gate,
    /// Cancels components that run.
    pub(super) canceller: &'p Canceller,
    pub(super) events: &'p EventSink,
}

/// Publishes records until all components have ended, and releases the locks with the last push.
pub(super) fn publish_until_closed(mut session: Session<'_, '_>, with: Surroundings<'_>) -> Published {
    let (pushes, to_push) = mpsc::channel();
    let (renewals, to_renew) = mpsc::channel();
    let (delivery, renewal) = (session.delivery(), session.renewal());
    thread::scope(|scope| {
        let [push_teller, renewal_teller] = [with.teller.clone(), with.teller.clone()];
        scope.spawn(move || deliver(delivery, &to_push, &push_teller));
        scope.spawn(move || renew(renewal, &to_renew, &renewal_teller));
        let publisher = Publisher {
            recording: Recording::new(session.lease(), Duration::ZERO),
            began: Instant::now(),
            session,
            kept: Kept::default(),
            pushes,
            renewals,
            is_behind: false,
            is_incomplete: false,
            result: Published::default(),
            with,
        };
        publisher.run()
    })
}

/// The pushing thread: one push at a time, until the channel closes.
fn deliver(mut delivery: Delivery<'_>, pushes: &Receiver<(Kept, bool)>, teller: &Sender<Message>) {
    for (mut kept, last) in pushes {
        let (result, warnings) = delivery.push(&mut kept, last);
        let warnings = warnings.into_iter().map(Message::Warning);
        for message in warnings.chain([Message::Pushed(kept, result)]) {
            if teller.send(message).is_err() {
                return;
            }
        }
    }
}

/// The renewing thread: renews the locks once per message, until the channel closes.
fn renew(mut renewal: Renewal<'_>, asked: &Receiver<()>, teller: &Sender<Message>) {
    for () in asked {
        if teller.send(Message::Renewed(renewal.renew())).is_err() {
            return;
        }
    }
}

struct Publisher<'p, 'l, 'r> {
    session: Session<'l, 'r>,
    recording: Recording,
    began: Instant,
    /// Records that are durable here and not part of the push in flight.
    kept: Kept,
    pushes: Sender<(Kept, bool)>,
    renewals: Sender<()>,
    /// The last push failed, and the event for that was sent.
    is_behind: bool,
    /// A record could not be made durable, so that only the lock tells what was applied.
    is_incomplete: bool,
    result: Published,
    with: Surroundings<'p>,
}

impl Publisher<'_, '_, '_> {
    fn run(mut self) -> Published {
        loop {
            let messages: Vec<_> = self.next().into_iter().chain(self.with.messages.try_iter()).collect();
            let happened = self.take(messages);
            for happened in happened {
                for act in self.recording.after(self.began.elapsed(), happened) {
                    if act == Act::Finish {
                        return self.finish();
                    }
                    self.act(act);
                }
            }
            if let Some(until) = self.recording.starts_until() {
                self.with.gate.stay_open(self.began + until);
            }
        }
    }

    /// The next message; `None` after the timeout of the next due action.
    fn next(&self) -> Option<Message> {
        let Some(wake) = self.recording.wake_at() else { return self.with.messages.recv().ok() };
        let left = wake.saturating_sub(self.began.elapsed());
        self.with.messages.recv_timeout(left).ok()
    }

    /// Turns messages into inputs of [`Recording`]. Components that
    /// ended together become one batch.
    fn take(&mut self, messages: Vec<Message>) -> Vec<Happened> {
        let (mut ended, mut happened) = (Vec::new(), Vec::new());
        for message in messages {
            match message {
                Message::Ended { record, kept } => ended.push((*record, kept)),
                Message::Closed => happened.push(Happened::Closed),
                Message::Pushed(kept, result) => happened.push(Happened::Pushed(self.pushed(kept, result))),
                Message::Renewed(result) => happened.push(Happened::Renewed(renewed(&result))),
                Message::Warning(warning) => self.result.warnings.push(warning),
            }
        }
        if !ended.is_empty() {
            happened.insert(0, self.keep(ended));
        }
        if happened.is_empty() {
            happened.push(Happened::Nothing);
        }
        happened
    }

    /// Makes the records of a batch durable and wakes the components' waiting tasks.
    fn keep(&mut self, ended: Vec<(Record, Option<oneshot::Sender<bool>>)>) -> Happened {
        let (records, waiters): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
        let written: Result<Vec<_>, _> =
            records.into_iter().map(|record| self.session.write(record)).collect();
        let kept = written.and_then(|records| self.session.keep(records));
        let is_kept = kept.is_ok();
        // The receiver is gone where the component was cancelled meanwhile.
        for waiter in waiters.into_iter().flatten() {
            let _ = waiter.send(is_kept);
        }
        match kept {
            Ok(kept) => {
                self.kept.extend(kept);
                Happened::Kept
            }
            Err(error) => {
                self.is_incomplete = true;
                self.fail(error);
                Happened::NotKept
            }
        }
    }

    fn pushed(&mut self, kept: Kept, result: Result<(), LedgerError>) -> End {
        match result {
            Ok(()) => {
                self.is_behind = false;
                if !kept.is_empty() {
                    (self.with.events)(RolloutEvent::Published { records: kept.len() });
                }
                self.result.records.extend(kept.records);
                End::Arrived
            }
            Err(error) => {
                let newer = std::mem::replace(&mut self.kept, kept);
                self.kept.extend(newer);
                let end = end_of(&error);
                let is_new = !std::mem::replace(&mut self.is_behind, true);
                if is_new && !self.kept.is_empty() {
                    let (records, reason) = (self.kept.len(), error.to_string());
                    let here = error.is_of_this_checkout();
                    (self.with.events)(RolloutEvent::PublicationDeferred { records, reason, here });
                }
                self.fail(error);
                end
            }
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Push { last } => {
                self.result.pushes += 1;
                // Sending fails only at the end of the thread. The locks stay if a record is
                // incomplete: then they alone tell what was applied.
                let _ = self.pushes.send((std::mem::take(&mut self.kept), last && !self.is_incomplete));
            }
            Act::Renew => {
                let _ = self.renewals.send(());
            }
            Act::Pause => self.with.gate.pause(),
            Act::Resume => self.with.gate.open(self.recording.starts_until().map(|until| self.began + until)),
            Act::Stop(why) => self.stop(why),
            Act::EndComponents => self.with.canceller.raise(CancellationLevel::Graceful),
            Act::Finish => {}
        }
    }

    fn stop(&mut self, why: Stop) {
        let target = self.session.target();
        let ended = match why {
            Stop::NotRecorded => None,
            Stop::LockLost => Some(LedgerError::LockLost(target.to_string())),
            Stop::LeaseEnded => {
                Some(LedgerError::NotRenewed { target: target.clone(), lease: self.session.lease().0 })
            }
        };
        // The loss of the locks replaces earlier failures, which it explains.
        self.result.failure = ended.or(self.result.failure.take());
        let reason = match &self.result.failure {
            Some(failure) if why == Stop::NotRecorded => {
                format!("what ran before it is not recorded: {failure}")
            }
            Some(failure) => failure.to_string(),
            None => "what ran before it is not recorded".to_owned(),
        };
        self.with.gate.shut(reason);
    }

    /// Keeps the first failure for the report.
    fn fail(&mut self, error: LedgerError) {
        self.result.failure.get_or_insert(error);
    }

    fn finish(mut self) -> Published {
        self.result.kept = self.kept.len();
        let may_pass = matches!(self.result.failure, Some(LedgerError::Git(_)));
        let was_away =
            may_pass && !self.result.failure.as_ref().is_some_and(LedgerError::is_of_this_checkout);
        if self.is_incomplete {
            self.result.warnings.push(
                "what was applied could not be recorded here: the locks stay, and the next run on this target \
                 records it as interrupted"
                    .to_owned(),
            );
        }
        if self.is_incomplete || (was_away && self.is_behind) {
            self.session.leave_locks();
        }
        if may_pass && self.result.kept == 0 && !self.is_incomplete {
            // A temporary failure: the remote was unreachable, or a local ref was locked, and
            // all records have arrived since.
            self.result.failure = None;
        }
        self.result
    }
}

fn renewed(result: &Result<(), LedgerError>) -> End {
    let Err(error) = result else { return End::Arrived };
    tracing::warn!(%error, "the lock could not be renewed");
    end_of(error)
}

/// The outcome of a failed push or renewal.
fn end_of(error: &LedgerError) -> End {
    match error {
        LedgerError::LockLost(_) => End::LockLost,
        LedgerError::Git(error) if !error.is_forbidden() => End::NotReached,
        _ => End::Refused,
    }
}
