//! Faults: processes that die at any step, remotes that reject, stall and vanish. Afterwards the
//! ledger is whole, and nothing is lost or doubled.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal};
use serde_json::json;

use crate::support::{Checkout, Clone, Fault, HttpServer, Remote, Run, TestEnvironment, wait_until};

const DEPLOYMENT: &str = "payment-service";
const COMPONENTS: [&str; 3] = ["api", "worker", "database"];
const ROLLOUT: &str = "deployment rollout payment-service --target dev";

/// Asserts that each component has run and is recorded this many times, and that nothing is left
/// over.
#[track_caller]
fn is_whole(checkout: &Checkout<'_>, remote: &Remote<'_>, records: usize, when: &str) {
    for component in COMPONENTS {
        assert_eq!(remote.verify_chain(DEPLOYMENT, "dev", component), records, "{component}, {when}");
    }
    is_sound(checkout, remote, when);
}

/// Asserts that every component runs, that no run has recorded a component twice, and that nothing
/// is left over.
#[track_caller]
fn is_sound(checkout: &Checkout<'_>, remote: &Remote<'_>, when: &str) {
    for component in COMPONENTS {
        assert_eq!(remote.state(DEPLOYMENT, "dev", component), checkout.head(), "{component}, {when}");
        let records = remote.verify_chain(DEPLOYMENT, "dev", component);
        let runs = runs(remote, component);
        assert_eq!(runs.len(), records, "{component}, {when}: {runs:?}");
    }
    assert_eq!(remote.locks(), [""; 0], "{when}");
    assert_eq!(checkout.git(&["for-each-ref", "refs/atmos/pending"]), "", "{when}");
    remote.git(&["fsck", "--strict"]);
}

/// The ids of the runs that have recorded a component.
fn runs(remote: &Remote<'_>, component: &str) -> BTreeSet<String> {
    let tags = remote.records(DEPLOYMENT, "dev", component);
    let run = |tag: &String| {
        let record = remote.git(&["cat-file", "-p", tag]);
        record.lines().find_map(|line| line.strip_prefix("run_id: ")).unwrap_or_default().to_owned()
    };
    tags.iter().map(run).collect()
}

/// Whether the message says that records are kept in this repository, and under which ref.
fn says_what_is_kept(run: &Run) -> bool {
    run.stderr.contains("kept in this repository under refs/atmos/pending")
}

/// The names of the points at which a debug build can be killed, from its sources.
fn failpoints() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            let calls = text.split("failpoint(\"").skip(1);
            names.extend(calls.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name.to_owned()));
        }
    }
    names
}

#[test]
fn a_rollout_that_is_killed_at_any_step_is_finished_by_the_same_command() {
    let points = failpoints();
    assert!(points.len() >= 2, "{points:?}");
    for point in points {
        let mut reached = 0;
        loop {
            let environment = TestEnvironment::new();
            let (checkout, remote) = environment.with_remote();
            if point == "part" {
                without_atomic_pushes(&remote);
            }
            let when = format!("{point}#{}", reached + 1);
            let run = checkout.atmos_with(ROLLOUT, &[("ATMOS_FAILPOINT", &when)]);
            if run.code == Some(0) {
                break;
            }
            run.killed();
            reached += 1;
            checkout.atmos(ROLLOUT).succeeded();
            is_sound(&checkout, &remote, &when);
        }
        assert!(reached > 0, "{point} is never reached");
    }
}

/// Configures a repository's server to take no atomic pushes.
fn without_atomic_pushes(remote: &Remote<'_>) {
    remote.git(&["config", "receive.advertiseAtomic", "false"]);
}

/// A server without atomic pushes, with the first version of everything recorded, and two checkouts
/// of the second version.
fn second_version_without_atomic_pushes(
    environment: &TestEnvironment,
) -> (Checkout<'_>, Checkout<'_>, Remote<'_>) {
    let (checkout, remote) = environment.with_remote();
    without_atomic_pushes(&remote);
    checkout.atmos(ROLLOUT).succeeded();
    let other = environment.clone(&remote.url(), "other", Clone::default());
    checkout.commit_version("2");
    checkout.git(&["push", "--quiet", "origin", "HEAD:main"]);
    other.git(&["pull", "--quiet"]);
    (checkout, other, remote)
}

