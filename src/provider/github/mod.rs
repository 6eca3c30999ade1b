//! GitHub and GitHub Enterprise: <https://docs.github.com/rest>.

mod change_requests;
mod connection;
mod dispatch;
mod identity;
mod responses;
mod waiting;

use async_trait::async_trait;
use http::Method;
use serde_json::{Value, json};

use self::connection::Connection;
use self::identity::Identity;
use self::responses::{CommentAnswer, Created, DeploymentAnswer, Review, Ruleset, RulesetSummary, User};
use self::waiting::Waited;
use super::client::ClientSettings;
use super::comment::{self, Comment, CommentPage, Comments};
use super::environment::is_same_environment;
use super::http::{PAGE_SIZE, Request, segment};
use super::protection::refs_that_nothing_guards;
use super::retry::Client;
use super::settings::GitHubSettings;
use super::status::cut;
use super::{
    Capability, CommitStatus, CommitStatusState, DeploymentPhase, DeploymentUpdate, Dispatch, NewDeployment,
    Platform, PlatformApproval, PlatformApprovals, PlatformDeployment, PostedComment, Protection,
    ProtectionRule, Provider, ProviderError, RetryPolicy, RuleState, StickyComment, WorkflowInputs,
};
use crate::deployment::CommitId;
use crate::deployment::change_request::{ChangeRequest, RequestLookup};

/// The name of the ruleset that protects the ledger.
const RULESET: &str = "atmos deployments";

/// The tags of the ledger. In patterns `*` stops at `/`, so that
/// `atmos/**` alone would not reach them.
const TAGS: &str = "refs/tags/atmos/**/*";

/// The operations that the ruleset forbids. Creating tags stays free: the job's own token could not
/// be exempted.
const FORBIDDEN: [&str; 2] = ["deletion", "update"];

/// The author of comments that a job writes with its own token.
const JOB_AUTHOR: &str = "github-actions[bot]";

/// The GraphQL API relative to the root of the REST API: next to it on an enterprise server
/// (`/api/graphql`, `/api/v3`), and below it where the root has no path.
const GRAPHQL: &str = "/../graphql";

/// A repository on GitHub.
pub(super) struct GitHub {
    client: Client<Connection>,
    /// `/repos/<owner>/<repository>`.
    root: String,
    run_id: Option<u64>,
    run_attempt: Option<u64>,
    runner_name: Option<String>,
    commit: Option<CommitId>,
    identity: Option<Identity>,
    pause: std::time::Duration,
}

impl std::fmt::Debug for GitHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitHub").field("root", &self.root).finish_non_exhaustive()
    }
}

impl GitHub {
    pub(super) fn new(settings: GitHubSettings, policy: RetryPolicy) -> Self {
        let client = ClientSettings { connect_timeout: policy.timeout, authority_file: None };
        let identity = settings.identity.map(|identity| Identity::new(identity, client.clone(), policy));
        let transport = Connection::new(settings.api_url.clone(), settings.token.clone(), client);
        Self {
            root: format!("/repos/{}/{}", segment(&settings.owner), segment(&settings.repository)),
            run_id: settings.run_id,
            run_attempt: settings.run_attempt,
            runner_name: settings.runner_name,
            commit: settings.commit,
            identity,
            pause: policy.first_pause,
            client: Client {
                platform: Platform::GitHub,
                transport,
                api_url: settings.api_url,
                policy,
                token: settings.token,
                advice: Box::new(advice),
            },
        }
    }

    /// A path below the repository.
    fn path(&self, rest: &str) -> String {
        format!("{}{rest}", self.root)
    }

    /// This rollout's record, if it has one. That of another job is another rollout's, also in the
    /// same run.
    async fn deployment(&self, new: &NewDeployment) -> Result<Option<PlatformDeployment>, ProviderError> {
        let path = self.path(&format!(
            "/deployments?sha={}&environment={}&per_page={PAGE_SIZE}",
            new.commit,
            segment(&new.environment)
        ));
        let listed: Vec<DeploymentAnswer> =
            self.client.read(&Request::get(Capability::Deployments, path)).await?;
        let ours = listed.into_iter().find(|listed| listed.payload.get("key") == Some(&json!(new.key)));
        Ok(ours.map(|ours| PlatformDeployment { id: ours.id }))
    }

