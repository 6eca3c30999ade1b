//! The hints of refusals: each command runs as it is printed, in the state that it was printed for.

use serde_json::Value;

use crate::build;
use crate::locks::lock_of_elsewhere;
use crate::support::{Checkout, Remote, Run, TestEnvironment};

/// A check after the commands of a hint, with the run of the last one.
type Check = fn(&Checkout<'_>, &Run);

/// The variables of a job that GitHub runs for a push.
pub(crate) const PUSH: [(&str, &str); 6] = [
    ("CI", "true"),
    ("GITHUB_ACTIONS", "true"),
    ("GITHUB_EVENT_NAME", "push"),
    ("GITHUB_RUN_ID", "7"),
    ("GITHUB_RUN_ATTEMPT", "1"),
    ("GITHUB_REPOSITORY", "acme/shop"),
];

/// A refusal and its ways out.
struct Refused {
    /// Creates the state in which the command is refused.
    state: fn(&Checkout<'_>),
    line: &'static str,
    variables: &'static [(&'static str, &'static str)],
    exit: i32,
    code: &'static str,
    /// The texts of the hints that have commands, each with a check of the commands' effect.
    ways: &'static [(&'static str, Check)],
}

const REFUSED: Refused = Refused { state: |_| (), line: "", variables: &[], exit: 3, code: "", ways: &[] };

/// For each way out, creates the state anew, runs the hint's commands and checks their effect.
fn check(refused: &Refused) {
    let Refused { state, line, variables, exit, code, ways } = refused;
    for (at, (_, check)) in ways.iter().enumerate() {
        let environment = TestEnvironment::new();
        let (checkout, _remote) = environment.with_remote();
        state(&checkout);
        environment.forget_applied();
        let run = checkout.atmos_with(&format!("{line} --format json"), variables).exited(*exit);
        assert_eq!(run.json()["code"], *code, "{}", run.report());
        assert_eq!(environment.applied(), [""; 0], "{line}");
        let hints = run.hints();
        let texts: Vec<_> = hints.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(texts, ways.iter().map(|(text, _)| *text).collect::<Vec<_>>(), "{line}");
        let commands = hints[at].1.iter();
        let runs: Vec<_> = commands.map(|command| checkout.shell(command, variables).succeeded()).collect();
        check(&checkout, runs.last().unwrap());
    }
}

fn deploy(checkout: &Checkout<'_>, rest: &str) {
    checkout.atmos(&format!("deployment rollout payment-service {rest}")).succeeded();
}

/// The components that were applied, sorted: target, component, version.
fn applied(checkout: &Checkout<'_>) -> Vec<String> {
    let mut lines: Vec<_> = checkout
        .environment
        .applied()
        .iter()
        .map(|line| {
            let words: Vec<_> = line.split(' ').collect();
            format!("{} {} {}", words[0], words[1], words[3])
        })
        .collect();
    lines.sort();
    lines
}

/// The state of a component in `status`.
fn record(checkout: &Checkout<'_>, target: &str, component: &str) -> Value {
    let line = format!("deployment status payment-service --target {target}");
    let status = checkout.json(&line);
    let all = status["deployments"][0]["targets"][0]["components"].as_array().unwrap();
    all.iter().find(|found| found["component"] == component).unwrap().clone()
}

/// The first version runs on dev and staging, the second on dev, and a third is checked out.
fn three_versions(checkout: &Checkout<'_>) {
    deploy(checkout, "--target dev");
    deploy(checkout, "--target staging --promote-from dev");
    checkout.commit_version("2");
    deploy(checkout, "--target dev");
    checkout.commit_version("3");
    checkout.git(&["push", "--quiet", "origin", "main"]);
}

/// Rolls a second version out to dev, of which the database fails, so that `api` is skipped.
fn failed_database(checkout: &Checkout<'_>) {
    checkout.commit_version("2");
    let line = "deployment rollout payment-service --target dev";
    checkout.atmos_with(line, &[("TEST_DO", "[ $ATMOS_COMPONENT != database ]")]).exited(1);
}

#[test]
fn a_commit_that_was_not_promoted_comes_by_promotion_or_by_force() {
    check(&Refused {
        state: three_versions,
        line: "deployment rollout payment-service --target staging --component worker --metadata \"note=it's $HOME\"",
        code: "not_promoted",
        ways: &[
            ("To promote what runs on dev", |checkout, _| {
                assert_eq!(applied(checkout), ["staging worker 2"]);
                let record = record(checkout, "staging", "worker");
                assert_eq!(
                    (&record["promoted_from"], &record["metadata"]["note"]),
                    (&"dev".into(), &"it's $HOME".into())
                );
            }),
            ("Or skip promotion validation (not recommended)", |checkout, _| {
                assert_eq!(applied(checkout), ["staging worker 3"]);
                assert_eq!(record(checkout, "staging", "worker")["metadata"]["promotion_check"], "skipped");
            }),
        ],
        ..REFUSED
    });
}

