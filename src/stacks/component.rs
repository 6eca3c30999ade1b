//! Assembles a component from its layers: global sections, those of its kind, its bases, its own
//! sections and its overrides.

use std::borrow::Cow;
use std::sync::Arc;

use super::backend::{self, BackendLayers};
use super::error::StackError;
use super::inherit::{self, Bases};
use super::list_merge::ListMergeStrategy;
use super::merge::{merge_all, merge_into};
use super::sections::{nested_section, section};
use super::settings::StackSettings;
use super::stack::Stack;
use super::value::{Map, Value, map_from_json};

/// The kind with state, providers and workspaces.
pub(super) const TERRAFORM: &str = "terraform";

/// The layers of a section that is a map, besides the component and its bases, and the condition
/// under which it is shown.
struct Section {
    name: &'static str,
    /// Whether the top level of the manifest has it too.
    global: bool,
    /// Whether `<kind>.<section>` is a layer.
    of_kind: bool,
    overridable: bool,
    /// The kinds that show it even where it is empty; others show it where a manifest declares it.
    always: fn(&str) -> bool,
}

const SECTIONS: [Section; 16] = [
    Section { name: "vars", global: true, of_kind: true, overridable: true, always: every_kind },
    Section { name: "settings", global: true, of_kind: true, overridable: true, always: every_kind },
    Section { name: "env", global: true, of_kind: true, overridable: true, always: every_kind },
    Section { name: "auth", global: true, of_kind: true, overridable: true, always: every_kind },
    Section { name: "hooks", global: true, of_kind: true, overridable: true, always: has_hooks },
    Section { name: "generate", global: true, of_kind: true, overridable: true, always: is_terraform },
    Section { name: "providers", global: false, of_kind: true, overridable: true, always: is_terraform },
    Section {
        name: "required_providers",
        global: false,
        of_kind: true,
        overridable: true,
        always: is_terraform,
    },
    Section { name: "source", global: false, of_kind: true, overridable: false, always: is_provisioned },
    Section { name: "provision", global: false, of_kind: true, overridable: false, always: is_provisioned },
    Section { name: "dependencies", global: true, of_kind: true, overridable: false, always: no_kind },
    Section { name: "secrets", global: true, of_kind: false, overridable: true, always: no_kind },
    Section { name: "retry", global: false, of_kind: false, overridable: true, always: no_kind },
    Section { name: "locals", global: false, of_kind: false, overridable: false, always: no_kind },
    Section { name: "test", global: false, of_kind: false, overridable: false, always: no_kind },
    Section { name: "mocks", global: false, of_kind: false, overridable: false, always: no_kind },
];

/// Keys of a component that are not merged as sections.
const SPECIAL: [&str; 10] = [
    "component",
    "metadata",
    "overrides",
    "command",
    "inheritance",
    "required_version",
    "backend",
    "backend_type",
    "remote_state_backend",
    "remote_state_backend_type",
];

fn every_kind(_: &str) -> bool {
    true
}

fn no_kind(_: &str) -> bool {
    false
}

fn is_terraform(kind: &str) -> bool {
    kind == TERRAFORM
}

fn has_hooks(kind: &str) -> bool {
    matches!(kind, TERRAFORM | "helmfile" | "helm" | "kubernetes")
}

fn is_provisioned(kind: &str) -> bool {
    matches!(kind, TERRAFORM | "helmfile" | "packer" | "helm" | "kubernetes")
}

/// Assembles a component; `None` where the stack has none of that name. Functions and templates are
/// kept unevaluated.
pub(super) fn assemble(
    settings: &StackSettings,
    stack: &Stack,
    kind: &str,
    name: &str,
) -> Result<Option<Map>, StackError> {
    let file = stack.file();
    let Some(components) = stack.components(kind)? else { return Ok(None) };
    let Some((name, own)) = components.get_key_value(name) else { return Ok(None) };
    let nothing = Map::new();
    let own = inherit::component_content(own, name, file)?.unwrap_or(&nothing);
    let assembly = Assembly {
        settings,
        stack,
        kind,
        name,
        own,
        overrides: section(own, "overrides", file)?.unwrap_or(&nothing),
        bases: inherit::bases(components, name, own, file)?,
    };
    assembly.sections().map(Some)
}

struct Assembly<'s> {
    settings: &'s StackSettings,
    stack: &'s Stack,
    kind: &'s str,
    name: &'s str,
    own: &'s Map,
    overrides: &'s Map,
    bases: Bases<'s>,
}

