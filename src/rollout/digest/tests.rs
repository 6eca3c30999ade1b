//! The digests of a repository's commits: the changes that they depend on, and others.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::*;
use crate::config::{atmos, load_deployment};
use crate::deployment::digest::UNPUBLISHED;
use crate::project::commit_source::CommitSource;

const DEPLOYMENT: &str = r#"
deployment:
  name: shop
  stacks: [base]
  components:
    nixpack:
      web: { vars: { source: ./web } }
      tool: { vars: { source: ./tool }, settings: { nixpack: { publish: false } } }
    terraform:
      web-service:
        vars:
          image: "{{ nixpack.web.image }}"
          branch: "{{ git.branch }}"
          token: "{{ env \"TOKEN\" }}"
          cpu: "{{ context.cpu }}"
          vpc: "{{ outputs.network.id }}"
      network: {}
    helmfile:
      charts: { metadata: { depends_on: [network] } }
    command:
      notify:
        vars: { port: 8080 }
        settings: { command: { apply: [./notify.sh], timeout: 90s } }
  targets:
    dev: { context: { cpu: 256 } }
    prod: { context: { cpu: 256 }, promotion: { from: dev } }
"#;

const STACK: &str = r#"
import: [shared]
terraform:
  vars:
    secret: !env SECRET
    port: '{{ env "PORT" }}'
    root: !repo-root
    vpc: !terraform.output network id
  env: { AWS_PROFILE: !env PROFILE }
  backend_type: s3
  backend: { s3: { bucket: '{{ getenv "BUCKET" }}-state' } }
components:
  terraform:
    web-service:
      vars: { doubled: '{{ mul 2 21 }}' }
"#;

/// A stack that needs the real values, and unsupported functions.
const STUBBORN: &str = r#"
components:
  terraform:
    network:
      vars:
        port: '{{ env "PORT" | atoi | add 1 }}'
        zones: '{{ (env "ZONES" | fromJson).first }}'
        id: '{{ uuidv4 }}'
        at: '{{ now }}'
        token: !store prod/token
        who: !exec whoami
"#;

const LOCK_FILE: &str = "provider \"registry.terraform.io/hashicorp/aws\" {\n  version = \"5.0.0\"\n}\n";

/// A repository with the files below, unless they are changed.
struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Self { folder: tempfile::tempdir().unwrap() };
        fixture.git(&["init", "--quiet", "--initial-branch=main"]);
        fixture.write("atmos.yaml", "");
        fixture.write("deployments/shop.yaml", DEPLOYMENT);
        fixture.write("stacks/base.yaml", STACK);
        fixture.write("stacks/shared.yaml", "vars: { region: eu }\n");
        fixture.write("components/terraform/web-service/main.tf", "variable \"cpu\" {}\n");
        fixture.write("components/terraform/web-service/.terraform.lock.hcl", LOCK_FILE);
        fixture.write("components/terraform/network/main.tf", "variable \"db\" {\n  sensitive = true\n}\n");
        fixture.write("components/helmfile/charts/helmfile.lock", "version: 1\n");
        fixture.write("components/helmfile/charts/redis/Chart.lock", "digest: x\n");
        fixture
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=A", "-c", "user.email=a@example.com"])
            .args(arguments)
            .current_dir(self.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_DATE", "2025-01-22T12:00:00Z")
            .env("GIT_COMMITTER_DATE", "2025-01-22T12:00:00Z")
            .env_remove("GIT_DIR")
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits everything and prepares the request of that commit's digests on `dev`.
    fn asked(&self) -> Asked {
        self.git(&["add", "--all", "--force"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "x"]);
        Asked {
            path: self.path().to_owned(),
            commit: self.git(&["rev-parse", "HEAD"]).parse().unwrap(),
            target: "dev",
            action: DigestAction::Commit,
            only: Vec::new(),
            images: [("web".to_owned(), "r/web@sha256:aa".to_owned())].into(),
            overrides: ContextOverrides::default(),
            config: String::new(),
            environment: Vec::new(),
            promotion: String::new(),
        }
    }

    fn digests(&self) -> Digests {
        self.asked().digests()
    }
}

