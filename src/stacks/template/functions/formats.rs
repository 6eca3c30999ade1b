//! Documents: YAML, TOML and CSV, written in the format of Go's libraries.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::super::super::yaml;
use super::super::MAX_TEXT;
use super::super::print::{is_true, sorted};
use super::{Outcome, exactly, go_string, list_of, text_of};

pub(super) fn call(name: &str, arguments: &[Json]) -> Option<Outcome> {
    Some(match name {
        "data.YAML" | "yaml" | "data.YAMLArray" | "yamlArray" | "fromYaml" => {
            exactly(arguments).and_then(|[text]| read_yaml(text_of(text)?))
        }
        "data.ToYAML" | "toYAML" => exactly(arguments).map(|[value]| written_yaml(value).into()),
        "toYaml" => exactly(arguments).map(|[value]| written_yaml(value).trim_end_matches('\n').into()),
        "data.TOML" | "toml" => exactly(arguments).and_then(|[text]| {
            let table: toml::Table = toml::from_str(text_of(text)?).map_err(|_| "reads no TOML")?;
            Ok(of_toml(toml::Value::Table(table)))
        }),
        "data.CSV" | "csv" => rows(arguments, 1).map(|(rows, _)| rows.into_iter().map(Json::from).collect()),
        "data.CSVByRow" | "csvByRow" => table(arguments).map(|(columns, rows)| {
            let row = |row: Vec<String>| -> Json {
                Json::Object(columns.iter().cloned().zip(row.into_iter().map(Json::String)).collect())
            };
            rows.into_iter().map(row).collect()
        }),
        "data.CSVByColumn" | "csvByColumn" => table(arguments).map(|(columns, rows)| {
            let values =
                |index: usize| rows.iter().filter_map(|row| row.get(index).cloned()).collect::<Json>();
            let columns = columns.iter().enumerate();
            Json::Object(
                columns.map(|(index, column)| (column.clone(), values(index))).collect::<Map<_, _>>(),
            )
        }),
        "data.ToCSV" | "toCSV" => written_csv(arguments),
        _ => return None,
    })
}

fn read_yaml(text: &str) -> Outcome {
    if text.len() > MAX_TEXT {
        return Err(format!("reads no text longer than {MAX_TEXT} bytes"));
    }
    let document = yaml::parse(text, &Arc::from("the text"));
    document.map(|document| document.value.to_json()).map_err(|error| format!("reads no YAML: {error}"))
}

fn of_toml(value: toml::Value) -> Json {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Datetime(moment) => moment.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(of_toml).collect(),
        toml::Value::Table(table) => {
            Json::Object(table.into_iter().map(|(key, value)| (key, of_toml(value))).collect())
        }
    }
}

/// Writes YAML in block style, with sorted keys and an indentation of two blanks.
fn written_yaml(value: &Json) -> String {
    let mut text = String::new();
    write_yaml(value, 0, &mut text);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn write_yaml(value: &Json, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Json::Object(map) if !map.is_empty() => {
            for (index, (key, value)) in sorted(map).into_iter().enumerate() {
                // The first key of a map in a list follows the dash on the same line.
                if index > 0 || !text.ends_with("- ") {
                    text.push_str(&indent);
                }
                text.push_str(&scalar(key));
                text.push(':');
                write_below(value, depth, text);
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 || !text.ends_with("- ") {
                    text.push_str(&indent);
                }
                text.push_str("- ");
                if holds_something(item) {
                    write_yaml(item, depth + 1, text);
                } else {
                    write_scalar(item, depth, text);
                }
            }
        }
        value => write_scalar(value, depth, text),
    }
}

/// Writes the value of a key: on the key's line, or below it.
fn write_below(value: &Json, depth: usize, text: &mut String) {
    if holds_something(value) {
        text.push('\n');
        write_yaml(value, depth + 1, text);
    } else {
        text.push(' ');
        write_scalar(value, depth, text);
    }
}

fn holds_something(value: &Json) -> bool {
    (value.is_array() || value.is_object()) && is_true(value)
}

fn write_scalar(value: &Json, depth: usize, text: &mut String) {
    match value {
        Json::String(lines) if lines.contains('\n') && is_block(lines) => {
            let end = lines.len() - lines.trim_end_matches('\n').len();
            text.push_str(match end {
                0 => "|-",
                1 => "|",
                _ => "|+",
            });
            let indent = "  ".repeat(depth + 1);
            let body = lines.strip_suffix('\n').unwrap_or(lines);
            for line in body.split('\n') {
                text.push('\n');
                if !line.is_empty() {
                    text.push_str(&indent);
                    text.push_str(line);
                }
            }
        }
        Json::String(line) => text.push_str(&scalar(line)),
        Json::Array(_) => text.push_str("[]"),
        Json::Object(_) => text.push_str("{}"),
        value => text.push_str(&value.to_string()),
    }
    text.push('\n');
}

