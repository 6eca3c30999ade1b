//! Queries of `!include` and `!terraform.output`: the part of yq's language that
//! picks values out of documents.
//!
//! Paths (`.a.b`, `.a["b/c"]`, `.list[0]`), alternatives (`.a // "default"`), joined texts (`"x" +
//! .a`), `|`, and `length` and `keys`. Anything else is refused.

use std::sync::Arc;

use super::value::{Map, Value};

/// The maximum nesting depth of brackets.
const MAX_DEPTH: usize = 32;
/// The maximum number of terms in a query.
const MAX_TERMS: usize = 500;
/// The maximum number of items, or bytes of a text, in a sum.
const MAX_SUM: usize = 1 << 20;

/// Evaluates a query on a value; null where nothing matches. The error completes a sentence that
/// names the query.
pub(super) fn find(query: &str, value: &Value) -> Result<Value, String> {
    parse(query)?.find(value)
}

/// Evaluates a query on a document; null where nothing matches.
///
/// # Errors
///
/// When the query uses an unsupported part of yq's language, or applies an operation to a value of
/// the wrong type. The error completes a sentence that names the query.
pub fn find_in(query: &str, document: &serde_json::Value) -> Result<serde_json::Value, String> {
    find(query, &Value::from_json(document)).map(|found| found.to_json())
}

/// Checks that a text is a valid query.
///
/// # Errors
///
/// When the text is not a query; the error completes a sentence that names it.
pub fn check(query: &str) -> Result<(), String> {
    parse(query).map(drop)
}

/// Parses a query.
pub(super) fn parse(query: &str) -> Result<Query, String> {
    let mut parser = Parser { rest: query.trim(), depth: 0, terms: 0 };
    let expression = parser.piped()?;
    if parser.rest.is_empty() { Ok(Query(expression)) } else { Err(unsupported(parser.rest)) }
}

/// A parsed query.
pub(super) struct Query(Expression);

impl Query {
    /// Evaluates the query on a value; null where nothing matches.
    pub(super) fn find(&self, value: &Value) -> Result<Value, String> {
        evaluate(&self.0, value)
    }

    /// The keys that the query reads from the value itself, without duplicates.
    pub(super) fn first_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        self.0.collect_first(&mut names);
        names
    }

    /// Whether the query has a default for missing values.
    pub(super) fn has_default(&self) -> bool {
        self.0.has_default()
    }
}

impl Expression {
    fn collect_first(&self, names: &mut Vec<String>) {
        match self {
            Self::Path(steps) => {
                if let Some(Step::Key(name)) = steps.first()
                    && !names.contains(name)
                {
                    names.push(name.clone());
                }
            }
            Self::Constant(_) | Self::Length | Self::Keys => {}
            Self::Piped(first, _) => first.collect_first(names),
            Self::Otherwise(first, second) | Self::Sum(first, second) => {
                first.collect_first(names);
                second.collect_first(names);
            }
        }
    }

    fn has_default(&self) -> bool {
        match self {
            Self::Otherwise(..) => true,
            Self::Piped(first, second) | Self::Sum(first, second) => {
                first.has_default() || second.has_default()
            }
            Self::Path(_) | Self::Constant(_) | Self::Length | Self::Keys => false,
        }
    }
}

enum Expression {
    /// Steps from the value; an empty path is the value itself.
    Path(Vec<Step>),
    Constant(Value),
    Length,
    Keys,
    Piped(Box<Expression>, Box<Expression>),
    Otherwise(Box<Expression>, Box<Expression>),
    Sum(Box<Expression>, Box<Expression>),
}

enum Step {
    Key(String),
    Index(i64),
}

fn unsupported(rest: &str) -> String {
    format!("is not supported at `{rest}`: queries are paths, alternatives (`//`), sums and pipes")
}

struct Parser<'q> {
    rest: &'q str,
    depth: usize,
    terms: usize,
}

