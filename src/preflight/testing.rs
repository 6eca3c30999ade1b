//! A test fixture: a shop whose deployment, files and environment tests change one at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::{Facts, Finding, Moment};
use crate::component::Environment;
use crate::config::{AtmosConfig, Severity, parse_deployment};
use crate::deployment::definition::Values;
use crate::deployment::fixtures::target_name;
use crate::deployment::stack_layer::{StackLayer, StackLayers, StackRefusal, StackRequest};
use crate::deployment::{CommitId, Component, ComponentKind, ComponentName};
use crate::project::WorkTree;
use crate::render::document::validate::Check;

const DEPLOYMENT: &str = "\
deployment:
  name: shop
  components:
    nixpack:
      web: { vars: { source: services/web, image: { registry: 'r.example.com', name: shop/web } } }
    terraform:
      net: {}
      app: { component: service, metadata: { depends_on: [net] }, vars: { vpc: '{{ outputs.net.id }}' } }
    helmfile:
      chart: {}
    command:
      first: { settings: { command: { apply: [./run.sh] } } }
      api:
        metadata: { depends_on: [first] }
        vars: { home: plain }
        settings: { command: { apply: [./run.sh] } }
  targets:
    dev: { context: { cpu: 256 } }
    prod: { context: { cpu: 512 } }
";

const FILES: &[(&str, &str)] = &[
    ("run.sh", "#!/bin/sh\n"),
    ("notes.txt", "notes\n"),
    ("services/web/index.js", "1\n"),
    ("components/terraform/net/main.tf", "output \"id\" {\n  value = 1\n}\n"),
    ("components/terraform/service/main.tf", "variable \"vpc\" {}\n"),
    ("components/helmfile/chart/helmfile.yaml", ""),
];

/// The parts of the shop that a test can change.
pub(super) struct Shop {
    pub text: String,
    pub files: BTreeMap<String, String>,
    pub moment: Moment,
    pub layer: Option<StackLayer>,
    pub config: Box<AtmosConfig>,
    pub environment: Environment,
    pub template_environment: BTreeMap<String, String>,
    pub command_line: Values,
    pub branch: Option<&'static str>,
    pub target: &'static str,
    /// The components of the rollout; empty: all of them.
    pub together: Vec<&'static str>,
    /// The components of the rollout that are deployed at an older commit.
    pub of_another_commit: Vec<&'static str>,
    pub to_build: Vec<&'static str>,
}

/// Returns the same stack layer for every component.
struct OneLayer<'l>(&'l Option<StackLayer>);

impl StackLayers for OneLayer<'_> {
    fn layer(&self, request: &StackRequest<'_>) -> Result<Option<StackLayer>, StackRefusal> {
        let folder = || request.component.folder().to_owned();
        Ok(self.0.clone().map(|layer| StackLayer { folder: folder(), ..layer }))
    }
}

impl Shop {
    pub(super) fn new() -> Self {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        Self {
            text: DEPLOYMENT.to_owned(),
            files: FILES.iter().map(owned).collect(),
            moment: Moment::Rollout,
            layer: None,
            config: Box::default(),
            environment: Environment::default(),
            template_environment: BTreeMap::new(),
            command_line: Values::new(),
            branch: Some("main"),
            target: "dev",
            together: Vec::new(),
            of_another_commit: Vec::new(),
            to_build: vec!["web"],
        }
    }

    /// The shop with one text of its deployment replaced.
    pub(super) fn with(from: &str, to: &str) -> Self {
        let shop = Self::new();
        assert!(shop.text.contains(from), "{from:?} is not in the deployment");
        Self { text: shop.text.replacen(from, to, 1), ..shop }
    }

    /// This shop with another text of its deployment replaced.
    pub(super) fn with_text(self, from: &str, to: &str) -> Self {
        Self { text: self.text.replacen(from, to, 1), ..self }
    }

    /// A copy of the deployment and the files, with the default environment.
    pub(super) fn copy(&self) -> Self {
        Self { text: self.text.clone(), files: self.files.clone(), ..Self::new() }
    }

    pub(super) fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.to_owned(), text.to_owned());
        self
    }

    pub(super) fn at(self, moment: Moment) -> Self {
        Self { moment, ..self }
    }

    pub(super) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.set(name, value);
        self
    }

    pub(super) fn context(mut self, name: &str, value: &str) -> Self {
        self.command_line.insert(name.to_owned(), json!(value));
        self
    }

    /// The problems of all components.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in &self.files {
            let file = folder.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, text).unwrap();
            let is_script = file.extension().is_some_and(|extension| extension == "sh");
            let mode = if is_script { 0o755 } else { 0o644 };
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        }
        let tree = WorkTree::new(folder.path(), None);
        let loaded = parse_deployment("deployments/shop.yaml", &"shop".parse().unwrap(), &self.text);
        let deployment = loaded.unwrap().deployment;
        let names = |chosen: &[&str]| -> BTreeSet<ComponentName> {
            chosen.iter().map(|name| name.parse().unwrap()).collect()
        };
        let all = || deployment.components.iter().map(|component| component.name.clone()).collect();
        let together = if self.together.is_empty() { all() } else { names(&self.together) };
        let of_commit = &together - &names(&self.of_another_commit);
        let built = deployment.components.iter().filter(|built| built.kind == ComponentKind::Nixpack);
        let images = built.map(|built| (built.name.to_string(), "r/i@sha256:1".to_owned())).collect();
        let commit: CommitId = "1".repeat(40).parse().unwrap();
        let facts = Facts {
            moment: self.moment,
            config: &self.config,
            deployment: &deployment,
            target: &deployment.targets[&target_name(self.target)],
            commit: &commit,
            branch: self.branch,
            stacks: &OneLayer(&self.layer),
            tree: &tree,
            command_line: &|_: &Component| self.command_line.clone(),
            environment: &self.environment,
            template_environment: &self.template_environment,
            images: &images,
            together: &together,
            of_commit: &of_commit,
            to_build: &names(&self.to_build),
        };
        let mut found = Vec::new();
        let components = deployment.components.iter();
        facts.check(components.filter(|component| of_commit.contains(&component.name)), &mut found).unwrap();
        found
    }

    /// The findings of these checks, one per line: severity, position, message, hint.
    pub(super) fn told(&self, checks: &[Check]) -> Vec<String> {
        let found = self.findings().into_iter().filter(|finding| checks.contains(&finding.check));
        found
            .map(|Finding { remark, .. }| {
                let severity = if remark.severity == Severity::Error { "error" } else { "warning" };
                let keys = remark.keys[1..].join(".");
                let hint = remark.hint.map(|hint| format!(" [{hint}]")).unwrap_or_default();
                format!("{severity} at {keys}: {}{hint}", remark.message)
            })
            .collect()
    }
}
