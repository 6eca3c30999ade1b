//! `packed-refs`: one line per ref, sorted by name, so that a prefix is found by binary search.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use memchr::memchr;

use crate::deployment::ObjectId;

use super::plain::{Unusual, is_asked_for, plain_id, plain_name};

/// The size of a block of the file, in bytes. A range of this size is scanned instead of being
/// halved again.
const STRETCH: u64 = 4096;
/// The maximum number of cached blocks: those at which every search begins, not a whole file.
const KEPT: usize = 64;

/// The file, as it was when it was opened: git replaces it and never changes it.
#[derive(Debug)]
pub(super) struct PackedRefs {
    file: File,
    /// The offset of the first ref.
    start: u64,
    end: u64,
    /// The cached blocks, by number.
    stretches: BTreeMap<u64, Vec<u8>>,
}

/// A line of the file that is a ref.
struct Line<'l> {
    id: &'l [u8],
    name: &'l [u8],
}

impl PackedRefs {
    /// Opens the file below a repository's folder, where there is one.
    pub(super) fn open(folder: &Path) -> Result<Option<Self>, Unusual> {
        let file = match File::open(folder.join("packed-refs")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let end = file.metadata()?.len();
        let mut refs = Self { file, start: 0, end, stretches: BTreeMap::new() };
        let mut header = Vec::new();
        refs.start = refs.line(0, &mut header)?;
        let header = std::str::from_utf8(&header).map_err(|_| Unusual)?;
        let traits = header.strip_prefix("# pack-refs with:").ok_or(Unusual)?;
        if !traits.split_whitespace().any(|name| name == "sorted") {
            return Err(Unusual);
        }
        Ok(Some(refs))
    }

    /// Adds every ref below a prefix, or with exactly this name.
    pub(super) fn read(
        &mut self,
        prefix: &str,
        refs: &mut BTreeMap<String, ObjectId>,
    ) -> Result<(), Unusual> {
        let mut at = self.before(prefix)?;
        let mut line = Vec::new();
        while let Some(Line { id, name }) = self.next(&mut at, &mut line)? {
            if name.starts_with(prefix.as_bytes()) {
                let name = std::str::from_utf8(name).map_err(|_| Unusual)?;
                if is_asked_for(name, prefix) {
                    refs.insert(plain_name(name)?.to_owned(), plain_id(id)?);
                }
            } else if name > prefix.as_bytes() {
                break;
            }
        }
        Ok(())
    }

    /// The start of a line close to the first match, before which every name sorts before the
    /// prefix.
    fn before(&mut self, prefix: &str) -> Result<u64, Unusual> {
        let (mut low, mut high) = (self.start, self.end);
        let mut line = Vec::new();
        while high.saturating_sub(low) > STRETCH {
            let middle = low + (high - low) / 2;
            // The middle falls inside a line, whose rest is no ref.
            let mut at = self.line(middle, &mut line)?;
            match self.next(&mut at, &mut line)? {
                // Everything before the line after it sorts before the prefix as well.
                Some(Line { name, .. }) if name < prefix.as_bytes() => low = at,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// The next ref.
    fn next<'l>(&mut self, at: &mut u64, line: &'l mut Vec<u8>) -> Result<Option<Line<'l>>, Unusual> {
        loop {
            *at = self.line(*at, line)?;
            if line.is_empty() {
                return Ok(None);
            }
            // `^` lines are the peeled objects of the tags before them.
            if line.first() != Some(&b'^') {
                break;
            }
        }
        let line = line.strip_suffix(b"\n").ok_or(Unusual)?;
        let space = memchr(b' ', line).ok_or(Unusual)?;
        Ok(Some(Line { id: &line[..space], name: &line[space + 1..] }))
    }

    /// Reads from an offset to the end of its line; nothing at the end of the file. Returns the
    /// offset of the next line.
    fn line(&mut self, mut at: u64, line: &mut Vec<u8>) -> io::Result<u64> {
        line.clear();
        while at < self.end && line.last() != Some(&b'\n') {
            let stretch = self.stretch(at / STRETCH)?;
            let rest = usize::try_from(at % STRETCH).ok().and_then(|at| stretch.get(at..));
            let rest = rest.filter(|rest| !rest.is_empty()).ok_or(io::ErrorKind::UnexpectedEof)?;
            let read = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            line.extend_from_slice(&rest[..read]);
            at += read as u64;
        }
        Ok(at)
    }

    fn stretch(&mut self, number: u64) -> io::Result<&[u8]> {
        if self.stretches.len() >= KEPT && !self.stretches.contains_key(&number) {
            self.stretches.clear();
        }
        match self.stretches.entry(number) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(new) => {
                let start = number * STRETCH;
                let mut stretch =
                    vec![0; usize::try_from((self.end - start).min(STRETCH)).unwrap_or_default()];
                self.file.read_exact_at(&mut stretch, start)?;
                Ok(new.insert(stretch))
            }
        }
    }
}
