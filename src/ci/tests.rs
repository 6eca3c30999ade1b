//! Tries every event that starts a job with every kind of commit checked out: which verbs may run,
//! for which request, and where results are shown.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Activity, Job};
use crate::deployment::CommitId;
use crate::deployment::change_request::{ChangeRequest, RequestLookup};

const BASE: &str = "$BASE";
const HEAD: &str = "$HEAD";
const MERGE: &str = "$MERGE";
const TAG: &str = "$TAG";
/// A commit that a step of the job has made.
const LOCAL: &str = "$LOCAL";
/// The head of a fork that the event is not about.
const OTHER: &str = "$OTHER";

const COMMITS: [&str; 6] = [BASE, HEAD, MERGE, TAG, LOCAL, OTHER];

/// The origin of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Own,
    Fork,
    DeletedFork,
}

#[derive(Deserialize)]
struct GitHubEvent {
    event: String,
    #[serde(default)]
    note: String,
    #[serde(rename = "ref")]
    reference: String,
    sha: String,
    payload: Value,
}

#[derive(Deserialize)]
struct GitLabSource {
    source: String,
    #[serde(default)]
    note: String,
    variables: BTreeMap<String, String>,
}

/// One job of the table, without a checked-out commit yet.
struct Case {
    name: String,
    change: Option<Change>,
    /// The commit that the platform checks out.
    default: String,
    /// The commits on the repository's branches and tags.
    own: Vec<&'static str>,
    job: Job,
}

fn id(commit: &str) -> CommitId {
    let at = COMMITS.iter().position(|known| *known == commit).unwrap();
    char::from(b'a' + u8::try_from(at).unwrap()).to_string().repeat(40).parse().unwrap()
}

fn name(commit: &CommitId) -> &'static str {
    COMMITS.into_iter().find(|known| id(known) == *commit).unwrap().trim_start_matches('$')
}

fn filled(text: &str, change: Change) -> String {
    let mut text = text.to_owned();
    let repository = match change {
        Change::Own => json!({ "full_name": "acme/shop" }),
        Change::Fork => json!({ "full_name": "mallory/shop" }),
        Change::DeletedFork => Value::Null,
    };
    // GitHub lists no pull requests of forks.
    let listed = match change {
        Change::Own => {
            let side = |sha: &str, branch: &str| {
                json!({ "sha": sha, "ref": branch,
                        "repo": { "id": 1, "url": "https://api.github.com/repos/acme/shop" } })
            };
            json!([{ "number": 7, "head": side(HEAD, "feature"), "base": side(BASE, "main") }])
        }
        Change::Fork | Change::DeletedFork => json!([]),
    };
    text = text.replace("\"$HEAD_REPOSITORY\"", &repository.to_string());
    text = text.replace("\"$LISTED\"", &listed.to_string());
    for commit in COMMITS {
        text = text.replace(commit, id(commit).as_str());
    }
    text
}

/// The changes that an event is tried with: a commit's owner matters where it may be a fork's.
fn changes(text: &str, of_any_commit: bool) -> Vec<Option<Change>> {
    if ["$HEAD_REPOSITORY", "$LISTED", "$HEAD_PATH"].iter().any(|mark| text.contains(mark)) {
        return vec![Some(Change::Own), Some(Change::Fork), Some(Change::DeletedFork)];
    }
    if of_any_commit { vec![Some(Change::Own), Some(Change::Fork)] } else { vec![None] }
}

fn own(change: Option<Change>, reference: &str) -> Vec<&'static str> {
    let mut own = vec![BASE, TAG];
    own.extend((change.is_none() || change == Some(Change::Own)).then_some(HEAD));
    own.extend(reference.starts_with("refs/heads/gh-readonly-queue/").then_some(MERGE));
    own
}

fn github() -> Vec<Case> {
    let events: Vec<GitHubEvent> =
        serde_json::from_str(include_str!("../../tests/events/github.json")).unwrap();
    let mut cases = Vec::new();
    for event in events {
        let payload = event.payload.to_string();
        let of_any_commit = event.event.starts_with("deployment") || event.event == "status";
        for change in changes(&payload, of_any_commit && payload.contains(HEAD)) {
            let filled = |text: &str| filled(text, change.unwrap_or(Change::Own));
            let variables: BTreeMap<_, _> = [
                ("GITHUB_ACTIONS", "true".to_owned()),
                ("GITHUB_RUN_ID", "99".to_owned()),
                ("GITHUB_REPOSITORY", "acme/shop".to_owned()),
                ("GITHUB_EVENT_NAME", event.event.clone()),
                ("GITHUB_REF", filled(&event.reference)),
                ("GITHUB_SHA", filled(&event.sha)),
            ]
            .into();
            let variable =
                |name: &str| variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
            cases.push(Case {
                name: format!("{} {}", event.event, event.note),
                change,
                default: event.sha.clone(),
                own: own(change, &event.reference),
                job: Job::detect(variable, || Some(filled(&payload))).unwrap(),
            });
        }
    }
    cases
}

