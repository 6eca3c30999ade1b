//! Ledgers of any size, as years of deployments leave them: all refs packed, all objects in packs.
//!
//! `git fast-import` writes the tags in a repository with a reftable, where a million refs are one
//! transaction (Git 2.45). Their objects are then moved into an ordinary repository, whose
//! `packed-refs` is written here: the objects' ids are known, since a tag can be hashed without
//! git.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};

use crate::shell::{Shell, feed, output, text};

/// The deployment and the target that are asked about. They sort into the middle of all refs.
pub(crate) const DEPLOYMENT: &str = "payment-service";
pub(crate) const TARGET: &str = "prod";
/// The records of that target.
pub(crate) const TARGET_RECORDS: usize = 600;
/// The components of every target.
pub(crate) const COMPONENTS: [&str; 10] =
    ["api", "cache", "database", "gateway", "ledger", "mailer", "queue", "reports", "web", "worker"];
const TARGETS: [&str; 5] = ["dev", "prod", "prod-eu", "qa", "staging"];
const TAGGER: &str = "Bench <bench@example.com>";
/// Commits that the records point at.
const COMMITS: usize = 1_000;
/// The time of the first record, in seconds since the Unix epoch.
pub(crate) const EPOCH: i64 = 1_700_000_000;
/// The version of the generated ledgers in the cache. Raise it when `generate` changes.
const EDITION: &str = "1";

/// A generated ledger.
pub(crate) struct Ledger {
    pub(crate) records: usize,
    pub(crate) repository: PathBuf,
}

/// A ref of the generated repository.
struct Ref {
    name: String,
    object: String,
    /// The commit behind a tag.
    peeled: Option<String>,
}

/// Returns the ledger of this many records, from an earlier run if there is one.
pub(crate) fn ledger(shell: &Shell, cache: &Path, records: usize) -> Result<Ledger> {
    let repository = cache.join(format!("ledger-{EDITION}-{records}"));
    let complete = repository.join(".git/complete");
    if !complete.exists() {
        if repository.exists() {
            fs::remove_dir_all(&repository)?;
        }
        writeln!(std::io::stderr(), "generating a ledger of {records} records")?;
        generate(shell, &repository, records)?;
        fs::write(complete, "")?;
    }
    Ok(Ledger { records, repository })
}

/// Creates a repository with the deployment's configuration and this many commits on `main`,
/// checked out. Returns the commits, oldest first.
pub(crate) fn repository(shell: &Shell, folder: &Path, commits: usize) -> Result<Vec<String>> {
    fs::create_dir_all(folder)?;
    output(&mut shell.git(folder, ["init", "--quiet", "--ref-format=files", "--initial-branch=main", "."]))?;
    feed(&mut shell.git(folder, ["fast-import", "--quiet"]), |input| {
        for number in 0..commits {
            let when = EPOCH + i64::try_from(number)? * 60;
            let message = format!("Change {number}\n");
            writeln!(input, "commit refs/heads/main\ncommitter {TAGGER} {when} +0000")?;
            writeln!(input, "data {}\n{message}", message.len())?;
            if number == 0 {
                file(input, &format!("deployments/{DEPLOYMENT}.yaml"), &definition())?;
            }
            let component = COMPONENTS[number % COMPONENTS.len()];
            file(input, &format!("services/{component}/version.txt"), &format!("{number}\n"))?;
            writeln!(input)?;
        }
        Ok(())
    })?;
    output(&mut shell.git(folder, ["reset", "--quiet", "--hard"]))?;
    let commits = text(&mut shell.git(folder, ["rev-list", "--reverse", "main"]))?;
    Ok(commits.lines().map(str::to_owned).collect())
}

pub(crate) fn file(input: &mut dyn Write, path: &str, content: &str) -> Result<()> {
    Ok(writeln!(input, "M 100644 inline {path}\ndata {}\n{content}", content.len())?)
}

/// The deployment file: independent commands that do nothing, and targets without promotion rules.
pub(crate) fn definition() -> String {
    let components = COMPONENTS.map(|component| {
        format!("      {component}: {{ settings: {{ command: {{ apply: [\"true\"] }} }} }}\n")
    });
    let targets = TARGETS.map(|target| format!("    {target}: {{ context: {{ cpu: 256 }} }}\n"));
    let (components, targets) = (components.concat(), targets.concat());
    format!(
        "deployment:\n  name: {DEPLOYMENT}\n  components:\n    command:\n{components}  targets:\n{targets}"
    )
}

/// One component on one target, with the number of its records.
struct Line {
    deployment: String,
    target: &'static str,
    component: &'static str,
    records: usize,
}

/// Distributes the records: `TARGET_RECORDS` for the target that is asked about, and up to a
/// hundred for each component of all other targets.
fn lines(records: usize) -> Vec<Line> {
    let mut lines: Vec<_> = COMPONENTS
        .iter()
        .map(|component| Line {
            deployment: DEPLOYMENT.to_owned(),
            target: TARGET,
            component,
            records: TARGET_RECORDS / COMPONENTS.len(),
        })
        .collect();
    let mut left = records.saturating_sub(TARGET_RECORDS);
    let each = if left < 10_000 { 10 } else { 100 };
    for number in 0.. {
        if left == 0 {
            break;
        }
        let (place, deployment) = (number % 50, number / 50);
        let family = if deployment % 2 == 0 { "app" } else { "service" };
        let records = left.min(each);
        left -= records;
        lines.push(Line {
            deployment: format!("{family}-{deployment:04}"),
            target: TARGETS[place / COMPONENTS.len()],
            component: COMPONENTS[place % COMPONENTS.len()],
            records,
        });
    }
    lines
}

