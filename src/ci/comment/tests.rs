//! The comment as reviewers get it, with ordinary deployments, huge ones and hostile ones.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::deployment::ComponentKind;
use crate::deployment::diff::{CommitSummary, ConfigurationDifference, DiffSide, Drift, SideName};
use crate::deployment::fixtures::{self, commit, component_name, target_name, time};
use crate::deployment::promotion_status::{StandingFacts, promotion_status};
use crate::deployment::rollout_report::{
    Changes, ComponentReport, ComponentResult, RolloutKind, RolloutResult,
};

/// Everything that a [`CommentInput`] borrows.
struct Story {
    standing: PromotionView,
    presence: Option<BTreeMap<TargetName, Presence>>,
    unfinished: Vec<Unfinished>,
    of_ledger_alone: bool,
    stale: Option<Stale>,
    /// The components that the rollout is limited to.
    only: Vec<String>,
    rollout: RolloutReport,
    diff: DiffView,
    /// The dependency changes that belong to `diff`.
    dependencies: Vec<DependencyChange>,
    failure: Option<FailureView>,
    approvals: Vec<Approved>,
    run: RunLink,
}

impl Story {
    /// `payment-service` with these components, all of which a promotion to prod would change.
    fn new(components: &[&str], summary: &str) -> Self {
        let deployment =
            fixtures::deployment(components, &[("dev", &[]), ("staging", &["dev"]), ("prod", &["staging"])]);
        let on = |target, short, at| {
            components
                .iter()
                .map(|name| (*name, fixtures::running(target, name, short, at)))
                .collect::<Vec<_>>()
        };
        let state = fixtures::state(vec![
            ("dev", on("dev", "def456a", "2025-01-23T15:30:00Z")),
            ("staging", on("staging", "def456a", "2025-01-23T15:45:00Z")),
            ("prod", on("prod", "abc123d", "2025-01-20T09:15:00Z")),
        ]);
        let behind = BTreeMap::from([(target_name("prod"), 3)]);
        let standing = promotion_status(
            &deployment,
            &state,
            &StandingFacts { commits_behind: behind, ..StandingFacts::default() },
            time("2025-01-23T16:00:00Z"),
        );
        let summaries = [summary, "Increase the check interval to 30 s", "Update dependencies"];
        let commits = summaries.iter().enumerate().map(|(number, summary)| CommitSummary {
            commit: commit(&format!("c0ffee{number}")),
            summary: (*summary).to_owned(),
            only_in: SideName::To,
        });
        // Names also come from untrusted lock files.
        let hostile = if summary.contains('<') { summary } else { "" };
        let side =
            |target: &str| DiffSide { target: Some(target_name(target)), commit: None, deployed_at: None };
        Self {
            presence: Some(BTreeMap::from([
                (target_name("dev"), Presence::Deployed),
                (target_name("staging"), Presence::Partly { components: 2, of: 3 }),
            ])),
            unfinished: Vec::new(),
            of_ledger_alone: false,
            stale: None,
            only: Vec::new(),
            rollout: report("staging", components, ComponentResult::Success),
            diff: DiffView {
                deployment: "payment-service".parse().unwrap(),
                from: side("prod"),
                to: side("staging"),
                commits_ahead: 0,
                commits_behind: 3,
                commits: commits.collect(),
                components: Vec::new(),
                configuration: vec![
                    ConfigurationDifference {
                        path: "context.cpu".to_owned(),
                        from: Some(json!(1024)),
                        to: Some(json!(2048)),
                        overridden: vec![SideName::From],
                    },
                    ConfigurationDifference {
                        path: "context.log_level".to_owned(),
                        from: None,
                        to: Some(json!(summary)),
                        overridden: Vec::new(),
                    },
                    ConfigurationDifference {
                        path: "context.memory".to_owned(),
                        from: Some(json!(512)),
                        to: Some(json!(512)),
                        overridden: Vec::new(),
                    },
                ],
                files: None,
                drift: Drift::NotChecked,
            },
            dependencies: ["bytes", "idna", "openssl"]
                .iter()
                .enumerate()
                .filter_map(|(number, name)| {
                    Some(DependencyChange {
                        component: (*components.first()?).to_owned(),
                        name: if number == 0 { format!("{name}{hostile}") } else { (*name).to_owned() },
                        from: if number == 0 { Vec::new() } else { vec!["3.6".to_owned()] },
                        to: if number == 2 { Vec::new() } else { vec!["3.7".to_owned(), "4.0".to_owned()] },
                    })
                })
                .collect(),
            failure: None,
            approvals: vec![Approved {
                target: target_name("staging"),
                by: "alice".to_owned(),
                at: Some(time("2025-01-23T15:44:00Z")),
            }],
            run: RunLink {
                name: "Deploy #128".to_owned(),
                address: Some("https://github.com/acme/shop/actions/runs/128".to_owned()),
            },
            standing,
        }
    }

