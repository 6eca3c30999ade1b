//! The conversion of inputs, and the errors of invalid ones.

use super::*;

fn request(pairs: &[(&str, &str)]) -> Result<Request, CommandError> {
    let variable = |name: &str| format!("ATMOS_INPUT_{}", name.to_uppercase().replace('-', "_"));
    let environment: Vec<_> =
        pairs.iter().map(|(name, value)| (variable(name).into(), (*value).into())).collect();
    Request::new(&Inputs::read(&environment, false).unwrap_or_default())
}

fn refusal(pairs: &[(&str, &str)]) -> String {
    match request(pairs).err().unwrap() {
        CommandError::Shown(error) => {
            let hints: Vec<_> = error.hints.iter().map(|hint| hint.text.clone()).collect();
            format!("{} / {}", error.message, hints.join(" / "))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_verb_can_be_reached() {
    let root = crate::cli::whole_command();
    let verbs = root.find_subcommand("deployment").unwrap().get_subcommands();
    for verb in verbs.map(clap::Command::get_name).filter(|name| *name != "ci") {
        assert_eq!(find(&root, verb).unwrap().0, [verb]);
    }
    assert_eq!(find(&root, "list targets").unwrap().0, ["list", "targets"]);
}

#[test]
fn inputs_become_the_flags_of_the_verb() {
    let request = request(&[
        ("command", "rollout"),
        ("deployment", "api"),
        ("target", "prod"),
        ("promote-from", "staging"),
        ("component", "a, b\nc"),
        ("context", "cpu=1\n\nquery=a,b"),
        ("plan", "true"),
        ("allow-partial", "True"),
        ("allow-rollback", "false"),
        ("reason", "--plan, and more"),
        ("comment", "false"),
        ("args", "--metadata 'note=two words' --fail-fast"),
    ]);
    let parsed = format!("{:?}", request.unwrap().arguments);
    for part in [
        "promote_from: Some(\"staging\")",
        "ComponentReference(\"b\"), ComponentReference(\"c\")",
        "value: \"a,b\"",
        "plan: true",
        "allow_partial: true",
        "allow_rollback: false",
        "reason: Some(\"--plan, and more\")",
        "value: \"two words\"",
        "fail_fast: true",
        "lock_timeout: 600s",
    ] {
        assert!(parsed.contains(part), "{part} is not in {parsed}");
    }
}

#[test]
fn what_is_wrong_is_said_in_the_author_s_words() {
    let rollout = |pairs: &[(&'static str, &'static str)]| {
        refusal(&[&[("command", "rollout"), ("deployment", "api"), ("target", "dev")], pairs].concat())
    };
    for (said, expected) in [
        (refusal(&[]), "input `command` is missing"),
        (refusal(&[("command", "rolout")]), "there is no command called `rolout` / Did you mean rollout?"),
        (refusal(&[("command", "ci")]), "there is no command called `ci`"),
        (refusal(&[("command", "promote")]), "Write `command: rollout` and `promote-from`"),
        (refusal(&[("command", "rollout")]), "input `deployment` is missing"),
        (
            refusal(&[("command", "status"), ("git-sha", "abc")]),
            "input `git-sha` does not apply to command `status` / Those that do are deployment, target, comment, \
             commit-status, deployment-record; other flags of `status` go to `args`",
        ),
        (
            refusal(&[("command", "list"), ("deployment", "api")]),
            "`deployment` does not apply to command `list`",
        ),
        (
            refusal(&[("command", "status"), ("allow-rollback", "true")]),
            "input `allow-rollback` does not apply to command `status`",
        ),
        (
            refusal(&[("command", "status"), ("reason", "why not")]),
            "input `reason` does not apply to command `status`",
        ),
        (refusal(&[("command", "rollout"), ("deployment", "--help")]), "is not the name of a deployment"),
        (rollout(&[("parallelism", "many")]), "input `parallelism`: `many` is not valid: invalid digit"),
        (rollout(&[("plan", "1")]), "input `plan` must be true or false, not `1`"),
        (rollout(&[("allow-rollback", "yes")]), "input `allow-rollback` must be true or false, not `yes`"),
        (rollout(&[("allow-partial", "true")]), "input `promote-from` is missing"),
        (
            rollout(&[("args", "'x")]),
            "input `args` cannot be split into words: a ' is opened and never closed",
        ),
        (rollout(&[("args", "--fail-fats")]), "input `args`: unexpected argument '--fail-fats' found"),
        (rollout(&[("args", "other")]), "input `args`: unexpected argument 'other' found"),
        (
            rollout(&[("git-sha", "abc"), ("promote-from", "dev")]),
            "input `git-sha` cannot be used with input `promote-from`",
        ),
        (rollout(&[("context", "cpu")]), "input `context`: `cpu` is not valid: expected key=value"),
        (rollout(&[("target", "NOT A NAME")]), "input `target`: `NOT A NAME` is not valid"),
        (rollout(&[("fetch", "false")]), "input `fetch: false` does not apply to command `rollout`"),
    ] {
        assert!(said.contains(expected), "{said:?} does not say {expected:?}");
    }
}
