//! The hint for a name that does not exist.

use crate::deployment::nearest::nearest;

/// The hint for a name that does not exist: the nearest one, else all candidates.
#[must_use]
pub fn hint<'a>(written: &str, what: &str, candidates: impl Iterator<Item = &'a str> + Clone) -> String {
    /// The maximum number of candidates that are useful in a hint.
    const SHOWN: usize = 12;
    if let Some(nearest) = nearest(written, candidates.clone()) {
        return format!("did you mean `{nearest}`?");
    }
    let mut list: Vec<String> =
        candidates.clone().take(SHOWN).map(|candidate| format!("`{candidate}`")).collect();
    if list.is_empty() {
        return format!("there are no {what}");
    }
    if candidates.count() > SHOWN {
        list.push("…".to_owned());
    }
    format!("{what}: {}", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_near_name_the_hint_lists_them() {
        assert_eq!(hint("qa", "targets", ["dev", "prod"].into_iter()), "targets: `dev`, `prod`");
        assert_eq!(hint("qa", "targets", [].into_iter()), "there are no targets");
    }
}
