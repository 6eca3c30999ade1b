//! Splits the bytes that a child writes into lines to show and keep.

use std::collections::VecDeque;

use super::super::log::Masks;

/// The maximum length of a line, in bytes. A longer one is split, which bounds the memory for a
/// child that never ends its line.
const LONGEST_LINE: usize = 16 * 1024;

/// The number of last lines that are kept for the report of a failure.
const TAIL_LINES: usize = 40;

/// Splits a stream of bytes into lines.
#[derive(Debug, Default)]
pub(super) struct LineCutter {
    pending: Vec<u8>,
}

impl LineCutter {
    /// Adds bytes, and passes on every line that they complete.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            self.pending.extend_from_slice(line);
            each(&self.pending);
            self.pending.clear();
            bytes = &rest[1..];
        }
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= LONGEST_LINE {
            each(&self.pending);
            self.pending.clear();
        }
    }

    /// Passes on the rest after the last line end.
    pub(super) fn finish(&mut self, mut each: impl FnMut(&[u8])) {
        if !self.pending.is_empty() {
            each(&self.pending);
            self.pending.clear();
        }
    }
}

/// A line that is safe to show: decoded, without terminal control sequences, secrets masked.
///
/// Of a line that a progress display overwrites with carriage returns, the last state is kept.
pub(super) fn clean(line: &[u8], masks: &Masks) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let shown = line.rsplit(|byte| *byte == b'\r').next().unwrap_or_default();
    let text = String::from_utf8_lossy(shown);
    let plain: String = anstream::adapter::strip_str(&text)
        .flat_map(str::chars)
        .filter(|character| *character == '\t' || !character.is_control())
        .collect();
    masks.apply(plain)
}

/// The last lines.
#[derive(Debug, Default)]
pub(super) struct Tail(VecDeque<String>);

impl Tail {
    pub(super) fn push(&mut self, line: String) {
        if self.0.len() == TAIL_LINES {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut cutter = LineCutter::default();
        let mut lines = Vec::new();
        for chunk in chunks {
            cutter.push(chunk, |line| lines.push(clean(line, &Masks::default())));
        }
        cutter.finish(|line| lines.push(clean(line, &Masks::default())));
        lines
    }

    #[test]
    fn lines_are_put_together_across_reads() {
        assert_eq!(lines(&[b"one\ntw", b"o\n\nthr", b"ee"]), ["one", "two", "", "three"]);
    }

    #[test]
    fn a_line_without_an_end_is_cut_rather_than_kept() {
        let chunk = vec![b'x'; LONGEST_LINE];
        assert_eq!(lines(&[&chunk, &chunk, b"y"]).len(), 3);
    }

    #[test]
    fn what_steers_a_terminal_is_taken_out() {
        assert_eq!(lines(&[b"\x1b[31mred\x1b[0m \x1b]0;title\x07done\x08\r\n"]), ["red done"]);
        assert_eq!(lines(&[b"10%\r50%\r100%\n"]), ["100%"]);
        assert_eq!(lines(&[b"caf\xe9\n"]), ["caf\u{fffd}"]);
    }

    #[test]
    fn a_secret_is_masked_even_with_colour_inside() {
        let masks = Masks::new(["hunter2"]);
        assert_eq!(clean(b"pw=hun\x1b[1mter2", &masks), "pw=***");
    }
}
