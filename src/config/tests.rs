//! Whole deployment files: the specification's examples, every kind of error, and malicious files.

mod mistakes;
mod schemas;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::deployment::definition::{ApprovalMethod, PromoteBy};
use crate::deployment::{ComponentKind, DeploymentName};

/// Files in memory, in place of a commit's tree.
#[derive(Default)]
struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    fn with(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.0.insert(path.to_owned(), content.into());
        self
    }
}

impl Source for Files {
    fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        match self.0.get(path) {
            Some(content) if content.len() as u64 > limit => {
                Err(SourceError::TooLarge { path: path.to_owned(), limit })
            }
            content => Ok(content.cloned()),
        }
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, SourceError> {
        let names = self.0.keys().filter_map(|path| path.strip_prefix(directory)?.strip_prefix('/'));
        Ok(names.filter(|name| !name.contains('/')).map(str::to_owned).collect())
    }
}

fn name(text: &str) -> DeploymentName {
    text.parse().unwrap()
}

fn parse(text: &str) -> Result<Loaded, Vec<Problem>> {
    parse_deployment("deployments/api.yaml", &name("api"), text)
}

/// The problems, without the file's name.
fn problems(text: &str) -> Vec<String> {
    let problems = match parse(text) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems,
    };
    problems
        .iter()
        .map(|problem| problem.to_string().strip_prefix("deployments/api.yaml:").unwrap().to_owned())
        .collect()
}

/// A correct file with something added to its `deployment` section.
fn with(section: &str) -> String {
    let mut text = "deployment:\n  name: api\n".to_owned();
    if !section.contains("components:") || section.contains("targets:\n    dev: {components") {
        text.push_str("  components: {terraform: {vpc: {}}}\n");
    }
    if !section.contains("targets:") {
        text.push_str("  targets: {dev: {}}\n");
    }
    text + section
}

const WHOLE: &str = r#"
deployment:
  name: api
  description: REST API
  labels: { service: api, team: backend }
  stacks: [platform/vpc, ecs]
  context: { default_target: dev, promote_by: tag }
  vendor: { components: [{ component: ecs, source: "github.com/x/y//z?ref=v1" }] }
  components:
    nixpack:
      api:
        metadata: { labels: {service: api}, depends_on: [terraform/ecr/api] }
        vars:
          source: ./services/api
          install_cmd: npm ci
          build_cmd: npm run build
          start_cmd: npm start
          pkgs: [ffmpeg]
          apt_pkgs: [curl]
          image: { registry: registry.example.com, name: api, tag: "{{ git.sha }}" }
        settings:
          nixpack: { publish: true, dockerfile_escape: false, sbom: {require: true, formats: [cyclonedx-json, spdx-json]} }
    terraform:
      ecr/api: { vars: { name: api } }
      ecs/service-api:
        component: ecs-service
        metadata: { labels: {service: api}, depends_on: [nixpack/api] }
        vars: { cluster_name: app-ecs }
        settings:
          terraform: { timeout: 30m, lock_timeout: 90s, retries: 2 }
          health: { ecs: { cluster: app-ecs, service: api }, timeout: 2m, required: false }
    helmfile:
      ingress: { settings: { helmfile: { environment: eu, selectors: [app=web] } } }
    command:
      worker:
        vars: { queue: jobs }
        settings:
          command:
            plan:  [./deploy.sh, --dry-run]
            apply: [./deploy.sh]
            working_directory: services/worker
            timeout: 1h30m
  targets:
    dev:     { labels: {environment: dev}, context: {cpu: 256} }
    staging: { promotion: {from: dev}, context: {cpu: 512} }
    prod:
      promotion: { from: staging, requires_approval: true, approval_method: manual }
      context: { cpu: 2048 }
      components: { nixpack/api: {vars: {replicas: 8}} }
"#;

