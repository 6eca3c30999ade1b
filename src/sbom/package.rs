//! A dependency of a component.

use super::document::{Bom, nested};

/// A digest, by CycloneDX's name of its algorithm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash {
    /// `SHA-256`, `SHA-512`, …
    pub algorithm: &'static str,
    /// In hexadecimal.
    pub content: String,
}

/// A library, a module, a provider or a chart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Package {
    /// As its ecosystem names it: `golang.org/x/net`, `@babel/core`.
    pub name: String,
    /// Absent where nothing pins it.
    pub version: Option<String>,
    /// Absent where the ecosystem has no package URLs.
    pub purl: Option<String>,
    pub hashes: Vec<Hash>,
    /// Needed to build or to test alone.
    pub development: bool,
    /// Other properties, by name.
    pub properties: Vec<(String, String)>,
}

impl Hash {
    /// A digest in hexadecimal; `None` where its length is not the algorithm's.
    #[must_use]
    pub fn hexadecimal(algorithm: &'static str, content: &str) -> Option<Self> {
        let length = match algorithm {
            "MD5" => 32,
            "SHA-1" => 40,
            "SHA-256" => 64,
            "SHA-384" => 96,
            "SHA-512" => 128,
            _ => return None,
        };
        let is_hexadecimal = content.len() == length && content.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hexadecimal.then(|| Self { algorithm, content: content.to_ascii_lowercase() })
    }

    /// A digest as subresource integrity writes it: `sha512-<base64>`.
    #[must_use]
    pub fn integrity(text: &str) -> Option<Self> {
        use base64::Engine;
        let (algorithm, encoded) = text.split_whitespace().next()?.split_once('-')?;
        let algorithm = match algorithm {
            "sha1" => "SHA-1",
            "sha256" => "SHA-256",
            "sha384" => "SHA-384",
            "sha512" => "SHA-512",
            _ => return None,
        };
        let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
        let content: String = bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        Self::hexadecimal(algorithm, &content)
    }
}

/// The packages that a document of another tool lists, at any depth.
#[must_use]
pub fn packages_of(bom: &Bom) -> Vec<Package> {
    let listed = bom.components().iter().flat_map(|outer| nested(outer).into_iter().chain([outer]));
    let packages = listed.filter(|component| component["type"] != "file").filter_map(|component| {
        let text = |key: &str| component[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let name = text("name")?;
        let name = text("group").map_or_else(|| name.clone(), |group| format!("{group}/{name}"));
        Some(Package { name, version: text("version"), purl: text("purl"), ..Package::default() })
    });
    distinct(packages.collect())
}

/// The packages sorted, each once.
#[must_use]
pub(super) fn distinct(mut packages: Vec<Package>) -> Vec<Package> {
    packages.sort();
    packages.dedup_by(|later, earlier| {
        let same =
            (&later.name, &later.version, &later.purl) == (&earlier.name, &earlier.version, &earlier.purl);
        if same {
            // A package that one file needs at run time is needed at run time.
            earlier.development &= later.development;
        }
        same
    });
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_of_the_length_of_their_algorithm() {
        assert!(
            Hash::hexadecimal("SHA-256", &"aB".repeat(32)).is_some_and(|hash| hash.content.starts_with("ab"))
        );
        assert_eq!(Hash::hexadecimal("SHA-256", "abc"), None);
        let integrity = Hash::integrity("sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=").unwrap();
        assert_eq!(integrity.content, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(Hash::integrity("sha512-AAAA"), None);
    }
}