/// Asserts that every component runs and has one chain, and that nothing is left over. Records may
/// have been made twice.
#[track_caller]
fn is_one_chain(checkout: &Checkout<'_>, remote: &Remote<'_>, when: &str) {
    for component in COMPONENTS {
        assert!(remote.verify_chain(DEPLOYMENT, "dev", component) >= 2, "{component}, {when}");
        assert_eq!(remote.state(DEPLOYMENT, "dev", component), checkout.head(), "{component}, {when}");
    }
    assert_eq!(remote.locks(), [""; 0], "{when}");
    assert_eq!(checkout.git(&["for-each-ref", "refs/atmos/pending"]), "", "{when}");
}

#[test]
fn a_push_that_is_torn_by_a_kill_is_completed_from_another_checkout() {
    let mut reached = 0;
    loop {
        let environment = TestEnvironment::new();
        let (checkout, other, remote) = second_version_without_atomic_pushes(&environment);
        let when = format!("part#{}", reached + 1);
        let run = checkout.atmos_with(ROLLOUT, &[("ATMOS_FAILPOINT", &when)]);
        if run.code == Some(0) {
            break;
        }
        run.killed();
        reached += 1;
        other.atmos(ROLLOUT).succeeded();
        checkout.atmos("deployment status payment-service").succeeded();
        is_one_chain(&checkout, &remote, &when);
    }
    assert!(reached > 3, "{reached}");
}

#[test]
fn a_push_that_a_server_takes_half_of_is_completed_by_the_next_run() {
    for what_is_next in ["the same checkout", "another checkout"] {
        let environment = TestEnvironment::new();
        let (checkout, other, remote) = second_version_without_atomic_pushes(&environment);
        let refuse = "#!/bin/sh\ncase $1 in refs/atmos/latest/*) echo no >&2; exit 1;; esac\nexit 0\n";
        remote.hook("update", refuse);
        checkout.atmos(ROLLOUT).exited(1);
        std::fs::remove_file(remote.path.join("hooks/update")).unwrap();
        let next = if what_is_next == "another checkout" { &other } else { &checkout };
        next.atmos(ROLLOUT).succeeded();
        checkout.atmos("deployment status payment-service").succeeded();
        is_one_chain(&checkout, &remote, what_is_next);
    }
}

#[test]
fn a_promotion_that_is_killed_while_it_locks_is_finished_by_the_same_command() {
    for point in ["kept#1", "pushed#1", "pushed#2"] {
        let environment = TestEnvironment::new();
        let (checkout, remote) = environment.with_remote();
        checkout.atmos(ROLLOUT).succeeded();
        let line = "deployment rollout payment-service --target prod --promote-from dev --skip-promotion-check --approve why";
        checkout.atmos_with(line, &[("ATMOS_FAILPOINT", point)]).killed();
        checkout.atmos(line).succeeded();
        for component in COMPONENTS {
            assert!(remote.verify_chain(DEPLOYMENT, "prod", component) >= 1, "{point}");
        }
        assert_eq!(remote.locks(), [""; 0], "{point}");
    }
}

#[test]
fn a_rollout_that_is_killed_while_a_component_works_is_finished_by_the_same_command() {
    for component in COMPONENTS {
        let environment = TestEnvironment::new();
        let (checkout, remote) = environment.with_remote();
        let kill = format!("[ $ATMOS_COMPONENT != {component} ] || {{ kill -9 $PPID; sleep 1; exit 1; }}");
        checkout.atmos_with(ROLLOUT, &[("TEST_DO", &kill)]).killed();
        assert!(!remote.locks().is_empty(), "whoever is killed cannot let go");
        checkout.atmos(ROLLOUT).succeeded();
        is_sound(&checkout, &remote, component);
    }
}

#[test]
fn a_rollout_that_is_killed_while_git_pushes_is_finished_by_the_same_command() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    // The push outlives the run: the remote's hook waits for a file.
    let (pushing, go) = (environment.path("pushing"), environment.path("go"));
    let hook = format!(
        "#!/bin/sh\nif grep -q refs/tags/atmos && [ ! -e {pushing} ]; then\n  touch {pushing}\n  \
         for i in $(seq 600); do [ -e {go} ] && exit 0; sleep 0.1; done\n  exit 1\nfi\n",
        pushing = pushing.display(),
        go = go.display()
    );
    remote.hook("pre-receive", &hook);
    let run = checkout.start(ROLLOUT, &[]);
    wait_until("the records are on their way", || pushing.exists());
    run.signal(Signal::KILL);
    run.wait().killed();
    let again = checkout.start(&format!("{ROLLOUT} --lock-timeout 60s"), &[]);
    std::fs::write(go, "").unwrap();
    again.wait().succeeded();
    wait_until("the push that was left behind has ended", || remote.locks().is_empty());
    // The records of the killed run are published by that push or by the next command.
    checkout.atmos("deployment status payment-service").succeeded();
    is_sound(&checkout, &remote, "while git pushed");
}

