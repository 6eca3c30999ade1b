//! The summary of the step, and a file with it for later steps.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::failure;
use super::notices::Notices;
use super::outcome::{Ending, Outcome};
use super::overview::Overview;
use crate::ci::System;
use crate::ci::comment::Limit;
use crate::ci::markdown;
use crate::ci::replaced_file::replace;
use crate::ci::summary::{SUMMARY_LIMIT, append, room};
use crate::context::Context;

/// The maximum size of a verb's output in the summary, in bytes.
const MOST_OUTPUT: usize = 64 * 1024;
/// The maximum number of lines of an error's details.
const MOST_DETAILS: usize = 50;

/// Writes the summary where the platform shows it, and to a file. Returns the path of the file,
/// relative to the job's own folder.
pub fn write(
    context: &Context,
    system: Option<System>,
    outcome: &Outcome,
    overview: Option<&Overview>,
    notices: &mut Notices,
) -> Option<PathBuf> {
    let step = context.variable("GITHUB_STEP_SUMMARY").filter(|_| system == Some(System::GitHubActions));
    let step = step.map(Path::new);
    let limit = step.and_then(|step| room(step).ok()).unwrap_or(SUMMARY_LIMIT);
    // The empty line before it counts too.
    let limit = Limit::Bytes(limit.saturating_sub(2));
    let of_picture = overview.and_then(|overview| overview.built_in(limit).ok());
    let markdown = of_picture.map_or_else(|| plain(outcome), |rendered| rendered.markdown);
    let markdown = context.masks().apply(markdown);
    if let Some(step) = step {
        match append(step, &markdown) {
            Ok(true) => {}
            Ok(false) => {
                notices.add("the summary is full: what other steps have written leaves no room".to_owned());
            }
            Err(error) => {
                notices.add(format!("the summary cannot be written to $GITHUB_STEP_SUMMARY: {error}"));
            }
        }
    }
    match to_file(context, outcome, &markdown) {
        Ok(file) => file,
        Err(error) => {
            notices.add(format!("the summary cannot be written to a file: {error}"));
            None
        }
    }
}

/// The summary of a verb other than a rollout, or of a rollout without an overview.
fn plain(outcome: &Outcome) -> String {
    let verb = outcome.verb.as_deref().unwrap_or("ci");
    let symbol = match outcome.ending() {
        Ending::Success => "✅",
        Ending::Findings => "🔎",
        Ending::Refused => "⛔",
        Ending::Locked => "🔒",
        Ending::Cancelled => "⏹️",
        Ending::Failed => "❌",
    };
    let mut blocks = vec![format!("### {symbol} {}", markdown::code(&format!("atmos deployment {verb}")))];
    if let Some(failure) = failure::view(outcome) {
        let (title, message) = (markdown::escape(&failure.title), markdown::prose(&failure.message));
        blocks.push(format!("**{title}:** {message}"));
        let details: Vec<_> = failure.details.iter().take(MOST_DETAILS).map(String::as_str).collect();
        blocks.extend((!details.is_empty()).then(|| markdown::pre(&details)));
        blocks.extend(failure.hints.iter().map(|hint| {
            let commands: Vec<_> = hint.commands.iter().map(|command| markdown::code(command)).collect();
            let colon = if commands.is_empty() { "" } else { ": " };
            format!("- {}{colon}{}", markdown::prose(&hint.text), commands.join(", then "))
        }));
    }
    let output = outcome.stdout.trim_matches('\n');
    let mut taken = 0;
    let fits = |line: &&str| {
        taken += line.len() + 1;
        taken <= MOST_OUTPUT
    };
    let lines: Vec<_> = output.lines().take_while(fits).collect();
    let left_out = output.lines().count() - lines.len();
    blocks.extend((!lines.is_empty()).then(|| markdown::pre(&lines)));
    blocks.extend((left_out > 0).then(|| format!("…and {left_out} more lines in the log.")));
    blocks.join("\n\n")
}

/// Writes the summary below the checkout's `.atmos`, which later steps see too, unlike the
/// container's other folders.
fn to_file(context: &Context, outcome: &Outcome, markdown: &str) -> io::Result<Option<PathBuf>> {
    let Some(root) =
        context.repository().ok().and_then(|repository| repository.work_tree().map(Path::to_owned))
    else {
        return Ok(None);
    };
    let mut words = vec![outcome.verb.clone().unwrap_or_else(|| "ci".to_owned())];
    if let Some(planned) = &outcome.rollout.planned {
        words.extend([planned.deployment.to_string(), planned.target.to_string()]);
        words.extend(planned.dry_run.then(|| "plan".to_owned()));
    }
    let name = words.join("-").replace(' ', "-");
    let folder = root.join(".atmos");
    // Fails for an existing symbolic link, so that the file is not written through it.
    match fs::create_dir(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ if folder.is_symlink() => return Err(io::Error::other(".atmos is a link")),
        _ => {}
    }
    let file = folder.join(format!("summary-{name}.md"));
    replace(&root, &file, markdown)?;
    let base = ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"].iter().find_map(|name| context.variable(name));
    let base = base.and_then(|base| Path::new(base).canonicalize().ok());
    let relative = base.and_then(|base| file.strip_prefix(base).ok().map(Path::to_owned));
    Ok(Some(relative.unwrap_or(file)))
}
