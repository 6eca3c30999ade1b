//! What is told to the platform while a verb runs and when it has ended: in order, on a thread of its own, so that a
//! platform that is slow or down delays no rollout.

use std::collections::HashSet;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::notices::Notices;
use super::untold::Untold;
use crate::ci::Push;
use crate::cli::runtime;
use crate::deployment::CommitId;
use crate::provider::{
    Capability, CommitStatus, DeploymentUpdate, Dispatch, NewDeployment, PlatformDeployment, Provider,
    ProviderError, ProviderSettings, RetryPolicy, StickyComment, connect,
};

/// How patient one request is, and how patient while the platform does not answer.
const PATIENT: RetryPolicy = RetryPolicy {
    attempts: 4,
    first_pause: Duration::from_millis(500),
    longest_pause: Duration::from_secs(30),
    limit_pause: Duration::from_mins(1),
    timeout: Duration::from_secs(10),
};
const IMPATIENT: RetryPolicy = RetryPolicy { attempts: 2, ..PATIENT };

/// Something to tell the platform.
pub(super) enum Report {
    Status {
        commits: Vec<CommitId>,
        status: CommitStatus,
    },
    DeploymentStarts {
        deployment: NewDeployment,
        update: DeploymentUpdate,
    },
    /// Of the deployment that has started.
    DeploymentIs(DeploymentUpdate),
    /// What comes next.
    Dispatch(Dispatch),
    Comment {
        on: CommentedOn,
        comment: StickyComment,
    },
}

/// Where a comment belongs.
pub(super) enum CommentedOn {
    ChangeRequest(u64),
    /// The change request whose merge was pushed, if it was one. To a job that may not know, nothing is missing.
    WhatWasMerged(Push),
}

impl Report {
    const fn capability(&self) -> Capability {
        match self {
            Self::Status { .. } => Capability::CommitStatuses,
            Self::DeploymentStarts { .. } | Self::DeploymentIs(_) => Capability::Deployments,
            Self::Dispatch(_) => Capability::Dispatch,
            Self::Comment { .. } => Capability::Comments,
        }
    }
}

/// Takes reports to the platform.
pub(super) struct Post {
    /// Gone when nothing more is said.
    reports: Mutex<Option<Sender<Report>>>,
    /// Ends when everything is said.
    done: Mutex<Receiver<()>>,
    untold: Arc<Mutex<Untold>>,
}

impl Post {
    /// Starts the thread. `from_fork` is said where the platform refuses: then no permission is missing.
    pub(super) fn open(settings: ProviderSettings, from_fork: bool) -> Self {
        let (reports, inbox) = mpsc::channel();
        let (alive, done) = mpsc::channel();
        let untold = Arc::<Mutex<Untold>>::default();
        let shared = Arc::clone(&untold);
        thread::spawn(move || {
            // Dropped at the end of the thread, however it ends.
            let _alive: Sender<()> = alive;
            match runtime::on_this_thread() {
                Ok(runtime) => {
                    let mut carrier = Carrier {
                        impatient: connect(settings.clone(), IMPATIENT),
                        patient: connect(settings, PATIENT),
                        answers: true,
                        from_fork,
                        deployment: None,
                        given_up: HashSet::new(),
                        untold: shared,
                    };
                    for report in inbox {
                        runtime.block_on(carrier.carry(report));
                    }
                }
                Err(error) => add(&shared, format!("nothing is reported to the platform: {error}")),
            }
        });
        Self { reports: Mutex::new(Some(reports)), done: Mutex::new(done), untold }
    }

    pub(super) fn send(&self, report: Report) {
        if let Some(reports) = &*self.reports.lock().unwrap_or_else(PoisonError::into_inner) {
            // The thread has gone where it could not start, and has said so.
            let _ = reports.send(report);
        }
    }

    /// Waits for everything to be said, but no longer than this.
    pub(super) fn close(&self, patience: Duration) -> Notices {
        drop(self.reports.lock().unwrap_or_else(PoisonError::into_inner).take());
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if done.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
            let seconds = patience.as_secs();
            add(&self.untold, format!("the platform has not taken every report within {seconds} s"));
        }
        std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner)).into_notices()
    }
}

fn add(untold: &Mutex<Untold>, notice: String) {
    untold.lock().unwrap_or_else(PoisonError::into_inner).add(notice);
}

/// What the thread knows.
struct Carrier {
    patient: Box<dyn Provider>,
    impatient: Box<dyn Provider>,
    /// Whether the platform did, when it was asked last.
    answers: bool,
    from_fork: bool,
    deployment: Option<PlatformDeployment>,
    /// What the platform has refused: to ask again would change nothing.
    given_up: HashSet<Capability>,
    untold: Arc<Mutex<Untold>>,
}

impl Carrier {
    async fn carry(&mut self, report: Report) {
        let capability = report.capability();
        if self.given_up.contains(&capability) {
            return;
        }
        let may_be_refused = matches!(report, Report::Comment { on: CommentedOn::WhatWasMerged(_), .. });
        let told = self.tell(report).await;
        self.answers =
            !matches!(told, Err(ProviderError::Unavailable { .. } | ProviderError::Unreachable { .. }));
        match told {
            Err(ProviderError::Refused { .. }) if may_be_refused => {}
            Err(error) => self.not_told(capability, &error),
            Ok(()) => {}
        }
    }

    async fn tell(&mut self, report: Report) -> Result<(), ProviderError> {
        let provider = if self.answers { &self.patient } else { &self.impatient };
        match report {
            Report::Status { commits, status } => {
                for commit in commits {
                    provider.set_commit_status(&commit, &status).await?;
                }
                Ok(())
            }
            Report::DeploymentStarts { deployment, update } => {
                let started = provider.start_deployment(&deployment).await?;
                let told = provider.update_deployment(&started, &update).await;
                self.deployment = Some(started);
                told
            }
            Report::DeploymentIs(update) => match &self.deployment {
                Some(deployment) => provider.update_deployment(deployment, &update).await,
                // That it did not start has been said.
                None => Ok(()),
            },
            Report::Dispatch(dispatch) => provider.dispatch(&dispatch).await,
            Report::Comment { on, comment } => {
                let change_request = match on {
                    CommentedOn::ChangeRequest(number) => Some(number),
                    CommentedOn::WhatWasMerged(Push { branch, commit }) => {
                        provider.merged_change_request(&branch, &commit).await?
                    }
                };
                let Some(change_request) = change_request else { return Ok(()) };
                provider.put_comment(change_request, &comment).await.map(drop)
            }
        }
    }

    fn not_told(&mut self, capability: Capability, error: &ProviderError) {
        let refused = matches!(error, ProviderError::Refused { .. } | ProviderError::Unsupported { .. });
        if refused {
            self.given_up.insert(capability);
        }
        if refused && self.from_fork {
            self.given_up.extend([Capability::Comments, Capability::CommitStatuses, Capability::Deployments]);
            let skipped = "comment, commit status and deployment record are skipped: the change comes from a fork, \
                           whose jobs have a token that may only read";
            add(&self.untold, skipped.to_owned());
            return;
        }
        self.untold.lock().unwrap_or_else(PoisonError::into_inner).prevented(capability, error);
    }
}
