//! Late records: any command publishes them later, under the locks, and takes nothing back that was
//! recorded since. Unreadable ones stay.

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Checkout, Clone, Remote, Run, TestEnvironment, wait_until};

const DEPLOYMENT: &str = "payment-service";
const ROLLOUT: &str = "deployment rollout payment-service --target dev --component worker";
const STATUS: &str = "deployment status payment-service --target dev";
const HISTORY: &str = "deployment history payment-service --target dev --component worker";

/// A hook that refuses records and nothing else.
const CLOSED: &str = "#!/bin/sh\nif grep -q refs/tags/atmos; then echo closed >&2; exit 1; fi\n";

/// A rollout of one component whose record the remote refused. The remote accepts everything again.
fn kept<'e>(checkout: &Checkout<'e>, remote: &Remote<'e>) {
    remote.hook("pre-receive", CLOSED);
    checkout.atmos(ROLLOUT).exited(1);
    std::fs::remove_file(remote.path.join("hooks/pre-receive")).unwrap();
    assert_eq!(remote.records(DEPLOYMENT, "dev", "worker"), [""; 0]);
    assert_eq!(pending(checkout).len(), 1, "a run that has ended leaves its records free to be published");
}

fn pending(checkout: &Checkout<'_>) -> Vec<String> {
    let refs = checkout.git(&["for-each-ref", "--format=%(refname)", "refs/atmos/pending"]);
    refs.lines().map(str::to_owned).collect()
}

/// The texts of the component's records.
fn records(remote: &Remote<'_>) -> Vec<String> {
    let tags = remote.records(DEPLOYMENT, "dev", "worker");
    tags.iter().map(|tag| remote.git(&["cat-file", "-p", tag])).collect()
}

fn is_published(run: &Run) -> bool {
    run.stderr.contains("Published")
}

#[test]
fn what_was_kept_goes_up_as_it_was_where_nothing_has_come_since() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    kept(&checkout, &remote);
    let run = checkout.atmos(STATUS).succeeded();
    assert!(run.stderr.contains("Published 1 record that an earlier run had kept\n"), "{}", run.report());
    assert_eq!(remote.verify_chain(DEPLOYMENT, "dev", "worker"), 1);
    assert_eq!(remote.state(DEPLOYMENT, "dev", "worker"), checkout.head());
    assert!(!records(&remote)[0].contains("late_of"));
    assert_eq!(remote.locks(), [""; 0]);
    assert_eq!(pending(&checkout), [""; 0]);
    assert!(!is_published(&checkout.atmos(STATUS).succeeded()), "there is nothing left");
}

#[test]
fn what_has_come_since_stays_and_the_late_record_says_that_it_is_late() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let other = environment.clone(&remote.url(), "other", Clone::default());
    kept(&checkout, &remote);
    let keeper = pending(&checkout).pop().unwrap();
    let batch = checkout.git(&["rev-parse", &keeper]);

    let newer = other.commit_version("2");
    other.git(&["push", "--quiet"]);
    other.atmos(ROLLOUT).succeeded();
    checkout.atmos(STATUS).succeeded().says("1 of them late");
    for again in [false, true] {
        if again {
            // The state after a command that was killed before it could clean up.
            checkout.git(&["update-ref", &keeper, batch.trim()]);
            checkout.atmos(STATUS).succeeded();
        }
        assert_eq!(remote.verify_chain(DEPLOYMENT, "dev", "worker"), 2, "one chain, each record once");
        assert_eq!(remote.state(DEPLOYMENT, "dev", "worker"), newer);
        assert_eq!(pending(&checkout), [""; 0]);
    }
    let all = records(&remote);
    let late: Vec<_> = all.iter().filter(|record| record.contains("late_of: ")).collect();
    let [late] = late[..] else { panic!("{all:#?}") };
    assert!(late.contains("published_by: ada@example.com\n"), "{late}");
    assert!(late.contains("original: |\n  object "), "{late}");

    // Every reader sees the newer commit running, and the late record at its own time.
    for reader in [&checkout, &other, &environment.clone(&remote.url(), "fresh", Clone::SHALLOW)] {
        let status = reader.json(STATUS);
        let component = &status["deployments"][0]["targets"][0]["components"][0];
        assert_eq!(component["commit"], Value::from(newer.as_str()), "{component:#}");
        assert_eq!(component["status"], "success");
        let history = reader.atmos(HISTORY).succeeded();
        let lines: Vec<_> = history.stdout.lines().filter(|line| line.contains("worker")).collect();
        assert!(lines[0].contains(&newer[..7]), "{}", history.report());
        assert!(lines[1].contains("late"), "{}", history.report());
    }
    // The next record follows the late one, and the state moves on.
    let third = other.commit_version("3");
    other.git(&["push", "--quiet"]);
    other.atmos(ROLLOUT).succeeded();
    assert_eq!(remote.verify_chain(DEPLOYMENT, "dev", "worker"), 3);
    assert_eq!(remote.state(DEPLOYMENT, "dev", "worker"), third);
    assert!(records(&remote).iter().any(|record| record.contains("number: 3\n")));
}

