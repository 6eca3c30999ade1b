//! Workflow commands, which turn lines of a job's log into annotations. GitHub has them; GitLab
//! none.
//!
//! <https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands>

use std::borrow::Cow;
use std::fmt::Write as _;

/// The maximum number of annotations of one level that a step may create.
const MOST_PER_LEVEL: usize = 10;

/// A remark that the platform shows beside the run, or beside a line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    pub level: AnnotationLevel,
    pub title: Option<String>,
    pub message: String,
    pub place: Option<AnnotationPlace>,
}

/// The severity of an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnnotationLevel {
    Notice,
    Warning,
    Error,
}

impl AnnotationLevel {
    const fn command(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A place in a file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnotationPlace {
    /// From the repository's root.
    pub file: String,
    /// From 1.
    pub line: Option<usize>,
    /// From 1.
    pub column: Option<usize>,
}

impl Annotation {
    /// The annotation as one line of the log.
    #[must_use]
    pub fn command(&self) -> String {
        let mut properties = Vec::new();
        if let Some(place) = &self.place {
            properties.push(format!("file={}", property(&place.file)));
            properties.extend(place.line.map(|line| format!("line={line}")));
            properties.extend(place.column.map(|column| format!("col={column}")));
        }
        properties.extend(self.title.as_deref().map(|title| format!("title={}", property(title))));
        let space = if properties.is_empty() { "" } else { " " };
        format!("::{}{space}{}::{}", self.level.command(), properties.join(","), data(&self.message))
    }
}

/// The annotations as log lines: per level as many as GitHub shows, the last of which says how many
/// more there are.
#[must_use]
pub fn github(annotations: &[Annotation]) -> String {
    let mut text = String::new();
    for level in [AnnotationLevel::Error, AnnotationLevel::Warning, AnnotationLevel::Notice] {
        let of_level: Vec<_> = annotations.iter().filter(|annotation| annotation.level == level).collect();
        let shown = if of_level.len() > MOST_PER_LEVEL { MOST_PER_LEVEL - 1 } else { of_level.len() };
        for annotation in &of_level[..shown] {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", annotation.command());
        }
        if shown < of_level.len() {
            let more = of_level.len() - shown;
            let _ = writeln!(text, "::{}::and {more} more: see the log and the summary", level.command());
        }
    }
    text
}

/// A line that may contain untrusted text, escaped so that it is no workflow command. The runner
/// takes `::` at the start of a line, and `##[` anywhere.
#[must_use]
pub fn inert(line: &str) -> Cow<'_, str> {
    let starts_a_command = line.trim_start().starts_with("::");
    if !starts_a_command && !line.contains("##[") {
        return Cow::Borrowed(line);
    }
    let line = line.replace("##[", "#\u{200b}#[");
    Cow::Owned(if starts_a_command { line.replacen("::", ":\u{200b}:", 1) } else { line })
}

/// A command's message.
pub(super) fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(message: &str) -> Annotation {
        Annotation { level: AnnotationLevel::Error, title: None, message: message.to_owned(), place: None }
    }

    #[test]
    fn an_annotation_names_its_place() {
        let annotation = Annotation {
            title: Some("api: 50%, failed".to_owned()),
            place: Some(AnnotationPlace {
                file: "deployments/a,b.yaml".to_owned(),
                line: Some(3),
                column: None,
            }),
            ..error("no such target: prd")
        };
        assert_eq!(
            annotation.command(),
            "::error file=deployments/a%2Cb.yaml,line=3,title=api%3A 50%25%2C failed::no such target: prd"
        );
    }

    #[test]
    fn a_message_cannot_start_another_command() {
        let hostile = "x%0A::set-output name=a::b\r\n::add-mask::c";
        assert_eq!(error(hostile).command(), "::error::x%250A::set-output name=a::b%0D%0A::add-mask::c");
        assert_eq!(inert("  ::add-path::/evil"), "  :\u{200b}:add-path::/evil");
        assert_eq!(inert("ok ##[add-path]/evil"), "ok #\u{200b}#[add-path]/evil");
        assert!(matches!(inert("std::fs::read ## [x]"), Cow::Borrowed(_)));
    }

    #[test]
    fn ten_of_a_level_are_shown_at_most() {
        let many: Vec<_> = (0..12).map(|n| error(&n.to_string())).collect();
        let text = github(&many);
        assert_eq!(text.lines().count(), 10);
        assert_eq!(text.lines().last(), Some("::error::and 3 more: see the log and the summary"));
        assert_eq!(github(&many[..10]).lines().last(), Some("::error::9"));
    }
}
