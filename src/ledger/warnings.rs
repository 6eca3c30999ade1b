//! Warnings about errors that are not fatal: few lines, even if many refs have the same fault.

use std::collections::{BTreeMap, HashSet};

/// The number of warnings of one cause that are printed in full.
const SHOWN: usize = 5;

/// A cause that many refs can have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// A ref that cannot be parsed.
    Ref,
    /// A record that cannot be read.
    Record,
    /// A state without a record.
    Unrecorded,
}

impl Cause {
    /// The noun for the warnings that are left out.
    const fn as_words(self) -> &'static str {
        match self {
            Self::Ref => "refs that are skipped",
            Self::Record => "records that are skipped",
            Self::Unrecorded => "states without a record",
        }
    }
}

/// Warnings, each once.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    told: Vec<String>,
    known: HashSet<String>,
    of: BTreeMap<Cause, usize>,
}

impl Warnings {
    /// Adds a warning, unless it is known.
    pub(super) fn add(&mut self, warning: String) {
        if self.known.insert(warning.clone()) {
            self.told.push(warning);
        }
    }

    /// Adds a warning of which there may be thousands.
    pub(super) fn add_of(&mut self, cause: Cause, warning: String) {
        if !self.known.insert(warning.clone()) {
            return;
        }
        let count = self.of.entry(cause).or_default();
        *count += 1;
        if *count <= SHOWN {
            self.told.push(warning);
        }
    }

    /// All warnings, with the number of those that are left out.
    pub(super) fn into_lines(self) -> Vec<String> {
        let left_out = self.of.into_iter().filter(|(_, count)| *count > SHOWN);
        let left_out = left_out.map(|(cause, count)| format!("{} more {}", count - SHOWN, cause.as_words()));
        self.told.into_iter().chain(left_out).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_of_one_cause_are_a_few_lines() {
        let mut warnings = Warnings::default();
        warnings.add("once".to_owned());
        for number in [0, 1].into_iter().chain(0..10_000) {
            warnings.add_of(Cause::Ref, format!("ref {number}"));
        }
        warnings.add("once".to_owned());
        warnings.add_of(Cause::Record, "record".to_owned());
        let lines = warnings.into_lines();
        assert_eq!(lines[..2], ["once", "ref 0"]);
        assert_eq!(lines.len(), 1 + SHOWN + 1 + 1);
        assert!(lines.last().unwrap().starts_with("9995 more refs that are skipped"), "{lines:?}");
    }
}