#[test]
fn what_is_kept_waits_for_the_lock_of_a_run_that_works() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let other = environment.clone(&remote.url(), "other", Clone::default());
    kept(&checkout, &remote);
    let newer = other.commit_version("2");
    other.git(&["push", "--quiet"]);
    let (started, go) = (environment.path("started"), environment.path("go"));
    let wait = format!(
        "touch {}; for try in $(seq 1200); do [ -e {} ] && break; sleep 0.05; done",
        started.display(),
        go.display()
    );
    let working = other.start(ROLLOUT, &[("TEST_DO", &wait)]);
    wait_until("the other run works", || started.exists());
    let run = checkout.atmos(STATUS).succeeded();
    assert!(run.stderr.contains("are published when ada@example.com has let go"), "{}", run.report());
    assert_eq!(records(&remote).len(), 0);
    std::fs::write(go, "").unwrap();
    working.wait().succeeded();
    checkout.atmos(STATUS).succeeded().says("late");
    assert_eq!(remote.state(DEPLOYMENT, "dev", "worker"), newer);
    assert_eq!(remote.verify_chain(DEPLOYMENT, "dev", "worker"), 2);
}

#[test]
fn a_freeze_does_not_stop_what_has_happened_from_being_published() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    kept(&checkout, &remote);
    checkout.atmos("deployment lock payment-service --target dev --reason freeze").succeeded();
    checkout.atmos(STATUS).succeeded();
    assert_eq!(remote.verify_chain(DEPLOYMENT, "dev", "worker"), 1);
    assert_eq!(remote.locks(), ["refs/atmos/locks/payment-service/dev/%target"]);
}

#[test]
fn what_cannot_be_read_stays_and_is_named() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let commit = checkout.head();
    let tag = format!(
        "object {commit}\ntype commit\ntag atmos/deployments/payment-service/dev/worker/2026-01-01T00-00-00Z\n\
         tagger x <x@x> 1700000000 +0000\n\natmos.tools/v1beta1\nkind: Deployment\n---\nstatus: success\n"
    );
    let newer = format!("{}\n{tag}\n", tag.len());
    for (content, why) in [
        (newer.as_str(), "update atmos"),
        (&newer[..newer.len() / 2], "is cut off, and stays"),
        ("no batch at all", "is cut off, and stays"),
    ] {
        checkout.write("batch", content);
        let object = checkout.git(&["hash-object", "-w", "batch"]);
        let name = format!("refs/atmos/pending/newer/%records-{}", object.trim());
        checkout.git(&["update-ref", &name, object.trim()]);
        for _ in 0..2 {
            let run = checkout.atmos(STATUS).succeeded().says(why);
            assert!(!is_published(&run), "{}", run.report());
            assert_eq!(pending(&checkout), [name.as_str()]);
        }
        checkout.git(&["update-ref", "-d", &name]);
    }
    assert_eq!(remote.refs("refs/tags/"), [""; 0]);
}

#[test]
fn a_missing_object_is_no_reason_to_forget_what_it_held() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    kept(&checkout, &remote);
    let [name] = &pending(&checkout)[..] else { panic!() };
    let object = checkout.git(&["rev-parse", name]);
    let file = checkout.path.join(".git/objects").join(&object[..2]).join(object[2..].trim());
    let aside = environment.path("aside");
    std::fs::rename(&file, &aside).unwrap();
    checkout.atmos(STATUS).succeeded().says("cannot be read, and stays");
    std::fs::rename(&aside, &file).unwrap();
    checkout.atmos(STATUS).succeeded().says("Published 1 record");
    assert_eq!(remote.verify_chain(DEPLOYMENT, "dev", "worker"), 1);
}

