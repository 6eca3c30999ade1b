//! Circles between files: files of the crate that use each other, directly or through others.
//!
//! Arrows between a module and those below it are not counted. A re-exported item (`pub use`)
//! counts as used from the file that defines it.

use std::collections::{BTreeMap, BTreeSet};

use crate::layers::{Source, identifier, sources};

/// The path of a module or of an item in it, from the crate's root.
type Path = Vec<String>;

/// An item or a module that an import brings into its file.
struct Import {
    path: Path,
    /// The name in the file; `*` for everything.
    name: String,
    is_public: bool,
}

struct Module {
    file: String,
    imports: Vec<Import>,
    /// The code without the imports.
    body: String,
}

/// The modules of the crate, by their paths.
struct Modules(BTreeMap<Path, Module>);

#[test]
fn no_files_use_each_other() {
    let circles = Modules::new(&sources()).circles();
    let shown: Vec<_> = circles.iter().map(|(_, arrows)| arrows.join("\n  ")).collect();
    assert!(shown.is_empty(), "circles between files:\n  {}", shown.join("\n\n  "));
}

#[test]
fn circles_are_found_in_every_form() {
    let circles = |files: &[(&str, &str)]| {
        let source = |(path, code): &(&str, &str)| Source::new(path, code);
        let sources: Vec<_> = files.iter().map(source).collect();
        let found = Modules::new(&sources).circles();
        found.into_iter().map(|(circle, _)| circle.join(" ")).collect::<Vec<_>>()
    };
    let back = ("m/b.rs", "fn g() { crate::m::a::f() }");
    let root = ("m/mod.rs", "mod a;\nmod b;\npub use b::{g, T};\n");
    for forth in [
        "use super::b::g;",
        "use crate::{\n    m::{b::{T, g as h}},\n};",
        "use crate::m::g;",
        "use super::b;\nfn f() { b::g() }",
        "use super::T as U;",
        "fn f() -> super::T { super::b::g() }",
        "use super::b::T;\n#[cfg(test)]\nmod tests {\n    use super::super::x;\n}",
    ] {
        assert_eq!(circles(&[root, back, ("m/a.rs", forth)]), ["m/a.rs m/b.rs"], "{forth}");
    }
    for other in [
        "use super::c::g;",
        "use b::T;",
        "fn f() { let b = 1; }",
        "#[cfg(test)]\nmod tests {\n    use super::super::b::g;\n}",
    ] {
        assert_eq!(circles(&[root, back, ("m/a.rs", other)]), [""; 0], "{other}");
    }
    // A circle of three files, with one arrow through a re-export; a module and those below it are
    // none.
    let files = [
        ("m/mod.rs", "pub mod a;\nuse a::f;\npub struct S;"),
        ("m/a.rs", "use super::S;\nuse crate::n;\nfn f() { n::g() }"),
        ("n/mod.rs", "mod b;\npub use self::b::*;"),
        ("n/b.rs", "use crate::o::h;\npub fn g() {}"),
        ("o.rs", "use crate::m::a;\npub fn h() { a::f() }"),
    ];
    assert_eq!(circles(&files), ["m/a.rs n/b.rs o.rs"]);
}

impl Modules {
    fn new(sources: &[Source]) -> Self {
        let modules = sources.iter().filter(|source| !source.is_test).map(|source| {
            let (imports, body) = split_imports(source.code_without_tests());
            (module_path(&source.path), Module { file: source.path.clone(), imports, body })
        });
        let mut modules = Self(modules.collect());
        let known: BTreeSet<Path> = modules.0.keys().cloned().collect();
        for (path, module) in &mut modules.0 {
            module.imports.retain_mut(|import| {
                match absolute(&|path| known.contains(path), path, &import.path) {
                    Some(absolute) => {
                        import.path = absolute;
                        true
                    }
                    None => false,
                }
            });
        }
        modules
    }

    /// The files of each circle in their order, with the arrows that close it.
    fn circles(&self) -> Vec<(Vec<String>, Vec<String>)> {
        let arrows: BTreeMap<&Path, BTreeMap<Path, String>> =
            self.0.keys().map(|path| (path, self.used_by(path))).collect();
        let reachable = |from: &Path| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
            while let Some(module) = open.pop() {
                open.extend(arrows[module].keys().filter(|used| seen.insert((*used).clone())));
            }
            seen
        };
        let reached: BTreeMap<&Path, BTreeSet<Path>> =
            self.0.keys().map(|path| (path, reachable(path))).collect();
        let circle_of = |path: &Path| -> BTreeSet<&Path> {
            reached[path]
                .iter()
                .filter_map(|other| reached.get_key_value(other))
                .filter(|(_, back)| back.contains(path))
                .map(|(other, _)| *other)
                .collect()
        };
        let circles: BTreeSet<_> = self.0.keys().map(circle_of).filter(|circle| circle.len() > 1).collect();
        let described = circles.into_iter().map(|circle| {
            let file = |path: &Path| self.0[path].file.clone();
            let between = |from: &Path| {
                let used = arrows[from].iter().filter(|(to, _)| circle.contains(to));
                used.map(|(to, name)| format!("{} -> {}: {name}", file(from), file(to))).collect::<Vec<_>>()
            };
            (
                circle.iter().map(|path| file(path)).collect(),
                circle.iter().flat_map(|path| between(path)).collect(),
            )
        });
        described.collect()
    }

    /// The modules that a module uses, each with the name of an item that it takes from there.
    fn used_by(&self, path: &Path) -> BTreeMap<Path, String> {
        let module = &self.0[path];
        let known = |path: &[String]| self.0.contains_key(path);
        let imported =
            module.imports.iter().filter(|import| !import.is_public).map(|import| import.path.clone());
        let named = names_in(&module.body).into_iter().filter_map(|name| {
            let by_import = module.imports.iter().find(|import| import.name == name[0]);
            match by_import {
                Some(import) => Some([&import.path[..], &name[1..]].concat()),
                None => absolute(&known, path, &name),
            }
        });
        let mut used = BTreeMap::new();
        for name in imported.chain(named) {
            // A path that ends at a module does not tell yet which items are used.
            if let Some((owner, item)) = self.owner(&name, 0)
                && !owner.starts_with(path)
                && !path.starts_with(&owner)
            {
                used.entry(owner).or_insert(item);
            }
        }
        used
    }

    /// Resolves a path to the module that defines its item, and the name there. `None` for a
    /// module.
    fn owner(&self, name: &[String], hops: usize) -> Option<(Path, String)> {
        let depth = (0..=name.len()).rev().find(|depth| self.0.contains_key(&name[..*depth]))?;
        let (path, rest) = name.split_at(depth);
        let item = rest.first()?;
        let handed_on =
            |import: &&Import| import.is_public && (import.name == *item || self.has_all(import, item));
        match self.0[path].imports.iter().find(handed_on).filter(|_| hops < 8) {
            Some(import) if import.name == "*" => self.owner(&[&import.path[..], rest].concat(), hops + 1),
            Some(import) => self.owner(&[&import.path[..], &rest[1..]].concat(), hops + 1),
            None => Some((path.to_vec(), item.clone())),
        }
    }

    /// Whether the import takes everything of a module that defines the item.
    fn has_all(&self, import: &Import, item: &str) -> bool {
        let defines = |module: &Module| {
            let kinds = ["fn", "struct", "enum", "trait", "type", "const", "static", "mod"];
            kinds.iter().any(|kind| module.body.contains(&format!("pub {kind} {item}")))
        };
        import.name == "*" && self.0.get(&import.path).is_some_and(defines)
    }
}

