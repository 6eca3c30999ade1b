//! Vendoring as a deployment declares it: components whose code comes from elsewhere.

use indexmap::IndexMap;

use super::names::{ComponentKind, ComponentName, TargetName};

/// The label that falls back to the target's name.
const ENVIRONMENT: &str = "environment";

/// The `vendor` section of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorSection {
    pub components: Vec<VendorEntry>,
    /// The path of a manifest with more entries, from the root of the repository.
    pub manifest: Option<String>,
    /// Whether the repository's `vendor.yaml` and the components' `component.yaml` provide folders
    /// that the commit lacks.
    pub auto_discover: bool,
}

impl Default for VendorSection {
    fn default() -> Self {
        Self { components: Vec::new(), manifest: None, auto_discover: true }
    }
}

/// One source, and the components that it is the code of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VendorEntry {
    /// As written, with its templates.
    pub source: String,
    /// An exact version or a range.
    pub version: Option<String>,
    /// Components by name, or their folders.
    pub components: Vec<String>,
    /// The targets that the entry applies to, by their labels; all of them where empty.
    pub labels: IndexMap<String, Vec<String>>,
    pub included_paths: Vec<String>,
    pub excluded_paths: Vec<String>,
    /// The position of the entry: file, line and column as far as they are known.
    pub at: String,
}

impl VendorEntry {
    /// Whether the entry applies to a target with these labels. `environment` is the target's name
    /// where it has no such label.
    #[must_use]
    pub fn applies_to(&self, target: &TargetName, labels: &IndexMap<String, String>) -> bool {
        self.labels.iter().all(|(label, values)| {
            let own = labels.get(label).map(String::as_str);
            let own = own.or_else(|| (label == ENVIRONMENT).then(|| target.as_str()));
            own.is_some_and(|own| values.iter().any(|value| value == own))
        })
    }

    /// Whether the entry names a component: by its name, with or without the kind, or by its
    /// folder, which is given below the base path of its kind and from the root of the repository.
    #[must_use]
    pub fn names(&self, kind: ComponentKind, name: &ComponentName, below: &str, from_root: &str) -> bool {
        let is_it = |written: &String| {
            let written = written.trim_start_matches("./").trim_end_matches('/');
            written == name.as_str()
                || written == format!("{kind}/{name}")
                || written == below
                || written == format!("{kind}/{below}")
                || written == from_root
        };
        self.components.iter().any(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{component_name, target_name};
    use super::*;

    fn entry(labels: &[(&str, &[&str])]) -> VendorEntry {
        let values = |values: &[&str]| values.iter().map(ToString::to_string).collect();
        let labels = labels.iter().map(|(label, own)| ((*label).to_owned(), values(own))).collect();
        VendorEntry { labels, ..VendorEntry::default() }
    }

    #[test]
    fn labels_choose_targets_and_the_environment_is_their_name() {
        let (dev, mut labels) = (target_name("dev"), IndexMap::new());
        assert!(entry(&[]).applies_to(&dev, &labels));
        assert!(entry(&[("environment", &["qa", "dev"])]).applies_to(&dev, &labels));
        assert!(!entry(&[("environment", &["prod"])]).applies_to(&dev, &labels));
        assert!(!entry(&[("region", &["dev"])]).applies_to(&dev, &labels));
        labels.insert("environment".to_owned(), "test".to_owned());
        assert!(!entry(&[("environment", &["dev"])]).applies_to(&dev, &labels));
        assert!(entry(&[("environment", &["test"])]).applies_to(&dev, &labels));
    }

    #[test]
    fn a_component_is_named_by_name_or_by_folder() {
        let names = |written: &str| {
            let entry = VendorEntry { components: vec![written.to_owned()], ..VendorEntry::default() };
            entry.names(ComponentKind::Terraform, &component_name("service"), "ecs", "infra/terraform/ecs")
        };
        for written in ["service", "terraform/service", "ecs", "terraform/ecs", "./infra/terraform/ecs/"] {
            assert!(names(written), "{written}");
        }
        for written in ["helmfile/ecs", "terraform", "ec", "components/terraform/ecs"] {
            assert!(!names(written), "{written}");
        }
    }
}