#[test]
fn a_commit_that_runs_nowhere_is_deployed_to_where_it_is_promoted_from_first() {
    check(&Refused {
        line: "deployment rollout payment-service --target staging --component worker --metadata note=x",
        code: "not_promoted",
        ways: &[
            ("Nothing of it runs on dev yet. To deploy it there first", |checkout, _| {
                assert_eq!(applied(checkout), ["dev worker 1"]);
                assert_eq!(record(checkout, "dev", "worker")["metadata"]["note"], "x");
            }),
            ("Or skip promotion validation (not recommended)", |checkout, _| {
                assert_eq!(applied(checkout), ["staging worker 1"]);
            }),
        ],
        ..REFUSED
    });
    // On prod, the commit would have to run on staging, which cannot be deployed to directly
    // either.
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let run =
        checkout.atmos("deployment rollout payment-service --target prod").refused(3, "has not run there");
    run.says("Nothing of it runs on staging yet. To see what can be promoted:")
        .says("atmos deployment promotion-status payment-service");
}

#[test]
fn a_rollback_with_overrides_goes_without_them() {
    check(&Refused {
        state: |checkout| {
            three_versions(checkout);
            deploy(checkout, "--target staging --promote-from dev");
        },
        line: "deployment rollout payment-service --target staging --git-sha HEAD~2 --component worker --context cpu=7",
        code: "not_promoted",
        ways: &[(
            "With --context it is no rollback to what ran there; to roll back as it was",
            |checkout, _| {
                assert_eq!(applied(checkout), ["staging worker 1"]);
                let record = record(checkout, "staging", "worker");
                assert!(
                    record["rollback_of"].is_string() && record["context_overrides"].is_null(),
                    "{record}"
                );
            },
        )],
        ..REFUSED
    });
}

#[test]
fn a_freeze_can_be_lifted() {
    check(&Refused {
        state: |checkout| {
            deploy(checkout, "--target dev");
            checkout
                .atmos("deployment lock payment-service --target staging --reason \"end of year\"")
                .succeeded();
        },
        line: "deployment rollout payment-service --target staging --promote-from dev",
        code: "frozen",
        ways: &[("To lift the freeze", |checkout, _| {
            assert_eq!(checkout.json("deployment locks")["locks"].as_array().unwrap().len(), 0);
            deploy(checkout, "--target staging --promote-from dev");
        })],
        ..REFUSED
    });
}

#[test]
fn where_there_is_nothing_to_promote_something_is_deployed_first() {
    check(&Refused {
        line: "deployment rollout payment-service --target staging --promote-from dev --reason try",
        code: "nothing_to_promote",
        ways: &[("To deploy to it first", |checkout, _| {
            assert_eq!(applied(checkout), ["dev api 1", "dev database 1", "dev worker 1"]);
            deploy(checkout, "--target staging --promote-from dev");
        })],
        ..REFUSED
    });
    check(&Refused {
        line: "deployment rollout payment-service --target staging --promote-from dev --component worker --allow-partial",
        code: "nothing_to_promote",
        ways: &[("To deploy to it first", |checkout, _| assert_eq!(applied(checkout), ["dev worker 1"]))],
        ..REFUSED
    });
    check(&Refused {
        state: |checkout| deploy(checkout, "--target dev"),
        line: "deployment rollout payment-service --target prod --promote-from staging",
        code: "nothing_to_promote",
        ways: &[("To see what can be promoted", |_, run| {
            assert!(run.stdout.contains("staging"), "{}", run.report());
        })],
        ..REFUSED
    });
}

