//! How requests reach GitLab: the crate of that name.

use async_trait::async_trait;
use gitlab::api::{AsyncClient, RestClient};
use gitlab::{AsyncGitlab, GitlabBuilder};
use http::HeaderValue;
use tokio::sync::OnceCell;

use crate::provider::http::{ACCEPT, Request, Response, Transport, TransportError};
use crate::provider::{Token, TokenKind};

/// The API behind the crate.
pub(super) struct Connection {
    api_url: String,
    token: Token,
    token_kind: TokenKind,
    gitlab: OnceCell<AsyncGitlab>,
}

impl Connection {
    pub(super) fn new(api_url: String, token: Token, token_kind: TokenKind) -> Self {
        Self { api_url, token, token_kind, gitlab: OnceCell::new() }
    }

    /// The crate's client without its own authentication: that would ask `/user` or `/job` first, and keep the token
    /// as plain text.
    async fn connect(&self) -> Result<AsyncGitlab, TransportError> {
        let unusable = || TransportError {
            reason: format!("{} is not the address of a GitLab API", self.api_url),
            sent: false,
        };
        let address = self.api_url.trim_end_matches('/').strip_suffix("/api/v4").ok_or_else(unusable)?;
        let (scheme, host) = address.split_once("://").ok_or_else(unusable)?;
        let mut builder = GitlabBuilder::new_unauthenticated(host);
        if scheme == "http" {
            builder.insecure();
        }
        builder.build_async().await.map_err(|error| TransportError::from_error(&error))
    }
}

#[async_trait]
impl Transport for Connection {
    async fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let gitlab = self.gitlab.get_or_try_init(|| self.connect()).await?;
        let url = gitlab
            .rest_endpoint(request.path.trim_start_matches('/'))
            .map_err(|error| TransportError::from_error(&error))?;
        let unusable =
            |error: &dyn std::fmt::Display| TransportError { reason: error.to_string(), sent: false };
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
        let answer =
            gitlab.rest_async(head, body).await.map_err(|error| TransportError::from_error(&error))?;
        Ok(Response {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: String::from_utf8_lossy(answer.body()).into_owned(),
        })
    }
}
