use super::*;

/// The packages of a lock file with this content: name, version, whether for development alone.
fn read(name: &str, content: &str) -> Vec<(String, String, bool)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, content).unwrap();
    let packages = lock_file_packages(&file).unwrap();
    packages
        .into_iter()
        .map(|package| (package.name, package.version.unwrap_or_else(|| "-".to_owned()), package.development))
        .collect()
}

fn named(found: &[(String, String, bool)]) -> Vec<(&str, &str)> {
    found.iter().map(|(name, version, _)| (name.as_str(), version.as_str())).collect()
}

#[test]
fn cargo_leaves_out_the_workspace_itself() {
    let found = read(
        "Cargo.lock",
        "version = 4\n[[package]]\nname = \"own\"\nversion = \"0.1.0\"\ndependencies = [\"serde\"]\n\
         [[package]]\nname = \"serde\"\nversion = \"1.0.1\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n\
         checksum = \"0000000000000000000000000000000000000000000000000000000000000000\"\n",
    );
    assert_eq!(named(&found), [("serde", "1.0.1")]);
}

#[test]
fn npm_reads_every_version_of_its_file() {
    let third = r#"{"lockfileVersion": 3, "packages": {
        "": {"name": "own", "version": "1.0.0"},
        "packages/lib": {"version": "1.0.0"},
        "node_modules/lib": {"resolved": "packages/lib", "link": true},
        "node_modules/@babel/core": {"version": "7.1.0", "integrity": "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk="},
        "node_modules/a/node_modules/b": {"version": "2.0.0", "dev": true},
        "node_modules/alias": {"name": "real", "version": "3.0.0"}}}"#;
    let found = read("package-lock.json", third);
    assert_eq!(named(&found), [("@babel/core", "7.1.0"), ("b", "2.0.0"), ("real", "3.0.0")]);
    assert!(found[1].2);
    let first = r#"{"lockfileVersion": 1, "dependencies": {
        "a": {"version": "1.0.0", "dependencies": {"b": {"version": "2.0.0"}}},
        "c": {"version": "npm:@x/real@3.0.0"}, "own": {"version": "file:packages/own"}}}"#;
    assert_eq!(
        named(&read("package-lock.json", first)),
        [("a", "1.0.0"), ("b", "2.0.0"), ("@x/real", "3.0.0")]
    );
}

#[test]
fn go_counts_what_was_chosen() {
    let sum = "golang.org/x/net v0.16.0 h1:a=\ngolang.org/x/net v0.16.0/go.mod h1:b=\n\
               golang.org/x/net v0.17.0 h1:c=\ngolang.org/x/net v0.17.0/go.mod h1:d=\n";
    assert_eq!(read("go.sum", sum).len(), 2, "without a go.mod, everything that was downloaded");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("go.sum"), sum).unwrap();
    let module = "module x\n\ngo 1.21\n\nrequire (\n\tgolang.org/x/net v0.17.0 // indirect\n)\n";
    std::fs::write(folder.path().join("go.mod"), module).unwrap();
    let packages = lock_file_packages(&folder.path().join("go.sum")).unwrap();
    assert_eq!(packages.len(), 1);
    assert_eq!(packages[0].purl.as_deref(), Some("pkg:golang/golang.org/x/net@v0.17.0"));
}

#[test]
fn go_counts_what_replaces_a_module() {
    let sum = "a.org/a v1.0.0 h1:a=\na.org/fork v1.0.1 h1:b=\na.org/b v1.0.0 h1:c=\na.org/c v1.0.0 h1:d=\n\
               a.org/d v2.0.0 h1:e=\na.org/looked-at v1.0.0 h1:f=\n";
    let requires = "require (\n\ta.org/a v1.0.0\n\ta.org/b v1.0.0 // indirect\n\ta.org/c v1.0.0\n)\n\
                    require a.org/d v1.0.0\n\
                    replace (\n\ta.org/a => a.org/fork v1.0.1\n\ta.org/b v0.9.0 => ../old\n\ta.org/c v1.0.0 => ./c\n)\n\
                    replace a.org/d v1.0.0 => a.org/d v2.0.0 // a fix\n";
    let count = |version: &str| -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("go.sum"), sum).unwrap();
        std::fs::write(folder.path().join("go.mod"), format!("module x\n\n{version}\n{requires}")).unwrap();
        let packages = lock_file_packages(&folder.path().join("go.sum")).unwrap();
        packages
            .iter()
            .map(|package| format!("{}@{}", package.name, package.version.as_deref().unwrap()))
            .collect()
    };
    assert_eq!(count("go 1.21.3"), ["a.org/fork@v1.0.1", "a.org/b@v1.0.0", "a.org/d@v2.0.0"]);
    assert_eq!(count("go 1.17").len(), 3);
    // Before, indirect needs were in go.sum alone.
    assert_eq!(count("go 1.16").len(), 6);
    assert_eq!(count("").len(), 6);
}

