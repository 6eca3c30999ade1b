//! Timeouts, bounded retries with backoff, and rate limits, the same for every platform.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;

use super::error::{ProviderError, shorten};
use super::http::{Repeat, Request, Response, Transport, TransportError};
use super::redirect::{Elsewhere, MOST_REDIRECTS, Redirect};
use super::{Capability, Platform, Token};

/// The limits of retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The most attempts of a request.
    pub attempts: usize,
    /// The pause before the second attempt; each further one is twice as long.
    pub first_pause: Duration,
    /// The longest pause. There is no retry if the platform demands a longer one.
    pub longest_pause: Duration,
    /// The first pause after a rate limit without a duration. GitHub requires at least a
    /// minute, growing with each retry.
    pub limit_pause: Duration,
    /// The timeout of one exchange. Each redirect of an attempt is another exchange.
    pub timeout: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 4,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_mins(1),
            limit_pause: Duration::from_mins(1),
            timeout: Duration::from_secs(30),
        }
    }
}

/// A function from a refused capability and its HTTP status to a remedy.
pub(super) type Advice = Box<dyn Fn(Capability, u16) -> Option<String> + Send + Sync>;

/// A client of a platform's API, with retries.
pub(super) struct Client<T> {
    pub platform: Platform,
    pub transport: T,
    /// The root of the API.
    pub api_url: String,
    pub policy: RetryPolicy,
    pub token: Token,
    pub advice: Advice,
}

/// A failed attempt.
struct Failure {
    error: ProviderError,
    again: Again,
}

/// Whether to retry.
enum Again {
    No,
    /// After the pause that the platform demands, or after our own.
    After(Option<Duration>),
    /// After a rate limit without a duration: a pause that grows with each retry.
    AfterLimit,
}

