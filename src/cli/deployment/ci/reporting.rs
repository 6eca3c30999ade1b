//! The reports of a job to its platform.

use std::sync::Arc;

use super::command::CiCommand;
use crate::project::platform;
use crate::report::{Ending, Notices, Outbox, Outcome, Overview, OverviewSource, Reports};

impl CiCommand {
    /// The reports to the platform; `None` where there is no platform or no report is enabled.
    pub(super) fn reports(&self, notices: &mut Notices) -> Option<Arc<Reports>> {
        let subject = self.subject.clone()?;
        let Some(job) = &self.job else {
            if self.dispatch.is_some() {
                notices.add(
                    "input `dispatch` starts nothing outside of GitHub Actions and GitLab CI".to_owned(),
                );
            }
            if self.wants_reports {
                let nothing = "nothing is reported outside of GitHub Actions and GitLab CI: no comment, commit status or \
                               deployment record";
                notices.add(nothing.to_owned());
            }
            return None;
        };
        if !self.switches.any() && self.dispatch.is_none() {
            return None;
        }
        match platform::settings(&self.context, self.token.clone()) {
            Ok(settings) => {
                let outbox = Outbox::open(settings, job);
                Some(Arc::new(Reports::new(
                    Arc::clone(&self.context),
                    Arc::clone(job),
                    subject,
                    self.switches,
                    self.dispatch.is_some(),
                    outbox,
                )))
            }
            Err(error) => {
                notices.add(error.to_string());
                None
            }
        }
    }

    /// The overview of the deployment after the verb. `None` after a cancellation, which leaves no
    /// time.
    pub(super) fn overview(
        &self,
        reports: Option<&Reports>,
        outcome: &Outcome,
        notices: &mut Notices,
    ) -> Option<Overview> {
        let subject = self.subject.as_ref()?;
        if outcome.ending() == Ending::Cancelled {
            return None;
        }
        let job = reports.map(Reports::job);
        let job = job.as_ref().or(self.job.as_deref());
        let source = OverviewSource { context: &self.context, job, outcome };
        let overview = source.overview(&subject.deployment);
        if let (Err(error), Ending::Success) = (&overview, outcome.ending()) {
            let reason = error.shown().map(|error| error.message.clone()).unwrap_or_default();
            notices.add(format!(
                "the summary and the comment are short, because the deployment cannot be looked at: {reason}"
            ));
        }
        overview.ok()
    }

    pub(super) fn comment(&self, reports: &Reports, overview: &Overview, notices: &mut Notices) {
        let limit = reports.comment_limit();
        match overview.comment(limit) {
            Ok((rendered, problem)) => {
                if let Some(problem) = problem {
                    notices.add(format!("the built-in template is used for the comment: {problem}"));
                }
                reports.comment(&self.context.masks().apply(rendered.markdown));
            }
            Err(error) => notices.add(format!("there is no comment: {error}")),
        }
    }
}