    fn render(&self, template: &CommentTemplate, limit: Limit) -> Result<Rendered, CommentError> {
        let diff_to = |target: &TargetName| (*target == target_name("prod")).then_some(&self.diff);
        let dependencies_to =
            |target: &TargetName| diff_to(target).map_or(&[][..], |_| self.dependencies.as_slice());
        let preview = |edge| PromotionPreview {
            edge,
            diff: diff_to(&edge.to),
            dependencies: dependencies_to(&edge.to),
        };
        let promotions: Vec<_> = self.standing.edges.iter().map(preview).collect();
        let runs = BTreeMap::from([(target_name("prod"), "https://github.com/acme/shop/runs/99".to_owned())]);
        let rollout = RolloutOfRun {
            report: &self.rollout,
            diff: diff_to(&self.rollout.target),
            dependencies: dependencies_to(&self.rollout.target),
            only: &self.only,
        };
        let input = CommentInput {
            standing: &self.standing,
            presence: self.presence.as_ref(),
            unfinished: &self.unfinished,
            of_ledger_alone: self.of_ledger_alone,
            stale: self.stale.as_ref(),
            rollout: self.failure.is_none().then_some(rollout),
            complete: None,
            failure: self.failure.as_ref(),
            promotions: &promotions,
            approvals: &self.approvals,
            run: Some(&self.run),
            runs: &runs,
            commit_address: Some("https://github.com/acme/shop/commit/"),
            now: time("2025-01-23T16:00:00Z"),
        };
        template.render(&input, limit)
    }

    fn markdown(&self, characters: usize) -> Rendered {
        self.render(&CommentTemplate::built_in().unwrap(), Limit::Characters(characters)).unwrap()
    }
}

fn report(target: &str, components: &[&str], status: ComponentResult) -> RolloutReport {
    let component = |(number, name): (usize, &&str)| ComponentReport {
        rollback_of: None,
        component: component_name(name),
        kind: ComponentKind::Terraform,
        previous_commit: Some(commit("abc123d")),
        commit: commit("def456a"),
        status,
        record: None,
        duration: Duration::from_secs(1),
        changes: Some(Changes { add: number as u64, change: 1, destroy: u64::from(number == 2) }),
        health: None,
        error: None,
        reason: Vec::new(),
        already_deployed: false,
        overridden: Vec::new(),
        notice: None,
        outputs: serde_json::Map::new(),
        log: Vec::new(),
    };
    RolloutReport {
        partial: false,
        would_be_refused: Vec::new(),
        deployment: "payment-service".parse().unwrap(),
        target: target_name(target),
        kind: RolloutKind::Promotion { from: target_name(if target == "prod" { "staging" } else { "dev" }) },
        dry_run: status == ComponentResult::Planned,
        result: RolloutResult::Success,
        approval: None,
        digest: format!("sha256:{}", "0c".repeat(32)),
        components: components.iter().enumerate().map(component).collect(),
        duration: Duration::from_secs(4),
        unpublished: 0,
        ledger_error: None,
    }
}

const GITHUB: usize = 65_536;