#[test]
fn another_command_publishes_what_a_killed_rollout_left() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos_with(ROLLOUT, &[("ATMOS_FAILPOINT", "kept#1")]).killed();
    assert_eq!(remote.refs("refs/tags/"), [""; 0]);
    checkout.atmos("deployment status payment-service").succeeded();
    assert!(!remote.refs("refs/tags/").is_empty(), "status publishes what is pending");
    assert_eq!(remote.locks(), [""; 0]);
    assert_eq!(checkout.git(&["for-each-ref", "refs/atmos/pending"]), "");
}

/// The refs that keep records until they reach the remote.
fn pending(checkout: &Checkout<'_>) -> Vec<String> {
    let refs = checkout.git(&["for-each-ref", "--format=%(refname)", "refs/atmos/pending"]);
    refs.lines().map(str::to_owned).collect()
}

/// A rollout that was killed before it pushed its first records: its checkout, its remote, the ref
/// that keeps the records, and their tags.
fn killed_before_pushing(environment: &TestEnvironment) -> (Checkout<'_>, Remote<'_>, String, Vec<String>) {
    let (checkout, remote) = environment.with_remote();
    checkout.atmos_with(ROLLOUT, &[("ATMOS_FAILPOINT", "kept#1")]).killed();
    let [batch, run] = &pending(&checkout)[..] else { panic!("a ref for the run, one for all its records") };
    assert!(run.ends_with("/%run") && batch.contains("/%records-"), "{run} {batch}");
    // One record is kept as its tag, several in a blob of their tags.
    let content = checkout.git(&["cat-file", "-p", batch]);
    let mut tags: Vec<_> = content
        .lines()
        .filter_map(|line| line.strip_prefix("tag "))
        .map(|name| format!("refs/tags/{name}"))
        .collect();
    tags.sort();
    assert!(!tags.is_empty(), "{content}");
    (checkout, remote, batch.clone(), tags)
}

/// Asserts that the next command publishes these tags, and records the other components of the run
/// as interrupted.
#[track_caller]
fn are_published(tags: &[String], checkout: &Checkout<'_>, remote: &Remote<'_>) {
    checkout.atmos("deployment status payment-service").succeeded();
    let all = remote.refs("refs/tags/");
    assert_eq!(all.len(), COMPONENTS.len());
    let is_interrupted = |tag: &&String| remote.git(&["cat-file", "-p", tag]).contains("error: interrupted");
    let (interrupted, kept): (Vec<_>, Vec<_>) = all.iter().partition(is_interrupted);
    assert_eq!(kept, tags.iter().collect::<Vec<_>>());
    assert_eq!(interrupted.len(), COMPONENTS.len() - tags.len());
    assert_eq!(remote.locks(), [""; 0]);
    assert_eq!(pending(checkout), [""; 0]);
    remote.git(&["fsck", "--strict"]);
}

#[test]
fn what_a_killed_rollout_left_outlives_gits_clean_up() {
    let environment = TestEnvironment::new();
    let (checkout, remote, _, tags) = killed_before_pushing(&environment);
    checkout.git(&["gc", "--quiet", "--prune=now"]);
    are_published(&tags, &checkout, &remote);
}

#[test]
fn records_that_an_earlier_version_kept_are_published() {
    let environment = TestEnvironment::new();
    let (checkout, remote, batch, tags) = killed_before_pushing(&environment);
    // Earlier versions kept every record in a ref of its own, named after its tag.
    let run = batch.split_once("/%records-").unwrap().0;
    checkout.git(&["update-ref", "-d", &batch]);
    let objects = checkout.git(&["fsck", "--unreachable", "--no-reflogs", "--no-progress"]);
    for tag in objects.lines().filter_map(|line| line.strip_prefix("unreachable tag ")) {
        let text = checkout.git(&["cat-file", "-p", tag]);
        let name = text.lines().find_map(|line| line.strip_prefix("tag atmos/deployments/"));
        if let Some(name) = name {
            checkout.git(&["update-ref", &format!("{run}/{name}"), tag]);
        }
    }
    assert_eq!(pending(&checkout).len(), 1 + tags.len());
    are_published(&tags, &checkout, &remote);
}

