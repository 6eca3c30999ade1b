//! A git that outlives its run, on a server without atomic pushes: its tag arrives when another run
//! has the lock, and is outside of the component's chain.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Checkout, Clone, Remote, Running, TestEnvironment, wait_until};

const DEPLOYMENT: &str = "payment-service";
const ROLLOUT: &str = "deployment rollout payment-service --target dev --component worker";
const STATUS: &str = "deployment status payment-service --target dev";
const HISTORY: &str = "deployment history payment-service --target dev --component worker";

/// Two checkouts, and a server that blocks the first tag of the second version.
struct Scene<'e> {
    checkout: Checkout<'e>,
    other: Checkout<'e>,
    remote: Remote<'e>,
    go: PathBuf,
    /// The commit that ran before.
    before: String,
}

impl<'e> Scene<'e> {
    fn new(environment: &'e TestEnvironment) -> Self {
        let (checkout, remote) = environment.with_remote();
        remote.git(&["config", "receive.advertiseAtomic", "false"]);
        checkout.atmos(ROLLOUT).succeeded();
        let before = checkout.head();
        let other = environment.clone(&remote.url(), "other", Clone::default());
        checkout.commit_version("2");
        checkout.git(&["push", "--quiet", "origin", "HEAD:main"]);
        let [held, go] = ["held", "go"].map(|name| environment.path(name));
        let hook = format!(
            "#!/bin/sh\ncase $1 in refs/tags/*/worker/*) mkdir {held} 2>/dev/null || exit 0;; *) exit 0;; esac\n\
             for try in $(seq 2400); do [ -e {go} ] && exit 0; sleep 0.05; done\n",
            held = held.display(),
            go = go.display()
        );
        remote.hook("update", &hook);
        Self { checkout, other, remote, go, before }
    }

    /// Starts a run, and waits until the push of its record's tag is blocked.
    fn pushing(&self, environment: &TestEnvironment) -> Running {
        let run = self.checkout.start(ROLLOUT, &[("ATMOS_RUN_ID", "github:100/1")]);
        wait_until("the tag is on its way", || environment.path("held").exists());
        // Other records are then of another second, and do not take the tag's name.
        std::thread::sleep(Duration::from_millis(1100));
        run
    }

    /// Kills a run but not its git.
    fn killed(environment: &'e TestEnvironment) -> Self {
        let scene = Self::new(environment);
        let run = scene.pushing(environment);
        run.signal(Signal::KILL);
        run.wait().killed();
        scene
    }

    /// Lets the tag arrive, and waits until there are so many tags.
    fn land(&self, records: usize) {
        std::fs::write(&self.go, "").unwrap();
        wait_until("the tag lands", || self.tags() == records);
    }

    fn tags(&self) -> usize {
        self.remote.records(DEPLOYMENT, "dev", "worker").len()
    }

    fn chain(&self) -> usize {
        self.remote.verify_chain(DEPLOYMENT, "dev", "worker")
    }

    fn state(&self) -> String {
        self.remote.state(DEPLOYMENT, "dev", "worker")
    }

    fn pending(&self) -> String {
        self.checkout.git(&["for-each-ref", "--format=%(refname)", "refs/atmos/pending"])
    }
}

/// The numbers of records that `history` shows, that are late, and that are outside of the chain.
fn shown(checkout: &Checkout<'_>) -> [usize; 3] {
    let history = checkout.json(HISTORY);
    let records = history["records"].as_array().unwrap();
    let with = |key: &str| records.iter().filter(|record| record[key] != Value::Null).count();
    [records.len(), with("late_of"), with("outside_of_chain")]
}

#[test]
fn a_tag_that_lands_after_a_takeover_is_published_late_by_its_own_checkout() {
    let environment = TestEnvironment::new();
    let scene = Scene::killed(&environment);
    scene.other.atmos(ROLLOUT).succeeded();
    let kept = scene.pending();
    let [keeper] = kept.lines().filter(|name| name.contains("%records")).collect::<Vec<_>>()[..] else {
        panic!("{kept}")
    };
    let batch = scene.checkout.git(&["rev-parse", keeper]);
    scene.land(4);
    for again in [false, true] {
        if again {
            // The state after a command that was killed before it could clean up.
            scene.checkout.git(&["update-ref", keeper, batch.trim()]);
            scene.checkout.atmos(STATUS).succeeded();
        } else {
            scene.checkout.atmos(STATUS).succeeded().says("1 of them late");
        }
        assert_eq!(scene.chain(), 4, "the first, the interrupted, the other's, and the late one");
        assert_eq!(scene.state(), scene.before, "what runs is what the other has rolled out");
        assert_eq!(scene.pending(), "");
        assert_eq!(shown(&scene.other), [4, 1, 0], "each record once");
    }
}

#[test]
fn a_tag_whose_checkout_never_comes_back_is_marked_until_the_next_run_publishes_it() {
    let environment = TestEnvironment::new();
    let scene = Scene::killed(&environment);
    scene.other.atmos(ROLLOUT).succeeded();
    scene.land(4);
    assert_eq!(shown(&scene.other), [4, 0, 1]);
    let text = scene.other.atmos(HISTORY).succeeded();
    assert!(text.stdout.contains("outside of the chain"), "{}", text.report());
    scene.other.atmos(ROLLOUT).succeeded();
    assert_eq!(scene.chain(), 5, "the stray one is published late, and the run follows it");
    assert_eq!(scene.state(), scene.before);
    assert_eq!(shown(&scene.other), [5, 1, 0]);
    scene.checkout.atmos(STATUS).succeeded();
    assert_eq!((scene.chain(), scene.pending().as_str()), (5, ""), "it is there, and is not published again");
}

#[test]
fn a_run_that_is_robbed_while_its_tag_is_on_its_way_moves_no_state() {
    let environment = TestEnvironment::new();
    let scene = Scene::new(&environment);
    let run = scene.pushing(&environment);
    scene
        .other
        .atmos("deployment unlock payment-service --target dev --component worker --force")
        .succeeded();
    scene.land(3);
    run.wait().exited(4);
    scene.checkout.atmos(STATUS).succeeded();
    assert_eq!(scene.state(), scene.before, "what it has done is told late, and decides nothing");
    assert_eq!(scene.chain(), 3);
    assert_eq!(scene.pending(), "");
}