/// Asserts the invariants of each line of a table, a list or a paragraph, for any input.
fn assert_sound(markdown: &str) {
    let mut columns = None;
    let mut open = 0_i32;
    for line in markdown.lines() {
        let plain = line.replace("\\|", "");
        if line.starts_with('|') {
            let cells = plain.matches('|').count();
            assert_eq!(*columns.get_or_insert(cells), cells, "a torn row: {line}");
            assert!(line.ends_with('|'), "a torn row: {line}");
        } else {
            columns = None;
        }
        open += i32::from(line.starts_with("<details")) - i32::from(line == "</details>");
        assert!((0..=1).contains(&open), "unbalanced: {line}");
        // The only HTML is the template's own.
        let html = line
            .replace("<code>", "")
            .replace("</code>", "")
            .replace("<pre>", "")
            .replace("</pre>", "")
            .replace("<sub>", "")
            .replace("</sub>", "")
            .replace("<summary>", "")
            .replace("</summary>", "");
        assert!(
            !html.contains('<') || ["<details>", "<details open>", "</details>"].contains(&line),
            "{line}"
        );
    }
    assert_eq!(open, 0);
    assert_eq!(markdown.matches("```").count() % 2, 0);
    // Every mention and reference is broken, apart from addresses.
    for (index, sign) in markdown.char_indices().filter(|(_, c)| *c == '@' || *c == '#') {
        let rest = &markdown[index + 1..];
        let heading = sign == '#' && (index == 0 || markdown[..index].ends_with(['\n', '#']));
        let entity = sign == '#' && markdown[..index].ends_with('&');
        assert!(heading || entity || rest.starts_with("&#8203;"), "{sign}{}", &rest[..rest.len().min(20)]);
    }
    assert!(!markdown.contains("${{"));
}

#[test]
fn a_reviewer_sees_where_the_change_is_and_what_comes_next() {
    let mut story = Story::new(&["api", "worker", "database"], "Add connection pooling");
    let failed = &mut story.rollout.components[1];
    failed.status = ComponentResult::Failed;
    failed.error = Some("terraform apply failed with exit status 1".to_owned());
    failed.changes = None;
    failed.reason = ["Error: Resource postcondition failed", "  on main.tf line 6:", "`too` <many> @subnets"]
        .map(str::to_owned)
        .to_vec();
    story.rollout.result = RolloutResult::Failed;
    let rendered = story.markdown(GITHUB);
    assert!(!rendered.shortened);
    assert_sound(&rendered.markdown);
    insta::assert_snapshot!("comment", rendered.markdown);
}

#[test]
fn an_approver_sees_what_would_change_and_its_digest() {
    let mut story = Story::new(&["api", "worker", "database"], "Add connection pooling");
    story.rollout = report("prod", &["api", "worker", "database"], ComponentResult::Planned);
    story.presence.as_mut().unwrap().insert(target_name("staging"), Presence::Deployed);
    let rendered = story.markdown(GITHUB);
    assert_sound(&rendered.markdown);
    insta::assert_snapshot!("plan_comment", rendered.markdown);
}

#[test]
fn after_a_promotion_the_next_one_is_named() {
    let mut story = Story::new(&["api", "worker", "database"], "Add connection pooling");
    story.presence.as_mut().unwrap().insert(target_name("staging"), Presence::Deployed);
    insta::assert_snapshot!("promoted_comment", story.markdown(GITHUB).markdown);
}

#[test]
fn a_refusal_says_why_and_what_to_do() {
    let mut story = Story::new(&["api"], "Add connection pooling");
    story.failure = Some(FailureView {
        symbol: "⛔",
        title: "Promotion to prod was refused".to_owned(),
        message: "Cannot promote directly from dev to prod".to_owned(),
        details: vec!["Promotion path requires: dev → staging → prod".to_owned(), "  3 | a: <b>".to_owned()],
        hints: vec![HintView {
            text: "To deploy to prod".to_owned(),
            commands: vec!["atmos deployment rollout a".to_owned(), "atmos deployment rollout b".to_owned()],
        }],
    });
    let rendered = story.markdown(GITHUB);
    assert_sound(&rendered.markdown);
    insta::assert_snapshot!("refused_comment", rendered.markdown);
}

