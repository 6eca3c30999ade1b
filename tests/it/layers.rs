//! The layers of the crate, read from its sources: the modules that each module may use, and the
//! code that may stand in one place only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The modules that a module may use, beside itself. `cli` and the two roots may use everything.
const LAYERS: [(&str, &[&str]); 25] = [
    ("boundary", &[]),
    ("cancellation", &[]),
    ("text", &[]),
    ("deployment", &[]),
    ("git", &["deployment", "text"]),
    ("config", &["boundary", "deployment"]),
    ("stacks", &["boundary", "deployment", "text"]),
    ("provider", &["deployment", "text"]),
    ("ci", &["boundary", "deployment", "text"]),
    ("component", &["cancellation", "deployment", "text"]),
    ("scheduler", &["cancellation", "deployment"]),
    ("ledger", &["deployment", "git"]),
    ("results", &["deployment", "text"]),
    ("sbom", &["deployment", "text"]),
    ("vendor", &["config", "deployment", "git"]),
    ("execution", &["cancellation", "component", "deployment", "git", "ledger", "scheduler", "text"]),
    ("render", &["deployment", "results", "sbom"]),
    ("error", &["config", "deployment", "execution", "git", "ledger", "render", "text", "vendor"]),
    ("context", &["cancellation", "ci", "component", "error", "git", "render", "text"]),
    ("project", PROJECT),
    ("image", IMAGE),
    (
        "compare",
        &["component", "config", "deployment", "error", "git", "ledger", "project", "render", "vendor"],
    ),
    ("report", REPORT),
    ("rollout", ROLLOUT),
    (
        "preflight",
        &[
            "component",
            "config",
            "context",
            "deployment",
            "error",
            "git",
            "image",
            "project",
            "render",
            "vendor",
        ],
    ),
];

/// The modules for reading and resolving declarations.
const PROJECT: &[&str] = &[
    "boundary",
    "ci",
    "component",
    "config",
    "context",
    "deployment",
    "error",
    "git",
    "ledger",
    "provider",
    "render",
    "stacks",
    "text",
    "vendor",
];

/// The modules for building and recording images.
const IMAGE: &[&str] = &[
    "cancellation",
    "component",
    "config",
    "context",
    "deployment",
    "error",
    "execution",
    "git",
    "ledger",
    "project",
    "render",
    "results",
    "sbom",
    "scheduler",
    "text",
];

/// The modules for reporting the verb of a job.
const REPORT: &[&str] = &[
    "ci",
    "compare",
    "component",
    "config",
    "context",
    "deployment",
    "error",
    "git",
    "image",
    "ledger",
    "project",
    "provider",
    "render",
    "sbom",
    "text",
];

/// The modules for deciding, approving, locking and executing a rollout.
const ROLLOUT: &[&str] = &[
    "cancellation",
    "component",
    "config",
    "context",
    "deployment",
    "error",
    "execution",
    "git",
    "image",
    "ledger",
    "preflight",
    "project",
    "provider",
    "render",
    "sbom",
    "text",
    "vendor",
];

/// Texts that only some files may contain: the texts, the files, and the reason.
const PLACES: [(&[&str], &[&str], &str); 6] = [
    (
        &["serde_json::from_slice", "serde_json::from_reader"],
        &["text/mod.rs"],
        "JSON of other programs is read where byte order marks are known",
    ),
    (
        &["print!(", "println!(", "eprint!(", "eprintln!(", "io::stdout", "io::stderr"],
        &["render/stream.rs"],
        "stdout and stderr are written in one place",
    ),
    (&["octocrab::"], &["provider/github/connection.rs"], "GitHub's crate is used in one place"),
    (
        &["gitlab::api", "AsyncGitlab"],
        &["provider/gitlab/connection.rs"],
        "GitLab's crate is used in one place",
    ),
    (&["Command::new(\"git\")"], &["git/process.rs"], "git is started in one place"),
    (
        &["env::var", "env::args", "env::current_dir", "env::temp_dir", "env::home_dir", "env::current_exe"],
        &["main.rs", "cli/", "context/", "ledger/failpoint.rs"],
        "the environment is read at the edge",
    ),
];

/// A file below `src`.
pub(crate) struct Source {
    /// The path relative to `src`.
    pub(crate) path: String,
    /// The code without comments.
    code: String,
    pub(crate) is_test: bool,
}

