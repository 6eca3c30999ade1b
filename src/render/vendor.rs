//! `vendor` as text.

use super::document::vendor::{VendorCacheStats, VendorCleaning, VendorStatus, VendoredState};
use super::style::GOOD;
use super::table::Table;
use super::{Form, Presentation, count, styled};

/// The digits of a digest in tables.
const DIGITS: usize = 12;

/// The sources of components.
#[must_use]
pub fn status(status: &VendorStatus, presentation: &Presentation) -> String {
    if status.sources.is_empty() && presentation.form == Form::Terminal {
        return format!(
            "{} vendors nothing: the code of its components is in the commit.\n",
            status.deployment
        );
    }
    let mut table = Table::new(["Target", "Folder", "Source", "Version", "Resolved", "Digest", "State"]);
    for source in &status.sources {
        let state = match source.state {
            VendoredState::Cached => "cached",
            VendoredState::Fetched => "fetched",
            VendoredState::Missing => "missing",
        };
        table.row([
            source.target.as_str().into(),
            source.folder.as_str().into(),
            source.source.as_str().into(),
            source.version.as_deref().unwrap_or("-").into(),
            source.resolved.as_deref().unwrap_or("-").into(),
            source.digest.as_deref().map_or("-", short).into(),
            state.into(),
        ]);
    }
    presentation.title(&format!("Vendored ({})", status.sources.len())) + &table.render(presentation.form)
}

/// The content of the cache.
#[must_use]
pub fn stats(stats: &VendorCacheStats, presentation: &Presentation) -> String {
    let mut table = Table::new(["Digest", "Size", "Files", "Last used", "Sources"]);
    for object in &stats.objects {
        let sources = match object.sources.as_slice() {
            [] => "-".to_owned(),
            [one] => one.clone(),
            [first, others @ ..] => format!("{first} and {} more", others.len()),
        };
        table.row([
            short(&object.digest).into(),
            size(object.bytes).into(),
            object.files.to_string().into(),
            presentation.clock.relative_and_exact(object.last_used).into(),
            sources.into(),
        ]);
    }
    let title = format!(
        "{}: {} in {}, of {}",
        stats.folder,
        size(stats.bytes),
        count(stats.objects.len(), "folder"),
        count(stats.versions, "version")
    );
    presentation.title(&title) + &table.render(presentation.form)
}

/// The removed content.
#[must_use]
pub fn cleaning(cleaning: &VendorCleaning, _: &Presentation) -> String {
    let verb = if cleaning.dry_run { "Would remove" } else { "Removed" };
    let mut text = String::new();
    for digest in &cleaning.removed {
        push!(text, "  {digest}\n");
    }
    let removed = count(cleaning.removed.len(), "folder");
    push!(text, "{} {verb} {removed}, {}\n", styled("✓", GOOD), size(cleaning.bytes));
    if cleaning.left_behind > 0 {
        let left = count(cleaning.left_behind, "unfinished pull");
        push!(text, "{} {verb} what {left} left behind\n", styled("✓", GOOD));
    }
    text
}

fn short(digest: &str) -> &str {
    let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
    digits.get(..DIGITS).unwrap_or(digits)
}

/// A size for people.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 3] = ["KiB", "MiB", "GiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut unit = 0;
    let mut tenths = bytes * 10 / 1024;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_their_unit() {
        for (bytes, told) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (1_610_612_736, "1.5 GiB")]
        {
            assert_eq!(size(bytes), told);
        }
    }
}