fn gitlab() -> Vec<Case> {
    let sources: Vec<GitLabSource> =
        serde_json::from_str(include_str!("../../tests/events/gitlab.json")).unwrap();
    let mut cases = Vec::new();
    for GitLabSource { source, note, variables } in sources {
        let text = json!(variables).to_string();
        for change in changes(&text, note == "of what is not said") {
            let (project, path) = match change {
                None | Some(Change::Own) => ("42", "acme/shop"),
                Some(Change::Fork) => ("43", "mallory/shop"),
                Some(Change::DeletedFork) => ("", ""),
            };
            let filled = |text: &str| {
                let text = text.replace("$HEAD_PROJECT", project).replace("$HEAD_PATH", path);
                filled(&text, change.unwrap_or(Change::Own))
            };
            let mut all: BTreeMap<_, _> =
                variables.iter().map(|(name, value)| (name.clone(), filled(value))).collect();
            for (name, value) in [
                ("GITLAB_CI", "true"),
                ("CI_PIPELINE_ID", "5"),
                ("CI_JOB_ID", "6"),
                ("CI_PROJECT_ID", "42"),
                ("CI_PROJECT_PATH", "acme/shop"),
                ("CI_DEFAULT_BRANCH", "main"),
                ("CI_PIPELINE_SOURCE", &source),
            ] {
                all.insert(name.to_owned(), value.to_owned());
            }
            let variable = |name: &str| all.get(name).map(String::as_str).filter(|value| !value.is_empty());
            cases.push(Case {
                name: format!("{source} {note}"),
                change,
                default: variables["CI_COMMIT_SHA"].clone(),
                own: own(change, ""),
                job: Job::detect(variable, || None).unwrap(),
            });
        }
    }
    cases
}

impl Case {
    /// The commits to check out: the platform's default, the change's head, a fork's, one on no
    /// ref.
    fn checkouts(&self) -> Vec<&str> {
        let mut checkouts = vec![self.default.as_str()];
        match self.change {
            Some(_) if self.default != HEAD => checkouts.push(HEAD),
            Some(_) => {}
            None => checkouts.push(OTHER),
        }
        checkouts.push(LOCAL);
        checkouts
    }

    /// The decision about a verb, with its basis.
    fn decision(&self, activity: Activity, checkout: &str) -> &'static str {
        let trust = &self.job.trust;
        if !trust.needs_own_commits(activity) {
            return if activity == Activity::Reads { "reads" } else { "runs without secrets" };
        }
        match (trust.own.contains(&id(checkout)), self.own.contains(&checkout)) {
            (true, _) => "runs",
            (false, true) => "runs, remote asked",
            (false, false) => "refused",
        }
    }

    fn row(&self, checkout: &str) -> String {
        let change = match self.change {
            None => "",
            Some(Change::Own) => "own",
            Some(Change::Fork) => "fork",
            Some(Change::DeletedFork) => "deleted",
        };
        let rollout = self.decision(Activity::Acts, checkout);
        let shown = name(self.job.shown_at(&id(checkout)));
        let record = match &self.job.requested_deployment {
            _ if rollout == "refused" => "-".to_owned(),
            Some(requested) if requested.commit == id(checkout) => format!("the event's {}", requested.id),
            _ => "new".to_owned(),
        };
        [
            self.name.trim(),
            change,
            if self.job.read_only_token { "reads" } else { "writes" },
            checkout.trim_start_matches('$'),
            self.decision(Activity::Plans, checkout),
            rollout,
            self.decision(Activity::Reads, checkout),
            &self.request(),
            shown,
            &record,
            self.job.next_reference.as_deref().unwrap_or("-"),
        ]
        .join(" | ")
    }

    fn request(&self) -> String {
        let known = self.job.change_request.as_ref().map(|request| {
            let ChangeRequest { number, state, head, .. } = request;
            match head {
                Some(head) => format!("{number} {state:?} {}", name(head)),
                None => number.to_string(),
            }
        });
        let asked = self.job.request_lookup.as_ref().map(|lookup| match lookup {
            RequestLookup::Number(number) => format!("ask for {number}"),
            RequestLookup::Commit(asked) => {
                let branch = asked.branch.as_deref().map(|branch| format!(" on {branch}"));
                let open = if asked.merged { "" } else { ", open" };
                format!("ask for that of {}{}{open}", name(&asked.commit), branch.unwrap_or_default())
            }
        });
        match (known, asked) {
            (Some(known), None) => known,
            (_, Some(asked)) => asked,
            (None, None) => "-".to_owned(),
        }
    }
}

fn table(cases: &[Case]) -> String {
    let head = "event | change | token | checkout | plan | rollout | status | request | statuses at | record | next on\n";
    let mut table = head.to_owned();
    for case in cases {
        for checkout in case.checkouts() {
            writeln!(table, "{}", case.row(checkout)).unwrap();
        }
    }
    table
}

#[test]
fn what_each_event_may_run_and_report_on_github() {
    insta::assert_snapshot!("github_events", table(&github()));
}

#[test]
fn what_each_source_of_pipelines_may_run_and_report_on_gitlab() {
    insta::assert_snapshot!("gitlab_sources", table(&gitlab()));
}

#[test]
fn no_commit_that_is_not_the_repository_s_runs_where_there_are_secrets() {
    for case in github().iter().chain(&gitlab()) {
        for checkout in case.checkouts() {
            // A trial merge that the platform made of the repository's own commits.
            let trial = checkout == MERGE && case.change == Some(Change::Own);
            let foreign = !case.own.contains(&checkout) && !trial;
            let record = case.name.contains("record's tag");
            for activity in [Activity::Plans, Activity::Acts] {
                let decision = case.decision(activity, checkout);
                let without_secrets = decision == "runs without secrets";
                assert!(
                    !without_secrets || (activity, foreign || checkout == LOCAL) != (Activity::Acts, true)
                );
                assert!(!foreign || without_secrets || decision == "refused", "{}", case.row(checkout));
                assert!(foreign || decision != "refused" || record, "{}", case.row(checkout));
            }
        }
    }
}
