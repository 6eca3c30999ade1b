//! Time-outs, bounded retries and rate limits, the same for every platform.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use jiff::fmt::rfc2822;
use serde::de::DeserializeOwned;

use super::error::{ProviderError, shorten};
use super::http::{Repeat, Request, Response, Transport, TransportError};
use super::{Capability, Platform, Token};

/// How patient the provider is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a request is sent at most.
    pub attempts: usize,
    /// The pause before the second attempt; each further one is twice as long.
    pub first_pause: Duration,
    /// The longest pause. A platform that asks for a longer one is not asked again.
    pub longest_pause: Duration,
    /// How long one attempt may take.
    pub timeout: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 4,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_mins(1),
            timeout: Duration::from_secs(30),
        }
    }
}

/// Says what would help against a refusal: what was asked for, and the HTTP status.
pub(super) type Advice = Box<dyn Fn(Capability, u16) -> Option<String> + Send + Sync>;

/// A platform's API behind the retries.
pub(super) struct Client<T> {
    pub platform: Platform,
    pub transport: T,
    pub policy: RetryPolicy,
    pub token: Token,
    pub advice: Advice,
}

/// A failed attempt.
struct Failure {
    error: ProviderError,
    again: Again,
}

/// Whether it makes sense to try again.
enum Again {
    No,
    /// After the pause that the platform asks for, or after our own.
    After(Option<Duration>),
}

impl<T: Transport> Client<T> {
    /// Sends a request until it is answered, or until more attempts make no sense.
    pub(super) async fn call(&self, request: &Request) -> Result<Response, ProviderError> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(self.policy.first_pause)
            .with_max_delay(self.policy.longest_pause)
            .with_max_times(self.policy.attempts.saturating_sub(1))
            .with_jitter();
        (|| self.attempt(request))
            .retry(pauses)
            .sleep(tokio::time::sleep)
            .when(|failure: &Failure| matches!(failure.again, Again::After(_)))
            .adjust(|failure: &Failure, pause| match (&failure.again, pause) {
                // Only where another attempt is left.
                (Again::After(Some(asked)), Some(pause)) => Some((*asked).max(pause)),
                (_, pause) => pause,
            })
            .notify(|failure, pause| {
                tracing::debug!(error = %failure.error, ?pause, "the platform is asked again");
            })
            .await
            .map_err(|failure| failure.error)
    }

    /// Sends a request and reads the answer.
    pub(super) async fn read<A: DeserializeOwned>(&self, request: &Request) -> Result<A, ProviderError> {
        let response = self.call(request).await?;
        self.parse(request.capability, &response)
    }

    /// Reads an answer.
    pub(super) fn parse<A: DeserializeOwned>(
        &self,
        capability: Capability,
        response: &Response,
    ) -> Result<A, ProviderError> {
        serde_json::from_str(&response.body).map_err(|error| ProviderError::UnexpectedAnswer {
            platform: self.platform,
            capability,
            reason: error.to_string(),
        })
    }

    async fn attempt(&self, request: &Request) -> Result<Response, Failure> {
        let answer = tokio::time::timeout(self.policy.timeout, self.transport.send(request)).await;
        match answer {
            Ok(Ok(response)) if (200..300).contains(&response.status) => Ok(response),
            Ok(Ok(response)) => Err(self.not_successful(request, &response)),
            Ok(Err(error)) => Err(self.unanswered(request, &error)),
            Err(_) => {
                let reason = format!("no answer within {} s", self.policy.timeout.as_secs());
                Err(self.unanswered(request, &TransportError { reason, sent: true }))
            }
        }
    }

    fn unanswered(&self, request: &Request, error: &TransportError) -> Failure {
        let again =
            if error.sent && request.repeat == Repeat::Harmful { Again::No } else { Again::After(None) };
        Failure { error: self.unavailable(request.capability, &error.reason, error.sent), again }
    }

    fn unavailable(&self, capability: Capability, reason: &str, may_have_happened: bool) -> ProviderError {
        ProviderError::Unavailable {
            platform: self.platform,
            capability,
            reason: shorten(&self.token.redact(reason)),
            may_have_happened,
        }
    }

    fn not_successful(&self, request: &Request, response: &Response) -> Failure {
        let (platform, capability) = (self.platform, request.capability);
        let status = response.status;
        let message = shorten(&self.token.redact(&response.message()));
        if is_rate_limit(response, &message) {
            // What was turned away has not happened, so that anything may be sent again.
            let wait = requested_pause(response);
            let too_long = wait.is_some_and(|wait| wait > self.policy.longest_pause);
            let error = ProviderError::RateLimited { platform, capability, wait };
            return Failure { error, again: if too_long { Again::No } else { Again::After(wait) } };
        }
        if status >= 500 || status == 408 {
            let again = if request.repeat == Repeat::Harmful {
                Again::No
            } else {
                Again::After(requested_pause(response))
            };
            let again = match again {
                Again::After(Some(wait)) if wait > self.policy.longest_pause => Again::No,
                again => again,
            };
            return Failure {
                error: self.unavailable(capability, &format!("{status} {message}"), true),
                again,
            };
        }
        let advice = (self.advice)(capability, status);
        // GitLab's answer while another job writes the same status.
        let again =
            if status == 409 && request.repeat == Repeat::Harmless { Again::After(None) } else { Again::No };
        Failure { error: ProviderError::Refused { platform, capability, status, message, advice }, again }
    }
}

