//! `promotion-status` as text.

use super::document::promotion::{Edge, EdgeComponent, PromotionStatus};
use super::escape::escape;
use super::style::{BAD, DETAIL, GOOD, HEADING};
use super::{Presentation, styled};
use crate::deployment::CommitId;
use crate::deployment::promotion_status::{ComponentEdgeState, EdgeState};

/// What can be promoted now, way by way.
#[must_use]
pub fn text(status: &PromotionStatus, presentation: &Presentation) -> String {
    let mut text = styled(&format!("{} promotion status:", status.deployment), HEADING);
    text.push('\n');
    if status.edges.is_empty() {
        text.push_str("\nNo target is promoted to.\n");
    }
    for edge in &status.edges {
        let (from, to) = (&edge.from, &edge.to);
        text.push_str(&format!("\n{from} → {to} ({})\n", state(edge)));
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
    if let Some(reason) = &edge.reason {
        words.push_str(&format!(": {}", escape(reason)));
    }
    if edge.state == EdgeState::Ready {
        if edge.requires_approval {
            words.push_str(", requires approval");
        }
        if edge.hold {
            words.push_str(", after a rollback: by hand only");
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
        (ComponentEdgeState::Blocked, Some(status)) => {
            format!(", {}", styled(&format!("newest record: {status}"), BAD))
        }
        (ComponentEdgeState::UpToDate, _) if edge.state != EdgeState::UpToDate => ", up to date".to_owned(),
        _ => String::new(),
    };
    format!("  {}: {commit}{deployed}{state}\n", escape(component.component.as_str()))
}
