//! Errors of a command line, in the form of every other error.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::ValueEnum;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::{CommandError, exit};
use crate::render::document::Format;
use crate::render::document::error::Hint;
use crate::render::stream::{ColorChoice, Streams};
use crate::text::LEFT_OUT;

/// Shows the error of a command line, or the requested help.
pub(super) fn report(
    error: &clap::Error,
    arguments: &[OsString],
    environment: &[(OsString, OsString)],
) -> ExitCode {
    let streams = Streams::system(ColorChoice::Auto, false);
    let text = || error.render().ansi().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A closed pipe (`--help | head`) is not a failure.
            let _ = streams.data(&text());
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            streams.warn(&text());
            ExitCode::from(exit::USAGE)
        }
        _ => {
            let mut text = error.render().to_string();
            if let Some((flag, variable)) = variable_of(error, arguments, environment) {
                text = text.replacen(&format!("'{flag}'"), &variable, 1);
            }
            described(&text).report(&streams, wanted_format(arguments, environment))
        }
    }
}

/// The flag with the invalid value, and the environment variable that it comes from, unless an
/// argument has this value.
fn variable_of(
    error: &clap::Error,
    arguments: &[OsString],
    environment: &[(OsString, OsString)],
) -> Option<(String, String)> {
    let text = |kind| match error.get(kind)? {
        ContextValue::String(text) => Some(text.as_str()),
        _ => None,
    };
    let (flag, value) = (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?);
    let is_given = |argument: &OsString| argument.to_str().is_some_and(|argument| argument.ends_with(value));
    if !value.is_empty() && arguments.iter().any(is_given) {
        return None;
    }
    let whole = super::whole_command();
    let mut commands = vec![&whole];
    while let Some(command) = commands.pop() {
        let found = command.get_arguments().filter(|argument| argument.to_string() == flag);
        let variable = found.filter_map(clap::Arg::get_env).find(|variable| {
            environment.iter().any(|(name, set)| name.as_os_str() == *variable && set == value)
        });
        if let Some(variable) = variable {
            return Some((flag.to_owned(), variable.to_string_lossy().into_owned()));
        }
        commands.extend(command.get_subcommands());
    }
    None
}

/// Converts the parser's text to an error: the message after `error:`, tips as hints, and the usage
/// as details.
pub(super) fn described(text: &str) -> CommandError {
    let text = without_values(text);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let message = lines.next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(message).trim_end_matches(':');
    lines.fold(CommandError::usage(message), |error, line| match line.trim().strip_prefix("tip: ") {
        Some(tip) => error.hint(Hint::note(tip)),
        None if line.starts_with("For more information") => error.hint(Hint::note(line)),
        None => error.details([line.to_owned()]),
    })
}

/// The parser's text without the invalid value of an override or of metadata, which may be secret.
fn without_values(text: &str) -> Cow<'_, str> {
    const LONGEST_KEY: usize = 80;
    let pair = ["context", "metadata"].iter().find_map(|option| {
        let (start, rest) = text.split_once("invalid value '")?;
        let (pair, rest) = rest.split_once(&format!("' for '--{option} <"))?;
        Some((start, pair, format!("for '--{option} <{rest}")))
    });
    let Some((start, pair, rest)) = pair else { return Cow::Borrowed(text) };
    let key: String = pair.split_once('=').map_or("", |(key, _)| key).chars().take(LONGEST_KEY).collect();
    Cow::Owned(format!("{start}invalid value '{key}={LEFT_OUT}' {rest}"))
}

/// The requested format, as far as it can be read from an invalid command line.
fn wanted_format(arguments: &[OsString], environment: &[(OsString, OsString)]) -> Option<Format> {
    let texts: Vec<_> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let flag = texts.iter().enumerate().find_map(|(at, text)| match *text {
        "--format" => texts.get(at + 1).copied(),
        text => text.strip_prefix("--format="),
    });
    let variable = || {
        let (_, value) = environment.iter().find(|(name, _)| name == OsStr::new("ATMOS_FORMAT"))?;
        value.to_str()
    };
    Format::from_str(flag.or_else(variable)?, true).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_may_be_secret_is_not_repeated() {
        for (words, expected) in [
            ("--context db..password=hunter2", "'db..password=…' for '--context <KEY=VALUE>'"),
            ("--context hunter2", "'=…' for '--context <KEY=VALUE>'"),
            ("--metadata hunter2\nhunter2", "'=…' for '--metadata <KEY=VALUE>'"),
        ] {
            let line = ["atmos", "deployment", "rollout", "api"].into_iter().chain(words.splitn(2, ' '));
            let line: Vec<_> = line.map(OsString::from).collect();
            let error = crate::cli::parse(&line).unwrap_err();
            let error = described(&error.render().to_string());
            let text = crate::render::error::text(error.shown().unwrap());
            assert!(text.contains(expected) && !text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn the_format_is_known_even_where_the_rest_is_not() {
        let wanted = |words: &[&str], variable: &str| {
            let arguments: Vec<_> = words.iter().map(OsString::from).collect();
            wanted_format(&arguments, &[("ATMOS_FORMAT".into(), variable.into())])
        };
        assert_eq!(wanted(&["atmos", "--format", "json", "x"], ""), Some(Format::Json));
        assert_eq!(wanted(&["atmos", "x", "--format=yaml"], "json"), Some(Format::Yaml));
        assert_eq!(wanted(&["atmos", "x"], "json"), Some(Format::Json));
        assert_eq!(wanted(&["atmos", "--format"], "nothing"), None);
    }
}
