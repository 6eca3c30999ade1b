//! The most similar name, for suggestions.

/// The candidate most similar to the given text, if it is similar enough to suggest.
#[must_use]
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Bounds the time that a malicious file can cost; real projects have fewer names.
    const COMPARED: usize = 1000;
    candidates
        .into_iter()
        .take(COMPARED)
        .filter_map(|candidate| {
            let longest = written.chars().count().max(candidate.chars().count());
            // The cost of the distance is the product of the lengths, and texts this long are not
            // typos.
            if longest > 128 {
                return None;
            }
            let distance = strsim::damerau_levenshtein(written, candidate);
            (distance <= (longest / 3).max(1) && distance < longest).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_near_and_other_words_are_not() {
        let keys = ["labels", "context", "promotion", "components"];
        assert_eq!(nearest("promotoin", keys), Some("promotion"));
        assert_eq!(nearest("label", keys), Some("labels"));
        for variable in ["cpu", "memory", "replicas", "log_level", "autoscale", "image"] {
            assert_eq!(nearest(variable, keys), None, "{variable}");
        }
        assert_eq!(nearest("x", ["y"]), None);
    }
}
