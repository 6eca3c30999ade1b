//! Problems of a configuration file, with their positions.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str};
use serde::{Deserialize, Serialize};

use super::span::Span;
use super::yaml::Node;

/// Whether a problem stops the file from being used.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot be used as it is.
    Error,
    /// The file can be used, but says something that its author probably did not mean.
    Warning,
}

/// One thing that is wrong with a configuration file.
///
/// Its JSON form is `{severity, message, file, line, column, hint?}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Problem {
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// The file, relative to the root of the repository.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The keys that lead to what breaks a rule of deployments. Empty where the file cannot be read or does not follow
    /// the schema.
    #[serde(skip)]
    pub keys: Vec<String>,
    #[serde(skip)]
    excerpt: Option<Excerpt>,
}

/// The source line of a problem. Only that line is kept: its neighbours may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Excerpt {
    line: String,
    /// The byte range in `line` that the problem refers to.
    highlight: Range<usize>,
}

impl Excerpt {
    /// Longer lines (minified or malicious files) are not shown.
    const MAX_LINE_BYTES: usize = 1024;

    fn new(text: &str, span: Span) -> Option<Self> {
        let before = text.get(..span.start)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = text.get(line_start..)?.lines().next().unwrap_or_default();
        if line.len() > Self::MAX_LINE_BYTES {
            return None;
        }
        let start = (span.start - line_start).min(line.len());
        let end = (span.end.max(span.start) - line_start).min(line.len());
        Some(Self { line: line.to_owned(), highlight: start..end })
    }
}

impl Problem {
    /// Renders only the source line with the position marked, for readers who know the message.
    #[must_use]
    pub fn render_place(&self) -> String {
        let place = Self { hint: None, ..self.clone() }.render(false);
        // The first line is the message.
        place.split_once('\n').map(|(_, place)| place.to_owned()).unwrap_or_default()
    }

    /// Renders the problem for terminals: `message`, `file:line:column`, the source line with the
    /// position marked, the hint.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let (level, help) = match self.severity {
            Severity::Error => (Level::ERROR, Level::HELP),
            Severity::Warning => (Level::WARNING, Level::HELP),
        };
        let title = level.primary_title(self.message.as_str());
        let mut group = match &self.excerpt {
            Some(excerpt) => title.element(
                Snippet::source(excerpt.line.as_str())
                    .line_start(self.line)
                    .path(self.file.as_str())
                    .annotation(AnnotationKind::Primary.span(excerpt.highlight.clone())),
            ),
            None => Group::with_title(title)
                .element(Origin::path(self.file.as_str()).line(self.line).char_column(self.column)),
        };
        if let Some(hint) = &self.hint {
            group = group.element(help.message(normalize_untrusted_str(hint)));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

impl fmt::Display for Problem {
    /// One line: `file:line:column: severity: message (hint)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}:{}:{}: {severity}: {}", self.file, self.line, self.column, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Collects the problems of one file.
#[derive(Debug)]
pub(super) struct Problems<'t> {
    file: &'t str,
    text: &'t str,
    list: Vec<Problem>,
    left_out: usize,
}

impl<'t> Problems<'t> {
    /// The maximum number of problems kept per file, so that a malicious file cannot exhaust the
    /// memory.
    const LIMIT: usize = 100;

    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        Self { file, text, list: Vec::new(), left_out: 0 }
    }

    /// The file, relative to the root of the repository.
    pub(super) fn file(&self) -> &'t str {
        self.file
    }

    /// The text of a span of the file.
    pub(super) fn source(&self, span: Span) -> &'t str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    pub(super) fn error(&mut self, span: Span, message: impl Into<String>, hint: Option<String>) {
        self.push(Severity::Error, span, message.into(), hint);
    }

    pub(super) fn warning(&mut self, span: Span, message: impl Into<String>, hint: Option<String>) {
        self.push(Severity::Warning, span, message.into(), hint);
    }

    fn push(&mut self, severity: Severity, span: Span, message: String, hint: Option<String>) {
        if self.list.len() >= Self::LIMIT {
            self.left_out += 1;
            return;
        }
        let problem = Problem {
            severity,
            message,
            file: self.file.to_owned(),
            line: span.line,
            column: span.column,
            hint,
            keys: Vec::new(),
            excerpt: Excerpt::new(self.text, span),
        };
        // An alias repeats the problems of its anchor; they are reported once.
        if !self.list.contains(&problem) {
            self.list.push(problem);
        }
    }

    /// The number of problems so far.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Sets the keys of the problems from index `first` on, which are violations of rules, by their
    /// positions in the file.
    pub(super) fn locate(&mut self, first: usize, root: &Node) {
        for problem in self.list.iter_mut().skip(first) {
            problem.keys = root.keys_at(problem.line, problem.column);
        }
    }

    /// The problems in file order.
    pub(super) fn finish(self) -> Vec<Problem> {
        let mut list = self.list;
        list.sort_by_key(|problem| (problem.line, problem.column));
        if self.left_out > 0 {
            list.push(Problem {
                severity: Severity::Error,
                message: format!("{} more problems are not shown", self.left_out),
                file: self.file.to_owned(),
                line: 1,
                column: 1,
                hint: None,
                keys: Vec::new(),
                excerpt: None,
            });
        }
        list
    }
}

/// Whether any of the problems is an error.
pub(super) fn has_errors(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.severity == Severity::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str, span: Span, hint: Option<&str>) -> Problem {
        let mut problems = Problems::new("deployments/api.yaml", text);
        problems.error(span, "unknown key `promotoin`", hint.map(str::to_owned));
        problems.finish().remove(0)
    }

    #[test]
    fn a_problem_shows_its_own_line_alone_and_marks_the_place() {
        let text = "secret: hunter2\n  promotoin: {}\r\nother: x\n";
        let problem =
            one(text, Span { line: 2, column: 3, start: 18, end: 27 }, Some("did you mean `promotion`?"));
        insta::assert_snapshot!(problem.render(false), @r"
        error: unknown key `promotoin`
         --> deployments/api.yaml:2:3
          |
        2 |   promotoin: {}
          |   ^^^^^^^^^
          |
          = help: did you mean `promotion`?
        ");
        assert!(problem.render(true).contains("\u{1b}["));
        insta::assert_snapshot!(problem, @"deployments/api.yaml:2:3: error: unknown key `promotoin` (did you mean `promotion`?)");
        insta::assert_json_snapshot!(problem, @r#"
        {
          "severity": "error",
          "message": "unknown key `promotoin`",
          "file": "deployments/api.yaml",
          "line": 2,
          "column": 3,
          "hint": "did you mean `promotion`?"
        }
        "#);
    }

    #[test]
    fn a_line_too_long_to_show_still_has_its_position() {
        let text = "x".repeat(5000);
        let problem = one(&text, Span { line: 1, column: 4001, start: 4000, end: 4001 }, None);
        insta::assert_snapshot!(problem.render(false), @r"
        error: unknown key `promotoin`
        --> deployments/api.yaml:1:4001
        ");
    }

    #[test]
    fn what_is_not_shown_is_counted() {
        let mut problems = Problems::new("f", "");
        for line in 1..=250 {
            problems.error(Span { line, ..Span::START }, "x", None);
        }
        let list = problems.finish();
        assert_eq!(list.len(), 101);
        assert_eq!(list[100].message, "150 more problems are not shown");
    }
}
