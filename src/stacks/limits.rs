//! Limits of stacks, which bound the time and memory that any manifest costs.
//!
//! Each limit is documented in `docs/stacks.md` too; those of templates and queries are next to
//! their code.

use std::fmt::Display;

use super::error::StackError;
use super::value::Location;

/// The maximum size of one file.
pub(super) const FILE_BYTES: usize = 4 << 20;
/// The maximum nesting depth of values.
pub(super) const VALUE_DEPTH: usize = 100;
/// The maximum number of values of one file with all its aliases expanded, and of all includes of
/// one component.
pub(super) const VALUES: usize = 1_000_000;
/// The maximum length of a chain of imports.
pub(super) const IMPORT_DEPTH: usize = 50;
/// The maximum number of files that one file may import, and of imports in a stack of files whose
/// meaning depends on their importer.
pub(super) const IMPORTS: usize = 10_000;
/// The maximum nesting depth of included files.
pub(super) const INCLUDE_DEPTH: usize = 8;
/// The maximum number of files that a component may include, repetitions counted.
pub(super) const INCLUDES: usize = 10_000;
/// The maximum total size of the files that a component includes, repetitions counted.
pub(super) const INCLUDED_BYTES: usize = 64 << 20;
/// The maximum length of an inheritance chain.
pub(super) const INHERITANCE_DEPTH: usize = 50;
/// The maximum number of bases of a component, repetitions counted.
pub(super) const BASES: usize = 1000;

/// The cost so far of the files that a component includes.
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
    /// [`StackError::Limit`] if the limit is exceeded.
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

    /// Counts a value of an included file.
    ///
    /// # Errors
    ///
    /// [`StackError::Limit`] if the limit is exceeded.
    pub(super) fn value(&mut self, at: &Location) -> Result<(), StackError> {
        self.values += 1;
        if self.values > VALUES {
            return Err(limit(at, format!("more than {VALUES} values are included"), INCLUDE_LESS));
        }
        Ok(())
    }
}

const INCLUDE_LESS: &str = "include fewer or smaller files, or import them, which reads each of them once";

/// The error of an exceeded limit, with advice on the change to make.
pub(super) fn limit(place: impl Display, what: String, change: &'static str) -> StackError {
    StackError::Limit { place: place.to_string(), what, change }
}
