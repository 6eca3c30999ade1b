//! A manifest with everything that it imports.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::overrides::Overrides;
use super::value::Map;

/// A manifest merged with its imports.
#[derive(Debug)]
pub(super) struct Imported {
    pub(super) merged: Arc<Map>,
    /// The content of the file itself.
    pub(super) own: Arc<Map>,
    /// The content of each file that it imports, directly or not, by manifest name.
    pub(super) imports: BTreeMap<Arc<str>, Arc<Map>>,
    pub(super) overrides_inline: Overrides,
    pub(super) overrides_from_imports: Overrides,
    /// Whether an import's path depends on earlier imports.
    pub(super) has_templated_paths: bool,
}
