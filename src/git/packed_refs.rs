//! `packed-refs`: one line a ref, in the order of their names, so that a prefix is found by halving.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use crate::deployment::ObjectId;

use super::ref_files::{Unusual, is_asked_for, plain_id, plain_name};

/// How much of the file is read at a time; a stretch of that length is read through instead of being halved again.
const STRETCH: u64 = 4096;

/// The file, as it was when it was opened: git replaces it and never changes it.
#[derive(Debug)]
pub(super) struct PackedRefs {
    file: BufReader<File>,
    /// Where the first ref stands.
    start: u64,
    end: u64,
}

impl PackedRefs {
    /// Opens the file below a repository's folder, where there is one.
    pub(super) fn open(folder: &Path) -> Result<Option<Self>, Unusual> {
        let file = match File::open(folder.join("packed-refs")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let end = file.metadata()?.len();
        let mut file = BufReader::with_capacity(usize::try_from(STRETCH).unwrap_or_default(), file);
        let mut header = String::new();
        let start = file.read_line(&mut header)? as u64;
        let traits = header.strip_prefix("# pack-refs with:").ok_or(Unusual)?;
        if !traits.split_whitespace().any(|name| name == "sorted") {
            return Err(Unusual);
        }
        Ok(Some(Self { file, start, end }))
    }

    /// Adds every ref below a prefix, or of exactly this name.
    pub(super) fn read(
        &mut self,
        prefix: &str,
        refs: &mut BTreeMap<String, ObjectId>,
    ) -> Result<(), Unusual> {
        let start = self.before(prefix)?;
        self.file.seek(SeekFrom::Start(start))?;
        let mut line = Vec::new();
        while let Some((id, name)) = self.next(&mut line)? {
            if is_asked_for(name, prefix) {
                refs.insert(plain_name(name)?.to_owned(), plain_id(id)?);
            } else if name > prefix && !name.starts_with(prefix) {
                break;
            }
        }
        Ok(())
    }

    /// The start of a line before which everything sorts before the prefix, not far from where the prefix begins.
    fn before(&mut self, prefix: &str) -> Result<u64, Unusual> {
        let (mut low, mut high) = (self.start, self.end);
        let mut line = Vec::new();
        while high.saturating_sub(low) > STRETCH {
            let middle = low + (high - low) / 2;
            let mut at = self.file.seek(SeekFrom::Start(middle))?;
            // The rest of the line that the middle fell into, and what belongs to it.
            at += self.file.skip_until(b'\n')? as u64;
            while self.file.fill_buf()?.first() == Some(&b'^') {
                at += self.file.skip_until(b'\n')? as u64;
            }
            match self.next(&mut line)? {
                Some((_, name)) if name < prefix => low = at,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// The next ref: its object's id and its name.
    fn next<'l>(&mut self, line: &'l mut Vec<u8>) -> Result<Option<(&'l [u8], &'l str)>, Unusual> {
        loop {
            line.clear();
            if self.file.read_until(b'\n', line)? == 0 {
                return Ok(None);
            }
            // What the tag before it leads to.
            if line.first() != Some(&b'^') {
                break;
            }
        }
        let line = line.strip_suffix(b"\n").ok_or(Unusual)?;
        let space = line.iter().position(|byte| *byte == b' ').ok_or(Unusual)?;
        let name = std::str::from_utf8(&line[space + 1..]).map_err(|_| Unusual)?;
        Ok(Some((&line[..space], name)))
    }
}
