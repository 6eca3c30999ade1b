//! The binding of images to the components that use them, and to their variables.
//!
//! By labels first, then by name; a template (`{{ nixpack.api.image }}`) names an image directly.
//! The deployment's own variables always take precedence.

use std::collections::BTreeMap;

use serde_json::Value;

use super::definition::{Component, Deployment, Labels, Values};
use super::names::ComponentKind;

/// The variable for the only image that a component uses.
const IMAGE: &str = "image";
/// The variable for several images, by the names of the components that build them.
const IMAGES: &str = "images";

/// The variables of a component for the images that it uses: `image` for one, `images` by component
/// for several. Components that build images get none.
#[must_use]
pub fn image_variables(
    deployment: &Deployment,
    component: &Component,
    images: &BTreeMap<String, String>,
) -> Values {
    let bound: Values = bound_to(deployment, component)
        .into_iter()
        .filter_map(|built| images.get_key_value(built.name.as_str()))
        .map(|(name, image)| (name.clone(), Value::from(image.as_str())))
        .collect();
    match bound.len() {
        0 => Values::new(),
        1 => bound.into_iter().map(|(_, image)| (IMAGE.to_owned(), image)).collect(),
        _ => [(IMAGES.to_owned(), Value::Object(bound))].into_iter().collect(),
    }
}

/// The components whose images a component uses.
#[must_use]
pub fn bound_to<'d>(deployment: &'d Deployment, component: &Component) -> Vec<&'d Component> {
    if component.kind == ComponentKind::Nixpack {
        return Vec::new();
    }
    let built = || deployment.components.iter().filter(|built| built.kind == ComponentKind::Nixpack);
    let common = |built: &Component| labels_in_common(&component.labels, &built.labels);
    // The best match: one that shares only the team's label loses to one that shares the service's
    // too.
    let closest = built().filter_map(common).max();
    let by_labels: Vec<_> = built().filter(|built| closest.is_some() && common(built) == closest).collect();
    if by_labels.is_empty() {
        built().filter(|built| is_named(component, built)).collect()
    } else {
        by_labels
    }
}

/// The number of labels that two components share; `None` if they share none or if one label has
/// different values.
fn labels_in_common(left: &Labels, right: &Labels) -> Option<usize> {
    let shared: Vec<_> = left.iter().filter_map(|(name, value)| Some((value, right.get(name)?))).collect();
    (!shared.is_empty() && shared.iter().all(|(left, right)| left == right)).then_some(shared.len())
}

/// Whether a component names an image: by the name of its container, or by the last part of its own
/// name.
fn is_named(component: &Component, built: &Component) -> bool {
    let text = |values: &Values, section: &str| {
        values.get(section).and_then(|section| section.get("name")).and_then(Value::as_str).map(str::to_owned)
    };
    let own = component.name.as_str().rsplit('/').next().unwrap_or_default();
    let name = text(&component.vars, "container").unwrap_or_else(|| own.to_owned());
    name == built.name.as_str() || text(&built.vars, "image").is_some_and(|image| image == name)
}

/// An image by its tag, `registry/name:tag`, from the resolved variables of the component that
/// builds it; `None` where these name no tag.
///
/// Without its own registry, the image is in the default one.
#[must_use]
pub fn tagged_image(component: &Component, vars: &Values, default_registry: Option<&str>) -> Option<String> {
    let image = vars.get("image")?;
    let text = |key: &str| image.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let name = text("name").unwrap_or(component.name.as_str());
    let tag = text("tag")?;
    Some(match text("registry").or(default_registry) {
        Some(registry) => format!("{}/{name}:{tag}", registry.trim_end_matches('/')),
        None => format!("{name}:{tag}"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixtures::deployment;
    use super::*;

    /// `api` and `worker` are built; the last component uses the images bound to it.
    fn bound(labels: [&[(&str, &str)]; 3], consumer: &str, vars: &Value) -> Value {
        let mut deployment = deployment(&["api", "worker", "consumer"], &[]);
        for (component, labels) in deployment.components.iter_mut().zip(labels) {
            component.labels =
                labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        }
        deployment.components[1].vars =
            json!({"image": {"name": "jobs/worker"}}).as_object().unwrap().clone();
        let component = &mut deployment.components[2];
        component.kind = ComponentKind::Terraform;
        component.name = consumer.parse().unwrap();
        component.vars = vars.as_object().unwrap().clone();
        let images =
            ["api", "worker"].map(|name| (name.to_owned(), format!("r.example.com/{name}@sha256:aa")));
        image_variables(&deployment, &deployment.components[2], &images.into()).into()
    }

    #[test]
    fn labels_bind_first_and_the_closest_match_wins() {
        let api = json!({"image": "r.example.com/api@sha256:aa"});
        let (service, team) = (("service", "api"), ("team", "backend"));
        let worker: &[(&str, &str)] = &[("service", "worker"), team];
        let built: &[(&str, &str)] = &[service, team, ("tier", "web")];
        assert_eq!(bound([built, worker, &[service]], "ecs/taskdef", &json!({})), api);
        assert_eq!(bound([built, worker, &[service, team]], "ecs/worker", &json!({})), api);
        assert_eq!(
            bound([built, worker, &[team]], "ecs/taskdef", &json!({})),
            json!({"images": {"api": "r.example.com/api@sha256:aa", "worker": "r.example.com/worker@sha256:aa"}})
        );
        let other: &[(&str, &str)] = &[("service", "mail"), team];
        assert_eq!(bound([built, worker, other], "ecs/taskdef", &json!({})), json!({}));
    }

    #[test]
    fn without_labels_in_common_the_name_binds() {
        let none: [&[(&str, &str)]; 3] = [&[("a", "1")], &[], &[("b", "1")]];
        let api = json!({"image": "r.example.com/api@sha256:aa"});
        let worker = json!({"image": "r.example.com/worker@sha256:aa"});
        assert_eq!(bound(none, "ecs/api", &json!({})), api);
        assert_eq!(bound(none, "ecs/service", &json!({"container": {"name": "api"}})), api);
        assert_eq!(bound(none, "ecs/api", &json!({"container": {"name": "jobs/worker"}})), worker);
        assert_eq!(bound(none, "ecs/service", &json!({})), json!({}));
    }

    #[test]
    fn a_component_that_builds_an_image_uses_none() {
        let deployment = deployment(&["api", "worker"], &[]);
        let images = [("api".to_owned(), "r.example.com/api@sha256:aa".to_owned())].into();
        assert_eq!(image_variables(&deployment, &deployment.components[0], &images), Values::new());
    }

    #[test]
    fn a_tag_needs_nothing_but_the_tag() {
        let deployment = deployment(&["api"], &[]);
        let tagged = |image: Value| {
            tagged_image(&deployment.components[0], json!({ "image": image }).as_object().unwrap(), None)
        };
        let whole = tagged(json!({"registry": "r.example.com:5000/", "name": "team/api", "tag": "v1"}));
        assert_eq!(whole.as_deref(), Some("r.example.com:5000/team/api:v1"));
        assert_eq!(tagged(json!({"tag": "v1"})).as_deref(), Some("api:v1"));
        assert_eq!(tagged(json!({"registry": "r.example.com", "tag": ""})), None);
    }
}
