//! Vendoring: components whose code is not in the commit.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use rustix::process::Signal;

use crate::support::{Checkout, TestEnvironment, wait_until};

/// The place of the deployment's `vendor` section.
const VENDOR: &str = "VENDOR";

const DEPLOYMENT: &str = "\
deployment:
  name: shop
  vendor: VENDOR
  components:
    helmfile:
      service: { component: ecs }
    command:
      api: { settings: { command: { apply: [./run.sh] } } }
  targets:
    dev:
    prod:
";

/// An environment with a helmfile that logs what it applies, and a git that logs what it sends.
fn environment() -> TestEnvironment {
    let mut environment = TestEnvironment::new();
    let (bin, config, sent) =
        (environment.path("bin"), environment.path("gitconfig"), environment.path("sent"));
    let path = format!("{}:{}", bin.display(), environment.variable("PATH"));
    environment.set("PATH", &path);
    let hook = bin.join("send");
    std::fs::write(&config, format!("[uploadpack]\n\tpackObjectsHook = {}\n", hook.display())).unwrap();
    environment.set("GIT_CONFIG_GLOBAL", config.to_str().unwrap());
    let anywhere = Checkout::new(&environment, environment.path(""));
    anywhere.write_script(
        bin.join("helmfile").to_str().unwrap(),
        "#!/bin/sh\necho \"$(cat helmfile.yaml) $(ls | grep -v vars.yaml | tr '\\n' ' ')\" >> \"$TEST_APPLIED\"\necho changed >> helmfile.yaml\n",
    );
    let script = format!(
        "#!/bin/sh\necho sent >> {}\n[ -e {}.wait ] && sleep 100\nexec \"$@\"\n",
        sent.display(),
        sent.display()
    );
    anywhere.write_script(hook.to_str().unwrap(), &script);
    environment
}

/// How often a repository has sent objects.
fn sent(environment: &TestEnvironment) -> usize {
    std::fs::read_to_string(environment.path("sent")).unwrap_or_default().lines().count()
}

/// A repository of modules with two versions of one, and its address.
fn modules(environment: &TestEnvironment) -> (Checkout<'_>, String) {
    let modules = environment.empty_repository("modules", &[]);
    for version in ["1.3.5", "1.5.0"] {
        modules.write("ecs/helmfile.yaml", version);
        modules.write("ecs/values/a.yaml", "a: 1\n");
        modules.write("vpc/helmfile.yaml", version);
        modules.commit(version);
        modules.git(&["tag", &format!("v{version}")]);
    }
    let address = format!("git::file://{}//ecs", modules.path.display());
    (modules, address)
}

/// A deployment with this `vendor` section.
fn shop<'e>(environment: &'e TestEnvironment, section: &str) -> Checkout<'e> {
    let checkout = environment.empty_repository("checkout", &[]);
    checkout.write_script("run.sh", "#!/bin/sh\necho \"$ATMOS_COMPONENT\" >> \"$TEST_APPLIED\"\n");
    checkout.write("components/helmfile/ecs/helmfile.yaml", "local");
    checkout.write("components/helmfile/ecs/only-local.yaml", "");
    vendor(&checkout, section);
    checkout
}

fn vendor(checkout: &Checkout<'_>, section: &str) {
    checkout.write("deployments/shop.yaml", &DEPLOYMENT.replace(VENDOR, section));
    checkout.commit("vendored");
}

/// The content in a cache, by its folders.
fn objects(checkout: &Checkout<'_>) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(checkout.path.join(".atmos/vendor-cache")).into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path());
    folders.filter(|path| path.file_name().unwrap().len() == 64).collect()
}

#[test]
fn what_cannot_be_acted_on_is_refused_by_name_and_nothing_is_deployed() {
    let environment = environment();
    let (_modules, address) = modules(&environment);
    let checkout = shop(&environment, "{}");
    for (section, message) in [
        (
            "{ components: [{ source: 'oci://r/x:1', component: service }] }".to_owned(),
            "is an OCI artifact, which is not fetched yet",
        ),
        (
            format!("{{ components: [{{ source: '{address}', targets: [ecs] }}] }}"),
            "the source has no version",
        ),
        (
            format!("{{ components: [{{ source: '{address}', targets: [ecss], version: 1.5.0 }}] }}"),
            "there is no component ecss to vendor",
        ),
        (
            format!("{{ components: [{{ source: '{address}', targets: [api], version: 1.5.0 }}] }}"),
            "command/api has no folder to vendor",
        ),
        (
            format!(
                "{{ components: [{{ source: '{address}', version: 1.5.0 }}, {{ source: '{address}', version: 1.3.5 }}] }}"
            ),
            "components/helmfile/ecs has two sources",
        ),
        ("{ manifest: nowhere.yaml }".to_owned(), "there is no such file, and `vendor.manifest` names it"),
    ] {
        vendor(&checkout, &section);
        for line in ["deployment rollout shop --target dev", "deployment rollout shop --target dev --plan"] {
            checkout.atmos(line).refused(2, message);
        }
        checkout.atmos("deployment validate shop").exited(2).shows(message);
        checkout.atmos("deployment vendor status shop").refused(2, message);
    }
    let named_like_a_target =
        format!("{{ components: [{{ source: '{address}', targets: [dev], version: 1.5.0 }}] }}");
    vendor(&checkout, &named_like_a_target);
    checkout.atmos("deployment validate shop").exited(2).shows("labels: {environment: [dev]}");
    assert_eq!(environment.applied(), [""; 0]);
    assert_eq!(sent(&environment), 0);
}

