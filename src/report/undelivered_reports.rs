//! Undelivered reports, with one warning per cause: an unreachable platform fails them all.

use super::notices::Notices;
use crate::provider::{Capability, ProviderError};

/// The failures so far, with their causes.
#[derive(Debug, Default)]
pub struct UndeliveredReports {
    others: Notices,
    /// Each cause, with the capabilities that it prevented.
    causes: Vec<(ProviderError, Vec<Capability>)>,
}

impl UndeliveredReports {
    /// Adds a failure with another cause than the platform, as a sentence without its full stop.
    pub fn add(&mut self, notice: String) {
        self.others.add(notice);
    }

    /// Adds a capability that an error prevented.
    pub fn prevented(&mut self, capability: Capability, error: &ProviderError) {
        match self.causes.iter_mut().find(|(cause, _)| error.has_the_cause_of(cause)) {
            Some((_, capabilities)) if capabilities.contains(&capability) => {}
            Some((_, capabilities)) => capabilities.push(capability),
            None => self.causes.push((error.clone(), vec![capability])),
        }
    }

    /// All failures, with one notice per cause.
    pub fn into_notices(self) -> Notices {
        let mut notices = self.others;
        for (cause, capabilities) in self.causes {
            notices.add(cause.said_of(&capabilities));
        }
        notices
    }
}
