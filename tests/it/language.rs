//! The language of comments, read from the sources: words that hide who acts, lines that are too
//! wide, and public functions that do not document their errors.
//!
//! Help texts and schema texts are doc comments as well, but they belong to the user interface:
//! their line breaks are visible, and the files in `schema/` are compared with them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The banned words. Better ones name the actor (the run, the caller, another process, the user,
/// untrusted input), or the item that a comment refers back to.
const VAGUE: [&str; 6] = ["anybody", "everybody", "likewise", "nobody", "somebody", "whoever"];

/// The first words of a docstring that name nothing. Better ones are a noun or a verb.
const RIDDLES: [&str; 4] = ["what", "whatever", "who", "whose"];

/// The columns of a line that is a comment. Code may be wider: `max_width` of `rustfmt.toml`.
const COLUMNS: usize = 100;

/// The modules whose public functions document their errors.
const FALLIBLE: [&str; 5] = ["src/execution/", "src/git/", "src/ledger/", "src/provider/", "src/rollout/"];

/// The derived traits that make doc comments texts of the user interface.
const SHOWN_BY: [&str; 5] = ["Args", "JsonSchema", "Parser", "Subcommand", "ValueEnum"];

#[test]
fn comments_are_plain_and_narrow() {
    let findings: Vec<_> = files().iter().flat_map(|(path, code)| findings_in_comments(path, code)).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn public_functions_document_their_errors() {
    let findings: Vec<_> = files()
        .iter()
        .filter(|(path, _)| FALLIBLE.iter().any(|module| path.starts_with(module)))
        .flat_map(|(path, code)| findings_in_functions(path, code))
        .collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn a_vague_word_is_found_in_comments_and_nowhere_else() {
    let found = |code: &str| findings_in_comments("x.rs", code);
    assert_eq!(found("let a = 1;\n// Nobody's.\n"), ["x.rs:2: a comment says `nobody`"]);
    assert_eq!(found("//! Whoever asks.\n"), ["x.rs:1: a comment says `whoever`"]);
    assert_eq!(found("let a = 'a'; // Likewise\n"), ["x.rs:1: a comment says `likewise`"]);
    assert_eq!(found("let quote = '\"'; // somebody\n").len(), 1);
    assert_eq!(found("fn f<'a>(_: &'a str) {} // somebody\n").len(), 1);
    assert_eq!(found("let text = \"\\\\\"; // somebody\n").len(), 1);
    for text in [
        "let text = \"// nobody\";\n",
        "let text = \"\\\"// nobody\";\n",
        "let text = \"a\n// nobody\n\";\n",
        "let text = r#\"\"\n// nobody\n\"#;\n",
        "let text = b\"// nobody\"; let quote = '\\''; let other = \"// nobody\";\n",
        "fn nobody() {}\n// A run of nobodies.\n",
    ] {
        assert_eq!(found(text), [""; 0], "{text}");
    }
}

#[test]
fn a_wide_comment_is_found_unless_it_cannot_be_broken() {
    let wide = |start: &str| format!("{start}{}\n", "word ".repeat(20));
    let found = |code: &str| findings_in_comments("x.rs", code);
    assert_eq!(found(&wide("    /// ")), ["x.rs:1: a comment of 107 columns"]);
    // Columns are characters, not bytes.
    assert_eq!(found(&format!("// {}\n", "é ".repeat(48))), [""; 0]);
    assert_eq!(found(&format!("let text = \"\n{}\";", wide("// "))), [""; 0]);
    assert_eq!(found(&wide("//! | ")), [""; 0]);
    assert_eq!(found(&format!("// <https://example.com/{}>\n", "a".repeat(100))), [""; 0]);
}

#[test]
fn a_docstring_that_opens_with_a_riddle_is_found() {
    let found = |code: &str| findings_in_comments("x.rs", code);
    assert_eq!(found("/// What runs.\nfn f() {}\n"), ["x.rs:1: a docstring opens with `what`"]);
    assert_eq!(found("//! Whose turn it is.\n"), ["x.rs:1: a docstring opens with `whose`"]);
    for text in ["/// The commit.\n/// What else.\n", "// What follows is sorted.\n", "/// Whatsoever\n"] {
        assert_eq!(found(text), [""; 0], "{text}");
    }
}

#[test]
fn texts_of_the_user_interface_are_left_alone() {
    let found = |code: &str| findings_in_comments("x.rs", code);
    let shown = "/// Nobody\n#[derive(Debug, clap::Args)]\npub struct A {\n    /// Nobody\n    a: u8,\n}\n";
    assert_eq!(found(shown), [""; 0]);
    assert_eq!(found(&shown.replace("clap::Args", "Clone")).len(), 2);
    assert_eq!(found(&shown.replace("///", "//")).len(), 2);
    let after = "#[derive(\n    JsonSchema,\n)]\npub struct A(u8);\n\n/// Nobody\nstruct B;\n";
    assert_eq!(found(after), ["x.rs:6: a comment says `nobody`"]);
}

#[test]
fn a_function_without_errors_is_found() {
    let found = |code: &str| findings_in_functions("x.rs", code);
    let expected = ["x.rs:2: `read` returns a `Result` and has no `# Errors`"];
    assert_eq!(found("/// Reads.\npub fn read() -> Result<(), E> {\n"), expected);
    assert_eq!(found("/// Reads.\npub async fn read(\n    a: u8,\n) -> io::Result<()> {\n"), expected);
    for code in [
        "/// # Errors\n///\n/// Fails.\n#[must_use]\npub fn read() -> Result<(), E> {\n",
        "/// # Errors\n#[expect(\n    clippy::x,\n    reason = \"y\"\n)]\npub fn read() -> Result<(), E> {\n",
        "pub fn read(on_end: impl Fn() -> Result<(), E>) -> bool {\n",
        "pub fn read<F: Fn() -> Result<(), E>>(f: F) {\n",
        "pub fn read() -> RunResult {\n",
        "pub(crate) fn read() -> Result<(), E> {\n",
        "fn read() -> Result<(), E> {\n",
    ] {
        assert_eq!(found(code), [""; 0], "{code}");
    }
}

/// Findings in the comments of a file, each with its line.
fn findings_in_comments(path: &str, code: &str) -> Vec<String> {
    let lines: Vec<_> = code.lines().collect();
    let shown = lines_of_the_user_interface(&lines);
    let mut findings = Vec::new();
    for (number, comment) in comments(code) {
        if comment.starts_with("///") && shown.contains(&number) {
            continue;
        }
        for word in words(comment).filter(|word| VAGUE.contains(&word.as_str())) {
            findings.push(format!("{path}:{number}: a comment says `{word}`"));
        }
        if let Some(word) = opening(&lines, number, comment).filter(|word| RIDDLES.contains(&word.as_str())) {
            findings.push(format!("{path}:{number}: a docstring opens with `{word}`"));
        }
        let line = lines[number - 1].trim_end();
        let columns = line.chars().count();
        if columns > COLUMNS && line.trim_start() == comment.trim_end() && can_be_broken(comment) {
            findings.push(format!("{path}:{number}: a comment of {columns} columns"));
        }
    }
    findings
}

/// The first word of a docstring; `None` for its other lines and for other comments.
fn opening(lines: &[&str], number: usize, comment: &str) -> Option<String> {
    let kind = ["///", "//!"].into_iter().find(|kind| comment.starts_with(kind))?;
    let goes_on = number > 1 && lines[number - 2].trim_start().starts_with(kind);
    if goes_on { None } else { words(comment).find(|word| !word.is_empty()) }
}

/// Whether a line is neither a row of a table nor one long word, such as an address.
fn can_be_broken(comment: &str) -> bool {
    let text = comment.trim_start_matches(['/', '!']).trim();
    !text.starts_with('|') && text.contains(' ')
}

/// The public functions of a file that return a `Result` and do not document when it is an error.
fn findings_in_functions(path: &str, code: &str) -> Vec<String> {
    let lines: Vec<_> = code.lines().collect();
    let mut findings = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(declared) = line.trim_start().strip_prefix("pub ") else { continue };
        let mut modifiers = declared;
        while let Some(rest) = ["async ", "const ", "unsafe "].iter().find_map(|m| modifiers.strip_prefix(m))
        {
            modifiers = rest;
        }
        let Some(function) = modifiers.strip_prefix("fn ") else { continue };
        let signature = [&[function], &lines[at + 1..]].concat().join("\n");
        let documented = documentation(&lines[..at]).any(|line| line.trim() == "/// # Errors");
        if !documented
            && returned(&signature).is_some_and(|returned| words_of_code(returned).any(|w| w == "Result"))
        {
            let name: String = function.chars().take_while(|c| is_of_identifier(*c)).collect();
            findings.push(format!("{path}:{}: `{name}` returns a `Result` and has no `# Errors`", at + 1));
        }
    }
    findings
}

/// The comments and attributes right above a line, from the last one up.
fn documentation<'l>(above: &'l [&str]) -> impl Iterator<Item = &'l str> {
    above.iter().rev().copied().take_while(|line| {
        line.trim_start().starts_with("//") || !(line.trim().is_empty() || line.ends_with(['{', '}', ';']))
    })
}

