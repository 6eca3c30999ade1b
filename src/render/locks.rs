//! `locks` as text.

use super::document::locks::{LockItem, LockList};
use super::style::{DETAIL, PLAIN};
use super::table::{Cell, Table};
use super::{Form, Presentation};

/// The locks that are held.
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

fn expiry(item: &LockItem, presentation: &Presentation) -> Cell {
    match item.lock.expires_at {
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
    fn no_locks() {
        assert_eq!(text(&LockList { locks: Vec::new() }, &terminal()), "No locks.\n");
    }
}
