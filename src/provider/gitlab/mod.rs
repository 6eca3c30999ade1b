//! GitLab, on any server: <https://docs.gitlab.com/api/rest/>.

mod change_requests;
mod connection;
mod dispatch;
mod protection;
mod responses;

use async_trait::async_trait;
use http::Method;
use serde_json::{Value, json};

use self::connection::Connection;
use self::responses::{Deployment, Note, User};
use super::client::ClientSettings;
use super::comment::{self, Comment, CommentPage, Comments};
use super::http::{PAGE_SIZE, Request, segment};
use super::retry::Client;
use super::settings::GitLabSettings;
use super::{
    Capability, CommitStatus, CommitStatusState, DeploymentPhase, DeploymentUpdate, Dispatch, NewDeployment,
    Platform, PlatformApproval, PlatformApprovals, PlatformDeployment, PostedComment, Protection, Provider,
    ProviderError, RetryPolicy, StickyComment, TokenKind,
};
use crate::deployment::CommitId;
use crate::deployment::change_request::{ChangeRequest, RequestLookup};

/// A project on GitLab.
pub(super) struct GitLab {
    client: Client<Connection>,
    /// `/projects/<id>`.
    root: String,
    pipeline_id: Option<u64>,
    /// The commit that the pipeline runs on.
    pipeline_commit: Option<CommitId>,
    job_id: Option<u64>,
    token_kind: TokenKind,
    pause: std::time::Duration,
}

impl std::fmt::Debug for GitLab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitLab").field("root", &self.root).finish_non_exhaustive()
    }
}

impl GitLab {
    pub(super) fn new(settings: GitLabSettings, policy: RetryPolicy) -> Self {
        let token_kind = settings.token_kind;
        let client =
            ClientSettings { connect_timeout: policy.timeout, authority_file: settings.authority_file };
        let transport = Connection::new(settings.api_url.clone(), settings.token.clone(), token_kind, client);
        Self {
            root: format!("/projects/{}", segment(&settings.project)),
            pipeline_id: settings.pipeline_id,
            pipeline_commit: settings.commit,
            job_id: settings.job_id,
            token_kind,
            pause: policy.first_pause,
            client: Client {
                platform: Platform::GitLab,
                transport,
                api_url: settings.api_url,
                policy,
                token: settings.token,
                advice: Box::new(move |capability, status| advice(token_kind, capability, status)),
            },
        }
    }

    /// A path below the project.
    fn path(&self, rest: &str) -> String {
        format!("{}{rest}", self.root)
    }

    /// The newest deployments to an environment, newest first.
    async fn deployments(
        &self,
        capability: Capability,
        environment: &str,
    ) -> Result<Vec<Deployment>, ProviderError> {
        let path = self.path(&format!(
            "/deployments?environment={}&order_by=id&sort=desc&per_page={PAGE_SIZE}",
            segment(environment)
        ));
        self.client.read(&Request::get(capability, path)).await
    }

    /// The record that was created for this rollout although the response was lost: the only new
    /// one that runs this commit and is no job's own. Of several, one is another rollout's, so none
    /// is taken.
    async fn made_after(
        &self,
        newest: Option<u64>,
        new: &NewDeployment,
    ) -> Result<Option<PlatformDeployment>, ProviderError> {
        let listed = self.deployments(Capability::Deployments, &new.environment).await?;
        let mut ours = listed.into_iter().filter(|listed| {
            listed.deployable.is_none()
                && listed.sha == new.commit.as_str()
                && listed.status == "running"
                && newest.is_none_or(|newest| listed.id > newest)
        });
        let first = ours.next().map(|ours| PlatformDeployment { id: ours.id });
        Ok(first.filter(|_| ours.next().is_none()))
    }

    /// Makes an environment that has an address, unless it exists.
    async fn ensure_environment(&self, name: &str, url: &str) -> Result<(), ProviderError> {
        let path = self.path(&format!("/environments?name={}", segment(name)));
        let listed: Vec<Value> = self.client.read(&Request::get(Capability::Deployments, path)).await?;
        if !listed.is_empty() {
            return Ok(());
        }
        let body = json!({ "name": name, "external_url": url });
        let request = Request::create(Capability::Deployments, self.path("/environments"), body);
        self.client.call(&request).await.map(drop)
    }
}

