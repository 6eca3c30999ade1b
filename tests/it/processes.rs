//! The number of git processes that a verb starts: a constant, however many records there are.

use crate::support::{Checkout, TestEnvironment};

/// Puts a `git` first on the path that logs each start by `atmos`.
fn count_git(environment: &mut TestEnvironment) {
    let real = environment.git(&environment.path(""), &["--exec-path"]);
    let log = environment.path("git-processes");
    let checkout = Checkout::new(environment, environment.path("counting"));
    let script = format!("#!/bin/sh\necho \"$*\" >> {}\nexec {real}/git \"$@\"\n", log.display());
    checkout.write_script("git", &script);
    let path = format!("{}:{}", environment.path("counting").display(), std::env::var("PATH").unwrap());
    environment.set("PATH", &path);
}

/// The number of git processes that a command starts.
fn processes(checkout: &Checkout<'_>, line: &str) -> usize {
    let log = checkout.environment.path("git-processes");
    let _ = std::fs::remove_file(&log);
    checkout.atmos(line).succeeded();
    std::fs::read_to_string(log).unwrap_or_default().lines().count()
}

#[test]
fn their_number_does_not_grow_with_the_history() {
    let mut environment = TestEnvironment::new();
    count_git(&mut environment);
    let environment = environment;
    let (checkout, _remote) = environment.with_remote();
    for target in ["dev", "staging --promote-from dev", "prod --promote-from staging --approve why"] {
        checkout.atmos(&format!("deployment rollout payment-service --target {target}")).succeeded();
    }
    let lines = [
        "deployment status payment-service --target dev",
        "deployment status",
        "deployment history payment-service --target dev",
        "deployment list",
        "deployment locks",
        "deployment promotion-status payment-service",
        "deployment diff payment-service --from-target dev --to-target prod",
    ];
    // A first run, which does not count, brings both measurements to a refreshed checkout.
    let count = || lines.map(|line| (processes(&checkout, line), processes(&checkout, line)).1);
    let few = count();
    let message =
        "atmos.tools/v1alpha1\nkind: Deployment\n---\ndeployed_by: ci@example.com\nstatus: success\n";
    for minute in 10..60 {
        for component in ["api", "worker", "database"] {
            let tag = format!("atmos/deployments/payment-service/dev/{component}/2025-01-22T10-{minute}-00Z");
            checkout.git(&["tag", "-a", "-m", message, &tag, "HEAD"]);
        }
    }
    checkout.git(&["push", "--quiet", "origin", "refs/tags/atmos/*:refs/tags/atmos/*"]);
    assert_eq!(count(), few, "{lines:#?}");
    assert!(few.iter().all(|number| *number <= 12), "{few:?} {lines:#?}");
}

#[test]
fn the_commit_of_the_rules_comes_with_the_ledger_and_only_where_it_is_needed() {
    let mut environment = TestEnvironment::new();
    count_git(&mut environment);
    let environment = environment;
    let (checkout, _remote) = environment.with_remote();
    let fetches = |line: &str| {
        processes(&checkout, line);
        let log = std::fs::read_to_string(environment.path("git-processes")).unwrap();
        log.lines().filter(|line| line.contains(" fetch ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let of_rollout = fetches("deployment rollout payment-service --target dev");
    let with_rules: Vec<_> = of_rollout.iter().filter(|fetch| fetch.contains("+HEAD:")).collect();
    assert!(!with_rules.is_empty(), "{of_rollout:#?}");
    assert!(with_rules.iter().all(|fetch| fetch.contains("refs/atmos/deployments/")), "{of_rollout:#?}");
    assert_eq!(checkout.git(&["rev-parse", "refs/atmos-rules/origin/default"]), checkout.head());
    for line in ["deployment status", "deployment history payment-service --target dev"] {
        let of_reading = fetches(line);
        assert!(!of_reading.is_empty(), "{line}");
        assert!(!of_reading.iter().any(|fetch| fetch.contains("atmos-rules")), "{of_reading:#?}");
    }
}

#[test]
fn signing_costs_one_process_a_record_and_one_before() {
    let mut environment = TestEnvironment::new();
    count_git(&mut environment);
    let environment = environment;
    let (checkout, _remote) = environment.with_remote();
    let line = "deployment rollout payment-service --target dev";
    // A first rollout, which does not count, brings both measurements to a refreshed checkout.
    checkout.atmos(line).succeeded();
    checkout.commit_version("1");
    let unsigned = processes(&checkout, line);
    // A fake signing program: its signatures cannot be verified, and it needs no installed gpg.
    let program = Checkout::new(&environment, environment.path("signer"));
    let script = "#!/bin/sh\ncat > /dev/null\necho '[GNUPG:] SIG_CREATED ' >&2\necho '-----BEGIN PGP SIGNATURE-----'\n";
    program.write_script("sign", script);
    checkout.git(&["config", "tag.gpgSign", "true"]);
    checkout.git(&["config", "gpg.program", environment.path("signer/sign").to_str().unwrap()]);
    checkout.commit_version("2");
    assert_eq!(processes(&checkout, line), unsigned + 3 + 1);
}