/// The path of a file's module.
fn module_path(file: &str) -> Path {
    let path = file.strip_suffix("/mod.rs").or_else(|| file.strip_suffix(".rs")).unwrap_or(file);
    if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// Resolves a path in a module to one from the crate's root; `None` if it leads out of the crate.
fn absolute(is_known: &dyn Fn(&[String]) -> bool, module: &[String], name: &[String]) -> Option<Path> {
    let ups = name.iter().take_while(|part| *part == "super").count();
    match name.first()?.as_str() {
        "crate" => Some(name[1..].to_vec()),
        "self" => Some([module, &name[1..]].concat()),
        "super" => Some([module.get(..module.len().checked_sub(ups)?)?, &name[ups..]].concat()),
        first => {
            let child = [module, &[first.to_owned()]].concat();
            is_known(&child).then(|| [module, name].concat())
        }
    }
}

/// The imports of a file, with paths as they are written, and the rest of its code.
fn split_imports(code: &str) -> (Vec<Import>, String) {
    let (mut imports, mut body) = (Vec::new(), String::new());
    let mut lines = code.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let start = line.trim_start();
        let (visibility, declared) = match start.strip_prefix("use ") {
            Some(declared) => ("", declared),
            None => match start.split_once("use ") {
                Some((visibility, declared)) if visibility.starts_with("pub") => (visibility, declared),
                _ => {
                    body.push_str(line);
                    continue;
                }
            },
        };
        let mut declared = declared.to_owned();
        while !declared.contains(';') {
            let Some(line) = lines.next() else { break };
            declared.push_str(line);
        }
        let tree = declared.split(';').next().unwrap_or_default();
        add_imports(tree, &[], !visibility.is_empty(), &mut imports);
    }
    (imports, body)
}

/// Adds the imports of a tree (`a::{b, c as d}`) below a prefix.
fn add_imports(tree: &str, prefix: &[String], is_public: bool, imports: &mut Vec<Import>) {
    let parts = |text: &str| {
        text.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    if let Some((before, group)) = tree.split_once('{') {
        let prefix = [prefix, &parts(before)].concat();
        let group = group.rsplit_once('}').map_or(group, |(group, _)| group);
        let (mut depth, mut start) = (0, 0);
        for (at, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    add_imports(&group[start..at], &prefix, is_public, imports);
                    start = at + 1;
                }
                _ => {}
            }
        }
        add_imports(&group[start..], &prefix, is_public, imports);
        return;
    }
    let (path, renamed) = match tree.split_once(" as ") {
        Some((path, name)) => (path, Some(name.trim().to_owned())),
        None => (tree, None),
    };
    let mut path = [prefix, &parts(path)].concat();
    let Some(last) = path.last().cloned() else { return };
    if last == "self" || last == "*" {
        path.pop();
    }
    if tree.trim().is_empty() {
        return;
    }
    let own_name = if last == "self" { path.last().cloned().unwrap_or_default() } else { last };
    imports.push(Import { path, name: renamed.unwrap_or(own_name), is_public });
}

/// All paths of two names or more in a file's code.
fn names_in(body: &str) -> Vec<Path> {
    let mut names = Vec::new();
    let mut rest = body;
    while let Some(at) = rest.find("::") {
        let before = &rest[..at];
        let first: String = before.chars().rev().take_while(|c| *c == '_' || c.is_alphanumeric()).collect();
        let is_start = !before[..before.len() - first.len()].ends_with([':', '.', '$']);
        let mut path: Path = vec![first.chars().rev().collect()];
        rest = &rest[at..];
        while let Some(next) = rest.strip_prefix("::") {
            let part = identifier(next);
            if part.is_empty() {
                rest = next;
                break;
            }
            rest = &next[part.len()..];
            path.push(part);
        }
        if is_start && !path[0].is_empty() && path.len() > 1 {
            names.push(path);
        }
    }
    names
}