#[async_trait]
impl Provider for GitLab {
    fn platform(&self) -> Platform {
        Platform::GitLab
    }

    async fn put_comment(
        &self,
        change_request: u64,
        comment: &StickyComment,
    ) -> Result<PostedComment, ProviderError> {
        comment::put(&Notes { gitlab: self, merge_request: change_request }, comment, self.pause).await
    }

    async fn find_change_request(
        &self,
        lookup: &RequestLookup,
    ) -> Result<Option<ChangeRequest>, ProviderError> {
        self.change_request(lookup).await
    }

    async fn set_commit_status(&self, commit: &CommitId, status: &CommitStatus) -> Result<(), ProviderError> {
        let state = match status.state {
            CommitStatusState::Pending => "running",
            CommitStatusState::Success => "success",
            CommitStatusState::Failure => "failed",
            CommitStatusState::Error => "canceled",
        };
        let mut body = json!({ "state": state, "name": status.context, "description": status.description });
        if let Some(url) = &status.url {
            body["target_url"] = json!(url);
        }
        // A pipeline belongs to one commit.
        if let Some(pipeline) = self.pipeline_id.filter(|_| self.pipeline_commit.as_ref() == Some(commit)) {
            body["pipeline_id"] = json!(pipeline);
        }
        let path = self.path(&format!("/statuses/{commit}"));
        match self.client.call(&Request::append(Capability::CommitStatuses, path, body)).await {
            // A status that is so already, perhaps by an attempt whose answer was lost.
            Err(ProviderError::Refused { status: 400, message, .. })
                if message.contains("Cannot transition status") =>
            {
                Ok(())
            }
            answer => answer.map(drop),
        }
    }

    async fn start_deployment(&self, new: &NewDeployment) -> Result<PlatformDeployment, ProviderError> {
        // GitLab stores no key that identifies a rollout: existing records belong to others.
        let listed = self.deployments(Capability::Deployments, &new.environment).await?;
        let newest = listed.iter().map(|listed| listed.id).max();
        if let Some(url) = &new.environment_url {
            self.ensure_environment(&new.environment, url).await?;
        }
        let body = json!({
            "environment": new.environment,
            "sha": new.commit.as_str(),
            "ref": new.reference.as_deref().unwrap_or(new.commit.as_str()),
            "tag": false,
            "status": "running",
        });
        let request = Request::create(Capability::Deployments, self.path("/deployments"), body);
        match self.client.read::<Deployment>(&request).await {
            Ok(created) => Ok(PlatformDeployment { id: created.id }),
            Err(error) if error.may_have_happened() => {
                tokio::time::sleep(self.pause).await;
                self.made_after(newest, new).await?.ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn update_deployment(
        &self,
        deployment: &PlatformDeployment,
        update: &DeploymentUpdate,
    ) -> Result<(), ProviderError> {
        let status = match update.phase {
            DeploymentPhase::InProgress => "running",
            DeploymentPhase::Success => "success",
            DeploymentPhase::Failure => "failed",
            DeploymentPhase::Error => "canceled",
        };
        let path = self.path(&format!("/deployments/{}", deployment.id));
        let body = json!({ "status": status });
        self.client.call(&Request::update(Method::PUT, Capability::Deployments, path, body)).await.map(drop)
    }

    async fn protection(&self) -> Result<Protection, ProviderError> {
        self.tag_protection().await
    }

    async fn protect(&self) -> Result<Protection, ProviderError> {
        self.protect_tags().await
    }

    async fn dispatch(&self, dispatch: &Dispatch) -> Result<(), ProviderError> {
        self.start_pipeline(dispatch).await
    }

    async fn approvals(&self, environment: &str) -> Result<PlatformApprovals, ProviderError> {
        let job = self.job_id.ok_or_else(|| ProviderError::Unconfigured {
            platform: Platform::GitLab,
            problem: "CI_JOB_ID is not set".to_owned(),
        })?;
        let listed = self.deployments(Capability::Approvals, environment).await?;
        let is_ours =
            |listed: &Deployment| listed.deployable.as_ref().is_some_and(|deployable| deployable.id == job);
        let Some(Deployment { id, .. }) = listed.into_iter().find(is_ours) else {
            return Ok(PlatformApprovals::default());
        };
        let path = self.path(&format!("/deployments/{id}"));
        let deployment: Deployment = self.client.read(&Request::get(Capability::Approvals, path)).await?;
        let approvals: Vec<_> = deployment
            .approvals
            .into_iter()
            .filter(|approval| approval.status == "approved")
            .map(|approval| PlatformApproval {
                approved_by: approval.user.username,
                environment: environment.to_owned(),
                comment: approval.comment.filter(|comment| !comment.is_empty()),
                approved_at: approval.created_at,
            })
            .collect();
        Ok(approvals.into())
    }

    fn approval_setting(&self, environment: &str) -> Option<String> {
        Some(format!(
            "The job needs `environment: {environment}`, and that environment needs approval rules (Settings → CI/CD → \
             Protected environments → {environment})"
        ))
    }
}

/// The notes of a merge request.
struct Notes<'a> {
    gitlab: &'a GitLab,
    merge_request: u64,
}

impl Notes<'_> {
    fn path(&self, rest: &str) -> String {
        self.gitlab.path(&format!("/merge_requests/{}/notes{rest}", self.merge_request))
    }
}

#[async_trait]
impl Comments for Notes<'_> {
    async fn page(&self, page: u32) -> Result<CommentPage, ProviderError> {
        let path = self.path(&format!("?sort=asc&order_by=created_at&per_page={PAGE_SIZE}&page={page}"));
        let response = self.gitlab.client.call(&Request::get(Capability::Comments, path)).await?;
        let listed: Vec<Note> = self.gitlab.client.parse(Capability::Comments, &response)?;
        let has_next = response.has_next_page(listed.len());
        Ok(CommentPage { comments: listed.into_iter().map(Comment::from).collect(), has_next })
    }

