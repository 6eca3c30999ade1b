//! Values written in HCL: the attributes of a `.tfvars` file.

use std::sync::Arc;

use hcl_edit::expr::{Expression, ObjectKey, UnaryOperator};
use hcl_edit::template::Element;

use super::value::{Map, Value};

/// Parses the attributes of a file of variables; an attribute that is not a literal is refused by
/// name.
pub(super) fn parse_variables(text: &str) -> Result<Value, String> {
    let body = hcl_edit::parser::parse_body(text)
        .map_err(|error| format!("is not HCL (line {})", error.location().line()))?;
    if let Some(block) = body.blocks().next() {
        return Err(format!("has a block `{}`, where only attributes can be", block.ident.as_str()));
    }
    let mut variables = Map::new();
    for attribute in body.attributes() {
        let name = attribute.key.as_str();
        let value = literal(&attribute.value).ok_or_else(|| format!("has an expression in `{name}`"))?;
        variables.insert(Arc::from(name), value);
    }
    Ok(Value::map(variables))
}

/// The value of a literal expression.
fn literal(expression: &Expression) -> Option<Value> {
    Some(match expression {
        Expression::Null(_) => Value::Null,
        Expression::Bool(value) => Value::Bool(*value.value()),
        Expression::Number(number) => self::number(number.value(), false)?,
        Expression::String(text) => Value::text(text.value()),
        Expression::Array(items) => Value::List(Arc::new(items.iter().map(literal).collect::<Option<_>>()?)),
        Expression::Object(object) => {
            let entries = object.iter().map(|(key, value)| {
                let key = match key {
                    ObjectKey::Expression(Expression::String(text)) => Arc::from(text.value().as_str()),
                    // An identifier in a key is its own name.
                    ObjectKey::Ident(name) | ObjectKey::Expression(Expression::Variable(name)) => {
                        Arc::from(name.as_str())
                    }
                    ObjectKey::Expression(_) => return None,
                };
                Some((key, literal(value.expr())?))
            });
            Value::map(entries.collect::<Option<_>>()?)
        }
        Expression::HeredocTemplate(heredoc) => {
            let parts = heredoc.template.iter().map(|part| match part {
                Element::Literal(text) => Some(text.value().as_str()),
                Element::Interpolation(_) | Element::Directive(_) => None,
            });
            Value::text(&parts.collect::<Option<String>>()?)
        }
        Expression::Parenthesis(inner) => literal(inner.inner())?,
        Expression::UnaryOp(operation) if *operation.operator.value() == UnaryOperator::Neg => {
            match &operation.expr {
                Expression::Number(number) => self::number(number.value(), true)?,
                _ => return None,
            }
        }
        _ => return None,
    })
}

fn number(number: &hcl_edit::Number, is_negative: bool) -> Option<Value> {
    let number = match (number.as_i64(), is_negative) {
        (Some(number), false) => number.into(),
        (Some(number), true) => number.checked_neg()?.into(),
        (None, _) => {
            let number = number.as_f64()?;
            serde_json::Number::from_f64(if is_negative { -number } else { number })?
        }
    };
    Some(Value::Number(number))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_out_is_read_and_the_rest_refused() {
        let text =
            "a = \"x\"\nb = [1, -2.5, null, true]\nc = {\n  d = 1\n  \"e f\" = {}\n}\ng = <<EOT\nline\nEOT\n";
        assert_eq!(
            parse_variables(text).unwrap().to_json(),
            json!({"a": "x", "b": [1, -2.5, null, true], "c": {"d": 1, "e f": {}}, "g": "line\n"})
        );
        assert_eq!(parse_variables("a = var.b\n").unwrap_err(), "has an expression in `a`");
        assert_eq!(parse_variables("b {}\n").unwrap_err(), "has a block `b`, where only attributes can be");
    }
}
