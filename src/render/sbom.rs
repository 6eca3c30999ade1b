//! `sbom` as text.

use super::attach::vulnerabilities;
use super::document::sbom::{SbomDiff, SbomSummary, ScanCoverage};
use super::escape::escape;
use super::style::{BAD, DETAIL, GOOD, WARN};
use super::table::Table;
use super::{Form, Presentation, count, styled};
use crate::deployment::CommitId;
use crate::deployment::count::plural;
use crate::sbom::{Summary, VersionChange};

/// The maximum number of named dependencies in a summary.
const NAMED: usize = 10;

/// The summary (`cli-integration.md`, "atmos deployment sbom").
#[must_use]
pub fn summary(summary: &SbomSummary, _: &Presentation) -> String {
    let mut text = summary.deployment.to_string();
    if let Some(target) = &summary.target {
        push!(text, " → {target}");
    }
    text.push_str(" SBOM\n\n");
    let commits: Vec<_> = summary.commits.iter().map(CommitId::short).collect();
    push!(text, "Commit: {}\n", commits.join(", "));
    let generated = summary.generated_at.as_deref().map_or_else(|| "unknown".to_owned(), exact);
    push!(text, "Generated: {generated}\nFormat: {}\n\n", escape(&summary.format));
    push!(text, "Components: {}\n", summary.components.len());
    let width = summary.components.iter().map(|component| component.component.chars().count()).max();
    for component in &summary.components {
        let name = escape(&component.component);
        let kind = form(component.kind.as_deref(), &component.form);
        let read = component.read_from.as_ref().map(|read| format!(", read from {}", escape(read)));
        push!(text, "  {name:<width$}  ({kind}{})\n", read.unwrap_or_default(), width = width.unwrap_or(0));
    }
    if !summary.without_sbom.is_empty() {
        let names: Vec<_> = summary.without_sbom.iter().map(AsRef::as_ref).collect();
        let line = format!("Without an SBOM: {}", names.join(", "));
        push!(text, "  {}\n", styled(&escape(&line), WARN));
    }
    push!(text, "\nDependencies: {} total\n", summary.dependencies.len());
    let named = &summary.dependencies[..summary.dependencies.len().min(NAMED)];
    let width = named.iter().map(|dependency| dependency.name.chars().count()).max();
    for dependency in named {
        let version = escape(dependency.version.as_deref().unwrap_or("-"));
        push!(text, "  {:<width$}  {version}\n", escape(&dependency.name), width = width.unwrap_or(0));
    }
    if summary.dependencies.len() > NAMED {
        push!(text, "  … {} more\n", summary.dependencies.len() - NAMED);
    }
    let found = summary.vulnerabilities.as_ref();
    let mut found = found.map_or_else(|| "unknown (no scan is attached)".to_owned(), vulnerabilities);
    if let Some(ScanCoverage { images, scanned, unscanned }) = &summary.scan_coverage {
        let all = scanned.len() + unscanned.len();
        let what = if *images { count(all, "image") } else { count(all, "component") };
        push!(found, " ({} of {what} scanned)", scanned.len());
    }
    push!(text, "\nVulnerabilities: {found}\n\nFull SBOM: {}\n", size(summary.size));
    text
}