    async fn create(&self, body: &str) -> Result<Comment, ProviderError> {
        let request = Request::create(Capability::Comments, self.path(""), json!({ "body": body }));
        self.gitlab.client.read::<Note>(&request).await.map(Comment::from)
    }

    async fn edit(&self, id: u64, body: &str) -> Result<Comment, ProviderError> {
        let path = self.path(&format!("/{id}"));
        let request = Request::update(Method::PUT, Capability::Comments, path, json!({ "body": body }));
        self.gitlab.client.read::<Note>(&request).await.map(Comment::from)
    }

    async fn delete(&self, id: u64) -> Result<(), ProviderError> {
        let path = self.path(&format!("/{id}"));
        self.gitlab.client.call(&Request::delete(Capability::Comments, path)).await.map(drop)
    }

    async fn author(&self) -> Result<String, ProviderError> {
        let request = Request::get(Capability::Comments, "/user".to_owned());
        self.gitlab.client.read::<User>(&request).await.map(|user| user.username)
    }
}

/// The missing token or role. GitLab answers 404 where a token may not even know.
fn advice(token_kind: TokenKind, capability: Capability, status: u16) -> Option<String> {
    if !matches!(status, 401 | 403 | 404) {
        return None;
    }
    Some(match (token_kind, capability) {
        (TokenKind::Job, Capability::Comments) => {
            "A GitLab job token cannot write MR notes: set ATMOS_GITLAB_TOKEN or GITLAB_TOKEN to a project access \
             token with the scope `api`"
                .to_owned()
        }
        (TokenKind::Job, _) => {
            "A GitLab job token may not do this: set ATMOS_GITLAB_TOKEN or GITLAB_TOKEN to a project access token \
             with the scope `api`"
                .to_owned()
        }
        (TokenKind::Access, _) if status == 401 => "The token is not valid, or not any more".to_owned(),
        (TokenKind::Access, capability) => {
            let role = if capability == Capability::Protection { "Maintainer" } else { "Developer" };
            format!("The token needs the scope `api` and the role {role} in the project")
        }
    })
}