/// A request of digests, with the repository of its commit.
#[derive(Clone)]
struct Asked {
    path: std::path::PathBuf,
    commit: CommitId,
    target: &'static str,
    action: DigestAction,
    /// All components where empty.
    only: Vec<&'static str>,
    images: BTreeMap<String, String>,
    overrides: ContextOverrides,
    /// `atmos.yaml`.
    config: String,
    environment: Vec<(&'static str, &'static str)>,
    promotion: String,
}

impl Asked {
    fn digests(&self) -> Digests {
        let environment = surroundings()
            .chain(self.environment.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let repository = Repository::discover(&self.path, environment).unwrap();
        let config = atmos::parse("atmos.yaml", &self.config).unwrap();
        let deployment: DeploymentName = "shop".parse().unwrap();
        let source = CommitSource::new(&repository, self.commit.clone()).unwrap();
        let definition = load_deployment(&source, &config, &deployment).unwrap().deployment;
        let names = definition.components.iter().map(|component| component.name.clone());
        let components: Vec<_> = names
            .filter(|name| self.only.is_empty() || self.only.contains(&name.as_str()))
            .map(|name| (name, self.commit.clone()))
            .collect();
        let basis = DigestBasis {
            repository: &repository,
            config: &config,
            deployment: &deployment,
            target: &self.target.parse().unwrap(),
            definitions: &[(self.commit.clone(), definition)].into(),
            components: &components,
            action: &self.action,
            images: &self.images,
            overrides: &self.overrides,
            redacted: &|name| name == "token",
            promotion: &self.promotion,
            vendored: &BTreeMap::new(),
        };
        basis.digests().unwrap()
    }
}

/// The environment without the variables that bind git to another repository.
fn surroundings() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("GIT_"))
}

fn names(names: &[ComponentName]) -> Vec<&str> {
    names.iter().map(ComponentName::as_str).collect()
}

/// The components whose digests differ.
fn changed(one: &Digests, other: &Digests) -> Vec<String> {
    assert!(one.components.keys().eq(other.components.keys()));
    assert_eq!(one.plan == other.plan, one.components == other.components);
    let pairs = one.components.iter().zip(other.components.values());
    pairs
        .filter(|((_, one), other)| one.digest != other.digest)
        .map(|((name, _), _)| name.to_string())
        .collect()
}

const ALL: [&str; 6] = ["charts", "network", "notify", "tool", "web", "web-service"];

#[test]
fn what_a_component_is_given_is_told() {
    let fixture = Fixture::new();
    let digests = fixture.digests();
    assert_eq!(digests.components.keys().map(ComponentName::as_str).collect::<Vec<_>>(), ALL);
    let of = |name: &str| &digests.components[&name.parse().unwrap()];
    let web = json!({"web": "r/web@sha256:aa"});
    assert_eq!(json!(of("web").artifacts), web);
    assert_eq!(json!(of("web-service").artifacts), web);
    assert_eq!(json!(of("notify").artifacts), web);
    assert_eq!(json!(of("tool").artifacts), json!({ "tool": UNPUBLISHED }));
    assert_eq!(json!(of("network").artifacts), json!({}));
    assert_eq!(
        json!(of("web-service").sources),
        json!({"components/terraform/web-service/.terraform.lock.hcl": content_digest(LOCK_FILE.as_bytes())})
    );
    assert_eq!(
        of("charts").sources.keys().collect::<Vec<_>>(),
        ["components/helmfile/charts/helmfile.lock", "components/helmfile/charts/redis/Chart.lock"]
    );
    assert_eq!(of("web-service").stack.as_deref(), Some("shop-dev"));
    assert_eq!(of("web-service").workspace.as_deref(), Some("shop-dev"));
    assert_eq!(of("notify").workspace, None);
    assert_eq!(names(&digests.without_lock_file), ["network"]);
    assert_eq!(names(&digests.unbuilt), [""; 0]);
}

#[test]
fn an_image_that_is_not_built_is_named() {
    let fixture = Fixture::new();
    let asked = fixture.asked();
    let built = asked.digests();
    let unbuilt = Asked { images: BTreeMap::new(), ..asked.clone() }.digests();
    assert_eq!(names(&unbuilt.unbuilt), ["web"]);
    assert_eq!(changed(&built, &unbuilt), ["notify", "web", "web-service"]);
    let only = Asked { images: BTreeMap::new(), only: vec!["network", "tool"], ..asked }.digests();
    assert_eq!(names(&only.unbuilt), [""; 0]);
}

