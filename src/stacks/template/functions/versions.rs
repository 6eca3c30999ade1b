//! Semantic versions and constraints, by the rules of Masterminds' library: a leading `v` and
//! missing numbers are accepted, and a prerelease satisfies only constraints that name one.

use std::cmp::Ordering;

use semver::{BuildMetadata, Prerelease};
use serde_json::{Value as Json, json};

use super::super::print::with_text;
use super::{Outcome, exactly, text_of};

pub(super) fn call(name: &str, arguments: &[Json]) -> Option<Outcome> {
    Some(match name {
        "semver" | "semver.Semver" => exactly(arguments).and_then(|[text]| {
            let text = text_of(text)?;
            let (version, metadata) = read(text)?;
            let printed =
                if metadata.is_empty() { version.to_string() } else { format!("{version}+{metadata}") };
            let fields = json!({
                "Major": version.major, "Minor": version.minor, "Patch": version.patch,
                "Prerelease": version.pre.as_str(), "Metadata": metadata, "Original": text,
            });
            Ok(with_text(fields, &printed))
        }),
        "semverCompare" | "semver.CheckConstraint" => exactly(arguments).and_then(|[constraint, version]| {
            let (version, _) = read(text_of(version)?)?;
            Ok(satisfies(&version, text_of(constraint)?)?.into())
        }),
        _ => return None,
    })
}

/// Parses a version and its build metadata after `+`, which comparisons ignore.
fn read(text: &str) -> Result<(semver::Version, String), String> {
    let refuse = || format!("reads no version in `{text}`");
    let rest = text.strip_prefix('v').unwrap_or(text);
    let (rest, metadata) = rest.split_once('+').map_or((rest, None), |(rest, after)| (rest, Some(after)));
    let (numbers, pre) = rest.split_once('-').map_or((rest, None), |(rest, pre)| (rest, Some(pre)));
    let mut read = [0; 3];
    let parts: Vec<&str> = numbers.split('.').collect();
    if parts.len() > read.len() || pre == Some("") || metadata == Some("") {
        return Err(refuse());
    }
    for (number, part) in read.iter_mut().zip(parts) {
        let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
        *number = part.parse().ok().filter(|_| is_number).ok_or_else(refuse)?;
    }
    let metadata = metadata.unwrap_or_default();
    BuildMetadata::new(metadata).map_err(|_| refuse())?;
    let pre = Prerelease::new(pre.unwrap_or_default()).map_err(|_| refuse())?;
    let [major, minor, patch] = read;
    Ok((semver::Version { major, minor, patch, pre, build: BuildMetadata::EMPTY }, metadata.to_owned()))
}

/// A comparator of a constraint: an operator and a version whose trailing numbers may be omitted.
struct Comparator<'t> {
    operator: &'t str,
    version: semver::Version,
    /// The number of leading version numbers, of three, that are written.
    numbers: usize,
}

fn satisfies(version: &semver::Version, constraint: &str) -> Result<bool, String> {
    let mut satisfied = false;
    for alternative in constraint.split("||") {
        let comparators = comparators(alternative, constraint)?;
        let names_prerelease = comparators.iter().any(|comparator| !comparator.version.pre.is_empty());
        let may_match = version.pre.is_empty() || names_prerelease;
        satisfied |= may_match && comparators.iter().all(|comparator| comparator.accepts(version));
    }
    Ok(satisfied)
}