#[test]
fn every_key_of_the_file_arrives_in_the_domain() {
    let Loaded { deployment, warnings, .. } = parse(WHOLE).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(deployment.stack_paths().collect::<Vec<_>>(), ["platform/vpc", "ecs"]);
    let ecs = &deployment.stacks[1];
    assert_eq!((ecs.file.as_str(), ecs.line, ecs.column), ("deployments/api.yaml", 6, 26));
    assert_eq!(deployment.context.default_target.as_ref().unwrap().as_str(), "dev");
    assert_eq!(deployment.context.promote_by, PromoteBy::Tag);
    let vendored = &deployment.vendor.as_ref().unwrap().components[0];
    assert_eq!(
        (vendored.components.as_slice(), vendored.source.as_str()),
        (&["ecs".to_owned()][..], "github.com/x/y//z?ref=v1")
    );
    assert_eq!(vendored.at, "deployments/api.yaml:8:26");
    let names: Vec<String> =
        deployment.components.iter().map(crate::deployment::Component::qualified_name).collect();
    assert_eq!(
        names,
        [
            "nixpack/api",
            "terraform/ecr/api",
            "terraform/ecs/service-api",
            "helmfile/ingress",
            "command/worker"
        ]
    );
    let [image, _, service, ingress, worker] = deployment.components.as_slice() else { panic!() };
    assert_eq!(image.depends_on[0].as_str(), "ecr/api");
    assert_eq!(image.vars["image"]["tag"], "{{ git.sha }}");
    let nixpack = image.settings.nixpack.as_ref().unwrap();
    assert!(nixpack.publish && nixpack.sbom_required && !nixpack.dockerfile_escape);
    assert_eq!(nixpack.sbom_formats, ["cyclonedx-json", "spdx-json"]);
    assert_eq!(service.folder(), "ecs-service");
    let limits = service.settings.limits;
    assert_eq!((limits.timeout.unwrap().as_secs(), limits.retries), (1800, 2));
    assert_eq!(service.settings.terraform.lock_timeout.unwrap().as_secs(), 90);
    let health = service.settings.health.as_ref().unwrap();
    assert_eq!(json!(health.probe), json!({"ecs": {"cluster": "app-ecs", "service": "api"}}));
    assert_eq!((health.timeout.as_secs(), health.interval.as_secs(), health.required), (120, 5, false));
    assert_eq!(ingress.settings.helmfile.environment.as_deref(), Some("eu"));
    assert_eq!(ingress.settings.helmfile.selectors, ["app=web"]);
    let command = worker.settings.command.as_ref().unwrap();
    assert_eq!(command.plan.as_ref().unwrap(), &["./deploy.sh", "--dry-run"]);
    assert_eq!(command.working_directory.as_deref(), Some("services/worker"));
    assert_eq!(worker.settings.limits.timeout.unwrap().as_secs(), 5400);
    let prod = &deployment.targets[2];
    let rule = prod.promotion.as_ref().unwrap();
    assert_eq!(rule.sources[0].as_str(), "staging");
    assert!(rule.requires_approval);
    assert_eq!(rule.approval_method, ApprovalMethod::Manual);
    let (component, change) = prod.components.first().unwrap();
    assert_eq!(component.as_str(), "api");
    assert_eq!(change.vars["replicas"], 8);
}

