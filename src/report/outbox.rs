//! The outbox of reports to the platform: sent in order on a thread of its own, so that a slow or
//! unreachable platform delays no rollout.

use std::collections::HashSet;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::change_request::Answer;
use super::dispatch::{Next, Started};
use super::notices::Notices;
use super::undelivered_reports::UndeliveredReports;
use crate::ci::{Job, RequestedDeployment};
use crate::context::runtime;
use crate::deployment::CommitId;
use crate::deployment::change_request::{ChangeRequest, RequestLookup};
use crate::provider::{
    Capability, CommitStatus, DeploymentUpdate, NewDeployment, PlatformDeployment, Provider, ProviderError,
    ProviderSettings, RetryPolicy, StickyComment, connect, is_same_environment,
};

/// The retry policies of a request: while the platform answers, and while it does not.
const PATIENT: RetryPolicy = RetryPolicy {
    attempts: 4,
    first_pause: Duration::from_millis(500),
    longest_pause: Duration::from_secs(30),
    limit_pause: Duration::from_mins(1),
    timeout: Duration::from_secs(10),
};
const IMPATIENT: RetryPolicy = RetryPolicy { attempts: 2, ..PATIENT };

/// The capabilities that report a rollout.
const OF_REPORTS: [Capability; 3] =
    [Capability::Comments, Capability::CommitStatuses, Capability::Deployments];

/// A message to the platform.
pub enum Message {
    Status {
        commits: Vec<CommitId>,
        status: CommitStatus,
    },
    DeploymentStarts {
        deployment: NewDeployment,
        update: DeploymentUpdate,
    },
    /// An update of the deployment that was started.
    DeploymentIs(DeploymentUpdate),
    /// An update of the deployment that requested the rollout.
    RequestIs(DeploymentUpdate),
    /// The next workflow to start.
    Dispatch(Next),
    /// Looks up the change request of the reports that follow.
    FindChangeRequest {
        lookup: RequestLookup,
        answer: Sender<Answer>,
    },
    /// A comment on the change request, if there is one.
    Comment(StickyComment),
}

impl Message {
    const fn capability(&self) -> Capability {
        match self {
            Self::Status { .. } => Capability::CommitStatuses,
            Self::DeploymentStarts { .. } | Self::DeploymentIs(_) | Self::RequestIs(_) => {
                Capability::Deployments
            }
            Self::Dispatch(_) => Capability::Dispatch,
            Self::FindChangeRequest { .. } => Capability::ChangeRequests,
            Self::Comment(_) => Capability::Comments,
        }
    }
}

/// The queue of reports to the platform.
pub struct Outbox {
    /// The channel to the thread; `None` once the outbox is closed.
    reports: Mutex<Option<Sender<Message>>>,
    /// Disconnected when the thread has ended.
    done: Mutex<Receiver<()>>,
    undelivered: Arc<Mutex<UndeliveredReports>>,
}

impl Outbox {
    /// Starts the sending thread.
    pub fn open(settings: ProviderSettings, job: &Job) -> Self {
        let (reports, inbox) = mpsc::channel();
        let (alive, done) = mpsc::channel();
        let undelivered = Arc::<Mutex<UndeliveredReports>>::default();
        let shared = Arc::clone(&undelivered);
        let (change_request, requested) = (job.change_request.clone(), job.requested_deployment.clone());
        let read_only_token = job.read_only_token;
        thread::spawn(move || {
            // Dropped at the end of the thread, however it ends.
            let _alive: Sender<()> = alive;
            match runtime::on_this_thread() {
                Ok(runtime) => {
                    let mut carrier = Carrier {
                        impatient: connect(settings.clone(), IMPATIENT),
                        patient: connect(settings, PATIENT),
                        answers: true,
                        change_request,
                        requested,
                        read_only_token,
                        deployment: None,
                        given_up: HashSet::new(),
                        undelivered: shared,
                    };
                    for report in inbox {
                        runtime.block_on(carrier.carry(report));
                    }
                }
                Err(error) => add(&shared, format!("nothing is reported to the platform: {error}")),
            }
        });
        Self { reports: Mutex::new(Some(reports)), done: Mutex::new(done), undelivered }
    }

    pub fn send(&self, report: Message) {
        if let Some(reports) = &*self.reports.lock().unwrap_or_else(PoisonError::into_inner) {
            // Fails only where the thread could not start, which it has reported.
            let _ = reports.send(report);
        }
    }

    /// Closes the queue and waits until everything is sent, up to this timeout.
    pub fn close(&self, patience: Duration) -> Notices {
        drop(self.reports.lock().unwrap_or_else(PoisonError::into_inner).take());
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if done.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
            let seconds = patience.as_secs();
            add(&self.undelivered, format!("the platform has not taken every report within {seconds} s"));
        }
        std::mem::take(&mut *self.undelivered.lock().unwrap_or_else(PoisonError::into_inner)).into_notices()
    }
}

