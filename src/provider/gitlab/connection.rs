//! The transport to GitLab: the crate `gitlab`, on the HTTP client of both platforms.

use async_trait::async_trait;
use bytes::Bytes;
use gitlab::api::{ApiError, AsyncClient, RestClient};
use http::HeaderValue;
use reqwest::Url;
use tokio::sync::OnceCell;

use crate::provider::client::ClientSettings;
use crate::provider::http::{ACCEPT, Request, Response, Transport, TransportError};
use crate::provider::{Token, TokenKind};

/// The API with its token and client settings.
pub(super) struct Connection {
    api_url: String,
    token: Token,
    token_kind: TokenKind,
    client: ClientSettings,
    /// Made within the runtime, which it needs.
    api: OnceCell<Api>,
}

/// The API as the crate speaks to it.
///
/// The crate's own client follows redirects, asks `/user` or `/job` first, and keeps the token as
/// plain text.
struct Api {
    client: reqwest::Client,
    /// Ends with `/`.
    root: Url,
}

impl Connection {
    pub(super) fn new(api_url: String, token: Token, token_kind: TokenKind, client: ClientSettings) -> Self {
        Self { api_url, token, token_kind, client, api: OnceCell::new() }
    }

    fn connect(&self) -> Result<Api, TransportError> {
        let unusable =
            || TransportError::Hopeless(format!("{} is not the address of a GitLab API", self.api_url));
        let address = self.api_url.trim_end_matches('/');
        let root = Url::parse(&format!("{address}/")).map_err(|_| unusable())?;
        if !address.ends_with("/api/v4") || !root.has_host() || !matches!(root.scheme(), "http" | "https") {
            return Err(unusable());
        }
        Ok(Api { client: self.client.client()?, root })
    }
}

/// The reason why a request failed. Not transparent: the source decides whether it was sent.
#[derive(Debug, thiserror::Error)]
enum CarryError {
    #[error("the request cannot be made")]
    Request(#[from] http::Error),
    #[error("the request was not answered")]
    Exchange(#[from] reqwest::Error),
}

impl RestClient for Api {
    type Error = CarryError;

    fn rest_endpoint(&self, endpoint: &str) -> Result<Url, ApiError<CarryError>> {
        Ok(self.root.join(endpoint)?)
    }
}

#[async_trait]
impl AsyncClient for Api {
    async fn rest_async(
        &self,
        request: http::request::Builder,
        body: Vec<u8>,
    ) -> Result<http::Response<Bytes>, ApiError<CarryError>> {
        let exchange = async || {
            let answer = self.client.execute(request.body(body)?.try_into()?).await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let mut response = http::Response::new(answer.bytes().await?);
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            Ok(response)
        };
        exchange().await.map_err(ApiError::client)
    }
}

#[async_trait]
impl Transport for Connection {
    async fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let api = self.api.get_or_try_init(|| async { self.connect() }).await?;
        let unusable = |error: &dyn std::fmt::Display| TransportError::Hopeless(error.to_string());
        let url = api
            .rest_endpoint(request.path.trim_start_matches('/'))
            .map_err(|error| TransportError::from_error(&error))?;
        let mut token = HeaderValue::from_str(self.token.expose()).map_err(|error| unusable(&error))?;
        token.set_sensitive(true);
        let header = match self.token_kind {
            TokenKind::Access => "private-token",
            TokenKind::Job => "job-token",
        };
        let mut head = http::Request::builder()
            .method(request.method.clone())
            .uri(url.as_str())
            .header(http::header::ACCEPT, ACCEPT)
            .header(header, token);
        let body = match &request.body {
            Some(body) => {
                head = head.header(http::header::CONTENT_TYPE, "application/json");
                serde_json::to_vec(body).map_err(|error| unusable(&error))?
            }
            None => Vec::new(),
        };
        let answer = api.rest_async(head, body).await.map_err(|error| TransportError::from_error(&error))?;
        Ok(Response {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: String::from_utf8_lossy(answer.body()).into_owned(),
        })
    }
}