impl Assembly<'_> {
    fn sections(&self) -> Result<Map, StackError> {
        let inherited = self.inherited_strategy()?;
        let lists = self.final_strategy()?;
        let mut sections = Map::new();
        let mut set = |name: &str, value: Value| drop(sections.insert(Arc::from(name), value));
        for section in &SECTIONS {
            let merged = self.merged(section, inherited, lists)?;
            if !merged.is_empty() || (section.always)(self.kind) {
                set(section.name, Value::map(merged));
            }
        }
        let metadata = self.metadata(inherited, lists)?;
        let folder = self.folder()?;
        set("command", self.command()?);
        set(
            "inheritance",
            Value::List(Arc::new(self.bases.chain.iter().map(|base| Value::text(base)).collect())),
        );
        if self.kind == TERRAFORM {
            let version = self.text_of("required_version", true)?.unwrap_or_else(|| Value::text(""));
            set("required_version", version);
            for (name, value) in self.backends(&metadata, &folder, inherited)? {
                set(name, value);
            }
        } else {
            for (name, value) in self.others(lists) {
                set(&name, value);
            }
        }
        set("metadata", Value::map(metadata));
        set("overrides", Value::map(self.overrides.clone()));
        set("component", Value::text(&folder));
        if self.kind == TERRAFORM && inherit::is_abstract(self.own) {
            forget_workspace(&mut sections);
        }
        Ok(sections)
    }

    /// The list strategy that the component asks for, which its bases are merged with.
    fn inherited_strategy(&self) -> Result<ListMergeStrategy, StackError> {
        let file = self.stack.file();
        let asked = [section(self.own, "settings", file)?, section(self.overrides, "settings", file)?];
        self.strategy(self.settings.list_merge_strategy, asked)
    }

    /// The list strategy of the last step, which wider layers can set as well.
    fn final_strategy(&self) -> Result<ListMergeStrategy, StackError> {
        let file = self.stack.file();
        let content = self.stack.content();
        let wider =
            [section(content, "settings", file)?, nested_section(content, &[self.kind, "settings"], file)?];
        let mut lists = self.strategy(self.settings.list_merge_strategy, wider)?;
        let bases = self.bases.layers.iter().map(|(_, base)| *base);
        for layer in bases.chain([self.own, self.overrides]) {
            lists = self.strategy(lists, [section(layer, "settings", file)?])?;
        }
        Ok(lists)
    }

    fn strategy<'m>(
        &self,
        default: ListMergeStrategy,
        settings: impl IntoIterator<Item = Option<&'m Map>>,
    ) -> Result<ListMergeStrategy, StackError> {
        let mut strategy = default;
        for settings in settings.into_iter().flatten() {
            if let Some(Value::String(text)) = settings.get("list_merge_strategy")
                && !text.is_empty()
            {
                strategy = ListMergeStrategy::parse(text).ok_or_else(|| StackError::Setting {
                    setting: "list_merge_strategy".to_owned(),
                    message: format!(
                        "must be replace, append or merge, but the component {} in {} has \"{text}\"",
                        self.name,
                        self.stack.file()
                    ),
                })?;
            }
        }
        Ok(strategy)
    }

    /// The bases' section, merged in order, each base with its own list strategy.
    fn of_bases(&self, name: &str, inherited: ListMergeStrategy) -> Result<Map, StackError> {
        let mut merged = Map::new();
        for (_, base) in &self.bases.layers {
            if let Some(layer) = self.own_section(base, name)? {
                let lists = self.strategy(inherited, [section(base, "settings", self.stack.file())?])?;
                merge_into(&mut merged, &layer, lists);
            }
        }
        Ok(merged)
    }

    fn merged(
        &self,
        section: &Section,
        inherited: ListMergeStrategy,
        lists: ListMergeStrategy,
    ) -> Result<Map, StackError> {
        let file = self.stack.file();
        let content = self.stack.content();
        let mut merged = Map::new();
        if section.name == "env" {
            let variables = self.settings.env.iter();
            merged.extend(variables.map(|(name, value)| (Arc::from(name.as_str()), value.to_value())));
        }
        if section.name == "settings" && !self.settings.github_integration.is_empty() {
            let github = Value::map(map_from_json(&self.settings.github_integration));
            let integrations = Value::map(Map::from_iter([(Arc::from("github"), github)]));
            merged.insert(Arc::from("integrations"), integrations);
        }
        // The layers above the components are merged by the general list strategy; the component's
        // own strategy applies from its bases on.
        let general = self.settings.list_merge_strategy;
        if section.global
            && let Some(layer) = self::section(content, section.name, file)?
        {
            merge_into(&mut merged, layer, general);
        }
        if section.of_kind
            && let Some(layer) = nested_section(content, &[self.kind, section.name], file)?
        {
            merge_into(&mut merged, layer, general);
        }
        let is_source = matches!(section.name, "source" | "provision");
        if !is_source || self.settings.inherit.source {
            merge_into(&mut merged, &self.of_bases(section.name, inherited)?, lists);
        }
        if let Some(layer) = self.own_section(self.own, section.name)? {
            merge_into(&mut merged, &layer, lists);
        }
        if section.overridable
            && let Some(layer) = self.own_section(self.overrides, section.name)?
        {
            merge_into(&mut merged, &layer, lists);
        }
        Ok(merged)
    }

    fn metadata(&self, inherited: ListMergeStrategy, lists: ListMergeStrategy) -> Result<Map, StackError> {
        let mut metadata =
            section(self.stack.content(), "metadata", self.stack.file())?.cloned().unwrap_or_default();
        if self.settings.inherit.metadata {
            let mut of_bases = self.of_bases("metadata", inherited)?;
            for own_affair in ["inherits", "type"] {
                of_bases.shift_remove(own_affair);
            }
            merge_into(&mut metadata, &of_bases, lists);
        }
        if let Some(own) = section(self.own, "metadata", self.stack.file())? {
            merge_into(&mut metadata, own, lists);
        }
        Ok(metadata)
    }

    /// The folder of the component's code: its own `metadata.component`,
    /// else `component:`, else its name.
    fn folder(&self) -> Result<String, StackError> {
        let metadata = section(self.own, "metadata", self.stack.file())?;
        let own = metadata.and_then(|metadata| metadata.get("component")).and_then(Value::as_str);
        Ok(own.or(self.bases.folder).unwrap_or(self.name).to_owned())
    }

    fn command(&self) -> Result<Value, StackError> {
        if let Some(command) = self.text_of("command", true)? {
            return Ok(command);
        }
        let configured = self.settings.kinds.get(self.kind).and_then(|kind| kind.command.as_deref());
        Ok(Value::text(configured.unwrap_or(self.kind)))
    }

    /// A section that is a text: the last layer that sets it wins.
    fn text_of(&self, name: &str, overridable: bool) -> Result<Option<Value>, StackError> {
        let of_kind = section(self.stack.content(), self.kind, self.stack.file())?;
        let overrides = overridable.then_some(self.overrides);
        let bases = self.bases.layers.iter().map(|(_, base)| *base);
        let layers = of_kind.into_iter().chain(bases).chain([self.own]).chain(overrides);
        let mut found = None;
        for layer in layers {
            match layer.get(name) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) if text.is_empty() => {}
                Some(value @ (Value::String(_) | Value::Call(_))) => found = Some(value.clone()),
                Some(other) => {
                    return Err(StackError::Section {
                        file: self.stack.file().to_owned(),
                        section: format!("{}.{name}", self.name),
                        expected: "a text",
                        found: other.kind(),
                    });
                }
            }
        }
        Ok(found)
    }

    fn backends(
        &self,
        metadata: &Map,
        folder: &str,
        inherited: ListMergeStrategy,
    ) -> Result<[(&'static str, Value); 4], StackError> {
        let nothing = Map::new();
        let file = self.stack.file();
        let of_kind = |name| {
            Ok::<_, StackError>(
                nested_section(self.stack.content(), &[TERRAFORM, name], file)?.unwrap_or(&nothing),
            )
        };
        let own = |name| Ok::<_, StackError>(section(self.own, name, file)?.unwrap_or(&nothing));
        let of_bases = self.of_bases("backend", inherited)?;
        let remote_of_bases = self.of_bases("remote_state_backend", inherited)?;
        backend::backends(&BackendLayers {
            file,
            component: self.name,
            // The state location is derived from `metadata.name`, else from the code's folder.
            state_name: metadata
                .get("name")
                .and_then(Value::as_str)
                .filter(|name| !name.is_empty())
                .unwrap_or(folder),
            separator: &self.settings.workspace_prefix_separator,
            backend_type: self.text_of("backend_type", false)?,
            backend: [of_kind("backend")?, &of_bases, own("backend")?],
            remote_type: self.text_of("remote_state_backend_type", false)?,
            remote: [of_kind("remote_state_backend")?, &remote_of_bases, own("remote_state_backend")?],
            // The reference implementation merges backends by the general strategy, not by the
            // component's own.
            lists: self.settings.list_merge_strategy,
        })
    }

    /// The keys of a component of another kind besides the common sections, merged and unchanged.
    fn others(&self, lists: ListMergeStrategy) -> Map {
        let is_other =
            |key: &str| !SPECIAL.contains(&key) && SECTIONS.iter().all(|section| section.name != key);
        let layers = self.bases.layers.iter().map(|(_, base)| *base).chain([self.own]);
        let layers: Vec<Map> = layers
            .map(|layer| {
                let others = layer.iter().filter(|(key, _)| is_other(key));
                others.map(|(key, value)| (Arc::clone(key), value.clone())).collect()
            })
            .collect();
        merge_all(&layers, lists)
    }

    /// A section of the component or of one of its bases; a `source` that is a text is its `uri`.
    fn own_section<'m>(&self, content: &'m Map, name: &str) -> Result<Option<Cow<'m, Map>>, StackError> {
        match content.get(name) {
            Some(uri @ Value::String(_)) if name == "source" => {
                Ok(Some(Cow::Owned(Map::from([(Arc::from("uri"), uri.clone())]))))
            }
            _ => Ok(section(content, name, self.stack.file())?.map(Cow::Borrowed)),
        }
    }
}

/// Removes `settings.spacelift.workspace_enabled`, which does not apply to components that cannot
/// be deployed.
fn forget_workspace(sections: &mut Map) {
    if let Some(Value::Map(settings)) = sections.get_mut("settings")
        && let Some(Value::Map(spacelift)) = Arc::make_mut(settings).get_mut("spacelift")
    {
        Arc::make_mut(spacelift).shift_remove("workspace_enabled");
    }
}
