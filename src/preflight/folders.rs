//! Folders and files that components name: modules, releases, sources, programs of the commit.

use std::path::{Path, PathBuf};

use super::{Facts, Subject};
use crate::component::{ModuleError, ModuleInterface, is_module_file};
use crate::config::{Severity, join_path};
use crate::deployment::health::Probe;
use crate::deployment::nearest::nearest;
use crate::deployment::{Component, ComponentKind};
use crate::error::CommandError;
use crate::git::Place;
use crate::render::document::validate::Check;

impl Subject<'_> {
    pub(super) fn check_folders(&mut self) -> Result<(), CommandError> {
        match self.component.kind {
            ComponentKind::Terraform | ComponentKind::Helmfile => self.check_component_folder()?,
            ComponentKind::Command => self.check_command()?,
            ComponentKind::Nixpack => {}
        }
        if let Some(Probe::Command(argv)) =
            self.component.settings.health.as_ref().map(|health| &health.probe)
        {
            self.check_program(argv, "", &["settings", "health", "command"])?;
        }
        Ok(())
    }

    fn check_component_folder(&mut self) -> Result<(), CommandError> {
        let folder =
            self.facts.folder(self.component, self.layer.as_ref().map(|layer| layer.folder.as_str()));
        let keys = if self.component.folder.is_some() { self.keys(&["component"]) } else { self.keys(&[]) };
        if !self.is_folder(&folder, keys.clone())? || self.component.kind != ComponentKind::Terraform {
            return Ok(());
        }
        let is_generated = self.layer.as_ref().is_some_and(|layer| !layer.generated_files.is_empty());
        match self.facts.interface(&folder)? {
            // What the stacks generate is a module too.
            Some(Err(ModuleError::Empty { .. })) if is_generated => {}
            Some(Err(error)) => self.add(Check::Components, Severity::Error, keys, error.to_string(), None),
            Some(Ok(_)) | None => {}
        }
        Ok(())
    }

    fn check_command(&mut self) -> Result<(), CommandError> {
        let Some(settings) = &self.component.settings.command else { return Ok(()) };
        let directory = settings.working_directory.as_deref().unwrap_or("");
        let keys = self.keys(&["settings", "command", "working_directory"]);
        if !directory.is_empty() && !self.is_folder(&join_path([directory]), keys)? {
            return Ok(());
        }
        for (name, argv) in [("plan", settings.plan.as_ref()), ("apply", Some(&settings.apply))] {
            self.check_program(
                argv.map_or(&[][..], Vec::as_slice),
                directory,
                &["settings", "command", name],
            )?;
        }
        Ok(())
    }

    /// A program that is named by a path of the commit.
    fn check_program(
        &mut self,
        argv: &[String],
        directory: &str,
        below: &[&str],
    ) -> Result<(), CommandError> {
        let Some(program) = argv.first() else { return Ok(()) };
        if !program.contains('/') || program.starts_with('/') || program.contains("{{") {
            return Ok(());
        }
        let path = join_path([directory, program.as_str()]);
        if leads_out(&path) {
            return Ok(());
        }
        let (message, hint) = match self.facts.tree.place(&path)? {
            Place::Nothing => (format!("there is no file {path}"), self.facts.neighbour(&path)?),
            Place::Folder => (format!("{path} is a folder, and no program"), None),
            Place::File { executable: false } => (
                format!("{path} is not executable"),
                Some(format!("git update-index --chmod=+x {path}, and commit that")),
            ),
            Place::File { executable: true } | Place::Elsewhere => return Ok(()),
        };
        self.add(Check::Components, Severity::Error, self.keys(below), message, hint);
        Ok(())
    }

    /// Whether there is a folder at a path, or may be; says so where there is none.
    pub(super) fn is_folder(&mut self, path: &str, keys: Vec<String>) -> Result<bool, CommandError> {
        if leads_out(path) {
            return Ok(true);
        }
        let (message, hint) = match self.facts.tree.place(path)? {
            Place::Folder | Place::Elsewhere => return Ok(true),
            Place::Nothing => (format!("there is no folder {path}"), self.facts.neighbour(path)?),
            Place::File { .. } => (format!("{path} is no folder"), None),
        };
        self.add(Check::Components, Severity::Error, keys, message, hint);
        Ok(false)
    }
}

impl Facts<'_> {
    /// The folder of a component's code; `by_stacks` is what its stacks call it.
    pub(super) fn folder(&self, component: &Component, by_stacks: Option<&str>) -> String {
        let base = self.config.components_directory(component.kind);
        join_path([base.as_str(), by_stacks.unwrap_or_else(|| component.folder())])
    }

    /// What the module in a folder takes and gives; `None` where that cannot be known.
    pub(super) fn interface(
        &self,
        folder: &str,
    ) -> Result<Option<Result<ModuleInterface, ModuleError>>, CommandError> {
        if leads_out(folder) || self.tree.place(folder)? != Place::Folder {
            return Ok(None);
        }
        let mut files = Vec::new();
        for name in self.tree.names(folder)?.into_iter().filter(|name| is_module_file(name)) {
            let path = join_path([folder, name.as_str()]);
            if !matches!(self.tree.place(&path)?, Place::File { .. }) {
                return Ok(None);
            }
            let Some(text) = self.tree.text(&path)? else { return Ok(None) };
            files.push((PathBuf::from(path), text));
        }
        Ok(Some(ModuleInterface::parse(Path::new(folder), &files)))
    }

    /// The name beside a path that was probably meant.
    fn neighbour(&self, path: &str) -> Result<Option<String>, CommandError> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let names = self.tree.names(folder)?;
        let near = nearest(name, names.iter().map(String::as_str));
        Ok(near.map(|near| format!("did you mean {}?", join_path([folder, near]))))
    }
}

/// Whether a path is none of the commit, so that nothing is known of it.
fn leads_out(path: &str) -> bool {
    path.starts_with('/') || path == ".." || path.starts_with("../")
}
