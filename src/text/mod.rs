//! Text as other tools write it: with byte order marks and in other encodings than UTF-8.

mod errors;
mod key_value;
mod shell;

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};
use serde::de::DeserializeOwned;

pub use errors::error_chain;
pub use key_value::KeyValue;
pub use shell::{LEFT_OUT, quoted};

/// The number of bytes of an XML document that are searched for its encoding declaration.
const XML_DECLARATION: usize = 256;

/// Decodes bytes in a named encoding, as in a commit's header; the default without a name, or with
/// one that is not known, is UTF-8. Malformed sequences are replaced.
#[must_use]
pub fn decoded<'b>(bytes: &'b [u8], encoding: Option<&str>) -> Cow<'b, str> {
    let encoding = encoding.and_then(|label| Encoding::for_label(label.as_bytes())).unwrap_or(UTF_8);
    encoding.decode_without_bom_handling(bytes).0
}

/// Decodes a file that is UTF-8, or in the encoding of its byte order mark; without the mark.
/// `None` where it is not text.
#[must_use]
pub fn of_file(bytes: &[u8]) -> Option<Cow<'_, str>> {
    strictly(bytes, UTF_8)
}

/// Parses JSON that another program wrote, which may begin with a byte order mark.
///
/// # Errors
///
/// Text that is no JSON of this form.
pub fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    match of_file(bytes) {
        Some(text) => serde_json::from_str(&text),
        // The parser reports the error.
        None => serde_json::from_slice(bytes),
    }
}

/// A text without the byte order mark that it may begin with.
#[must_use]
pub fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// As [`of_file`], of an XML document, which may also declare its encoding (XML 1.0, appendix F).
#[must_use]
pub fn of_xml(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let text = strictly(bytes, declared_by_xml(bytes).unwrap_or(UTF_8))?;
    // The decoded text is UTF-8, so the declaration has to name that.
    let declared = declaration(&text).and_then(label).filter(|label| !label.eq_ignore_ascii_case("utf-8"));
    Some(match declared {
        Some(label) => text.replacen(label, "UTF-8", 1).into(),
        None => text,
    })
}

/// Decodes all bytes or none, in the encoding of the byte order mark, else in the given one.
fn strictly<'b>(bytes: &'b [u8], otherwise: &'static Encoding) -> Option<Cow<'b, str>> {
    let (encoding, mark) = Encoding::for_bom(bytes).unwrap_or((otherwise, 0));
    encoding.decode_without_bom_handling_and_without_replacement(&bytes[mark..])
}

/// The encoding that an XML declaration names, if it is known.
fn declared_by_xml(bytes: &[u8]) -> Option<&'static Encoding> {
    let start = &bytes[..bytes.len().min(XML_DECLARATION)];
    let start: String = start.iter().copied().take_while(u8::is_ascii).map(char::from).collect();
    // Only ASCII was read here, so a declared encoding such as UTF-16 contradicts itself and is
    // ignored.
    let encoding = Encoding::for_label(label(declaration(&start)?)?.as_bytes())?;
    encoding.is_ascii_compatible().then_some(encoding)
}

/// The text between `<?xml` and `?>`.
fn declaration(text: &str) -> Option<&str> {
    Some(text.trim_start().strip_prefix("<?xml")?.split_once("?>")?.0)
}

/// The name of the encoding in a declaration.
fn label(declaration: &str) -> Option<&str> {
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
    Some(value[1..].split_once(quote)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_read_in_the_encoding_that_it_names() {
        for (bytes, encoding, text) in [
            (&b"R\xe9par\xe9"[..], Some("ISO-8859-1"), "Réparé"),
            (b"\x83\x65", Some("Shift_JIS"), "テ"),
            ("Réparé".as_bytes(), None, "Réparé"),
            ("Réparé".as_bytes(), Some("no-such-encoding"), "Réparé"),
            (b"\xff", None, "\u{fffd}"),
        ] {
            assert_eq!(decoded(bytes, encoding), text, "{encoding:?}");
        }
    }

    #[test]
    fn json_is_read_behind_a_mark_and_in_the_encoding_that_it_names() {
        let utf_16: Vec<_> = "\u{feff}{\"a\": \"ü\"}".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [&b"{\"a\": \"\xc3\xbc\"}"[..], b"\xef\xbb\xbf{\"a\": \"\xc3\xbc\"}\n", &utf_16] {
            assert_eq!(json::<serde_json::Value>(bytes).unwrap()["a"], "ü", "{bytes:?}");
        }
        assert!(json::<serde_json::Value>(b"\xff\x00").is_err());
        assert_eq!((unmarked("\u{feff}{}"), unmarked("{}")), ("{}", "{}"));
    }

    #[test]
    fn a_mark_counts_more_than_what_is_declared() {
        let utf_16: Vec<_> = "<?xml encoding='UTF-16'?>ü".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = [&[0xff, 0xfe], &utf_16[..]].concat();
        assert_eq!(of_xml(&marked).unwrap(), "<?xml encoding='UTF-8'?>ü");
        let latin = b"<?xml version=\"1.0\" encoding = \"ISO-8859-1\"?><a>\xfc</a>";
        assert!(of_xml(latin).unwrap().ends_with("<a>ü</a>"));
        assert_eq!(of_file(latin), None);
        assert_eq!(of_file(b"\xef\xbb\xbf{}").unwrap(), "{}");
        assert_eq!(of_xml("<?xml encoding='UTF-16'?>ü".as_bytes()).unwrap(), "<?xml encoding='UTF-8'?>ü");
        for odd in ["<?xml encoding?>", "<?xml encoding=x?>", "<?xml encoding='", "<?xml"] {
            assert_eq!(of_xml(odd.as_bytes()).unwrap(), odd);
        }
    }
}
