//! How much stacks may ask for, so that no manifest costs more time or memory than it is worth.
//!
//! Each limit is here and in `docs/stacks.md`; those of templates and queries are beside what they
//! limit.

use std::fmt::Display;

use super::error::StackError;
use super::value::Location;

/// How large one file may be.
pub(super) const FILE_BYTES: usize = 4 << 20;
/// How deep values may be nested.
pub(super) const VALUE_DEPTH: usize = 100;
/// How many values a file may stand for when all its aliases are written out, and how many all that
/// a component includes.
pub(super) const VALUES: usize = 1_000_000;
/// How many files may import each other in a row.
pub(super) const IMPORT_DEPTH: usize = 50;
/// How many files one file may import, and how many times a stack may import files whose meaning
/// depends on who imports them.
pub(super) const IMPORTS: usize = 10_000;
/// How deep included files may include others.
pub(super) const INCLUDE_DEPTH: usize = 8;
/// How many files a component may include, counting each time.
pub(super) const INCLUDES: usize = 10_000;
/// How many bytes the files have that a component includes, counting each time.
pub(super) const INCLUDED_BYTES: usize = 64 << 20;
/// How many components may inherit from each other in a row.
pub(super) const INHERITANCE_DEPTH: usize = 50;
/// How many bases a component may have, those that are reached twice counted twice.
pub(super) const BASES: usize = 1000;

/// What the files that a component includes have cost so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Included {
    files: usize,
    bytes: usize,
    values: usize,
}

impl Included {
    /// Counts a file.
    ///
    /// # Errors
    ///
    /// [`StackError::Limit`] where it is one too many.
    pub(super) fn file(&mut self, bytes: usize, at: &Location) -> Result<(), StackError> {
        self.files += 1;
        self.bytes += bytes;
        if self.files > INCLUDES {
            return Err(limit(at, format!("more than {INCLUDES} files are included"), INCLUDE_LESS));
        }
        if self.bytes > INCLUDED_BYTES {
            let megabytes = INCLUDED_BYTES >> 20;
            return Err(limit(at, format!("more than {megabytes} MiB are included"), INCLUDE_LESS));
        }
        Ok(())
    }

    /// Counts a value of such a file.
    ///
    /// # Errors
    ///
    /// [`StackError::Limit`] where it is one too many.
    pub(super) fn value(&mut self, at: &Location) -> Result<(), StackError> {
        self.values += 1;
        if self.values > VALUES {
            return Err(limit(at, format!("more than {VALUES} values are included"), INCLUDE_LESS));
        }
        Ok(())
    }
}

const INCLUDE_LESS: &str = "include fewer or smaller files, or import them, which reads each of them once";

/// The error of a limit, with what to change.
pub(super) fn limit(place: impl Display, what: String, change: &'static str) -> StackError {
    StackError::Limit { place: place.to_string(), what, change }
}
