//! Guards of output: mask the environment's tokens, and defuse workflow commands in untrusted text.

use std::ffi::OsString;
use std::sync::Arc;

use crate::ci::annotations::inert;
use crate::component::Masks;
use crate::render::stream::{Guard, Streams};

/// The variables that hold a platform's token.
pub const TOKENS: [&str; 8] = [
    "INPUT_TOKEN",
    "ATMOS_INPUT_TOKEN",
    "ATMOS_GITHUB_TOKEN",
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "ATMOS_GITLAB_TOKEN",
    "GITLAB_TOKEN",
    "CI_JOB_TOKEN",
];

/// The minimum length of a masked token: masking a shorter text would blot out unrelated text.
const SHORTEST: usize = 8;

/// Masks for the tokens of an environment.
pub fn of_environment(environment: &[(OsString, OsString)]) -> Masks {
    let is_token = |name: &OsString| TOKENS.iter().any(|token| name == token);
    let tokens =
        environment.iter().filter(|(name, _)| is_token(name)).filter_map(|(_, value)| value.to_str());
    Masks::new(tokens.map(str::trim).filter(|token| token.len() >= SHORTEST))
}

/// A guard that masks secrets.
pub fn guard(masks: &Masks) -> Guard {
    let masks = masks.clone();
    Arc::new(move |text| masks.apply(text.to_owned()))
}

/// Streams that mask secrets, and whose stderr passes no workflow command to a CI system's log.
pub fn guarded(streams: Streams, masks: &Masks, environment: &[(OsString, OsString)]) -> Streams {
    let conversation = if is_log_of_commands(environment) { for_log(masks) } else { guard(masks) };
    streams.guarded(guard(masks), conversation)
}

/// [`guarded`] streams for jobs whose stdout is part of the log too.
pub fn guarded_log(streams: Streams, masks: &Masks, environment: &[(OsString, OsString)]) -> Streams {
    let guard = if is_log_of_commands(environment) { for_log(masks) } else { guard(masks) };
    streams.guarded(Arc::clone(&guard), guard)
}

/// Whether the platform reads commands from the log.
fn is_log_of_commands(environment: &[(OsString, OsString)]) -> bool {
    environment.iter().any(|(name, value)| name == "GITHUB_ACTIONS" && !value.is_empty())
}

fn for_log(masks: &Masks) -> Guard {
    let masks = masks.clone();
    Arc::new(move |text| {
        let text = masks.apply(text.to_owned());
        text.split_inclusive('\n').map(inert).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_masked_wherever_they_are_set() {
        let environment = |pairs: &[(&str, &str)]| -> Vec<(OsString, OsString)> {
            pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
        };
        let masks = of_environment(&environment(&[
            ("GITHUB_TOKEN", "ghs_averysecrettoken"),
            ("INPUT_TOKEN", " ghp_another1\n"),
            ("GH_TOKEN", "x"),
            ("PATH", "/usr/bin"),
        ]));
        let shown = guard(&masks)("a ghs_averysecrettoken, b ghp_another1, x, /usr/bin");
        assert_eq!(shown, "a ***, b ***, x, /usr/bin");
        assert_eq!(
            for_log(&masks)("ok\n::set-output name=a::ghp_another1\n"),
            "ok\n:\u{200b}:set-output name=a::***\n"
        );
    }
}
