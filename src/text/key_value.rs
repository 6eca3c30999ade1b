//! Parsing of key-value pairs on command lines.

use super::LEFT_OUT;

/// `key=value`, as `--context`, `--metadata` and `--label` take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    pub key: String,
    pub value: String,
}

impl std::str::FromStr for KeyValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((_, LEFT_OUT)) => {
                Err(format!("{LEFT_OUT} stands for a value that hints leave out: fill it in"))
            }
            Some((key, value)) if !key.trim().is_empty() => {
                Ok(Self { key: key.trim().to_owned(), value: value.to_owned() })
            }
            _ => Err("expected key=value".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_an_equals_sign() {
        let pair: KeyValue = "query=a=b".parse().unwrap();
        assert_eq!((pair.key.as_str(), pair.value.as_str()), ("query", "a=b"));
        assert!("=x".parse::<KeyValue>().is_err());
    }
}
