//! `locks` as text.

use super::document::locks::{LockItem, LockList, LockResult, UnlockResult};
use super::escape::escape;
use super::style::{DETAIL, GOOD, PLAIN, WARN};
use super::table::{Cell, Table};
use super::{Form, Presentation, styled};

/// The held locks.
#[must_use]
pub fn text(list: &LockList, presentation: &Presentation) -> String {
    if list.locks.is_empty() && presentation.form == Form::Terminal {
        return "No locks.\n".to_owned();
    }
    let mut table =
        Table::new(["Deployment", "Target", "Component", "Holder", "Since", "Expires", "Run", "Reason"]);
    for item in &list.locks {
        let lock = &item.lock;
        table.row([
            item.deployment.as_str().into(),
            item.target.as_str().into(),
            item.component.as_ref().map_or("(whole target)", AsRef::as_ref).into(),
            lock.holder.as_str().into(),
            presentation.clock.relative_and_exact(lock.acquired_at).into(),
            expiry(item, presentation),
            lock.run_url.as_deref().unwrap_or(&lock.run_id).into(),
            lock.reason.as_deref().unwrap_or_default().into(),
        ]);
    }
    presentation.title(&format!("Locks ({})", list.locks.len())) + &table.render(presentation.form)
}

/// The acquired locks, and the runs that still work on a frozen target.
#[must_use]
pub fn result(result: &LockResult, presentation: &Presentation) -> String {
    let mut text = String::new();
    for item in &result.locks {
        let until = item.lock.expires_at.map_or_else(
            || "until it is unlocked".to_owned(),
            |at| format!("until {}", presentation.clock.relative_and_exact(at)),
        );
        push!(text, "{} Locked {} {until}\n", styled("✓", GOOD), place(item));
    }
    for item in &result.still_running {
        text.push_str(&line("Still running", item, presentation));
    }
    text
}

/// The released locks, and the target's other locks.
#[must_use]
pub fn unlocked(result: &UnlockResult, presentation: &Presentation) -> String {
    let mut text = String::new();
    for item in &result.unlocked {
        push!(text, "{} Unlocked {}\n", styled("✓", GOOD), place(item));
    }
    for component in &result.holds_lifted {
        let (deployment, target) = (&result.deployment, &result.target);
        let component = escape(component.as_str());
        push!(text, "{} Hold lifted {deployment} → {target}: {component}\n", styled("✓", GOOD));
    }
    for item in &result.still_locked {
        text.push_str(&line("Still locked", item, presentation));
    }
    text
}

/// `payment-service → prod`, `payment-service → prod: api`.
fn place(item: &LockItem) -> String {
    let component = item.component.as_ref().map(|name| format!(": {}", escape(name.as_str())));
    format!("{} → {}{}", item.deployment, item.target, component.unwrap_or_default())
}

/// A lock in the way, with its holder.
fn line(label: &str, item: &LockItem, presentation: &Presentation) -> String {
    let lock = &item.lock;
    format!(
        "{} {} by {} since {} (run {})\n",
        styled(&format!("{label}:"), WARN),
        item.component.as_ref().map_or_else(|| "the whole target".into(), |name| escape(name.as_str())),
        escape(&lock.holder),
        presentation.clock.relative_and_exact(lock.acquired_at),
        escape(lock.run_url.as_deref().unwrap_or(&lock.run_id)),
    )
}

fn expiry(item: &LockItem, presentation: &Presentation) -> Cell {
    match item.lock.expires_at {
        _ if item.lock.dead => Cell::styled("its run has died", WARN),
        None => Cell::styled("never", PLAIN),
        Some(at) if item.lock.expired => {
            Cell::styled(format!("expired {}", presentation.clock.relative(at)), DETAIL)
        }
        Some(at) => Cell::styled(presentation.clock.relative_and_exact(at), PLAIN),
    }
}

#[cfg(test)]
mod tests {

    use super::super::fixtures::{json, now, pipe, plain, terminal};
    use super::*;
    use crate::deployment::fixtures::{component_name, lock, target_name};
    use crate::deployment::lock::LockScope;

    #[test]
    fn freezes_and_leases() {
        let component = || LockScope::Component(component_name("ecs/api"));
        let mut hostile = lock(component(), Some("2025-01-22T13:00:00Z"));
        hostile.lock.reason = Some("x\ny\u{1b}[31m".to_owned());
        hostile.lock.run_url = Some("https://ci.example.com/1".to_owned());
        let held = [lock(LockScope::Target, None), lock(component(), Some("2025-01-22T14:10:00Z")), hostile];
        let deployment = "payment-service".parse().unwrap();
        let list = LockList {
            locks: held
                .iter()
                .map(|held| LockItem::new(&deployment, &target_name("prod"), held, now()))
                .collect(),
        };
        insta::assert_snapshot!("locks", plain(&text(&list, &terminal())));
        insta::assert_snapshot!("locks_pipe", text(&list, &pipe()));
        insta::assert_snapshot!("locks_json", json(&list));
    }

    #[test]
    fn what_was_taken_and_taken_away() {
        let deployment = "payment-service".parse().unwrap();
        let item =
            |scope, expires| LockItem::new(&deployment, &target_name("prod"), &lock(scope, expires), now());
        let api = || item(LockScope::Component(component_name("api")), Some("2025-01-22T14:10:00Z"));
        let taken = LockResult { locks: vec![item(LockScope::Target, None)], still_running: vec![api()] };
        insta::assert_snapshot!("lock_result", plain(&result(&taken, &terminal())));
        let mut away = UnlockResult {
            deployment: deployment.clone(),
            target: target_name("prod"),
            unlocked: vec![api()],
            still_locked: vec![item(LockScope::Target, None)],
            holds_lifted: Vec::new(),
        };
        insta::assert_snapshot!("unlock_result", plain(&unlocked(&away, &terminal())));
        away.unlocked.clear();
        away.still_locked.clear();
        assert_eq!(unlocked(&away, &terminal()), "");
    }

    #[test]
    fn no_locks() {
        assert_eq!(text(&LockList { locks: Vec::new() }, &terminal()), "No locks.\n");
    }
}