#[test]
fn the_examples_of_the_specification_can_be_loaded() {
    let stacks = r#"
  stacks:
    - "platform/vpc"
    - "platform/eks"
"#;
    let components = r#"
  components:
    nixpack:
      api:
        vars:
          source: "./services/api"  # Auto-builds Go/Node/Python/Rust
        metadata:
          depends_on: ["terraform/ecr/api"]

    terraform:
      ecr/api:
        vars:
          name: "api"
          image_scanning: true
      ecs/service-api:
        vars:
          cluster_name: "app-ecs"
          task_definition: "payment-api"
"#;
    let contexts = r#"
  targets:
    dev:
      labels:
        environment: dev
      context: { cpu: 256, memory: 512, replicas: 1 }
    prod:
      labels:
        environment: prod
      context:
        cpu: 2048
        autoscale:
          enabled: true
          min: 8
          max: 32
        log_level: "warn"
"#;
    let shorthand = r"
  targets:
    dev: { cpu: 256, memory: 512 }
    staging: { cpu: 512, memory: 1024 }
    prod: { cpu: 2048, memory: 4096 }
";
    let entry_points = "
  targets:
    dev:
      # No restrictions - can deploy any commit

    debug:
      # No restrictions - can deploy any commit for debugging
";
    let promotion = "
  targets:
    dev:
      # Entry point

    qa:
      promotion:
        from: dev

    staging:
      promotion:
        allowed_from: [dev, qa]  # Can promote from either dev or qa

    prod:
      promotion:
        from: staging
        requires_approval: true
";
    let no_stacks = r#"
  components:
    terraform:
      ecs/service:
        vars: { cluster: "app" }
"#;
    let shorthand_warnings = |target: &str, line: usize| {
        format!(
            "{line}: warning: `cpu`, `memory` of target `{target}` taken as context (write `context: {{ cpu: … }}`)"
        )
    };
    let no_targets =
        "1:1: warning: the deployment has no targets (add at least `targets: { dev: {} }` to roll it out)";
    for (sections, warnings) in [
        (vec![stacks, components, contexts], vec![]),
        (
            vec![stacks, components, shorthand],
            vec![
                shorthand_warnings("dev", 27).replace("27:", "27:12:"),
                shorthand_warnings("staging", 28).replace("28:", "28:16:"),
                shorthand_warnings("prod", 29).replace("29:", "29:13:"),
            ],
        ),
        (vec![entry_points], vec!["1:1: warning: the deployment has no components".to_owned()]),
        (vec![promotion], vec!["1:1: warning: the deployment has no components".to_owned()]),
        (vec![no_stacks], vec![no_targets.to_owned()]),
        (vec![stacks, no_stacks], vec![no_targets.to_owned()]),
    ] {
        let text = format!("deployment:\n  name: api\n{}", sections.concat());
        assert!(parse(&text).is_ok(), "{text}\n{:?}", problems(&text));
        assert_eq!(problems(&text), warnings, "{text}");
    }
}

#[test]
fn shorthand_is_context_and_values_are_what_json_makes_of_them() {
    let text = with(
        "  targets:\n    dev: {cpu: 256, context: {when: 2025-01-22, sha: 12e4567, ratio: 0.5, big: 9007199254740993}}\n",
    );
    let deployment = parse(&text).unwrap().deployment;
    let context = serde_json::Value::Object(deployment.targets[0].context.clone());
    assert_eq!(
        context,
        json!({"when": "2025-01-22", "sha": "12e4567", "ratio": 0.5, "big": 9_007_199_254_740_993_u64, "cpu": 256})
    );
}