#[test]
fn a_component_goes_with_what_it_needs() {
    check(&Refused {
        state: |checkout| deploy(checkout, "--target dev"),
        line: "deployment rollout payment-service --target staging --promote-from dev --component api",
        code: "not_promotable",
        ways: &[("To promote what it needs as well: api, database", |checkout, _| {
            assert_eq!(applied(checkout), ["staging api 1", "staging database 1"]);
        })],
        ..REFUSED
    });
    // Indirect dependencies are included, too.
    check(&Refused {
        state: |checkout| {
            let file =
                std::fs::read_to_string(checkout.path.join("deployments/payment-service.yaml")).unwrap();
            let worker = "      worker:\n        metadata: { depends_on: [api] }\n";
            checkout.write("deployments/payment-service.yaml", &file.replace("      worker:\n", worker));
            checkout.commit("The worker needs the api");
            checkout.git(&["push", "--quiet", "origin", "main"]);
            deploy(checkout, "--target dev");
        },
        line: "deployment rollout payment-service --target staging --promote-from dev --component worker",
        code: "not_promotable",
        ways: &[("To promote what it needs as well: worker, api, database", |checkout, _| {
            assert_eq!(applied(checkout).len(), 3);
        })],
        ..REFUSED
    });
    // The dependency cannot be promoted itself.
    check(&Refused {
        state: |checkout| {
            deploy(checkout, "--target dev");
            failed_database(checkout);
        },
        line: "deployment rollout payment-service --target staging --promote-from dev --component api",
        code: "not_promotable",
        ways: &[("To see what runs", |_, run| {
            assert!(run.stdout.contains("failed"), "{}", run.report());
        })],
        ..REFUSED
    });
}

#[test]
fn what_cannot_be_promoted_is_looked_at_or_deployed_anew() {
    check(&Refused {
        state: |checkout| {
            deploy(checkout, "--target dev");
            failed_database(checkout);
        },
        line: "deployment rollout payment-service --target staging --promote-from dev --component database",
        code: "not_promotable",
        ways: &[("To see what runs", |_, run| assert!(run.stdout.contains("failed"), "{}", run.report()))],
        ..REFUSED
    });
    check(&Refused {
        state: |checkout| {
            deploy(checkout, "--target dev");
            let file =
                std::fs::read_to_string(checkout.path.join("deployments/payment-service.yaml")).unwrap();
            let qa = "  targets:\n    qa: { promotion: { from: dev } }\n";
            checkout.write("deployments/payment-service.yaml", &file.replace("  targets:\n", qa));
            checkout.commit("Declare qa");
            checkout.git(&["push", "--quiet", "origin", "main"]);
        },
        line: "deployment rollout payment-service --target qa --promote-from dev --component worker",
        code: "not_promotable",
        ways: &[("To deploy to it first", |checkout, _| {
            assert_eq!(applied(checkout), ["dev worker 1"]);
            deploy(checkout, "--target qa --promote-from dev --component worker");
        })],
        ..REFUSED
    });
}

#[test]
fn a_partial_promotion_goes_on_where_that_is_asked_for() {
    check(&Refused {
        state: |checkout| {
            deploy(checkout, "--target dev");
            deploy(checkout, "--target staging --promote-from dev");
            failed_database(checkout);
        },
        line: "deployment rollout payment-service --target staging --promote-from dev --reason \"not the database\"",
        code: "partial",
        ways: &[
            ("To see what runs", |_, run| assert!(run.stdout.contains("failed"), "{}", run.report())),
            ("To promote the rest all the same", |checkout, _| {
                assert_eq!(applied(checkout), ["staging api 1", "staging worker 2"]);
            }),
        ],
        ..REFUSED
    });
}

#[test]
fn a_mix_goes_each_at_its_own() {
    check(&Refused {
        state: |checkout| {
            deploy(checkout, "--target dev");
            checkout.commit_version("2");
            deploy(checkout, "--target dev --component worker");
        },
        line: "deployment rollout payment-service --target staging --promote-from dev --require-uniform",
        code: "mixed_commits",
        ways: &[("To promote each component at its own commit", |checkout, _| {
            assert_eq!(applied(checkout), ["staging api 1", "staging database 1", "staging worker 2"]);
        })],
        ..REFUSED
    });
}

#[test]
fn a_hold_can_be_lifted() {
    check(&Refused {
        state: |checkout| {
            three_versions(checkout);
            deploy(checkout, "--target staging --promote-from dev");
            deploy(checkout, "--target staging --git-sha HEAD~2");
        },
        line: "deployment rollout payment-service --target staging --promote-from dev",
        variables: &PUSH,
        code: "hold",
        ways: &[("Or lift the hold, for pipelines as well", |checkout, _| {
            let line = "deployment rollout payment-service --target staging --promote-from dev";
            checkout.atmos_with(line, &PUSH).succeeded();
            assert_eq!(applied(checkout).len(), 3);
        })],
        ..REFUSED
    });
}

#[test]
fn an_old_pipeline_may_go_back_where_that_is_asked_for() {
    check(&Refused {
        state: |checkout| {
            three_versions(checkout);
            deploy(checkout, "--target dev");
            checkout.git(&["checkout", "--quiet", "HEAD~1"]);
        },
        line: "deployment rollout payment-service --target dev --component worker",
        variables: &PUSH,
        code: "backwards",
        ways: &[("To go back all the same", |checkout, _| {
            assert_eq!(applied(checkout), ["dev worker 2"]);
            assert!(record(checkout, "dev", "worker")["rollback_of"].is_string());
        })],
        ..REFUSED
    });
}

