//! The keys of `atmos.yaml` that are not read: those that would change the meaning of others are
//! refused, likely typos are reported, and those of Atmos's other commands are ignored.

use super::problem::Problems;
use super::yaml::{Entry, Node, Value};
use crate::deployment::nearest::nearest;

/// A key that changes the meaning of others, and the alternative to it.
const REFUSED: [(&str, &str); 2] = [
    ("import", "write what the imported files say into this file"),
    ("edition", "leave it out: stacks mean what the newest edition says"),
];

/// The sections that this program reads, with their keys known to Atmos or to this program. Known
/// keys that are not read here do not affect stacks.
const KNOWN: [(&[&str], &[&str]); 3] = [
    (
        &[],
        &[
            "base_path",
            "stacks",
            "components",
            "settings",
            "templates",
            "integrations",
            "deployments",
            "ci",
            "env",
            "import",
            "edition",
            "vendor",
            "workflows",
            "logs",
            "commands",
            "aliases",
            "schemas",
            "validate",
            "docs",
            "version",
            "stores",
            "auth",
            "profiles",
            "toolchain",
            "devcontainer",
            "telemetry",
            "help",
            "errors",
            "list",
            "describe",
            "profiler",
            "secrets",
            "metadata",
            "git",
            "generate",
            "initialized",
            "vars",
            "terraform",
            "helmfile",
            "packer",
            "ansible",
            "lsp",
            "mcp",
            "ai",
            "cache",
            "experimental",
            "hooks",
        ],
    ),
    (
        &["stacks"],
        &["base_path", "included_paths", "excluded_paths", "name_pattern", "name_template", "inherit"],
    ),
    (&["deployments"], &["base_path", "remote", "template_env", "rules_from", "ignore", "auth", "ledger"]),
];

/// Reports refused keys and likely typos.
pub(super) fn check(root: &Node, problems: &mut Problems<'_>) {
    for Entry { key, node } in root.entries() {
        let is_empty = matches!(node.value, Value::Null) || is_empty_list(node);
        if let Some((name, hint)) = REFUSED.iter().find(|(name, _)| *name == key.text)
            && !is_empty
        {
            let message =
                format!("`{name}` of atmos.yaml is not supported, and changes what the rest of it means");
            problems.error(key.span, message, Some((*hint).to_owned()));
        }
    }
    for (section, known) in KNOWN {
        let entries = match section {
            [] => root.entries(),
            path => root.entry(path).map(|entry| entry.node.entries()).unwrap_or_default(),
        };
        for Entry { key, .. } in entries.iter().filter(|entry| !known.contains(&entry.key.text.as_str())) {
            if let Some(nearest) = nearest(&key.text, known.iter().copied()) {
                let message = format!("`{}` is no key that is known here, and is not read", key.text);
                problems.warning(key.span, message, Some(format!("did you mean `{nearest}`?")));
            }
        }
    }
}

fn is_empty_list(node: &Node) -> bool {
    matches!(node.value, Value::List(_)) && node.items().is_empty()
}
