//! The file that a command writes its outputs to.
//!
//! Lines of `key=value`, and for multi-line values the form of GitHub's job outputs:
//! `key<<DELIMITER`, the lines of the value, `DELIMITER`. A repeated key replaces its value.

use std::io::{self, Read};
use std::path::Path;

use crate::deployment::definition::Values;

/// The maximum size of an outputs file, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// An outputs file that is invalid.
#[derive(Debug, thiserror::Error)]
pub enum OutputsError {
    #[error("it cannot be read")]
    Unreadable(#[from] io::Error),
    #[error("it is larger than {LARGEST} bytes")]
    TooLarge,
    #[error("it is not UTF-8")]
    NotUtf8,
    #[error("line {line} is neither \"key=value\" nor \"key<<DELIMITER\"")]
    NoKey { line: usize },
    #[error("the value of {key:?}, which begins in line {line}, has no closing {delimiter:?}")]
    NoEnd { key: String, delimiter: String, line: usize },
}

/// Parses the outputs that a command has written to a file. A missing file means no outputs.
pub(super) fn read(path: &Path) -> Result<Values, OutputsError> {
    let mut bytes = Vec::new();
    match std::fs::File::open(path) {
        Ok(file) => file.take(LARGEST + 1).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Values::new()),
        Err(error) => return Err(error.into()),
    };
    if bytes.len() as u64 > LARGEST {
        return Err(OutputsError::TooLarge);
    }
    parse(&String::from_utf8(bytes).map_err(|_| OutputsError::NotUtf8)?)
}

fn parse(text: &str) -> Result<Values, OutputsError> {
    let mut outputs = Values::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        // The first delimiter decides: values may contain the other one.
        let assignment = line.find('=');
        let here_document = line.find("<<").filter(|at| assignment.is_none_or(|assignment| *at < assignment));
        let (key, value) = match (here_document, assignment) {
            (Some(at), _) => {
                let (key, delimiter) = (line[..at].trim(), line[at + 2..].trim());
                let no_end = || OutputsError::NoEnd {
                    key: key.to_owned(),
                    delimiter: delimiter.to_owned(),
                    line: index + 1,
                };
                let mut value = Vec::new();
                loop {
                    match lines.next() {
                        Some((_, line)) if line == delimiter => break,
                        Some((_, line)) => value.push(line),
                        None => return Err(no_end()),
                    }
                }
                (key, value.join("\n"))
            }
            (None, Some(at)) => (line[..at].trim(), line[at + 1..].to_owned()),
            (None, None) => return Err(OutputsError::NoKey { line: index + 1 }),
        };
        if key.is_empty() {
            return Err(OutputsError::NoKey { line: index + 1 });
        }
        outputs.insert(key.to_owned(), value.into());
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_are_read() {
        let text =
            "url=https://example.com/?a=b<<c\n\nnotes<<END\nfirst = 1\n\nlast\nEND\r\nempty=\nurl=again\n";
        assert_eq!(
            serde_json::Value::from(parse(text).unwrap()),
            json!({"url": "again", "notes": "first = 1\n\nlast", "empty": ""})
        );
    }

    #[test]
    fn what_is_neither_is_refused_with_its_line() {
        assert_eq!(
            parse("a=1\nhello\n").unwrap_err().to_string(),
            "line 2 is neither \"key=value\" nor \"key<<DELIMITER\""
        );
        assert!(matches!(parse("=1\n"), Err(OutputsError::NoKey { line: 1 })));
        assert!(matches!(parse("a<<EOF\n1\n"), Err(OutputsError::NoEnd { line: 1, .. })));
    }
}