    /// The id of the ledger's ruleset, if there is one, and its state compared with the required
    /// one.
    async fn ruleset(&self) -> Result<(Option<u64>, RuleState), ProviderError> {
        let path = self.path(&format!("/rulesets?includes_parents=false&targets=tag&per_page={PAGE_SIZE}"));
        let listed: Vec<RulesetSummary> =
            self.client.read(&Request::get(Capability::Protection, path)).await?;
        let Some(RulesetSummary { id, .. }) = listed.into_iter().find(|listed| listed.name == RULESET) else {
            return Ok((None, RuleState::Missing));
        };
        let path = self.path(&format!("/rulesets/{id}"));
        let ruleset: Ruleset = self.client.read(&Request::get(Capability::Protection, path)).await?;
        let state = if ruleset.protects_the_ledger() { RuleState::InPlace } else { RuleState::Differs };
        Ok((Some(id), state))
    }
}

/// The protection once the ruleset is in place, and the gaps that remain.
fn protection(state: RuleState) -> Protection {
    let mut unprotected = refs_that_nothing_guards();
    unprotected.push(
        "New tags below atmos/: anyone who may push may create them, because the token of a job cannot be exempted \
         from a ruleset."
            .to_owned(),
    );
    let description =
        format!("ruleset \"{RULESET}\" on {TAGS}: tags of the ledger can be neither changed nor deleted");
    Protection { rules: vec![ProtectionRule { description, state, remedy: None }], unprotected }
}

#[async_trait]
impl Provider for GitHub {
    fn platform(&self) -> Platform {
        Platform::GitHub
    }

    async fn put_comment(
        &self,
        change_request: u64,
        comment: &StickyComment,
    ) -> Result<PostedComment, ProviderError> {
        comment::put(&IssueComments { github: self, issue: change_request }, comment, self.pause).await
    }

    async fn find_change_request(
        &self,
        lookup: &RequestLookup,
    ) -> Result<Option<ChangeRequest>, ProviderError> {
        self.change_request(lookup).await
    }

    async fn set_commit_status(&self, commit: &CommitId, status: &CommitStatus) -> Result<(), ProviderError> {
        let state = match status.state {
            CommitStatusState::Pending => "pending",
            CommitStatusState::Success => "success",
            CommitStatusState::Failure => "failure",
            CommitStatusState::Error => "error",
        };
        let body = with_optional(
            json!({ "state": state, "context": status.context, "description": status.description }),
            "target_url",
            status.url.as_deref(),
        );
        let path = self.path(&format!("/statuses/{commit}"));
        self.client.call(&Request::append(Capability::CommitStatuses, path, body)).await.map(drop)
    }