#[test]
fn without_atomic_pushes_a_record_that_arrived_by_half_is_completed() {
    let environment = TestEnvironment::new();
    for refused in ["refs/tags/*", "refs/atmos/latest/*", "refs/atmos/deployments/*"] {
        let remote = environment.bare(&format!("{}.git", refused.len()), &[]);
        let checkout = environment.payment_service(&format!("checkout-{}", refused.len()));
        checkout.git(&["remote", "add", "origin", &remote.url()]);
        checkout.git(&["push", "--quiet", "--set-upstream", "origin", "main"]);
        remote.git(&["config", "receive.advertiseAtomic", "false"]);
        remote.hook("update", &format!("#!/bin/sh\ncase $1 in {refused}) echo closed >&2; exit 1;; esac\n"));
        checkout.atmos(ROLLOUT).exited(1);
        std::fs::remove_file(remote.path.join("hooks/update")).unwrap();
        checkout.atmos(STATUS).succeeded();
        assert_eq!(remote.verify_chain(DEPLOYMENT, "dev", "worker"), 1, "{refused}");
        assert_eq!(remote.state(DEPLOYMENT, "dev", "worker"), checkout.head(), "{refused}");
        assert_eq!(pending(&checkout), [""; 0], "{refused}");
        assert_eq!(remote.locks(), [""; 0], "{refused}");
    }
}

#[test]
fn no_run_takes_another_ones_id() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let other = environment.clone(&remote.url(), "other", Clone::default());
    let started = environment.path("started");
    let wait = format!("touch {}; sleep 600", started.display());
    let first = checkout.start(ROLLOUT, &[("ATMOS_RUN_ID", "github:100/1"), ("TEST_DO", &wait)]);
    wait_until("the first run works", || started.exists());
    // The other run sees the first one alive, and finds it dead afterwards.
    other.atmos_with(ROLLOUT, &[("ATMOS_RUN_ID", "github:200/1")]).exited(4);
    first.signal(Signal::KILL);
    first.wait().killed();
    for (checkout, run) in [(&other, "github:201/1"), (&checkout, "github:202/1")] {
        checkout.atmos_with(ROLLOUT, &[("ATMOS_RUN_ID", run)]).succeeded();
        let newest = remote.records(DEPLOYMENT, "dev", "worker").pop().unwrap();
        let record = remote.git(&["cat-file", "-p", &newest]);
        assert!(record.contains(&format!("run_id: {run}\n")), "{record}");
    }
    assert_eq!(environment.applied().len(), 2, "each of them has applied it");
}

#[test]
fn what_a_dead_run_may_have_applied_is_recorded_as_interrupted() {
    for way in ["another rollout", "unlock", "a kept record"] {
        let environment = TestEnvironment::new();
        let (checkout, remote) = environment.with_remote();
        let other = environment.clone(&remote.url(), "other", Clone::default());
        let [started, go] = ["started", "go"].map(|name| environment.path(name));
        // The first component is recorded, or kept; the run is killed while the second one works.
        let wait = format!(
            "[ $ATMOS_COMPONENT = database ] || {{ touch {}; until [ -e {} ]; do sleep 0.05; done; exit 1; }}",
            started.display(),
            go.display()
        );
        if way == "a kept record" {
            remote.hook("pre-receive", CLOSED);
        }
        let run = checkout.start(
            "deployment rollout payment-service --target dev",
            &[("ATMOS_RUN_ID", "github:100/1"), ("TEST_DO", &wait)],
        );
        wait_until("the second component works", || started.exists());
        wait_until("the first one is kept", || way != "a kept record" || pending(&checkout).len() > 1);
        let intended = checkout.head();
        run.signal(Signal::KILL);
        run.wait().killed();
        let _ = std::fs::remove_file(remote.path.join("hooks/pre-receive"));
        let newer = other.commit_version("2");
        other.git(&["push", "--quiet"]);
        match way {
            "another rollout" => drop(other.atmos(ROLLOUT).succeeded()),
            "unlock" => drop(
                other
                    .atmos("deployment unlock payment-service --target dev --component worker --force")
                    .succeeded(),
            ),
            // Nothing is published while the component works.
            _ => {
                checkout.atmos(STATUS).succeeded();
                assert_eq!(records(&remote), [""; 0]);
            }
        }
        std::fs::write(&go, "").unwrap();
        wait_until("it is recorded", || {
            checkout.atmos(STATUS).succeeded();
            !records(&remote).is_empty()
        });
        let records = records(&remote);
        let interrupted = &records[0];
        for line in ["run_id: github:100/1", "status: cancelled", "error: interrupted", "published_by: ada@"]
        {
            assert!(interrupted.contains(line), "{way}: {interrupted}");
        }
        assert!(interrupted.contains(&format!("git_sha: {intended}")), "{way}: {interrupted}");
        let followed = way == "another rollout";
        assert_eq!(remote.verify_chain(DEPLOYMENT, "dev", "worker"), 1 + usize::from(followed), "{way}");
        let running = if followed { newer } else { String::new() };
        assert_eq!(remote.state(DEPLOYMENT, "dev", "worker"), running, "{way}: it does not count as running");
        assert!(!remote.locks().iter().any(|lock| lock.ends_with("/worker")), "{way}");
    }
}

