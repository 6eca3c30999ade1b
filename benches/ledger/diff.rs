//! Benchmark of `diff` on a long history with merges.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Plan;
use crate::generate::{COMPONENTS, DEPLOYMENT, EPOCH, definition, file};
use crate::measure::{Contender, Table, interleave};
use crate::shell::{Shell, feed, output, text, time};

/// One merge in this many commits, of a branch of `BRANCH` commits.
const MERGE_EVERY: usize = 10;
const BRANCH: usize = 4;

/// `diff` of two targets against plain git counting the commits and the lines between them.
pub(crate) fn measure(shell: &Shell, cache: &Path, plan: &Plan, table: &mut Table) -> Result<()> {
    let folder = cache.join(format!("diff-{}", plan.commits));
    if !folder.join(".git/complete").exists() {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        generate(shell, &folder, plan.commits)?;
        fs::write(folder.join(".git/complete"), "")?;
    }
    let commit = |target: &str| {
        let name = format!("refs/atmos/deployments/{DEPLOYMENT}/{target}/{}", COMPONENTS[0]);
        text(&mut shell.git(&folder, ["rev-parse", &name]))
    };
    let (from, to) = (commit("prod")?, commit("dev")?);
    let ours = || {
        shell.atmos(
            &folder,
            ["diff", DEPLOYMENT, "--from-target", "prod", "--to-target", "dev", "--show-files", "--offline"],
        )
    };
    let range = format!("{from}...{to}");
    let count = || shell.git(&folder, ["rev-list", "--left-right", "--count", &range]);
    let numstat = || shell.git(&folder, ["diff", "--numstat", &from, &to]);

    let counted = text(&mut count())?;
    // `rev-list` prints the number of the left side's own commits first: `diff` is ahead by those.
    let (ahead, behind) = counted.split_once('\t').context("rev-list prints two numbers")?;
    let document: Value = serde_json::from_slice(&output(ours().args(["--format", "json"]))?)?;
    let shown = |key: &str| document[key].as_u64().map(|number| number.to_string());
    let agrees = shown("commits_ahead").as_deref() == Some(ahead)
        && shown("commits_behind").as_deref() == Some(behind);
    ensure!(agrees, "diff shows {:?} and {:?} of {counted}", shown("commits_behind"), shown("commits_ahead"));

    let samples = interleave(
        plan.rounds,
        &mut [
            Box::new(|| time(&mut ours())) as Contender<'_>,
            Box::new(|| Ok(time(&mut count())? + time(&mut numstat())?)),
        ],
    )?;
    let [ours_took, theirs_took] = &samples[..] else { return Ok(()) };
    let on = format!("{} commits, {ahead} of them ahead, {behind} behind", plan.commits);
    table.compare(
        "`diff` of two targets : `rev-list --count` and `diff --numstat`",
        &on,
        ours_took,
        theirs_took,
        "≤ 2",
    );
    let processes = shell.git_processes(ours())?.len();
    table.note("git processes of `diff`", &on, processes.to_string(), "");
    Ok(())
}

/// Generates a history with one merge in every ten commits. `dev` runs its end, `prod` the end of a
/// branch that forked off half way.
fn generate(shell: &Shell, folder: &Path, commits: usize) -> Result<()> {
    fs::create_dir_all(folder)?;
    output(&mut shell.git(folder, ["init", "--quiet", "--initial-branch=main", "."]))?;
    feed(&mut shell.git(folder, ["fast-import", "--quiet"]), |input| {
        let mut history = History { input, number: 0 };
        let mut main = history.commit("main", &[])?;
        let mut left_half_way = None;
        while history.number < commits {
            if history.number % MERGE_EVERY == 1 {
                let mut branch = main;
                for _ in 0..BRANCH {
                    branch = history.commit("topic", &[branch])?;
                }
                main = history.commit("main", &[main, branch])?;
            } else {
                main = history.commit("main", &[main])?;
            }
            if left_half_way.is_none() && history.number >= commits / 2 {
                left_half_way = Some(main);
            }
        }
        let mut release = left_half_way.context("a history without a middle")?;
        for _ in 0..3 {
            release = history.commit("release", &[release])?;
        }
        for component in COMPONENTS {
            for (target, mark) in [("dev", main), ("prod", release)] {
                let name = format!("refs/atmos/deployments/{DEPLOYMENT}/{target}/{component}");
                writeln!(history.input, "reset {name}\nfrom :{mark}\n")?;
            }
        }
        Ok(())
    })?;
    output(&mut shell.git(folder, ["reset", "--quiet", "--hard"]))?;
    output(&mut shell.git(folder, ["pack-refs", "--all"]))?;
    Ok(())
}

/// A history that is being written to `git fast-import`.
struct History<'i> {
    input: &'i mut dyn Write,
    number: usize,
}

impl History<'_> {
    /// Adds a commit that changes one of some hundreds of files, and returns its mark.
    fn commit(&mut self, branch: &str, parents: &[usize]) -> Result<usize> {
        self.number += 1;
        let number = self.number;
        let when = EPOCH + i64::try_from(number)? * 60;
        writeln!(self.input, "commit refs/heads/{branch}\nmark :{number}")?;
        writeln!(self.input, "committer Bench <bench@example.com> {when} +0000")?;
        let message = format!("Change {number}\n");
        writeln!(self.input, "data {}\n{message}", message.len())?;
        for (index, parent) in parents.iter().enumerate() {
            writeln!(self.input, "{} :{parent}", if index == 0 { "from" } else { "merge" })?;
        }
        if parents.is_empty() {
            file(self.input, &format!("deployments/{DEPLOYMENT}.yaml"), &definition())?;
        }
        let component = COMPONENTS[number % COMPONENTS.len()];
        file(
            self.input,
            &format!("services/{component}/{}.txt", number * 7 % 400),
            &"line\n".repeat(number % 50),
        )?;
        writeln!(self.input)?;
        Ok(number)
    }
}