#[test]
fn what_failed_stays_shown_when_another_job_succeeds() {
    let mut story = Story::new(&["api", "worker", "database"], "Add connection pooling");
    story.rollout = report("staging", &["api"], ComponentResult::Success);
    story.only = vec!["api".to_owned()];
    let presence = story.presence.as_mut().unwrap();
    presence.insert(target_name("staging"), Presence::Failed);
    presence.insert(target_name("prod"), Presence::Unknown);
    let unfinished = |component, status, run: Option<&str>| Unfinished {
        target: target_name("staging"),
        component: component_name(component),
        status,
        commit: commit("def456a"),
        at: time("2025-01-23T15:50:00Z"),
        run: run.map(str::to_owned),
        error: run.map(|_| "terraform apply failed with exit status 1".to_owned()),
    };
    let address = "https://github.com/acme/shop/actions/runs/128/attempts/1";
    story.unfinished = vec![
        unfinished("worker", RecordStatus::Failed, Some(address)),
        unfinished("database", RecordStatus::Cancelled, None),
    ];
    let rendered = story.markdown(GITHUB);
    assert_sound(&rendered.markdown);
    assert!(!rendered.markdown.contains("**Next:**"));
    insta::assert_snapshot!("matrix_comment", rendered.markdown);
}

#[test]
fn a_change_whose_commits_are_not_known_runs_nowhere_that_is_shown() {
    let mut story = Story::new(&["api"], "Add connection pooling");
    story.presence = None;
    let rendered = story.markdown(GITHUB).markdown;
    assert_sound(&rendered);
    for claim in ["✅ |", "➖", "deployed |", "This change |"] {
        assert!(!rendered.contains(claim), "{claim}: {rendered}");
    }
    assert!(rendered.contains("Which commits this change has is not known here"), "{rendered}");
    assert!(rendered.contains("\n| Target | Runs | Since |\n|:--|:--|:--|\n| **dev** | "), "{rendered}");
}

#[test]
fn a_deployment_file_that_is_broken_leaves_what_the_ledger_knows() {
    let mut story = Story::new(&["api"], "Add connection pooling");
    story.presence = None;
    story.of_ledger_alone = true;
    story.standing.edges.clear();
    story.failure = Some(FailureView {
        symbol: "❌",
        title: "atmos deployment rollout failed".to_owned(),
        message: "deployments/a.yaml:3:3: unknown field `targts`".to_owned(),
        details: Vec::new(),
        hints: Vec::new(),
    });
    let rendered = story.markdown(GITHUB);
    assert_sound(&rendered.markdown);
    insta::assert_snapshot!("broken_comment", rendered.markdown);
}

#[test]
fn the_first_comment_of_a_deployment_has_little_to_say() {
    let mut story = Story::new(&[], "");
    story.presence = Some(BTreeMap::new());
    story.approvals.clear();
    story.diff.commits.clear();
    story.diff.configuration.clear();
    story.diff.commits_behind = 0;
    insta::assert_snapshot!("empty_comment", story.markdown(GITHUB).markdown);
}

#[test]
fn what_others_write_is_text() {
    let hostile = "%0A::set-output|x\r\n| a | b |\n# h @org/team <img src=x onerror=alert(1)> `c` ${{ secrets.T }} \
                   </details> <!-- fixes #1 ```\n/close";
    let mut story = Story::new(&["a|b`@c", "</details>"], hostile);
    story.rollout.components[0].error = Some(hostile.to_owned());
    story.rollout.components[0].reason = hostile.lines().map(str::to_owned).collect();
    story.only = vec![hostile.to_owned()];
    story.approvals[0].by = hostile.to_owned();
    story.run.name = hostile.to_owned();
    let rolled_back = &mut story.standing.targets[2];
    rolled_back.hold = true;
    rolled_back.overridden = [hostile.to_owned(), "cpu".to_owned()].into();
    story.standing.targets[1].freeze = Some(crate::deployment::promotion_status::Freeze {
        holder: "@ops".to_owned(),
        reason: Some(hostile.to_owned()),
        expires_at: None,
    });
    let rendered = story.markdown(GITHUB);
    assert_sound(&rendered.markdown);
    insta::assert_snapshot!("hostile_comment", rendered.markdown);
}