#[test]
fn somebody_else_takes_the_lock_of_a_dead_run_over() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let other = environment.clone(&remote.url(), "other", Clone::default());
    checkout.atmos_with(ROLLOUT, &[("ATMOS_FAILPOINT", "pushed#1")]).killed();
    assert_eq!(remote.locks().len(), 3);
    other.commit_version("2");
    other.atmos(ROLLOUT).succeeded();
    is_whole(&other, &remote, 2, "taken over, and what the dead run may have applied is recorded");
    let tag = remote.records(DEPLOYMENT, "dev", "worker").pop().unwrap();
    let record = remote.git(&["cat-file", "-p", &tag]);
    assert!(record.contains("lock_taken_over_from"), "{record}");
    // The checkout of the dead run goes on in the same chain.
    checkout.atmos(ROLLOUT).succeeded();
    assert_eq!(remote.verify_chain(DEPLOYMENT, "dev", "worker"), 3);
}

#[test]
fn the_same_run_again_adds_no_record() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    for _ in 0..2 {
        checkout.atmos_with(ROLLOUT, &[("ATMOS_RUN_ID", "github:1/1")]).succeeded();
    }
    is_whole(&checkout, &remote, 1, "twice");
    checkout.atmos_with(ROLLOUT, &[("ATMOS_RUN_ID", "github:2/1")]).succeeded();
    is_whole(&checkout, &remote, 2, "another run");
}

#[test]
fn an_interrupted_rollout_records_what_ran_and_lets_go() {
    for signal in [Signal::TERM, Signal::INT] {
        let environment = TestEnvironment::new();
        let (checkout, remote) = environment.with_remote();
        let started = environment.path("started");
        let wait = format!(
            "if [ $ATMOS_COMPONENT = worker ]; then trap 'exit 1' TERM INT; touch {}; \
             for i in $(seq 600); do sleep 0.1; done; fi",
            started.display()
        );
        let run = checkout.start(&format!("{ROLLOUT} --component worker"), &[("TEST_DO", &wait)]);
        wait_until("the component works", || started.exists());
        run.signal(signal);
        run.wait().exited(130);
        assert_eq!(remote.locks(), [""; 0]);
        assert_eq!(remote.state(DEPLOYMENT, "dev", "worker"), "");
        let tag = remote.records(DEPLOYMENT, "dev", "worker").pop().unwrap();
        assert!(remote.git(&["cat-file", "-p", &tag]).contains("status: cancelled"));
        assert_eq!(environment.applied(), [""; 0]);
    }
}

#[test]
fn records_that_the_remote_rejects_are_kept_and_published_later() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    remote.hook(
        "pre-receive",
        "#!/bin/sh\nif grep -q refs/tags/atmos; then echo 'tags are closed on fridays' >&2; exit 1; fi\n",
    );
    let run = checkout.atmos(&format!("{ROLLOUT} --component worker")).exited(1);
    assert!(run.stderr.contains("tags are closed on fridays"), "{}", run.report());
    assert!(says_what_is_kept(&run), "{}", run.report());
    assert_eq!(environment.applied().len(), 1);
    assert_eq!(remote.refs("refs/tags/"), [""; 0]);
    assert_eq!(remote.state(DEPLOYMENT, "dev", "worker"), "", "no state without its record");
    // Until the record is published, `status` counts it.
    let status = checkout.atmos("deployment status payment-service --target dev --format json").succeeded();
    let component = &status.json()["deployments"][0]["targets"][0]["components"][0];
    assert_eq!(component["unpublished"], 1, "{}", status.report());

    std::fs::remove_file(remote.path.join("hooks/pre-receive")).unwrap();
    checkout.atmos("deployment history payment-service --target dev").succeeded().shows("worker");
    assert_eq!(remote.verify_chain(DEPLOYMENT, "dev", "worker"), 1);
    assert_eq!(remote.state(DEPLOYMENT, "dev", "worker"), checkout.head());
    assert_eq!(remote.locks(), [""; 0]);
    let status = checkout.json("deployment status payment-service --target dev");
    assert!(status["deployments"][0]["targets"][0]["components"][0].get("unpublished").is_none());
}

