//! The decision as a table. Commits are letters: lower-case ones are on one line of history (`a` is
//! the ancestor of `b`), upper-case ones on branches of their own.
//!
//! A story lists the rollouts on `prod`, oldest first; `a<b` is a rollback from `b`.

use std::sync::Arc;

use super::super::chain::Chain;
use super::super::definition::PromotionRule;
use super::super::fixtures::{
    commit, component_name, deployment, hexadecimal, lock, record, state, target_name, time,
};
use super::super::lock::LockScope;
use super::super::record::{LedgerRecord, RecordStatus};
use super::super::state::ComponentState;
use super::*;

const NOW: &str = "2025-01-22T14:00:00Z";

fn id(letter: &str) -> CommitId {
    commit(&hexadecimal(letter))
}

/// The relation of the first commit to the second.
fn ancestry(first: &str, second: &str) -> Ancestry {
    let on_the_line = |letter: &str| letter.bytes().all(|byte| byte.is_ascii_lowercase());
    match first.cmp(second) {
        std::cmp::Ordering::Equal => Ancestry::Same,
        _ if !on_the_line(first) || !on_the_line(second) => Ancestry::Unrelated,
        std::cmp::Ordering::Less => Ancestry::Ancestor,
        std::cmp::Ordering::Greater => Ancestry::Descendant,
    }
}

/// The records of a story, newest first. `!b` is a failed attempt, `~b` a cancelled one.
fn records(target: &str, story: &str) -> Vec<LedgerRecord> {
    let record = |(at, word): (usize, &str)| {
        let status = match word.as_bytes().first() {
            Some(b'!') => RecordStatus::Failed,
            Some(b'~') => RecordStatus::Cancelled,
            _ => RecordStatus::Success,
        };
        let word = word.trim_start_matches(['!', '~']);
        let (to, left) = word.split_once('<').map_or((word, None), |(to, left)| (to, Some(left)));
        let mut made = record(target, "api", id(to).short(), status, &format!("2025-01-22T10:00:{at:02}Z"));
        made.object = id(&format!("{target}{at}")).0;
        made.record.rollback_of = left.map(|left| id(left).to_string());
        made
    };
    let mut records: Vec<_> = story.split_whitespace().enumerate().map(record).collect();
    records.reverse();
    records
}

fn component(target: &str, story: &str) -> Option<ComponentState> {
    let records = records(target, story);
    let newest = records.first().cloned().map(Arc::new)?;
    let running = records.into_iter().find(|found| found.record.status == RecordStatus::Success);
    let running = running.map(Arc::new);
    let commit = running.as_ref().map(|running| running.record.commit.clone());
    Some(ComponentState { commit, newest: Some(newest), running, unpublished: 0 })
}

/// The decision on one component. `rule` and `flags` are words; `ask` is a commit, or `dev` for a
/// promotion of its running commit.
fn decide(rule: &str, story: &str, ask: &str, flags: &str) -> String {
    let has = |words: &str, word: &str| words.split_whitespace().any(|one| one == word);
    let is = |flag: &str| has(flags, flag);
    let mut policy = deployment(&["api"], &[("dev", &[]), ("prod", &[])]);
    let prod = target_name("prod");
    if !rule.is_empty() {
        policy.targets.get_mut(&prod).unwrap().promotion = Some(PromotionRule {
            sources: if has(rule, "guarded") { vec![target_name("dev")] } else { Vec::new() },
            requires_approval: has(rule, "approval"),
            hold: [("hold", true), ("no-hold", false)]
                .into_iter()
                .find_map(|(word, hold)| has(rule, word).then_some(hold)),
            ..PromotionRule::default()
        });
    }
    let promoted = ask.strip_prefix("dev:");
    let dev: Vec<_> = promoted.and_then(|story| component("dev", story)).into_iter().collect();
    let dev = dev.into_iter().map(|state| ("api", state)).collect();
    let here: Vec<_> = component("prod", story).into_iter().map(|state| ("api", state)).collect();
    let mut state = state(vec![("dev", dev), ("prod", here)]);
    if is("frozen") {
        state.targets.get_mut(&prod).unwrap().locks.push(lock(LockScope::Target, None));
    }
    let wanted = promoted.map_or(ask, |story| {
        story.split_whitespace().rfind(|word| !word.starts_with(['!', '~'])).unwrap_or_default()
    });
    let running = story.split_whitespace().rfind(|word| !word.starts_with(['!', '~']));
    let running = running.map(|word| word.split('<').next().unwrap_or(word));
    let name = component_name("api");
    let known = running.map(|running| {
        (name.clone(), if is("unknown") { Ancestry::Unknown } else { ancestry(wanted, running) })
    });
    let flagged = |flag| is(flag).then(|| name.clone()).into_iter().collect();
    let past = PastFacts {
        ancestry: known.into_iter().collect(),
        chains: [(name.clone(), Chain::new(&records("prod", story)))].into(),
        lifted: flagged("lifted"),
        retried: flagged("retried"),
        disabled: BTreeSet::new(),
        declarations: Declarations::default(),
    };
    let request = RolloutRequest {
        target: prod,
        source: match promoted {
            Some(_) => RolloutSource::Promotion { from: target_name("dev") },
            None => RolloutSource::Commit(id(ask)),
        },
        components: if is("only") { vec![name.clone()] } else { Vec::new() },
        skip_promotion_check: is("skip"),
        require_uniform: false,
        allow_partial: is("allow-partial"),
        trust_state: is("trust-state"),
        automatic: is("auto"),
        commit_named: is("named"),
        allow_rollback: is("allow-rollback"),
        retry_is_meant: is("retry-meant"),
        approves: is("approves"),
        overridden: is("overridden"),
    };
    let basis = basis(&policy, &state, &past);
    told(plan(basis, &request))
}

