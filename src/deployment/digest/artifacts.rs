//! The images in a component's digest.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::definition::{Component, Deployment};
use super::super::image_binding::bound_to;
use super::super::names::ComponentKind;
use super::{UNBUILT, UNPUBLISHED};

/// The name in templates for images.
const IMAGES: &str = "nixpack";

/// The images that a component can use, each by the component that builds it:
/// `registry/name@sha256:…`, [`UNBUILT`] or [`UNPUBLISHED`].
///
/// For a component that builds an image, that is its own; for any other, the images bound to it,
/// and those that a template in `values` names. A command sees every image in its environment: all
/// known ones count too. The other components of the rollout make no difference.
#[must_use]
pub fn artifacts(
    deployment: &Deployment,
    component: &Component,
    values: &[&Value],
    images: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let used: BTreeSet<&str> = if component.kind == ComponentKind::Nixpack {
        [component.name.as_str()].into()
    } else {
        let mut used: BTreeSet<&str> =
            bound_to(deployment, component).into_iter().map(|built| built.name.as_str()).collect();
        let built = || builders(deployment).map(|built| built.name.as_str());
        let mut texts = Vec::new();
        for value in values {
            collect_texts(value, &mut texts);
        }
        for named in texts.into_iter().flat_map(named_images) {
            match named {
                Named::One(name) if built().any(|built| built == name) => {
                    used.extend(built().find(|built| *built == name));
                }
                _ => used.extend(built()),
            }
        }
        if component.kind == ComponentKind::Command {
            used.extend(built().filter(|name| images.contains_key(*name)));
        }
        used
    };
    let built = builders(deployment).filter(|built| used.contains(built.name.as_str()));
    let image = |built: &Component| {
        images.get(built.name.as_str()).cloned().unwrap_or_else(|| {
            let nixpack = built.settings.nixpack.as_ref();
            let published = nixpack.is_none_or(|nixpack| nixpack.publish);
            if published { UNBUILT } else { UNPUBLISHED }.to_owned()
        })
    };
    built.map(|built| (built.name.to_string(), image(built))).collect()
}

fn builders(deployment: &Deployment) -> impl Iterator<Item = &Component> {
    deployment.components.iter().filter(|component| component.kind == ComponentKind::Nixpack)
}

/// A reference in a template.
#[derive(Debug, PartialEq, Eq)]
enum Named<'t> {
    One(&'t str),
    /// All images, or one whose name is known only when the template is rendered.
    Any,
}

/// The images that a template names: `{{ nixpack.api.image }}`, `{{ nixpack.[ecs/api].digest }}`.
fn named_images(text: &str) -> Vec<Named<'_>> {
    if !text.contains("{{") {
        return Vec::new();
    }
    let is_part = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-' | '.' | '/');
    let places = text.match_indices(IMAGES).filter(|(at, _)| !text[..*at].ends_with(is_part));
    places
        .filter_map(|(at, found)| {
            let rest = &text[at + found.len()..];
            let ends = |character: char| !character.is_alphanumeric() && !matches!(character, '_' | '-');
            if let Some(rest) = rest.strip_prefix(".[") {
                return Some(rest.split_once(']').map_or(Named::Any, |(name, _)| Named::One(name)));
            }
            if let Some(rest) = rest.strip_prefix('.') {
                return Some(Named::One(rest.split(ends).next().unwrap_or_default()));
            }
            // Another name with the same prefix is no reference to images.
            (!rest.starts_with(|character: char| !ends(character))).then_some(Named::Any)
        })
        .collect()
}

fn collect_texts<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        Value::Object(values) => values.values().for_each(|value| collect_texts(value, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::definition::NixpackSettings;
    use super::super::super::fixtures::deployment;
    use super::*;

    /// `api`, `worker` and `tool` are built, the last not published; `consumer` uses the images
    /// bound to it.
    fn example(kind: ComponentKind, consumer: &str) -> Deployment {
        let mut deployment = deployment(&["api", "worker", "tool", "consumer"], &[]);
        deployment.components[2].settings.nixpack = Some(NixpackSettings {
            publish: false,
            dockerfile_escape: false,
            sbom_required: false,
            sbom_formats: Vec::new(),
            test: Vec::new(),
        });
        let component = &mut deployment.components[3];
        component.kind = kind;
        component.name = consumer.parse().unwrap();
        deployment
    }

    fn used(kind: ComponentKind, consumer: &str, values: &Value) -> Value {
        let deployment = example(kind, consumer);
        let images = [("api".to_owned(), "r/api@sha256:aa".to_owned())].into();
        json!(artifacts(&deployment, &deployment.components[3], &[values], &images))
    }

    #[test]
    fn an_image_is_given_where_it_is_bound_or_named() {
        use ComponentKind::{Command, Terraform};
        let api = json!({"api": "r/api@sha256:aa"});
        let all = json!({"api": "r/api@sha256:aa", "worker": "unbuilt", "tool": "unpublished"});
        assert_eq!(used(Terraform, "vpc", &json!({"a": "nixpack.api.image"})), json!({}));
        assert_eq!(used(Terraform, "ecs/api", &json!({})), api);
        assert_eq!(used(Terraform, "ecs/worker", &json!({})), json!({"worker": "unbuilt"}));
        assert_eq!(used(Terraform, "vpc", &json!([{"a": "x-{{ nixpack.api.image }}"}])), api);
        let tool = json!({"tool": "unpublished"});
        assert_eq!(used(Terraform, "vpc", &json!({"a": "{{nixpack.[tool].digest}}"})), tool);
        assert_eq!(used(Terraform, "vpc", &json!({"a": "{{#each nixpack}}{{this}}{{/each}}"})), all);
        assert_eq!(used(Terraform, "vpc", &json!({"a": "{{ lookup nixpack context.x }}"})), all);
        assert_eq!(used(Terraform, "vpc", &json!({"a": "{{ nixpack.other.image }}"})), all);
        for other in
            ["{{ context.nixpack.api }}", "{{ my_nixpack }}", "{{ nixpacks.api }}", "{{ context.a }}"]
        {
            assert_eq!(used(Terraform, "vpc", &json!({ "a": other })), json!({}), "{other}");
        }
        assert_eq!(used(Command, "migrate", &json!({})), api, "it finds those that are built");
    }

    #[test]
    fn a_component_that_builds_an_image_has_its_own() {
        let deployment = example(ComponentKind::Command, "consumer");
        let of = |index: usize, images: &BTreeMap<String, String>| {
            json!(artifacts(&deployment, &deployment.components[index], &[], images))
        };
        let images = [("api".to_owned(), "r/api@sha256:aa".to_owned())].into();
        assert_eq!(of(0, &images), json!({"api": "r/api@sha256:aa"}));
        assert_eq!(of(1, &images), json!({"worker": "unbuilt"}));
        assert_eq!(of(2, &images), json!({"tool": "unpublished"}));
    }
}
