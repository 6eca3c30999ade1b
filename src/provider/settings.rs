//! Detection of the platform of a job, with its address and token, from the environment.

use std::path::PathBuf;

use super::address::Address;
use super::{Platform, ProviderError, Token};
use crate::deployment::CommitId;

/// The connection settings of a platform.
#[derive(Debug, Clone)]
pub enum ProviderSettings {
    GitHub(GitHubSettings),
    GitLab(GitLabSettings),
    None,
}

/// The connection settings of GitHub or GitHub Enterprise.
#[derive(Debug, Clone)]
pub struct GitHubSettings {
    /// `https://api.github.com`, or `https://github.example.com/api/v3`.
    pub(super) api_url: String,
    pub(super) owner: String,
    pub(super) repository: String,
    pub(super) run_id: Option<u64>,
    pub(super) run_attempt: Option<u64>,
    /// The name of the job's runner, which identifies this job among the running ones of its run.
    pub(super) runner_name: Option<String>,
    /// The commit of the run.
    pub(super) commit: Option<CommitId>,
    pub(super) token: Token,
    /// Present where the job has `id-token: write`.
    pub(super) identity: Option<IdentitySettings>,
}

/// The address and the token for requests of the job's identity (OIDC).
#[derive(Debug, Clone)]
pub(super) struct IdentitySettings {
    pub(super) url: String,
    pub(super) token: Token,
}

/// The connection settings of GitLab.
#[derive(Debug, Clone)]
pub struct GitLabSettings {
    /// `https://gitlab.com/api/v4`.
    pub(super) api_url: String,
    /// The project's id or path.
    pub(super) project: String,
    pub(super) pipeline_id: Option<u64>,
    /// The commit of the pipeline.
    pub(super) commit: Option<CommitId>,
    pub(super) job_id: Option<u64>,
    pub(super) token: Token,
    pub(super) token_kind: TokenKind,
    /// The CA certificates of a self-managed server, where its runner provides them.
    pub(super) authority_file: Option<PathBuf>,
}

/// The kind of a GitLab token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A personal, group or project access token.
    Access,
    /// The job's own token, with few permissions.
    Job,
}

impl ProviderSettings {
    /// Detects the platform of a job from its environment. `variable` looks up a variable, with
    /// `None` for an empty one; an explicit `token` takes precedence over those of the environment.
    ///
    /// # Errors
    ///
    /// Fails where the job runs on a platform and has no token or no repository for it.
    pub fn detect<'v>(
        variable: impl Fn(&str) -> Option<&'v str>,
        token: Option<Token>,
    ) -> Result<Self, ProviderError> {
        if variable("GITHUB_ACTIONS").is_some() {
            github(&variable, token).map(Self::GitHub)
        } else if variable("GITLAB_CI").is_some() {
            gitlab(&variable, token).map(Self::GitLab)
        } else {
            Ok(Self::None)
        }
    }

    /// Detects the platform of the job; outside of a job, that of a git remote.
    ///
    /// The remote's addresses are as written and as rewritten by git. The
    /// environment's API addresses still apply.
    ///
    /// # Errors
    ///
    /// As [`Self::detect`]; also where the remote is on a platform and the environment has no token
    /// for it.
    pub fn detect_or_of_remote<'v>(
        variable: impl Fn(&str) -> Option<&'v str>,
        remote_urls: &[String],
    ) -> Result<Self, ProviderError> {
        let detected = Self::detect(&variable, None)?;
        let Some(address) = Address::of_remote(remote_urls) else { return Ok(detected) };
        if !matches!(detected, Self::None) {
            return Ok(detected);
        }
        let api_url = address.api_url();
        match address.platform() {
            Platform::GitHub => github(
                &|name| match name {
                    "GITHUB_REPOSITORY" => Some(address.path.as_str()),
                    "GITHUB_API_URL" => variable(name).or(Some(api_url.as_str())),
                    name => variable(name),
                },
                None,
            )
            .map(Self::GitHub),
            Platform::GitLab => gitlab(
                &|name| match name {
                    "CI_PROJECT_ID" => None,
                    "CI_PROJECT_PATH" => Some(address.path.as_str()),
                    "CI_API_V4_URL" => variable(name).or(Some(api_url.as_str())),
                    name => variable(name),
                },
                None,
            )
            .map(Self::GitLab),
            Platform::None => Ok(Self::None),
        }
    }
}