/// The id of a run with several jobs: all of them have it.
const OF_ONE_RUN: (&str, &str) = ("ATMOS_RUN_ID", "github:100/1");

fn rollout_of(component: &str) -> String {
    format!("deployment rollout payment-service --target dev --component {component}")
}

fn text(remote: &Remote<'_>, target: &str, component: &str) -> Vec<String> {
    let tags = remote.records(DEPLOYMENT, target, component);
    tags.iter().map(|tag| remote.git(&["cat-file", "-p", tag])).collect()
}

#[test]
fn a_job_that_works_is_left_alone_by_what_another_job_of_its_run_has_kept() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let other = environment.clone(&remote.url(), "other", Clone::default());
    remote.hook("pre-receive", CLOSED);
    checkout.atmos_with(&rollout_of("database"), &[OF_ONE_RUN]).exited(1);
    std::fs::remove_file(remote.path.join("hooks/pre-receive")).unwrap();
    let (started, go) = (environment.path("started"), environment.path("go"));
    let wait = format!(
        "touch {}; for try in $(seq 1200); do [ -e {} ] && break; sleep 0.05; done",
        started.display(),
        go.display()
    );
    let working = other.start(&rollout_of("worker"), &[OF_ONE_RUN, ("TEST_DO", &wait)]);
    wait_until("the other job works", || started.exists());
    checkout.atmos(STATUS).succeeded().says("Published 1 record");
    assert_eq!(remote.locks(), ["refs/atmos/locks/payment-service/dev/worker"]);
    std::fs::write(go, "").unwrap();
    working.wait().succeeded();
    let records = text(&remote, "dev", "worker");
    assert_eq!(records.len(), 1, "{records:#?}");
    assert!(records[0].contains("status: success"), "{records:#?}");
}

#[test]
fn each_lock_of_dead_jobs_speaks_of_its_own_component_and_rollout() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let kill = "kill -9 $PPID; sleep 1";
    // The same run has rolled `database` out before.
    checkout.atmos_with(&rollout_of("database"), &[OF_ONE_RUN]).succeeded();
    checkout.commit_version("2");
    checkout.git(&["push", "--quiet"]);
    for component in ["database", "worker"] {
        checkout.atmos_with(&rollout_of(component), &[OF_ONE_RUN, ("TEST_DO", kill)]).killed();
    }
    // One after the other: each rollout takes over the lock of its own component.
    checkout.atmos(&rollout_of("database")).succeeded();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    for (component, statuses) in [
        ("database", &["success", "cancelled", "success", "success"][..]),
        ("worker", &["cancelled", "success"]),
    ] {
        let mut found: Vec<_> = text(&remote, "dev", component);
        let number = |record: &String| {
            let number = record.lines().find_map(|line| line.strip_prefix("number: "));
            number.unwrap().parse::<u32>().unwrap()
        };
        found.sort_by_key(number);
        let status = |record: &String| {
            record.lines().find_map(|line| line.strip_prefix("status: ")).unwrap().to_owned()
        };
        assert_eq!(found.iter().map(status).collect::<Vec<_>>(), statuses, "{component}: {found:#?}");
        assert_eq!(remote.verify_chain(DEPLOYMENT, "dev", component), statuses.len());
    }
}