impl Parser<'_> {
    fn skip(&mut self, token: &str) -> bool {
        match self.rest.trim_start().strip_prefix(token) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn piped(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("is nested too deep".to_owned());
        }
        let mut expression = self.otherwise()?;
        while self.skip("|") {
            expression = Expression::Piped(Box::new(expression), Box::new(self.otherwise()?));
        }
        self.depth -= 1;
        Ok(expression)
    }

    fn otherwise(&mut self) -> Result<Expression, String> {
        let mut expression = self.sum()?;
        while self.skip("//") {
            expression = Expression::Otherwise(Box::new(expression), Box::new(self.sum()?));
        }
        Ok(expression)
    }

    fn sum(&mut self) -> Result<Expression, String> {
        let mut expression = self.term()?;
        while self.skip("+") {
            expression = Expression::Sum(Box::new(expression), Box::new(self.term()?));
        }
        Ok(expression)
    }

    fn term(&mut self) -> Result<Expression, String> {
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err(format!("has more than {MAX_TERMS} terms"));
        }
        if self.skip("(") {
            let inner = self.piped()?;
            return if self.skip(")") {
                Ok(inner)
            } else {
                Err("has a bracket that is not closed".to_owned())
            };
        }
        if self.rest.starts_with('.') {
            return self.path();
        }
        for (name, expression) in [("length", Expression::Length), ("keys", Expression::Keys)] {
            if let Some(rest) = self.rest.strip_prefix(name)
                && !rest.starts_with(|next: char| next.is_alphanumeric())
            {
                self.rest = rest.trim_start();
                return Ok(expression);
            }
        }
        let mut values = serde_json::Deserializer::from_str(self.rest).into_iter::<serde_json::Value>();
        let Some(Ok(constant)) = values.next() else { return Err(unsupported(self.rest)) };
        self.rest = self.rest[values.byte_offset()..].trim_start();
        Ok(Expression::Constant(Value::from_json(&constant)))
    }

    fn path(&mut self) -> Result<Expression, String> {
        let mut steps = Vec::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix('[') {
                self.rest = rest;
                steps.push(self.bracket()?);
            } else if let Some(rest) = self.rest.strip_prefix('.') {
                if rest.starts_with('[') {
                    self.rest = rest;
                } else if rest.starts_with('"') {
                    self.rest = rest;
                    steps.push(Step::Key(self.quoted()?));
                } else {
                    let is_name = |letter: char| letter.is_alphanumeric() || "_-".contains(letter);
                    let length = rest.find(|letter| !is_name(letter)).unwrap_or(rest.len());
                    self.rest = &rest[length..];
                    if length == 0 && steps.is_empty() {
                        break;
                    }
                    if length == 0 {
                        return Err(unsupported(rest));
                    }
                    steps.push(Step::Key(rest[..length].to_owned()));
                }
            } else {
                break;
            }
        }
        self.rest = self.rest.trim_start();
        Ok(Expression::Path(steps))
    }

    fn bracket(&mut self) -> Result<Step, String> {
        let step = if self.rest.starts_with('"') {
            Step::Key(self.quoted()?)
        } else {
            let length = self.rest.find(']').unwrap_or(self.rest.len());
            let index = self.rest[..length].trim().parse().map_err(|_| unsupported(self.rest))?;
            self.rest = &self.rest[length..];
            Step::Index(index)
        };
        self.rest = self.rest.strip_prefix(']').ok_or_else(|| unsupported(self.rest))?;
        Ok(step)
    }

    fn quoted(&mut self) -> Result<String, String> {
        let mut texts = serde_json::Deserializer::from_str(self.rest).into_iter::<String>();
        match texts.next() {
            Some(Ok(text)) => {
                self.rest = &self.rest[texts.byte_offset()..];
                Ok(text)
            }
            _ => Err(unsupported(self.rest)),
        }
    }
}

fn evaluate(expression: &Expression, value: &Value) -> Result<Value, String> {
    Ok(match expression {
        Expression::Path(steps) => {
            let mut found = value.clone();
            for step in steps {
                found = take(&found, step)?;
            }
            found
        }
        Expression::Constant(constant) => constant.clone(),
        Expression::Piped(first, second) => evaluate(second, &evaluate(first, value)?)?,
        Expression::Otherwise(first, second) => match evaluate(first, value)? {
            Value::Null | Value::Bool(false) => evaluate(second, value)?,
            found => found,
        },
        Expression::Sum(first, second) => sum(evaluate(first, value)?, evaluate(second, value)?)?,
        Expression::Length => Value::Number(match value {
            Value::Null => 0.into(),
            Value::List(items) => items.len().into(),
            Value::Map(map) => map.len().into(),
            Value::String(text) => text.chars().count().into(),
            other => return Err(format!("asks for the length of {}", other.kind())),
        }),
        Expression::Keys => match value {
            Value::Map(map) => Value::List(Arc::new(map.keys().map(|key| Value::text(key)).collect())),
            other => return Err(format!("asks for the keys of {}", other.kind())),
        },
    })
}

