//! The order of components that their stacks demand, beside that of the deployment's own file.

use std::collections::BTreeSet;

use super::definition::Deployment;
use super::names::{ComponentName, TargetName};
use super::resolution::{Resolution, Resolved};
use super::stack_layer::StackLayers;

/// The deployment with the dependencies that its stacks declare for a target.
///
/// A dependency that contradicts the others is left out here and refused as an unsupported key; so
/// is a component whose stacks cannot be resolved.
#[must_use]
pub fn in_stack_order(
    mut deployment: Deployment,
    target: &TargetName,
    stacks: &dyn StackLayers,
) -> Deployment {
    let Some(on) = deployment.targets.get(target).filter(|_| deployment.has_stacks()) else {
        return deployment;
    };
    let mut demanded = Vec::new();
    for component in &deployment.components {
        let resolution = Resolution::as_declared(&deployment, component, on, stacks);
        let Ok(Resolved { stack: Some(layer), .. }) = resolution.resolve() else { continue };
        demanded.extend(layer.comes_after.into_iter().map(|need| (component.name.clone(), need)));
    }
    for (name, need) in demanded {
        if comes_after(&deployment, &need, &name) || comes_after(&deployment, &name, &need) {
            continue;
        }
        let component = deployment.components.iter_mut().find(|component| component.name == name);
        if let Some(component) = component {
            component.depends_on.push(need);
        }
    }
    deployment
}

/// Whether a component waits for another one, directly or through others.
#[must_use]
pub fn comes_after(deployment: &Deployment, component: &ComponentName, other: &ComponentName) -> bool {
    let mut open = vec![component];
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        let needs = || deployment.component(name).into_iter().flat_map(|component| &component.depends_on);
        if needs().any(|need| need == other) {
            return true;
        }
        if seen.insert(name) {
            open.extend(needs());
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::definition::StackImport;
    use super::super::fixtures::{component_name, deployment, target_name};
    use super::super::stack_layer::{StackLayer, StackRefusal, StackRequest};
    use super::*;

    /// Stacks in which `api` comes after `net` and `cache`, and `net` after `api`.
    struct Ordered;

    impl StackLayers for Ordered {
        fn layer(&self, request: &StackRequest<'_>) -> Result<Option<StackLayer>, StackRefusal> {
            let needs: &[&str] = match request.component.name.as_str() {
                "api" => &["net", "cache"],
                "net" => &["api"],
                _ => &[],
            };
            let comes_after = needs.iter().map(|name| component_name(name)).collect();
            Ok(Some(StackLayer { comes_after, ..StackLayer::default() }))
        }
    }

    #[test]
    fn what_stacks_demand_is_added_unless_it_contradicts_what_is_there() {
        let dev = target_name("dev");
        let mut deployment = deployment(&["api", "cache", "net", "other"], &[("dev", &[])]);
        deployment.components[0].depends_on = vec![component_name("cache")];
        // Without stacks nothing is asked.
        assert_eq!(in_stack_order(deployment.clone(), &dev, &Ordered), deployment);
        let file = "deployments/d.yaml".to_owned();
        deployment.stacks.push(StackImport { path: "s".to_owned(), file, line: 1, column: 1 });
        let ordered = in_stack_order(deployment.clone(), &dev, &Ordered);
        let needs: Vec<Vec<&str>> = ordered
            .components
            .iter()
            .map(|component| component.depends_on.iter().map(ComponentName::as_str).collect())
            .collect();
        assert_eq!(needs, [vec!["cache", "net"], vec![], vec![], vec![]]);
        assert_eq!(in_stack_order(deployment.clone(), &target_name("prod"), &Ordered), deployment);
    }

    #[test]
    fn a_component_comes_after_all_that_it_waits_for() {
        let mut deployment = deployment(&["a", "b", "c"], &[("dev", &[])]);
        deployment.components[0].depends_on = vec![component_name("b")];
        deployment.components[1].depends_on = vec![component_name("c")];
        let [a, b, c] = ["a", "b", "c"].map(component_name);
        assert!(comes_after(&deployment, &a, &b) && comes_after(&deployment, &a, &c));
        assert!(!comes_after(&deployment, &c, &a) && !comes_after(&deployment, &a, &a));
    }
}