fn comparators<'t>(alternative: &'t str, constraint: &str) -> Result<Vec<Comparator<'t>>, String> {
    let refuse = || format!("reads no constraint in `{constraint}`");
    let mut comparators: Vec<Comparator<'t>> = Vec::new();
    let mut rest = alternative.trim();
    loop {
        let is_range =
            rest.strip_prefix("- ").filter(|_| comparators.last().is_some_and(|one| one.operator.is_empty()));
        if let Some(after) = is_range {
            rest = after.trim_start();
        }
        let (operator, after) = split_at_first(rest, |letter| !"=!<>~^".contains(letter));
        let is_known =
            matches!(operator, "" | "=" | "!=" | ">" | "<" | ">=" | "=>" | "<=" | "=<" | "~" | "~>" | "^");
        let is_version = |letter: char| letter.is_ascii_alphanumeric() || ".*+-".contains(letter);
        let (version, after) = split_at_first(after.trim_start(), |letter| !is_version(letter));
        let separated =
            after.is_empty() || after.starts_with(|next: char| next == ',' || next.is_whitespace());
        if !is_known || version.is_empty() || !separated {
            return Err(refuse());
        }
        let mut comparator = Comparator::read(operator, version).ok_or_else(refuse)?;
        if is_range.is_some() {
            if let Some(first) = comparators.last_mut() {
                first.operator = ">=";
            }
            comparator.operator = "<=";
        }
        comparators.push(comparator);
        rest = after.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        if rest.is_empty() {
            return Ok(comparators);
        }
    }
}

fn split_at_first(text: &str, is_end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(is_end).unwrap_or(text.len()))
}

impl<'t> Comparator<'t> {
    fn read(operator: &'t str, text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (core, _) = split_at_first(text, |letter| "-+".contains(letter));
        let written: Vec<&str> = core.split('.').collect();
        let numbers = written.iter().take_while(|part| !matches!(**part, "x" | "X" | "*")).count();
        if written.len() > 3 {
            return None;
        }
        let known = written[..numbers].iter().copied().chain(std::iter::repeat("0")).take(3);
        let version = known.collect::<Vec<_>>().join(".") + &text[core.len()..];
        read(&version).ok().map(|(version, _)| Self { operator, version, numbers: numbers.min(3) })
    }

    /// Whether the version has the written numbers, up to the first one that is omitted.
    fn has_written_numbers(&self, version: &semver::Version, at_most: usize) -> bool {
        let pairs = [
            (version.major, self.version.major),
            (version.minor, self.version.minor),
            (version.patch, self.version.patch),
        ];
        pairs.iter().take(self.numbers.min(at_most)).all(|(one, other)| one == other)
    }

    fn accepts(&self, version: &semver::Version) -> bool {
        let order = version.cmp(&self.version);
        let is_open = matches!(self.numbers, 1 | 2);
        match self.operator {
            "!=" if is_open => !self.has_written_numbers(version, 2),
            "!=" => order != Ordering::Equal,
            ">" if is_open => order == Ordering::Greater && !self.has_written_numbers(version, 2),
            ">" => order == Ordering::Greater,
            "<" => order == Ordering::Less,
            ">=" | "=>" => order != Ordering::Less,
            "<=" | "=<" => order != Ordering::Greater || (is_open && self.has_written_numbers(version, 2)),
            "^" => order != Ordering::Less && self.is_compatible(version),
            "~" | "~>" => self.is_close(version),
            _ if self.numbers < 3 => self.is_close(version),
            _ => order == Ordering::Equal,
        }
    }

    /// `~`: the same minor version, if one is written.
    fn is_close(&self, version: &semver::Version) -> bool {
        let is_at_least = version.cmp(&self.version) != Ordering::Less;
        // `~0.0.0` accepts every version, as upstream does, and so does `*`.
        let is_zero = (self.version.major, self.version.minor, self.version.patch) == (0, 0, 0);
        let is_anything = is_zero && matches!(self.numbers, 0 | 3);
        is_at_least && (is_anything || self.has_written_numbers(version, 2))
    }

    /// `^`: the leftmost nonzero number stays.
    fn is_compatible(&self, version: &semver::Version) -> bool {
        let own = &self.version;
        match self.numbers {
            _ if own.major > 0 || self.numbers == 1 => version.major == own.major,
            2 => self.has_written_numbers(version, 2),
            _ if own.minor > 0 => (version.major, version.minor) == (0, own.minor),
            _ => (version.major, version.minor, version.patch) == (0, 0, own.patch),
        }
    }
}
