//! Recording what ends, while the rest still runs.
//!
//! One push is in flight at a time. A record that others wait for goes at once and takes along whatever else is ready;
//! the others wait a moment for company, and the last push lets go of the locks.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::deployment::Record;
use crate::deployment::record::LedgerRecord;
use crate::deployment::rollout_report::RolloutEvent;
use crate::ledger::{Session, Unpublished};

use super::EventSink;

/// How long a record that nobody waits for waits for company.
const COMPANY: Duration = Duration::from_millis(250);

/// A component that has ended.
pub(super) struct Message {
    pub(super) record: Record,
    /// Told once the record is published, or that it could not be.
    pub(super) published: Option<oneshot::Sender<bool>>,
}

/// What became of the records.
#[derive(Debug, Default)]
pub(super) struct Published {
    pub(super) records: Vec<LedgerRecord>,
    pub(super) failure: Option<Unpublished>,
}

/// Publishes what arrives until every sender is gone; then lets go of the locks.
pub(super) fn publish_until_closed(
    session: Session<'_, '_>,
    messages: &Receiver<Message>,
    events: &EventSink,
) -> Published {
    let mut publisher = Publisher {
        renew_at: Instant::now() + session.renewal_interval(),
        session,
        records: Vec::new(),
        waiters: Vec::new(),
        flush_at: None,
        result: Published::default(),
        events,
    };
    loop {
        let wake = publisher.flush_at.map_or(publisher.renew_at, |flush| flush.min(publisher.renew_at));
        match messages.recv_timeout(wake.saturating_duration_since(Instant::now())) {
            Ok(message) => {
                publisher.take(message);
                while let Ok(message) = messages.try_recv() {
                    publisher.take(message);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        publisher.work();
    }
    publisher.flush(true);
    publisher.result
}

struct Publisher<'p, 'l, 'r> {
    session: Session<'l, 'r>,
    /// Records that are written and wait to be pushed.
    records: Vec<LedgerRecord>,
    /// Who waits for one of these.
    waiters: Vec<oneshot::Sender<bool>>,
    flush_at: Option<Instant>,
    renew_at: Instant,
    result: Published,
    events: &'p EventSink,
}

impl Publisher<'_, '_, '_> {
    /// Writes a record as soon as its component has ended, while others still run.
    fn take(&mut self, Message { record, published }: Message) {
        match self.session.write(record) {
            Ok(record) => self.records.push(record),
            Err(source) => {
                tell(published, false);
                return self.fail(Unpublished { kept: 0, source });
            }
        }
        let now = Instant::now();
        let flush_at = if published.is_some() { now } else { now + COMPANY };
        self.flush_at = Some(self.flush_at.map_or(flush_at, |earlier| earlier.min(flush_at)));
        self.waiters.extend(published);
    }

    /// Does what is due.
    fn work(&mut self) {
        let now = Instant::now();
        if self.flush_at.is_some_and(|flush| flush <= now) {
            self.flush(false);
        }
        if self.renew_at <= now {
            self.renew_at = now + self.session.renewal_interval();
            if let Err(error) = self.session.renew() {
                tracing::warn!(%error, "the lock could not be renewed");
            }
        }
    }

    fn flush(&mut self, last: bool) {
        self.flush_at = None;
        let records = std::mem::take(&mut self.records);
        if records.is_empty() && !last {
            return;
        }
        let number = records.len();
        let published = match self.session.publish(records, last) {
            Ok(records) => {
                if number > 0 {
                    (self.events)(RolloutEvent::Published { records: number });
                }
                self.result.records.extend(records);
                true
            }
            Err(failure) => {
                if failure.kept > 0 {
                    let reason = failure.source.to_string();
                    (self.events)(RolloutEvent::PublicationDeferred { records: failure.kept, reason });
                }
                self.fail(failure);
                false
            }
        };
        tell(self.waiters.drain(..), published);
    }

    /// The first failure is what is reported, with the number of all records that it kept from the remote.
    fn fail(&mut self, failure: Unpublished) {
        match &mut self.result.failure {
            Some(first) => first.kept += failure.kept,
            None => self.result.failure = Some(failure),
        }
    }
}

/// Tells whether records are published. A component that was cancelled meanwhile does not wait any more.
fn tell(waiters: impl IntoIterator<Item = oneshot::Sender<bool>>, published: bool) {
    for waiter in waiters {
        let _ = waiter.send(published);
    }
}
