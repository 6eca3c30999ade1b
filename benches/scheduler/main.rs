//! Benchmarks of the scheduler's own cost: a graph of components that do nothing, equal components
//! on fewer slots, and rollouts of components that do nothing through the whole program.
//!
//! `cargo bench --bench scheduler`
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a benchmark prints what it measured")]

mod rollout;

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use atmos_deployments::cancellation::Cancellation;
use atmos_deployments::deployment::ComponentName;
use atmos_deployments::deployment::graph::Graph;
use atmos_deployments::scheduler::{Execution, Limits, Scheduler, Slot};

/// The number of components that do nothing.
const COMPONENTS: usize = 1_000;
/// The number of earlier components that each of them needs.
const NEEDS: usize = 3;
/// The number of rounds of each measurement; the median counts.
const ROUNDS: usize = 11;
/// The working time of each equal component.
const WORK: Duration = Duration::from_millis(250);
const EQUAL: usize = 8;
const SLOTS: usize = 4;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be made");

    let graph = layered(COMPONENTS);
    let took = median(|| runtime.block_on(run(&graph, 8, Duration::ZERO)));
    let each = took / u32::try_from(COMPONENTS).expect("it is a small number");
    println!("{COMPONENTS} components that do nothing, {NEEDS} needs each, 8 slots");
    println!("  {took:?} in all, {each:?} a component (at most 1 ms)");

    let equal = independent(EQUAL);
    let took = median(|| runtime.block_on(run(&equal, SLOTS, WORK)));
    let ideal = WORK * u32::try_from(EQUAL.div_ceil(SLOTS)).expect("it is a small number");
    let over = (took.as_secs_f64() / ideal.as_secs_f64() - 1.0) * 100.0;
    println!("{EQUAL} components of {WORK:?} on {SLOTS} slots");
    println!("  {took:?}, ideal {ideal:?}: {over:.2} % more (at most 5 %)");

    rollout::measure();
}

async fn run(graph: &Graph<ComponentName>, slots: usize, work: Duration) -> Duration {
    let parallelism = NonZeroUsize::new(slots).expect("it is not zero");
    let began = Instant::now();
    let scheduler = Scheduler::new(graph, Limits { parallelism, fail_fast: false }).expect("no cycle");
    let executor = move |_: ComponentName, slot: Slot, _: Cancellation| async move {
        if !work.is_zero() {
            tokio::time::sleep(work).await;
        }
        slot.free();
        Execution::<(), ()>::Succeeded(())
    };
    let completions = scheduler.run(executor, Cancellation::never(), |_| {}).await;
    assert_eq!(completions.len(), graph.nodes().count());
    began.elapsed()
}

fn median(mut measure: impl FnMut() -> Duration) -> Duration {
    let mut rounds: Vec<_> = (0..ROUNDS).map(|_| measure()).collect();
    rounds.sort();
    rounds[ROUNDS / 2]
}

fn name(number: usize) -> ComponentName {
    format!("component-{number:04}").parse().expect("it is a name")
}

/// A graph in which each component needs up to `NEEDS` of those before it.
fn layered(number: usize) -> Graph<ComponentName> {
    let mut graph = Graph::default();
    for at in 0..number {
        let needs = (1..=NEEDS).filter_map(|step| at.checked_sub(step * 7)).map(name);
        graph.insert(name(at), needs);
    }
    graph
}

fn independent(number: usize) -> Graph<ComponentName> {
    let mut graph = Graph::default();
    for at in 0..number {
        graph.insert(name(at), []);
    }
    graph
}