/// The type that a function returns, from the code that follows `fn`. Arrows of closures stand in
/// parentheses or in angle brackets.
fn returned(signature: &str) -> Option<&str> {
    let mut depth = 0_i32;
    let mut before = ' ';
    let mut arrow = None;
    for (at, character) in signature.char_indices() {
        let is_arrow = before == '-' && character == '>';
        before = character;
        match character {
            _ if is_arrow => arrow = arrow.or((depth == 0).then_some(at + 1)),
            '(' | '[' | '<' => depth += 1,
            ')' | ']' | '>' => depth -= 1,
            '{' | ';' if depth == 0 => return arrow.map(|arrow| &signature[arrow..at]),
            _ => {}
        }
    }
    None
}

/// The numbers of the lines of types whose doc comments are help texts or schema texts, with the
/// comments in front.
fn lines_of_the_user_interface(lines: &[&str]) -> BTreeSet<usize> {
    let mut shown = BTreeSet::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.trim_start().starts_with("#[derive("))
    {
        let attribute = &lines[at..=at + lines[at..].iter().position(|line| line.contains(")]")).unwrap()];
        if !attribute.iter().any(|line| words_of_code(line).any(|word| SHOWN_BY.contains(&word))) {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let ends = |line: &&str| {
            line.len() > indent && !line[indent..].starts_with([' ', '/']) && line.ends_with(['}', ';'])
        };
        let last = lines[at..].iter().position(ends).map_or(lines.len(), |length| at + length);
        let first = at - documentation(&lines[..at]).count();
        shown.extend(first + 1..=last + 1);
    }
    shown
}

