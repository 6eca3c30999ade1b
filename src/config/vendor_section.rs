//! The `vendor` section of a deployment file, as written.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

/// Where components come from whose code is not in the commit.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Vendor")]
pub struct VendorFileSection {
    /// Sources of components. They take precedence over those of manifests and over folders of the commit.
    pub components: Option<Vec<VendorFileEntry>>,
    /// A file with more sources, from the root of the repository.
    pub manifest: Option<String>,
    /// Whether folders that the commit lacks come from the repository's `vendor.yaml` and from `component.yaml` (default: true).
    pub auto_discover: Option<bool>,
}

/// The source of components.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "VendorEntry")]
pub struct VendorFileEntry {
    /// A git repository, with the folder after `//` and a tag, branch or commit as `?ref=`; or a folder of this repository.
    #[schemars(required)]
    pub source: Option<String>,
    /// The version: a tag with or without `v`, or a range such as `~> 1.2`.
    pub version: Option<String>,
    /// The component, by name or folder.
    pub component: Option<String>,
    /// The components, by name or folder; without both, the component that is called like the last folder of the source.
    pub targets: Option<Vec<String>>,
    /// Only for targets with these labels, each with its possible values. `environment` is the target's name where it has no such
    /// label.
    pub labels: Option<IndexMap<String, Vec<String>>>,
    /// Only these files, by globs.
    pub included_paths: Option<Vec<String>>,
    /// Not these files, by globs.
    pub excluded_paths: Option<Vec<String>>,
}
