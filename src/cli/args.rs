//! Flags that every command takes, and values that several parse.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;

use crate::render::stream::ColorChoice;

use crate::text::{LEFT_OUT, quoted};

/// Flags of every command. A flag beats its `ATMOS_*` variable, which beats `atmos.yaml`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Run as if started in this directory
    #[arg(short = 'C', long, global = true, env = "ATMOS_CHDIR", value_name = "DIRECTORY")]
    pub chdir: Option<PathBuf>,
    /// The base path of components, stacks and deployments, instead of the one in atmos.yaml
    #[arg(long, global = true, env = "ATMOS_BASE_PATH", value_name = "DIRECTORY")]
    pub base_path: Option<String>,
    /// The atmos.yaml to use, instead of the nearest one upwards
    #[arg(long, global = true, env = "ATMOS_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How data is printed
    #[arg(short, long, global = true, env = "ATMOS_FORMAT", value_parser = format(), default_value = "table", value_name = "FORMAT")]
    pub format: Format,
    /// Print data and errors only
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print what components print, as it comes
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// When to use colours; `NO_COLOR` and `FORCE_COLOR` are honoured
    #[arg(long, global = true, env = "ATMOS_COLOR", value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
    /// What to log to stderr: off, error, warn, info, debug, trace
    #[arg(long, global = true, env = "ATMOS_LOGS_LEVEL", default_value = "off", value_name = "LEVEL")]
    pub logs_level: LogsLevel,
    /// Never use the network; answer from what is here
    #[arg(long, global = true, env = "ATMOS_OFFLINE", value_parser = switch)]
    pub offline: bool,
    /// The time zone of exact times
    #[arg(long, global = true, env = "ATMOS_TIMEZONE", default_value = "UTC", value_parser = time_zone, value_name = "ZONE")]
    pub timezone: TimeZone,
}

impl GlobalArgs {
    /// These flags, and those of `outer` where these do not say otherwise. The directory is not among them: whoever runs
    /// a command within another one knows where.
    #[must_use]
    pub(super) fn below(self, outer: &Self) -> Self {
        Self {
            chdir: None,
            base_path: self.base_path.or_else(|| outer.base_path.clone()),
            config: self.config.or_else(|| outer.config.clone()),
            format: if self.format == Format::default() { outer.format } else { self.format },
            quiet: self.quiet || outer.quiet,
            verbose: self.verbose || outer.verbose,
            color: if self.color == Color::default() { outer.color } else { self.color },
            // Logging has begun.
            logs_level: outer.logs_level,
            offline: self.offline || outer.offline,
            timezone: if self.timezone == TimeZone::UTC { outer.timezone.clone() } else { self.timezone },
        }
    }

    /// The options that say which project a command is about, each in front of a space; empty where
    /// there are none.
    pub(super) fn locating(&self) -> String {
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        [
            ("-C", self.chdir.as_ref().map(path)),
            ("--base-path", self.base_path.clone()),
            ("--config", self.config.as_ref().map(path)),
        ]
        .into_iter()
        .filter_map(|(option, value)| Some(format!(" {option} {}", quoted(&value?))))
        .collect()
    }

    /// The format of a document, where one was asked for.
    pub(super) fn document_format(&self) -> Option<Format> {
        Some(self.format).filter(|format| *format != Format::Table)
    }
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people: aligned on a terminal, tab-separated in a pipe
    #[default]
    Table,
    /// One JSON document
    Json,
    /// One YAML document
    Yaml,
    /// CycloneDX, as JSON
    CyclonedxJson,
    /// SPDX, as JSON
    SpdxJson,
}

/// The formats that every command knows.
fn format() -> impl TypedValueParser<Value = Format> {
    formats(&[Format::Table, Format::Json, Format::Yaml])
}

/// Those, and the formats of an SBOM.
pub(super) fn any_format() -> impl TypedValueParser<Value = Format> {
    formats(Format::value_variants())
}

fn formats(known: &'static [Format]) -> impl TypedValueParser<Value = Format> {
    let names = PossibleValuesParser::new(known.iter().filter_map(Format::to_possible_value));
    names.map(|name| Format::from_str(&name, false).unwrap_or_default())
}

/// When colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

impl From<Color> for ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

/// What is logged to stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogsLevel {
    Off,
    Error,
    #[value(alias = "warning")]
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<LogsLevel> for tracing_subscriber::filter::LevelFilter {
    fn from(level: LogsLevel) -> Self {
        match level {
            LogsLevel::Off => Self::OFF,
            LogsLevel::Error => Self::ERROR,
            LogsLevel::Warn => Self::WARN,
            LogsLevel::Info => Self::INFO,
            LogsLevel::Debug => Self::DEBUG,
            LogsLevel::Trace => Self::TRACE,
        }
    }
}