#[test]
fn a_remote_that_rejects_everything_is_found_out_before_anything_is_applied() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    remote.hook("update", "#!/bin/sh\necho \"$1 is protected\" >&2\nexit 1\n");
    let before = remote.git(&["for-each-ref"]);
    checkout.atmos(ROLLOUT).refused(1, "refs/atmos/locks").says("permission");
    assert_eq!(environment.applied(), [""; 0]);
    assert_eq!(remote.git(&["for-each-ref"]), before);
}

#[test]
fn a_remote_without_atomic_pushes_will_do() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    remote.git(&["config", "receive.advertiseAtomic", "false"]);
    checkout.atmos(ROLLOUT).succeeded();
    is_whole(&checkout, &remote, 1, "without atomic pushes");
    // Two runs at once still exclude each other, and the second one takes none of the locks.
    let other = environment.clone(&remote.url(), "other", Clone::default());
    let started = environment.path("started");
    let go = environment.path("go");
    let wait = format!(
        "touch {}; for try in $(seq 1200); do [ -e {} ] && break; sleep 0.05; done",
        started.display(),
        go.display()
    );
    let first = checkout.start(&format!("{ROLLOUT} --component worker"), &[("TEST_DO", &wait)]);
    wait_until("the first one works", || started.exists());
    other.atmos(ROLLOUT).exited(4);
    assert_eq!(remote.locks(), ["refs/atmos/locks/payment-service/dev/worker"]);
    std::fs::write(go, "").unwrap();
    first.wait().succeeded();
    assert_eq!(remote.locks(), [""; 0]);
    assert_eq!(remote.verify_chain(DEPLOYMENT, "dev", "worker"), 2);
}

#[test]
fn records_survive_a_remote_that_vanishes() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let gone = environment.path("gone.git");
    let vanish = format!("[ $ATMOS_COMPONENT != api ] || mv {} {}", remote.path.display(), gone.display());
    let run = checkout.atmos_with(&format!("{ROLLOUT} --format json"), &[("TEST_DO", &vanish)]).exited(1);
    let document = run.json();
    assert!(document["unpublished"].as_u64().is_some_and(|kept| kept >= 1), "{}", run.report());
    assert!(says_what_is_kept(&run), "{}", run.report());
    assert_eq!(environment.applied().len(), 3);
    // While the remote is away, the local state is shown.
    let away = checkout.atmos("deployment status payment-service --target dev --format json").succeeded();
    let components = away.json()["deployments"][0]["targets"][0]["components"].clone();
    assert_eq!(components.as_array().unwrap().len(), 3, "{}", away.report());
    assert_eq!(components[0]["component"], "api");
    assert_eq!(components[0]["unpublished"], 1);
    assert!(away.stderr.contains("did not answer"), "{}", away.report());

    std::fs::rename(gone, &remote.path).unwrap();
    checkout.atmos("deployment status payment-service --target dev").succeeded();
    is_whole(&checkout, &remote, 1, "the remote was away");
}

#[test]
fn what_came_later_counts_when_old_records_arrive() {
    old_records_arrive(&TestEnvironment::new());
}

#[test]
fn old_records_arrive_even_where_their_names_are_taken() {
    let mut environment = TestEnvironment::new();
    // Both records are of one second, and the name of the older one is taken.
    environment.set_clock("2025-01-22T10:30:00Z");
    old_records_arrive(&environment);
}

/// Publishes a kept record after another run has recorded the same component.
fn old_records_arrive(environment: &TestEnvironment) {
    let (checkout, remote) = environment.with_remote();
    let other = environment.clone(&remote.url(), "other", Clone::default());
    let gone = environment.path("gone.git");
    let vanish = format!("mv {} {}", remote.path.display(), gone.display());
    let line = format!("{ROLLOUT} --component worker");
    checkout.atmos_with(&line, &[("TEST_DO", &vanish)]).exited(1);
    std::fs::rename(gone, &remote.path).unwrap();
    // The first run is dead, and its record is not on the remote: another run continues.
    let second = other.commit_version("2");
    other.atmos(&line).succeeded();
    checkout.atmos("deployment status payment-service").succeeded();
    // The third record says that the other run found the first one interrupted.
    assert_eq!(remote.records(DEPLOYMENT, "dev", "worker").len(), 3, "the older record is not lost");
    assert_eq!(remote.state(DEPLOYMENT, "dev", "worker"), second, "and does not win");
    let history = other.json("deployment history payment-service --target dev");
    assert_eq!(history["records"].as_array().unwrap().len(), 3);
    assert_eq!(remote.locks(), [""; 0]);
}