#[test]
fn a_publication_records_what_a_dead_run_may_have_applied_since() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let other = environment.clone(&remote.url(), "other", Clone::default());
    kept(&checkout, &remote);
    let commit = other.commit_version("2");
    other.git(&["push", "--quiet"]);
    other.atmos_with(ROLLOUT, &[("TEST_DO", "kill -9 $PPID; kill -9 $$")]).killed();
    checkout.atmos(STATUS).succeeded();
    let records = records(&remote);
    assert_eq!(records.len(), 2, "{records:#?}");
    let interrupted = records.iter().find(|record| record.contains("error: interrupted")).unwrap();
    assert!(interrupted.contains(&format!("git_sha: {commit}")), "{interrupted}");
    assert_eq!(remote.verify_chain(DEPLOYMENT, "dev", "worker"), 2);
}

#[test]
fn a_lock_on_a_commit_that_is_gone_is_removed_all_the_same() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let other = environment.clone(&remote.url(), "other", Clone::default());
    let commit = checkout.commit_version("2");
    checkout.atmos_with(ROLLOUT, &[("TEST_DO", "kill -9 $PPID; sleep 1")]).killed();
    let unlock = "deployment unlock payment-service --target dev --component worker --force";
    let run = other.atmos(unlock).succeeded();
    assert!(run.stderr.contains(&format!("may have applied worker at commit {commit}")), "{}", run.report());
    assert_eq!(remote.locks(), [""; 0]);
    assert_eq!(remote.records(DEPLOYMENT, "dev", "worker"), [""; 0]);
}

#[test]
fn what_is_kept_of_another_target_outlives_a_record_that_is_renamed() {
    let mut environment = TestEnvironment::new();
    environment.set_clock("2025-01-22T10:30:00Z");
    let (checkout, remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    remote.hook("pre-receive", CLOSED);
    checkout.atmos_with(ROLLOUT, &[OF_ONE_RUN]).exited(1);
    let promotion = "deployment rollout payment-service --target staging --promote-from dev --component worker \
                     --skip-promotion-check";
    checkout.atmos_with(promotion, &[OF_ONE_RUN]).exited(1);
    std::fs::remove_file(remote.path.join("hooks/pre-receive")).unwrap();
    // The name of the first record is taken by a tag outside of the chain, and the second target is
    // locked.
    let newest = remote.records(DEPLOYMENT, "dev", "worker").pop().unwrap();
    remote.git(&["update-ref", &format!("{newest}-2"), &newest]);
    checkout.atmos("deployment lock payment-service --target staging --component worker").succeeded();
    checkout.atmos("deployment status payment-service").succeeded();
    assert_eq!(remote.records(DEPLOYMENT, "staging", "worker"), [""; 0], "it is locked");
    checkout.atmos("deployment unlock payment-service --target staging --component worker").succeeded();
    checkout.atmos("deployment status payment-service").succeeded();
    assert_eq!(remote.records(DEPLOYMENT, "staging", "worker").len(), 1, "nothing kept is lost");
    assert_eq!(pending(&checkout), [""; 0]);
}

#[test]
fn a_chain_whose_end_cannot_be_read_is_not_cut() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos(ROLLOUT).succeeded();
    // A newer version of the program has recorded the component since.
    let latest = "refs/atmos/latest/payment-service/dev/worker";
    let message = remote.git(&["cat-file", "-p", latest]).replace("atmos.tools/v1alpha1", "atmos.tools/v2");
    let newer = environment.path("newer");
    std::fs::write(&newer, message.replacen("number: 1", "number: 2", 1)).unwrap();
    let object = remote.git(&["hash-object", "-t", "tag", "-w", &newer.display().to_string()]);
    let tag = "refs/tags/atmos/deployments/payment-service/dev/worker/2999-01-01T00-00-00Z";
    for name in [latest, tag] {
        remote.git(&["update-ref", name, object.trim()]);
    }
    checkout.atmos(ROLLOUT).succeeded();
    let record = remote.git(&["cat-file", "-p", latest]);
    assert!(record.contains(&format!("previous: {}", object.trim())), "{record}");
    assert!(record.contains("number: 3\n"), "{record}");
}

