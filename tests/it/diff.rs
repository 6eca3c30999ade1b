//! `diff` against plain git, on a history of twenty thousand commits with merges.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Checkout, TestEnvironment};

/// The number of commits of the generated history.
const COMMITS: usize = 20_000;

/// A stream for `git fast-import`.
#[derive(Default)]
struct Stream(String);

impl Stream {
    /// Adds a commit to a branch. `parents` has the lines for its parents, unless its only parent
    /// is the branch's newest commit.
    fn commit(&mut self, branch: &str, at: usize, parents: &str, changes: &str) {
        let time = 1_700_000_000 + at;
        let message = format!("Change {at}");
        let length = message.len();
        let _ = write!(
            self.0,
            "commit refs/heads/{branch}\ncommitter Ada <ada@example.com> {time} +0000\ndata {length}\n{message}\n\
             {parents}{changes}\n"
        );
    }

    /// The line of a commit that writes a file.
    fn file(path: &str, content: &str) -> String {
        format!("M 100644 inline {path}\ndata {}\n{content}\n", content.len())
    }
}

/// Adds a history to `main`: work on two lines that are merged now and then, on many files; some
/// appear, some go, one is renamed, one is binary. Returns the ends of `main` and of a fork that is
/// never merged.
fn generate(checkout: &Checkout<'_>) -> [String; 2] {
    let mut stream = Stream::default();
    for at in 0..COMMITS {
        let change = match at % 1000 {
            500 => Stream::file(&format!("src/new/{at}.txt"), "appears\n"),
            501 => format!("D src/new/{}.txt\n", at - 1),
            700 => Stream::file("services/api/config.bin", &format!("\0binary {at}")),
            _ => Stream::file(
                &format!("src/{}/file-{}.txt", at % 40, at % 7),
                &format!("line one\nline {at}\nline three\n"),
            ),
        };
        match at % 20 {
            // A side branch starts from `main`, goes on, and is merged.
            10 => stream.commit("side", at, "from refs/heads/main\n", &change),
            11..=14 => stream.commit("side", at, "", &change),
            15 => stream.commit("main", at, "merge refs/heads/side\n", &change),
            0 if at == 0 => stream.commit("main", at, "from refs/heads/main^0\n", &change),
            _ => stream.commit("main", at, "", &change),
        }
        // The fork starts half-way, between two merges.
        if at == COMMITS / 2 + 3 {
            stream.commit("fork", at, "from refs/heads/main\n", "R src/0/file-0.txt src/renamed.txt\n");
            stream.commit("fork", at, "", &Stream::file("services/worker/version", "fork\n"));
            for own in 0..50 {
                stream.commit("fork", at, "", &Stream::file(&format!("fork/{own}.txt"), "fork\n"));
            }
        }
    }
    let mut import = checkout
        .environment
        .command("git", &checkout.path)
        .args(["fast-import", "--quiet", "--force"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    import.stdin.take().unwrap().write_all(stream.0.as_bytes()).unwrap();
    assert!(import.wait().unwrap().success());
    ["main", "fork"].map(|branch| checkout.git(&["rev-parse", &format!("refs/heads/{branch}")]))
}

/// The files between two commits in plain git's numstat: path to lines added and removed.
fn numstat(checkout: &Checkout<'_>, from: &str, to: &str) -> BTreeMap<String, (u64, u64)> {
    let lines = checkout.git(&["diff", "--numstat", "--no-renames", from, to]);
    lines
        .lines()
        .map(|line| {
            let mut fields = line.split('\t');
            let mut number = || fields.next().unwrap().parse().unwrap_or_default();
            let counts = (number(), number());
            (fields.next().unwrap().to_owned(), counts)
        })
        .collect()
}

/// The same from a document: a rename counts as one file removed and one added.
fn files(document: &Value) -> BTreeMap<String, (u64, u64)> {
    let mut files = BTreeMap::new();
    for file in document["files"].as_array().unwrap() {
        let lines = |key: &str| file[key].as_u64().unwrap();
        files.insert(
            file["path"].as_str().unwrap().to_owned(),
            (lines("lines_added"), lines("lines_removed")),
        );
    }
    files
}

#[test]
fn two_targets_differ_as_plain_git_says() {
    let environment = TestEnvironment::new();
    let checkout = environment.payment_service("checkout");
    let [main, fork] = generate(&checkout);
    assert!(checkout.git(&["rev-list", "--count", "main"]).parse::<usize>().unwrap() > COMMITS - 10);
    let count = |range: &str| checkout.git(&["rev-list", "--count", range]).parse::<u64>().unwrap();
    let older = checkout.git(&["rev-parse", "refs/heads/main~3000"]);
    for (prod, staging) in [(&older, &main), (&main, &older), (&fork, &main), (&main, &fork), (&main, &main)]
    {
        for (target, commit) in [("prod", prod), ("staging", staging)] {
            for component in ["api", "worker", "database"] {
                let name = format!("refs/atmos/deployments/payment-service/{target}/{component}");
                checkout.git(&["update-ref", &name, commit]);
            }
        }
        let document = checkout
            .json("deployment diff payment-service --from-target prod --to-target staging --show-files");
        assert_eq!(document["kind"], "DeploymentDiff");
        assert_eq!(document["from"]["commit"], prod.as_str());
        assert_eq!(document["to"]["commit"], staging.as_str());
        assert_eq!(document["commits_ahead"], json!(count(&format!("{staging}..{prod}"))));
        assert_eq!(document["commits_behind"], json!(count(&format!("{prod}..{staging}"))));
        let mut expected = numstat(&checkout, prod, staging);
        let mut found = files(&document);
        // Detected renames are shown as such; the names of both sides are compared.
        for file in document["files"].as_array().unwrap() {
            if let Some(previous) = file.get("previous_path").and_then(Value::as_str) {
                expected.remove(previous).unwrap();
                expected.remove(file["path"].as_str().unwrap()).unwrap();
                found.remove(file["path"].as_str().unwrap());
            }
        }
        assert_eq!(found, expected, "{prod} {staging}");
        let changed = if prod == staging { "no_change" } else { "changed" };
        for component in document["components"].as_array().unwrap() {
            assert_eq!(component["change"], changed, "{component}");
        }
    }
    let diff = |ends: &str| checkout.atmos(&format!("deployment diff payment-service {ends} --exit-code"));
    diff(&format!("--from-sha {older} --to-sha {main}")).exited(5);
    diff(&format!("--from-sha {main} --to-sha {main}")).exited(0);
}

#[test]
fn the_commits_between_are_those_of_plain_git() {
    let environment = TestEnvironment::new();
    let checkout = environment.payment_service("checkout");
    let first = checkout.head();
    let mut commits = Vec::new();
    for version in ["2", "3", "4"] {
        commits.insert(0, checkout.commit_version(version));
    }
    let document = checkout
        .json(&format!("deployment diff payment-service --from-sha {first} --to-sha {}", &commits[0][..10]));
    let listed: Vec<_> =
        document["commits"].as_array().unwrap().iter().map(|c| c["commit"].as_str().unwrap()).collect();
    assert_eq!(listed, commits);
    assert_eq!(document["commits"][0]["summary"], "Version 4");
    assert!(document.get("files").is_none());
    checkout
        .atmos(&format!("deployment diff payment-service --from-sha {first} --to-sha HEAD --show-code"))
        .succeeded()
        .shows("services/api/version")
        .shows("+4")
        .shows("-1");
}

#[test]
fn configuration_is_compared_as_each_commit_declares_it() {
    let environment = TestEnvironment::new();
    let checkout = environment.payment_service("checkout");
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    checkout.atmos("deployment rollout payment-service --target staging --promote-from dev").succeeded();
    let path = "deployments/payment-service.yaml";
    let file = std::fs::read_to_string(checkout.path.join(path)).unwrap();
    checkout.write(path, &file.replace("cpu: 256", "cpu: 300").replace("Payment processing", "Payment"));
    checkout.commit("More");
    checkout.atmos("deployment rollout payment-service --target dev --component api").succeeded();
    let document = checkout.json("deployment diff payment-service --from-target staging --to-target dev");
    let configuration = document["configuration"].as_array().unwrap();
    let of = |path: &str| {
        let found = configuration.iter().find(|difference| difference["path"] == path);
        found.unwrap_or_else(|| panic!("no {path} in {configuration:#?}")).clone()
    };
    // Only `api` runs from the commit with the changed value.
    let cpu = |path: &str, to: u64| json!({"path": path, "from": 512, "to": to, "change": "decreased"});
    assert_eq!(of("api.context.cpu"), cpu("api.context.cpu", 300));
    assert_eq!(of("worker.context.cpu"), cpu("worker.context.cpu", 256));
    assert_eq!(of("context.memory")["change"], "decreased");
    let changes: BTreeMap<_, _> = document["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["component"].as_str().unwrap(), c["change"].as_str().unwrap()))
        .collect();
    assert_eq!(
        changes,
        BTreeMap::from([("api", "changed"), ("database", "no_change"), ("worker", "no_change")])
    );
    let only = checkout
        .json("deployment diff payment-service --from-target staging --to-target dev --component worker");
    assert_eq!(only["components"].as_array().unwrap().len(), 1);
}

#[test]
fn a_target_where_nothing_runs_cannot_be_compared() {
    let environment = TestEnvironment::new();
    let checkout = environment.payment_service("checkout");
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    checkout
        .atmos("deployment diff payment-service --from-target prod --to-target dev")
        .refused(2, "nothing is deployed to prod")
        .says("atmos deployment status payment-service");
}

#[test]
fn another_commit_is_not_a_change_of_what_it_leaves_alone() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let file = "deployments/payment-service.yaml";
    let declared = std::fs::read_to_string(checkout.path.join(file)).unwrap();
    // Each component uses its own folder alone.
    let mut apart = declared;
    for component in ["api", "worker", "database"] {
        let whole = format!("apply: [./services/{component}/deploy.sh]");
        let own = format!("apply: [./deploy.sh], working_directory: services/{component}");
        apart = apart.replace(&whole, &own);
    }
    checkout.write(file, &apart);
    let first = checkout.commit("Apart");
    for component in ["api", "worker", "database"] {
        checkout.git(&[
            "push",
            "--quiet",
            "origin",
            &format!("HEAD:refs/atmos/deployments/payment-service/dev/{component}"),
        ]);
    }
    checkout.write("services/api/version", "2\n");
    checkout.write(file, &apart.replace("      worker:\n", "      worker:\n        vars: { size: 2 }\n"));
    let second = checkout.commit("Of two components");
    let changes = |ends: &str| {
        let document = checkout.json(&format!("deployment diff payment-service {ends}"));
        let components = document["components"].as_array().unwrap().clone();
        let of = |component: &Value| {
            let text = |key: &str| component[key].as_str().unwrap().to_owned();
            (text("component"), text("change"))
        };
        components.iter().map(of).collect::<BTreeMap<_, _>>()
    };
    let expected = [("api", "changed"), ("worker", "changed"), ("database", "other_commit")];
    let expected: BTreeMap<_, _> =
        expected.iter().map(|(name, change)| ((*name).to_owned(), (*change).to_owned())).collect();
    for ends in
        [format!("--from-target dev --to-sha {second}"), format!("--from-sha {first} --to-sha {second}")]
    {
        assert_eq!(changes(&ends), expected, "{ends}");
    }
    let run = checkout
        .atmos(&format!("deployment diff payment-service --from-target dev --to-sha {second} --exit-code"));
    run.exited(5).shows("other commit, nothing of it changed");
}