#[test]
fn targets_have_versions_of_their_own_and_each_is_fetched_once() {
    let environment = environment();
    let (modules, address) = modules(&environment);
    let section = format!(
        "{{ components: [{{ source: '{address}', version: ~> 1.5, labels: {{ environment: [dev] }} }}, {{ source: '{address}', \
         version: 1.3.5, labels: {{ environment: [prod] }} }}] }}"
    );
    let checkout = shop(&environment, &section);
    let rollout =
        |target: &str| checkout.atmos(&format!("deployment rollout shop --target {target}")).succeeded();
    rollout("dev").says("components/helmfile/ecs: git::file://");
    rollout("prod");
    let applied = environment.applied();
    let of_helmfile: Vec<_> =
        applied.iter().filter(|line| line.starts_with('1')).map(|line| line.trim()).collect();
    assert_eq!(of_helmfile, ["1.5.0 helmfile.yaml values", "1.3.5 helmfile.yaml values"], "{applied:?}");
    assert_eq!(sent(&environment), 2);
    // The same again, although the helmfile has written to its folder.
    rollout("prod");
    assert_eq!(sent(&environment), 2);
    let record = checkout.git(&["for-each-ref", "--format=%(contents)", "refs/tags/atmos"]);
    for source in [format!("{address}@v1.5.0"), format!("{address}@v1.3.5")] {
        assert!(record.contains(&source), "no {source} in\n{record}");
    }
    let described = checkout.json("deployment describe shop --target dev --sources");
    assert_eq!(described["components"][0]["code"]["resolved"], "v1.5.0", "{described}");
    checkout
        .atmos("deployment describe shop --target prod --sources")
        .succeeded()
        .shows(&format!("code: {address}@1.3.5"));
    let vendored = checkout.json("deployment vendor status shop");
    let told: Vec<_> = vendored["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| {
            let text = |key: &str| source[key].as_str().unwrap_or("-").to_owned();
            format!("{} {} {} {}", text("target"), text("version"), text("resolved"), text("state"))
        })
        .collect();
    assert_eq!(told, ["dev ~> 1.5 v1.5.0 cached", "prod 1.3.5 v1.3.5 cached"]);
    // A tag that moves has no effect on what is known, and is another digest where it is asked for.
    let digest = |document: &serde_json::Value| document["sources"][1]["digest"].as_str().unwrap().to_owned();
    let known = digest(&vendored);
    modules.write("ecs/helmfile.yaml", "moved");
    modules.commit("moved");
    modules.git(&["tag", "--force", "v1.3.5"]);
    assert_eq!(digest(&checkout.json("deployment vendor pull shop")), known);
    let update = checkout.atmos("deployment vendor pull shop --update --format json").succeeded();
    assert_ne!(digest(&update.json()), known);
    update.says("@v1.3.5 has moved: it was commit");
    // With a full cache no source is needed.
    std::fs::rename(&modules.path, environment.path("away")).unwrap();
    checkout.atmos("deployment rollout shop --target prod --plan --offline").succeeded();
    checkout.atmos("deployment vendor pull shop --offline").succeeded();
}