#[test]
fn modules_use_only_the_layers_below_them() {
    let allowed: BTreeMap<_, _> = LAYERS.into_iter().collect();
    let mut violations = Vec::new();
    let mut unused: BTreeMap<_, Vec<_>> =
        LAYERS.into_iter().map(|(module, allowed)| (module, allowed.to_vec())).collect();
    for source in sources() {
        let module = source.module().to_owned();
        if ["cli", "main", "lib"].contains(&module.as_str()) {
            continue;
        }
        let Some(allowed) = allowed.get(module.as_str()) else {
            violations.push(format!("{}: the layer of `{module}` is not declared", source.path));
            continue;
        };
        for used in source.used_modules() {
            if let Some(unused) = unused.get_mut(module.as_str()) {
                unused.retain(|layer| *layer != used);
            }
            if used != module && !allowed.contains(&used.as_str()) {
                violations.push(format!("{}: `{module}` uses `{used}`", source.path));
            }
        }
        if source.leaves_by_super() {
            violations.push(format!("{}: `super::` leads out of `{module}`", source.path));
        }
    }
    for (module, layers) in unused {
        violations.extend(layers.iter().map(|layer| format!("`{module}` may use `{layer}` and does not")));
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn what_belongs_in_one_place_stands_in_one_place() {
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test) {
        for (texts, places, why) in PLACES {
            let may = places.iter().any(|place| source.path.starts_with(place));
            for text in texts.iter().filter(|text| !may && contains(source.code_without_tests(), text)) {
                violations.push(format!("{}: `{text}`, but {why}", source.path));
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn used_modules_are_found_in_every_form() {
    let code = "use crate::git::Git;\nuse crate::{\n    deployment::{A, B},\n    ledger,\n};\nfn f() { crate::cli::run() }\n";
    let source = Source::new("render/x.rs", code);
    assert_eq!(source.used_modules(), ["git", "deployment", "ledger", "cli"]);
    let leaves = |path: &str, code: &str| Source::new(path, code).leaves_by_super();
    assert!(leaves("ledger/step.rs", "use super::super::git::Git;"));
    assert!(leaves("ledger/mod.rs", "use super::git::Git;"));
    assert!(!leaves("ledger/step.rs", "use super::git_of;"));
    assert!(!leaves("ledger/mod.rs", "mod tests {\n    use super::*;\n}"));
    assert!(contains("println!(\"\")", "println!("));
    assert!(!contains("eprintln!(\"\")", "println!("));
}

impl Source {
    /// A file that is no test, for tests of these checks.
    pub(crate) fn new(path: &str, code: &str) -> Self {
        Self { path: path.to_owned(), code: without_comments(code), is_test: false }
    }

    /// The top module that the file belongs to.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The depth of the file's module below the crate's root.
    fn depth(&self) -> usize {
        self.path.strip_suffix("/mod.rs").unwrap_or(&self.path).split('/').count()
    }

    /// The top modules named after `crate::`, one by one or in braces.
    fn used_modules(&self) -> Vec<String> {
        let mut used = Vec::new();
        for (at, found) in self.code.match_indices("crate::") {
            if self.code[..at].ends_with(|c: char| c == '_' || c == '$' || c.is_alphanumeric()) {
                continue;
            }
            let rest = &self.code[at + found.len()..];
            match rest.strip_prefix('{') {
                Some(group) => used.extend(top_of_group(group)),
                None => used.push(identifier(rest)),
            }
        }
        used
    }

    /// Whether a path of `super::` reaches the crate's root. Indented code may be in an inner
    /// module.
    fn leaves_by_super(&self) -> bool {
        self.code.lines().any(|line| {
            let inner = usize::from(line.starts_with(' '));
            let longest = "super::".repeat(self.depth() + inner);
            line.contains(&longest)
        })
    }

    /// The code before the unit tests, which stand at the end of their file.
    pub(crate) fn code_without_tests(&self) -> &str {
        let mut at = 0;
        let mut lines = self.code.split_inclusive('\n').peekable();
        while let Some(line) = lines.next() {
            let opens =
                lines.peek().is_some_and(|next| next.contains("mod ") && next.trim_end().ends_with('{'));
            if is_test_attribute(line) && opens {
                return &self.code[..at];
            }
            at += line.len();
        }
        &self.code
    }

    /// The modules that the file declares for tests only, in files of their own.
    fn test_modules(&self) -> Vec<PathBuf> {
        let folder = match Path::new(&self.path) {
            path if path.ends_with("mod.rs") || path.components().count() == 1 => path.with_file_name(""),
            path => path.with_extension(""),
        };
        let lines: Vec<_> = self.code.lines().collect();
        let declared = lines.windows(2).filter(|pair| is_test_attribute(pair[0])).filter_map(|pair| {
            let (_, name) = pair[1].trim().strip_suffix(';')?.rsplit_once("mod ")?;
            Some(folder.join(name))
        });
        declared.collect()
    }
}

fn is_test_attribute(line: &str) -> bool {
    let line = line.trim();
    line == "#[cfg(test)]" || line.starts_with("#[cfg(all(test")
}

/// Whether the code contains a text, other than as the end of a longer word.
fn contains(code: &str, text: &str) -> bool {
    code.match_indices(text).any(|(at, _)| !code[..at].ends_with(|c: char| c == '_' || c.is_alphanumeric()))
}

pub(crate) fn identifier(code: &str) -> String {
    code.chars().take_while(|c| *c == '_' || c.is_alphanumeric()).collect()
}

/// The first names of the items in a group of imports, from the text after its opening brace.
fn top_of_group(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut start = true;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            c if start && !c.is_whitespace() => {
                names.push(identifier(&group[at..]));
                start = false;
            }
            _ => {}
        }
    }
    names
}

/// Every source file of the crate.
pub(crate) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let code = without_comments(&std::fs::read_to_string(&path).unwrap());
                let path = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                sources.push(Source { path, code, is_test: false });
            }
        }
    }
    assert!(sources.len() > 50, "only {} source files were found", sources.len());
    let tests: Vec<_> = sources.iter().flat_map(Source::test_modules).collect();
    for source in &mut sources {
        let path = Path::new(&source.path);
        source.is_test = tests.iter().any(|test| path.starts_with(test) || path == test.with_extension("rs"));
    }
    sources
}

fn without_comments(code: &str) -> String {
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    code.lines().filter(is_code).flat_map(|line| [line, "\n"]).collect()
}
