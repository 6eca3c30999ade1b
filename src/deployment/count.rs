//! Numbers with nouns, for messages.

/// `1 record`, `3 records`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `1 record is`, `3 records are`.
#[must_use]
pub fn count_are(number: usize, noun: &str) -> String {
    format!("{} {}", count(number, noun), if number == 1 { "is" } else { "are" })
}

/// `1 record has`, `3 records have`.
#[must_use]
pub fn count_have(number: usize, noun: &str) -> String {
    format!("{} {}", count(number, noun), if number == 1 { "has" } else { "have" })
}

/// `1 dependency`, `2 dependencies`: for nouns with an irregular plural.
#[must_use]
pub fn plural(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        assert_eq!([0, 1, 2].map(|number| count(number, "record")), ["0 records", "1 record", "2 records"]);
        assert_eq!([1, 2].map(|number| count_are(number, "record")), ["1 record is", "2 records are"]);
        assert_eq!([1, 2].map(|number| count_have(number, "record")), ["1 record has", "2 records have"]);
        let dependencies = [1, 2].map(|number| plural(number, "dependency", "dependencies"));
        assert_eq!(dependencies, ["1 dependency", "2 dependencies"]);
    }
}
