//! A person at a terminal: the question before a rollout that needs an approval, and the display
//! while components run.

use crate::support::{Checkout, Remote, Terminal, TestEnvironment};

const PROMOTE: &str = "deployment rollout payment-service --target prod --promote-from staging";
const QUESTION: &str = "Approve deployment? [y/N]: ";

/// A checkout whose commit runs on staging, ready to be promoted to prod.
fn ready(environment: &TestEnvironment) -> (Checkout<'_>, Remote<'_>) {
    let (checkout, remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    checkout.atmos("deployment rollout payment-service --target staging --promote-from dev").succeeded();
    environment.forget_applied();
    (checkout, remote)
}

/// Starts a command line in a terminal, and waits for the question.
fn asked(checkout: &Checkout<'_>, line: &str) -> Terminal {
    let terminal = Terminal::start(checkout.atmos_command(line));
    terminal.until_it_shows(QUESTION);
    terminal
}

#[test]
fn an_answer_other_than_yes_is_no_approval() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = ready(&environment);
    let before = remote.snapshot();
    for answer in ["\r", "n\r", "no\r", "yup\r", " \r", "\u{4}"] {
        let mut terminal = asked(&checkout, PROMOTE);
        terminal.types(answer);
        let (code, shown) = terminal.wait();
        assert_eq!(code, Some(3), "{answer:?}\n{shown}");
        assert!(shown.contains("the rollout to prod was not approved"), "{answer:?}\n{shown}");
        assert!(!shown.contains("Why?"), "{shown}");
        assert!(!shown.contains(&format!("{QUESTION}Error")), "{answer:?}\n{shown}");
    }
    assert_eq!((remote.snapshot(), environment.applied()), (before, Vec::new()));
}

#[test]
fn a_yes_comes_with_a_reason() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = ready(&environment);
    let before = remote.snapshot();
    for blank in ["\r \r\t\r", "\u{4}"] {
        let mut terminal = asked(&checkout, PROMOTE);
        terminal.types("y\r");
        terminal.until_it_shows("Why? ");
        terminal.types(blank);
        let (code, shown) = terminal.wait();
        assert_eq!(code, Some(3), "{shown}");
        assert!(shown.contains("An approval needs a reason"), "{shown}");
    }
    assert_eq!((remote.snapshot(), environment.applied()), (before, Vec::new()));

    let mut terminal = asked(&checkout, PROMOTE);
    terminal.types("Y\r");
    terminal.until_it_shows("Why? ");
    terminal.types("\r");
    terminal.until_it_shows("An approval needs a reason");
    terminal.types("  CHG-42 is due  \r");
    let (code, shown) = terminal.wait();
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(environment.applied().len(), 3, "{shown}");
    let record = remote.git(&["cat-file", "-p", "refs/atmos/latest/payment-service/prod/api"]);
    for line in ["reason: CHG-42 is due", "approvals_of: seen", "approver: ada@example.com"] {
        assert!(record.contains(line), "no {line:?} in\n{record}");
    }
    let history = checkout.atmos("deployment history payment-service --target prod").succeeded();
    history.shows("CHG-42 is due").shows("approved by ada@example.com");
}

#[test]
fn the_question_shows_what_is_approved() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = ready(&environment);
    let first = checkout.head();
    checkout.atmos(&format!("{PROMOTE} --approve why")).succeeded();
    let second = checkout.commit_version("2");
    for line in ["--target dev", "--target staging --promote-from dev"] {
        checkout.atmos(&format!("deployment rollout payment-service {line} --component api")).succeeded();
    }
    let line = format!("{PROMOTE} --context cpu=4096");
    let plan = checkout.json(&format!("{line} --plan"));
    let mut terminal = asked(&checkout, &line);
    terminal.types("\r");
    let (_, shown) = terminal.wait();
    let (old, new) = (&first[..7], &second[..7]);
    for text in [
        "Manual approval required for prod deployment".to_owned(),
        first.clone(),
        second.clone(),
        format!("api: {old} → {new}"),
        format!("worker: {old}, with other values"),
        "--context cpu=4096".to_owned(),
        format!("Digest: {}", plan["digest"].as_str().unwrap()),
    ] {
        assert!(shown.contains(&text), "no {text:?} in\n{shown}");
    }
}