impl<T: Transport> Client<T> {
    /// Sends a request, with retries.
    pub(super) async fn call(&self, request: &Request) -> Result<Response, ProviderError> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(self.policy.first_pause)
            .with_max_delay(self.policy.longest_pause)
            .with_max_times(self.policy.attempts.saturating_sub(1))
            .with_jitter();
        let mut limited = 0;
        (|| self.attempt(request))
            .retry(pauses)
            .sleep(tokio::time::sleep)
            .when(|failure: &Failure| !matches!(failure.again, Again::No))
            .adjust(|failure: &Failure, pause| match (&failure.again, pause) {
                // Only if an attempt is left.
                (Again::After(Some(asked)), Some(pause)) => Some((*asked).max(pause)),
                (Again::AfterLimit, Some(pause)) => {
                    let wanted = self.policy.limit_pause * 2_u32.pow(limited);
                    limited += 1;
                    (wanted <= self.policy.longest_pause).then_some(wanted.max(pause))
                }
                (_, pause) => pause,
            })
            .notify(|failure, pause| {
                tracing::debug!(error = %failure.error, ?pause, "the platform is asked again");
            })
            .await
            .map_err(|failure| failure.error)
    }

    /// Sends a request and parses the response.
    pub(super) async fn read<A: DeserializeOwned>(&self, request: &Request) -> Result<A, ProviderError> {
        let response = self.call(request).await?;
        self.parse(request.capability, &response)
    }

    /// Parses a response.
    pub(super) fn parse<A: DeserializeOwned>(
        &self,
        capability: Capability,
        response: &Response,
    ) -> Result<A, ProviderError> {
        serde_json::from_str(crate::text::unmarked(&response.body)).map_err(|error| {
            ProviderError::UnexpectedAnswer { platform: self.platform, capability, reason: error.to_string() }
        })
    }

    /// Sends a request and follows redirects.
    async fn attempt(&self, request: &Request) -> Result<Response, Failure> {
        let mut request = request.clone();
        let mut followed = 0;
        loop {
            let response = self.exchange(&request).await?;
            let refused = match Redirect::read(self.platform, &self.api_url, &request, &response) {
                None => return self.judge(&request, response),
                Some(Redirect::Followed(path)) if followed < MOST_REDIRECTS => {
                    followed += 1;
                    request.path = path;
                    continue;
                }
                Some(Redirect::Followed(path)) => Redirect::endless(self.platform, &self.api_url, &path),
                Some(Redirect::Refused(elsewhere)) => elsewhere,
            };
            return Err(self.moved(&request, response.status, refused));
        }
    }

    /// Sends a request once.
    async fn exchange(&self, request: &Request) -> Result<Response, Failure> {
        let answer = tokio::time::timeout(self.policy.timeout, self.transport.send(request)).await;
        let stalled =
            || TransportError::PerhapsSent(format!("no answer within {} s", self.policy.timeout.as_secs()));
        answer.unwrap_or_else(|_| Err(stalled())).map_err(|error| self.unanswered(request, error))
    }

    fn judge(&self, request: &Request, response: Response) -> Result<Response, Failure> {
        if !(200..300).contains(&response.status) {
            return Err(self.not_successful(request, &response));
        }
        if response.is_of_an_api() {
            return Ok(response);
        }
        // A captive portal or a proxy answered: the platform may not have received the request.
        let begin = shorten(&self.token.redact(&response.body)).chars().take(40).collect::<String>();
        let reason =
            if begin.is_empty() { "an empty answer".to_owned() } else { format!("no JSON: {begin}") };
        let (platform, capability) = (self.platform, request.capability);
        Err(Failure {
            error: ProviderError::UnexpectedAnswer { platform, capability, reason },
            again: Again::No,
        })
    }

    fn moved(&self, request: &Request, status: u16, elsewhere: Elsewhere) -> Failure {
        let (platform, capability) = (self.platform, request.capability);
        let to = shorten(&self.token.redact(&elsewhere.to));
        let error = ProviderError::Moved { platform, capability, status, to, advice: elsewhere.advice };
        Failure { error, again: Again::No }
    }

    fn unanswered(&self, request: &Request, error: TransportError) -> Failure {
        let (platform, capability) = (self.platform, request.capability);
        match error {
            TransportError::Hopeless(reason) => {
                let reason = shorten(&self.token.redact(&reason));
                Failure {
                    error: ProviderError::Unreachable { platform, capability, reason },
                    again: Again::No,
                }
            }
            TransportError::NotSent(reason) => {
                let reason = format!("{}: {reason}", self.server());
                Failure { error: self.unavailable(capability, &reason, false), again: Again::After(None) }
            }
            TransportError::PerhapsSent(reason) => {
                let again = match request.repeat {
                    Repeat::Harmful => Again::No,
                    Repeat::Harmless => Again::After(None),
                };
                Failure { error: self.unavailable(capability, &reason, true), again }
            }
        }
    }

    /// The server's address without credentials, for messages.
    fn server(&self) -> String {
        let url = reqwest::Url::parse(&self.api_url);
        url.map_or_else(|_| self.platform.to_string(), |url| url.origin().ascii_serialization())
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
        // A rate-limited request was not executed, so that a retry is always safe.
        if is_rate_limit(response, &message) {
            return self.limited(request, response);
        }
        if status >= 500 || status == 408 {
            let wait = requested_pause(response);
            let again = match request.repeat {
                Repeat::Harmful => Again::No,
                Repeat::Harmless if wait.is_some_and(|wait| wait > self.policy.longest_pause) => Again::No,
                Repeat::Harmless => Again::After(wait),
            };
            return Failure {
                error: self.unavailable(capability, &format!("{status} {message}"), true),
                again,
            };
        }
        let advice = single_sign_on(response).or_else(|| (self.advice)(capability, status));
        // GitLab's response while another job writes the same status.
        let again =
            if status == 409 && request.repeat == Repeat::Harmless { Again::After(None) } else { Again::No };
        Failure { error: ProviderError::Refused { platform, capability, status, message, advice }, again }
    }

    /// The failure of a rate limit, with the pause before the retry. GitHub names none for
    /// secondary limits:
    /// <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>.
    fn limited(&self, request: &Request, response: &Response) -> Failure {
        let asked = requested_pause(response);
        let wait = asked.or((self.platform == Platform::GitHub).then_some(self.policy.limit_pause));
        let until = wait
            .and_then(|wait| SignedDuration::try_from(wait).ok())
            .and_then(|wait| now(response).checked_add(wait).ok());
        let again = match wait {
            Some(wait) if wait > self.policy.longest_pause => Again::No,
            Some(_) if asked.is_none() => Again::AfterLimit,
            wait => Again::After(wait),
        };
        let (platform, capability) = (self.platform, request.capability);
        Failure { error: ProviderError::RateLimited { platform, capability, wait, until }, again }
    }
}

