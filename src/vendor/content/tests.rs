use super::*;

fn content(entries: &[(&str, Kind, &str)]) -> Result<Content, String> {
    let entry = |(path, kind, content): &(&str, Kind, &str)| {
        ((*path).to_owned(), Entry { kind: *kind, content: content.as_bytes().to_vec() })
    };
    Content::new(entries.iter().map(entry).collect(), "place").map_err(|error| error.to_string())
}

#[test]
fn hostile_paths_are_refused() {
    for (path, problem) in [
        ("../x", "leads out of its folder"),
        ("a/../../x", "leads out of its folder"),
        ("/etc/passwd", "is an absolute path"),
        ("a//b", "is no plain path"),
        ("./a", "is no plain path"),
        ("a/.GIT/config", "is a folder of git itself"),
        ("a\\..\\b", "is another path on other systems"),
    ] {
        let error = content(&[(path, Kind::File, "")]).unwrap_err();
        assert_eq!(error, format!("place: {path:?} {problem}"));
    }
    assert_eq!(checked_path(b"a\xff"), Err("is not UTF-8"));
}

#[test]
fn paths_that_are_one_where_case_does_not_count_are_refused() {
    let same = |one, other| content(&[(one, Kind::File, ""), (other, Kind::File, "")]).is_err();
    assert!(same("README.md", "readme.md"));
    assert!(same("Modules/a.tf", "modules/b.tf"));
    assert!(same("É", "é"));
    assert!(same("a", "a/b"));
    assert!(!same("a/README.md", "b/readme.md"));
}

#[test]
fn links_may_lead_inside_and_nowhere_else() {
    let file = ("dir/sub/file", Kind::File, "x");
    for inside in ["sub/file", "./sub/../sub", "../dir/sub/file", "nothing/here"] {
        content(&[file, ("dir/link", Kind::Link, inside)]).unwrap();
    }
    for outside in ["/etc/passwd", "../../x", "sub/../../../x", "link"] {
        let error = content(&[file, ("dir/link", Kind::Link, outside)]).unwrap_err();
        assert!(error.ends_with("is a link that leads out of its folder"), "{outside}: {error}");
    }
    // Over another link, which makes the path shorter than it looks.
    let chain = [("a/b/up", Kind::Link, ".."), ("x", Kind::Link, "a/b/up/../../y")];
    assert!(content(&chain).is_err());
}

#[test]
fn the_digest_is_of_paths_kinds_and_contents() {
    let digest = |entries: &[(&str, Kind, &str)]| content(entries).unwrap().digest();
    let one = digest(&[("a", Kind::File, "x"), ("b", Kind::File, "y")]);
    assert_eq!(one, digest(&[("b", Kind::File, "y"), ("a", Kind::File, "x")]));
    for other in [
        &[("a", Kind::File, "y"), ("b", Kind::File, "x")][..],
        &[("a", Kind::Executable, "x"), ("b", Kind::File, "y")],
        &[("a", Kind::File, "x"), ("c", Kind::File, "y")],
        &[("a", Kind::File, "x")],
    ] {
        assert_ne!(digest(other), one);
    }
}

#[test]
fn what_is_written_is_read_again_and_copied() {
    let place = tempfile::tempdir().unwrap();
    let stored = place.path().join("stored");
    let content = content(&[
        ("main.tf", Kind::File, "x"),
        ("bin/run", Kind::Executable, "y"),
        ("bin/link", Kind::Link, "run"),
    ])
    .unwrap();
    content.write(&stored).unwrap();
    assert_eq!(Content::read(&stored).unwrap(), content);
    let mode = |path: std::path::PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(stored.join("main.tf")), mode(stored.join("bin/run"))), (0o444, 0o555));
    let copy = place.path().join("copy");
    content.copy_to(&stored, &copy).unwrap();
    assert_eq!(Content::read(&copy).unwrap(), content);
    assert_eq!((mode(copy.join("main.tf")), mode(copy.join("bin/run"))), (0o644, 0o755));
    fs::write(copy.join("main.tf"), "changed").unwrap();
    assert_eq!(Content::read(&stored).unwrap(), content, "a copy is the file of the cache");
}

#[test]
fn patterns_choose_files() {
    let takes = |included: &[&str], excluded: &[&str], path: &str| {
        let owned = |patterns: &[&str]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>();
        Selection::new(&owned(included), &owned(excluded)).unwrap().takes(path)
    };
    assert!(takes(&[], &[], "a/b"));
    assert!(takes(&["**/*.tf"], &[], "main.tf"));
    assert!(takes(&["**/*.tf"], &[], "a/main.tf"));
    assert!(!takes(&["*.tf"], &[], "a/main.tf"));
    assert!(!takes(&["**/*.tf"], &["**/context.tf"], "context.tf"));
    assert_eq!(Selection::new(&["[".to_owned()], &[]).unwrap_err(), "[");
}