#[test]
fn a_lock_that_only_says_that_it_is_short_is_not_waited_for() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    kept(&checkout, &remote);
    let publishing = "atmos.tools/v1alpha1\nkind: Lock\n---\nholder: eve@example.com\nrun_id: x\nreason: publishing\n\
                      acquired_at: 2099-01-01T00:00:00Z\nexpires_at: 2099-01-01T00:01:00Z\n";
    let blob = remote.git(&["hash-object", "-t", "blob", "-w", "/dev/null"]);
    let file = environment.path("lock");
    let tag = format!("object {}\ntype blob\ntag x\ntagger x <x> 0 +0000\n\n{publishing}", blob.trim());
    std::fs::write(&file, tag).unwrap();
    let object = remote.git(&["hash-object", "-t", "tag", "-w", &file.display().to_string()]);
    remote.git(&["update-ref", "refs/atmos/locks/payment-service/dev/worker", object.trim()]);
    // A command that only reads does not wait for the lock at all.
    checkout.atmos(STATUS).succeeded().says("when eve@example.com has let go");
}

#[test]
fn a_record_that_is_refused_keeps_no_other_from_arriving() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    remote.hook("pre-receive", CLOSED);
    for component in ["api", "worker"] {
        let run = [("ATMOS_RUN_ID", format!("github:{}/1", component.len()))];
        let run = run.each_ref().map(|(name, value)| (*name, value.as_str()));
        checkout.atmos_with(&rollout_of(component), &run).exited(1);
    }
    // A record that can never be published is reported, and keeps no other back.
    let tag = "atmos/deployments/payment-service/dev/database/2026-01-01T00-00-00Z";
    let record = format!(
        "object {}\ntype commit\ntag {tag}\ntagger x <x@x> 1700000000 +0000\n\natmos.tools/v1alpha1\nkind: Deployment\n---\n\
         status: success\nrun_id: x\n",
        "1".repeat(40)
    );
    let file = environment.path("batch");
    std::fs::write(&file, format!("{}\n{record}\n", record.len())).unwrap();
    let batch = checkout.git(&["hash-object", "-w", &file.display().to_string()]);
    checkout.git(&["update-ref", &format!("refs/atmos/pending/a.b/%records-{}", batch.trim()), batch.trim()]);
    std::fs::remove_file(remote.path.join("hooks/pre-receive")).unwrap();
    remote.hook("update", "#!/bin/sh\ncase $1 in refs/tags/*/api/*) echo protected >&2; exit 1;; esac\n");
    let missing = "commit 1111111111111111111111111111111111111111 is neither here nor on the remote";
    let status = checkout.atmos(STATUS).succeeded().says(missing);
    assert!(is_published(&status), "{}", status.report());
    assert_eq!(records(&remote).len(), 1);
    assert_eq!(remote.state(DEPLOYMENT, "dev", "worker"), checkout.head());
    std::fs::remove_file(remote.path.join("hooks/update")).unwrap();
    assert!(is_published(&checkout.atmos(STATUS).succeeded()));
    assert_eq!(pending(&checkout).len(), 1, "what cannot be published stays");
}

#[test]
fn a_cancelled_run_says_that_its_records_are_not_published() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    remote.hook("pre-receive", CLOSED);
    let started = environment.path("started");
    let work = format!("touch {}; sleep 60", started.display());
    let run = checkout.start(&format!("{ROLLOUT} --format json"), &[("TEST_DO", &work)]);
    wait_until("it works", || started.exists());
    run.signal(Signal::INT);
    let run = run.wait().exited(130).says("1 record is not published: origin refused").says("closed");
    let document = run.json();
    assert_eq!((&document["result"], &document["unpublished"]), (&"cancelled".into(), &1.into()));
    assert!(document["ledger_error"].as_str().unwrap().contains("closed"), "{document}");
    let mut events = run.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let finished = events.rfind(|event| event["event"] == "finished").unwrap();
    assert_eq!((&finished["records"], &finished["error"]), (&1.into(), &document["ledger_error"]));
    std::fs::remove_file(remote.path.join("hooks/pre-receive")).unwrap();
    assert!(is_published(&checkout.atmos(STATUS).succeeded()));
}
