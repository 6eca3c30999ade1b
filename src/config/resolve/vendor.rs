//! The `vendor` section.

use super::Places;
use crate::config::vendor_section::{VendorFileEntry, VendorFileSection};
use crate::deployment::vendoring::{VendorEntry, VendorSection};

/// Converts the section. Sources are read when a component needs them; the positions serve the
/// error messages.
pub(super) fn resolve(section: VendorFileSection, file: &str, places: Places<'_>) -> VendorSection {
    let entries = section.components.unwrap_or_default().into_iter().enumerate();
    let entry = |(index, written): (usize, VendorFileEntry)| {
        let span = places.item(&["vendor", "components"], index);
        entry(written, format!("{file}:{}:{}", span.line, span.column))
    };
    VendorSection {
        components: entries.map(entry).collect(),
        manifest: section.manifest,
        auto_discover: section.auto_discover.unwrap_or(true),
    }
}

fn entry(written: VendorFileEntry, at: String) -> VendorEntry {
    // The check of the schema reports a missing source.
    let source = written.source.unwrap_or_default();
    let mut components = written.targets.unwrap_or_default();
    components.extend(written.component);
    if components.is_empty() {
        components.push(last_folder(&source).to_owned());
    }
    VendorEntry {
        source,
        version: written.version,
        components,
        labels: written.labels.unwrap_or_default(),
        included_paths: written.included_paths.unwrap_or_default(),
        excluded_paths: written.excluded_paths.unwrap_or_default(),
        at,
    }
}

/// The last folder of a source, or the name of its repository.
fn last_folder(source: &str) -> &str {
    let place = source.split('?').next().unwrap_or_default().trim_end_matches('/');
    let last = place.rsplit(['/', ':']).next().unwrap_or_default();
    last.strip_suffix(".git").unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_without_components_is_of_the_one_that_is_called_like_it() {
        for (source, name) in [
            ("github.com/o/r//modules/ecs?ref=v1/2", "ecs"),
            ("github.com/o/vpc.git", "vpc"),
            ("git@h.example:vpc.git", "vpc"),
            ("./modules/vpc/", "vpc"),
        ] {
            assert_eq!(last_folder(source), name, "{source}");
        }
    }
}