/// A decision in words: its kind, the required approval, the record's rollback, the obstacles.
fn told(decided: Result<RolloutPlan, Refusal>) -> String {
    let name = |refusal: &Refusal| match refusal {
        Refusal::Rules(_) => "rules",
        Refusal::Path(_) => "path",
        Refusal::NotPromoted { why: NotPromotedReason::Overridden, .. } => "not-promoted-overridden",
        Refusal::NotPromoted { why: NotPromotedReason::Left, .. } => "not-promoted-left",
        Refusal::NotPromoted { .. } => "not-promoted",
        Refusal::Frozen { .. } => "frozen",
        Refusal::NothingToPromote { .. } => "nothing",
        Refusal::NotPromotable { .. } => "not-promotable",
        Refusal::Partial { .. } => "partial",
        Refusal::Mixed { .. } => "mixed",
        Refusal::OnHold { .. } => "hold",
        Refusal::Backwards { .. } => "backwards",
    };
    let plan = match decided {
        Err(refusal) => return format!("refused: {}", name(&refusal)),
        Ok(plan) => plan,
    };
    let mut words = vec![match plan.kind {
        RolloutKind::Deploy => "deploy",
        RolloutKind::Promotion { .. } => "promotion",
        RolloutKind::Rollback { .. } => "rollback",
    }];
    words.extend(plan.approval.map(|_| "approval"));
    words.extend(plan.components[0].rollback_of.as_ref().map(|_| "rollback_of"));
    words.extend(plan.promotion_check_skipped.then_some("skipped"));
    let obstacles = plan.obstacles.iter().map(name);
    std::iter::once(words.join(" ").as_str()).chain(obstacles).collect::<Vec<_>>().join("; ")
}