/// The `//` comments of a file with the numbers of their lines. String literals hold none.
fn comments(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut number = 1;
    let mut at = 0;
    while let Some(character) = code[at..].chars().next() {
        let rest = &code[at..];
        let length = if rest.starts_with("//") {
            let length = rest.find('\n').unwrap_or(rest.len());
            found.push((number, &rest[..length]));
            length
        } else if let Some(length) = raw_string(&code[..at], rest) {
            length
        } else {
            match character {
                '"' => string(rest),
                '\'' => character_or_lifetime(rest),
                character => character.len_utf8(),
            }
        };
        number += rest[..length].matches('\n').count();
        at += length;
    }
    found
}

/// The length of the raw string that `rest` starts with.
fn raw_string(before: &str, rest: &str) -> Option<usize> {
    if before.ends_with(is_of_identifier) {
        return None;
    }
    let opening = rest.strip_prefix(['b', 'c']).unwrap_or(rest).strip_prefix('r')?;
    let quoted = opening.trim_start_matches('#');
    let closing = format!("\"{}", &opening[..opening.len() - quoted.len()]);
    let content = quoted.strip_prefix('"')?;
    let end = content.find(&closing)? + closing.len();
    Some(rest.len() - content.len() + end)
}

/// The length of the string that `rest` starts with.
fn string(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of the character literal that `rest` starts with; of a lifetime, that of its quote.
fn character_or_lifetime(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    let is_escape = characters.next().is_some_and(|(_, character)| character == '\\');
    if is_escape {
        characters.next();
    }
    let mut others =
        characters.map_while(|(at, character)| (is_escape || character == '\'').then_some((at, character)));
    others.find(|(_, character)| *character == '\'').map_or(1, |(at, _)| at + 1)
}

/// The words of a comment, in lower case.
fn words(comment: &str) -> impl Iterator<Item = String> {
    comment.split(|c: char| !c.is_alphabetic()).map(str::to_lowercase)
}

fn words_of_code(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !is_of_identifier(c))
}

fn is_of_identifier(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// The crate's sources and tests: their paths from the crate's root, and their texts.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.join("src"), root.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(files.len() > 100, "only {} files were found", files.len());
    files.sort();
    files
}