/// Reads a variable that switches something on. An empty one counts as absent.
fn switch(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "1" | "t" | "true" | "y" | "yes" | "on" => Ok(true),
        "" | "0" | "f" | "false" | "n" | "no" | "off" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

fn time_zone(text: &str) -> Result<TimeZone, String> {
    if text.eq_ignore_ascii_case("utc") {
        // Without a look at the system's database of zones, which takes as long as the rest of a short command.
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(text).map_err(|error| error.to_string())
}

/// `key=value`, as `--context`, `--metadata` and `--label` take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    pub key: String,
    pub value: String,
}

impl std::str::FromStr for KeyValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((_, LEFT_OUT)) => {
                Err(format!("{LEFT_OUT} stands for a value that hints leave out: fill it in"))
            }
            Some((key, value)) if !key.trim().is_empty() => {
                Ok(Self { key: key.trim().to_owned(), value: value.to_owned() })
            }
            _ => Err("expected key=value".to_owned()),
        }
    }
}

/// The deepest key of an override: deeper values would be nested further than they can be walked
/// through.
const DEEPEST: usize = 64;

/// An override of the context: `key=value`, with dots in the key between the names of nested
/// values.
pub fn context_override(text: &str) -> Result<KeyValue, String> {
    let pair: KeyValue = text.parse()?;
    let mut depth = 0;
    for name in pair.key.split('.') {
        depth += 1;
        if name.trim().is_empty() {
            return Err("a dot of its key has no name on both sides".to_owned());
        }
    }
    if depth > DEEPEST {
        return Err(format!("its key is nested {depth} deep; {DEEPEST} is the most"));
    }
    Ok(pair)
}

/// A text that says something. A variable that is not set must not pass for one.
pub fn not_blank(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it is empty; is a variable not set?".to_owned());
    }
    Ok(text.to_owned())
}

/// The longest duration that is taken, in days: some hundred years.
const LONGEST: i64 = 36_525;

/// A duration as people write one: `30s`, `10m`, `2h`, `1d`.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    let parsed: jiff::SignedDuration = match text.parse() {
        Ok(parsed) => parsed,
        // A day has no fixed length in a calendar; for a lock or a time-out it has 24 hours.
        Err(_) => match text.strip_suffix('d').and_then(|days| days.parse::<i64>().ok()) {
            Some(days) => jiff::SignedDuration::from_hours(days.clamp(-LONGEST - 1, LONGEST + 1) * 24),
            None => return Err("expected a duration such as 30s, 10m, 2h or 1d".to_owned()),
        },
    };
    // What adds it to a time must not run over.
    if parsed > jiff::SignedDuration::from_hours(LONGEST * 24) {
        return Err(format!("it is longer than {LONGEST} days"));
    }
    std::time::Duration::try_from(parsed).map_err(|_| "a duration cannot be negative".to_owned())
}

/// Reads a duration that is longer than nothing.
pub fn positive_duration(text: &str) -> Result<std::time::Duration, String> {
    duration(text).and_then(|length| {
        if length.is_zero() { Err("it would be over at once".to_owned()) } else { Ok(length) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_an_end() {
        let day = 24 * 60 * 60;
        for (text, seconds) in
            [("30s", Some(30)), ("1d", Some(day)), ("36525d", Some(36_525 * day)), ("36526d", None)]
        {
            assert_eq!(duration(text).ok().map(|length| length.as_secs()), seconds, "{text}");
        }
        for text in ["9999999999999999d", "9223372036854775807s", "153722867280912930m", "-9999999999999999d"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_part_of_an_override_has_a_name_and_there_are_not_too_many() {
        for text in [".=x", "a..b=x", ".a=x", "a.=x", "a. .b=x", &format!("{}z=1", "a.".repeat(4000)), "a=…"]
        {
            assert!(context_override(text).is_err(), "{text}");
        }
        for text in ["a=", "image.tag=1.2", &format!("{}z=1", "a.".repeat(63))] {
            assert!(context_override(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_lock_lasts() {
        assert!(positive_duration("0s").is_err());
        assert_eq!(positive_duration("1s").unwrap().as_secs(), 1);
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(duration("90s").unwrap().as_secs(), 90);
        assert_eq!(duration("1h30m").unwrap().as_secs(), 5400);
        assert_eq!(duration("2d").unwrap().as_secs(), 48 * 3600);
        assert!(duration("soon").is_err());
        assert!(duration("-5m").is_err());
    }

    #[test]
    fn a_switch_is_on_or_off_or_refused() {
        for on in ["1", "true", "TRUE", "yes", "on"] {
            assert_eq!(switch(on), Ok(true), "{on}");
        }
        for off in ["", "0", "false", "No", "off"] {
            assert_eq!(switch(off), Ok(false), "{off}");
        }
        assert!(switch("maybe").is_err());
    }

    #[test]
    fn a_value_may_hold_an_equals_sign() {
        let pair: KeyValue = "query=a=b".parse().unwrap();
        assert_eq!((pair.key.as_str(), pair.value.as_str()), ("query", "a=b"));
        assert!("=x".parse::<KeyValue>().is_err());
    }
}