/// Rule, story, request, flags, decision.
const TABLE: [(&str, &str, &str, &str, &str); 97] = [
    // An entry point accepts any commit, and reports the kind of the rollout.
    ("", "", "a", "", "deploy"),
    ("", "a", "a", "", "deploy"),
    ("", "a", "b", "", "deploy"),
    ("", "b", "a", "", "rollback rollback_of"),
    ("", "a b", "a", "named", "rollback rollback_of"),
    ("", "a X", "a", "", "rollback rollback_of"),
    ("", "a", "X", "", "deploy"),
    ("", "X Y", "X", "", "rollback rollback_of"),
    ("", "X Y X<Y", "Y", "", "deploy"),
    ("", "b", "a", "unknown", "deploy"),
    ("", "a b", "a", "unknown", "deploy"),
    ("", "!a", "a", "", "deploy"),
    // A guarded target accepts the running commit, or a return to a good one.
    ("guarded", "", "a", "", "refused: not-promoted"),
    ("guarded", "a", "b", "", "refused: not-promoted"),
    ("guarded", "a", "a", "", "deploy"),
    ("guarded", "a b", "a", "", "rollback rollback_of"),
    ("guarded", "b", "a", "", "refused: not-promoted"),
    ("guarded", "!a b", "a", "", "refused: not-promoted"),
    ("guarded", "~a b", "a", "", "refused: not-promoted"),
    ("guarded", "a b a<b", "b", "", "refused: not-promoted-left"),
    ("guarded", "a b c b<c", "a", "", "rollback rollback_of"),
    ("guarded", "a b", "a", "unknown", "refused: not-promoted-left"),
    ("guarded", "X a", "X", "", "rollback rollback_of"),
    ("guarded", "a", "X", "", "refused: not-promoted"),
    ("guarded", "a b", "a", "overridden", "refused: not-promoted-overridden"),
    ("guarded", "a", "b", "overridden", "refused: not-promoted"),
    ("guarded", "a", "a", "overridden", "deploy"),
    ("guarded", "a", "b", "skip", "deploy skipped"),
    ("guarded", "a", "a", "skip", "deploy"),
    // Approvals: required for everything but the return to a known good.
    ("approval", "", "a", "", "deploy approval"),
    ("approval", "a", "b", "", "deploy approval"),
    ("approval", "a", "a", "", "deploy approval"),
    ("approval", "a b", "a", "", "rollback rollback_of"),
    ("approval", "a b a<b", "a", "", "deploy"),
    ("approval", "a b a<b", "a", "overridden", "deploy approval"),
    ("approval", "a a", "a", "", "deploy approval"),
    ("approval", "a b a<b", "a", "auto", "deploy rollback_of"),
    ("approval", "a b a<b b", "b", "", "deploy approval"),
    ("approval", "b", "a", "", "rollback approval rollback_of"),
    ("approval", "a b", "a", "overridden", "rollback approval rollback_of"),
    ("approval", "a b", "a", "unknown", "deploy approval"),
    ("approval", "a b a<b", "b", "", "deploy approval"),
    ("approval", "a b c b<c", "a", "", "rollback rollback_of"),
    ("guarded approval", "a", "b", "skip", "deploy approval skipped"),
    ("guarded approval", "a", "a", "", "deploy approval"),
    ("guarded approval", "a b", "a", "named", "rollback rollback_of"),
    ("guarded approval", "a b a<b", "b", "named auto", "refused: not-promoted-left"),
    ("guarded approval", "a", "dev:b", "", "promotion approval"),
    ("guarded approval", "a b", "dev:a", "", "promotion rollback_of"),
    ("guarded approval", "b", "dev:a", "", "promotion approval rollback_of"),
    ("guarded approval", "a b a<b", "dev:b", "", "promotion approval"),
    ("guarded approval", "a b", "dev:a", "overridden", "promotion approval rollback_of"),
    // Promotions.
    ("guarded", "", "dev:a", "", "promotion"),
    ("guarded", "a", "dev:b", "", "promotion"),
    ("guarded", "a", "dev:a", "", "promotion"),
    ("", "a", "dev:b", "", "promotion"),
    ("guarded", "", "dev:", "", "refused: nothing"),
    ("guarded", "", "dev:", "only", "refused: not-promotable"),
    ("guarded", "", "dev:a !b", "", "refused: nothing"),
    ("guarded", "", "dev:a ~b", "", "refused: nothing"),
    ("guarded", "", "dev:a ~b", "only", "refused: not-promotable"),
    ("guarded", "", "dev:!b a", "", "promotion"),
    // A hold: a rollback runs, and no person has moved it forwards since.
    ("guarded", "a b a<b", "dev:b", "auto", "promotion; hold"),
    ("guarded", "a b a<b", "dev:b", "", "promotion"),
    ("guarded", "a b a<b", "dev:c", "auto", "promotion; hold"),
    ("guarded", "a b a<b", "dev:a", "auto", "promotion rollback_of"),
    ("guarded", "a b a<b", "dev:a", "", "promotion"),
    ("guarded", "a b a<b", "dev:b", "auto lifted", "promotion"),
    ("guarded", "a b a<b b", "dev:c", "auto", "promotion"),
    ("guarded", "a b a<b !b", "dev:b", "auto", "promotion; hold"),
    ("guarded approval", "a b a<b", "dev:b", "auto", "promotion approval"),
    ("hold approval", "a b a<b", "b", "auto", "deploy approval"),
    ("hold approval", "a b a<b", "b", "auto approves", "deploy approval; hold"),
    ("guarded no-hold", "a b a<b", "dev:b", "auto", "promotion"),
    ("", "a b a<b", "dev:b", "auto", "promotion; hold"),
    ("", "a b a<b", "b", "auto", "deploy"),
    ("hold", "a b a<b", "b", "auto", "deploy; hold"),
    ("hold", "a b a<b", "b", "", "deploy"),
    ("hold", "a b a<b", "b", "retried", "deploy; hold"),
    ("hold", "a b a<b", "X", "auto", "deploy; hold"),
    ("hold", "a b a<b", "b", "auto unknown", "deploy; hold"),
    ("guarded", "a b c b<c", "dev:a", "auto allow-rollback", "promotion rollback_of"),
    ("guarded", "a b a<b", "a", "auto", "deploy rollback_of"),
    // Accidental rollbacks.
    ("", "a b", "a", "auto", "rollback rollback_of; backwards"),
    ("", "b", "a", "auto", "rollback rollback_of; backwards"),
    ("", "a b", "a", "auto named", "rollback rollback_of"),
    ("", "a b", "a", "auto allow-rollback", "rollback rollback_of"),
    ("", "a b", "a", "auto retried", "rollback rollback_of; backwards"),
    ("", "a b", "a", "retried", "rollback rollback_of; backwards"),
    ("", "a b", "a", "retried retry-meant", "rollback rollback_of"),
    ("", "a b", "a", "auto retry-meant", "rollback rollback_of; backwards"),
    ("", "a b", "a", "auto retry-meant retried", "rollback rollback_of"),
    ("", "X Y", "X", "auto", "rollback rollback_of"),
    ("", "a b", "a", "auto unknown", "deploy"),
    ("guarded", "a b", "dev:a", "auto", "promotion rollback_of; backwards"),
    // A freeze blocks everything, and hides no other obstacle.
    ("", "a", "b", "frozen", "deploy; frozen"),
    ("guarded", "a b a<b", "dev:b", "auto frozen", "promotion; frozen; hold"),
];