fn generate(shell: &Shell, folder: &Path, records: usize) -> Result<()> {
    let commits = repository(shell, folder, COMMITS)?;
    let scratch = folder.join(".git/scratch");
    output(&mut shell.git(folder, ["init", "--quiet", "--bare", "--ref-format=reftable", ".git/scratch"]))
        .context("generating ledgers needs Git 2.45 or newer")?;
    fs::write(
        scratch.join("objects/info/alternates"),
        format!("{}\n", folder.join(".git/objects").display()),
    )?;
    let mut refs = Vec::new();
    feed(&mut shell.git(&scratch, ["fast-import", "--quiet"]), |input| {
        for (number, line) in lines(records).iter().enumerate() {
            write_line(input, &mut refs, line, number, &commits)?;
        }
        Ok(())
    })?;
    let probe = refs.iter().find(|reference| reference.peeled.is_some()).context("no records")?;
    ensure!(
        text(&mut shell.git(&scratch, ["rev-parse", &probe.name]))? == probe.object,
        "git writes other tag objects than were hashed"
    );
    for entry in fs::read_dir(scratch.join("objects/pack"))? {
        let entry = entry?;
        fs::rename(entry.path(), folder.join(".git/objects/pack").join(entry.file_name()))?;
    }
    fs::remove_dir_all(&scratch)?;
    let head = commits.last().context("no commits")?.clone();
    refs.push(Ref { name: "refs/heads/main".to_owned(), object: head, peeled: None });
    fs::remove_file(folder.join(".git/refs/heads/main"))?;
    write_packed_refs(&folder.join(".git/packed-refs"), refs)?;
    Ok(())
}

/// Writes the records of one component, each of which follows the one before it, and adds their
/// refs.
fn write_line(
    input: &mut dyn Write,
    refs: &mut Vec<Ref>,
    line: &Line,
    number: usize,
    commits: &[String],
) -> Result<()> {
    let Line { deployment, target, component, records } = line;
    let place = format!("{deployment}/{target}/{component}");
    let mut previous = None;
    for record in 0..*records {
        let commit = &commits[(number * 7 + record * commits.len() / records) % commits.len()];
        let seconds = EPOCH + i64::try_from(number + record * 3600)?;
        let timestamp = Timestamp::from_second(seconds)?;
        let name = format!("atmos/deployments/{place}/{}", timestamp.strftime("%Y-%m-%dT%H-%M-%SZ"));
        let message = message(line, commit, timestamp, record, previous.as_deref())?;
        let tagger = format!("tagger {TAGGER} {seconds} +0000");
        writeln!(input, "tag {name}\nfrom {commit}\n{tagger}\ndata {}\n{message}", message.len())?;
        let content = format!("object {commit}\ntype commit\ntag {name}\n{tagger}\n\n{message}");
        let id = git2::Oid::hash_object(git2::ObjectType::Tag, content.as_bytes())?.to_string();
        refs.push(Ref {
            name: format!("refs/tags/{name}"),
            object: id.clone(),
            peeled: Some(commit.clone()),
        });
        if record + 1 == *records {
            refs.push(Ref {
                name: format!("refs/atmos/deployments/{place}"),
                object: commit.clone(),
                peeled: None,
            });
            refs.push(Ref {
                name: format!("refs/atmos/latest/{place}"),
                object: id.clone(),
                peeled: Some(commit.clone()),
            });
        }
        previous = Some(id);
    }
    Ok(())
}

/// A record's message, as a rollout in CI writes it.
fn message(
    line: &Line,
    commit: &str,
    timestamp: Timestamp,
    record: usize,
    previous: Option<&str>,
) -> Result<String> {
    let Line { deployment, target, component, .. } = line;
    let approved = timestamp.checked_sub(SignedDuration::from_mins(5))?;
    let previous = previous.map(|previous| format!("previous: {previous}\n")).unwrap_or_default();
    Ok(format!(
        "atmos.tools/v1alpha1\nkind: Deployment\n---\ndeployment: {deployment}\ntarget: {target}\n\
         component: {component}\ncomponent_type: command\ndeployed_by: ci@example.com\ngit_sha: {commit}\n\
         timestamp: {timestamp}\nnumber: {number}\nstatus: success\npromoted_from: staging\n\
         promoted_at: {timestamp}\n{previous}run_id: github:{run}/1\n\
         artifacts:\n  {component}: registry.example.com/{component}@sha256:{digest}\n\
         metadata:\n  approval_timestamp: \"{approved}\"\n  approver: alice@example.com\n  jira: PROJ-{record}\n  \
         pr: \"#{record}\"\n",
        number = record + 1,
        run = 12_345_678 + record,
        digest = format_args!("{commit}{}", &commit[..24]),
    ))
}

fn write_packed_refs(file: &Path, mut refs: Vec<Ref>) -> Result<()> {
    refs.sort_by(|left, right| left.name.cmp(&right.name));
    let mut packed = std::io::BufWriter::new(fs::File::create(file)?);
    writeln!(packed, "# pack-refs with: peeled fully-peeled sorted ")?;
    for Ref { name, object, peeled } in refs {
        writeln!(packed, "{object} {name}")?;
        if let Some(peeled) = peeled {
            writeln!(packed, "^{peeled}")?;
        }
    }
    Ok(packed.flush()?)
}
