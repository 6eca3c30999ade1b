//! `go.sum`, and `go.mod` beside it.
//!
//! `go.sum` also has checksums of versions that were considered and not chosen. Since Go 1.17
//! `go.mod` names every chosen module; then only these count, each as its replacement.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::files::{self, ReadError};
use super::super::package::Package;
use super::super::purl;

/// A module's path and version.
type Module<'t> = (&'t str, &'t str);

pub(super) fn read(file: &Path, text: &str) -> Result<Vec<Package>, ReadError> {
    let module = files::text(&file.with_file_name("go.mod")).unwrap_or_default();
    let chosen = chosen(&module);
    let mut packages = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let [module, version, checksum] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err(ReadError::malformed(file, "a line is not module, version and checksum"));
        };
        // The checksum of a module's go.mod alone says that it was looked at.
        if version.ends_with("/go.mod") {
            continue;
        }
        if chosen.as_ref().is_some_and(|chosen| !chosen.contains(&(module, version))) {
            continue;
        }
        packages.push(Package {
            name: module.to_owned(),
            version: Some(version.to_owned()),
            purl: purl::package("golang", module, Some(version)),
            // Of a list of files, not of one: no algorithm of the standards has a name for it.
            properties: vec![("go:h1".to_owned(), checksum.to_owned())],
            ..Package::default()
        });
    }
    Ok(packages)
}

/// The modules that a `go.mod` chooses; `None` where it does not name all of them.
fn chosen(text: &str) -> Option<Vec<Module<'_>>> {
    let directives = directives(text);
    let of = |verb: &str| -> Vec<&[&str]> {
        let all = directives.iter().filter(|(directive, _)| *directive == verb);
        all.map(|(_, words)| words.as_slice()).collect()
    };
    if !of("go").first().is_some_and(|words| names_everything(words)) {
        return None;
    }
    let required: Vec<_> = of("require").into_iter().filter_map(as_module).collect();
    if required.is_empty() {
        return None;
    }
    // By path, and by the version that is replaced: all of them where it is empty.
    let replacements: BTreeMap<Module<'_>, &[&str]> = of("replace")
        .into_iter()
        .filter_map(|words| {
            let arrow = words.iter().position(|word| *word == "=>")?;
            let (from, to) = (&words[..arrow], &words[arrow + 1..]);
            Some(((*from.first()?, from.get(1).copied().unwrap_or_default()), to))
        })
        .collect();
    let replaced = |(path, version): Module<'_>| {
        replacements.get(&(path, version)).or_else(|| replacements.get(&(path, ""))).copied()
    };
    // Replaced by a folder, it is the application's own.
    Some(required.into_iter().filter_map(|module| replaced(module).map_or(Some(module), as_module)).collect())
}

fn as_module<'t>(words: &[&'t str]) -> Option<Module<'t>> {
    if let [path, version] = words { Some((path, version)) } else { None }
}

/// Whether a `go.mod` of this version of the language names indirect needs as well.
fn names_everything(version: &[&str]) -> bool {
    let mut numbers = version.first().copied().unwrap_or_default().split('.');
    let mut number = || numbers.next().and_then(|number| number.parse::<u32>().ok());
    (number(), number()) >= (Some(1), Some(17))
}

/// The directives of a `go.mod`, each with its words: those of a block one by one.
fn directives(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut block = None;
    let mut found = Vec::new();
    for line in text.lines() {
        // A comment.
        let line = line.split("//").next().unwrap_or_default();
        let mut words = line.split_whitespace();
        match (block, line.trim()) {
            (_, "") => {}
            (_, ")") => block = None,
            (Some(verb), _) => found.push((verb, words.collect())),
            (None, line) => {
                let verb = words.next().unwrap_or_default();
                if line.ends_with('(') {
                    block = Some(verb.trim_end_matches('('));
                } else {
                    found.push((verb, words.collect()));
                }
            }
        }
    }
    found
}
