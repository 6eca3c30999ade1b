//! The job's token for git: the last resort, or, with the input `token`, instead of the checkout's
//! credentials.
//!
//! Git's own configuration comes first: a credential helper is asked only where the server requires
//! credentials and nothing else has any. GitLab's checkouts contain the job's own token, which may
//! only read in most projects: the input `token` replaces it. A token is passed in git's
//! environment: it is on no command line, in no URL and in no file.

use std::ffi::OsString;

use crate::ci::System;

/// The variable from which the helper reads the token.
const TOKEN: &str = "ATMOS_GIT_TOKEN";

/// The user name of the job's token in the URLs of GitLab's runner.
const JOB_USER: &str = "gitlab-ci-token";

/// The source of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The job's input `token`.
    Input,
    Environment,
}

/// Additional environment variables for git. `variable` looks up a variable of the environment.
pub(super) fn git_environment<'v>(
    system: System,
    token: &str,
    source: Source,
    variable: impl Fn(&str) -> Option<&'v str>,
) -> Vec<(OsString, OsString)> {
    let job_token = variable("CI_JOB_TOKEN").filter(|_| system == System::GitLabCi);
    let (server, default, user) = match system {
        System::GitHubActions => ("GITHUB_SERVER_URL", "https://github.com", "x-access-token"),
        System::GitLabCi if job_token == Some(token) => ("CI_SERVER_URL", "https://gitlab.com", JOB_USER),
        System::GitLabCi => ("CI_SERVER_URL", "https://gitlab.com", "oauth2"),
    };
    let server = variable(server).unwrap_or(default).trim_end_matches('/');
    let helper =
        format!("!f() {{ test \"$1\" = get && printf 'username={user}\\npassword=%s\\n' \"${TOKEN}\"; }}; f");
    let mut settings = Vec::new();
    match job_token {
        Some(job_token) if job_token != token && source == Source::Input => {
            for (from, to) in addresses_with(job_token, server, variable("CI_REPOSITORY_URL")) {
                settings.push((format!("url.{to}.insteadOf"), from));
                let server = to.trim_end_matches('/');
                // The runner may have configured a helper of its own: an empty one resets all
                // before it.
                settings.push((format!("credential.{server}.helper"), String::new()));
                settings.push((format!("credential.{server}.helper"), helper.clone()));
            }
        }
        _ => settings.push((format!("credential.{server}.helper"), helper)),
    }
    let number: usize = variable("GIT_CONFIG_COUNT").and_then(|count| count.parse().ok()).unwrap_or(0);
    let mut environment: Vec<(OsString, OsString)> = vec![
        ("GIT_CONFIG_COUNT".into(), (number + settings.len()).to_string().into()),
        (TOKEN.into(), token.into()),
    ];
    for (number, (key, value)) in (number..).zip(settings) {
        environment.push((format!("GIT_CONFIG_KEY_{number}").into(), key.into()));
        environment.push((format!("GIT_CONFIG_VALUE_{number}").into(), value.into()));
    }
    environment
}

/// The URL prefixes with the job's token, as GitLab's runner writes them, and the same without it:
/// of the server, and of the runner's clone URL, which may be another one.
fn addresses_with(job_token: &str, server: &str, clone_url: Option<&str>) -> Vec<(String, String)> {
    let clone_server = clone_url.and_then(|url| {
        let (scheme, rest) = url.split_once("://")?;
        let host = rest.split('/').next()?.rsplit_once('@')?.1;
        Some(format!("{scheme}://{host}"))
    });
    let mut addresses = Vec::new();
    for server in std::iter::once(server.to_owned()).chain(clone_server) {
        let Some((scheme, host)) = server.split_once("://") else { continue };
        let address = (format!("{scheme}://{JOB_USER}:{job_token}@{host}/"), format!("{server}/"));
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_helper_is_added_to_what_is_configured_and_the_token_is_in_a_variable_of_its_own() {
        let lookup = |name: &str| match name {
            "GIT_CONFIG_COUNT" => Some("2"),
            "GITHUB_SERVER_URL" => Some("https://github.example.com/"),
            _ => None,
        };
        let environment = git_environment(System::GitHubActions, "ghs_secret", Source::Input, lookup);
        let of = |name: &str| {
            let (_, value) = environment.iter().find(|(variable, _)| variable == name).unwrap();
            value.to_str().unwrap()
        };
        assert_eq!(
            (of("GIT_CONFIG_COUNT"), of("GIT_CONFIG_KEY_2")),
            ("3", "credential.https://github.example.com.helper")
        );
        assert!(!of("GIT_CONFIG_VALUE_2").contains("ghs_secret"));
        assert_eq!(of(TOKEN), "ghs_secret");
    }

    /// The settings that git gets by its environment.
    fn settings(token: &str, source: Source, variables: &[(&str, &'static str)]) -> Vec<(String, String)> {
        let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let environment = git_environment(System::GitLabCi, token, source, lookup);
        let of = |name: String| {
            let (_, value) = environment.iter().find(|(variable, _)| *variable == *name).unwrap();
            value.to_str().unwrap().to_owned()
        };
        let number: usize = of("GIT_CONFIG_COUNT".to_owned()).parse().unwrap();
        (0..number)
            .map(|n| (of(format!("GIT_CONFIG_KEY_{n}")), of(format!("GIT_CONFIG_VALUE_{n}"))))
            .collect()
    }

    #[test]
    fn the_input_takes_the_place_of_the_job_s_own_token() {
        let job = [
            ("CI_JOB_TOKEN", "job"),
            ("CI_SERVER_URL", "https://gitlab.example.com:8443"),
            ("CI_REPOSITORY_URL", "https://gitlab-ci-token:job@clone.example.com/acme/shop.git"),
        ];
        let replaced = settings("glpat-secret", Source::Input, &job);
        let shown: Vec<_> = replaced.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(
            (shown.len(), shown[0], shown[1], shown[3], shown[4]),
            (
                6,
                (
                    "url.https://gitlab.example.com:8443/.insteadOf",
                    "https://gitlab-ci-token:job@gitlab.example.com:8443/"
                ),
                ("credential.https://gitlab.example.com:8443.helper", ""),
                (
                    "url.https://clone.example.com/.insteadOf",
                    "https://gitlab-ci-token:job@clone.example.com/"
                ),
                ("credential.https://clone.example.com.helper", ""),
            )
        );
        assert!(shown[2].1.contains("username=oauth2") && !format!("{shown:?}").contains("glpat-secret"));
        // A token of the environment, or the job's own, is the last resort.
        assert_eq!(settings("glpat-secret", Source::Environment, &job).len(), 1);
        let own = settings("job", Source::Input, &job);
        assert!(own.len() == 1 && own[0].1.contains("username=gitlab-ci-token"), "{own:?}");
    }
}