#[test]
fn every_row_is_decided_as_the_table_says() {
    let mut wrong = Vec::new();
    for (rule, story, ask, flags, expected) in TABLE {
        let decided = decide(rule, story, ask, flags);
        if decided != expected {
            wrong.push(format!("[{rule}] {story:?} → {ask} ({flags}): {decided}, expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An expired freeze does not block.
#[test]
fn an_expired_freeze_is_none() {
    let policy = deployment(&["api"], &[("prod", &[])]);
    let mut state = state(vec![("prod", Vec::new())]);
    state.targets.get_mut(&target_name("prod")).unwrap().locks.push(lock(LockScope::Target, Some(NOW)));
    let past = PastFacts::default();
    let basis = basis(&policy, &state, &past);
    assert_eq!(plan(basis, &request("prod", RolloutSource::Commit(id("a")))).unwrap().obstacles, []);
}

fn request(target: &str, source: RolloutSource) -> RolloutRequest {
    RolloutRequest::new(target_name(target), source)
}

/// The basis over the components that the policy declares, at [`NOW`].
fn basis<'a>(policy: &'a Deployment, state: &'a DeploymentState, past: &'a PastFacts) -> RolloutBasis<'a> {
    RolloutBasis { policy, components: &policy.components, state, past, now: time(NOW) }
}

/// The promotion of `api`, `worker` and `database` from dev to prod, each at a commit, or `!` where
/// its last attempt failed.
fn promote(dev: &[(&str, &str)], change: impl FnOnce(&mut RolloutRequest)) -> String {
    let mut policy = deployment(&["api", "worker", "database"], &[("dev", &[]), ("prod", &["dev"])]);
    policy.components[0].depends_on.push(component_name("database"));
    let components = dev.iter().map(|(name, story)| {
        let mut state = component("dev", story).unwrap();
        for found in [&mut state.newest, &mut state.running].into_iter().flatten() {
            Arc::make_mut(found).id.component = component_name(name);
        }
        (*name, state)
    });
    let state = state(vec![("dev", components.collect()), ("prod", Vec::new())]);
    let past = PastFacts::default();
    let basis = basis(&policy, &state, &past);
    let mut request = request("prod", RolloutSource::Promotion { from: target_name("dev") });
    change(&mut request);
    match plan(basis, &request) {
        Ok(plan) => {
            let names: Vec<_> = plan.components.iter().map(|planned| planned.component.as_str()).collect();
            let partial = if plan.partial { " partial" } else { "" };
            format!("{}{partial}", names.join("+"))
        }
        refused => told(refused),
    }
}

#[test]
fn promotions_of_several_components() {
    let nothing = |_: &mut RolloutRequest| {};
    let all = [("api", "b"), ("worker", "b"), ("database", "b")];
    assert_eq!(promote(&all, nothing), "database+worker+api");
    assert_eq!(promote(&all[..1], nothing), "refused: nothing");
    assert_eq!(promote(&[all[1], all[2]], nothing), "database+worker");
    let failed = [("api", "b"), ("worker", "a !b"), ("database", "b")];
    assert_eq!(promote(&failed, nothing), "refused: partial");
    assert_eq!(promote(&failed, |request| request.allow_partial = true), "database+api partial");
    let needed = [("api", "b"), ("worker", "b"), ("database", "a ~b")];
    assert_eq!(promote(&needed, |request| request.allow_partial = true), "worker partial");
    let only = |names: &[&str]| names.iter().map(|name| component_name(name)).collect::<Vec<_>>();
    assert_eq!(promote(&all, |request| request.components = only(&["api"])), "refused: not-promotable");
    assert_eq!(promote(&all, |request| request.components = only(&["api", "database"])), "database+api");
    assert_eq!(promote(&failed, |request| request.components = only(&["database"])), "database");
}

#[test]
fn components_at_two_commits_are_not_uniform() {
    let uniform = |request: &mut RolloutRequest| request.require_uniform = true;
    let same = [("api", "b"), ("worker", "b"), ("database", "b")];
    assert_eq!(promote(&same, uniform), "database+worker+api");
    let two = [("api", "b"), ("worker", "a"), ("database", "b")];
    assert_eq!(promote(&two, uniform), "refused: mixed");
    assert_eq!(promote(&[("worker", "a"), ("database", "a")], uniform), "database+worker");
}

#[test]
fn a_promotion_keeps_to_the_path() {
    let policy = deployment(&["api"], &[("dev", &[]), ("staging", &["dev"]), ("prod", &["staging"])]);
    let dev = vec![("api", component("dev", "a").unwrap())];
    let state = state(vec![("dev", dev), ("prod", Vec::new())]);
    let past = PastFacts::default();
    let basis = basis(&policy, &state, &past);
    let mut request = request("prod", RolloutSource::Promotion { from: target_name("dev") });
    assert_eq!(told(plan(basis, &request)), "refused: path");
    request.skip_promotion_check = true;
    assert_eq!(told(plan(basis, &request)), "promotion approval skipped");
}

/// A promotion to b failed half-way, and all go back to a: components already at a need no
/// approval.
#[test]
fn a_rollback_of_half_a_promotion_needs_no_approval() {
    let mut policy = deployment(&["api", "worker"], &[("prod", &[])]);
    let rule = PromotionRule { requires_approval: true, ..PromotionRule::default() };
    policy.targets.get_mut(&target_name("prod")).unwrap().promotion = Some(rule);
    let approval = |api: &str, worker: &str, overrides: bool| {
        let mut components = Vec::new();
        let mut past = PastFacts::default();
        for (name, story) in [("api", api), ("worker", worker)] {
            let mut state = component("prod", story).unwrap();
            let running = state.commit.clone().unwrap();
            let found = Arc::make_mut(state.running.as_mut().unwrap());
            if overrides {
                found.record.context_overrides.insert("cpu".to_owned(), "2".to_owned());
            }
            let related = if running == id("a") { Ancestry::Same } else { Ancestry::Ancestor };
            past.ancestry.insert(component_name(name), related);
            past.chains.insert(component_name(name), Chain::new(&records("prod", story)));
            components.push((name, state));
        }
        let state = state(vec![("prod", components)]);
        let basis = basis(&policy, &state, &past);
        plan(basis, &request("prod", RolloutSource::Commit(id("a")))).unwrap().approval.is_some()
    };
    assert!(!approval("a b", "a", false));
    assert!(approval("a b", "a", true), "it loses its override: that is a change");
    assert!(approval("a", "a", false), "nothing goes back");
    assert!(approval("b", "a", false), "a never ran where b runs: no known good to go back to");
}

/// A rollback stays one despite later failures: the record names the commit that was left.
#[test]
fn the_record_names_the_commit_that_is_left() {
    let policy = deployment(&["api"], &[("prod", &[])]);
    let state = state(vec![("prod", vec![("api", component("prod", "a b !c").unwrap())])]);
    let past = PastFacts {
        ancestry: [(component_name("api"), Ancestry::Ancestor)].into(),
        chains: [(component_name("api"), Chain::new(&records("prod", "a b !c")))].into(),
        ..PastFacts::default()
    };
    let basis = basis(&policy, &state, &past);
    let decided = plan(basis, &request("prod", RolloutSource::Commit(id("a")))).unwrap();
    assert_eq!(decided.components[0].rollback_of.as_deref(), Some(id("b").as_str()));
    assert_eq!(
        decided.components[0].replaces,
        component("prod", "a b").unwrap().running.map(|it| it.object.clone())
    );
}
