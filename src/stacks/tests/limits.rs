//! Manifests that would cost too much: each is refused by the limit that it exceeds.

use std::fmt::Write;

use super::super::limits::{BASES, IMPORT_DEPTH, INCLUDE_DEPTH, INCLUDES, INHERITANCE_DEPTH};
use super::{Tree, find, find_by, settings};

const APP: &str = "vars: {stage: dev}\ncomponents: {terraform: {app: {}}}\n";

/// The error of looking up `app` in the stack `dev`.
fn refusal(tree: &Tree) -> String {
    find_by(tree, &settings(), "dev", "app").unwrap_err().to_string()
}

/// A stack whose component includes a file.
fn including(file: &str) -> Tree {
    let text = format!(
        "vars: {{stage: dev}}\ncomponents: {{terraform: {{app: {{vars: {{a: !include stacks/{file}}}}}}}}}\n"
    );
    Tree::default().with("deploy/dev.yaml", &text)
}

#[test]
fn imports_are_followed_only_so_deep() {
    let chain = |length: usize| {
        let first = format!("import: [c/1]\n{APP}");
        let tree = Tree::default().with("deploy/dev.yaml", &first);
        (1..length).fold(tree.with(&format!("c/{length}.yaml"), "vars: {x: 1}\n"), |tree, file| {
            tree.with(&format!("c/{file}.yaml"), &format!("import: [c/{}]\n", file + 1))
        })
    };
    find(&chain(IMPORT_DEPTH), "dev", "app");
    let refused = refusal(&chain(IMPORT_DEPTH + 1));
    assert!(refused.contains("files import each other more than 50 deep: import the innermost"), "{refused}");
    assert!(refusal(&chain(5000)).contains("more than 50 deep"));
}

#[test]
fn files_that_mean_something_else_to_each_importer_are_merged_only_so_often() {
    let mut tree = Tree::default()
        .with("deploy/dev.yaml", &format!("import: [{{path: c/a0, context: {{x: 1}}}}]\n{APP}"));
    for file in 0..20 {
        let text = format!("import: [c/a{0}, c/b{0}]\n", file + 1);
        tree = tree.with(&format!("c/a{file}.yaml"), &text).with(&format!("c/b{file}.yaml"), &text);
    }
    let tree = tree.with("c/a20.yaml", "vars: {x: 1}\n").with("c/b20.yaml", "vars: {x: 1}\n");
    let refused = refusal(&tree);
    assert!(refused.contains("one stack imports more than 10000 files"), "{refused}");
}

#[test]
fn includes_are_counted_across_the_files_that_include_each_other() {
    let mut tree = including("m/1.yaml");
    for file in 1..INCLUDE_DEPTH {
        let mut text = String::new();
        for key in 0..10 {
            writeln!(text, "k{key}: !include ./{}.yaml", file + 1).unwrap();
        }
        tree = tree.with(&format!("m/{file}.yaml"), &text);
    }
    let refused = refusal(&tree.with(&format!("m/{INCLUDE_DEPTH}.yaml"), "z: 1\n"));
    assert!(
        refused.contains(&format!("more than {INCLUDES} files are included: include fewer")),
        "{refused}"
    );
}

#[test]
fn the_bytes_and_the_values_of_included_files_are_counted() {
    let many = |file: &str| {
        let keys: Vec<_> = (0..100).map(|key| format!("k{key}: !include ./{file}\n")).collect();
        including("m/many.yaml").with("m/many.yaml", &keys.concat())
    };
    let text = format!("t: {}\n", "x".repeat(1 << 20));
    let refused = refusal(&many("big.yaml").with("m/big.yaml", &text));
    assert!(refused.contains("more than 64 MiB are included"), "{refused}");
    let text = "a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n\
                c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\n";
    let refused = refusal(&many("aliases.yaml").with("m/aliases.yaml", text));
    assert!(refused.contains("more than 1000000 values are included"), "{refused}");
}

#[test]
fn a_file_that_includes_itself_is_refused_where_that_is_needed() {
    let tree = including("m/s.yaml").with("m/s.yaml", "a: !include ./s.yaml\nb: 1\n");
    let refused = refusal(&tree);
    assert!(refused.contains("goes in a circle"), "{refused}");
    // Another part of the same file does not depend on it.
    let tree = including("m/s.yaml .b").with("m/s.yaml", "a: !include ./s.yaml\nb: 1\n");
    assert_eq!(find(&tree, "dev", "app").sections["vars"]["a"], 1);
}

#[test]
fn components_inherit_only_so_deep_and_from_so_many() {
    let chain = |length: usize| {
        let mut text = "vars: {stage: dev}\ncomponents:\n  terraform:\n".to_owned();
        for base in 1..length {
            writeln!(text, "    b{base}: {{metadata: {{inherits: [b{}]}}}}", base + 1).unwrap();
        }
        write!(text, "    b{length}: {{}}\n    app: {{metadata: {{inherits: [b1]}}}}\n").unwrap();
        Tree::default().with("deploy/dev.yaml", &text)
    };
    find(&chain(INHERITANCE_DEPTH), "dev", "app");
    let refused = refusal(&chain(INHERITANCE_DEPTH + 1));
    assert!(
        refused.contains("app inherits through more than 50 components: inherit from fewer"),
        "{refused}"
    );
    assert!(refusal(&chain(5000)).contains("more than 50 components"));

    let mut text = "vars: {stage: dev}\ncomponents:\n  terraform:\n".to_owned();
    for base in 0..26 {
        for name in ["b", "c"] {
            let next = base + 1;
            writeln!(text, "    {name}{base}: {{metadata: {{inherits: [b{next}, c{next}]}}}}").unwrap();
        }
    }
    text.push_str("    b26: {}\n    c26: {}\n    app: {metadata: {inherits: [b0]}}\n");
    let refused = refusal(&Tree::default().with("deploy/dev.yaml", &text));
    assert!(refused.contains(&format!("inherits from more than {BASES} components")), "{refused}");
}
