//! `approve` and `approvals` as text.

use super::document::approval::{ApprovalItem, ApprovalList, ApprovalResult, ApprovalState};
use super::escape::escape;
use super::style::{BAD, DETAIL, GOOD, ID, WARN};
use super::table::{Cell, Table};
use super::{Form, Presentation, styled};

/// The number of shown digits of an approval's id: enough to identify it, and to revoke it.
const SHOWN_DIGITS: usize = 12;

/// The approval, or the revoked ones.
#[must_use]
pub fn result(result: &ApprovalResult, presentation: &Presentation) -> String {
    let mut text = String::new();
    if let Some(item) = &result.approved {
        let until = item.expires_at.map(|at| format!(", until {}", presentation.clock.exact(at)));
        push!(
            text,
            "{} Approved {} → {}{} ({})\n",
            styled("✓", GOOD),
            result.deployment,
            result.target,
            until.unwrap_or_default(),
            short(&item.id)
        );
        if item.of == Some(crate::deployment::approval::ApprovalOf::Unseen) {
            text.push_str("    Given without the plan having been shown\n");
        }
        for covered in &item.components {
            let name = escape(covered.component.as_str());
            push!(text, "    {name}: {} {}\n", styled(covered.commit.short(), ID), covered.digest);
        }
    }
    for item in &result.revoked {
        let given = presentation.clock.relative_and_exact(item.approved_at);
        let by = escape(&item.approved_by);
        push!(text, "{} Revoked {} of {by}, given {given}\n", styled("✓", GOOD), short(&item.id));
    }
    text
}

/// The approvals of a deployment, newest first.
#[must_use]
pub fn list(list: &ApprovalList, presentation: &Presentation) -> String {
    let mut table =
        Table::new(["Approved", "Target", "By", "Method", "Components", "State", "Until", "Reason", "ID"]);
    for item in &list.approvals {
        let components = item.components.iter();
        let components: Vec<_> =
            components.map(|one| format!("{}@{}", one.component, one.commit.short())).collect();
        table.row([
            presentation.clock.minute(item.approved_at).into(),
            item.target.as_str().into(),
            item.approved_by.as_str().into(),
            method(item).into(),
            format!("{}{}", components.join(", "), overrides(item)).into(),
            state(item.state),
            item.expires_at.map(|at| presentation.clock.minute(at)).unwrap_or_default().into(),
            reasons(item).into(),
            short(&item.id).into(),
        ]);
    }
    let mut text = presentation.title(&format!("{} approvals", list.deployment));
    if list.approvals.is_empty() && presentation.form == Form::Terminal {
        text.push_str("No approvals.\n");
    } else {
        text.push_str(&table.render(presentation.form));
    }
    text
}

/// The method of the approval, marked for a run whose plan need not have been seen.
fn method(item: &ApprovalItem) -> String {
    let unseen = item.of == Some(crate::deployment::approval::ApprovalOf::Unseen);
    format!("{}{}", item.method, if unseen { ", unseen" } else { "" })
}

/// The overrides of the covered components.
fn overrides(item: &ApprovalItem) -> String {
    let each = item.context_overrides.iter();
    each.fold(String::new(), |text, (key, value)| text + " --context " + key + "=" + value)
}

/// The reason of the approval, followed by that of its revocation.
fn reasons(item: &ApprovalItem) -> String {
    let given = item.reason.clone().unwrap_or_default();
    match &item.revocation_reason {
        Some(revoked) => format!("{given}; revoked: {revoked}"),
        None => given,
    }
}

fn state(state: ApprovalState) -> Cell {
    let style = match state {
        ApprovalState::Valid => GOOD,
        ApprovalState::PartlyUsed => WARN,
        ApprovalState::Revoked => BAD,
        ApprovalState::Used | ApprovalState::Expired | ApprovalState::CoversNothing => DETAIL,
    };
    Cell::styled(state.as_words(), style)
}

fn short(id: &str) -> String {
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    digits.chars().take(SHOWN_DIGITS).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{json, pipe, plain, terminal};
    use super::*;
    use crate::deployment::approval::{Approval, ApprovalOf, Covered, Standing};
    use crate::deployment::fixtures::{commit, component_name, target_name, time};

    fn item(standing: &Standing, of: ApprovalOf) -> ApprovalItem {
        let digest = format!("v1:sha256:{}", "0c".repeat(32)).parse().unwrap();
        let approval = Approval {
            approved_by: "alice@example.com".to_owned(),
            approved_at: time("2025-01-22T12:00:00Z"),
            approver_role: None,
            method: "manual".to_owned(),
            deployment: "payment-service".parse().unwrap(),
            target: target_name("prod"),
            promoted_from: Some(target_name("staging")),
            reason: Some("looked\u{1b}[31m at it".to_owned()),
            digest: None,
            components: vec![Covered {
                component: component_name("ecs/api"),
                commit: commit("abc123d"),
                digest,
                replaces: None,
            }],
            context_overrides: [("cpu".to_owned(), "4096".to_owned())].into(),
            of: Some(of),
            expires_at: Some(time("2025-01-23T12:00:00Z")),
            run_id: None,
        };
        ApprovalItem::new(&approval.id(), &approval, standing)
    }

    #[test]
    fn approvals_and_how_they_stand() {
        let valid = Standing::Valid { left: vec![component_name("ecs/api")], used: Vec::new() };
        let revoked = Standing::Revoked {
            by: "bob".to_owned(),
            at: time("2025-01-22T13:00:00Z"),
            reason: Some("found a bug".to_owned()),
        };
        let all = ApprovalList {
            deployment: "payment-service".parse().unwrap(),
            approvals: vec![
                item(&valid, ApprovalOf::Seen),
                item(&revoked, ApprovalOf::Unseen),
                item(&Standing::Used, ApprovalOf::Seen),
            ],
        };
        insta::assert_snapshot!("approvals", plain(&list(&all, &terminal())));
        insta::assert_snapshot!("approvals_pipe", list(&all, &pipe()));
        insta::assert_snapshot!("approvals_json", json(&all));
        let none = ApprovalList { approvals: Vec::new(), ..all };
        assert!(list(&none, &terminal()).ends_with("No approvals.\n"));
    }

    #[test]
    fn what_was_approved_and_revoked() {
        let valid = Standing::Valid { left: vec![component_name("ecs/api")], used: Vec::new() };
        let done = ApprovalResult {
            deployment: "payment-service".parse().unwrap(),
            target: target_name("prod"),
            approved: Some(item(&valid, ApprovalOf::Seen)),
            revoked: vec![item(&Standing::Used, ApprovalOf::Seen)],
        };
        insta::assert_snapshot!("approval_result", plain(&result(&done, &terminal())));
    }
}
