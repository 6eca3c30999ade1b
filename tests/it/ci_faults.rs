//! Platforms that are down, slow or refuse, tokens that lack permissions, malicious text: the
//! result of a rollout stays the same.

use serde_json::{Value, json};

use crate::ci_reports::pull_request;
use crate::support::{Checkout, CiJob, Platform, Run, TOKEN, TestEnvironment};

/// A rollout of a pull request.
fn job<'c, 'e>(checkout: &'c Checkout<'e>, repository: &str, api: &str) -> CiJob<'c, 'e> {
    let event = pull_request(repository, &checkout.head());
    CiJob::github(checkout, "pull_request").rollout("dev").with("GITHUB_API_URL", api).event(&event)
}

fn notices(run: &Run) -> Vec<&str> {
    run.stderr.lines().filter_map(|line| line.strip_prefix("::notice::")).collect()
}

#[test]
fn a_platform_that_is_down_changes_nothing() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let job = job(&checkout, "acme/shop", "http://127.0.0.1:9");
    let run = job.run().succeeded();
    assert_eq!(remote.state("payment-service", "dev", "api"), checkout.head());
    assert_eq!(job.output("result"), "success");
    let notices = notices(&run);
    // Several reports that fail for one cause have one notice.
    assert_eq!(notices.len(), 1, "{}", run.report());
    let all = "GitHub could not set the commit status, record the deployment and write the comment: ";
    assert!(notices[0].starts_with(all), "{}", run.report());
    assert!(notices[0].contains("http://127.0.0.1:9: Connection refused"), "{}", run.report());
    assert!(job.summary().contains("**✅ Rollout to dev succeeded**"));
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn errors_are_retried_a_bounded_number_of_times_and_name_what_is_missing() {
    let statuses = "/statuses/";
    for (status, more, said, asked) in [
        (500, json!({}), "GitHub could not set the commit status: 500", 8),
        (401, json!({}), "The token is not valid, or not any more", 1),
        (403, json!({}), "The job needs `statuses: write` under `permissions:`", 1),
        (404, json!({}), "The job needs `statuses: write` under `permissions:`", 1),
        // GitHub's limit of 1,000 statuses for one context and commit.
        (
            422,
            json!({ "message": "This SHA and context has reached the maximum number of statuses." }),
            "(422: This SHA",
            1,
        ),
        (429, json!({ "headers": { "retry-after": "3600" } }), "wants a pause of 3600 s", 2),
        (
            403,
            json!({ "message": "You have exceeded a secondary rate limit", "headers": { "retry-after": "600" } }),
            "wants a pause of 600 s",
            2,
        ),
    ] {
        let platform = Platform::start();
        let environment = TestEnvironment::new();
        let (checkout, remote) = environment.with_remote();
        platform.refuse(status, 1000, statuses, &more);
        let job = job(&checkout, "acme/shop", platform.github());
        let run = job.run().succeeded();
        assert_eq!(remote.records("payment-service", "dev", "api").len(), 1);
        assert_eq!(notices(&run).len(), 1, "{}", run.report());
        assert!(notices(&run)[0].contains(said), "{said}: {}", run.report());
        assert_eq!(platform.requests(statuses), asked, "{status}");
        // The other reports are made all the same.
        assert_eq!((platform.told("comments").len(), platform.told("deployment_statuses").len()), (1, 2));
    }
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn one_cause_is_one_notice_of_all_that_was_left_out() {
    let all = "set the commit status, record the deployment and write the comment";
    let moved = json!({ "headers": { "location": "https://git.example.com/x" } });
    let sso = "https://github.com/orgs/acme/sso?authorization_request=A1";
    let unauthorized = json!({ "headers": { "x-github-sso": format!("required; url={sso}") } });
    let hour = json!({ "headers": { "retry-after": "3600" } });
    for (status, more, said) in [
        (401, json!({}), "The token is not valid, or not any more"),
        (302, moved, "it points to https://git.example.com/x (302). Nothing is sent to another server"),
        (429, hour, "wants a pause of 3600 s, until 20"),
        (403, unauthorized, sso),
    ] {
        let platform = Platform::start();
        let environment = TestEnvironment::new();
        let (checkout, _remote) = environment.with_remote();
        platform.refuse(status, 1000, "/repos/", &more);
        let run = job(&checkout, "acme/shop", platform.github()).run().succeeded();
        let notices = notices(&run);
        assert_eq!(notices.len(), 1, "{status}: {}", run.report());
        assert!(notices[0].contains(all) && notices[0].contains(said), "{status}: {}", run.report());
    }
}

#[test]
fn what_is_no_address_of_the_platform_is_one_notice_at_once() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    for address in ["github.example.com", "localhost:8080", "nonsense"] {
        let run = job(&checkout, "acme/shop", address).run().succeeded();
        let said =
            "GitHub cannot be asked: GITHUB_API_URL is not an address that begins with https:// or http://";
        assert_eq!(notices(&run), [said], "{address}: {}", run.report());
        assert!(!run.stderr.contains("panicked"), "{}", run.report());
    }
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_job_of_a_request_that_it_may_not_read_is_told_what_is_missing() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let comment = json!({
        "issue": { "number": 7, "pull_request": {} }, "repository": { "full_name": "acme/shop" },
    });
    for (status, said) in [
        (401, "The token is not valid, or not any more"),
        (403, "The job needs `pull-requests: read` under `permissions:`"),
        (404, "The job needs `pull-requests: read` under `permissions:`"),
    ] {
        platform.refuse(status, 1, "/pulls/7", &json!({}));
        let job = CiJob::github(&checkout, "issue_comment").rollout("dev").input("plan", "true");
        let run = job.with("GITHUB_API_URL", platform.github()).event(&comment).run().succeeded();
        let [notice] = *notices(&run) else { panic!("{}", run.report()) };
        assert!(notice.starts_with("GitHub refused to find the pull or merge request"), "{notice}");
        assert!(notice.contains(said), "{status}: {notice}");
    }
    // A push need not belong to a pull request.
    platform.refuse(403, 1, "/pulls", &json!({}));
    let push = CiJob::github(&checkout, "push").rollout("dev").with("GITHUB_API_URL", platform.github());
    let run = push.run().succeeded();
    assert!(notices(&run).is_empty(), "{}", run.report());
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_pause_that_the_platform_asks_for_is_kept() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    platform.refuse(429, 1, "/statuses/", &json!({ "headers": { "retry-after": "1" } }));
    let run = job(&checkout, "acme/shop", platform.github()).run().succeeded();
    assert!(notices(&run).is_empty(), "{}", run.report());
    assert_eq!(platform.told("statuses").len(), 2);
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_comment_that_vanishes_or_is_buried_is_written_once_or_not_at_all() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let run =
        |id: &str| job(&checkout, "acme/shop", platform.github()).with("GITHUB_RUN_ID", id).run().succeeded();
    run("1");
    // The comment is deleted between the search for it and its edit.
    platform.refuse(404, 1, "/issues/comments/", &json!({ "method": "PATCH" }));
    let edited = run("2");
    assert!(notices(&edited).is_empty(), "{}", edited.report());
    assert_eq!(platform.told("comments").len(), 1);
    platform.control("DELETE", "/__comments", &Value::Null);
    platform.control("POST", "/__comments", &json!({ "number": 30_100 }));
    let asked = platform.requests("GET /repos/acme/shop/issues/7/comments");
    let buried = run("3");
    let said =
        "there are more than 30000 comments, and none of them is the one to edit; no second one is written";
    assert_eq!(notices(&buried), [said]);
    assert_eq!(platform.requests("GET /repos/acme/shop/issues/7/comments") - asked, 300);
    assert_eq!(platform.told("comments").len(), 30_100);
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_fork_s_plan_works_and_what_its_token_may_not_is_said_once() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    platform.refuse(403, 1000, "", &json!({ "message": "Resource not accessible by integration" }));
    let job = job(&checkout, "mallory/shop", platform.github()).input("plan", "true");
    let run = job.run().succeeded();
    let [notice] = *notices(&run) else { panic!("{}", run.report()) };
    assert!(notice.starts_with("comment and commit status are skipped: the change comes from a fork"));
    assert_eq!(platform.told("requests").len(), 1);
    assert!(job.summary().contains("**📋 Rollout to dev planned**"));
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_missing_permission_is_told_apart_from_a_fork_s_token() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    // The platform is asked for a fork's pull request: the job has the repository's own token.
    let request = json!({ "number": 7, "head": checkout.head(), "branch": "fix", "base": "main",
        "repository": "mallory/shop" });
    platform.control("POST", "/__requests", &request);
    platform.refuse(
        403,
        1000,
        "/shop/statuses/",
        &json!({ "message": "Resource not accessible by integration" }),
    );
    let job =
        CiJob::github(&checkout, "issue_comment").rollout("dev").with("GITHUB_API_URL", platform.github());
    let job = job.event(&json!({ "issue": { "number": 7, "pull_request": {} } }));
    let run = job.run().succeeded();
    let [notice] = *notices(&run) else { panic!("{}", run.report()) };
    assert!(notice.starts_with("GitHub refused to set the commit status (403: "), "{notice}");
    assert_eq!((platform.told("comments").len(), platform.told("deployments").len()), (1, 1));
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn what_comes_next_is_refused_for_itself_also_to_a_fork() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let job = job(&checkout, "mallory/shop", platform.github()).unreported().input("dispatch", "promote.yml");
    platform.refuse(403, 1000, "", &json!({ "message": "Resource not accessible by integration" }));
    let run = job.run().succeeded();
    let [notice] = *notices(&run) else { panic!("{}", run.report()) };
    assert!(notice.starts_with("GitHub refused to start the pipeline (403: "), "{notice}");
}

