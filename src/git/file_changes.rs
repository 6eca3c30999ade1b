//! The output of `git diff -z --raw --numstat [--patch]`: three lists of
//! the same files in the same order.

use crate::deployment::diff::{FileChange, FileDifference};

/// The most lines of code that are kept of one file, and of all together: more is not reviewed.
const LINES_OF_A_FILE: usize = 400;
const LINES_IN_ALL: usize = 10_000;

/// Parses the output; `None` where it is malformed.
pub(super) fn parse(output: &[u8]) -> Option<Vec<FileDifference>> {
    let mut reader = Reader { left: output };
    let mut files = Vec::new();
    while reader.left.first() == Some(&b':') {
        files.push(raw_entry(&mut reader)?);
    }
    for file in &mut files {
        (file.lines_added, file.lines_removed) = numstat_entry(&mut reader, file.previous_path.is_some())?;
    }
    // One empty field stands between the lists and the patch.
    let patch = reader.left.strip_prefix(b"\0").unwrap_or(reader.left);
    add_hunks(&mut files, &String::from_utf8_lossy(patch));
    Some(files)
}

struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    /// The text up to the next NUL.
    fn field(&mut self) -> Option<std::borrow::Cow<'a, str>> {
        let end = self.left.iter().position(|byte| *byte == 0)?;
        let (field, rest) = self.left.split_at(end);
        self.left = &rest[1..];
        Some(String::from_utf8_lossy(field))
    }
}

/// `:<mode> <mode> <id> <id> <letter><score> NUL <path> NUL`, with a
/// second path after a rename or copy.
fn raw_entry(reader: &mut Reader<'_>) -> Option<FileDifference> {
    let head = reader.field()?;
    let change = match head.rsplit(' ').next()?.bytes().next()? {
        b'A' | b'C' => FileChange::Added,
        b'D' => FileChange::Deleted,
        b'R' => FileChange::Renamed,
        _ => FileChange::Modified,
    };
    let first = reader.field()?.into_owned();
    let (path, previous_path) = match change {
        FileChange::Renamed => (reader.field()?.into_owned(), Some(first)),
        FileChange::Added | FileChange::Deleted | FileChange::Modified => (first, None),
    };
    Some(FileDifference { path, previous_path, change, lines_added: 0, lines_removed: 0, hunks: None })
}

/// `<added> TAB <removed> TAB <path> NUL`; after a rename the path is empty and both
/// follow. Of a binary file, dashes.
fn numstat_entry(reader: &mut Reader<'_>, renamed: bool) -> Option<(usize, usize)> {
    let entry = reader.field()?;
    let mut numbers = entry.split('\t').map(|number| number.parse().unwrap_or(0));
    let counts = (numbers.next()?, numbers.next()?);
    if renamed {
        reader.field()?;
        reader.field()?;
    }
    Some(counts)
}

/// Assigns each file its part of the patch, within the limits. Binary files have none.
fn add_hunks(files: &mut [FileDifference], patch: &str) {
    let mut left = LINES_IN_ALL;
    // Within a hunk every line starts with a blank, a sign or a backslash.
    let parts = patch.split("\ndiff --git ").map(|part| part.find("\n@@ ").map(|start| &part[start + 1..]));
    for (file, hunks) in files.iter_mut().zip(parts) {
        let Some(hunks) = hunks else { continue };
        let lines = hunks.lines().count();
        let kept = lines.min(LINES_OF_A_FILE).min(left);
        left -= kept;
        let mut text: String = hunks.lines().take(kept).flat_map(|line| [line, "\n"]).collect();
        if kept < lines {
            use std::fmt::Write as _;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "… {} more lines", lines - kept);
        }
        file.hunks = Some(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: &str = "0000000000000000000000000000000000000000";

    fn raw(letter: &str, paths: &str) -> String {
        format!(":100644 100644 {ZERO} {ZERO} {letter}\0{paths}\0")
    }

    #[test]
    fn every_kind_of_change() {
        let output = [
            raw("A", "new\tname\n"),
            raw("D", "gone"),
            raw("R087", "old\0new"),
            raw("M", "picture"),
            raw("T", "link"),
            "3\t0\tnew\tname\n\0".to_owned(),
            "0\t7\tgone\0".to_owned(),
            "1\t2\t\0old\0new\0".to_owned(),
            "-\t-\tpicture\0".to_owned(),
            "1\t1\tlink\0".to_owned(),
        ]
        .concat();
        let files = parse(output.as_bytes()).unwrap();
        let seen: Vec<_> = files
            .iter()
            .map(|file| {
                let previous = file.previous_path.as_deref();
                (file.path.as_str(), previous, file.change, file.lines_added, file.lines_removed)
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("new\tname\n", None, FileChange::Added, 3, 0),
                ("gone", None, FileChange::Deleted, 0, 7),
                ("new", Some("old"), FileChange::Renamed, 1, 2),
                ("picture", None, FileChange::Modified, 0, 0),
                ("link", None, FileChange::Modified, 1, 1),
            ]
        );
    }

    #[test]
    fn hunks_go_to_their_files() {
        let mut output = [raw("M", "a"), raw("M", "b"), raw("M", "c")].concat();
        output.push_str("1\t1\ta\0-\t-\tb\x001\t0\tc\0\0");
        output.push_str(
            "diff --git a/a b/a\nindex 1..2 100644\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-diff --git x\n+@@ y\n",
        );
        output.push_str("diff --git a/b b/b\nBinary files a/b and b/b differ\n");
        output.push_str(
            "diff --git a/c b/c\n--- a/c\n+++ b/c\n@@ -0,0 +1 @@\n+last\n\\ No newline at end of file\n",
        );
        let hunks: Vec<_> = parse(output.as_bytes()).unwrap().into_iter().map(|file| file.hunks).collect();
        assert_eq!(
            hunks,
            [
                Some("@@ -1 +1 @@\n-diff --git x\n+@@ y\n".to_owned()),
                None,
                Some("@@ -0,0 +1 @@\n+last\n\\ No newline at end of file\n".to_owned()),
            ]
        );
    }

    #[test]
    fn a_long_patch_ends_with_what_is_left_out() {
        let lines = "+x\n".repeat(LINES_OF_A_FILE + 9);
        let output = format!("{}1\t0\ta\0\0diff --git a/a b/a\n@@ -0,0 +1 @@\n{lines}", raw("M", "a"));
        let hunks = parse(output.as_bytes()).unwrap().remove(0).hunks.unwrap();
        assert_eq!(hunks.lines().last(), Some("… 10 more lines"));
        assert_eq!(hunks.lines().count(), LINES_OF_A_FILE + 1);
    }

    #[test]
    fn nothing_changed_and_output_that_is_cut_off() {
        assert_eq!(parse(b""), Some(Vec::new()));
        assert_eq!(parse(raw("M", "a").as_bytes()), None);
        assert_eq!(parse(b":100644 100644"), None);
    }
}
