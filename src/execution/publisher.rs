//! Recording what ends, while the rest still runs.
//!
//! The calling thread makes what has ended durable here and decides ([`Recording`]); one thread
//! pushes, one push at a time, and another one renews the locks, so that neither a component nor a
//! renewal waits for the network.

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

/// What the publisher is told.
pub(super) enum Message {
    /// A component has ended.
    Ended {
        record: Box<Record>,
        /// Told once the record is durable here, or that it could not be.
        kept: Option<oneshot::Sender<bool>>,
    },
    /// No component runs any more.
    Closed,
    /// A push has ended: with what was pushed.
    Pushed(Kept, Result<(), LedgerError>),
    /// A renewal has ended.
    Renewed(Result<(), LedgerError>),
    /// Something went wrong without being fatal.
    Warning(String),
}

/// What became of the records.
#[derive(Debug, Default)]
pub(super) struct Published {
    pub(super) records: Vec<LedgerRecord>,
    /// How many did not reach the remote.
    pub(super) kept: usize,
    /// Why not, or why the run was ended.
    pub(super) failure: Option<LedgerError>,
    /// How many pushes there were.
    pub(super) pushes: usize,
    pub(super) warnings: Vec<String>,
}

/// What the publisher works with.
pub(super) struct Surroundings<'p> {
    /// What is told by the components, and by the publisher's own threads.
    pub(super) messages: Receiver<Message>,
    pub(super) teller: Sender<Message>,
    /// Holds back components that have not started.
    pub(super) gate: &'p Gate,
    /// Ends those that run.
    pub(super) canceller: &'p Canceller,
    pub(super) events: &'p EventSink,
}

/// Publishes what arrives until nothing runs any more; then lets go of the locks.
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

/// Makes the pushes that are asked for, one after the other.
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

/// Renews the locks whenever it is asked for.
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
    /// Durable here, and not in the push in flight.
    kept: Kept,
    pushes: Sender<(Kept, bool)>,
    renewals: Sender<()>,
    /// The last push has not reached the remote, which has been told.
    is_behind: bool,
    /// A record could not be written here.
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

    /// The next message; none where something is due first.
    fn next(&self) -> Option<Message> {
        let Some(wake) = self.recording.wake_at() else { return self.with.messages.recv().ok() };
        let left = wake.saturating_sub(self.began.elapsed());
        self.with.messages.recv_timeout(left).ok()
    }

    /// Takes note of messages. What has ended at the same time is kept together.
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

    /// Makes records durable as soon as their components have ended.
    fn keep(&mut self, ended: Vec<(Record, Option<oneshot::Sender<bool>>)>) -> Happened {
        let (records, waiters): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
        let written: Result<Vec<_>, _> =
            records.into_iter().map(|record| self.session.write(record)).collect();
        let kept = written.and_then(|records| self.session.keep(records));
        let is_kept = kept.is_ok();
        // A component that was cancelled meanwhile does not wait any more.
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
                // The thread ends with this one. A lock that alone tells what was applied stays.
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
        // That the locks are lost says more than what failed before.
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

    /// The first failure is what is reported.
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
            // The remote was away for a while, or only for the end; or a lock was in the way here.
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

/// What an error says of an exchange.
fn end_of(error: &LedgerError) -> End {
    match error {
        LedgerError::LockLost(_) => End::LockLost,
        LedgerError::Git(error) if !error.is_forbidden() => End::NotReached,
        _ => End::Refused,
    }
}