/// Whether lines can be written as a block scalar.
fn is_block(lines: &str) -> bool {
    let is_plain = |letter: char| letter == '\n' || letter == '\t' || !letter.is_control();
    lines.chars().all(is_plain) && !lines.starts_with([' ', '\n', '\t']) && !lines.trim().is_empty()
}

/// Writes a text on one line, quoted if it would be parsed as another type without quotes.
fn scalar(line: &str) -> String {
    let is_switch = matches!(line.to_lowercase().as_str(), "y" | "n" | "yes" | "no" | "on" | "off");
    let read: Result<serde_yaml::Value, _> = serde_yaml::from_str(line);
    let is_inside = !line.contains(": ") && !line.contains(" #") && !line.ends_with(':');
    match read {
        Ok(serde_yaml::Value::String(same)) if same == line && !is_switch && is_inside => line.to_owned(),
        _ if line.chars().any(char::is_control) => Json::from(line).to_string(),
        Ok(serde_yaml::Value::String(same)) if same == line && is_switch => format!("\"{line}\""),
        Ok(serde_yaml::Value::Bool(_) | serde_yaml::Value::Number(_) | serde_yaml::Value::Null) => {
            format!("\"{line}\"")
        }
        _ => format!("'{}'", line.replace('\'', "''")),
    }
}

/// Parses the rows of a CSV, and the arguments between the delimiter and the text.
fn rows(arguments: &[Json], least: usize) -> Result<(Vec<Vec<String>>, Option<String>), String> {
    let (before, text) = match arguments {
        [before @ .., text] if before.len() <= least => (before, text_of(text)?),
        _ => return Err(format!("takes 1 to {} arguments, not {}", least + 1, arguments.len())),
    };
    let header = if least == 2 { before.last().map(|header| text_of(header)).transpose()? } else { None };
    let delimiter = before.first().filter(|_| least == 1 || before.len() == 2);
    let delimiter = delimiter.map_or(Ok(b','), |delimiter| delimiter_of(text_of(delimiter)?))?;
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(text.as_bytes());
    let rows =
        reader.records().map(|record| record.map(|record| record.iter().map(ToOwned::to_owned).collect()));
    let rows = rows.collect::<Result<_, _>>().map_err(|error| format!("reads no CSV: {error}"))?;
    Ok((rows, header.map(|header| header.replace(char::from(delimiter), ","))))
}

fn delimiter_of(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [delimiter] => Ok(*delimiter),
        _ => Err("takes a delimiter of one ASCII letter".to_owned()),
    }
}

/// Returns the column names of a CSV, and its rows.
fn table(arguments: &[Json]) -> Result<(Vec<String>, Vec<Vec<String>>), String> {
    let (mut rows, header) = rows(arguments, 2)?;
    let columns = match header.as_deref() {
        _ if rows.is_empty() => Vec::new(),
        None => rows.remove(0),
        Some("") => (0..rows[0].len()).map(column_name).collect(),
        Some(header) => header.split(',').map(ToOwned::to_owned).collect(),
    };
    Ok((columns, rows))
}

/// Spreadsheet column names: A to Z, then AA.
fn column_name(index: usize) -> String {
    let letter = |index: usize| char::from(b'A' + u8::try_from(index % 26).unwrap_or(0));
    let rest = index / 26;
    if rest == 0 { letter(index).to_string() } else { column_name(rest - 1) + &letter(index).to_string() }
}

fn written_csv(arguments: &[Json]) -> Outcome {
    let (delimiter, rows) = match arguments {
        [rows] => (b',', rows),
        [delimiter, rows] => (delimiter_of(text_of(delimiter)?)?, rows),
        _ => return Err(format!("takes 1 or 2 arguments, not {}", arguments.len())),
    };
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter)
        .terminator(csv::Terminator::CRLF)
        .flexible(true)
        .from_writer(Vec::new());
    for row in list_of(rows)? {
        let fields: Vec<String> = list_of(row)?.iter().map(go_string).collect();
        writer.write_record(&fields).map_err(|error| format!("writes no CSV: {error}"))?;
    }
    let written = writer.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok());
    written.map(Json::String).ok_or_else(|| "writes no CSV".to_owned())
}
