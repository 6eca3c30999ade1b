//! The scheduler's guarantees, tested with executors that only wait.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Barrier, oneshot};

use super::*;
use crate::cancellation::Canceller;

type Completions = Vec<Completion<(), &'static str>>;

fn name(text: &str) -> ComponentName {
    text.parse().unwrap()
}

fn scheduler(edges: &[(&str, &[&str])], parallelism: usize, fail_fast: bool) -> Scheduler {
    let mut graph = Graph::default();
    for (node, needs) in edges {
        graph.insert(name(node), needs.iter().map(|need| name(need)));
    }
    let parallelism = NonZeroUsize::new(parallelism).unwrap();
    Scheduler::new(&graph, Limits { parallelism, fail_fast }).unwrap()
}

/// One line per component: `a ok`, `b failed`, `c blocked by b`.
fn told(completions: &Completions) -> Vec<String> {
    completions
        .iter()
        .map(|Completion { component, outcome, .. }| match outcome {
            Outcome::Succeeded(()) => format!("{component} ok"),
            Outcome::Failed(_) => format!("{component} failed"),
            Outcome::Cancelled => format!("{component} cancelled"),
            Outcome::Skipped { because: SkipReason::Blocked(by) } => format!("{component} blocked by {by}"),
            Outcome::Skipped { because: SkipReason::FailFast(by) } => format!("{component} not after {by}"),
            Outcome::Skipped { because: SkipReason::Cancelled } => format!("{component} not started"),
        })
        .collect()
}

/// Fails the named components and passes the others.
async fn run_failing(scheduler: Scheduler, failing: &'static [&'static str]) -> Completions {
    let execute = move |component: ComponentName, _slot, _cancellation| async move {
        if failing.contains(&component.as_str()) {
            Execution::Failed("as told")
        } else {
            Execution::Succeeded(())
        }
    };
    scheduler.run(execute, Cancellation::never(), |_| {}).await
}

#[tokio::test]
async fn a_diamond_runs_in_dependency_order() {
    let scheduler = scheduler(&[("d", &["b", "c"]), ("b", &["a"]), ("c", &["a"]), ("a", &[])], 1, false);
    assert_eq!(told(&run_failing(scheduler, &[]).await), ["a ok", "b ok", "c ok", "d ok"]);
}

#[tokio::test]
async fn a_failure_blocks_what_needs_it_and_nothing_else() {
    let edges: &[(&str, &[&str])] =
        &[("a", &[]), ("b", &["a"]), ("c", &["b"]), ("x", &[]), ("y", &["x"]), ("z", &["c", "y"])];
    let completions = run_failing(scheduler(edges, 1, false), &["a"]).await;
    assert_eq!(
        told(&completions),
        ["a failed", "b blocked by a", "c blocked by a", "z blocked by a", "x ok", "y ok"]
    );
}

#[tokio::test]
async fn fail_fast_starts_nothing_more_and_lets_what_runs_finish() {
    let (release, wait) = oneshot::channel::<()>();
    let wait = Mutex::new(Some(wait));
    let execute = move |component: ComponentName, _slot, _cancellation| {
        let wait = (component.as_str() == "slow").then(|| wait.lock().unwrap().take().unwrap());
        async move {
            match wait {
                Some(wait) => {
                    wait.await.unwrap();
                    Execution::Succeeded(())
                }
                None => Execution::Failed("as told"),
            }
        }
    };
    let mut release = Some(release);
    let edges: &[(&str, &[&str])] = &[("bad", &[]), ("slow", &[]), ("other", &["slow"]), ("third", &[])];
    let completions = scheduler(edges, 2, true)
        .run(execute, Cancellation::never(), |event| {
            // The slow one ends only after the failure was observed.
            if let Event::Finished { status: Status::Failed, .. } = event {
                release.take().unwrap().send(()).unwrap();
            }
        })
        .await;
    assert_eq!(told(&completions), ["bad failed", "slow ok", "third not after bad", "other not after bad"]);
}

#[tokio::test]
async fn cancelling_starts_nothing_more_and_waits_for_what_runs() {
    let (canceller, cancellation) = Cancellation::new();
    let canceller = Mutex::new(Some(canceller));
    let execute = move |_, _slot, cancellation: Cancellation| {
        let canceller: Option<Canceller> = canceller.lock().unwrap().take();
        async move {
            if let Some(canceller) = canceller {
                canceller.raise(CancellationLevel::Graceful);
            }
            cancellation.above(CancellationLevel::None).await;
            Execution::<(), &'static str>::Cancelled
        }
    };
    let edges: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a"]), ("c", &[])];
    let completions = scheduler(edges, 1, false).run(execute, cancellation, |_| {}).await;
    assert_eq!(told(&completions), ["a cancelled", "b blocked by a", "c not started"]);
}

#[tokio::test]
async fn no_more_than_the_limit_work_at_once() {
    let working = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    let execute = move |_, slot: Slot, _cancellation| {
        let (working, most) = (Arc::clone(&working), Arc::clone(&most));
        async move {
            most.fetch_max(working.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            working.fetch_sub(1, Ordering::SeqCst);
            slot.free();
            Execution::<(), ()>::Succeeded(())
        }
    };
    let names: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
    let edges: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), &[][..])).collect();
    let completions = scheduler(&edges, 3, false).run(execute, Cancellation::never(), |_| {}).await;
    assert_eq!(completions.len(), 20);
    assert_eq!(seen.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_freed_slot_lets_the_next_component_start() {
    // Both wait for each other after freeing the only slot: neither would end if it were held.
    let both = Arc::new(Barrier::new(2));
    let execute = move |_, slot: Slot, _cancellation| {
        let both = Arc::clone(&both);
        async move {
            slot.free();
            both.wait().await;
            Execution::<(), &'static str>::Succeeded(())
        }
    };
    let completions =
        scheduler(&[("a", &[]), ("b", &[])], 1, false).run(execute, Cancellation::never(), |_| {}).await;
    assert_eq!(completions.len(), 2);
}

#[tokio::test]
async fn every_component_is_told_of_as_started_and_finished_or_as_skipped() {
    let mut events = Vec::new();
    let execute = |_, _slot, _cancellation| async { Execution::<(), &'static str>::Failed("as told") };
    scheduler(&[("a", &[]), ("b", &["a"])], 1, false)
        .run(execute, Cancellation::never(), |event| {
            events.push(match event {
                Event::Started { component, .. } => format!("started {component}"),
                Event::Finished { component, status, .. } => format!("finished {component} {status:?}"),
                Event::Skipped { component, .. } => format!("skipped {component}"),
            });
        })
        .await;
    assert_eq!(events, ["started a", "finished a Failed", "skipped b"]);
}

#[test]
fn a_cycle_is_refused_before_anything_runs() {
    let mut graph = Graph::default();
    graph.insert(name("a"), [name("b")]);
    graph.insert(name("b"), [name("a")]);
    let limits = Limits { parallelism: NonZeroUsize::MIN, fail_fast: false };
    assert_eq!(Scheduler::new(&graph, limits).unwrap_err(), Cycle(vec![name("a"), name("b"), name("a")]));
}
