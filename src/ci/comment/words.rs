//! Text for counts, times and untrusted values.

use std::time::Duration;

use jiff::Timestamp;

use crate::ci::markdown::cut;
use crate::deployment::promotion_status::Freeze;
use crate::deployment::rollout_report::{Changes, ComponentReport, ComponentResult};

/// The maximum length of untrusted text, in characters.
pub(super) const LONGEST_TEXT: usize = 120;

/// Cuts untrusted text to [`LONGEST_TEXT`].
pub(super) fn text(text: &str) -> String {
    cut(text, LONGEST_TEXT).into_owned()
}

/// An absolute time, which does not become stale while the comment stays.
pub(super) fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

pub(super) fn frozen(freeze: &Freeze) -> String {
    match &freeze.reason {
        Some(reason) => text(&format!("{}: {reason}", freeze.holder)),
        None => text(&freeze.holder),
    }
}

/// Failures first.
pub(super) const fn urgency(status: ComponentResult) -> u8 {
    match status {
        ComponentResult::Failed => 0,
        ComponentResult::Cancelled => 1,
        ComponentResult::Skipped => 2,
        ComponentResult::Success | ComponentResult::Planned => 3,
    }
}

/// `3 succeeded, 1 failed`.
pub(super) fn counts(components: &[ComponentReport]) -> String {
    let words = [
        (ComponentResult::Failed, "failed"),
        (ComponentResult::Cancelled, "cancelled"),
        (ComponentResult::Skipped, "skipped"),
        (ComponentResult::Success, "succeeded"),
        (ComponentResult::Planned, "planned"),
    ];
    let of = |status| components.iter().filter(|component| component.status == status).count();
    let parts = words.into_iter().map(|(status, word)| (of(status), word)).filter(|(count, _)| *count > 0);
    parts.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

/// The sum of the plans' counts; absent where no plan counted.
pub(super) fn total(components: &[ComponentReport]) -> Option<Changes> {
    components.iter().filter_map(|component| component.changes).reduce(|sum, changes| Changes {
        add: sum.add + changes.add,
        change: sum.change + changes.change,
        destroy: sum.destroy + changes.destroy,
    })
}

pub(super) fn plan(changes: Option<Changes>) -> Option<String> {
    changes.map(|changes| match changes {
        none if none.is_empty() => "no changes".to_owned(),
        Changes { add, change, destroy } => format!("+{add} ~{change} -{destroy}"),
    })
}

/// `3 commits, 2 of 12 components, 3 configuration values, 1 dependency`: of the components,
/// those that change and all of them.
pub(super) fn changes(
    commits: usize,
    (changing, all): (usize, usize),
    configuration: usize,
    dependencies: usize,
) -> Option<String> {
    let count = |count: usize, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        many_of_them => Some(format!("{many_of_them} {many}")),
    };
    let components = match changing {
        0 => None,
        every if every == all => count(every, "component", "components"),
        some => Some(format!("{some} of {all} components")),
    };
    let parts = [
        count(commits, "commit", "commits"),
        components,
        count(configuration, "configuration value", "configuration values"),
        count(dependencies, "dependency", "dependencies"),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// ` of api, worker`: the components that a rollout is limited to; nothing where it is of all.
#[must_use]
pub fn of_components(only: &[String]) -> String {
    /// The maximum number of names; the rest is counted.
    const MOST_NAMES: usize = 3;
    match only {
        [] => String::new(),
        few if few.len() <= MOST_NAMES => format!(" of {}", text(&few.join(", "))),
        many => format!(" of {} components", many.len()),
    }
}

/// `12 s`, `3 min`.
pub(super) fn took(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}
