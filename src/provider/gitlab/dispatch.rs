//! Starting a pipeline.

use serde_json::json;

use super::GitLab;
use crate::provider::http::Request;
use crate::provider::{Capability, Dispatch, ProviderError, TokenKind};

impl GitLab {
    pub(super) async fn start_pipeline(&self, dispatch: &Dispatch) -> Result<(), ProviderError> {
        let request = match self.token_kind {
            TokenKind::Access => {
                let variables: Vec<_> = dispatch
                    .inputs
                    .iter()
                    .map(|(key, value)| json!({ "key": key, "value": value }))
                    .collect();
                let body = json!({ "ref": dispatch.reference, "variables": variables });
                Request::create(Capability::Dispatch, self.path("/pipeline"), body)
            }
            // A job's own token starts pipelines as a trigger does.
            TokenKind::Job => {
                let body = json!({
                    "token": self.client.token.expose(),
                    "ref": dispatch.reference,
                    "variables": dispatch.inputs,
                });
                Request::create(Capability::Dispatch, self.path("/trigger/pipeline"), body)
            }
        };
        self.client.call(&request).await.map(drop)
    }
}
