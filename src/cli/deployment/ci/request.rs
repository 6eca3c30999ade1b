//! Converts the inputs to the command line of one verb, for the parser of typed commands.

use super::inputs::Inputs;
use super::{usage, words};
use crate::cli::deployment::DeploymentArgs;
use crate::cli::{Cli, Command};
use crate::context::flags::GlobalArgs;
use crate::error::{CommandError, did_you_mean};
use crate::render::document::error::Hint;

/// The inputs that become flags of the same name, where the verb has one.
const FLAGS: [&str; 11] = [
    "allow-partial",
    "allow-rollback",
    "component",
    "context",
    "digest",
    "git-sha",
    "parallelism",
    "plan",
    "promote-from",
    "reason",
    "target",
];

/// The inputs that enable reports, and the verbs that have reports.
pub(super) const REPORTS: [&str; 3] = ["comment", "commit-status", "deployment-record"];
const REPORTING: [&str; 2] = ["rollout", "status"];

/// The default timeout of a job's rollout for the locks of earlier ones.
const LOCK_TIMEOUT: &str = "10m";

/// The verb that needs the remote, which has the locks: `fetch: false` is refused.
const NEEDS_THE_REMOTE: &str = "rollout";

/// The request of a job.
pub(super) struct Request {
    /// The words of the verb: `rollout`, `list targets`.
    pub(super) verb: String,
    /// The global flags in `args`.
    pub(super) global: GlobalArgs,
    pub(super) arguments: DeploymentArgs,
}

impl Request {
    /// Finds the verb, checks that every input applies to it, and parses.
    pub(super) fn new(inputs: &Inputs) -> Result<Self, CommandError> {
        let root = crate::cli::whole_command();
        let wanted = inputs.get("command").ok_or_else(|| {
            let hint = Hint::note("Name what is to be done, such as `command: rollout`");
            CommandError::usage("input `command` is missing").hint(hint)
        })?;
        let (path, command) = find(&root, wanted)?;
        let verb = path.join(" ");
        let mut line: Vec<String> = vec!["atmos".to_owned(), "deployment".to_owned()];
        line.extend(path);
        for name in FLAGS {
            line.extend(flag(&command, &verb, name, inputs)?);
        }
        let args = words::split(inputs.get("args").unwrap_or_default()).map_err(|error| {
            CommandError::usage(format!("input `args` cannot be split into words: {error}"))
        })?;
        if has_flag(&command, "lock-timeout") && !args.iter().any(|word| word.starts_with("--lock-timeout")) {
            line.push(format!("--lock-timeout={LOCK_TIMEOUT}"));
        }
        if inputs.flag("fetch")? == Some(false) {
            if verb == NEEDS_THE_REMOTE && inputs.flag("plan")? != Some(true) {
                let message = format!(
                    "input `fetch: false` does not apply to command `{verb}`, which takes its locks on the remote"
                );
                return Err(CommandError::usage(message).hint(Hint::note("It applies with `plan: true`")));
            }
            line.push("--offline".to_owned());
        }
        if let Some(deployment) = inputs.get("deployment") {
            if !command.get_positionals().any(|argument| argument.get_id() == "deployment") {
                return Err(does_not_apply(&command, &verb, "deployment"));
            }
            // A name that starts with a dash could be parsed as a flag.
            if deployment.starts_with('-') {
                let message = format!("input `deployment`: `{deployment}` is not the name of a deployment");
                return Err(CommandError::usage(message));
            }
            line.push(deployment.to_owned());
        }
        line.extend(args);
        let line: Vec<_> = line.into_iter().map(Into::into).collect();
        let parsed = crate::cli::parse(&line).map_err(|error| usage::in_terms_of_inputs(&error))?;
        match parsed {
            Cli { global, command: Command::Deployment(arguments) } => {
                Ok(Self { verb, global, arguments: arguments.into_inner() })
            }
            Cli { .. } => Err(CommandError::internal("the verbs of deployments are not found")),
        }
    }
}

