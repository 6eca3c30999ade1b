//! The platform's change request, requested while the rollout runs.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::deployment::change_request::ChangeRequest;

/// The timeout of the overview's wait for the answer. Without an answer, it omits the change's
/// commits.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The result of the requesting thread: `None` without a change request or without a response.
pub type Answer = Option<ChangeRequest>;

/// The question, as the reporting thread sees it.
#[derive(Default)]
pub struct Question(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    NotAsked,
    Asked(Receiver<Answer>),
    Answered(Answer),
}

impl Question {
    /// A question that is answered through the sender.
    pub fn ask() -> (Self, Sender<Answer>) {
        let (sender, receiver) = mpsc::channel();
        (Self(Mutex::new(State::Asked(receiver))), sender)
    }

    /// The answer; the first call waits for it.
    pub fn answer(&self) -> Answer {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Asked(receiver) = &*state {
            *state = State::Answered(receiver.recv_timeout(TIMEOUT).ok().flatten());
        }
        match &*state {
            State::Answered(answer) => answer.clone(),
            State::NotAsked | State::Asked(_) => None,
        }
    }
}
