//! The called verb, parsed without the definitions of the others.
//!
//! Every verb takes the global options, and clap copies all of them into each verb, although only
//! one verb is called. So a verb of `atmos deployment` is first parsed as if it were the only one.
//! Any error there, and every request for help, falls back to the whole definition.

use std::ffi::OsString;

use clap::{ArgMatches, Args, Command};

use super::{GROUP, deployment};
use crate::context::flags::GlobalArgs;

/// The matches of a valid command line that starts with `atmos deployment <verb>`.
pub(super) fn matches(arguments: &[OsString]) -> Option<ArgMatches> {
    let [_, group, verb, ..] = arguments else { return None };
    if group != GROUP {
        return None;
    }
    let group = Command::new(GROUP).subcommand(deployment::verb(verb.to_str()?)?);
    let root = GlobalArgs::augment_args(Command::new("atmos")).subcommand(group);
    // Leaked, because the process ends before freeing it would be of any use.
    Box::leak(Box::new(root)).try_get_matches_from_mut(arguments).ok()
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;
    use crate::cli::{Cli, whole_command};

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn parsed(matches: &ArgMatches) -> String {
        format!("{:?}", Cli::from_arg_matches(matches).unwrap())
    }

    #[test]
    fn a_verb_alone_means_what_it_means_among_the_others() {
        let whole = whole_command();
        let verbs = whole.find_subcommand(GROUP).unwrap().get_subcommands();
        let help: Vec<_> = verbs.filter_map(Command::get_after_help).map(ToString::to_string).collect();
        // Without redirections of the shell.
        let lines =
            help.iter().flat_map(|text| text.lines()).filter_map(|line| line.trim().split(" > ").next());
        let mut compared = 0;
        for line in lines.filter(|line| line.starts_with("atmos deployment ") && !line.contains(['"', '\'']))
        {
            let line = format!("{line} --chdir elsewhere --timezone Europe/Berlin --quiet");
            let alone = matches(&words(&line)).unwrap_or_else(|| panic!("{line}"));
            let among_others = whole.clone().try_get_matches_from(words(&line)).unwrap();
            assert_eq!(parsed(&alone), parsed(&among_others), "{line}");
            compared += 1;
        }
        assert!(compared > 20, "{compared}");
    }

    #[test]
    fn what_is_not_in_order_is_left_to_the_whole_definition() {
        for line in [
            "atmos",
            "atmos deployment",
            "atmos deployment nonsense",
            "atmos deployment status --help",
            "atmos deployment status --version",
            "atmos deployment status --nonsense",
            "atmos --quiet deployment status",
            "atmos completion bash",
        ] {
            assert!(matches(&words(line)).is_none(), "{line}");
        }
    }
}