#[test]
fn a_digest_and_what_is_changed_follow_the_source() {
    let environment = environment();
    let (_modules, address) = modules(&environment);
    let section =
        |version: &str| format!("{{ components: [{{ source: '{address}', version: {version} }}] }}");
    let checkout = shop(&environment, &section("1.3.5"));
    let digest = || {
        let plan = checkout.json("deployment rollout shop --target dev --plan --component service");
        plan["digest"].as_str().unwrap().to_owned()
    };
    let before = digest();
    assert_eq!(digest(), before);
    checkout.atmos("deployment rollout shop --target dev").succeeded();
    // What the commit has in its place is not what was deployed.
    checkout.atmos("deployment sbom shop --target dev").says("service: its code is vendored");
    let first = checkout.head();
    vendor(&checkout, &section("1.5.0"));
    assert_ne!(digest(), before);
    let matrix =
        checkout.atmos("deployment matrix shop --target dev --changed --component service").succeeded();
    assert!(matrix.stdout.contains("\"service\""), "{}", matrix.report());
    matrix.says(&format!("service: its configuration changed since {}", &first[..7]));
    let diff = checkout
        .atmos(&format!("deployment diff shop --from-sha {first} --to-sha {}", checkout.head()))
        .succeeded();
    for text in ["service.source", "@1.3.5", "@1.5.0"] {
        assert!(diff.stdout.contains(text), "no {text} in\n{}", diff.report());
    }
}

#[test]
fn manifests_provide_what_the_commit_lacks() {
    let environment = environment();
    let (_modules, address) = modules(&environment);
    let checkout = shop(&environment, "{}");
    let manifest = format!(
        "apiVersion: atmos/v1\nkind: AtmosVendorConfig\nspec:\n  sources:\n    - component: ecs\n      source: '{address}?ref={{{{.Version}}}}'\n      \
         version: v1.5.0\n      targets: [components/helmfile/ecs]\n      excluded_paths: ['values/**']\n"
    );
    checkout.write("vendor.yaml", &manifest);
    checkout.commit("manifest");
    let applied = || {
        environment.forget_applied();
        checkout.atmos("deployment rollout shop --target dev --component service").succeeded();
        environment.applied()[0].trim().to_owned()
    };
    assert_eq!(applied(), "local helmfile.yaml only-local.yaml", "the commit has it");
    checkout.git(&["rm", "-r", "--quiet", "components/helmfile/ecs"]);
    checkout.commit("without");
    assert_eq!(applied(), "1.5.0 helmfile.yaml");
    checkout.write(
        "components/helmfile/ecs/component.yaml",
        &format!("spec: {{ source: {{ uri: '{address}?ref=v1.3.5' }} }}"),
    );
    std::fs::remove_file(checkout.path.join("vendor.yaml")).unwrap();
    checkout.commit("component.yaml");
    assert_eq!(applied(), "1.3.5 helmfile.yaml values");
    vendor(&checkout, "{ auto_discover: false }");
    assert_eq!(applied(), "component.yaml", "nothing else was asked for");
    // A folder of the same commit, without any other repository.
    checkout.write("library/ecs/helmfile.yaml", "library");
    vendor(&checkout, "{ components: [{ source: ./library/ecs }] }");
    assert_eq!(applied(), "library helmfile.yaml");
}

#[test]
fn many_processes_fetch_once() {
    let environment = environment();
    let (_modules, address) = modules(&environment);
    let checkout =
        shop(&environment, &format!("{{ components: [{{ source: '{address}', version: 1.5.0 }}] }}"));
    let running: Vec<_> = (0..16)
        .map(|_| checkout.start("deployment vendor pull shop --target dev --format json", &[]))
        .collect();
    let digests: Vec<_> = running
        .into_iter()
        .map(|running| running.wait().succeeded().json()["sources"][0]["digest"].to_string())
        .collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    assert_eq!((sent(&environment), objects(&checkout).len()), (1, 1));
}

#[test]
fn a_killed_pull_leaves_a_usable_cache() {
    let environment = environment();
    let (_modules, address) = modules(&environment);
    let checkout =
        shop(&environment, &format!("{{ components: [{{ source: '{address}', version: 1.5.0 }}] }}"));
    std::fs::write(environment.path("sent.wait"), "").unwrap();
    let pull = checkout.start("deployment vendor pull shop", &[]);
    wait_until("objects are sent", || sent(&environment) == 1);
    pull.signal(Signal::KILL);
    pull.wait().killed();
    std::fs::remove_file(environment.path("sent.wait")).unwrap();
    checkout.atmos("deployment vendor pull shop").succeeded();
    assert_eq!(objects(&checkout).len(), 1);
    let cleaned = checkout.json("deployment vendor clean");
    assert_eq!((&cleaned["left_behind"], &cleaned["removed"]), (&1.into(), &serde_json::json!([])));
    assert_eq!(objects(&checkout).len(), 1);
}