/// The path of a verb's names, and its definition.
fn find(root: &clap::Command, wanted: &str) -> Result<(Vec<String>, clap::Command), CommandError> {
    let unknown =
        |word: &str| CommandError::usage(format!("input `command`: there is no command called `{word}`"));
    let mut command = root.find_subcommand("deployment").ok_or_else(|| unknown(wanted))?;
    let mut path = Vec::new();
    for word in wanted.split_whitespace() {
        let names: Vec<_> = command
            .get_subcommands()
            .map(clap::Command::get_name)
            .filter(|name| !["ci", "help"].contains(name))
            .collect();
        if !names.contains(&word) {
            let error = unknown(word);
            let hint = instead(word).or_else(|| did_you_mean(word, names.iter().copied()));
            return Err(error
                .hint(hint.unwrap_or_else(|| Hint::note(format!("The commands are {}", names.join(", "))))));
        }
        command = command.find_subcommand(word).ok_or_else(|| unknown(word))?;
        path.push(word.to_owned());
    }
    Ok((path, command.clone()))
}

/// The hint for names that are inputs of another command.
fn instead(word: &str) -> Option<Hint> {
    let means = |text: &str| Some(Hint::note(format!("Write `command: rollout` and {text}")));
    match word {
        "plan" => means("`plan: true`"),
        "promote" | "promotion" => means("`promote-from`"),
        "rollback" => means("`git-sha`"),
        "deploy" => Some(Hint::note("Write `command: rollout`")),
        _ => None,
    }
}

/// The words of an input's flag; none where the input is not given.
fn flag(
    command: &clap::Command,
    verb: &str,
    name: &str,
    inputs: &Inputs,
) -> Result<Vec<String>, CommandError> {
    let is_there = || if has_flag(command, name) { Ok(()) } else { Err(does_not_apply(command, verb, name)) };
    match name {
        "allow-partial" | "allow-rollback" | "plan" => match inputs.flag(name)? {
            Some(true) => is_there().map(|()| vec![format!("--{name}")]),
            Some(false) | None => Ok(Vec::new()),
        },
        // The value is joined with `=`, so that it is not parsed as another flag.
        "component" => {
            let names = inputs.lines(name).flat_map(|line| line.split(',')).map(str::trim);
            let names: Vec<_> = names.filter(|name| !name.is_empty()).collect();
            if names.is_empty() { Ok(Vec::new()) } else { is_there().map(|()| joined(name, names)) }
        }
        "context" if inputs.get(name).is_some() => is_there().map(|()| joined(name, inputs.lines(name))),
        _ => match inputs.get(name) {
            Some(value) => is_there().map(|()| joined(name, [value])),
            None => Ok(Vec::new()),
        },
    }
}

fn joined<'v>(name: &str, values: impl IntoIterator<Item = &'v str>) -> Vec<String> {
    values.into_iter().map(|value| format!("--{name}={value}")).collect()
}

fn has_flag(command: &clap::Command, name: &str) -> bool {
    command.get_arguments().any(|argument| argument.get_long() == Some(name))
}

fn does_not_apply(command: &clap::Command, verb: &str, name: &str) -> CommandError {
    let mut applying: Vec<_> = FLAGS.into_iter().filter(|name| has_flag(command, name)).collect();
    if command.get_positionals().any(|argument| argument.get_id() == "deployment") {
        applying.insert(0, "deployment");
    }
    if REPORTING.contains(&verb) {
        applying.extend(REPORTS);
    }
    let error = CommandError::usage(format!("input `{name}` does not apply to command `{verb}`"));
    if applying.is_empty() {
        return error;
    }
    let other = format!("other flags of `{verb}` go to `args`");
    error.hint(Hint::note(format!("Those that do are {}; {other}", applying.join(", "))))
}

#[cfg(test)]
mod tests;
