//! Errors of a platform, with the permission or token that would solve them.

use std::time::Duration;

use jiff::Timestamp;

use super::{Capability, Platform};

/// The reason why a request to a platform failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The platform lacks the capability, or there is no platform.
    #[error("{platform} cannot {capability}")]
    Unsupported { platform: Platform, capability: Capability },
    /// The job's environment lacks a setting that is needed to reach the platform.
    #[error("{platform} cannot be asked: {problem}")]
    Unconfigured { platform: Platform, problem: String },
    /// The platform refused.
    #[error("{platform} refused to {capability} ({status}: {message}){}", after(advice.as_deref()))]
    Refused {
        platform: Platform,
        capability: Capability,
        /// The HTTP status.
        status: u16,
        /// The platform's message, shortened to one line.
        message: String,
        /// The remedy, as a sentence.
        advice: Option<String>,
    },
    /// The platform has had too many requests and wants a longer pause than a job should wait.
    #[error("{platform} has had too many requests to {capability}{}", pause(*wait, *until))]
    RateLimited {
        platform: Platform,
        capability: Capability,
        wait: Option<Duration>,
        /// When the pause is over, by the platform's clock.
        until: Option<Timestamp>,
    },
    /// The platform redirects the request to an address to which it is not sent.
    #[error("{platform} did not {capability}: it points to {to} ({status}). {advice}")]
    Moved {
        platform: Platform,
        capability: Capability,
        /// The HTTP status.
        status: u16,
        /// The new address, without parts that may be secret.
        to: String,
        advice: String,
    },
    /// The platform cannot be reached as this machine is set up: its certificate, or the address.
    /// Nothing was sent.
    #[error("{platform} could not {capability}: {reason}")]
    Unreachable { platform: Platform, capability: Capability, reason: String },
    /// The platform did not answer, or answered with a server error.
    #[error("{platform} could not {capability}: {reason}")]
    Unavailable {
        platform: Platform,
        capability: Capability,
        reason: String,
        /// Whether the request may have been carried out all the same.
        may_have_happened: bool,
    },
    /// The platform answered something that its API does not describe.
    #[error("{platform} answered something unexpected when asked to {capability}: {reason}")]
    UnexpectedAnswer { platform: Platform, capability: Capability, reason: String },
    /// There are more comments than are searched.
    #[error(
        "there are more than {searched} comments, and none of them is the one to edit; no second one is written"
    )]
    TooManyComments { searched: usize },
}

impl ProviderError {
    /// Whether the platform answers that the requested thing does not exist.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404 | 410, .. })
    }

    /// Whether the platform answers that this token lacks the permission.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { status: 401 | 403, .. })
    }

    /// Whether both have the same cause: they have the same text, apart from the capability.
    #[must_use]
    pub fn has_the_cause_of(&self, other: &Self) -> bool {
        let of_anything = |error: &Self| error.said_of(&[Capability::Comments]);
        match (self, other) {
            // Each request meets the rate limit at another time, and has a new address of its own.
            (Self::RateLimited { .. }, Self::RateLimited { .. }) => true,
            (Self::Moved { status, advice, .. }, Self::Moved { status: other, advice: others, .. }) => {
                status == other && advice == others
            }
            _ => of_anything(self) == of_anything(other),
        }
    }

    /// The text of the error, naming all capabilities that it prevented.
    #[must_use]
    pub fn said_of(&self, capabilities: &[Capability]) -> String {
        let said = self.to_string();
        let Some(capability) = self.capability() else { return said };
        let names: Vec<_> = capabilities.iter().map(ToString::to_string).collect();
        let all = match names.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
            None => return said,
        };
        // The capability is named before any text of other origin.
        said.replacen(&capability.to_string(), &all, 1)
    }

    fn capability(&self) -> Option<Capability> {
        match self {
            Self::Unsupported { capability, .. }
            | Self::Refused { capability, .. }
            | Self::RateLimited { capability, .. }
            | Self::Moved { capability, .. }
            | Self::Unreachable { capability, .. }
            | Self::Unavailable { capability, .. }
            | Self::UnexpectedAnswer { capability, .. } => Some(*capability),
            Self::Unconfigured { .. } | Self::TooManyComments { .. } => None,
        }
    }

    /// Whether the request may have been executed although there was no good answer.
    pub(super) fn may_have_happened(&self) -> bool {
        matches!(self, Self::Unavailable { may_have_happened: true, .. } | Self::UnexpectedAnswer { .. })
    }
}

fn after(advice: Option<&str>) -> String {
    advice.map(|advice| format!(". {advice}")).unwrap_or_default()
}

fn pause(wait: Option<Duration>, until: Option<Timestamp>) -> String {
    let Some(wait) = wait else { return String::new() };
    let until =
        until.map(|until| until.strftime(", until %Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default();
    format!(" and wants a pause of {} s{until}", wait.as_secs())
}

/// A platform's message on one line, of a bearable length.
pub(super) fn shorten(message: &str) -> String {
    const LONGEST: usize = 300;
    let words: Vec<_> = message.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(capability: Capability, status: u16, advice: &str) -> ProviderError {
        let (platform, message) = (Platform::GitHub, "No".to_owned());
        ProviderError::Refused { platform, capability, status, message, advice: Some(advice.to_owned()) }
    }

    #[test]
    fn one_cause_is_said_once_of_all_that_it_prevented() {
        let [comment, status] = [Capability::Comments, Capability::CommitStatuses];
        let expired = refused(comment, 401, "The token is not valid");
        assert!(expired.has_the_cause_of(&refused(status, 401, "The token is not valid")));
        assert!(!expired.has_the_cause_of(&refused(status, 403, "The token is not valid")));
        // Each of two missing permissions is named.
        let missing = refused(status, 403, "The job needs `statuses: write`");
        assert!(!missing.has_the_cause_of(&refused(comment, 403, "The job needs `pull-requests: write`")));
        assert_eq!(
            expired.said_of(&[status, Capability::Deployments, comment]),
            "GitHub refused to set the commit status, record the deployment and write the comment (401: No). The token \
             is not valid"
        );
        assert_eq!(expired.said_of(&[comment]), expired.to_string());
    }
}