#[test]
fn the_question_keeps_secrets_to_itself() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = ready(&environment);
    checkout.write("atmos.yaml", "deployments: { ledger: { redact: [password] } }\n");
    checkout.commit("Keep the password out");
    checkout.git(&["push", "--quiet", "origin", "main"]);
    let mut terminal = asked(&checkout, &format!("{PROMOTE} --context password=hunter2 --context cpu=4096"));
    terminal.types("n\r");
    let (_, shown) = terminal.wait();
    for text in ["--context password=…", "--context cpu=4096"] {
        assert!(shown.contains(text), "no {text:?} in\n{shown}");
    }
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn an_interruption_at_the_question_leaves_nothing_behind() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = ready(&environment);
    let before = remote.snapshot();
    for answers in ["\u{3}", "y\r\u{3}"] {
        let mut terminal = asked(&checkout, PROMOTE);
        assert_eq!(remote.locks(), [""; 0], "while a person thinks, nothing is locked");
        for key in answers.split_inclusive('\r') {
            terminal.types(key);
            if key == "y\r" {
                terminal.until_it_shows("Why? ");
            }
        }
        let (code, shown) = terminal.wait();
        assert_eq!(code, Some(130), "{shown}");
        assert!(shown.contains("cancelled before anything was applied"), "{shown}");
    }
    assert_eq!((remote.snapshot(), environment.applied()), (before, Vec::new()));
    assert_eq!(checkout.git(&["for-each-ref", "refs/atmos/pending", "refs/atmos/locks"]), "");
    checkout.atmos(&format!("{PROMOTE} --approve why")).succeeded();
}

#[test]
fn an_approval_ahead_is_asked_for_in_the_same_way() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = ready(&environment);
    let line = "deployment approve payment-service --target prod --promote-from staging";
    let mut terminal = Terminal::start(checkout.atmos_command(line));
    terminal.until_it_shows("Approve payment-service → prod? [y/N]: ");
    terminal.types("y\r");
    terminal.until_it_shows("Why? ");
    terminal.types("CHG-42\r");
    let (code, shown) = terminal.wait();
    assert_eq!(code, Some(0), "{shown}");
    for text in ["Promoted from staging", "It counts for 24 hours", "api: new → "] {
        assert!(shown.contains(text), "no {text:?} in\n{shown}");
    }
    assert!(!shown.contains("Deploying"), "{shown}");
    let list = checkout.json("deployment approvals payment-service");
    let approval = &list["approvals"][0];
    assert_eq!((&approval["reason"], &approval["of"]), (&"CHG-42".into(), &"seen".into()), "{list}");
    checkout.atmos(PROMOTE).succeeded();
}

#[test]
fn a_terminal_shows_what_runs_while_it_runs_and_in_colour() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let go = environment.path("go");
    let mut command = checkout.atmos_command("deployment rollout payment-service --target dev");
    command.env("TEST_DO", format!("until [ -e {} ]; do sleep 0.05; done", go.display()));
    let terminal = Terminal::start(command);
    // A spinner with the time, and the number of waiting components below it.
    terminal.until_it_shows("command/database (0s)");
    terminal.until_it_shows("command/worker (");
    terminal.until_it_shows("1 waiting");
    std::fs::write(go, "").unwrap();
    let (code, shown) = terminal.wait();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("\u{1b}[32m✓"), "it is in colour\n{shown:?}");
    assert_eq!(remote.state("payment-service", "dev", "api"), checkout.head());
}

#[test]
fn an_interruption_of_a_rollout_in_a_terminal_is_recorded_as_one() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let mut command = checkout.atmos_command("deployment rollout payment-service --target dev");
    command.env("TEST_DO", "for try in $(seq 600); do sleep 0.1; done");
    let mut terminal = Terminal::start(command);
    terminal.until_it_shows("command/database (");
    terminal.types("\u{3}");
    let (code, shown) = terminal.wait();
    assert_eq!(code, Some(130), "{shown}");
    assert_eq!(remote.locks(), [""; 0]);
    let record = remote.git(&["cat-file", "-p", "refs/atmos/latest/payment-service/dev/database"]);
    assert!(record.contains("status: cancelled"), "{record}");
}
