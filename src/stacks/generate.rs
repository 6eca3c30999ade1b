//! Generates terraform's input files: variables, backend, providers and required versions.

use serde_json::{Map as JsonMap, Value as Json, json};

use super::describe::StackComponent;
use super::name;

/// The file that configures the backend.
pub const BACKEND_FILE: &str = "backend.tf.json";
/// The file that configures the providers.
pub const PROVIDERS_FILE: &str = "providers_override.tf.json";
/// The file with the required versions of terraform and of providers.
pub const REQUIREMENTS_FILE: &str = "terraform_override.tf.json";

impl StackComponent {
    /// A section that is a map; empty where the component has none.
    fn section(&self, name: &str) -> JsonMap<String, Json> {
        self.sections.get(name).and_then(Json::as_object).cloned().unwrap_or_default()
    }

    /// The component's variables.
    #[must_use]
    pub fn variables(&self) -> JsonMap<String, Json> {
        self.section("vars")
    }

    /// The folder of the component's code under its kind's directory.
    #[must_use]
    pub fn folder(&self) -> &str {
        self.base.as_deref().unwrap_or(&self.name)
    }

    /// The name of the file of variables: `<stack>-<component>.terraform.tfvars.json`.
    #[must_use]
    pub fn variables_file(&self) -> String {
        name::variables_file(&self.stack, &self.name, self.base.as_deref())
    }

    /// The content of [`BACKEND_FILE`]; `None` where the component has no backend.
    #[must_use]
    pub fn backend_file(&self) -> Option<Json> {
        let backend_type = self.sections.get("backend_type")?.as_str().filter(|name| !name.is_empty())?;
        let backend = Json::Object(self.section("backend"));
        Some(if backend_type == "cloud" {
            let workspace = self.workspace.as_deref().unwrap_or_default();
            json!({"terraform": {"cloud": with_workspace(backend, workspace)}})
        } else {
            json!({"terraform": {"backend": {backend_type: backend}}})
        })
    }

    /// The content of [`PROVIDERS_FILE`]; `None` where the component sets no providers.
    ///
    /// `aws.west` is an alias of `aws`: the providers of one name become a list, in which each
    /// alias is named by its `alias`, or by its key where it has none.
    #[must_use]
    pub fn providers_file(&self) -> Option<Json> {
        let providers = self.section("providers");
        if providers.is_empty() {
            return None;
        }
        let mut by_name: JsonMap<String, Json> = JsonMap::new();
        for name in providers.keys() {
            let base = name.split_once('.').map_or(name.as_str(), |(base, _)| base);
            if by_name.contains_key(base) {
                continue;
            }
            let mut aliases: Vec<&String> =
                providers.keys().filter(|other| is_alias_of(other, base)).collect();
            aliases.sort_unstable();
            let value = match (providers.get(base), aliases.as_slice()) {
                (Some(provider), []) => provider.clone(),
                (provider, aliases) => {
                    let aliases = aliases.iter().filter_map(|key| aliased(providers.get(*key)?, key, base));
                    provider.cloned().into_iter().chain(aliases).collect()
                }
            };
            by_name.insert(base.to_owned(), value);
        }
        Some(json!({"provider": by_name}))
    }

    /// The content of [`REQUIREMENTS_FILE`]; `None` where the component requires no versions.
    #[must_use]
    pub fn requirements_file(&self) -> Option<Json> {
        let mut requirements = JsonMap::new();
        let version = self.sections.get("required_version").and_then(Json::as_str);
        if let Some(version) = version.filter(|version| !version.is_empty()) {
            requirements.insert("required_version".to_owned(), json!(version));
        }
        let providers = self.section("required_providers");
        if !providers.is_empty() {
            requirements.insert("required_providers".to_owned(), Json::Object(providers));
        }
        (!requirements.is_empty()).then(|| json!({"terraform": requirements}))
    }
}

fn is_alias_of(name: &str, base: &str) -> bool {
    name.strip_prefix(base).is_some_and(|rest| rest.starts_with('.'))
}

/// Returns the provider with its alias set.
fn aliased(provider: &Json, key: &str, base: &str) -> Option<Json> {
    let mut provider = provider.clone();
    if let Json::Object(settings) = &mut provider {
        let name = key.strip_prefix(base)?.strip_prefix('.')?;
        settings.entry("alias").or_insert_with(|| json!(name));
    }
    Some(provider)
}

/// Replaces `{terraform_workspace}`.
fn with_workspace(value: Json, workspace: &str) -> Json {
    match value {
        Json::String(text) => Json::String(text.replace("{terraform_workspace}", workspace)),
        Json::Array(items) => items.into_iter().map(|item| with_workspace(item, workspace)).collect(),
        Json::Object(map) => {
            map.into_iter().map(|(key, value)| (key, with_workspace(value, workspace))).collect()
        }
        other => other,
    }
}
