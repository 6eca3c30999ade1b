//! `overrides`: a file's changes to the components that it or its imports define.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::StackError;
use super::list_merge::ListMergeStrategy;
use super::merge::merge_all;
use super::sections::{nested_section, section};
use super::value::{Map, Value};
use crate::deployment::ComponentKind;

/// Overrides by kind of component; a kind without any is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Overrides(BTreeMap<&'static str, Map>);

impl Overrides {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A file's own `overrides` and `<kind>.overrides`, under those of the files that import it.
    pub(super) fn of_file(
        content: &Map,
        importers: &Self,
        file: &str,
        lists: ListMergeStrategy,
    ) -> Result<Self, StackError> {
        let nothing = Map::new();
        let everything = section(content, "overrides", file)?.unwrap_or(&nothing);
        let mut overrides = BTreeMap::new();
        for kind in ComponentKind::ALL.map(ComponentKind::as_str) {
            let own = nested_section(content, &[kind, "overrides"], file)?.unwrap_or(&nothing);
            let merged = merge_all([everything, own, importers.of_kind(kind).unwrap_or(&nothing)], lists);
            if !merged.is_empty() {
                overrides.insert(kind, merged);
            }
        }
        Ok(Self(overrides))
    }

    /// Layers of overrides, the later ones winning.
    pub(super) fn merged(layers: &[&Self], lists: ListMergeStrategy) -> Self {
        let mut merged = BTreeMap::new();
        for kind in ComponentKind::ALL.map(ComponentKind::as_str) {
            let overrides = merge_all(layers.iter().filter_map(|layer| layer.of_kind(kind)), lists);
            if !overrides.is_empty() {
                merged.insert(kind, overrides);
            }
        }
        Self(merged)
    }

    fn of_kind(&self, kind: &str) -> Option<&Map> {
        self.0.get(kind)
    }

    /// Sets the overrides of every component that a file defines, replacing the component's own.
    pub(super) fn apply(&self, content: &mut Map) {
        let Some(Value::Map(components)) = content.get_mut("components") else { return };
        for (kind, overrides) in &self.0 {
            let Some(Value::Map(of_kind)) = Arc::make_mut(components).get_mut(*kind) else { continue };
            for component in Arc::make_mut(of_kind).values_mut() {
                if let Value::Map(component) = component {
                    let overrides = Value::map(overrides.clone());
                    Arc::make_mut(component).insert(Arc::from("overrides"), overrides);
                }
            }
        }
    }
}