/// Rolls out, and sets a fault while the component works.
fn rollout_with_fault(checkout: &Checkout<'_>, server: &HttpServer, fault: Fault) -> Run {
    let environment = checkout.environment;
    let (started, go) = (environment.path("started"), environment.path("go"));
    let wait = format!(
        "touch {}; for try in $(seq 1200); do [ -e {} ] && break; sleep 0.05; done",
        started.display(),
        go.display()
    );
    let run = checkout.start(&format!("{ROLLOUT} --component worker"), &[("TEST_DO", &wait)]);
    wait_until("the component works", || started.exists());
    server.set_fault(fault);
    std::fs::write(go, "").unwrap();
    run.wait()
}

#[test]
#[cfg_attr(without_git_http_backend, ignore = "needs git-http-backend")]
fn a_push_whose_end_nobody_saw_is_neither_lost_nor_doubled() {
    for fault in [Fault::Refuse, Fault::DropPush, Fault::LosePushAnswer] {
        let environment = TestEnvironment::new();
        let (_, remote) = environment.with_remote();
        let server = HttpServer::start(&environment, remote.path.parent().unwrap());
        let token = HttpServer::token_setting();
        let checkout = environment.clone_with(&server.url("remote.git"), "ci", Clone::SHALLOW, &[&token]);
        let run = rollout_with_fault(&checkout, &server, fault).exited(1);
        assert!(says_what_is_kept(&run), "{fault:?}\n{}", run.report());
        server.set_fault(Fault::None);
        checkout.atmos("deployment status payment-service").succeeded();
        assert_eq!(remote.verify_chain(DEPLOYMENT, "dev", "worker"), 1, "{fault:?}");
        assert_eq!(remote.state(DEPLOYMENT, "dev", "worker"), checkout.head(), "{fault:?}");
        assert_eq!(remote.locks(), [""; 0], "{fault:?}");
        assert_eq!(checkout.git(&["for-each-ref", "refs/atmos/pending"]), "", "{fault:?}");
    }
}

#[test]
#[cfg_attr(without_git_http_backend, ignore = "needs git-http-backend")]
fn questions_are_answered_from_here_while_the_remote_is_away_or_stalls() {
    let environment = TestEnvironment::new();
    let (_, remote) = environment.with_remote();
    let server = HttpServer::start(&environment, remote.path.parent().unwrap());
    let token = HttpServer::token_setting();
    let checkout = environment.clone_with(&server.url("remote.git"), "ci", Clone::SHALLOW, &[&token]);
    checkout.atmos(ROLLOUT).succeeded();
    let status = "deployment status payment-service --format json";
    let known = checkout.atmos(status).succeeded().json();
    for fault in [Fault::Refuse, Fault::Stall] {
        server.set_fault(fault);
        let run = checkout.atmos(status).succeeded();
        assert!(run.stderr.contains("did not answer, as of "), "{fault:?}\n{}", run.report());
        assert_eq!(run.json(), known, "{fault:?}");
    }
    server.set_fault(Fault::None);
    let requests = server.requests();
    let offline = checkout.atmos(&format!("{status} --offline")).succeeded();
    assert_eq!(offline.json(), known);
    assert_eq!(server.requests(), requests, "offline is offline");
    assert_eq!(known["kind"], json!("DeploymentStatus"));
}

/// Kills a rollout once its component works. `work` is the component's script.
fn kill_at_work(checkout: &Checkout<'_>, line: &str, work: &str, started: &Path) {
    let killed = checkout.start(line, &[("TEST_DO", work)]);
    wait_until("it works", || started.exists());
    killed.signal(Signal::KILL);
    killed.wait().killed();
}