/// The address for authorizing a token for the single sign-on of a GitHub organization, if
/// required: `X-GitHub-SSO: required; url=https://…`.
fn single_sign_on(response: &Response) -> Option<String> {
    let (_, url) = response.header("x-github-sso")?.split_once("url=")?;
    let url = url
        .split(|c: char| c == ';' || c.is_whitespace())
        .next()
        .filter(|url| url.starts_with("https://"))?;
    Some(format!("The organization has single sign-on: authorize the token at {url}"))
}

/// Whether a response is a rate limit. GitHub uses 403 as well:
/// <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>.
fn is_rate_limit(response: &Response, message: &str) -> bool {
    response.status == 429
        || (response.status == 403
            && (response.header("retry-after").is_some()
                || response.header("x-ratelimit-remaining") == Some("0")
                || message.to_ascii_lowercase().contains("secondary rate limit")))
}

/// The pause that a response demands, by `Retry-After` or the reset time of the rate limit.
fn requested_pause(response: &Response) -> Option<Duration> {
    if let Some(after) = response.header("retry-after") {
        if let Ok(seconds) = after.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let left = date(after)?.duration_since(now(response));
        return Some(Duration::try_from(left).unwrap_or_default());
    }
    let exhausted = ["x-ratelimit-remaining", "ratelimit-remaining"]
        .iter()
        .any(|name| response.header(name) == Some("0"));
    let reset = ["x-ratelimit-reset", "ratelimit-reset"].iter().find_map(|name| response.header(name))?;
    exhausted.then_some(())?;
    let now = u64::try_from(now(response).as_second()).ok()?;
    Some(Duration::from_secs(reset.parse::<u64>().ok()?.saturating_sub(now)))
}

/// The time of the platform's clock, because this machine's may be skewed; this machine's
/// where the response has no date.
fn now(response: &Response) -> Timestamp {
    response.header("date").and_then(date).unwrap_or_else(Timestamp::now)
}

/// An HTTP date.
fn date(text: &str) -> Option<Timestamp> {
    rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
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

    /// A transport that fails in one way.
    struct Failing(TransportError);

    #[async_trait::async_trait]
    impl Transport for Failing {
        async fn send(&self, _: &Request) -> Result<Response, TransportError> {
            Err(self.0.clone())
        }
    }

    #[tokio::test]
    async fn no_error_of_the_transport_shows_the_token() {
        let reason = || "cannot send `Bearer ghs_secret`".to_owned();
        for (error, server) in [
            (TransportError::NotSent(reason()), "https://api.github.com: "),
            (TransportError::PerhapsSent(reason()), ""),
            (TransportError::Hopeless(reason()), ""),
        ] {
            let client = Client {
                platform: Platform::GitHub,
                transport: Failing(error),
                api_url: "https://user:password@api.github.com/v3".to_owned(),
                policy: RetryPolicy { attempts: 1, ..RetryPolicy::default() },
                token: Token::new("ghs_secret").unwrap(),
                advice: Box::new(|_, _| None),
            };
            let error =
                client.call(&Request::get(Capability::Comments, "/user".to_owned())).await.unwrap_err();
            let said = format!("GitHub could not write the comment: {server}cannot send `Bearer ***`");
            assert_eq!(error.to_string(), said);
        }
    }

    #[test]
    fn the_address_to_authorize_a_token_at_is_shown() {
        let said = |value| single_sign_on(&response(403, &[("x-github-sso", value)]));
        assert_eq!(
            said("required; url=https://github.com/orgs/acme/sso?authorization_request=A1").unwrap(),
            "The organization has single sign-on: authorize the token at \
             https://github.com/orgs/acme/sso?authorization_request=A1"
        );
        assert_eq!(said("partial-results; organizations=1,2"), None);
        assert_eq!(said("required; url=javascript:x"), None);
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
