//! Benchmarks of reads: `status` and `history` of one target, in ledgers of every size.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Plan;
use crate::generate::{COMPONENTS, DEPLOYMENT, Ledger, TARGET, TARGET_RECORDS};
use crate::measure::{Contender, Samples, Table, interleave};
use crate::shell::{Shell, output, program, time};

/// `status` of one target against one listing of the refs that it is made of.
pub(crate) fn status(shell: &Shell, ledgers: &[Ledger], plan: &Plan, table: &mut Table) -> Result<()> {
    let ours = |ledger: &Ledger| {
        shell.atmos(&ledger.repository, ["status", DEPLOYMENT, "--target", TARGET, "--offline"])
    };
    let theirs = |ledger: &Ledger| {
        let prefixes = ["deployments", "latest", "locks"]
            .map(|namespace| format!("refs/atmos/{namespace}/{DEPLOYMENT}/{TARGET}/"));
        let mut command = shell.git(
            &ledger.repository,
            ["for-each-ref", "--format=%(objectname) %(refname)", "refs/atmos/pending/"],
        );
        command.args(prefixes);
        command
    };
    for ledger in ledgers {
        let mut command = ours(ledger);
        let document: Value = serde_json::from_slice(&output(command.args(["--format", "json"]))?)?;
        let components = &document["deployments"][0]["targets"]
            .as_array()
            .and_then(|targets| targets.iter().find(|entry| entry["target"] == TARGET))
            .context("status does not show the target")?["components"];
        ensure!(components.as_array().is_some_and(|shown| shown.len() == COMPONENTS.len()), "{components}");
    }
    // All sizes are interleaved in one round, so that one run shows that the cost does not grow.
    let samples = pairs(ledgers, plan.rounds, &ours, &theirs)?;
    for (ledger, (ours, theirs)) in ledgers.iter().zip(&samples) {
        table.compare("`status` of one target : one `for-each-ref`", &on(ledger), ours, theirs, "≤ 2");
    }
    if let (Some((first, _)), Some((last, _)), Some(from), Some(to)) =
        (samples.first(), samples.last(), ledgers.first(), ledgers.last())
    {
        let growth = format!("{} against {}", on(to), on(from));
        table.compare(
            "`status` : the same `status` on the smallest ledger",
            &growth,
            last,
            first,
            "0.8 – 1.2",
        );
    }
    processes(shell, ledgers, &ours, "status", table)
}

/// `history` of a target against git that prints the same tags, and against the specification's
/// script.
pub(crate) fn history(shell: &Shell, ledgers: &[Ledger], plan: &Plan, table: &mut Table) -> Result<()> {
    let ours = |ledger: &Ledger| {
        let arguments = ["history", DEPLOYMENT, "--target", TARGET, "--limit", "0", "--offline"];
        shell.atmos(&ledger.repository, arguments)
    };
    let theirs = |ledger: &Ledger| {
        let tags = format!("refs/tags/atmos/deployments/{DEPLOYMENT}/{TARGET}/");
        shell.git(&ledger.repository, ["for-each-ref", "--format=%(contents)", &tags])
    };
    let sh = program("sh")?;
    let script = |ledger: &Ledger| {
        let mut command = shell.command(&sh, &ledger.repository);
        command.arg("-c").arg(format!(
            "git tag -l 'atmos/deployments/{DEPLOYMENT}/{TARGET}/*' --sort=-creatordate | \
             while read tag; do git cat-file -p \"$tag\"; done"
        ));
        command
    };
    for ledger in ledgers {
        let mut command = ours(ledger);
        let document: Value = serde_json::from_slice(&output(command.args(["--format", "json"]))?)?;
        let records = document["records"].as_array().map_or(0, Vec::len);
        ensure!(records == TARGET_RECORDS, "history shows {records} records of {TARGET_RECORDS}");
    }
    let samples = pairs(ledgers, plan.rounds, &ours, &theirs)?;
    for (ledger, (ours, theirs)) in ledgers.iter().zip(&samples) {
        let what = format!("`history` of {TARGET_RECORDS} records : `for-each-ref %(contents)`");
        table.compare(&what, &on(ledger), ours, theirs, "≤ 2");
    }
    let samples = pairs(ledgers, plan.slow_rounds, &ours, &script)?;
    for (ledger, (ours, theirs)) in ledgers.iter().zip(&samples) {
        let what = format!("`history` of {TARGET_RECORDS} records : the specification's script");
        table.compare(&what, &on(ledger), ours, theirs, "≤ 1/50");
    }
    processes(shell, ledgers, &ours, "history", table)
}

/// Measures two commands on every ledger, all in turn.
fn pairs(
    ledgers: &[Ledger],
    rounds: usize,
    ours: &dyn Fn(&Ledger) -> Command,
    theirs: &dyn Fn(&Ledger) -> Command,
) -> Result<Vec<(Samples, Samples)>> {
    let mut contenders: Vec<Contender<'_>> = Vec::new();
    for ledger in ledgers {
        contenders.push(Box::new(move || time(&mut ours(ledger))));
        contenders.push(Box::new(move || time(&mut theirs(ledger))));
    }
    let samples = interleave(rounds, &mut contenders)?;
    Ok(samples.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
}

/// Counts the git processes of a command; their number must not depend on the ledger.
fn processes(
    shell: &Shell,
    ledgers: &[Ledger],
    ours: &dyn Fn(&Ledger) -> Command,
    verb: &str,
    table: &mut Table,
) -> Result<()> {
    let counts = ledgers
        .iter()
        .map(|ledger| Ok(shell.git_processes(ours(ledger))?.len()))
        .collect::<Result<Vec<_>>>()?;
    let count = counts.first().copied().unwrap_or_default();
    ensure!(counts.iter().all(|other| *other == count), "{verb} starts {counts:?} git processes");
    table.note(&format!("git processes of `{verb}`"), "all of them", count.to_string(), "the same");
    Ok(())
}

fn on(ledger: &Ledger) -> String {
    match ledger.records {
        records if records % 1_000_000 == 0 => format!("{} M records", records / 1_000_000),
        records => format!("{} k records", records / 1_000),
    }
}
