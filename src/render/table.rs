//! Tables: aligned on a terminal, tab-separated for programs in a pipe.

use owo_colors::{OwoColorize as _, Style};
use unicode_width::UnicodeWidthStr;

use super::Form;
use super::escape::escape;
use super::style;

/// The space between two columns.
const GUTTER: usize = 2;

/// The placeholder in an empty cell.
const EMPTY: &str = "-";

/// One cell: escaped text and its colour.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell with a colour. The text may be untrusted; it is escaped here.
    pub(super) fn styled(text: impl AsRef<str>, style: Style) -> Self {
        let text = escape(text.as_ref());
        let text = if text.is_empty() { EMPTY.to_owned() } else { text.into_owned() };
        Self { text, style }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, style::PLAIN)
    }
}

/// A table under construction.
#[derive(Debug, Clone)]
pub(super) struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these columns.
    #[must_use]
    pub(super) fn new(header: impl Into<Vec<&'static str>>) -> Self {
        Self { header: header.into(), rows: Vec::new() }
    }

    /// Adds a row, which has a cell for every column.
    pub(super) fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        let cells = cells.into();
        debug_assert_eq!(cells.len(), self.header.len(), "a row has a cell for every column");
        self.rows.push(cells);
    }

    /// The table as lines, each ending in a line break. Rows are never truncated.
    #[must_use]
    pub(super) fn render(&self, form: Form) -> String {
        match form {
            Form::Terminal => self.aligned(),
            Form::Pipe => self.separated(),
        }
    }

    fn aligned(&self) -> String {
        let widths: Vec<usize> = (0..self.header.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.text.width()).chain([self.header[column].width()]).max().unwrap_or(0)
            })
            .collect();
        let header: Vec<_> = self.header.iter().map(|title| Cell::styled(title, style::HEADING)).collect();
        let mut lines = String::new();
        for row in std::iter::once(&header).chain(&self.rows) {
            for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
                lines.push_str(&cell.text.style(cell.style).to_string());
                if at + 1 < row.len() {
                    let padding = width - cell.text.width() + GUTTER;
                    lines.extend(std::iter::repeat_n(' ', padding));
                }
            }
            lines.push('\n');
        }
        lines
    }

    fn separated(&self) -> String {
        let mut lines = self.header.join("\t");
        lines.push('\n');
        for row in &self.rows {
            let cells: Vec<_> = row.iter().map(|cell| cell.text.as_str()).collect();
            lines.push_str(&cells.join("\t"));
            lines.push('\n');
        }
        lines
    }
}

/// Pads the text on the right to a width in columns of the terminal.
#[must_use]
pub(super) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// The width of the widest text, in columns of the terminal.
pub(super) fn widest<'a>(texts: impl IntoIterator<Item = &'a str>) -> usize {
    texts.into_iter().map(UnicodeWidthStr::width).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["Component", "Commit"]);
        table.row(["日本語-サービス".into(), "abc123d".into()]);
        table.row(["api".into(), Cell::styled("def456a", style::ID)]);
        table.row(["a\tb\u{1b}[31m".into(), "".into()]);
        table
    }

    #[test]
    fn a_terminal_gets_columns_that_line_up() {
        insta::assert_snapshot!(strip_str(&table().render(Form::Terminal)).to_string(), @r"
        Component        Commit
        日本語-サービス  abc123d
        api              def456a
        a\tb\u{1b}[31m   -
        ");
    }

    #[test]
    fn colours_do_not_count_as_width() {
        assert!(table().render(Form::Terminal).contains("api              \u{1b}[36mdef456a\u{1b}[0m\n"));
    }

    #[test]
    fn a_pipe_gets_tabs_and_no_colour() {
        assert_eq!(
            table().render(Form::Pipe),
            "Component\tCommit\n日本語-サービス\tabc123d\napi\tdef456a\na\\tb\\u{1b}[31m\t-\n"
        );
    }

    #[test]
    fn an_empty_table_is_its_header() {
        assert_eq!(Table::new(["Name"]).render(Form::Pipe), "Name\n");
    }
}