/// The payment service with this rule for prod and without an approval, rolled out to dev.
fn without_approval(checkout: &Checkout<'_>, prod: &str) {
    let file = std::fs::read_to_string(checkout.path.join("deployments/payment-service.yaml")).unwrap();
    let file = file.replace("from: staging, requires_approval: true, approval_method: manual", prod);
    checkout.write("deployments/payment-service.yaml", &file);
    checkout.commit("No approval");
    checkout.git(&["push", "--quiet", "origin", "main"]);
    deploy(checkout, "--target dev");
}

#[test]
fn the_jump_goes_step_by_step_or_by_force() {
    check(&Refused {
        state: |checkout| without_approval(checkout, "from: staging"),
        line: "deployment rollout payment-service --target prod --promote-from dev --component worker --allow-partial --require-uniform",
        code: "promotion_path",
        ways: &[
            ("To deploy to prod", |checkout, _| {
                assert_eq!(applied(checkout), ["prod worker 1", "staging worker 1"]);
                assert_eq!(record(checkout, "prod", "worker")["promoted_from"], "staging");
            }),
            ("Or skip promotion validation (not recommended)", |checkout, _| {
                assert_eq!(applied(checkout), ["prod worker 1"]);
                assert_eq!(record(checkout, "prod", "worker")["metadata"]["promotion_check"], "skipped");
            }),
        ],
        ..REFUSED
    });
    // If no path leads from the source to the target, the target's own sources are named.
    check(&Refused {
        state: |checkout| {
            without_approval(checkout, "from: dev");
            deploy(checkout, "--target staging --promote-from dev");
        },
        line: "deployment rollout payment-service --target prod --promote-from staging --component worker",
        code: "promotion_path",
        ways: &[
            ("To promote from dev", |checkout, _| assert_eq!(applied(checkout), ["prod worker 1"])),
            ("Or skip promotion validation (not recommended)", |checkout, _| {
                assert_eq!(applied(checkout), ["prod worker 1"]);
            }),
        ],
        ..REFUSED
    });
}

fn lock(checkout: &Checkout<'_>, component: &str) {
    let remote = Remote::new(checkout.environment, checkout.environment.path("remote.git"));
    lock_of_elsewhere(checkout, &remote, component, "2999-01-01T00:00:00Z");
}

#[test]
fn the_locks_of_a_run_that_is_gone_can_be_taken_away() {
    check(&Refused {
        state: |checkout| {
            lock(checkout, "worker");
            lock(checkout, "database");
        },
        line: "deployment rollout payment-service --target dev",
        exit: 4,
        code: "locked",
        ways: &[("If nothing runs there any more", |checkout, _| {
            assert_eq!(checkout.json("deployment locks")["locks"].as_array().unwrap().len(), 0);
            deploy(checkout, "--target dev");
        })],
        ..REFUSED
    });
    check(&Refused {
        state: |checkout| lock(checkout, "worker"),
        line: "deployment unlock payment-service --target dev --component worker",
        exit: 4,
        code: "locked",
        ways: &[("If nothing is running any more", |checkout, _| {
            assert_eq!(checkout.json("deployment locks")["locks"].as_array().unwrap().len(), 0);
        })],
        ..REFUSED
    });
}

fn on_staging(checkout: &Checkout<'_>) {
    deploy(checkout, "--target dev");
    deploy(checkout, "--target staging --promote-from dev");
}

#[test]
fn an_approval_is_given_on_the_command_line() {
    check(&Refused {
        state: on_staging,
        line: "deployment rollout payment-service --target prod --promote-from staging --component worker",
        code: "approval_required",
        ways: &[
            ("To approve this plan on the command line", |checkout, _| {
                assert_eq!(applied(checkout), ["prod worker 1"]);
                assert!(record(checkout, "prod", "worker")["approved_by"].is_string());
            }),
            ("Or a person who may approve it does so ahead of it", |checkout, _| {
                assert_eq!(applied(checkout), [""; 0]);
                deploy(checkout, "--target prod --promote-from staging --component worker");
            }),
        ],
        ..REFUSED
    });
    check(&Refused {
        state: on_staging,
        line: "deployment approve payment-service --target prod --revoke --reason why",
        exit: 2,
        code: "no_approval",
        ways: &[("To see the approvals", |_, _| ())],
        ..REFUSED
    });
}

