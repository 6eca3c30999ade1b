//! `promotion-status` as text.

use super::document::promotion::{Edge, EdgeComponent, PromotionStatus};
use super::escape::escape;
use super::status::marked;
use super::style::{BAD, DETAIL, GOOD, HEADING};
use super::{Presentation, styled};
use crate::deployment::promotion_status::{ComponentEdgeState, EdgeState};
use crate::deployment::{CommitId, RecordStatus};

/// The promotions that are possible now, path by path.
#[must_use]
pub fn text(status: &PromotionStatus, presentation: &Presentation) -> String {
    let name = marked(status.deployment.as_str(), status.removed);
    let mut text = styled(&format!("{name} promotion status:"), HEADING);
    text.push('\n');
    if status.removed {
        text.push_str("\nIt has no file any more, so that nothing can be promoted.\n");
    } else if status.edges.is_empty() {
        text.push_str("\nNo target is promoted to.\n");
    }
    for edge in &status.edges {
        let (from, to) = (&edge.from, &edge.to);
        push!(text, "\n{from} → {to} ({})\n", state(edge));
        for component in &edge.components {
            text.push_str(&component_line(edge, component, presentation));
        }
    }
    text
}

/// `ready, requires approval`, `blocked: …`.
fn state(edge: &Edge) -> String {
    let style = match edge.state {
        EdgeState::Ready => GOOD,
        EdgeState::Blocked => BAD,
        EdgeState::UpToDate | EdgeState::NothingToPromote => DETAIL,
    };
    let mut words = styled(edge.state.as_words(), style);
    if edge.partial {
        words.push_str(", partial");
    }
    if let Some(reason) = &edge.reason {
        push!(words, ": {}", escape(reason));
    }
    if edge.state == EdgeState::Ready {
        if edge.requires_approval {
            words.push_str(", requires approval");
        }
        if edge.hold {
            words.push_str(", after a rollback: by no pipeline alone");
        }
    }
    words
}

fn component_line(edge: &Edge, component: &EdgeComponent, presentation: &Presentation) -> String {
    let commit = component.commit.as_ref().map_or("-", CommitId::short);
    let deployed = component
        .deployed_at
        .map(|at| format!(" (deployed {})", presentation.clock.relative(at)))
        .unwrap_or_default();
    let state = match (component.state, component.status) {
        (ComponentEdgeState::Blocked, Some(status)) if status != RecordStatus::Success => {
            format!(", {}", styled(&format!("newest record: {status}"), BAD))
        }
        (ComponentEdgeState::UpToDate, _) if edge.state != EdgeState::UpToDate => ", up to date".to_owned(),
        _ => String::new(),
    };
    format!("  {}: {commit}{deployed}{state}\n", escape(component.component.as_str()))
}

#[cfg(test)]
mod tests {

    use super::super::fixtures::{json, now, plain, terminal};
    use super::*;
    use crate::deployment::fixtures::{
        component_name, deployment, lock, record, running, state, target_name,
    };
    use crate::deployment::lock::LockScope;
    use crate::deployment::promotion_status::{StandingFacts, promotion_status};

    #[test]
    fn every_state_of_an_edge() {
        let mut deployment = deployment(
            &["api", "ecs/worker"],
            &[
                ("dev", &[]),
                ("staging", &["dev"]),
                ("prod", &["staging"]),
                ("frozen", &["dev"]),
                ("broken", &[]),
                ("late", &["broken", "prod"]),
            ],
        );
        deployment.components[1].depends_on.push(component_name("api"));
        let mut broken = running("broken", "api", "abc123d", "2025-01-22T12:00:00Z");
        broken.newest =
            Some(record("broken", "api", "def456a", RecordStatus::Failed, "2025-01-22T13:30:00Z").into());
        let both = |target: &str, api, worker| {
            let at = "2025-01-22T12:00:00Z";
            vec![
                ("api", running(target, "api", api, at)),
                ("ecs/worker", running(target, "ecs/worker", worker, at)),
            ]
        };
        let mut state = state(vec![
            ("dev", both("dev", "def456a", "abc123d")),
            ("staging", both("staging", "abc123d", "abc123d")),
            ("frozen", Vec::new()),
            (
                "broken",
                vec![
                    ("api", broken),
                    ("ecs/worker", running("broken", "ecs/worker", "abc123d", "2025-01-22T12:00:00Z")),
                ],
            ),
        ]);
        state.targets.get_mut(&target_name("frozen")).unwrap().locks = vec![lock(LockScope::Target, None)];
        let view = promotion_status(&deployment, &state, &StandingFacts::default(), now());
        let document = PromotionStatus::from(&view);
        insta::assert_snapshot!("promotion_status", plain(&text(&document, &terminal())));
        insta::assert_snapshot!("promotion_status_json", json(&document));
    }
}
