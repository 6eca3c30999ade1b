//! Benchmark of the tracking of a rollout, apart from the work that is rolled out.
//!
//! Ten independent components do nothing (`apply: ["true"]`), against a bare remote on the same
//! disk. A whole `rollout`, less the time of the same ten commands alone at the same parallelism,
//! is compared with the three git commands that a rollout cannot do without: a fetch, a push that
//! takes ten locks, and an atomic push of ten records with all refs that move with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Plan;
use crate::generate::{self, COMPONENTS, DEPLOYMENT, TARGET};
use crate::measure::{Contender, Table, interleave};
use crate::shell::{Shell, feed, output, program, text, time};

/// The number of components that run at the same time.
const PARALLELISM: usize = 2;

pub(crate) fn measure(shell: &Shell, cache: &Path, plan: &Plan, table: &mut Table) -> Result<()> {
    // Both sides mostly wait for the disk, so they are measured with and without fsync.
    compare(shell, cache, plan, Sync::Disk, table)?;
    compare(shell, cache, plan, Sync::Nothing, table)
}

/// Whether git waits for the disk after it has written a ref.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sync {
    /// The default of git.
    Disk,
    /// `core.fsync=none`, here and on the remote, for both sides.
    Nothing,
}

fn compare(shell: &Shell, cache: &Path, plan: &Plan, sync: Sync, table: &mut Table) -> Result<()> {
    let tracked = pair(shell, &cache.join("rollout-tracked"), sync)?;
    let mut bare =
        Bare { shell, folder: pair(shell, &cache.join("rollout-bare"), sync)?, round: 0, newest: Vec::new() };
    let rollout = || {
        let parallelism = PARALLELISM.to_string();
        shell.atmos(&tracked, ["rollout", DEPLOYMENT, "--target", TARGET, "--parallelism", &parallelism])
    };
    let document: Value = serde_json::from_slice(&output(rollout().args(["--format", "json"]))?)?;
    ensure!(document["components"].as_array().is_some_and(|all| all.len() == COMPONENTS.len()), "{document}");
    let first = shell.git_processes(rollout())?;
    let samples = interleave(
        plan.rounds,
        &mut [
            Box::new(|| {
                let took = time(&mut rollout())?;
                pack(shell, &tracked)?;
                Ok(took)
            }) as Contender<'_>,
            Box::new(|| {
                let took = bare.round()?;
                pack(shell, &bare.folder)?;
                Ok(took)
            }),
            Box::new(|| commands_alone(shell, &tracked)),
        ],
    )?;
    let later = shell.git_processes(rollout())?;
    ensure!(
        first.len() == later.len(),
        "a rollout starts {} git processes, later {}",
        first.len(),
        later.len()
    );
    let [whole, bare, alone] = &samples[..] else { return Ok(()) };
    let on = match sync {
        Sync::Disk => format!("{} components", COMPONENTS.len()),
        Sync::Nothing => format!("{} components, core.fsync=none", COMPONENTS.len()),
    };
    table.compare("the ten commands alone : bare git", &on, alone, bare, "");
    table.compare("whole `rollout` : bare git", &on, whole, bare, "");
    let overhead = whole.without(alone);
    table.compare("tracking (`rollout` less its commands) : bare git", &on, &overhead, bare, "≤ 1.3");
    table.note("git processes of `rollout`", &on, later.len().to_string(), "the same");
    Ok(())
}

/// Creates a repository with its configuration on a new bare remote, and pushes it.
fn pair(shell: &Shell, folder: &Path, sync: Sync) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let (remote, repository) = (folder.join("remote.git"), folder.join("repository"));
    fs::create_dir_all(&remote)?;
    // Without a default branch, a rollout would look for its rules in vain, with a fetch of its
    // own.
    output(&mut shell.git(&remote, ["init", "--quiet", "--bare", "--initial-branch", "main", "."]))?;
    generate::repository(shell, &repository, 50)?;
    if sync == Sync::Nothing {
        for folder in [&remote, &repository] {
            output(&mut shell.git(folder, ["config", "core.fsync", "none"]))?;
        }
    }
    let url = format!("file://{}", remote.display());
    output(&mut shell.git(&repository, ["remote", "add", "origin", &url]))?;
    output(&mut shell.git(&repository, ["push", "--quiet", "origin", "main"]))?;
    Ok(repository)
}

/// Packs the refs and objects of a repository and its remote, as git's maintenance does now and
/// then. Otherwise each round would take longer than the one before: git reads all loose refs of a
/// folder in which it creates another one, and searches every pack for an object that is new.
fn pack(shell: &Shell, repository: &Path) -> Result<()> {
    for folder in [repository, &repository.with_file_name("remote.git")] {
        output(&mut shell.git(folder, ["pack-refs", "--all"]))?;
        output(&mut shell.git(folder, ["repack", "--quiet", "-a", "-d"]))?;
    }
    Ok(())
}

