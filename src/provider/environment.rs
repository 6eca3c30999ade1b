//! Environments of a platform.

/// Whether two names are those of one environment. GitHub's names of environments have no case.
#[must_use]
pub fn is_same_environment(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}
