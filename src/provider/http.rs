//! Requests and responses of the platforms' APIs, independent of the crate that sends them.

use async_trait::async_trait;
use http::{HeaderMap, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{Capability, certificates};

/// The accepted media types: GitHub's own, and plain JSON for proxies in between.
pub(super) const ACCEPT: &str = "application/vnd.github+json, application/json;q=0.9";

/// The requested number of items per page: the maximum of both platforms.
pub(super) const PAGE_SIZE: usize = 100;

/// All characters but the unreserved ones of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes a text as one segment of a path, or as a value in a query.
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
    /// The purpose of the request, for errors.
    pub capability: Capability,
    pub repeat: Repeat,
}

/// Whether a retry is safe when it is not known whether the request was executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Idempotent: a second execution changes nothing.
    Harmless,
    /// A second execution creates a duplicate.
    Harmful,
}

impl Request {
    pub(super) fn get(capability: Capability, path: String) -> Self {
        Self { method: Method::GET, path, body: None, capability, repeat: Repeat::Harmless }
    }

    /// Changes an existing resource.
    pub(super) fn update(method: Method, capability: Capability, path: String, body: Value) -> Self {
        Self { method, path, body: Some(body), capability, repeat: Repeat::Harmless }
    }

    pub(super) fn delete(capability: Capability, path: String) -> Self {
        Self { method: Method::DELETE, path, body: None, capability, repeat: Repeat::Harmless }
    }

    /// Creates a resource, which must not be created twice.
    pub(super) fn create(capability: Capability, path: String, body: Value) -> Self {
        Self { method: Method::POST, path, body: Some(body), capability, repeat: Repeat::Harmful }
    }

    /// Adds to a list of which only the last entry counts.
    pub(super) fn append(capability: Capability, path: String, body: Value) -> Self {
        Self { repeat: Repeat::Harmless, ..Self::create(capability, path, body) }
    }
}

/// A response of a platform, of any status.
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

    /// Whether the body is an API's: JSON, or empty for a status without content.
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

    /// The explanation in an error response.
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

/// The reason why there was no response, which decides about a retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TransportError {
    /// The request was not sent.
    NotSent(String),
    /// The request may have arrived.
    PerhapsSent(String),
    /// The request was not sent, and no retry would be: a certificate, an address.
    Hopeless(String),
}

impl TransportError {
    /// Classifies an error of the crates that send requests; both are based on reqwest, whose error
    /// is among the sources.
    pub(super) fn from_error(error: &(dyn std::error::Error + 'static)) -> Self {
        let chain = || std::iter::successors(Some(error), |error| cause(*error));
        let tls = chain().find_map(|error| error.downcast_ref::<rustls::Error>());
        // The innermost error has the cause; the outer ones name the layers.
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

/// The source of an error. An I/O error skips the error that it wraps and names that one's source.
fn cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a (dyn std::error::Error + 'static)> {
    match error.downcast_ref::<std::io::Error>() {
        Some(error) => error.get_ref().map(|held| held as _),
        None => error.source(),
    }
}

/// Sends a request once.
#[async_trait]
pub(super) trait Transport: Send + Sync {
    async fn send(&self, request: &Request) -> Result<Response, TransportError>;
}
