//! Interleaved measurements, and the table of their results.

use std::fmt;
use std::time::Duration;

use anyhow::Result;

/// The durations of one command, a sample for each round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn median(&self) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    pub(crate) fn minimum(&self) -> Duration {
        self.0.iter().min().copied().unwrap_or_default()
    }

    /// Subtracts from each sample the other command's sample of the same round.
    pub(crate) fn without(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(all, part)| all.saturating_sub(*part)).collect())
    }
}

/// A timed command. It measures itself, so that its preparation does not count.
pub(crate) type Contender<'c> = Box<dyn FnMut() -> Result<Duration> + 'c>;

/// Runs all contenders in turn, so that other load on the machine affects all of them alike. The
/// first round warms the caches and does not count.
pub(crate) fn interleave(rounds: usize, contenders: &mut [Contender<'_>]) -> Result<Vec<Samples>> {
    let mut samples = vec![Samples::default(); contenders.len()];
    for round in 0..=rounds {
        for (contender, samples) in contenders.iter_mut().zip(&mut samples) {
            let took = contender()?;
            if round > 0 {
                samples.0.push(took);
            }
        }
    }
    Ok(samples)
}

/// The results, as a Markdown table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<[String; 7]>,
}

impl Table {
    /// Adds a comparison: the subject, the ledger, our samples, theirs, and the ratio that is aimed
    /// at.
    pub(crate) fn compare(&mut self, what: &str, on: &str, ours: &Samples, theirs: &Samples, aim: &str) {
        self.rows.push([
            what.to_owned(),
            on.to_owned(),
            milliseconds(ours.median()),
            milliseconds(theirs.median()),
            ratio(ours.median(), theirs.median()),
            ratio(ours.minimum(), theirs.minimum()),
            aim.to_owned(),
        ]);
    }

    /// Adds a number without a comparison.
    pub(crate) fn note(&mut self, what: &str, on: &str, value: String, aim: &str) {
        let nothing = String::new;
        self.rows.push([
            what.to_owned(),
            on.to_owned(),
            value,
            nothing(),
            nothing(),
            nothing(),
            aim.to_owned(),
        ]);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | on | atmos | plain git | ratio (medians) | ratio (minima) | aim |")?;
        writeln!(f, "| --- | --- | ---: | ---: | ---: | ---: | --- |")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

fn ratio(ours: Duration, theirs: Duration) -> String {
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    if ratio < 0.1 { format!("1/{:.0}", 1.0 / ratio) } else { format!("{ratio:.2}") }
}
