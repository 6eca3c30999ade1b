//! Tolerant parsing of the numbers in JUnit reports: an invalid number costs only itself.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, Writer};

/// The attributes that hold a number, of the elements that have them.
const ELEMENTS: [&str; 3] = ["testsuites", "testsuite", "testcase"];
const NUMBERS: [&str; 7] = ["time", "tests", "failures", "errors", "skipped", "assertions", "disabled"];

/// Rewrites the numbers of a report so that they parse: removes commas for thousands (Maven
/// Surefire), and attributes that hold no number.
///
/// # Errors
///
/// Fails where it is not XML.
pub(super) fn mended(report: &str) -> Result<String, quick_xml::Error> {
    let mut reader = Reader::from_str(report);
    let mut writer = Writer::new(Vec::with_capacity(report.len()));
    loop {
        match reader.read_event()? {
            Event::Eof => break,
            Event::Start(element) => writer.write_event(Event::Start(mended_element(element)?))?,
            Event::Empty(element) => writer.write_event(Event::Empty(mended_element(element)?))?,
            other => writer.write_event(other)?,
        }
    }
    // The input was text, and only text was added.
    Ok(String::from_utf8(writer.into_inner()).unwrap_or_default())
}

fn mended_element(element: BytesStart<'_>) -> Result<BytesStart<'_>, quick_xml::Error> {
    if !ELEMENTS.iter().any(|name| element.name().as_ref() == *name) {
        return Ok(element);
    }
    let mut mended = element.to_owned();
    mended.clear_attributes();
    for attribute in element.attributes() {
        let attribute = attribute?;
        if !NUMBERS.iter().any(|name| attribute.key.as_ref() == *name) {
            mended.push_attribute(attribute);
        } else if let Some(number) = number(&attribute.value) {
            mended.push_attribute((attribute.key.as_ref(), number.as_str()));
        }
    }
    Ok(mended)
}

/// A number without its thousands separators; `None` where it is no number, or a comma may be a
/// decimal one.
fn number(text: &str) -> Option<String> {
    let text = text.trim();
    let whole = text.split('.').next().unwrap_or_default();
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let has_thousands = whole.contains(',');
    if has_thousands && (first.is_empty() || first.len() > 3 || first.starts_with('0')) {
        return None;
    }
    if groups.any(|group| group.len() != 3) {
        return None;
    }
    let plain = text.replace(',', "");
    plain.parse::<f64>().is_ok_and(f64::is_finite).then_some(plain)
}
