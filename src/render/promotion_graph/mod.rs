//! `promotion-graph` as text: targets are boxes from top to bottom, promotions are arrows.
//!
//! A promotion between two adjacent boxes is an arrow between them. Every other one is drawn as a
//! rail on the left, one rail per source target.

mod rails;

use unicode_width::UnicodeWidthStr as _;

use self::rails::{draw_rails, rails};
use super::document::promotion::{Edge, PromotionGraph, Target};
use super::escape::escape;
use super::status::marked;
use super::style::HEADING;
use super::{Presentation, count, styled};
use crate::deployment::TargetName;
use crate::deployment::promotion_status::EdgeState;

/// Columns to the left of the boxes where there are no rails.
const MARGIN: usize = 5;
/// Columns between a box's border and a centred line.
const PADDING: usize = 2;
/// Columns between a box's border and a line that starts at the left.
const INDENT: usize = 3;
/// The minimum inner width of a box, without and with the status.
const NARROW: usize = 13;
const WIDE: usize = 29;

/// The promotion paths, with the state of every target where it is requested.
#[must_use]
pub fn text(graph: &PromotionGraph, show_status: bool, presentation: &Presentation) -> String {
    let name = marked(graph.deployment.as_str(), graph.removed);
    let title = styled(&format!("{name} promotion graph:"), HEADING);
    if graph.targets.is_empty() {
        return format!("{title}\n\nNo targets.\n");
    }
    let boxes: Vec<_> = order(graph)
        .into_iter()
        .map(|target| {
            if show_status { wide_box(graph, target, presentation) } else { narrow_box(target, presentation) }
        })
        .collect();
    format!("{title}\n\n{}", draw(&boxes, &graph.edges, if show_status { WIDE } else { NARROW }))
}

/// The box of one target.
struct TargetBox<'a> {
    target: &'a TargetName,
    /// Centred lines: the name, then the running commits.
    centred: Vec<String>,
    /// Left-aligned lines below.
    details: Vec<String>,
    /// Lines to the right of the box.
    beside: Vec<String>,
}

fn narrow_box<'a>(target: &'a Target, presentation: &Presentation) -> TargetBox<'a> {
    let sources: Vec<_> = target.promotion_from.iter().map(AsRef::as_ref).collect();
    let mut rule = if target.removed {
        "(removed)".to_owned()
    } else if sources.is_empty() {
        "(entry point)".to_owned()
    } else {
        format!("from: {}", sources.join(", "))
    };
    if target.requires_approval {
        rule.push_str(", requires approval");
    }
    if target.frozen.is_some() {
        rule.push_str(", frozen");
    }
    let deployed = target.deployed_at.map(|at| format!("deployed {}", presentation.clock.relative(at)));
    TargetBox {
        target: &target.target,
        centred: vec![target.target.to_string(), running(target)],
        details: Vec::new(),
        beside: [Some(rule), deployed].into_iter().flatten().collect(),
    }
}

fn wide_box<'a>(graph: &PromotionGraph, target: &'a Target, presentation: &Presentation) -> TargetBox<'a> {
    let mut details: Vec<_> = target.removed.then(|| "(removed)".to_owned()).into_iter().collect();
    if !target.commits.is_empty() {
        details.extend(target.deployed_at.map(|at| format!("deployed {}", presentation.clock.relative(at))));
        let status = target.status.map_or("-", crate::deployment::RecordStatus::as_str);
        details.push(format!("status: {status}"));
        let health = target.health.as_ref();
        let health = health.map(|found| presentation.seen(found, target.health_checked_at));
        details.push(format!("health: {}", escape(health.as_deref().unwrap_or("-"))));
    }
    if let Some(behind) = target.commits_behind.filter(|behind| *behind > 0) {
        details.push(format!("lag: {} behind", count(behind, "commit")));
    }
    if let Some(frozen) = &target.frozen {
        details.push(format!("frozen by {}", escape(&frozen.holder)));
    }
    details.extend(promotions(graph, &target.target));
    TargetBox {
        target: &target.target,
        centred: vec![target.target.to_string(), running(target)],
        details,
        beside: Vec::new(),
    }
}