/// Malicious text that untrusted input may contain, such as names of files and values of YAML.
const HOSTILE: &str = "%0A::set-output name=result::evil | **b** <img src=x onerror=alert(1)> @acme/all #1 `c` ${{ secrets.T }} ##[add-path]/evil </details>";

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn what_others_write_is_harmless_in_every_report() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let name = "x`<b>|@acme";
    checkout.write_script("services/evil/deploy.sh", "#!/bin/sh\necho '::set-output name=result::evil'\necho '  ::add-mask::x'\necho \"$TEST_SAY\" >&2\nexit 3\n");
    let file = format!(
        "deployment:\n  name: shop\n  targets: {{ dev: {{ context: {{ note: {note} }} }}, prod: {{ promotion: {{ from: dev }} }} }}\n  components:\n    command:\n      \"{name}\": {{ settings: {{ command: {{ apply: [./services/evil/deploy.sh] }} }} }}\n      ok: {{ settings: {{ command: {{ apply: [\"true\"] }} }} }}\n",
        // A template in a value has to be one that can be rendered.
        note = serde_json::to_string(&HOSTILE.replace("${{ secrets.T }}", "")).unwrap(),
    );
    checkout.write("deployments/shop.yaml", &file.replace("note: \"", "note: \"old "));
    checkout.commit("Before");
    // The rules for prod are read from the default branch.
    checkout.git(&["push", "--quiet", "origin", "HEAD:main"]);
    let run = |id: &str, input: &[(&str, &str)]| {
        let job = job(&checkout, "acme/shop", platform.github())
            .input("deployment", "shop")
            .with("GITHUB_RUN_ID", id);
        let job = job.with("TEST_SAY", HOSTILE).input("args", &format!("--metadata 'pr={HOSTILE}'"));
        let job = input.iter().fold(job, |job, (name, value)| job.input(name, value));
        let run = job.run();
        (job, run)
    };
    run("1", &[]).1.exited(1);
    checkout.write("deployments/shop.yaml", &file);
    checkout.commit(&format!("::error::x\n::set-env name=A::{HOSTILE}\n\n/close\n@acme/all"));
    let partial = format!("--allow-partial --metadata 'pr={HOSTILE}'");
    let promotion = [("target", "prod"), ("promote-from", "dev"), ("args", partial.as_str())];
    for (id, input) in [("2", &[][..]), ("3", &[("plan", "true")]), ("4", &promotion)] {
        let (job, run) = run(id, input);
        // The log has none of the malicious commands.
        for line in run.stderr.lines().chain(run.stdout.lines()) {
            let command =
                line.trim_start().strip_prefix("::").map(|rest| rest.split([' ', ':']).next().unwrap());
            assert!(
                command.is_none_or(|command| ["error", "notice", "group", "endgroup"].contains(&command)),
                "{line}"
            );
            assert!(!line.contains("##["), "{line}");
        }
        assert!(["success", "failed"].contains(&job.output("result").as_str()), "{}", run.report());
        let comment = platform.told("comments").pop().unwrap()["body"].as_str().unwrap().to_owned();
        for markdown in [comment, job.summary()] {
            for harm in ["<img", "<b>", "${{", "@acme", "**b**", "#1 ", "\n/close", "\n::"] {
                assert!(!markdown.contains(harm), "{harm} in\n{markdown}");
            }
            assert_eq!(markdown.matches("<details").count(), markdown.matches("</details>").count());
        }
        for status in platform.told("statuses") {
            assert!(status["description"].as_str().unwrap().chars().count() <= 140);
        }
    }
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn no_output_shows_a_token_at_any_level() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let say = format!("echo \"token {TOKEN}\"; echo \"again $GITHUB_TOKEN\" >&2");
    for (id, level, status) in [("1", "trace", 403), ("2", "debug", 500), ("3", "off", 401)] {
        checkout.commit(&format!("Leak {TOKEN}"));
        platform.refuse(status, 1, "", &json!({ "message": format!("Bad credentials {TOKEN}") }));
        let job =
            job(&checkout, "acme/shop", platform.github()).with("TEST_DO", &say).with("GITHUB_RUN_ID", id);
        let job = job.with("GITHUB_TOKEN", TOKEN).with("GIT_TRACE", if id == "1" { "1" } else { "0" });
        let job = job.input("args", &format!("--metadata note=--{TOKEN}"));
        let run = job.run_with(&format!("--logs-level {level}")).succeeded();
        let mut everything = vec![
            ("stdout", run.stdout.clone()),
            ("stderr", run.stderr.clone()),
            ("outputs", job.read("GITHUB_OUTPUT")),
            ("summary", job.summary()),
        ];
        everything
            .push(("file", std::fs::read_to_string(checkout.path.join(job.output("summary-file"))).unwrap()));
        let told = platform.state();
        everything.push(("platform", told.to_string()));
        for (place, text) in everything {
            assert!(!text.contains(TOKEN), "the token is in {place}:\n{text}");
        }
        assert!(run.stderr.contains("token ***"), "{}", run.report());
    }
    let config = std::fs::read_to_string(checkout.path.join(".git/config")).unwrap();
    assert!(!config.contains(TOKEN));
    drop(remote);
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn two_hundred_components_fit_into_a_comment() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let component = |n| {
        format!(
            "      platform/network/service-{n}: {{ settings: {{ command: {{ apply: [\"true\"] }} }} }}\n"
        )
    };
    let components = (0..200).map(component).collect::<Vec<_>>().concat();
    checkout.write(
        "deployments/shop.yaml",
        &format!("deployment:\n  name: shop\n  targets: {{ dev: {{}}, staging: {{ promotion: {{ from: dev }} }}, prod: {{ promotion: {{ from: dev }} }} }}\n  components:\n    command:\n{components}"),
    );
    checkout.commit("Many");
    let job = job(&checkout, "acme/shop", platform.github()).input("deployment", "shop");
    let run = job.run().succeeded();
    assert!(notices(&run).is_empty(), "{}", run.report());
    let comment = platform.told("comments")[0]["body"].as_str().unwrap().to_owned();
    assert!(comment.encode_utf16().count() <= 65_536);
    assert!(comment.contains("### `shop` · dev ✅ · staging ➖ · prod ➖"));
    assert!(comment.contains("**✅ Rollout to dev succeeded** · 200 succeeded"));
    assert!(comment.contains("shortened to fit; the run's summary has all of it"));
    assert!(job.summary().len() <= 1024 * 1024 && job.summary().contains("service-199"));
    for markdown in [comment, job.summary()] {
        let mut columns = None;
        for line in markdown.lines() {
            let cells = line.starts_with('|').then(|| line.matches('|').count());
            assert!(columns.is_none() || cells.is_none() || columns == cells, "a torn row: {line}");
            columns = cells;
        }
        assert_eq!(markdown.matches("<details").count(), markdown.matches("</details>").count());
    }
    // Outputs of a job on GitLab have 5 KB.
    let gitlab = CiJob::gitlab(&checkout).rollout("dev").input("deployment", "shop").unreported();
    let run = gitlab.run().succeeded();
    assert!(
        run.stderr.contains("Notice: a dotenv report has 5 KB at most, and ATMOS_JSON"),
        "{}",
        run.report()
    );
    assert_eq!((gitlab.output("result"), gitlab.output("commit")), ("success".to_owned(), checkout.head()));
}
