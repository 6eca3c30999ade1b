//! The bounded end of a component's log, for the note of a failure.

use std::collections::VecDeque;

/// The most lines that are kept.
const MOST_LINES: usize = 100;

/// The most bytes that are kept of all lines together.
const MOST_BYTES: usize = 16 * 1024;

/// The most bytes that are kept of one line.
const LONGEST_LINE: usize = 1024;

/// The last lines that a component printed.
#[derive(Debug, Default)]
pub(super) struct LogTail {
    lines: VecDeque<String>,
    bytes: usize,
}

impl LogTail {
    /// Adds a line and drops the oldest lines beyond the limits.
    pub(super) fn push(&mut self, line: &str) {
        let line = shortened(line);
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > MOST_LINES || self.bytes > MOST_BYTES {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.len();
        }
    }

    /// The lines, oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }
}

fn shortened(line: &str) -> String {
    if line.len() <= LONGEST_LINE {
        return line.to_owned();
    }
    let end = (0..=LONGEST_LINE).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut tail = LogTail::default();
        lines.into_iter().for_each(|line| tail.push(&line));
        tail.lines()
    }

    #[test]
    fn the_last_lines_stay_in_their_order() {
        let kept = of((1..=250).map(|number| format!("line {number}")));
        assert_eq!((kept.len(), kept[0].as_str(), kept[99].as_str()), (100, "line 151", "line 250"));
        assert_eq!(of(["a".to_owned(), "b".to_owned()]), ["a", "b"]);
    }

    #[test]
    fn neither_a_long_line_nor_many_of_them_take_more_room_than_there_is() {
        let [long] = &of(["é".repeat(100_000)])[..] else { panic!("one line") };
        assert!(long.len() <= LONGEST_LINE + "…".len() && long.ends_with("é…"), "{}", long.len());
        let kept = of((0..100).map(|number| format!("{number} {}", "x".repeat(1000))));
        assert!(kept.iter().map(String::len).sum::<usize>() <= MOST_BYTES);
        assert!(kept.last().is_some_and(|line| line.starts_with("99 ")));
    }
}