/// The states of a target's promotions; at the end of a path, whether the target is up to date.
fn promotions(graph: &PromotionGraph, target: &TargetName) -> Vec<String> {
    let outgoing: Vec<_> = graph.edges.iter().filter(|edge| edge.from == *target).collect();
    if outgoing.is_empty() {
        let incoming = graph.edges.iter().filter(|edge| edge.to == *target);
        let current = incoming.clone().any(|edge| edge.state == EdgeState::UpToDate)
            && incoming.clone().all(|edge| edge.state != EdgeState::Ready);
        return if current { vec!["up to date ✓".to_owned()] } else { Vec::new() };
    }
    outgoing
        .iter()
        .map(|edge| {
            // With a single promotion, its target is obvious.
            let to = if outgoing.len() > 1 { format!(" to {}", edge.to) } else { String::new() };
            match edge.state {
                EdgeState::Ready => format!("ready to promote{to} ✓"),
                EdgeState::UpToDate => format!("promoted{to} ✓"),
                EdgeState::NothingToPromote => format!("nothing to promote{to}"),
                EdgeState::Blocked => format!("promotion{to} blocked ✗"),
            }
        })
        .collect()
}

/// The running commits of a target, in few words.
fn running(target: &Target) -> String {
    match target.commits.as_slice() {
        [] => "not deployed".to_owned(),
        [commit] => commit.short().to_owned(),
        [first, second] => format!("{}, {}", first.short(), second.short()),
        many => format!("{} commits", many.len()),
    }
}

/// The targets in topological order, each directly after one of its sources where possible.
fn order(graph: &PromotionGraph) -> Vec<&Target> {
    let mut left: Vec<&Target> = graph.targets.iter().collect();
    let mut ordered: Vec<&Target> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let placed = |name: &TargetName| left.iter().all(|target| target.target != *name);
        let ready = |target: &&Target| target.promotion_from.iter().all(&placed);
        // Of the ready targets, the one that continues the most recent path; without one
        // (validation refuses cycles), the first.
        let next = (0..left.len())
            .filter(|at| left.get(*at).is_some_and(ready))
            .max_by_key(|at| {
                let sources = &left[*at].promotion_from;
                let youngest = ordered.iter().rposition(|target| sources.contains(&target.target));
                (youngest.map(|at| at + 1), std::cmp::Reverse(*at))
            })
            .unwrap_or(0);
        ordered.push(left.remove(next));
    }
    ordered
}

