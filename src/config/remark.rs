//! Remarks on a configuration file that do not follow from its text alone, with their positions.

use super::problem::{Problem, Problems, Severity};
use super::span::Span;
use super::yaml::{self, Node, Value};

/// A remark on a file, addressed by keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    pub severity: Severity,
    /// From the root of the file; the position is that of the nearest enclosing section that
    /// exists.
    pub keys: Vec<String>,
    pub message: String,
    pub hint: Option<String>,
}

/// Converts the remarks to problems of the file, in their own order.
#[must_use]
pub fn located(file: &str, text: &str, remarks: &[Remark]) -> Vec<Problem> {
    // Problems of the text itself were reported when it was loaded.
    let root = yaml::compose(text, &mut Problems::new(file, text));
    let problem = |remark: &Remark| {
        let span = root.as_ref().map_or(Span::START, |root| place(root, &remark.keys));
        let mut problems = Problems::new(file, text);
        let (message, hint) = (remark.message.as_str(), remark.hint.clone());
        match remark.severity {
            Severity::Error => problems.error(span, message, hint),
            Severity::Warning => problems.warning(span, message, hint),
        }
        problems.finish()
    };
    remarks.iter().flat_map(problem).collect()
}

/// The span of a value, or of its key where the value is a mapping or empty.
fn place(root: &Node, keys: &[String]) -> Span {
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    for length in (1..=keys.len()).rev() {
        let Some(entry) = root.entry(&keys[..length]) else { continue };
        let is_whole = length == keys.len() && !matches!(entry.node.value, Value::Mapping(_));
        let has_text = entry.node.span.end > entry.node.span.start;
        return if is_whole && has_text { entry.node.span } else { entry.key.span };
    }
    Span::START
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_stands_at_its_value_or_at_the_nearest_key_around_it() {
        let text = "deployment:\n  name: api\n  components:\n    command:\n      api: {}\n";
        let place = |keys: &str| {
            let keys = keys.split('.').map(str::to_owned).collect();
            let remark = Remark { severity: Severity::Error, keys, message: "x".to_owned(), hint: None };
            let problem = located("deployments/api.yaml", text, &[remark]).remove(0);
            (problem.line, problem.column)
        };
        assert_eq!(place("deployment.name"), (2, 9));
        assert_eq!(place("deployment.components.command.api.vars.x"), (5, 7));
        assert_eq!(place("deployment.components.command.api"), (5, 7));
        assert_eq!(place("deployment.components"), (3, 3));
        assert_eq!(place("nothing"), (1, 1));
    }
}