#[test]
fn a_component_that_a_killed_run_left_at_work_is_ended_before_it_is_started_again() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let [log, started] = ["log", "started"].map(|name| environment.path(name));
    // The component ends a second after SIGTERM, together with its children.
    let work = format!(
        "trap 'sleep 1; echo \"end $$\" >> {log}; exit 1' TERM; echo \"start $$\" >> {log}; touch {started}; \
         sleep 60 & wait",
        log = log.display(),
        started = started.display()
    );
    let line = format!("{ROLLOUT} --component worker");
    kill_at_work(&checkout, &line, &work, &started);

    // Commands that only read leave it alone, and so does an unlock, which is refused.
    checkout.atmos("deployment status payment-service").succeeded();
    let unlock = "deployment unlock payment-service --target dev --component worker";
    checkout
        .atmos(unlock)
        .refused(4, "may still be running")
        .says("is still at work since")
        .says("kill -KILL ");
    assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), 1);

    let again = format!("echo \"start $$\" >> {}", log.display());
    let run = checkout.atmos_with(&line, &[("TEST_DO", &again)]).succeeded();
    for text in ["was killed, has left processes at work since", "they were asked to end (ps -fp "] {
        assert!(run.stderr.contains(text), "no {text:?}\n{}", run.report());
    }
    let log = std::fs::read_to_string(&log).unwrap();
    let what: Vec<_> = log.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(what, ["start", "end", "start"]);
    assert_eq!(remote.verify_chain(DEPLOYMENT, "dev", "worker"), 2);
    assert_eq!(remote.locks(), [""; 0]);
}

#[test]
fn what_a_killed_run_left_at_work_is_asked_to_end_before_its_lock_is_waited_for() {
    let environment = TestEnvironment::new();
    let (checkout, _) = environment.with_remote();
    let [log, started] = ["log", "started"].map(|name| environment.path(name));
    // Without a signal it would end by itself, long before the lock's timeout below.
    let work = format!(
        "trap 'echo asked >> {log}; exit 1' TERM; touch {started}; sleep 20 & wait; echo 'by itself' >> {log}",
        log = log.display(),
        started = started.display()
    );
    let line = format!("{ROLLOUT} --component worker");
    kill_at_work(&checkout, &line, &work, &started);
    let run = checkout.atmos(&format!("{line} --lock-timeout 2m --format json")).succeeded();
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "asked\n");
    let mut events =
        run.stderr.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let left = events.rfind(|event| event["event"] == "left_at_work").unwrap();
    assert!(!left["processes"].as_array().unwrap().is_empty() && left["since"].is_string(), "{left}");
}

/// The lock files of git in a repository.
fn lock_files(checkout: &Checkout<'_>) -> Vec<String> {
    let mut command = Command::new("find");
    command.args([".git", "-name", "*.lock"]).current_dir(&checkout.path);
    let found = command.output().unwrap().stdout;
    String::from_utf8(found).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn lock_files_of_a_killed_git_are_in_no_one_else_s_way() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let [pushing, go] = ["pushing", "go"].map(|name| environment.path(name));
    let wait = format!("touch {}; until [ -e {} ]; do sleep 0.05; done", pushing.display(), go.display());
    remote.hook("pre-receive", &format!("#!/bin/sh\nif grep -q refs/tags/atmos; then {wait}; fi\nexit 0\n"));
    let run = checkout.start(ROLLOUT, &[]);
    wait_until("it pushes", || pushing.exists());
    wait_until("git has locked what follows here", || !lock_files(&checkout).is_empty());
    // Git is killed first: a git whose caller has died removes its lock files.
    let here = checkout.path.canonicalize().unwrap();
    let is_here = |process: &i32| {
        std::fs::read_link(format!("/proc/{process}/cwd")).is_ok_and(|folder| folder.starts_with(&here))
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut processes: Vec<i32> =
        processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_here).collect();
    processes.sort_unstable_by(|one, other| other.cmp(one));
    for process in processes.into_iter().filter_map(Pid::from_raw) {
        let _ = rustix::process::kill_process(process, Signal::KILL);
    }
    run.wait().killed();
    std::fs::write(go, "").unwrap();
    assert!(!lock_files(&checkout).is_empty(), "nothing was left: this test tests nothing");
    checkout.atmos(ROLLOUT).succeeded();
    assert_eq!(lock_files(&checkout), [""; 0]);
    is_sound(&checkout, &remote, "after a killed git");
}

