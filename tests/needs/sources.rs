//! Reads the tools that tests need from the attributes that have the compiler ignore them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A test that is ignored under some conditions.
#[derive(Clone)]
pub struct Test {
    /// The name, as the test runner prints it.
    pub name: String,
    /// `without_terraform` and the like; any of them ignores the test.
    pub conditions: BTreeSet<String>,
}

/// Returns the tests below a folder of the repository that need a tool, in the order of their
/// names.
pub fn tests(folder: &str) -> Vec<Test> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = Vec::new();
    for file in files(&root) {
        let module = file.strip_prefix(&root).unwrap_or(&file).with_extension("");
        let parts = module.components().map(|part| part.as_os_str().to_string_lossy());
        let parts: Vec<_> = parts.filter(|part| !["lib", "main", "mod"].contains(&part.as_ref())).collect();
        let text = fs::read_to_string(&file).unwrap_or_default();
        found.extend(tests_in(&text, &parts.join("::")));
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let (folders, mut files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.retain(|path| path.extension().is_some_and(|ending| ending == "rs"));
    files.extend(folders.iter().flat_map(|folder| self::files(folder)));
    files
}

/// Returns the tests of a file that need a tool. Their names start with the path of its module.
fn tests_in(text: &str, module: &str) -> Vec<Test> {
    let mut found = Vec::new();
    let mut inner = String::new();
    let mut conditions = BTreeSet::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(" {")) {
            inner = format!("::{name}");
        } else if line == "}" {
            // A closing brace without indentation ends an item, or the inner module.
            inner.clear();
        } else if line.trim_start().starts_with("#[cfg_attr(") {
            let words = line.split(|character: char| !(character.is_alphanumeric() || character == '_'));
            conditions.extend(words.filter(|word| word.starts_with("without_")).map(str::to_owned));
        } else if let Some((_, after)) = line.split_once("fn ") {
            let conditions = std::mem::take(&mut conditions);
            if !conditions.is_empty() {
                let name = after.split('(').next().unwrap_or_default();
                found.push(Test { name: format!("{module}{inner}::{name}"), conditions });
            }
        }
    }
    found
}