#[test]
fn python_has_three_kinds_of_files() {
    let poetry = "[[package]]\nname = \"click\"\nversion = \"8.1.7\"\ngroups = [\"main\"]\n\
                  [[package]]\nname = \"pytest\"\nversion = \"8.0.0\"\ngroups = [\"dev\"]\n[metadata]\nlock-version = \"2.1\"\n";
    let found = read("poetry.lock", poetry);
    assert_eq!(named(&found), [("click", "8.1.7"), ("pytest", "8.0.0")]);
    assert_eq!((found[0].2, found[1].2), (false, true));
    let folder = "[[package]]\nname = \"own\"\nversion = \"0.1.0\"\n[package.source]\ntype = \"directory\"\nurl = \"../own\"\n";
    assert!(read("poetry.lock", folder).is_empty());
    let uv = "version = 1\n[[package]]\nname = \"own\"\nversion = \"0.1.0\"\nsource = { virtual = \".\" }\n\
              [[package]]\nname = \"idna\"\nversion = \"3.6\"\nsource = { registry = \"https://pypi.org/simple\" }\n";
    assert_eq!(named(&read("uv.lock", uv)), [("idna", "3.6")]);
    let requirements = "# comment\n-r other.txt\nflask[async]==3.0.0 ; python_version > '3.8'  # why\n\
                        requests>=2\ndjango == 4.2.* \ncertifi==2024.2.2 \\\n    --hash=sha256:abc\n./local\n";
    assert_eq!(
        named(&read("requirements.txt", requirements)),
        [("flask", "3.0.0"), ("requests", "-"), ("django", "-"), ("certifi", "2024.2.2")]
    );
}

#[test]
fn gems_and_composer_packages_are_read() {
    let gems = "GIT\n  remote: https://example.com/x.git\n  revision: abc\n  specs:\n    x (0.1.0)\n\n\
                PATH\n  remote: .\n  specs:\n    own (1.0.0)\n\nGEM\n  remote: https://rubygems.org/\n  specs:\n    \
                rack (3.0.8)\n    sinatra (4.0.0)\n      rack (>= 3.0.0)\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n  sinatra\n";
    assert_eq!(named(&read("Gemfile.lock", gems)), [("x", "0.1.0"), ("rack", "3.0.8"), ("sinatra", "4.0.0")]);
    let composer = r#"{"packages": [{"name": "monolog/monolog", "version": "3.5.0", "dist": {"shasum": ""}}],
                       "packages-dev": [{"name": "phpunit/phpunit", "version": "10.5.0"}]}"#;
    let found = read("composer.lock", composer);
    assert_eq!(named(&found), [("monolog/monolog", "3.5.0"), ("phpunit/phpunit", "10.5.0")]);
    assert!(found[1].2);
}

#[test]
fn a_broken_file_costs_its_own_packages_alone() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("services/api");
    std::fs::create_dir_all(&source).unwrap();
    for (name, content) in [
        ("Cargo.lock", "[[package"),
        ("package-lock.json", "[".repeat(100_000).as_str()),
        ("go.sum", "one two three four\n"),
        ("composer.lock", "{\"packages\": 1}"),
        ("Gemfile.lock", "nonsense: true\n    a b\n"),
        ("requirements.txt", "idna==3.6\n"),
    ] {
        std::fs::write(source.join(name), content).unwrap();
    }
    let (packages, problems) = application_packages(folder.path(), &source);
    assert_eq!(packages.len(), 1);
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(problems[0].to_string().contains("Cargo.lock is not what its name says"), "{}", problems[0]);
}

#[test]
fn a_lock_file_above_counts_where_there_is_none_below() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("checkout/services/api");
    std::fs::create_dir_all(&source).unwrap();
    std::fs::write(folder.path().join("requirements.txt"), "outside==1\n").unwrap();
    let root = folder.path().join("checkout");
    assert!(application_packages(&root, &source).0.is_empty(), "nothing outside of the checkout counts");
    std::fs::write(root.join("requirements.txt"), "inside==1\n").unwrap();
    assert_eq!(application_packages(&root, &source).0[0].name, "inside");
    std::fs::create_dir(source.join("node_modules")).unwrap();
    std::fs::write(source.join("node_modules/requirements.txt"), "installed==1\n").unwrap();
    assert_eq!(application_packages(&root, &source).0[0].name, "inside");
}