#[test]
fn rows_give_way_before_the_limit_and_the_counts_stay() {
    let names: Vec<_> = (0..2000).map(|n| format!("platform/service-{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut story = Story::new(&names, "Add connection pooling");
    story.dependencies = story.dependencies.iter().cycle().take(3000).cloned().collect();
    for limit in [GITHUB, 20_000, 5_000, 3_000] {
        let rendered = story.markdown(limit);
        assert!(rendered.shortened);
        assert!(rendered.markdown.encode_utf16().count() <= limit);
        assert_sound(&rendered.markdown);
        assert!(
            rendered
                .markdown
                .contains("3 commits, 2000 components, 2 configuration values, 3000 dependencies")
        );
        assert!(rendered.markdown.contains("shortened to fit"));
    }
    let summary = story.render(&CommentTemplate::built_in().unwrap(), Limit::Bytes(1 << 20)).unwrap();
    assert!(summary.markdown.contains("2000 components"));
}

#[test]
fn a_template_of_one_s_own_escapes_by_itself() {
    let story = Story::new(&["api"], "@org/all | <b>");
    let template =
        CommentTemplate::new("{{#each promotions}}{{#each commits.rows}}{{summary}}\n{{/each}}{{/each}}")
            .unwrap();
    let markdown = story.render(&template, Limit::Characters(GITHUB)).unwrap().markdown;
    assert!(markdown.starts_with("@&#8203;org/all \\| &lt;b&gt;\n"), "{markdown}");
}

#[test]
fn a_template_of_one_s_own_is_told_what_is_wrong_with_it() {
    let error = CommentTemplate::new("{{#if x}}").unwrap_err().to_string();
    assert!(error.contains("template cannot be read"), "{error}");
    let story = Story::new(&["api"], "");
    let misspelt = CommentTemplate::new("one\n  {{deploymnet}}").unwrap();
    let error = story.render(&misspelt, Limit::Characters(GITHUB)).unwrap_err().to_string();
    assert!(error.contains("deploymnet") && error.contains("line 2"), "{error}");
    let endless = CommentTemplate::new(&"x".repeat(100)).unwrap();
    let error = story.render(&endless, Limit::Characters(99)).unwrap_err();
    assert!(matches!(error, CommentError::TooLong { length: 100, limit: 99 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_text_breaks_the_comment(
        names in prop::collection::btree_set("[a-z<>|`@#&*_\\[\\]\u{202e}é ]{1,24}", 1..260),
        hostile in "(?s)[\\PC\n\r|`<>@#*_\\[\\](){}$!~-]{0,200}",
        limit in prop::sample::select(vec![GITHUB, 12_000, 4_000]),
    ) {
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let mut story = Story::new(&names, &hostile);
        story.rollout.components[0].error = Some(hostile.clone());
        story.rollout.components[0].reason = hostile.lines().map(str::to_owned).collect();
        story.only = vec![hostile.clone()];
        story.approvals[0].by.clone_from(&hostile);
        let rendered = story.markdown(limit);
        prop_assert!(rendered.markdown.encode_utf16().count() <= limit);
        assert_sound(&rendered.markdown);
        prop_assert!(rendered.markdown.contains("### `payment-service` · dev "));
    }
}

#[test]
fn what_the_remote_has_not_told_is_not_said_to_be_so() {
    let mut story = Story::new(&["api", "worker", "database"], "Add connection pooling");
    story.rollout = report("staging", &["api"], ComponentResult::Planned);
    let stale = |as_of| Stale { remote: "origin".to_owned(), why: NotTold::NoAnswer, as_of };
    story.stale = Some(stale(Some(time("2025-01-23T15:30:00Z"))));
    let known = story.markdown(GITHUB).markdown;
    assert_sound(&known);
    assert!(known.contains("⚠️ **origin did not answer: as of 2025-01-23 15:30 UTC**"), "{known}");
    assert!(known.contains("| ❔ | **dev** | unknown |"), "{known}");
    story.stale = Some(stale(None));
    let unknown = story.markdown(GITHUB).markdown;
    assert!(unknown.contains("⚠️ **origin did not answer: what runs where is not known here**"), "{unknown}");
    assert!(!unknown.contains("| **dev** |"), "{unknown}");
    for text in [known, unknown] {
        assert!(!text.contains("**Next:**") && !text.contains("| deployed |"), "{text}");
    }
}