/// Draws boxes, arrows and rails.
fn draw(boxes: &[TargetBox<'_>], edges: &[Edge], least: usize) -> String {
    let at = |name: &TargetName| boxes.iter().position(|target| target.target == name);
    let rails = rails(edges.iter().filter_map(|edge| Some((at(&edge.from)?, at(&edge.to)?))));
    let lane_count = rails.iter().map(|rail| rail.lane + 1).max().unwrap_or(0);
    let margin = MARGIN.max(2 * lane_count + 3);
    let inner = boxes
        .iter()
        .flat_map(|target| {
            let centred = target.centred.iter().map(|line| line.width() + 2 * PADDING);
            centred.chain(target.details.iter().map(|line| line.width() + 2 * INDENT))
        })
        .fold(least, usize::max);

    let mut lines: Vec<String> = Vec::new();
    // The rows where rails enter and leave each box.
    let mut doors = Vec::with_capacity(boxes.len());
    for (at, target) in boxes.iter().enumerate() {
        if at > 0 {
            let follows =
                edges.iter().any(|edge| edge.from == *boxes[at - 1].target && edge.to == *target.target);
            lines.push(if follows { format!("{}↓", " ".repeat(1 + inner / 2)) } else { String::new() });
        }
        lines.push(format!("┌{}┐", "─".repeat(inner)));
        let entry = lines.len();
        lines.extend(content(target, inner));
        doors.push((entry, lines.len() - 1));
        lines.push(format!("└{}┘", "─".repeat(inner)));
    }
    let left = draw_rails(&rails, &doors, margin);
    let mut text = String::new();
    for (row, line) in lines.iter().enumerate() {
        text.push_str(format!("{}{line}", left.row(row)).trim_end());
        text.push('\n');
    }
    text
}

/// The lines of a box between its upper and lower border.
fn content(target: &TargetBox<'_>, inner: usize) -> Vec<String> {
    let spaces = |number: usize| " ".repeat(number);
    let centred = target.centred.iter().map(|line| {
        let free = inner - line.width();
        format!("{}{line}{}", spaces(free / 2), spaces(free - free / 2))
    });
    let details = target
        .details
        .iter()
        .map(|line| format!("{}{line}{}", spaces(INDENT), spaces(inner - INDENT - line.width())));
    let beside = target.beside.iter().map(|text| format!("  {text}")).chain(std::iter::repeat(String::new()));
    centred.chain(details).zip(beside).map(|(line, beside)| format!("│{line}│{beside}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::fixtures::{json, now, plain, terminal};
    use super::*;
    use crate::deployment::fixtures::{deployment, observed, running, state, target_name};
    use crate::deployment::health::HealthStatus;
    use crate::deployment::promotion_status::{StandingFacts, promotion_status};

    fn graph(targets: &[(&str, &[&str])], running_on: &[(&str, &str, &str)]) -> PromotionGraph {
        let deployment = deployment(&["api"], targets);
        let state = state(
            running_on
                .iter()
                .map(|(target, commit, at)| (*target, vec![("api", running(target, "api", commit, at))]))
                .collect(),
        );
        let behind = BTreeMap::from([(target_name("staging"), 3)]);
        PromotionGraph::from(&promotion_status(
            &deployment,
            &state,
            &StandingFacts { commits_behind: behind, ..StandingFacts::default() },
            now(),
        ))
    }

    fn shown(targets: &[(&str, &[&str])]) -> String {
        plain(&text(&graph(targets, &[]), false, &terminal()))
    }

    const CHAIN: &[(&str, &[&str])] = &[("dev", &[]), ("staging", &["dev"]), ("prod", &["staging"])];
    const RUNNING: &[(&str, &str, &str)] = &[
        ("dev", "def456a", "2025-01-22T13:30:00Z"),
        ("staging", "abc123d", "2025-01-22T12:00:00Z"),
        ("prod", "abc123d", "2025-01-22T12:00:00Z"),
    ];

    #[test]
    fn a_chain_as_in_the_specification() {
        let mut graph = graph(CHAIN, RUNNING);
        graph.observe(&observed(&[
            ("staging", "api", HealthStatus::Healthy, "2/2 tasks"),
            ("prod", "api", HealthStatus::Unhealthy, "HTTP 503"),
        ]));
        insta::assert_snapshot!("promotion_graph", plain(&text(&graph, false, &terminal())));
        insta::assert_snapshot!("promotion_graph_status", plain(&text(&graph, true, &terminal())));
        insta::assert_snapshot!("promotion_graph_json", json(&graph));
    }

    #[test]
    fn a_target_that_the_file_does_not_name_any_more_is_marked() {
        let mut graph = graph(&CHAIN[1..2], &[]);
        let gone = running("qa", "api", "abc123d", "2025-01-22T12:00:00Z");
        graph.add_removed(&state(vec![("qa", vec![("api", gone)]), ("staging", Vec::new())]), now());
        let names: Vec<_> =
            graph.targets.iter().map(|target| (target.target.as_str(), target.removed)).collect();
        assert_eq!(names, [("staging", false), ("qa", true)]);
        for show_status in [false, true] {
            let shown = plain(&text(&graph, show_status, &terminal()));
            assert_eq!(shown.matches("(removed)").count(), 1, "{shown}");
        }
    }

    #[test]
    fn a_diamond_has_a_rail_for_the_way_around() {
        insta::assert_snapshot!(
            "promotion_graph_diamond",
            shown(&[("dev", &[]), ("qa", &["dev"]), ("staging", &["dev", "qa"]), ("prod", &["staging"])])
        );
    }

    #[test]
    fn branches_keep_their_paths_together() {
        insta::assert_snapshot!(
            "promotion_graph_branches",
            shown(&[
                ("dev", &[]),
                ("eu", &["dev"]),
                ("us", &["dev"]),
                ("eu-prod", &["eu"]),
                ("us-prod", &["us"]),
                ("both", &["eu-prod", "us-prod"]),
                ("debug", &[]),
            ])
        );
    }

    #[test]
    fn rails_that_meet_at_a_box_stay_apart() {
        insta::assert_snapshot!(
            "promotion_graph_rails",
            shown(&[("a", &[]), ("b", &["a"]), ("c", &["b"]), ("d", &["a", "b", "c"]), ("e", &["a", "d"])])
        );
    }

    #[test]
    fn names_of_any_length_fit() {
        insta::assert_snapshot!(
            "promotion_graph_long",
            shown(&[
                ("a-target-with-quite-a-long-name-indeed", &[]),
                ("b", &["a-target-with-quite-a-long-name-indeed"])
            ])
        );
    }

    #[test]
    fn a_circle_that_validation_would_refuse_is_still_drawn() {
        let picture = shown(&[("a", &["c"]), ("b", &["a"]), ("c", &["b"])]);
        assert_eq!(picture.matches('┐').count(), 3, "{picture}");
    }

    #[test]
    fn no_targets() {
        assert!(shown(&[]).ends_with("No targets.\n"));
    }
}