#[test]
fn nothing_of_the_surroundings_changes_a_digest() {
    let fixture = Fixture::new();
    fixture.write("stacks/shared.yaml", STUBBORN);
    let asked = fixture.asked();
    let digests = asked.digests();
    let environment = vec![
        ("TOKEN", "s3cret"),
        ("SECRET", "s3cret"),
        ("PORT", "80"),
        ("ZONES", "{\"first\": \"a\"}"),
        ("PROFILE", "prod"),
        ("BUCKET", "b"),
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_REF_NAME", "main"),
        ("ATMOS_RUN_ID", "github:1/2"),
        ("USER", "ada"),
    ];
    assert_eq!(Asked { environment, ..asked.clone() }.digests(), digests, "with secrets");
    fixture.git(&["checkout", "--quiet", "-b", "other"]);
    fixture.write("stacks/base.yaml", "vars: { not: committed }\n");
    assert_eq!(asked.digests(), digests, "on another branch, with changes");
    fixture.git(&["checkout", "--quiet", "--force", "--detach"]);
    assert_eq!(asked.digests(), digests, "on no branch");
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("deeper/copy");
    fixture.git(&["clone", "--quiet", "--bare", ".", copy.to_str().unwrap()]);
    assert_eq!(Asked { path: copy, ..asked }.digests(), digests, "elsewhere, without a checkout");
}

#[test]
fn the_other_components_of_a_rollout_change_no_digest() {
    let fixture = Fixture::new();
    let asked = fixture.asked();
    let all = asked.digests();
    for name in ALL {
        let alone = Asked { only: vec![name], ..asked.clone() }.digests();
        let name: ComponentName = name.parse().unwrap();
        assert_eq!(alone.components[&name], all.components[&name], "{name}");
        assert_ne!(alone.plan, all.plan, "{name}");
    }
}

#[test]
fn the_request_is_part_of_every_digest() {
    let fixture = Fixture::new();
    let asked = fixture.asked();
    let digests = asked.digests();
    let all_change =
        |other: &Asked, what: &str| assert_eq!(changed(&digests, &other.digests()), ALL, "{what}");
    all_change(&Asked { target: "prod", ..asked.clone() }, "target");
    let action = DigestAction::Promote { from: "dev".parse().unwrap() };
    all_change(&Asked { action, ..asked.clone() }, "promotion");
    all_change(&Asked { promotion: "sha256:aa".to_owned(), ..asked.clone() }, "promotion rules");
    let overridden =
        |key: &str, text: &str| Asked { overrides: [(key, text)].into_iter().collect(), ..asked.clone() };
    all_change(&overridden("cpu", "256"), "an override by the same value");
    assert_eq!(changed(&overridden("cpu", "1.10").digests(), &overridden("cpu", "1.1").digests()), ALL);
    all_change(&Asked { commit: fixture.asked().commit, ..asked.clone() }, "commit");
    let image = [("web".to_owned(), "r/web@sha256:bb".to_owned())].into();
    let rebuilt = Asked { images: image, ..asked.clone() }.digests();
    assert_eq!(changed(&digests, &rebuilt), ["notify", "web", "web-service"]);
}

#[test]
fn sensitive_overrides_are_kept_as_hashes() {
    let fixture = Fixture::new();
    let asked = fixture.asked();
    let overridden =
        |pairs: &[(&str, &str)]| Asked { overrides: pairs.iter().copied().collect(), ..asked.clone() };
    let digests = overridden(&[("db.password", "pa55"), ("token", "pa55"), ("tag", "012")]).digests();
    let of = |name: &str| &digests.components[&name.parse().unwrap()].context_overrides;
    assert_eq!((of("network")["tag"].as_str(), of("notify")["db.password"].as_str()), ("012", "pa55"));
    for hidden in [&of("network")["db.password"], &of("network")["token"], &of("notify")["token"]] {
        assert!(hidden.starts_with("sha256:") && hidden.len() == 71, "{hidden}");
    }
    let other = overridden(&[("db.password", "pa56"), ("token", "pa55"), ("tag", "012")]).digests();
    assert_eq!(changed(&digests, &other), ALL);
}

