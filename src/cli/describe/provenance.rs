//! `--provenance`: the source location of each value of a component.

use serde_json::{Value, json};

use crate::stacks::{Provenance, line_of};

/// Adds a comment to each value in a YAML text whose source is known. `above` are the keys that
/// lead to the shown part; without them no source is known.
pub(super) fn annotated(text: String, above: Option<&[&str]>, provenance: &[Provenance]) -> String {
    let Some(above) = above.filter(|_| !provenance.is_empty()) else { return text };
    let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
    for found in provenance {
        let path: Vec<&str> = found.path.iter().map(String::as_str).collect();
        let Some(below) = path.strip_prefix(above).filter(|below| !below.is_empty()) else { continue };
        let line = line_of(&text, below).and_then(|line| lines.get_mut(line - 1));
        if let Some(line) = line {
            line.push_str("  # ");
            line.push_str(&place(found));
        }
    }
    lines.join("\n") + "\n"
}

fn place(found: &Provenance) -> String {
    match found.line {
        Some((line, _)) => format!("{}:{line}", found.file),
        None => found.file.clone(),
    }
}

/// The source locations as a list, for programs.
pub(super) fn document(provenance: &[Provenance]) -> Value {
    let entry = |found: &Provenance| {
        let mut entry = json!({ "path": found.path.join("."), "file": found.file });
        if let Some((line, column)) = found.line {
            entry["line"] = line.into();
            entry["column"] = column.into();
        }
        entry
    };
    provenance.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_place_behind_them() {
        let found = |path: &str, line| Provenance {
            path: path.split('.').map(ToOwned::to_owned).collect(),
            file: "stacks/dev.yaml".to_owned(),
            line,
        };
        let provenance =
            [found("vars.a", Some((3, 5))), found("vars.text", None), found("env.a", Some((9, 1)))];
        let text = "a: 1\ntext: |-\n  a: 2\nlist:\n- 1\n".to_owned();
        assert_eq!(
            annotated(text.clone(), Some(&["vars"]), &provenance),
            "a: 1  # stacks/dev.yaml:3\ntext: |-  # stacks/dev.yaml\n  a: 2\nlist:\n- 1\n"
        );
        assert_eq!(annotated(text.clone(), None, &provenance), text);
        assert_eq!(document(&provenance[1..2]), json!([{"path": "vars.text", "file": "stacks/dev.yaml"}]));
    }
}
