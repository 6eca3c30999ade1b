//! The transport to GitHub: octocrab, on the HTTP client of both platforms.

use async_trait::async_trait;
use octocrab::Octocrab;
use tokio::sync::OnceCell;

use crate::provider::Token;
use crate::provider::client::ClientSettings;
use crate::provider::http::{ACCEPT, Request, Response, Transport, TransportError};

/// The API behind octocrab.
pub(super) struct Connection {
    api_url: String,
    token: Token,
    client: ClientSettings,
    /// Made within the runtime, which it needs.
    octocrab: OnceCell<Octocrab>,
}

impl Connection {
    pub(super) fn new(api_url: String, token: Token, client: ClientSettings) -> Self {
        Self { api_url, token, client, octocrab: OnceCell::new() }
    }

    fn connect(&self) -> Result<Octocrab, TransportError> {
        let unusable = |error: octocrab::Error| {
            TransportError::Hopeless(format!("{} is not the address of an API: {error}", self.api_url))
        };
        Octocrab::builder()
            .base_uri(self.api_url.as_str())
            .map_err(unusable)?
            .personal_token(self.token.expose())
            .build_with_reqwest(self.client.client()?)
            .map_err(unusable)
    }
}

#[async_trait]
impl Transport for Connection {
    async fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let failed = |error: octocrab::Error| TransportError::from_error(&error);
        let octocrab = self.octocrab.get_or_try_init(|| async { self.connect() }).await?;
        let head = http::Request::builder()
            .method(request.method.clone())
            .uri(&request.path)
            .header(http::header::ACCEPT, ACCEPT);
        let message = octocrab.build_request(head, request.body.as_ref()).map_err(failed)?;
        let answer = octocrab.execute(message).await.map_err(failed)?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = octocrab.body_to_string(answer).await.map_err(failed)?;
        Ok(Response { status, headers, body })
    }
}