fn add(undelivered: &Mutex<UndeliveredReports>, notice: String) {
    undelivered.lock().unwrap_or_else(PoisonError::into_inner).add(notice);
}

/// The state of the sending thread.
struct Carrier {
    patient: Box<dyn Provider>,
    impatient: Box<dyn Provider>,
    /// Whether the platform answered the last request.
    answers: bool,
    change_request: Option<ChangeRequest>,
    /// The platform's deployment that asks for this job.
    requested: Option<RequestedDeployment>,
    /// Whether the job's token may only read: then a refused write is no missing permission.
    read_only_token: bool,
    deployment: Option<PlatformDeployment>,
    /// Refused capabilities, which are not retried.
    given_up: HashSet<Capability>,
    undelivered: Arc<Mutex<UndeliveredReports>>,
}

impl Carrier {
    async fn carry(&mut self, report: Message) {
        let capability = report.capability();
        if self.given_up.contains(&capability) {
            return;
        }
        // Not every push belongs to a change request, so a refused lookup by commit is no failure.
        let may_be_refused =
            matches!(&report, Message::FindChangeRequest { lookup: RequestLookup::Commit(_), .. });
        let told = self.tell(report).await;
        self.answers =
            !matches!(told, Err(ProviderError::Unavailable { .. } | ProviderError::Unreachable { .. }));
        match told {
            Err(ProviderError::Refused { .. }) if may_be_refused => {}
            Err(error) => self.not_told(capability, &error),
            Ok(()) => {}
        }
    }

    async fn tell(&mut self, report: Message) -> Result<(), ProviderError> {
        let provider = if self.answers { &self.patient } else { &self.impatient };
        match report {
            Message::Status { commits, status } => {
                for commit in commits {
                    provider.set_commit_status(&commit, &status).await?;
                }
                Ok(())
            }
            Message::DeploymentStarts { deployment, update } => {
                let started = match self.requested.as_ref().filter(|requested| is_for(requested, &deployment))
                {
                    Some(requested) => PlatformDeployment { id: requested.id },
                    None => provider.start_deployment(&deployment).await?,
                };
                let told = provider.update_deployment(&started, &update).await;
                self.deployment = Some(started);
                told
            }
            Message::DeploymentIs(update) => match &self.deployment {
                Some(deployment) => provider.update_deployment(deployment, &update).await,
                // The failed start was reported before.
                None => Ok(()),
            },
            Message::RequestIs(update) => match &self.requested {
                Some(RequestedDeployment { id, .. }) => {
                    provider.update_deployment(&PlatformDeployment { id: *id }, &update).await
                }
                None => Ok(()),
            },
            Message::Dispatch(next) => {
                match next.start(&**provider, self.change_request.as_ref()).await? {
                    Started::WithInputs => {}
                    Started::WithoutInputs(reason) => {
                        add(
                            &self.undelivered,
                            format!("what comes next is started without inputs: {reason}"),
                        );
                    }
                    Started::Nowhere => {
                        let why = "this event names no branch of this repository";
                        add(&self.undelivered, format!("what comes next is not started: {why}"));
                    }
                }
                Ok(())
            }
            Message::FindChangeRequest { lookup, answer } => {
                if let Some(found) = provider.find_change_request(&lookup).await? {
                    // Fails where the report stopped waiting for the answer.
                    let _ = answer.send(Some(found.clone()));
                    self.change_request = Some(found);
                }
                Ok(())
            }
            Message::Comment(comment) => match &self.change_request {
                Some(request) => provider.put_comment(request.number, &comment).await.map(drop),
                None => Ok(()),
            },
        }
    }

    fn not_told(&mut self, capability: Capability, error: &ProviderError) {
        let refused = matches!(error, ProviderError::Refused { .. } | ProviderError::Unsupported { .. });
        if refused {
            self.given_up.insert(capability);
        }
        if refused && self.read_only_token && OF_REPORTS.contains(&capability) {
            self.given_up.extend(OF_REPORTS);
            let skipped = "comment and commit status are skipped: the change comes from a fork, \
                           whose jobs have a token that may only read";
            add(&self.undelivered, skipped.to_owned());
            return;
        }
        self.undelivered.lock().unwrap_or_else(PoisonError::into_inner).prevented(capability, error);
    }
}

/// Whether the platform's deployment that started the job requests this rollout.
fn is_for(requested: &RequestedDeployment, new: &NewDeployment) -> bool {
    is_same_environment(&requested.environment, &new.environment) && requested.commit == new.commit
}
