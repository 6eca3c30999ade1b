//! Slash-separated paths, by the rules of Go's `path`. The file system is not accessed.

use serde_json::Value as Json;

use super::{Outcome, exactly, go_string};

pub(super) fn call(name: &str, arguments: &[Json]) -> Option<Outcome> {
    let name = match name {
        "base" | "osBase" => "Base",
        "dir" | "osDir" => "Dir",
        "clean" | "osClean" => "Clean",
        "ext" | "osExt" => "Ext",
        "isAbs" | "osIsAbs" => "IsAbs",
        name => name.strip_prefix("path.").or_else(|| name.strip_prefix("filepath."))?,
    };
    let texts: Vec<String> = arguments.iter().map(go_string).collect();
    let of_one = |change: &dyn Fn(&str) -> Json| {
        let [_] = exactly(arguments)?;
        Ok(change(&texts[0]))
    };
    Some(match name {
        "Base" => of_one(&|path| base(path).into()),
        "Dir" => of_one(&|path| clean(split(path).0).into()),
        "Clean" => of_one(&|path| clean(path).into()),
        "Ext" => of_one(&|path| extension(path).into()),
        "IsAbs" => of_one(&|path| path.starts_with('/').into()),
        "Split" => of_one(&|path| Json::Array(vec![split(path).0.into(), split(path).1.into()])),
        "ToSlash" | "FromSlash" => of_one(&|path| path.into()),
        "VolumeName" => of_one(&|_| "".into()),
        "Join" => {
            let parts: Vec<&str> = texts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
            Ok(if parts.is_empty() { "".into() } else { clean(&parts.join("/")).into() })
        }
        "Match" => exactly(arguments).and_then(|[_, _]| Ok(matches(&texts[0], &texts[1])?.into())),
        "Rel" => exactly(arguments).and_then(|[_, _]| relative(&texts[0], &texts[1])),
        _ => return None,
    })
}

/// The shortest equivalent path.
fn clean(path: &str) -> String {
    let is_absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if is_absolute => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (is_absolute, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// Splits into the folder with its slash, and the rest.
fn split(path: &str) -> (&str, &str) {
    path.split_at(path.rfind('/').map_or(0, |slash| slash + 1))
}

fn base(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" if path.is_empty() => ".",
        "" => "/",
        path => split(path).1,
    }
}

fn extension(path: &str) -> &str {
    let name = split(path).1;
    name.rfind('.').map_or("", |dot| &name[dot..])
}

fn relative(from: &str, to: &str) -> Outcome {
    let (from, to) = (clean(from), clean(to));
    let parts = |path: &str| -> Vec<String> {
        path.split('/').filter(|part| !matches!(*part, "" | ".")).map(ToOwned::to_owned).collect()
    };
    let (from_parts, to_parts) = (parts(&from), parts(&to));
    let common = from_parts.iter().zip(&to_parts).take_while(|(one, other)| one == other).count();
    if from.starts_with('/') != to.starts_with('/') || from_parts[common..].iter().any(|part| part == "..") {
        return Err(format!("cannot make {to} relative to {from}"));
    }
    let up = from_parts[common..].iter().map(|_| "..");
    let path = up.chain(to_parts[common..].iter().map(String::as_str)).collect::<Vec<_>>().join("/");
    Ok(if path.is_empty() { ".".into() } else { path.into() })
}

/// Whether a whole name matches a pattern: `*` and `?` stop at slashes, `[a-z]` is a class.
fn matches(pattern: &str, name: &str) -> Result<bool, String> {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut position) = (0, 0);
    // The position of the last star in the pattern, and the end of its match in the name.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(at) == Some(&'*') {
            star = Some((at, position));
            at += 1;
            continue;
        }
        let step = match name.get(position) {
            Some(letter) if at < pattern.len() => one_of(&pattern, at, *letter)?,
            Some(_) => None,
            None if at == pattern.len() => return Ok(true),
            None => return Ok(false),
        };
        match (step, star) {
            (Some(next), _) => (at, position) = (next, position + 1),
            (None, Some((begin, taken))) if name.get(taken).is_some_and(|letter| *letter != '/') => {
                star = Some((begin, taken + 1));
                (at, position) = (begin + 1, taken + 1);
            }
            (None, _) => return Ok(false),
        }
    }
}

/// The pattern's next position if its current part matches the letter.
fn one_of(pattern: &[char], at: usize, letter: char) -> Result<Option<usize>, String> {
    let bad = || "cannot read the pattern".to_owned();
    match pattern[at] {
        '?' => Ok((letter != '/').then_some(at + 1)),
        '\\' => pattern.get(at + 1).map(|wanted| (*wanted == letter).then_some(at + 2)).ok_or_else(bad),
        '[' => {
            let mut at = at + 1;
            let is_negated = pattern.get(at) == Some(&'^');
            at += usize::from(is_negated);
            let mut has = false;
            let begin = at;
            let next = |at: &mut usize| -> Result<char, String> {
                *at += usize::from(pattern.get(*at) == Some(&'\\'));
                *at += 1;
                pattern.get(*at - 1).copied().ok_or_else(bad)
            };
            while at == begin || pattern.get(at) != Some(&']') {
                let low = next(&mut at)?;
                let mut high = low;
                if pattern.get(at) == Some(&'-') {
                    at += 1;
                    high = next(&mut at)?;
                }
                has |= (low..=high).contains(&letter);
            }
            Ok((has != is_negated && letter != '/').then_some(at + 1))
        }
        wanted => Ok((wanted == letter).then_some(at + 1)),
    }
}