fn github<'v>(
    variable: &impl Fn(&str) -> Option<&'v str>,
    token: Option<Token>,
) -> Result<GitHubSettings, ProviderError> {
    let unconfigured = |problem: &str| ProviderError::Unconfigured {
        platform: Platform::GitHub,
        problem: problem.to_owned(),
    };
    let (owner, repository) = variable("GITHUB_REPOSITORY")
        .and_then(|repository| repository.split_once('/'))
        .ok_or_else(|| unconfigured("GITHUB_REPOSITORY does not name owner/repository"))?;
    let token = match token {
        Some(token) => token,
        None => ["ATMOS_GITHUB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"]
            .into_iter()
            .find_map(variable)
            .map(Token::new)
            .ok_or_else(|| unconfigured("there is no token; give the job GITHUB_TOKEN: ${{ github.token }}"))?
            .map_err(|error| unconfigured(&error.to_string()))?,
    };
    Ok(GitHubSettings {
        api_url: api_url(variable, "GITHUB_API_URL", "https://api.github.com")
            .map_err(|error| unconfigured(&error))?,
        owner: owner.to_owned(),
        repository: repository.to_owned(),
        run_id: variable("GITHUB_RUN_ID").and_then(|id| id.parse().ok()),
        run_attempt: variable("GITHUB_RUN_ATTEMPT").and_then(|attempt| attempt.parse().ok()),
        runner_name: variable("RUNNER_NAME").map(str::to_owned),
        commit: variable("GITHUB_SHA").and_then(|commit| commit.parse().ok()),
        token,
        identity: identity(variable),
    })
}

/// The address of the API, from this variable or the default.
fn api_url<'v>(
    variable: &impl Fn(&str) -> Option<&'v str>,
    name: &str,
    usual: &str,
) -> Result<String, String> {
    let address = variable(name).unwrap_or(usual);
    match reqwest::Url::parse(address) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(address.to_owned()),
        // Not printed: an invalid address may be a secret in the wrong variable.
        _ => Err(format!("{name} is not an address that begins with https:// or http://")),
    }
}

fn identity<'v>(variable: &impl Fn(&str) -> Option<&'v str>) -> Option<IdentitySettings> {
    let url = variable("ACTIONS_ID_TOKEN_REQUEST_URL")?.to_owned();
    let token = Token::new(variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?).ok()?;
    Some(IdentitySettings { url, token })
}

