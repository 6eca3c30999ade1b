//! Benchmarks of the ledger against plain git commands, compared within one run.
//! `docs/benchmarks.md` explains the results.
//!
//! `cargo bench --bench ledger` measures everything; `-- --quick` shows within two minutes that
//! everything runs.

mod cases;
mod diff;
mod generate;
mod measure;
mod rollout;
mod shell;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::measure::Table;
use crate::shell::Shell;

/// The sizes of the measured repositories, and the numbers of rounds.
struct Plan {
    /// Numbers of records of the ledgers, ascending.
    sizes: Vec<usize>,
    /// Commits of the history that `diff` works on.
    commits: usize,
    /// Rounds of each pair of fast commands.
    rounds: usize,
    /// Rounds of each pair of slow commands.
    slow_rounds: usize,
}

impl Plan {
    fn full() -> Self {
        Self { sizes: vec![1_000, 100_000, 1_000_000], commits: 20_000, rounds: 60, slow_rounds: 9 }
    }

    fn quick() -> Self {
        Self { sizes: vec![1_000, 20_000], commits: 2_000, rounds: 5, slow_rounds: 1 }
    }
}

/// The arguments, from `cargo bench` and from the command line.
struct Arguments {
    quick: bool,
    /// Runs only the parts whose names contain this.
    filter: Option<String>,
    rounds: Option<usize>,
    /// The folder that keeps what is generated, instead of one below the target directory.
    folder: Option<PathBuf>,
}

impl Arguments {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut parsed = Self { quick: false, filter: None, rounds: None, folder: None };
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // Cargo adds this one itself.
                "--bench" => {}
                "--quick" => parsed.quick = true,
                "--rounds" => {
                    let rounds = arguments.next().context("--rounds needs a number")?;
                    parsed.rounds = Some(rounds.parse().context("--rounds needs a number")?);
                }
                "--folder" => {
                    let folder = arguments.next().context("--folder needs a folder")?;
                    parsed.folder = Some(std::path::absolute(folder)?);
                }
                option if option.starts_with('-') => bail!("unknown option {option}"),
                filter => parsed.filter = Some(filter.to_owned()),
            }
        }
        Ok(parsed)
    }

    fn wants(&self, part: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| part.contains(filter.as_str()))
    }
}

/// Builds the program as it is released. Cargo's own build for benchmarks has features of
/// dependencies that only tests need, is a tenth larger and needs libraries of the system.
fn as_released() -> Result<PathBuf> {
    let mut build = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/image/build"));
    build.args(["--quiet", "--profile", "bench"]);
    let output = build.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{build:?} failed");
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim_end()))
}

fn main() -> Result<()> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let mut plan = if arguments.quick { Plan::quick() } else { Plan::full() };
    plan.rounds = arguments.rounds.unwrap_or(plan.rounds);
    let cache = arguments
        .folder
        .clone()
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ledger-bench"));
    let program = if arguments.quick { PathBuf::from(env!("CARGO_BIN_EXE_atmos")) } else { as_released()? };
    let shell = Shell::new(&cache, &program)?;
    let mut table = Table::default();
    if arguments.wants("status") || arguments.wants("history") {
        let ledgers = plan
            .sizes
            .iter()
            .map(|records| generate::ledger(&shell, &cache, *records))
            .collect::<Result<Vec<_>>>()?;
        if arguments.wants("status") {
            cases::status(&shell, &ledgers, &plan, &mut table)?;
        }
        if arguments.wants("history") {
            cases::history(&shell, &ledgers, &plan, &mut table)?;
        }
    }
    if arguments.wants("rollout") {
        rollout::measure(&shell, &cache, &plan, &mut table)?;
    }
    if arguments.wants("diff") {
        diff::measure(&shell, &cache, &plan, &mut table)?;
    }
    write!(std::io::stdout().lock(), "\n{table}")?;
    Ok(())
}