/// Whether an answer means "too often". GitHub says so with 403 as well:
/// <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>.
fn is_rate_limit(response: &Response, message: &str) -> bool {
    response.status == 429
        || (response.status == 403
            && (response.header("retry-after").is_some()
                || response.header("x-ratelimit-remaining") == Some("0")
                || message.to_ascii_lowercase().contains("secondary rate limit")))
}

/// The pause that an answer asks for, in `Retry-After` or in the reset of the rate limit.
fn requested_pause(response: &Response) -> Option<Duration> {
    if let Some(after) = response.header("retry-after") {
        return match after.parse() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => Some(Duration::from_secs(date(after)?.saturating_sub(date(response.header("date")?)?))),
        };
    }
    let exhausted = ["x-ratelimit-remaining", "ratelimit-remaining"]
        .iter()
        .any(|name| response.header(name) == Some("0"));
    let reset = ["x-ratelimit-reset", "ratelimit-reset"].iter().find_map(|name| response.header(name))?;
    // Against the platform's own clock: this machine's may be wrong.
    let now = date(response.header("date")?)?;
    exhausted.then_some(())?;
    Some(Duration::from_secs(reset.parse::<u64>().ok()?.saturating_sub(now)))
}

/// An HTTP date as seconds since 1970.
fn date(text: &str) -> Option<u64> {
    let zoned = rfc2822::parse(text).ok()?;
    u64::try_from(zoned.timestamp().as_second()).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn response(status: u16, headers: &[(&'static str, &'static str)]) -> Response {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)))
            .collect();
        Response { status, headers, body: String::new() }
    }

    #[test]
    fn a_pause_is_given_in_seconds_as_a_date_or_as_the_limit_s_reset() {
        let seconds = |headers: &[_]| requested_pause(&response(429, headers)).map(|pause| pause.as_secs());
        assert_eq!(seconds(&[("retry-after", "7")]), Some(7));
        let now = ("date", "Thu, 23 Jan 2025 15:30:00 GMT");
        assert_eq!(seconds(&[("retry-after", "Thu, 23 Jan 2025 15:30:09 GMT"), now]), Some(9));
        assert_eq!(
            seconds(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1737646212"), now]),
            Some(12)
        );
        assert_eq!(
            seconds(&[("x-ratelimit-remaining", "9"), ("x-ratelimit-reset", "1737646212"), now]),
            None
        );
        assert_eq!(seconds(&[("retry-after", "soon")]), None);
    }

    #[test]
    fn a_forbidden_request_is_no_rate_limit() {
        assert!(!is_rate_limit(
            &response(403, &[("x-ratelimit-remaining", "41")]),
            "Resource not accessible"
        ));
        assert!(is_rate_limit(&response(403, &[("x-ratelimit-remaining", "0")]), ""));
        assert!(is_rate_limit(&response(403, &[]), "You have exceeded a secondary rate limit"));
    }
}
