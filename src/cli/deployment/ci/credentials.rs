//! The job's token as git's last resort for pushes to its own platform.
//!
//! Whatever git is configured with comes first: a helper is asked only where the server wants credentials and nothing
//! else has any. The token travels through git's environment: it is on no command line, in no URL and in no file.

use std::ffi::OsString;

use crate::ci::System;

/// The variable that the helper reads the token from.
const TOKEN: &str = "ATMOS_GIT_TOKEN";

/// What git sees besides the environment. `variable` looks up a variable of that.
pub(super) fn git_environment<'v>(
    system: System,
    token: &str,
    variable: impl Fn(&str) -> Option<&'v str>,
) -> Vec<(OsString, OsString)> {
    let (server, default, user) = match system {
        System::GitHubActions => ("GITHUB_SERVER_URL", "https://github.com", "x-access-token"),
        System::GitLabCi => ("CI_SERVER_URL", "https://gitlab.com", "oauth2"),
    };
    let server = variable(server).unwrap_or(default).trim_end_matches('/');
    let number: usize = variable("GIT_CONFIG_COUNT").and_then(|count| count.parse().ok()).unwrap_or(0);
    let helper =
        format!("!f() {{ test \"$1\" = get && printf 'username={user}\\npassword=%s\\n' \"${TOKEN}\"; }}; f");
    [
        ("GIT_CONFIG_COUNT".to_owned(), (number + 1).to_string()),
        (format!("GIT_CONFIG_KEY_{number}"), format!("credential.{server}.helper")),
        (format!("GIT_CONFIG_VALUE_{number}"), helper),
        (TOKEN.to_owned(), token.to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.into(), value.into()))
    .collect()
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
        let environment = git_environment(System::GitHubActions, "ghs_secret", lookup);
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
}