/// Measures the components' commands at the rollout's parallelism, without any record.
fn commands_alone(shell: &Shell, folder: &Path) -> Result<Duration> {
    let nothing = program("true")?;
    let began = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..PARALLELISM)
            .map(|_| {
                scope.spawn(|| {
                    (0..COMPONENTS.len() / PARALLELISM)
                        .try_for_each(|_| output(&mut shell.command(&nothing, folder)).map(drop))
                })
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| anyhow::anyhow!("a thread died"))?)
    })?;
    Ok(began.elapsed())
}

/// The git commands that a rollout needs at least, by hand.
struct Bare<'s> {
    shell: &'s Shell,
    folder: PathBuf,
    round: usize,
    /// The newest record of each component.
    newest: Vec<String>,
}

impl Bare<'_> {
    /// Runs the git commands of one rollout. Only the fetch and the two pushes count: the objects
    /// are written before them, and the local refs after them.
    fn round(&mut self) -> Result<Duration> {
        self.round += 1;
        let head = text(&mut self.shell.git(&self.folder, ["rev-parse", "HEAD"]))?;
        let nothing =
            text(&mut self.shell.git(&self.folder, ["hash-object", "-w", "-t", "blob", "/dev/null"]))?;
        let lock = self.tag(&nothing, "blob", &format!("lock-{}", self.round))?;
        let records = COMPONENTS
            .iter()
            .map(|component| self.tag(&head, "commit", &format!("{component}-{}", self.round)))
            .collect::<Result<Vec<_>>>()?;
        let mut fetch = self.fetch();
        let mut take = self.push(COMPONENTS.map(|component| Change {
            name: format!("refs/atmos/locks/{DEPLOYMENT}/{TARGET}/{component}"),
            new: &lock,
            expected: "",
        }));
        let expected = |index: usize| self.newest.get(index).map_or("", String::as_str);
        let deployed = if self.newest.is_empty() { "" } else { head.as_str() };
        let names = COMPONENTS.iter().zip(&records).enumerate();
        let mut publish = self.push(names.flat_map(|(index, (component, record))| {
            let place = format!("{DEPLOYMENT}/{TARGET}/{component}");
            let tag = format!("refs/tags/atmos/deployments/{place}/{}", self.round);
            [
                Change { name: tag, new: record, expected: "" },
                Change { name: format!("refs/atmos/latest/{place}"), new: record, expected: expected(index) },
                Change { name: format!("refs/atmos/deployments/{place}"), new: &head, expected: deployed },
                Change { name: format!("refs/atmos/locks/{place}"), new: "", expected: &lock },
            ]
        }));
        let began = Instant::now();
        output(&mut fetch)?;
        output(&mut take)?;
        output(&mut publish)?;
        let took = began.elapsed();
        // The next round starts from the state that a rollout leaves: with its records, which every
        // push has to look through, and with a fetch that finds nothing new.
        output(&mut self.fetch())?;
        self.keep(&head, &records)?;
        self.newest = records;
        Ok(took)
    }

    /// Creates the refs of these records in the repository.
    fn keep(&self, head: &str, records: &[String]) -> Result<()> {
        feed(&mut self.shell.git(&self.folder, ["update-ref", "--stdin"]), |input| {
            for (component, record) in COMPONENTS.iter().zip(records) {
                let place = format!("{DEPLOYMENT}/{TARGET}/{component}");
                writeln!(input, "update refs/tags/atmos/deployments/{place}/{} {record}", self.round)?;
                writeln!(input, "update refs/atmos/latest/{place} {record}")?;
                writeln!(input, "update refs/atmos/deployments/{place} {head}")?;
            }
            Ok(())
        })
    }

    fn fetch(&self) -> Command {
        let mut fetch = self.shell.git(
            &self.folder,
            [
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-auto-maintenance",
                "--prune",
                "origin",
            ],
        );
        fetch.args(["deployments", "latest", "locks"].map(|namespace| {
            let below = format!("{namespace}/{DEPLOYMENT}/{TARGET}/*");
            format!("+refs/atmos/{below}:refs/atmos-remotes/origin/{below}")
        }));
        fetch
    }

    fn push<'c>(&self, changes: impl IntoIterator<Item = Change<'c>>) -> Command {
        let mut push =
            self.shell.git(&self.folder, ["push", "--quiet", "--porcelain", "--atomic", "--no-verify"]);
        let mut refspecs = Vec::new();
        for Change { name, new, expected } in changes {
            push.arg(format!("--force-with-lease={name}:{expected}"));
            refspecs.push(format!("{new}:{name}"));
        }
        push.arg("origin").args(refspecs);
        push
    }

    /// Writes a tag object with a message as long as a record.
    fn tag(&self, object: &str, kind: &str, name: &str) -> Result<String> {
        let file = self.folder.join(".git/tag");
        let padding = "key: value\n".repeat(50);
        let tag = format!(
            "object {object}\ntype {kind}\ntag {name}\ntagger Bench <bench@example.com> 1700000000 +0000\n\n{padding}"
        );
        fs::write(&file, tag)?;
        let file = file.to_str().context("a path that is text")?.to_owned();
        text(&mut self.shell.git(&self.folder, ["hash-object", "-w", "-t", "tag", &file]))
    }
}

/// An update of a ref: the new value, and the one that the remote is expected to have.
struct Change<'c> {
    name: String,
    new: &'c str,
    expected: &'c str,
}