fn take(value: &Value, step: &Step) -> Result<Value, String> {
    match (value, step) {
        (Value::Null, _) => Ok(Value::Null),
        (Value::Map(map), Step::Key(key)) => Ok(map.get(key.as_str()).cloned().unwrap_or(Value::Null)),
        (Value::List(items), Step::Index(index)) => {
            let from_end =
                || usize::try_from(index.unsigned_abs()).ok().and_then(|back| items.len().checked_sub(back));
            let index = usize::try_from(*index).ok().or_else(from_end);
            Ok(index.and_then(|index| items.get(index)).cloned().unwrap_or(Value::Null))
        }
        (other, Step::Key(key)) => Err(format!("looks for `{key}` in {}", other.kind())),
        (other, Step::Index(index)) => Err(format!("looks for item {index} in {}", other.kind())),
    }
}

fn sum(first: Value, second: Value) -> Result<Value, String> {
    let length = |value: &Value| match value {
        Value::String(text) => text.len(),
        Value::List(items) => items.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Map(_) | Value::Call(_) => 0,
    };
    if length(&first) + length(&second) > MAX_SUM {
        return Err(format!("adds up to more than {MAX_SUM} items or bytes"));
    }
    match (first, second) {
        (Value::Null, other) | (other, Value::Null) => Ok(other),
        (Value::String(first), Value::String(second)) => Ok(Value::text(&format!("{first}{second}"))),
        (Value::List(first), Value::List(second)) => {
            Ok(Value::List(Arc::new(first.iter().chain(second.iter()).cloned().collect())))
        }
        (Value::Map(first), Value::Map(second)) => {
            let mut joined: Map = (*first).clone();
            joined.extend(second.iter().map(|(key, value)| (Arc::clone(key), value.clone())));
            Ok(Value::map(joined))
        }
        (Value::Number(first), Value::Number(second)) => {
            let whole = first.as_i64().zip(second.as_i64()).and_then(|(one, other)| one.checked_add(other));
            whole
                .map(|sum| Value::Number(sum.into()))
                .ok_or_else(|| "adds what is no whole number".to_owned())
        }
        (Value::String(text), other @ (Value::Number(_) | Value::Bool(_))) => {
            Ok(Value::text(&format!("{text}{}", other.to_json())))
        }
        (first, second) => Err(format!("adds {} to {}", second.kind(), first.kind())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(query: &str) -> Result<serde_json::Value, String> {
        let value = json!({
            "a": {"b": {"c/d": 1}, "it's": 2, "off": false}, "list": ["x", {"y": 3}], "host": "db", "n": 4,
        });
        find(query, &Value::from_json(&value)).map(|found| found.to_json())
    }

    #[test]
    fn paths_lead_through_maps_and_lists() {
        assert_eq!(found(".host").unwrap(), json!("db"));
        assert_eq!(found(".a.b[\"c/d\"]").unwrap(), json!(1));
        assert_eq!(found(".a[\"it's\"]").unwrap(), json!(2));
        assert_eq!(found(".list[1].y").unwrap(), json!(3));
        assert_eq!(found(".list[-2]").unwrap(), json!("x"));
        assert_eq!(found(".list[9]").unwrap(), json!(null));
        assert_eq!(found(".nope.deeper").unwrap(), json!(null));
        assert_eq!(found(".").unwrap()["n"], json!(4));
        assert!(found(".host.deeper").unwrap_err().contains("looks for `deeper` in a text"));
    }

    #[test]
    fn what_is_not_there_has_alternatives() {
        assert_eq!(found(".nope // .host").unwrap(), json!("db"));
        assert_eq!(found(".nope // \"d\"").unwrap(), json!("d"));
        assert_eq!(found(".a.off // {\"k\": [1, true]}").unwrap(), json!({"k": [1, true]}));
        assert_eq!(found(".n // 5").unwrap(), json!(4));
    }

    #[test]
    fn texts_are_joined_and_values_counted() {
        assert_eq!(found(".host | \"jdbc:\" + . + \":5432\"").unwrap(), json!("jdbc:db:5432"));
        assert_eq!(found("(.list | length) + 1").unwrap(), json!(3));
        assert_eq!(found(".a | keys").unwrap(), json!(["b", "it's", "off"]));
    }

    #[test]
    fn anything_else_is_refused() {
        for query in [".list[]", "select(.a)", ".a | map(.b)", ".a ==", "..", ".a[", "(.a"] {
            assert!(found(query).is_err(), "{query}");
        }
        assert!(found(&"(".repeat(100)).is_err());
        assert!(found(&format!(".{}", " | .".repeat(100_000))).unwrap_err().contains("terms"));
    }

    #[test]
    fn sums_stay_small() {
        let doubled = |value: &str| format!("{value}{}", " | . + .".repeat(60));
        assert!(found(&doubled(".host")).unwrap_err().contains("adds up to more than"));
        assert!(found(&doubled(".list")).unwrap_err().contains("adds up to more than"));
    }
}