#[test]
fn an_altered_byte_is_refused_until_it_is_removed() {
    let environment = environment();
    let (_modules, address) = modules(&environment);
    let checkout =
        shop(&environment, &format!("{{ components: [{{ source: '{address}', version: 1.5.0 }}] }}"));
    checkout.atmos("deployment vendor pull shop").succeeded();
    let file = objects(&checkout)[0].join("helmfile.yaml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(&file, "1.5.1").unwrap();
    for line in [
        "deployment rollout shop --target dev",
        "deployment rollout shop --target dev --plan",
        "deployment vendor status shop",
    ] {
        checkout.atmos(line).refused(1, "is not what was stored there").says("atmos deployment vendor clean");
    }
    assert_eq!(environment.applied(), [""; 0]);
    checkout.atmos("deployment vendor clean").succeeded();
    checkout.atmos("deployment rollout shop --target dev").succeeded();
    assert!(environment.applied().iter().any(|line| line.starts_with("1.5.0")));
}

#[test]
fn hostile_content_is_refused_and_nothing_of_it_is_stored() {
    let environment = environment();
    let (modules, address) = modules(&environment);
    let checkout = shop(&environment, "{}");
    let folder = modules.path.join("ecs");
    let cases: [(&str, &dyn Fn(), &str); 4] = [
        (
            "link-out",
            &|| symlink("../../../etc", folder.join("link")).unwrap(),
            "is a link that leads out of its folder",
        ),
        (
            "absolute",
            &|| symlink("/etc/passwd", folder.join("link")).unwrap(),
            "is a link that leads out of its folder",
        ),
        (
            "case",
            &|| std::fs::write(folder.join("HELMFILE.yaml"), "").unwrap(),
            "differs from another path only in case",
        ),
        (
            "submodule",
            &|| {
                let id = "1".repeat(40);
                modules.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{id},ecs/sub")]);
            },
            "is a submodule, which is not fetched",
        ),
    ];
    for (tag, change, message) in cases {
        change();
        if tag != "submodule" {
            modules.git(&["add", "--all"]);
        }
        modules.git(&["commit", "--quiet", "--message", tag]);
        modules.git(&["tag", tag]);
        modules.git(&["reset", "--quiet", "--hard", "v1.5.0"]);
        vendor(&checkout, &format!("{{ components: [{{ source: '{address}?ref={tag}' }}] }}"));
        for line in ["deployment rollout shop --target dev", "deployment vendor pull shop"] {
            checkout.atmos(line).refused(1, message);
        }
    }
    assert!(objects(&checkout).is_empty());
    assert_eq!(environment.applied(), [""; 0]);
}

#[test]
fn what_a_source_lacks_is_said_with_what_it_has() {
    let environment = environment();
    let (modules, address) = modules(&environment);
    let checkout =
        shop(&environment, &format!("{{ components: [{{ source: '{address}', version: 1.5.1 }}] }}"));
    checkout
        .atmos("deployment vendor pull shop")
        .refused(1, "there is no tag 1.5.1 or v1.5.1")
        .says("v1.5.0");
    vendor(
        &checkout,
        &format!("{{ components: [{{ source: '{address}s', component: service, version: 1.5.0 }}] }}"),
    );
    checkout.atmos("deployment vendor pull shop").refused(1, "there is no folder ecss");
    let nowhere = address.replace("modules", "nowhere");
    vendor(&checkout, &format!("{{ components: [{{ source: '{nowhere}', version: 1.5.0 }}] }}"));
    checkout.atmos("deployment vendor pull shop").refused(1, "cannot be fetched");
    checkout.atmos("deployment vendor pull shop --offline").refused(1, "is not in the vendor cache");
    // A commit by its own id.
    let commit = modules.git(&["rev-parse", "v1.3.5"]);
    vendor(&checkout, &format!("{{ components: [{{ source: '{address}?ref={commit}' }}] }}"));
    let pulled = checkout.json("deployment vendor pull shop --target dev");
    assert_eq!(pulled["sources"][0]["commit"], commit);
}

#[test]
fn validate_looks_into_what_it_may_fetch() {
    let environment = environment();
    let modules = environment.empty_repository("modules", &[]);
    modules.write("vpc/main.tf", "variable \"cidr\" {}\n");
    modules.commit("1");
    modules.git(&["tag", "1.0.0"]);
    let checkout = environment.empty_repository("checkout", &[]);
    checkout.write(
        "deployments/shop.yaml",
        &format!(
            "deployment:\n  name: shop\n  vendor: {{ components: [{{ source: 'git::file://{}//vpc', version: 1.0.0 }}] }}\n  \
             components: {{ terraform: {{ vpc: {{ vars: {{ cidrr: x }} }} }} }}\n  targets: {{ dev: }}\n",
            modules.path.display()
        ),
    );
    checkout.commit("vendored");
    let message = "its module needs a value for the variable cidr";
    let without = checkout.atmos("deployment validate shop").succeeded();
    assert!(!without.stdout.contains(message), "{}", without.report());
    checkout.atmos("deployment validate shop --fetch").succeeded().shows(message);
    checkout.atmos("deployment validate shop").succeeded().shows(message);
}

#[test]
fn worktrees_share_a_cache_and_the_environment_names_another() {
    let environment = environment();
    let (_modules, address) = modules(&environment);
    let checkout =
        shop(&environment, &format!("{{ components: [{{ source: '{address}', version: 1.5.0 }}] }}"));
    checkout.atmos("deployment vendor pull shop").succeeded();
    let other = environment.path("worktree");
    checkout.git(&["worktree", "add", "--quiet", "--detach", other.to_str().unwrap()]);
    let other = Checkout::new(&environment, other);
    other.atmos("deployment vendor pull shop").succeeded();
    assert_eq!((sent(&environment), objects(&other).len()), (1, 0));
    let elsewhere = environment.path("elsewhere");
    let variables = [("ATMOS_VENDOR_CACHE", elsewhere.to_str().unwrap())];
    checkout.atmos_with("deployment vendor pull shop", &variables).succeeded();
    assert_eq!(sent(&environment), 2);
    let stats =
        checkout.atmos_with("deployment vendor cache stats --format json", &variables).succeeded().json();
    assert_eq!(stats["folder"], elsewhere.to_str().unwrap());
    assert_eq!((stats["objects"].as_array().unwrap().len(), &stats["versions"]), (1, &1.into()));
    assert_eq!(checkout.git(&["status", "--porcelain"]), "");
    // A cache in the commit could say what a version is.
    checkout.git(&["add", "--force", ".atmos"]);
    checkout.git(&["commit", "--quiet", "--message", "with a cache"]);
    checkout.atmos("deployment rollout shop --target dev").refused(1, "is part of the commit");
}

#[test]
fn a_lock_keeps_what_a_version_stands_for() {
    let environment = environment();
    let (modules, address) = modules(&environment);
    let checkout = shop(&environment, &format!("{{ components: [{{ source: '{address}', version: ^1 }}] }}"));
    let lock = checkout.path.join("deployments/.vendor-lock.yaml");
    checkout.atmos("deployment vendor pull shop").succeeded();
    assert!(!lock.exists(), "nobody has asked for it");
    let locked = ["deployment rollout shop --target dev --locked", "deployment vendor pull shop --locked"];
    for line in locked {
        checkout.atmos(line).refused(2, "is not locked as it is declared");
    }
    checkout.atmos("deployment vendor pull shop --lock").succeeded();
    checkout.commit("lock");
    // A newer version, and the locked one as another commit.
    modules.write("ecs/helmfile.yaml", "1.6.0");
    modules.commit("1.6.0");
    for tag in ["v1.6.0", "v1.5.0"] {
        modules.git(&["tag", "--force", tag]);
    }
    std::fs::remove_dir_all(checkout.path.join(".atmos")).unwrap();
    for line in locked {
        checkout.atmos(line).succeeded();
    }
    assert!(
        environment.applied().iter().any(|line| line.starts_with("1.5.0")),
        "{:?}",
        environment.applied()
    );
    let resolved = || {
        let status = checkout.json("deployment vendor status shop --target dev");
        (status["sources"][0]["resolved"].clone(), status["sources"][0]["locked"].clone())
    };
    assert_eq!(resolved(), ("v1.5.0".into(), true.into()));
    // Other content than the locked one, as a source that lies would give it.
    let text = std::fs::read_to_string(&lock).unwrap();
    let digest = text.lines().find_map(|line| line.trim().strip_prefix("digest: ")).unwrap();
    let other = format!("sha256:{}", "a".repeat(64));
    std::fs::write(&lock, text.replace(digest, &other)).unwrap();
    checkout.commit("wrong lock");
    for line in ["deployment rollout shop --target dev", "deployment vendor pull shop"] {
        checkout.atmos(line).refused(1, "is not what is locked");
    }
    checkout.atmos("deployment vendor pull shop --update").succeeded();
    assert_eq!(resolved(), ("v1.6.0".into(), true.into()));
    // Another declaration than the locked one.
    checkout.commit("moved lock");
    checkout.write(
        "deployments/shop.yaml",
        &DEPLOYMENT
            .replace(VENDOR, &format!("{{ components: [{{ source: '{address}', version: 1.3.5 }}] }}")),
    );
    checkout.commit("other version");
    checkout.atmos(locked[0]).refused(2, "is not locked as it is declared");
}
