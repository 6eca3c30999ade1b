//! What can go wrong with a platform, and which permission or token would mend it.

use std::time::Duration;

use super::{Capability, Platform};

/// Why a platform did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The platform has no such thing, or there is no platform.
    #[error("{platform} cannot {capability}")]
    Unsupported { platform: Platform, capability: Capability },
    /// The job's environment does not say what is needed to reach the platform.
    #[error("{platform} cannot be asked: {problem}")]
    Unconfigured { platform: Platform, problem: String },
    /// The platform refused.
    #[error("{platform} refused to {capability} ({status}: {message}){}", after(advice.as_deref()))]
    Refused {
        platform: Platform,
        capability: Capability,
        /// The HTTP status.
        status: u16,
        /// What the platform said, shortened, on one line.
        message: String,
        /// What would help, as a sentence.
        advice: Option<String>,
    },
    /// The platform has had too many requests and wants a longer pause than a job should wait.
    #[error("{platform} has had too many requests to {capability}{}", pause(*wait))]
    RateLimited { platform: Platform, capability: Capability, wait: Option<Duration> },
    /// The platform did not answer, or with an error of its own.
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
    /// Whether the platform says that what was asked about does not exist.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404 | 410, .. })
    }

    /// Whether the platform says that this token may not.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { status: 401 | 403, .. })
    }

    /// Whether what was asked for may have happened although there was no good answer.
    pub(super) fn may_have_happened(&self) -> bool {
        matches!(self, Self::Unavailable { may_have_happened: true, .. } | Self::UnexpectedAnswer { .. })
    }
}

fn after(advice: Option<&str>) -> String {
    advice.map(|advice| format!(". {advice}")).unwrap_or_default()
}

fn pause(wait: Option<Duration>) -> String {
    wait.map(|wait| format!(" and wants a pause of {} s", wait.as_secs())).unwrap_or_default()
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
