//! Usage errors that name the job's inputs instead of the command-line options they became.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::inputs::NAMES;
use crate::error::CommandError;

/// The parser's error with inputs instead of flags.
pub(super) fn in_terms_of_inputs(error: &clap::Error) -> CommandError {
    let said = || crate::cli::usage::described(&error.render().to_string());
    let value = || match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) => value.as_str(),
        _ => "",
    };
    match (error.kind(), arguments(error, ContextKind::InvalidArg).as_slice()) {
        (ErrorKind::MissingRequiredArgument, missing) => {
            let names: Vec<_> = missing.iter().map(|argument| named(argument)).collect();
            let verb = if names.len() == 1 { "is" } else { "are" };
            CommandError::usage(format!("{} {verb} missing", names.join(" and ")))
        }
        (ErrorKind::ValueValidation | ErrorKind::InvalidValue, [argument, ..]) if is_input(argument) => {
            let reason =
                std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
            CommandError::usage(format!("{}: `{}` is not valid{reason}", named(argument), value()))
        }
        (ErrorKind::ArgumentConflict, [argument, ..]) => {
            let others: Vec<_> =
                arguments(error, ContextKind::PriorArg).iter().map(|other| named(other)).collect();
            if others.contains(&named(argument)) {
                return CommandError::usage(format!(
                    "{} and input `args` say the same twice",
                    named(argument)
                ));
            }
            CommandError::usage(format!("{} cannot be used with {}", named(argument), others.join(" and ")))
        }
        _ => {
            let CommandError::Shown(shown) = said() else { return said() };
            let message = format!("input `args`: {}", shown.message);
            CommandError::from(*shown).message(message)
        }
    }
}

/// The arguments of an error, as the parser writes them: `--target <TARGET>`, `<DEPLOYMENT>`.
fn arguments(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(argument)) => vec![argument.clone()],
        Some(ContextValue::Strings(arguments)) => arguments.clone(),
        _ => Vec::new(),
    }
}

/// The name of an argument's input, if it is one.
fn input(argument: &str) -> Option<&'static str> {
    let name = match argument.strip_prefix("--") {
        Some(flag) => flag.split([' ', '=']).next().unwrap_or_default().to_owned(),
        None => argument.trim_matches(['<', '>', '[', ']']).to_ascii_lowercase(),
    };
    NAMES.into_iter().find(|known| *known == name)
}

fn is_input(argument: &str) -> bool {
    input(argument).is_some()
}

fn named(argument: &str) -> String {
    match input(argument) {
        Some(name) => format!("input `{name}`"),
        None => format!("`{argument}` (input `args`)"),
    }
}