    async fn start_deployment(&self, new: &NewDeployment) -> Result<PlatformDeployment, ProviderError> {
        if let Some(deployment) = self.deployment(new).await? {
            return Ok(deployment);
        }
        let body = json!({
            "ref": new.commit.as_str(),
            "task": "deploy",
            "auto_merge": false,
            // The rollout is under way: its requirements have been checked.
            "required_contexts": [],
            "payload": {
                "deployment": new.deployment,
                "target": new.target,
                "run_id": new.run_id,
                "key": new.key,
            },
            "environment": new.environment,
            "description": cut(&new.description),
        });
        let request = Request::create(Capability::Deployments, self.path("/deployments"), body);
        match self.client.read::<Created>(&request).await {
            Ok(created) => Ok(PlatformDeployment { id: created.id }),
            Err(error) if error.may_have_happened() => {
                tokio::time::sleep(self.pause).await;
                self.deployment(new).await?.ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn update_deployment(
        &self,
        deployment: &PlatformDeployment,
        update: &DeploymentUpdate,
    ) -> Result<(), ProviderError> {
        let state = match update.phase {
            DeploymentPhase::InProgress => "in_progress",
            DeploymentPhase::Success => "success",
            DeploymentPhase::Failure => "failure",
            DeploymentPhase::Error => "error",
        };
        let body = json!({ "state": state, "description": cut(&update.description) });
        let body = with_optional(body, "log_url", update.log_url.as_deref());
        let body = with_optional(body, "environment_url", update.environment_url.as_deref());
        let path = self.path(&format!("/deployments/{}/statuses", deployment.id));
        self.client.call(&Request::append(Capability::Deployments, path, body)).await.map(drop)
    }

    async fn protection(&self) -> Result<Protection, ProviderError> {
        self.ruleset().await.map(|(_, state)| protection(state))
    }

    async fn protect(&self) -> Result<Protection, ProviderError> {
        let (id, state) = self.ruleset().await?;
        let rules: Vec<_> = FORBIDDEN.iter().map(|kind| json!({ "type": kind })).collect();
        let body = json!({
            "name": RULESET,
            "target": "tag",
            "enforcement": "active",
            "bypass_actors": [],
            "conditions": { "ref_name": { "include": [TAGS], "exclude": [] } },
            "rules": rules,
        });
        let request = match (id, state) {
            (_, RuleState::InPlace) => return Ok(protection(state)),
            (Some(id), _) => Request::update(
                Method::PUT,
                Capability::Protection,
                self.path(&format!("/rulesets/{id}")),
                body,
            ),
            (None, _) => Request::create(Capability::Protection, self.path("/rulesets"), body),
        };
        self.client.call(&request).await?;
        Ok(protection(state))
    }

    async fn workflow_inputs(
        &self,
        workflow: &str,
        reference: &str,
    ) -> Result<WorkflowInputs, ProviderError> {
        self.declared_inputs(workflow, reference).await
    }

    async fn dispatch(&self, dispatch: &Dispatch) -> Result<(), ProviderError> {
        self.start_workflow(dispatch).await
    }

    async fn approvals(&self, environment: &str) -> Result<PlatformApprovals, ProviderError> {
        let run = self.run_id.ok_or_else(|| ProviderError::Unconfigured {
            platform: Platform::GitHub,
            problem: "GITHUB_RUN_ID is not set".to_owned(),
        })?;
        let path = self.path(&format!("/actions/runs/{run}/approvals"));
        let reviews: Vec<Review> = self.client.read(&Request::get(Capability::Approvals, path)).await?;
        let ours = |review: &Review| {
            let mut environments = review.environments.iter();
            review.state == "approved"
                && environments.any(|listed| is_same_environment(&listed.name, environment))
        };
        let approvals: Vec<_> = reviews
            .into_iter()
            .filter(ours)
            .map(|review| PlatformApproval {
                approved_by: review.user.login,
                environment: environment.to_owned(),
                comment: Some(review.comment).filter(|comment| !comment.is_empty()),
                approved_at: None,
            })
            .collect();
        if approvals.is_empty() {
            return Ok(PlatformApprovals::default());
        }
        Ok(match self.waited(run, environment).await? {
            Waited::Yes => approvals.into(),
            Waited::No => PlatformApprovals { of_other_jobs: true, ..PlatformApprovals::default() },
            Waited::Unknown(why) => PlatformApprovals { unchecked: Some(why), ..approvals.into() },
        })
    }

    fn approval_setting(&self, environment: &str) -> Option<String> {
        Some(format!(
            "The job needs `environment: {environment}`, and that environment needs \"Required reviewers\" (Settings → \
             Environments → {environment})"
        ))
    }
}

/// The comments of a pull request, which GitHub keeps with those of issues.
struct IssueComments<'a> {
    github: &'a GitHub,
    issue: u64,
}

#[async_trait]
impl Comments for IssueComments<'_> {
    async fn page(&self, page: u32) -> Result<CommentPage, ProviderError> {
        let path = format!("/issues/{}/comments?per_page={PAGE_SIZE}&page={page}", self.issue);
        let request = Request::get(Capability::Comments, self.github.path(&path));
        let response = self.github.client.call(&request).await?;
        let listed: Vec<CommentAnswer> = self.github.client.parse(Capability::Comments, &response)?;
        let has_next = response.has_next_page(listed.len());
        Ok(CommentPage { comments: listed.into_iter().map(Comment::from).collect(), has_next })
    }

    async fn create(&self, body: &str) -> Result<Comment, ProviderError> {
        let path = self.github.path(&format!("/issues/{}/comments", self.issue));
        let request = Request::create(Capability::Comments, path, json!({ "body": body }));
        self.github.client.read::<CommentAnswer>(&request).await.map(Comment::from)
    }

    async fn edit(&self, id: u64, body: &str) -> Result<Comment, ProviderError> {
        let path = self.github.path(&format!("/issues/comments/{id}"));
        let request = Request::update(Method::PATCH, Capability::Comments, path, json!({ "body": body }));
        self.github.client.read::<CommentAnswer>(&request).await.map(Comment::from)
    }

    async fn delete(&self, id: u64) -> Result<(), ProviderError> {
        let path = self.github.path(&format!("/issues/comments/{id}"));
        self.github.client.call(&Request::delete(Capability::Comments, path)).await.map(drop)
    }

    async fn author(&self) -> Result<String, ProviderError> {
        let request = Request::get(Capability::Comments, "/user".to_owned());
        match self.github.client.read::<User>(&request).await {
            Ok(user) => Ok(user.login),
            // The token of a job acts as an app, and apps may not ask this.
            Err(error) if error.is_forbidden() => self.viewer().await,
            Err(error) => Err(error),
        }
    }
}

impl IssueComments<'_> {
    /// The login that the token of an app acts under. Only the GraphQL API tells; where there is
    /// none, the job's own token is meant.
    async fn viewer(&self) -> Result<String, ProviderError> {
        let request = Request::append(
            Capability::Comments,
            GRAPHQL.to_owned(),
            json!({ "query": "query { viewer { login } }" }),
        );
        match self.github.client.read::<Value>(&request).await {
            Ok(answer) => {
                let login = answer.pointer("/data/viewer/login").and_then(Value::as_str);
                Ok(login.unwrap_or(JOB_AUTHOR).to_owned())
            }
            Err(ProviderError::Refused { .. } | ProviderError::UnexpectedAnswer { .. }) => {
                Ok(JOB_AUTHOR.to_owned())
            }
            Err(error) => Err(error),
        }
    }
}