#[test]
fn a_lock_file_of_another_program_is_named_and_stays() {
    let environment = TestEnvironment::new();
    let (checkout, _) = environment.with_remote();
    checkout.atmos(ROLLOUT).succeeded();
    let lock = checkout.path.join(".git/refs/atmos/deployments/payment-service/dev/api.lock");
    let file = std::fs::File::create(&lock).unwrap();
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_mins(1)).unwrap();
    checkout.commit_version("2");
    let run = checkout.atmos(ROLLOUT).succeeded();
    for text in ["origin has it all", "api.lock", "has been there for 6", "rm "] {
        assert!(run.stderr.contains(text), "no {text:?}\n{}", run.report());
    }
    assert!(lock.exists());
    checkout.atmos("deployment status payment-service").succeeded();
    std::fs::remove_file(&lock).unwrap();
    checkout.atmos(ROLLOUT).succeeded();
}

/// Creates a lock file that is young enough to belong to a running git.
fn lock_file(checkout: &Checkout<'_>, name: &str) -> std::path::PathBuf {
    let lock = checkout.path.join(".git").join(format!("{name}.lock"));
    std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
    std::fs::write(&lock, "").unwrap();
    lock
}

/// Asserts that a lock file is reported as an error of this checkout, and that the remote is not
/// blamed.
fn tells_of_a_lock_file(run: &Run, says: &str) {
    for text in [says, ".lock locks, which has been there for ", "rm "] {
        assert!(run.stderr.contains(text), "no {text:?}\n{}", run.report());
    }
    for text in ["origin did not answer", "the remote did not take", "not on origin yet"] {
        assert!(!run.stderr.contains(text), "{text:?}\n{}", run.report());
    }
}

#[test]
fn a_lock_file_in_the_way_of_a_look_is_not_blamed_on_the_remote() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos(ROLLOUT).succeeded();
    let other = environment.clone(&remote.url(), "other", Clone::default());
    other.commit_version("2");
    other.git(&["push", "--quiet"]);
    other.atmos(ROLLOUT).succeeded();
    // `status` fetches all targets, and the rollout has fetched one of them.
    checkout.atmos("deployment status payment-service").succeeded();
    other.atmos(ROLLOUT).succeeded();
    lock_file(&checkout, "refs/atmos-remotes/origin/latest/payment-service/dev/api");
    let run = checkout.atmos("deployment status payment-service").succeeded();
    tells_of_a_lock_file(&run, "this checkout could not take over what origin has, as of ");
}

#[test]
fn a_lock_file_in_the_way_of_what_follows_a_push_is_not_blamed_on_the_remote() {
    let environment = TestEnvironment::new();
    let (checkout, _) = environment.with_remote();
    checkout.atmos(ROLLOUT).succeeded();
    checkout.commit_version("2");
    let lock = lock_file(&checkout, "refs/atmos/deployments/payment-service/dev/api");
    let run = checkout.atmos(ROLLOUT).succeeded();
    tells_of_a_lock_file(&run, "origin has it all, but this checkout's own copy could not be moved");
    assert_eq!(checkout.git(&["for-each-ref", "refs/atmos/pending"]), "", "all of it has arrived");
    std::fs::remove_file(&lock).unwrap();
    checkout.atmos("deployment status payment-service").succeeded();
}

#[test]
fn a_tag_in_the_way_of_the_ledger_s_is_named_and_nothing_is_applied_twice() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.git(&["tag", "atmos"]);
    let run = checkout.atmos(ROLLOUT).succeeded().says("origin has it all").says("git tag -d atmos");
    assert!(!run.stderr.contains("not on origin yet"), "{}", run.report());
    assert_eq!(checkout.git(&["for-each-ref", "refs/atmos/pending"]), "", "all of it has arrived");
    let latest = "refs/atmos/latest/payment-service/dev/api";
    assert_eq!(checkout.git(&["rev-parse", latest]), remote.git(&["rev-parse", latest]));
    let applied = environment.applied();
    let job = [("CI", "true"), ("ATMOS_RUN_ID", "7")];
    checkout.atmos_with(ROLLOUT, &job).succeeded();
    let again = environment.applied().len();
    checkout.atmos_with(ROLLOUT, &job).succeeded();
    assert_eq!(environment.applied().len(), again, "it is recorded already");
    assert_eq!(remote.records("payment-service", "dev", "api").len(), 2);
    assert_eq!(applied.len(), 3);
    let history = "deployment history payment-service --target dev";
    checkout.atmos(history).succeeded().says("git tag -d atmos");
    checkout.git(&["tag", "-d", "atmos"]);
    assert_eq!(checkout.json(history)["records"].as_array().unwrap().len(), 6);
}
