//! The footprint of components: their own folders, and those of the Terraform modules that they
//! call.

use std::collections::BTreeSet;

use crate::component::local_modules;
use crate::config::AtmosConfig;
use crate::deployment::footprint::Footprint;
use crate::deployment::image_binding::bound_to;
use crate::deployment::stack_layer::StackLayer;
use crate::deployment::{Component, ComponentKind, Deployment};
use crate::git::CommitTree;
use crate::git::objects::{EntryKind, ObjectError};

/// The files that a component depends on: its own, and those of images that it is bound to or
/// needs.
pub fn footprint(
    tree: &CommitTree,
    config: &AtmosConfig,
    deployment: &Deployment,
    component: &Component,
    stack: Option<&StackLayer>,
) -> Result<Footprint, ObjectError> {
    let name = stack.map_or(component.folder(), |stack| stack.folder.as_str());
    let folder = format!("{}/{name}", config.components_directory(component.kind));
    let mut footprint = Footprint::of(component, &folder);
    if component.kind == ComponentKind::Terraform {
        footprint = footprint.and(modules(tree, &folder)?);
    }
    let needed = component.depends_on.iter().filter_map(|name| deployment.component(name));
    let needed = needed.filter(|needed| needed.kind == ComponentKind::Nixpack);
    for image in needed.chain(bound_to(deployment, component)) {
        footprint = footprint.and(Footprint::of(image, ""));
    }
    Ok(footprint)
}

/// The folders of the repository's own modules that a root module calls, directly or indirectly.
fn modules(tree: &CommitTree, root: &str) -> Result<Footprint, ObjectError> {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    let mut all = Footprint::below("", [root]);
    while let Some(folder) = open.pop() {
        for (name, kind) in tree.list_directory(&folder)?.into_iter().flatten() {
            if kind != EntryKind::File {
                continue;
            }
            let content = tree.read_file(&format!("{folder}/{name}"))?.unwrap_or_default();
            let Some(called) = local_modules(&name, &String::from_utf8_lossy(&content)) else {
                return Ok(Footprint::WholeRepository);
            };
            let Footprint::Paths(called) = Footprint::below(&folder, called.iter().map(String::as_str))
            else {
                return Ok(Footprint::WholeRepository);
            };
            open.extend(called.iter().filter(|path| seen.insert((*path).clone())).cloned());
            all = all.and(Footprint::Paths(called));
        }
    }
    Ok(all)
}