#[test]
fn components_keep_the_order_of_the_file() {
    let text = with("  components:\n    terraform: {z: {}, a: {}}\n    nixpack: {m: }\n");
    let deployment = parse(&text).unwrap().deployment;
    let kinds: Vec<_> = deployment.components.iter().map(|c| (c.kind, c.name.as_str())).collect();
    assert_eq!(
        kinds,
        [(ComponentKind::Terraform, "z"), (ComponentKind::Terraform, "a"), (ComponentKind::Nixpack, "m")]
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let text = "deployment:\n  name: web\n  lables: {}\n  components:\n    terraform:\n      vpc: {metadata: {depends_on: [vcp]}}\n  \
                targets:\n    dev: {promotoin: {}}\n    prod: {promotion: {from: stagin}}\n    staging:\n";
    assert_eq!(
        problems(text),
        [
            "2:9: error: the deployment is called `web`, but its file `api` (write `name: api`, or rename the file to `web.yaml`)",
            "3:3: error: unknown key `lables` (did you mean `labels`?)",
            "6:37: error: the component `vcp` does not exist (did you mean `vpc`?)",
            "8:11: error: unknown key `promotoin` (did you mean `promotion`?)",
            "9:30: error: target `prod` is promoted from `stagin`, which does not exist (did you mean `staging`?)",
        ]
    );
}

#[test]
fn a_file_that_is_no_deployment_says_what_is_missing() {
    for (text, expected) in [
        ("", &["1:1: error: the file has no `deployment`"][..]),
        ("deployment:\n", &["1:1: error: `deployment` has no `name`"]),
        ("- a\n", &["1:1: error: the file must be a mapping, but this is a list"]),
        (
            "name: api\ntargets: {dev: {}}\n",
            &[
                "1:1: error: unknown key `name` (known keys: `deployment`)",
                "1:1: error: the file has no `deployment`",
                "2:1: error: unknown key `targets` (known keys: `deployment`)",
            ],
        ),
    ] {
        let errors: Vec<String> = problems(text).into_iter().filter(|p| !p.contains("warning")).collect();
        assert_eq!(errors, expected, "{text}");
    }
}

#[test]
fn deployments_are_listed_loaded_and_looked_up() {
    let file = |name: &str| {
        format!("deployment: {{name: {name}, components: {{terraform: {{vpc: }}}}, targets: {{dev: }}}}")
    };
    let source = Files::default()
        .with("deployments/api.yaml", file("api"))
        .with("deployments/web.yml", format!("\u{feff}{}", file("web")))
        .with("deployments/web.yaml", file("web"))
        .with("deployments/broken.yaml", "deployment: [")
        .with("deployments/latin.yaml", b"a: 1\nb: \xe4".as_slice())
        .with("deployments/Bad Name.yaml", file("x"))
        .with("deployments/.hidden.yaml", "")
        .with("deployments/README.md", "")
        .with("deployments/nested/deep.yaml", file("deep"));
    let config = AtmosConfig::default();
    let listing = list_deployments(&source, &config).unwrap();
    let names: Vec<&str> = listing.names().map(DeploymentName::as_str).collect();
    assert_eq!(names, ["api", "broken", "latin", "web"]);
    let problems: Vec<String> = listing.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "deployments/Bad Name.yaml:1:1: error: deployment name \"Bad Name\" must start with a lower-case letter or digit and hold only a-z, 0-9, '.', '_' and '-' (rename the file; it is called after its deployment)",
            "deployments/web.yml:1:1: error: deployment `web` has two files (remove this file or `deployments/web.yaml`)",
        ]
    );

    let all = load_all(&source, &config).unwrap();
    assert_eq!(all.problems, listing.problems);
    assert_eq!(all.deployments[&name("api")].as_ref().unwrap().file, "deployments/api.yaml");
    assert!(matches!(&all.deployments[&name("broken")], Err(ConfigError::Invalid(_))));
    let Err(ConfigError::Invalid(problems)) = &all.deployments[&name("latin")] else { panic!() };
    assert_eq!(problems[0].to_string(), "deployments/latin.yaml:2:4: error: the file is not UTF-8");

    assert!(load_deployment(&source, &config, &name("web")).is_ok());
    let Err(ConfigError::NotFound { nearest, available, .. }) =
        load_deployment(&source, &config, &name("apo"))
    else {
        panic!()
    };
    assert_eq!(nearest, Some(name("api")));
    assert_eq!(available, [name("api"), name("broken"), name("latin"), name("web")]);
}

#[test]
fn a_file_too_large_is_refused_unread() {
    let source = Files::default().with("deployments/api.yaml", vec![b'#'; 50 * 1024 * 1024]);
    let Err(ConfigError::Invalid(problems)) = load_deployment(&source, &AtmosConfig::default(), &name("api"))
    else {
        panic!()
    };
    assert_eq!(
        problems[0].to_string(),
        "deployments/api.yaml:1:1: error: the file is larger than 1048576 bytes"
    );
}

proptest! {
    #[test]
    fn no_deployment_file_panics(
        at in 0..WHOLE.len(),
        length in 0..40_usize,
        inserted in "\\PC{0,12}",
    ) {
        let end = (at + length).min(WHOLE.len());
        if let (Some(before), Some(after)) = (WHOLE.get(..at), WHOLE.get(end..)) {
            for problem in parse(&format!("{before}{inserted}{after}")).err().into_iter().flatten() {
                prop_assert!(!problem.render(true).is_empty());
            }
        }
    }
}