/// Which permission is missing. GitHub answers 404 where a token may not even know.
fn advice(capability: Capability, status: u16) -> Option<String> {
    let permission = match capability {
        Capability::Comments => "pull-requests: write",
        Capability::CommitStatuses => "statuses: write",
        Capability::Deployments => "deployments: write",
        Capability::ChangeRequests => "pull-requests: read",
        Capability::Dispatch => "actions: write",
        Capability::Workflows => "contents: read",
        Capability::Approvals => "actions: read",
        Capability::Waiting => "actions: read` and `deployments: read",
        Capability::Protection => {
            return matches!(status, 401 | 403 | 404).then(|| {
                "Rulesets need a token with `administration: write`, which the job's own cannot have: set \
                 ATMOS_GITHUB_TOKEN"
                    .to_owned()
            });
        }
    };
    match (status, capability) {
        (401, _) => Some("The token is not valid, or not any more".to_owned()),
        (404, Capability::Dispatch) => Some(format!(
            "Is there such a workflow on the default branch, with `on: workflow_dispatch`? The job needs `{permission}`"
        )),
        (403 | 404, _) => Some(format!(
            "The job needs `{permission}` under `permissions:`; a pull request from a fork cannot have it"
        )),
        _ => None,
    }
}

/// An object with one more field, if there is a value for it.
fn with_optional(mut object: Value, field: &str, value: Option<&str>) -> Value {
    if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
        object.insert(field.to_owned(), json!(value));
    }
    object
}