#[test]
fn hints_keep_secrets_to_themselves() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout.write("atmos.yaml", "deployments: { ledger: { redact: [password] } }\n");
    checkout.commit("Keep the password out");
    checkout.git(&["push", "--quiet", "origin", "main"]);
    on_staging(&checkout);
    let given = "--context password=hunter2 --context cpu=7 --context db.x=hunter2";
    for (target, source) in [("prod", "dev"), ("prod", "staging")] {
        let line =
            format!("deployment rollout payment-service --target {target} --promote-from {source} {given}");
        let run = checkout.atmos(&format!("{line} --metadata password=hunter2")).exited(3);
        assert!(run.stderr.contains("--context password=… --context cpu=7"), "{}", run.report());
        assert_eq!(run.stderr.matches("password=hunter2").count(), 0, "{}", run.report());
        // A job does not know yet which variables the module calls sensitive.
        let run = checkout.atmos_with(&line, &PUSH).exited(3);
        assert!(!run.stderr.contains("hunter2"), "{}", run.report());
    }
    let run = checkout
        .atmos(&format!("deployment rollout payment-service --target dev {}", "--context password=…"));
    run.refused(2, "fill it in");
}

#[test]
fn hints_act_on_the_project_that_they_are_about() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let there = checkout.path.display();
    let line = format!("-C {there} --config atmos.yaml deployment rollout payment-service --target staging");
    checkout.write("atmos.yaml", "{}\n");
    checkout.commit("Have a project");
    checkout.git(&["push", "--quiet", "origin", "main"]);
    deploy(&checkout, "--target dev");
    let run = checkout.atmos(&format!("{line} --format json")).exited(3);
    for (_, commands) in run.hints() {
        for command in commands {
            let start = format!("atmos -C {there} --config atmos.yaml deployment ");
            assert!(command.starts_with(&start), "{command}");
        }
    }
}

/// Promotes exactly the plan of a run, by its digest and with an approval.
fn promote_the_plan(checkout: &Checkout<'_>, run: &Run) {
    assert_eq!(applied(checkout), [""; 0], "a plan changes nothing");
    let digest = run.stdout.split_whitespace().chain(run.stderr.split_whitespace());
    let digest = digest.map(|word| word.trim_matches(',')).find(|word| word.starts_with("v1:sha256:"));
    let digest = digest.unwrap_or_else(|| panic!("no digest\n{}", run.report()));
    deploy(checkout, &format!("--target prod --promote-from staging --approve why --digest {digest}"));
    assert_eq!(applied(checkout).len(), 3);
}

#[test]
fn a_plan_is_seen_again_where_another_one_was_insisted_on() {
    const LOOK: &str = "Look at the new plan, and approve that";
    check(&Refused {
        state: on_staging,
        line: "deployment rollout payment-service --target prod --promote-from staging --digest \
               v1:sha256:00000000000000000000000000000000000000000000000000000000000000ff",
        code: "digest",
        ways: &[(LOOK, promote_the_plan)],
        ..REFUSED
    });
    check(&Refused {
        state: on_staging,
        line: "deployment rollout payment-service --target prod --promote-from staging --digest \
               v2:sha256:00000000000000000000000000000000000000000000000000000000000000ff",
        code: "digest_version",
        ways: &[("To see the new plan, and its digest", promote_the_plan)],
        ..REFUSED
    });
    check(&Refused {
        state: |checkout| {
            without_approval(
                checkout,
                "from: staging, requires_approval: true, approval_method: manual, require_digest: true",
            );
            deploy(checkout, "--target staging --promote-from dev");
        },
        line: "deployment rollout payment-service --target prod --promote-from staging --approve why",
        code: "approval_required",
        ways: &[("To see the plan; pass its digest with --digest", promote_the_plan)],
        ..REFUSED
    });
}

#[test]
fn what_is_not_built_is_built_first() {
    let mut environment = TestEnvironment::new();
    build::images(&mut environment);
    let (checkout, _remote) = build::checkout(&environment);
    let digest = "v1:sha256:00000000000000000000000000000000000000000000000000000000000000ff";
    let line = "deployment rollout payment-service --target dev --digest";
    let run = checkout.atmos(&format!("{line} {digest} --format json")).exited(3);
    assert_eq!(run.json()["code"], "unbuilt", "{}", run.report());
    let hints = run.hints();
    assert_eq!(hints[0].0, "To build what is checked out");
    checkout.shell(&hints[0].1[0], &[]).succeeded();
    let run = checkout.atmos(&format!("{line} {digest} --format json")).exited(3);
    assert_eq!(run.json()["code"], "digest", "it is built, and its digest is another one\n{}", run.report());
}
