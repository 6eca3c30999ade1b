//! The command line: parses arguments into a typed request, and turns its result into an exit code.

pub mod args;
mod called;
mod completion;
mod deferred;
pub mod deployment;
mod describe;
mod man;
mod moment;
#[cfg(test)]
mod reference;
mod usage;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::context::Context;
use crate::context::flags::GlobalArgs;
use deferred::Deferred;

/// Deployments tracked in Git itself: roll out, promote, roll back, and know what runs where.
#[derive(Debug, Parser)]
#[command(name = "atmos", version, propagate_version = true, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 something failed, 2 wrong usage or configuration, 3 refused by policy, \
                        4 locked or lost a race, 5 findings, 130 interrupted."
)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Roll out deployments and answer what runs where
    Deployment(Box<Deferred<deployment::DeploymentArgs>>),
    /// Show what stacks say, as the working tree has them
    Describe(Deferred<describe::DescribeArgs>),
    /// Print a completion script for a shell
    Completion(Deferred<completion::Args>),
    /// Print the manual page
    Man,
}

/// The command group of this program's verbs.
const GROUP: &str = "deployment";

/// The name under which the binary takes the verbs of `atmos deployment` directly.
const VERBS_ONLY: &str = "atmos-deployment";

/// The name under which the binary is the entry of the action. Its arguments are then ignored: some
/// runners pass the action's input `args` there, which is read with the other inputs. No shell
/// script can wrap it, because shells drop variables such as `INPUT_PROMOTE-FROM`.
const CI_ONLY: &str = "atmos-ci";

/// Runs the program. Its arguments and environment are passed in.
#[must_use]
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let arguments = with_query(with_verb_prefix(arguments.into_iter().collect()));
    let environment: Vec<_> = environment.into_iter().collect();
    let cli = match parse(&arguments) {
        Ok(cli) => cli,
        Err(error) => return usage::report(&error, &arguments, &environment),
    };
    let format = cli.global.document_format();
    let context = match Context::new(cli.global, environment) {
        Ok(context) => context,
        Err(refused) => {
            let (streams, error) = *refused;
            return error.report(&streams, format);
        }
    };
    let located = context.global().locating();
    let result = match cli.command {
        Command::Deployment(args) => deployment::run(&args, &context),
        Command::Describe(args) => describe::run(&args, &context),
        Command::Completion(args) => completion::run(&args, &context),
        Command::Man => man::run(&context),
    };
    match result {
        Ok(code) => code,
        Err(error) => error.located(&located).report(context.streams(), format),
    }
}

fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let mut matches = match called::matches(arguments) {
        Some(matches) => matches,
        None => command().try_get_matches_from(arguments)?,
    };
    Cli::from_arg_matches_mut(&mut matches)
}

/// The definition for parsing: each command's options are defined when it is called.
fn command() -> clap::Command {
    Cli::command()
}

/// The whole definition, with the options of every command, for traversal.
fn whole_command() -> clap::Command {
    let mut command = command();
    command.build();
    command
}

/// Inserts the command group in `atmos-deployment rollout …`; replaces all arguments of `atmos-ci`.
fn with_verb_prefix(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let name = arguments.first().map(Path::new).and_then(Path::file_stem);
    if name.is_some_and(|name| name == VERBS_ONLY) {
        arguments.insert(1, GROUP.into());
    } else if name.is_some_and(|name| name == CI_ONLY) {
        arguments.truncate(1);
        arguments.extend([GROUP.into(), "ci".into()]);
    }
    arguments
}

/// Replaces `-q` by `--query` in `describe` where a path follows, as in Atmos; elsewhere `-q` is
/// `--quiet`.
fn with_query(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let text = |at: usize| arguments.get(at).and_then(|argument| argument.to_str());
    let is_path = |text: &str| {
        let mut letters = text.chars();
        letters.next() == Some('.')
            && letters.next().is_some_and(|next| next.is_alphabetic() || "_[\"".contains(next))
    };
    let verb = arguments.iter().find(|argument| *argument == "describe" || *argument == GROUP);
    let is_describe = verb.is_some_and(|verb| verb == "describe");
    let short = (1..arguments.len()).find(|at| text(*at) == Some("-q") && text(at + 1).is_some_and(is_path));
    if let Some(at) = short.filter(|_| is_describe) {
        arguments[at] = "--query".into();
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_q_with_a_path_is_a_query_where_stacks_are_described() {
        for (line, expected) in [
            ("atmos describe component a -s b -q .vars.x", "atmos describe component a -s b --query .vars.x"),
            ("atmos describe stacks -q .[\"a/b\"]", "atmos describe stacks --query .[\"a/b\"]"),
            ("atmos describe component -q . -s b", "atmos describe component -q . -s b"),
            ("atmos describe component -q ./vpc -s b", "atmos describe component -q ./vpc -s b"),
            ("atmos deployment describe -q .x", "atmos deployment describe -q .x"),
        ] {
            let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
            assert_eq!(with_query(words(line)), words(expected), "{line}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn the_short_name_takes_the_verbs() {
        let arguments = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(
            with_verb_prefix(arguments(&["/usr/bin/atmos-deployment", "status"])),
            arguments(&["/usr/bin/atmos-deployment", "deployment", "status"])
        );
        assert_eq!(with_verb_prefix(arguments(&["atmos", "status"])), arguments(&["atmos", "status"]));
        assert_eq!(
            with_verb_prefix(arguments(&["/usr/local/bin/atmos-ci", "--changed", "--wave=0"])),
            arguments(&["/usr/local/bin/atmos-ci", "deployment", "ci"])
        );
    }
}