/// Compares the inputs of one commit's digest with those of another, so that the commit itself is
/// left out.
fn configuration_changes(change: impl Fn(&Fixture)) -> Vec<String> {
    let configurations = |fixture: &Fixture| {
        let asked = fixture.asked();
        let repository = Repository::discover(&asked.path, surroundings()).unwrap();
        let config = fs::read_to_string(fixture.path().join("atmos.yaml")).unwrap();
        let config = atmos::parse("atmos.yaml", &config).unwrap();
        let source = CommitSource::new(&repository, asked.commit.clone()).unwrap();
        let deployment = load_deployment(&source, &config, &"shop".parse().unwrap()).unwrap().deployment;
        let files = CommitFiles::new(&repository, asked.commit.clone()).unwrap();
        let stacks = StacksByReference::new(files, &config);
        let of = |component: &Component| {
            let subject = Subject {
                commit: &asked.commit,
                deployment: &deployment,
                component,
                target: &deployment.targets[0],
            };
            let resolved = subject.resolved(&stacks).unwrap();
            (component.name.to_string(), subject.configuration(&config, &resolved).json)
        };
        deployment.components.iter().map(of).collect::<BTreeMap<_, _>>()
    };
    let fixture = Fixture::new();
    let before = configurations(&fixture);
    change(&fixture);
    let after = configurations(&fixture);
    before.into_iter().filter(|(name, one)| after[name] != *one).map(|(name, _)| name).collect()
}

#[test]
fn a_changed_configuration_is_another_one() {
    let replaced = |file: &'static str, text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        let text = text.replace(from, to);
        configuration_changes(move |fixture| fixture.write(file, &text))
    };
    let deployment = |from: &str, to: &str| replaced("deployments/shop.yaml", DEPLOYMENT, from, to);
    assert_eq!(deployment("port: 8080", "port: 8081"), ["notify"]);
    assert_eq!(deployment("90s", "91s"), ["notify"]);
    assert_eq!(deployment("./notify.sh", "./notify"), ["notify"]);
    assert_eq!(deployment("TOKEN", "TOKEN2"), ["web-service"]);
    assert_eq!(deployment("git.branch", "git.sha"), ["web-service"]);
    assert_eq!(deployment("depends_on: [network]", "depends_on: []"), ["charts"]);
    assert_eq!(deployment("dev: { context: { cpu: 256", "dev: { context: { cpu: 512"), ALL);
    let stack = |from: &str, to: &str| replaced("stacks/base.yaml", STACK, from, to);
    assert_eq!(stack("!env SECRET", "!env SECRET2"), ["network", "web-service"]);
    assert_eq!(stack("mul 2 21", "mul 2 22"), ["web-service"]);
    assert_eq!(stack("-state", "-states"), ["network", "web-service"]);
    assert_eq!(stack("PROFILE: !env", "PROFILE2: !env"), ["network", "web-service"]);
    assert_eq!(replaced("stacks/shared.yaml", "vars: { region: eu }", "eu", "us"), ALL);
    let program = "components: { terraform: { command: tofu } }\n";
    assert_eq!(
        configuration_changes(|fixture| fixture.write("atmos.yaml", program)),
        ["network", "web-service"]
    );
    assert_eq!(configuration_changes(|fixture| fixture.write("README.md", "new")), [""; 0]);
}

#[test]
fn a_changed_lock_file_is_another_source() {
    let fixture = Fixture::new();
    let before = fixture.digests();
    fixture.write("components/terraform/web-service/.terraform.lock.hcl", "");
    let after = fixture.digests();
    let sources = |digests: &Digests, name: &str| digests.components[&name.parse().unwrap()].sources.clone();
    assert_ne!(sources(&before, "web-service"), sources(&after, "web-service"));
    assert_eq!(sources(&before, "charts"), sources(&after, "charts"));
}

#[test]
fn a_deployment_without_stacks_has_digests_too() {
    let fixture = Fixture::new();
    fixture.write("deployments/shop.yaml", &DEPLOYMENT.replace("  stacks: [base]\n", ""));
    let asked = fixture.asked();
    let digests = asked.digests();
    let environment = vec![("TOKEN", "s3cret")];
    assert_eq!(Asked { environment, ..asked }.digests(), digests);
    assert_eq!(digests.components[&"web-service".parse().unwrap()].stack, None);
}