fn gitlab<'v>(
    variable: &impl Fn(&str) -> Option<&'v str>,
    token: Option<Token>,
) -> Result<GitLabSettings, ProviderError> {
    let unconfigured = |problem: &str| ProviderError::Unconfigured {
        platform: Platform::GitLab,
        problem: problem.to_owned(),
    };
    let job = variable("CI_JOB_TOKEN");
    let given = || ["ATMOS_GITLAB_TOKEN", "GITLAB_TOKEN"].into_iter().find_map(variable).or(job);
    let token = match token {
        Some(token) => token,
        None => given()
            .map(Token::new)
            .ok_or_else(|| unconfigured("there is no token; set GITLAB_TOKEN"))?
            .map_err(|error| unconfigured(&error.to_string()))?,
    };
    // The job's token may also have been passed explicitly.
    let token_kind = if job.is_some_and(|job| token.is(job)) { TokenKind::Job } else { TokenKind::Access };
    Ok(GitLabSettings {
        api_url: api_url(variable, "CI_API_V4_URL", "https://gitlab.com/api/v4")
            .map_err(|error| unconfigured(&error))?,
        project: variable("CI_PROJECT_ID")
            .or_else(|| variable("CI_PROJECT_PATH"))
            .ok_or_else(|| unconfigured("CI_PROJECT_ID is not set"))?
            .to_owned(),
        pipeline_id: variable("CI_PIPELINE_ID").and_then(|id| id.parse().ok()),
        commit: variable("CI_COMMIT_SHA").and_then(|commit| commit.parse().ok()),
        job_id: variable("CI_JOB_ID").and_then(|id| id.parse().ok()),
        token,
        token_kind,
        authority_file: variable("CI_SERVER_TLS_CA_FILE").map(PathBuf::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(variables: &[(&'static str, &'static str)]) -> Result<ProviderSettings, ProviderError> {
        let variables: std::collections::BTreeMap<_, _> = variables.iter().copied().collect();
        ProviderSettings::detect(|name| variables.get(name).copied(), None)
    }

    #[test]
    fn an_enterprise_server_and_its_token_are_found() {
        let settings = detect(&[
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_REPOSITORY", "acme/shop"),
            ("GITHUB_API_URL", "https://github.example.com/api/v3"),
            ("GITHUB_TOKEN", "ghs_secret"),
            ("GITHUB_RUN_ID", "9"),
        ])
        .unwrap();
        assert!(!format!("{settings:?}").contains("ghs_secret"));
        let ProviderSettings::GitHub(settings) = settings else { panic!("not GitHub") };
        assert_eq!(settings.api_url, "https://github.example.com/api/v3");
        assert_eq!((settings.owner.as_str(), settings.repository.as_str()), ("acme", "shop"));
    }

    #[test]
    fn what_is_no_address_of_an_api_is_said_before_anything_is_sent() {
        let said = |variables: &[(&'static str, &'static str)]| {
            detect(variables).map(drop).map_err(|e| e.to_string())
        };
        for address in [
            "github.example.com",
            "localhost:8080",
            "nonsense",
            "ftp://example.com",
            "https://",
            "/api",
            "a b",
        ] {
            let github = said(&[
                ("GITHUB_ACTIONS", "true"),
                ("GITHUB_REPOSITORY", "acme/shop"),
                ("GITHUB_TOKEN", "t"),
                ("GITHUB_API_URL", address),
            ]);
            let gitlab = said(&[
                ("GITLAB_CI", "true"),
                ("CI_PROJECT_ID", "7"),
                ("CI_JOB_TOKEN", "t"),
                ("CI_API_V4_URL", address),
            ]);
            for (said, expected) in [
                (
                    github,
                    "GitHub cannot be asked: GITHUB_API_URL is not an address that begins with https:// or http://",
                ),
                (
                    gitlab,
                    "GitLab cannot be asked: CI_API_V4_URL is not an address that begins with https:// or http://",
                ),
            ] {
                assert_eq!(said.unwrap_err(), expected, "{address}");
            }
        }
    }

    #[test]
    fn an_access_token_beats_the_job_s_own() {
        let job = [("GITLAB_CI", "true"), ("CI_PROJECT_ID", "7"), ("CI_JOB_TOKEN", "job")];
        let kind = |variables: &[_]| match detect(variables).unwrap() {
            ProviderSettings::GitLab(settings) => settings.token_kind,
            _ => panic!("not GitLab"),
        };
        assert_eq!(kind(&job), TokenKind::Job);
        assert_eq!(kind(&[job[0], job[1], job[2], ("GITLAB_TOKEN", "glpat")]), TokenKind::Access);
        // The job's own token keeps its kind, whichever way it is passed.
        assert_eq!(kind(&[job[0], job[1], job[2], ("GITLAB_TOKEN", "job")]), TokenKind::Job);
        let given = Token::new("job\n").unwrap();
        let settings = ProviderSettings::detect(
            |name| job.iter().find(|(key, _)| *key == name).map(|(_, value)| *value),
            Some(given),
        );
        let Ok(ProviderSettings::GitLab(settings)) = settings else { panic!("not GitLab") };
        assert_eq!(settings.token_kind, TokenKind::Job);
    }

    #[test]
    fn outside_of_a_job_the_remote_tells_the_platform() {
        let of_remote = |variables: &[(&'static str, &'static str)], url: Option<&str>| {
            let variables: std::collections::BTreeMap<_, _> = variables.iter().copied().collect();
            let urls: Vec<_> = url.into_iter().map(str::to_owned).collect();
            ProviderSettings::detect_or_of_remote(|name| variables.get(name).copied(), &urls)
        };
        let github = of_remote(&[("GH_TOKEN", "t")], Some("git@github.com:acme/shop.git")).unwrap();
        let ProviderSettings::GitHub(github) = github else { panic!("not GitHub") };
        assert_eq!((github.owner.as_str(), github.api_url.as_str()), ("acme", "https://api.github.com"));
        let gitlab = of_remote(&[("GITLAB_TOKEN", "t")], Some("https://gitlab.com/a/b/shop.git")).unwrap();
        let ProviderSettings::GitLab(gitlab) = gitlab else { panic!("not GitLab") };
        assert_eq!(
            (gitlab.project.as_str(), gitlab.api_url.as_str()),
            ("a/b/shop", "https://gitlab.com/api/v4")
        );
        assert!(matches!(of_remote(&[], Some("/srv/shop.git")).unwrap(), ProviderSettings::None));
        assert!(of_remote(&[], Some("git@github.com:acme/shop.git")).is_err());
    }

    #[test]
    fn a_job_without_a_token_is_told_how_to_get_one() {
        let error = detect(&[("GITHUB_ACTIONS", "true"), ("GITHUB_REPOSITORY", "acme/shop")]).unwrap_err();
        assert!(error.to_string().contains("GITHUB_TOKEN: ${{ github.token }}"), "{error}");
        assert!(matches!(detect(&[]).unwrap(), ProviderSettings::None));
    }
}