/// `2025-01-22T10:25:00Z` as `2025-01-22 10:25:00`.
fn exact(time: &str) -> String {
    let parsed: Result<jiff::Timestamp, _> = time.parse();
    parsed.map_or_else(|_| escape(time).into_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// The usual name for a component of this kind.
fn form<'t>(kind: Option<&'t str>, form: &'t str) -> &'t str {
    match (kind, form) {
        (Some("nixpack"), _) | (_, "container") => "docker image",
        (Some(kind), _) => kind,
        (None, form) => form,
    }
}

/// The dependencies of every component: as a tree, or as rows in a pipe (`definitions.md`, "SBOM").
#[must_use]
pub fn tree(summary: &Summary, presentation: &Presentation) -> String {
    if presentation.form == Form::Pipe {
        let mut table = Table::new(["Component", "Type", "Dependency", "Version", "Package URL"]);
        for component in &summary.components {
            let kind = form(component.kind.as_deref(), &component.form);
            for dependency in &component.dependencies {
                table.row([
                    component.name.as_str().into(),
                    kind.into(),
                    dependency.name.as_str().into(),
                    dependency.version.as_deref().unwrap_or("-").into(),
                    dependency.purl.as_deref().unwrap_or("-").into(),
                ]);
            }
            if component.dependencies.is_empty() {
                table.row([component.name.as_str().into(), kind.into(), "-".into(), "-".into(), "-".into()]);
            }
        }
        return table.render(presentation.form);
    }
    let mut text = format!("Components: {}\n", summary.components.len());
    for component in &summary.components {
        let kind = form(component.kind.as_deref(), &component.form);
        push!(text, "  {} {}\n", escape(&component.name), styled(&format!("({})", escape(kind)), DETAIL));
        let last = component.dependencies.len().saturating_sub(1);
        for (at, dependency) in component.dependencies.iter().enumerate() {
            let branch = if at == last { "└──" } else { "├──" };
            let version = escape(dependency.version.as_deref().unwrap_or("-"));
            push!(text, "  {branch} {} {version}\n", escape(&dependency.name));
        }
    }
    text
}

/// The changes of dependencies by a promotion.
#[must_use]
pub fn diff(diff: &SbomDiff, presentation: &Presentation) -> String {
    let changes = || {
        let components = diff.comparison.components.iter();
        components.flat_map(|component| component.dependencies.iter().map(move |change| (component, change)))
    };
    if presentation.form == Form::Pipe {
        let mut table = Table::new(["Component", "Dependency", "From", "To"]);
        for (component, change) in changes() {
            table.row([
                component.component.as_str().into(),
                change.name.as_str().into(),
                versions(&change.from).into(),
                versions(&change.to).into(),
            ]);
        }
        return table.render(presentation.form);
    }
    let mut text = format!("{}: dependencies, {} vs {}\n", diff.deployment, diff.from, diff.to);
    if diff.comparison.components.is_empty() {
        text.push_str("\n  No differences\n");
        return text;
    }
    for component in &diff.comparison.components {
        push!(text, "\n  {}\n", escape(&component.component));
        if component.from != component.to {
            let short = |digest: &Option<String>| {
                digest.as_deref().map_or_else(|| "-".to_owned(), |digest| digest.chars().take(19).collect())
            };
            push!(text, "    image {} → {}\n", short(&component.from), short(&component.to));
        }
        for change in &component.dependencies {
            push!(text, "    {}\n", line(change));
        }
    }
    let (added, removed, altered) = diff.comparison.counts();
    push!(
        text,
        "\n  {}: {added} added, {removed} removed, {altered} changed\n",
        plural(added + removed + altered, "dependency", "dependencies")
    );
    text
}

fn line(change: &VersionChange) -> String {
    let name = escape(&change.name);
    match (change.from.is_empty(), change.to.is_empty()) {
        (true, _) => format!("{} {name} {}", styled("+", GOOD), escape(&versions(&change.to))),
        (_, true) => format!("{} {name} {}", styled("-", BAD), escape(&versions(&change.from))),
        _ => format!(
            "{} {name} {} → {}",
            styled("~", WARN),
            escape(&versions(&change.from)),
            escape(&versions(&change.to))
        ),
    }
}

fn versions(versions: &[String]) -> String {
    if versions.is_empty() { "-".to_owned() } else { versions.join(", ") }
}

/// `234 KB`: the size of a file.
#[must_use]
pub fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => count(bytes, "byte"),
        1_000..1_000_000 => format!("{} KB", bytes / 1_000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
    }
}
