//! Requests and answers as the platforms' APIs have them, whichever crate carries them.

use async_trait::async_trait;
use http::{HeaderMap, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{Capability, certificates};

/// What the requests accept: GitHub's own media type, and plain JSON for what stands between.
pub(super) const ACCEPT: &str = "application/vnd.github+json, application/json;q=0.9";

/// How many items a page is asked to have: the most that both platforms give.
pub(super) const PAGE_SIZE: usize = 100;

/// Everything but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text as one segment of a path, or as a value in a query.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// A request to a platform.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub method: Method,
    /// The path below the API's root, from `/` on, with its query.
    pub path: String,
    pub body: Option<Value>,
    /// What it is for, for errors.
    pub capability: Capability,
    pub repeat: Repeat,
}

/// Whether a request may be sent again when it is not known whether it was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Doing it twice is as good as once.
    Harmless,
    /// Doing it twice leaves two of what there should be one of.
    Harmful,
}

impl Request {
    pub(super) fn get(capability: Capability, path: String) -> Self {
        Self { method: Method::GET, path, body: None, capability, repeat: Repeat::Harmless }
    }

    /// Changes something that is there already.
    pub(super) fn update(method: Method, capability: Capability, path: String, body: Value) -> Self {
        Self { method, path, body: Some(body), capability, repeat: Repeat::Harmless }
    }

    pub(super) fn delete(capability: Capability, path: String) -> Self {
        Self { method: Method::DELETE, path, body: None, capability, repeat: Repeat::Harmless }
    }

    /// Makes something new, which must not be made twice.
    pub(super) fn create(capability: Capability, path: String, body: Value) -> Self {
        Self { method: Method::POST, path, body: Some(body), capability, repeat: Repeat::Harmful }
    }

    /// Adds to a list of which only the last entry counts.
    pub(super) fn append(capability: Capability, path: String, body: Value) -> Self {
        Self { repeat: Repeat::Harmless, ..Self::create(capability, path, body) }
    }
}

/// An answer of a platform, of whatever status.
#[derive(Debug, Clone)]
pub(super) struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Response {
    /// A header's value, if it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether it is what an API answers: JSON, or nothing where there is nothing to say.
    pub(super) fn is_of_an_api(&self) -> bool {
        match self.body.trim() {
            "" => matches!(self.status, 202 | 204),
            body => serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok(),
        }
    }

    /// Whether the list goes on after this page of `items`.
    pub(super) fn has_next_page(&self, items: usize) -> bool {
        items >= PAGE_SIZE || self.header("link").is_some_and(|links| links.contains("rel=\"next\""))
    }

    /// What an answer that is an error says about itself.
    pub(super) fn message(&self) -> String {
        let body: Option<Value> = serde_json::from_str(&self.body).ok();
        let parts = ["message", "error", "error_description", "errors"];
        let said: Vec<_> = parts
            .iter()
            .filter_map(|part| match body.as_ref()?.get(part)? {
                Value::String(text) => Some(text.clone()),
                // Both platforms explain invalid fields in lists and maps.
                other => Some(other.to_string()),
            })
            .collect();
        match (said.is_empty(), self.body.is_empty()) {
            (false, _) => said.join(": "),
            (true, false) => self.body.clone(),
            (true, true) => "no explanation".to_owned(),
        }
    }
}

/// Why there was no answer, and so whether another attempt makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TransportError {
    /// A request that did not leave.
    NotSent(String),
    /// A request that may have arrived.
    PerhapsSent(String),
    /// A request that did not leave, as no other attempt would: a certificate, an address.
    Hopeless(String),
}

impl TransportError {
    /// From an error of the crates that carry requests; both stand on reqwest,
    /// whose error is among the sources.
    pub(super) fn from_error(error: &(dyn std::error::Error + 'static)) -> Self {
        let chain = || std::iter::successors(Some(error), |error| cause(*error));
        let tls = chain().find_map(|error| error.downcast_ref::<rustls::Error>());
        // The innermost error says what happened; those around it say who was talking.
        let reason = || chain().last().map(ToString::to_string).unwrap_or_default();
        let of_reqwest = |is: fn(&reqwest::Error) -> bool| {
            chain().any(|error| error.downcast_ref::<reqwest::Error>().is_some_and(is))
        };
        if of_reqwest(reqwest::Error::is_builder) {
            Self::Hopeless(reason())
        } else if !of_reqwest(reqwest::Error::is_connect) {
            Self::PerhapsSent(reason())
        } else if let Some(error) = tls {
            Self::Hopeless(certificates::explain(error))
        } else {
            Self::NotSent(reason())
        }
    }
}

/// What an error comes from. An I/O error names as its source that of what it holds, and not that
/// itself.
fn cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a (dyn std::error::Error + 'static)> {
    match error.downcast_ref::<std::io::Error>() {
        Some(error) => error.get_ref().map(|held| held as _),
        None => error.source(),
    }
}

/// Carries a request once.
#[async_trait]
pub(super) trait Transport: Send + Sync {
    async fn send(&self, request: &Request) -> Result<Response, TransportError>;
}
