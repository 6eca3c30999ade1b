//! Everything the tool prints: documents for programs, text for people.
//!
//! A verb creates one [`document`] with its whole result. `--format json|yaml` prints the document
//! itself; otherwise the module named after the verb turns it into text, with a pure `text`
//! function. Only [`stream`] writes.

/// Appends formatted text to a string, which cannot fail.
macro_rules! push {
    ($text:expr, $($arguments:tt)*) => {{
        use std::fmt::Write as _;
        let _ = write!($text, $($arguments)*);
    }};
}

pub mod approval;
pub mod attach;
pub mod build;
pub mod describe;
pub mod diff;
pub mod document;
pub mod error;
pub mod escape;
pub mod history;
pub mod list;
pub mod live;
pub mod locks;
pub mod promotion_graph;
pub mod promotion_status;
pub mod protection;
pub mod rollout;
pub mod sbom;
pub mod status;
pub mod stream;
mod style;
mod table;
pub mod test;
pub mod time;
pub mod validate;
pub mod vendor;

pub use time::Clock;

use crate::deployment::count::count;

/// The reader of the text, which decides its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A person: titles, aligned columns, colours.
    Terminal,
    /// A program: tables are tab-separated below one line of column names, without titles.
    Pipe,
}

/// The presentation of text: its form and the clock of its times.
#[derive(Debug, Clone)]
pub struct Presentation {
    pub form: Form,
    pub clock: Clock,
}

impl Presentation {
    /// A title and the empty line below it; nothing in a pipe.
    fn title(&self, title: &str) -> String {
        match self.form {
            Form::Terminal => format!("{}\n\n", styled(title, style::HEADING)),
            Form::Pipe => String::new(),
        }
    }

    /// The last observation and its age: `healthy (2/2 tasks), 5m ago`.
    fn seen(&self, found: &str, at: Option<jiff::Timestamp>) -> String {
        let ago = at.map(|at| format!(", {}", self.clock.relative(at))).unwrap_or_default();
        format!("{found}{ago}")
    }

    /// `2h ago`, or `-` where the time is unknown.
    fn relative(&self, time: Option<jiff::Timestamp>) -> String {
        time.map_or_else(|| "-".to_owned(), |time| self.clock.relative(time))
    }
}

/// Text in a colour. The text must be escaped already.
fn styled(text: &str, style: owo_colors::Style) -> String {
    use owo_colors::OwoColorize as _;
    text.style(style).to_string()
}

/// The colour of a record's status.
const fn status_style(status: crate::deployment::RecordStatus) -> owo_colors::Style {
    match status {
        crate::deployment::RecordStatus::Success => style::GOOD,
        crate::deployment::RecordStatus::Failed => style::BAD,
        crate::deployment::RecordStatus::Cancelled => style::WARN,
    }
}

#[cfg(test)]
mod fixtures;
