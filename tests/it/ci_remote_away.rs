//! A platform that answers while git's remote does not: reports state nothing unknown as a fact.

use crate::ci_reports::{pull_request, statuses};
use crate::support::{Checkout, CiJob, Clone, Platform, TestEnvironment};

fn plan<'c, 'e>(checkout: &'c Checkout<'e>, platform: &Platform) -> CiJob<'c, 'e> {
    let job = CiJob::github(checkout, "pull_request").rollout("dev").input("plan", "true");
    job.with("GITHUB_API_URL", platform.github()).event(&pull_request("acme/shop", &checkout.head()))
}

fn comment(platform: &Platform) -> String {
    let [comment] = &*platform.told("comments") else { panic!("there is one comment") };
    comment["body"].as_str().unwrap().to_owned()
}

/// Asserts that a text shows every target as unknown, and guesses nothing.
#[track_caller]
fn guesses_nothing(text: &str) {
    for guess in ["✅", "➖", "not yet", "**Next:**", "→ staging:", "is blocked"] {
        assert!(!text.contains(guess), "{guess} in\n{text}");
    }
    assert!(text.contains("dev ❔ · staging ❔ · prod ❔"), "{text}");
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_plan_fails_and_the_comment_says_as_of_when_it_is() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let fresh = environment.clone(&remote.url(), "fresh", Clone::SHALLOW);
    plan(&checkout, &platform).input("plan", "").run().succeeded();
    assert!(comment(&platform).contains("· dev ✅ ·"), "{}", comment(&platform));
    std::fs::rename(&remote.path, environment.path("away.git")).unwrap();
    for (checkout, said, has_table) in [
        (&checkout, "⚠️ **origin did not answer: as of 20", true),
        (&fresh, "⚠️ **origin did not answer: what runs where is not known here**", false),
    ] {
        let job = plan(checkout, &platform);
        job.run().exited(1).says("A plan of a job says what the remote knows");
        let last = statuses(&platform).pop().unwrap();
        assert!(last.starts_with("atmos/payment-service/dev/plan failure "), "{last}");
        for text in [comment(&platform), job.summary()] {
            assert!(text.contains(said), "{text}");
            assert_eq!(text.contains("| **dev** |"), has_table, "{text}");
            guesses_nothing(&text);
        }
    }
    // A rollout needs its locks on the remote, and fails.
    let job = plan(&fresh, &platform).input("plan", "");
    job.run().exited(1);
    guesses_nothing(&comment(&platform));
    assert!(statuses(&platform).pop().unwrap().starts_with("atmos/payment-service/dev failure "));
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_plan_that_is_not_to_ask_says_so_in_status_and_comment() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let fresh = environment.clone(&remote.url(), "fresh", Clone::SHALLOW);
    plan(&checkout, &platform).input("plan", "").run().succeeded();
    for (checkout, said) in [
        (&checkout, "origin was not asked: as of 20"),
        (&fresh, "origin was not asked: what runs where is not known here"),
    ] {
        let job = plan(checkout, &platform).input("fetch", "false");
        job.run().succeeded();
        let last = statuses(&platform).pop().unwrap();
        assert!(last.starts_with("atmos/payment-service/dev/plan success 3 planned; "), "{last}");
        for text in [last, comment(&platform), job.summary()] {
            assert!(text.contains(said), "{text}");
        }
        guesses_nothing(&comment(&platform));
    }
}
