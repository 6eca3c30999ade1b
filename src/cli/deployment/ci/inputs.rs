//! The inputs of the job, as workflow authors write them.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::error::{CommandError, did_you_mean};
use crate::render::document::error::Hint;

/// All inputs. Public interface of the action and of the template.
pub(super) const NAMES: [&str; 21] = [
    "allow-partial",
    "allow-rollback",
    "args",
    "command",
    "comment",
    "commit-status",
    "component",
    "context",
    "deployment",
    "deployment-record",
    "digest",
    "dispatch",
    "fetch",
    "git-sha",
    "parallelism",
    "plan",
    "promote-from",
    "reason",
    "target",
    "token",
    "working-directory",
];

/// Variables that the runner of container actions sets for itself.
const OF_THE_RUNNER: [&str; 1] = ["entrypoint"];

/// GitHub's prefix for the variable of an input: `INPUT_PROMOTE-FROM`.
const GITHUB: &str = "INPUT_";
/// The prefix everywhere else: `ATMOS_INPUT_PROMOTE_FROM`.
const ELSEWHERE: &str = "ATMOS_INPUT_";

/// The input that must not get lost between jobs: without it, another plan than the reviewed one
/// might run.
const DIGEST: &str = "digest";
/// Its value for no digest. On GitHub an omitted input looks like an empty one, so this is the
/// default of the action and of the template.
const NO_DIGEST: &str = "none";

/// The given inputs. An empty input counts as not given, except for a digest, where it is an error.
#[derive(Default)]
pub(super) struct Inputs(BTreeMap<&'static str, String>);

impl Inputs {
    /// Reads the inputs from the environment. On GitHub both prefixes are accepted, because a step
    /// that runs a command has no inputs of its own.
    pub(super) fn read(environment: &[(OsString, OsString)], on_github: bool) -> Result<Self, CommandError> {
        let mut inputs = BTreeMap::new();
        for (variable, value) in environment {
            let Some(name) = variable.to_str().and_then(|variable| input_of(variable, on_github)) else {
                continue;
            };
            if OF_THE_RUNNER.contains(&name.as_str()) {
                continue;
            }
            let Some(known) = NAMES.into_iter().find(|known| *known == name) else {
                let error = CommandError::usage(format!("there is no input called `{name}`"));
                return Err(match did_you_mean(&name, NAMES) {
                    Some(hint) => error.hint(hint),
                    None => error.hint(Hint::note(format!("The inputs are {}", NAMES.join(", ")))),
                });
            };
            let value = value
                .to_str()
                .ok_or_else(|| CommandError::usage(format!("input `{known}` is not text")))?
                .trim();
            match (known, value) {
                (DIGEST, "") => return Err(empty_digest()),
                (DIGEST, NO_DIGEST) | (_, "") => {}
                (known, value) => {
                    inputs.insert(known, value.to_owned());
                }
            }
        }
        Ok(Self(inputs))
    }

    /// The trimmed value of an input.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value of a boolean input, `true` or `false`.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, CommandError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(CommandError::usage(format!("input `{name}` must be true or false, not `{value}`"))),
        }
    }

    /// The lines of an input that is a list.
    pub(super) fn lines(&self, name: &str) -> impl Iterator<Item = &str> {
        self.get(name).unwrap_or_default().lines().map(str::trim).filter(|line| !line.is_empty())
    }
}

/// The error of a digest that was lost on its way from the plan job.
fn empty_digest() -> CommandError {
    CommandError::usage("input `digest` is empty: the output of the plan job is probably missing")
        .hint(Hint::note(
            "Does the plan job hand its output `digest` on, and does this job have the plan job among its `needs`?",
        ))
        .hint(Hint::note("To roll out whatever there is to roll out, leave the input away, or write `digest: none`"))
}

/// The name of the input in a variable.
fn input_of(variable: &str, on_github: bool) -> Option<String> {
    if let Some(name) = variable.strip_prefix(ELSEWHERE) {
        return Some(name.to_ascii_lowercase().replace('_', "-"));
    }
    let name = variable.strip_prefix(GITHUB).filter(|_| on_github)?;
    Some(name.to_ascii_lowercase())
}

/// Whether a variable contains an input, which child processes must not see.
pub(super) fn is_input(variable: &OsString) -> bool {
    variable.to_str().is_some_and(|variable| variable.starts_with(GITHUB) || variable.starts_with(ELSEWHERE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::exit;

    fn read(pairs: &[(&str, &str)], on_github: bool) -> Result<Inputs, CommandError> {
        let environment: Vec<_> = pairs.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Inputs::read(&environment, on_github)
    }

    #[test]
    fn inputs_are_read_in_the_platform_s_own_form() {
        let github = read(&[("INPUT_PROMOTE-FROM", " dev\n"), ("INPUT_TARGET", "")], true).unwrap();
        assert_eq!((github.get("promote-from"), github.get("target")), (Some("dev"), None));
        let gitlab = read(&[("ATMOS_INPUT_PROMOTE_FROM", "dev"), ("INPUT_WHATEVER", "x")], false).unwrap();
        assert_eq!(gitlab.0.keys().copied().collect::<Vec<_>>(), ["promote-from"]);
    }

    #[test]
    fn an_input_that_nobody_knows_is_an_error_with_the_nearest_name() {
        let error = read(&[("INPUT_PROMOTE-FORM", "dev")], true).err().unwrap();
        let CommandError::Shown(error) = error else { panic!("{error:?}") };
        assert_eq!(error.message, "there is no input called `promote-form`");
        assert_eq!(error.hints[0].text, "Did you mean promote-from?");
        assert!(read(&[("INPUT_ENTRYPOINT", "/bin/sh")], true).is_ok());
    }

    #[test]
    fn an_empty_digest_is_an_error_and_no_digest_is_none() {
        for empty in ["", " \n"] {
            let error = read(&[("INPUT_DIGEST", empty)], true).err().unwrap();
            let CommandError::Shown(error) = error else { panic!("{error:?}") };
            let said = "input `digest` is empty: the output of the plan job is probably missing";
            assert_eq!((error.message.as_str(), error.exit_code), (said, exit::USAGE));
            assert!(read(&[("ATMOS_INPUT_DIGEST", empty)], false).is_err());
        }
        assert_eq!(read(&[("INPUT_DIGEST", "none")], true).unwrap().get("digest"), None);
        assert_eq!(read(&[("INPUT_TARGET", "dev")], true).unwrap().get("digest"), None);
        // The action's default does not override the variable of the job.
        for order in [[0, 1], [1, 0]] {
            let both = [("INPUT_DIGEST", "none"), ("ATMOS_INPUT_DIGEST", "v1:sha256:0")];
            let inputs = read(&order.map(|at| both[at]), true).unwrap();
            assert_eq!(inputs.get("digest"), Some("v1:sha256:0"));
        }
    }

    #[test]
    fn a_flag_is_true_or_false() {
        let inputs = read(&[("INPUT_PLAN", "True"), ("INPUT_COMMENT", "yes")], true).unwrap();
        assert_eq!(inputs.flag("plan").unwrap(), Some(true));
        assert_eq!(inputs.flag("fetch").unwrap(), None);
        let CommandError::Shown(error) = inputs.flag("comment").unwrap_err() else { panic!() };
        assert_eq!(error.message, "input `comment` must be true or false, not `yes`");
    }
}
