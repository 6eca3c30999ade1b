//! Flags that every command takes.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;

use crate::render::document::Format;
use crate::render::stream::ColorChoice;
use crate::text::quoted;

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
    /// These flags, with those of `outer` as defaults. The directory is not merged: the caller of a
    /// nested command sets it.
    #[must_use]
    pub fn below(self, outer: &Self) -> Self {
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

    /// The options that locate a command's project, each preceded by a space; empty where there are
    /// none.
    pub fn locating(&self) -> String {
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

    /// The format of a document, where one was requested.
    pub fn document_format(&self) -> Option<Format> {
        Some(self.format).filter(|format| *format != Format::Table)
    }
}

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Table, Self::Json, Self::Yaml, Self::CyclonedxJson, Self::SpdxJson]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::Table => ("table", "For people: aligned on a terminal, tab-separated in a pipe"),
            Self::Json => ("json", "One JSON document"),
            Self::Yaml => ("yaml", "One YAML document"),
            Self::CyclonedxJson => ("cyclonedx-json", "CycloneDX, as JSON"),
            Self::SpdxJson => ("spdx-json", "SPDX, as JSON"),
        };
        Some(PossibleValue::new(name).help(help))
    }
}

/// The formats that every command knows.
fn format() -> impl TypedValueParser<Value = Format> {
    formats(&[Format::Table, Format::Json, Format::Yaml])
}

/// The formats of every command, and those of an SBOM.
pub fn any_format() -> impl TypedValueParser<Value = Format> {
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

/// Parses a variable that switches something on. An empty one counts as absent.
fn switch(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "1" | "t" | "true" | "y" | "yes" | "on" => Ok(true),
        "" | "0" | "f" | "false" | "n" | "no" | "off" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

fn time_zone(text: &str) -> Result<TimeZone, String> {
    if text.eq_ignore_ascii_case("utc") {
        // UTC needs no lookup in the system's time zone database, which takes as long as the rest
        // of a short command.
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
