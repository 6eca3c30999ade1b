//! The outputs of a job for later steps and jobs: GitHub's `$GITHUB_OUTPUT`, GitLab's dotenv
//! report.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use uuid::Uuid;

/// The maximum size of a dotenv report on GitLab, in bytes:
/// <https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsdotenv>.
const DOTENV_LIMIT: usize = 5 * 1024;

/// One output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// As action authors write it: `previous-commit`.
    pub name: &'static str,
    pub value: String,
}

/// A dotenv report and the variables that did not fit into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dotenv {
    pub text: String,
    /// The variables that were left out, largest first.
    pub omitted: Vec<String>,
}

/// The outputs in the format of `$GITHUB_OUTPUT`. A value may have any number of lines; none of
/// them can end it, because the delimiter is unpredictable.
#[must_use]
pub fn github(outputs: &[Output], delimiter: &str) -> String {
    let mut text = String::new();
    for Output { name, value } in outputs {
        let mut delimiter = delimiter.to_owned();
        while value.contains(&delimiter) {
            delimiter.push('_');
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}<<{delimiter}\n{value}\n{delimiter}");
    }
    text
}

/// Appends the outputs to the file that `$GITHUB_OUTPUT` names.
pub fn append_github(file: &Path, outputs: &[Output]) -> io::Result<()> {
    let delimiter = format!("atmos_{}", Uuid::now_v7().simple());
    OpenOptions::new().append(true).create(true).open(file)?.write_all(github(outputs, &delimiter).as_bytes())
}

/// The outputs as a dotenv report: `previous-commit` becomes `ATMOS_PREVIOUS_COMMIT`. Values are
/// single lines there, so a line break is written as `\n`.
///
/// Variables are left out, largest first, until the rest fits.
#[must_use]
pub fn dotenv(outputs: &[Output]) -> Dotenv {
    let mut lines: Vec<_> = outputs
        .iter()
        .map(|output| {
            let key = variable(output.name);
            let line = format!("{key}={}\n", single_line(&output.value));
            (key, line)
        })
        .collect();
    let mut omitted = Vec::new();
    while lines.iter().map(|(_, line)| line.len()).sum::<usize>() > DOTENV_LIMIT {
        let largest = (0..lines.len()).max_by_key(|&index| lines[index].1.len()).unwrap_or_default();
        omitted.push(lines.remove(largest).0);
    }
    Dotenv { text: lines.into_iter().map(|(_, line)| line).collect(), omitted }
}

/// An output's name as the variable of a dotenv report.
#[must_use]
pub fn variable(name: &str) -> String {
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    format!("ATMOS_{name}")
}

fn single_line(value: &str) -> String {
    let lines: Vec<_> = value.lines().collect();
    // Other control characters are dropped.
    lines.join("\\n").replace(char::is_control, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn output(name: &'static str, value: &str) -> Output {
        Output { name, value: value.to_owned() }
    }

    /// Parses the file as the runner does.
    fn read(text: &str) -> Vec<(String, String)> {
        let mut lines = text.split('\n');
        let mut outputs = Vec::new();
        while let Some((name, delimiter)) = lines.next().and_then(|line| line.split_once("<<")) {
            let value: Vec<_> = lines.by_ref().take_while(|line| *line != delimiter).collect();
            outputs.push((name.to_owned(), value.join("\n")));
        }
        outputs
    }

    #[test]
    fn a_value_cannot_set_another_output() {
        let hostile = "x\nD\ncommit=evil\ncommit<<D\nevil\nD";
        let text = github(&[output("result", hostile), output("commit", "abc")], "D");
        assert_eq!(
            read(&text),
            [("result".to_owned(), hostile.to_owned()), ("commit".to_owned(), "abc".to_owned())]
        );
    }

    #[test]
    fn outputs_are_appended_with_a_new_delimiter_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("output");
        append_github(&file, &[output("result", "success")]).unwrap();
        append_github(&file, &[output("commit", "a\nb")]).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(read(&text)[1], ("commit".to_owned(), "a\nb".to_owned()));
        let delimiters: Vec<_> = text.lines().filter_map(|line| Some(line.split_once("<<")?.1)).collect();
        assert_ne!(delimiters[0], delimiters[1]);
    }

    #[test]
    fn a_report_keeps_what_fits() {
        let report = dotenv(&[
            output("result", "success"),
            output("json", &"x".repeat(6000)),
            output("previous-commit", "abc\nATMOS_RESULT=failed\r\n"),
        ]);
        assert_eq!(report.text, "ATMOS_RESULT=success\nATMOS_PREVIOUS_COMMIT=abc\\nATMOS_RESULT=failed\n");
        assert_eq!(report.omitted, ["ATMOS_JSON"]);
    }

    proptest! {
        #[test]
        fn github_reads_back_what_was_written(values in prop::collection::vec("(?s).{0,40}", 1..4)) {
            let outputs: Vec<_> = values.iter().map(|value| output("name", value)).collect();
            let read: Vec<_> = read(&github(&outputs, "D")).into_iter().map(|(_, value)| value).collect();
            prop_assert_eq!(read, values);
        }

        #[test]
        fn a_report_is_one_line_a_variable_and_within_the_limit(values in prop::collection::vec("(?s).{0,3000}", 1..5)) {
            let outputs: Vec<_> = values.iter().map(|value| output("name", value)).collect();
            let report = dotenv(&outputs);
            prop_assert!(report.text.len() <= DOTENV_LIMIT);
            prop_assert!(report.text.lines().all(|line| line.starts_with("ATMOS_NAME=")));
            prop_assert_eq!(report.text.lines().count() + report.omitted.len(), values.len());
        }
    }
}
