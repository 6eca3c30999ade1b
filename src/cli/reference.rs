//! `docs/command-line.md`, written from the command line's definition: `UPDATE_DOCS=1
//! cargo test command_line_reference`.

use std::fmt::{self, Write};
use std::path::Path;

use clap::{Arg, Command, Id};

const HEAD: &str = "# Command line

This page is written from the program's own definition. `UPDATE_DOCS=1 cargo test command_line_reference` writes it anew;
`cargo test` fails while it is out of date.

The verbs can also be called as `atmos-deployment <verb>`, if the binary is given that name. Data goes to stdout; progress,
warnings and hints go to stderr. A flag beats its environment variable, which beats `atmos.yaml`, which beats the default.

";

/// Renders the whole page.
fn page(root: &Command) -> Result<String, fmt::Error> {
    let mut page = HEAD.to_owned();
    let commands = leaves(root);
    for command in &commands {
        let name = command.get_bin_name().unwrap_or_default();
        writeln!(page, "- [`{name}`](#{})", name.replace(' ', "-"))?;
    }
    writeln!(page, "\n## Flags of every command\n")?;
    let of_every_command: Vec<_> = root.get_arguments().map(Arg::get_id).collect();
    for argument in root.get_arguments() {
        describe(argument, &mut page)?;
    }
    for command in commands {
        section(command, &of_every_command, &mut page)?;
    }
    Ok(page)
}

/// The commands that can be called, in the order of the help. A command with subcommands is
/// included only where it can be called without one.
fn leaves(command: &Command) -> Vec<&Command> {
    let children = command.get_subcommands().filter(|child| child.get_name() != "help");
    let own = !command.has_subcommands() || (!command.is_subcommand_required_set() && is_verb(command));
    own.then_some(command).into_iter().chain(children.flat_map(leaves)).collect()
}

/// Whether a command is below the root.
fn is_verb(command: &Command) -> bool {
    command.get_bin_name().is_some_and(|name| name.contains(' '))
}

fn section(command: &Command, of_every_command: &[&Id], page: &mut String) -> fmt::Result {
    writeln!(page, "\n## {}\n", command.get_bin_name().unwrap_or_default())?;
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let paragraphs: Vec<_> = about.split("\n\n").map(sentence).collect();
    writeln!(page, "{}\n", paragraphs.join("\n\n"))?;
    let usage = command.clone().render_usage().to_string();
    writeln!(page, "```\n{}\n```", usage.trim_start_matches("Usage: ").replace("\n       ", "\n"))?;
    let is_own = |argument: &&Arg| !argument.is_hide_set() && !of_every_command.contains(&argument.get_id());
    let (positional, flags): (Vec<_>, Vec<_>) =
        command.get_arguments().filter(is_own).partition(|argument| argument.is_positional());
    for (index, argument) in positional.into_iter().chain(flags).enumerate() {
        if index == 0 {
            page.push('\n');
        }
        describe(argument, page)?;
    }
    if let Some(examples) = command.get_after_help().map(ToString::to_string) {
        let examples: Vec<_> = examples.lines().map(str::trim).filter(|line| *line != "Examples:").collect();
        writeln!(page, "\n```sh\n{}\n```", examples.join("\n"))?;
    }
    Ok(())
}

/// Whether an argument is `--help` or `--version`.
fn is_of_every_command(argument: &Arg) -> bool {
    matches!(argument.get_id().as_str(), "help" | "version")
}

/// Writes the list item of an argument: its notation and its description.
fn describe(argument: &Arg, page: &mut String) -> fmt::Result {
    if is_of_every_command(argument) {
        return Ok(());
    }
    let values: Vec<_> =
        argument.get_value_names().unwrap_or_default().iter().map(|name| format!("<{name}>")).collect();
    let takes_value = argument.get_action().takes_values();
    let mut written: Vec<String> =
        argument.get_short().map(|short| format!("-{short}")).into_iter().collect();
    written.extend(argument.get_long().map(|long| format!("--{long}")));
    let mut form = written.join(", ");
    if takes_value {
        if !form.is_empty() {
            form.push(' ');
        }
        form.push_str(&values.join(" "));
    }
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    write!(page, "- `{form}`: {}", sentence(&help.replace('\n', " ")))?;
    if let Some(aliases) = argument.get_visible_aliases().filter(|aliases| !aliases.is_empty()) {
        write!(page, " Also `--{}`.", aliases.join("`, `--"))?;
    }
    let choices: Vec<_> = argument
        .get_possible_values()
        .iter()
        .filter(|value| takes_value && !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !choices.is_empty() {
        write!(page, " One of {}.", choices.join(", "))?;
    }
    if let Some(default) = argument.get_default_values().first().filter(|_| takes_value) {
        write!(page, " Default: `{}`.", default.to_string_lossy())?;
    }
    if let Some(variable) = argument.get_env() {
        write!(page, " Environment: `{}`.", variable.to_string_lossy())?;
    }
    writeln!(page)
}

/// The text with the full stop that help texts omit.
fn sentence(text: &str) -> String {
    if text.ends_with(['.', '…']) { text.to_owned() } else { format!("{text}.") }
}

#[test]
fn the_command_line_reference_is_current() {
    let generated = page(&super::whole_command()).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/command-line.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let published = std::fs::read_to_string(path).unwrap_or_default();
    assert!(published == generated, "the command line has changed; run the tests with UPDATE_DOCS=1");
}
