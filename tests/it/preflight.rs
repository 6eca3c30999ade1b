//! Errors that can be known ahead are refused before the first component starts, and `validate`
//! reports the same.

use std::path::Path;

use crate::build;
use crate::support::{Checkout, TestEnvironment};

const DEPLOYMENT: &str = "\
deployment:
  name: shop
  components:
    terraform:
      net: {}
      app: { component: service, metadata: { depends_on: [net] }, vars: { vpc: '{{ outputs.net.id }}' } }
    helmfile:
      chart: {}
    command:
      first: { settings: { command: { apply: [./run.sh] } } }
      api:
        metadata: { depends_on: [first] }
        vars: { cores: '{{ context.cpu }}', sha: '{{ git.sha }}', url: '{{ outputs.first.url }}', home: plain }
        settings: { command: { plan: [../../run.sh], apply: [./deploy.sh, now], working_directory: services/api } }
      last: { metadata: { depends_on: [api] }, settings: { command: { apply: [./run.sh] } } }
  targets:
    dev: { context: { cpu: 256 }, components: { last: { vars: { size: small } } } }
";

/// One error: a replacement in the deployment's file, with the expected message and hint.
struct Wrong {
    from: &'static str,
    to: &'static str,
    message: &'static str,
    hint: &'static str,
    /// Another machine, or `--context`, may correct it: then `validate` only warns.
    is_warned_of: bool,
}

const fn wrong(from: &'static str, to: &'static str, message: &'static str, hint: &'static str) -> Wrong {
    Wrong { from, to, message, hint, is_warned_of: false }
}

const fn wrong_here(
    from: &'static str,
    to: &'static str,
    message: &'static str,
    hint: &'static str,
) -> Wrong {
    Wrong { from, to, message, hint, is_warned_of: true }
}

const FOLDERS: &[Wrong] = &[
    wrong(
        "component: service",
        "component: servce",
        "terraform/app: there is no folder components/terraform/servce",
        "did you mean components/terraform/service?",
    ),
    wrong("component: service", "component: plain", "components/terraform/plain is no folder", ""),
    wrong(
        "component: service",
        "component: empty",
        "there is no Terraform module in components/terraform/empty",
        "",
    ),
    wrong("component: service", "component: broken", "components/terraform/broken/main.tf:1:", ""),
    wrong(
        "net: {}",
        "net: { component: calls }",
        "module zone (components/terraform/calls/main.tf:2) has the source ../../../modules/zonne, and there is no folder \
         modules/zonne",
        "did you mean modules/zone?",
    ),
    wrong(
        "net: {}",
        "net: { component: calls-json }",
        "module inner (components/terraform/calls-json/main.tf.json) has the source ./inner, and there is no folder \
         components/terraform/calls-json/inner",
        "commit components/terraform/calls-json/inner, or correct the source of module inner",
    ),
    wrong(
        "net: {}",
        "net: { component: calls-deep }",
        "module deeper (modules/deep/main.tf:1) has the source ./er, and there is no folder modules/deep/er",
        "commit modules/deep/er",
    ),
    wrong(
        "chart: {}",
        "chart: { component: chrt }",
        "helmfile/chart: there is no folder components/helmfile/chrt",
        "did you mean components/helmfile/chart?",
    ),
    wrong(
        "[./run.sh] } } }\n      api",
        "[./rum.sh] } } }\n      api",
        "there is no file rum.sh",
        "did you mean run.sh?",
    ),
    wrong("[./deploy.sh, now]", "[./run.sh, now]", "there is no file services/api/run.sh", ""),
    wrong(
        "[./deploy.sh, now]",
        "[./notes.txt, now]",
        "services/api/notes.txt is not executable",
        "--chmod=+x",
    ),
    wrong("[./deploy.sh, now]", "[../api]", "services/api is a folder, and no program", ""),
    wrong("[../../run.sh]", "[./plan.sh]", "there is no file services/api/plan.sh", ""),
    wrong(
        "working_directory: services/api",
        "working_directory: services/apy",
        "there is no folder services/apy",
        "did you mean services/api?",
    ),
    wrong(
        "first: { settings: {",
        "first: { settings: { health: { command: [./chek.sh] },",
        "command/first: there is no file chek.sh",
        "did you mean check.sh?",
    ),
    wrong_here("[./deploy.sh, now]", "[/nowhere/deploy]", "there is no program /nowhere/deploy", ""),
    wrong_here(
        "first: { settings: { command: { apply: [./run.sh]",
        "first: { settings: { command: { apply: [deploi-nowhere]",
        "needs the program \"deploi-nowhere\", which is not on PATH",
        "install deploi-nowhere",
    ),
];

const VALUES: &[Wrong] = &[
    wrong(
        "home: plain",
        "home: '{{ uper \"x\" }}'",
        "home: line 1, column 1 of the template: there is no helper called uper",
        "templates can use env",
    ),
    wrong(
        "home: plain",
        "home: '{{ lokup git \"sha\" }}'",
        "there is no helper called lokup",
        "did you mean lookup?",
    ),
    wrong("home: plain", "home: '{{ git.sha'", "the template is not closed", ""),
    wrong("{{ git.sha }}", "{{ git.shaa }}", "git.shaa is not known here", "did you mean git.sha?"),
    wrong_here(
        "{{ context.cpu }}",
        "{{ context.cpuu }}",
        "context.cpuu is not known here",
        "did you mean context.cpu?",
    ),
    wrong(
        "home: plain",
        "home: '{{ env \"HOME\" }}'",
        "the environment variable HOME is not set, or templates may not read it",
        "add HOME to deployments.template_env of atmos.yaml",
    ),
    wrong(
        "home: plain",
        "home: '{{ nixpack.web.image }}'",
        "nixpack.web.image is not known here",
        "templates know git.sha",
    ),
    wrong(
        "size: small",
        "size: '{{ targt.name }}'",
        "size: line 1, column 1 of the template: targt.name is not known here",
        "did you mean target.name?",
    ),
    wrong(
        "cpu: 256",
        "cpu: 256, zone: '{{ git.brnch }}'",
        "git.brnch is not known here",
        "did you mean git.branch?",
    ),
    wrong(
        "{{ outputs.first.url }}",
        "{{ outputs.frist.url }}",
        "command/api: it needs outputs of frist, which the deployment does not have",
        "did you mean `first`?",
    ),
    wrong(
        "{{ outputs.first.url }}",
        "{{ outputs.last.url }}",
        "command/api: it needs outputs of last, which may run after it",
        "add last to its metadata.depends_on",
    ),
    wrong("{{ outputs.first.url }}", "{{ outputs.api.url }}", "its variables name its own outputs", ""),
    wrong(
        "{{ outputs.first.url }}",
        "{{ outputs.chart.url }}",
        "outputs of chart, and helmfile components have none",
        "",
    ),
    wrong(
        "{{ outputs.net.id }}",
        "{{ outputs.net.idd }}",
        "net puts out no idd: components/terraform/net declares no such output",
        "did you mean outputs.net.id?",
    ),
    wrong_here(
        "vars: { vpc:",
        "vars: { vcp:",
        "its module needs a value for the variable vpc (components/terraform/service/main.tf:1), and nothing gives it one",
        "vcp (component vars) is no variable of the module: did you mean vpc?",
    ),
    wrong_here(
        "net: {}",
        "net: { component: zoned }",
        "its module needs a value for the variable zone (components/terraform/zoned/vars.tf.json), and nothing gives it \
         one",
        "by --context zone=…, or as TF_VAR_zone in the environment of the rollout",
    ),
];

const IMAGES: &[Wrong] = &[
    wrong(
        "source: services/web",
        "source: services/wbe",
        "nixpack/web: there is no folder services/wbe",
        "did you mean services/web?",
    ),
    wrong("name: shop/web", "name: Shop/Web", "\"Shop/Web\" cannot be part of an image's name", ""),
    wrong_here("registry: '127.0.0.1:9', ", "", "it names no registry", "ATMOS_REGISTRY"),
    wrong("name: shop/web", "name: shop/web, tag: '-x'", "\"-x\" cannot be an image's tag", ""),
    wrong(
        "source: services/web",
        "source: services/web, url: '{{ outputs.first.url }}'",
        "its image is built before anything is rolled out",
        "",
    ),
];

const IMAGE: &str = "    nixpack:
      web: { vars: { source: services/web, image: { registry: '127.0.0.1:9', name: shop/web } }, settings: { nixpack: { dockerfile_escape: true } } }
";

fn shop(environment: &mut TestEnvironment) -> Checkout<'_> {
    build::images(environment);
    let environment = &*environment;
    let checkout = environment.empty_repository("checkout", &[]);
    for program in ["terraform", "helmfile"] {
        checkout.write_script(environment.path("bin").join(program).to_str().unwrap(), "#!/bin/sh\nexit 1\n");
    }
    for script in ["run.sh", "check.sh", "services/api/deploy.sh"] {
        checkout.write_script(
            script,
            "#!/bin/sh\necho \"$ATMOS_COMPONENT\" >> \"$TEST_APPLIED\"\necho url=u >> \"$ATMOS_OUTPUT\"\n",
        );
    }
    for (file, text) in [
        ("services/api/notes.txt", "notes"),
        ("services/web/Dockerfile", "FROM scratch\n"),
        ("components/terraform/net/main.tf", "output \"id\" {\n  value = 1\n}\n"),
        ("components/terraform/service/main.tf", "variable \"vpc\" {}\n"),
        ("components/terraform/broken/main.tf", "variable {\n"),
        ("components/terraform/empty/README.md", ""),
        (
            "components/terraform/calls/main.tf",
            "\nmodule \"zone\" {\n  source = \"../../../modules/zonne\"\n}\noutput \"id\" {}\n",
        ),
        (
            "components/terraform/calls-json/main.tf.json",
            r#"{"module": {"inner": {"source": "./inner"}}, "output": {"id": {}}}"#,
        ),
        (
            "components/terraform/calls-deep/main.tf",
            "module \"deep\" {\n  source = \"../../../modules/deep\"\n}\noutput \"id\" {}\n",
        ),
        ("modules/deep/main.tf", "module \"deeper\" {\n  source = \"./er\"\n}\n"),
        ("modules/zone/main.tf", ""),
        (
            "components/terraform/zoned/vars.tf.json",
            r#"{"variable": {"zone": {}}, "output": {"id": {"value": 1}}}"#,
        ),
        ("components/terraform/plain", ""),
        ("components/helmfile/chart/helmfile.yaml", ""),
    ] {
        checkout.write(file, text);
    }
    checkout
}

/// Writes the deployment with one replacement, and returns the number of its line.
fn write(checkout: &Checkout<'_>, base: &str, case: &Wrong) -> usize {
    assert!(base.contains(case.from), "{:?} is not in the file", case.from);
    let text = base.replacen(case.from, case.to, 1);
    let line = base[..base.find(case.from).unwrap()].matches('\n').count() + 1;
    checkout.write("deployments/shop.yaml", &text);
    checkout.commit(case.message);
    line
}

fn refused_and_reported(checkout: &Checkout<'_>, base: &str, cases: &[Wrong]) {
    for case in cases {
        let line = write(checkout, base, case);
        let place = format!("deployments/shop.yaml:{line}:");
        let run = checkout.atmos("deployment rollout shop --target dev").refused(2, case.message);
        assert!(run.stderr.contains(&place), "no {place} in\n{}", run.report());
        assert!(run.stderr.contains(case.hint), "no {:?} in\n{}", case.hint, run.report());
        let applied = checkout.environment.path("applied");
        assert!(!Path::new(&applied).exists(), "something has run\n{}", run.report());
        let run = checkout.atmos("deployment validate shop").exited(if case.is_warned_of { 0 } else { 2 });
        for text in [case.message, place.as_str(), case.hint] {
            assert!(run.stdout.contains(text), "no {text:?} in\n{}", run.report());
        }
    }
}

#[test]
fn folders_and_programs_are_missed_before_anything_starts() {
    let mut environment = TestEnvironment::new();
    let checkout = shop(&mut environment);
    refused_and_reported(&checkout, DEPLOYMENT, FOLDERS);
}

#[test]
fn values_that_cannot_be_had_are_missed_before_anything_starts() {
    let mut environment = TestEnvironment::new();
    let checkout = shop(&mut environment);
    refused_and_reported(&checkout, DEPLOYMENT, VALUES);
}

#[test]
fn images_that_cannot_be_built_are_missed_before_anything_starts() {
    let mut environment = TestEnvironment::new();
    let checkout = shop(&mut environment);
    let base = DEPLOYMENT.replacen("    terraform:\n", &format!("{IMAGE}    terraform:\n"), 1);
    refused_and_reported(&checkout, &base, IMAGES);
    assert!(!checkout.environment.path("engine.log").exists(), "an engine was started");
}

#[test]
fn what_may_be_right_is_not_refused() {
    let mut environment = TestEnvironment::new();
    let checkout = shop(&mut environment);
    checkout.write("deployments/shop.yaml", DEPLOYMENT);
    checkout.commit("As it should be");
    let run = checkout.atmos("deployment validate shop").succeeded().shows("✓ All components exist");
    assert!(!run.stdout.contains("warning"), "{}", run.report());
    let commands = "--component first --component api --component last";
    checkout.atmos(&format!("deployment rollout shop --target dev {commands}")).succeeded();
    assert_eq!(checkout.environment.applied(), ["first", "api", "last"]);

    // Values of the command line are known to the rollout alone.
    checkout.write("deployments/shop.yaml", &DEPLOYMENT.replace("home: plain", "home: '{{ context.home }}'"));
    checkout.commit("A value of the command line");
    checkout.atmos("deployment validate shop").succeeded().shows("context.home is not known here");
    let line = format!("deployment rollout shop --target dev {commands}");
    checkout.atmos(&line).refused(2, "context.home is not known here");
    checkout.atmos(&format!("{line} --context home=here")).succeeded();

    // Behind a link, the files are unknown.
    std::os::unix::fs::symlink("services", checkout.path.join("linked")).unwrap();
    let linked = DEPLOYMENT.replace("working_directory: services/api", "working_directory: linked/api");
    checkout.write("deployments/shop.yaml", &linked.replace("[../../run.sh]", "[./deploy.sh]"));
    checkout.commit("A link");
    checkout.atmos("deployment validate shop").succeeded();
    checkout.atmos(&line).succeeded();

    // The outputs of a command exist only while it is rolled out.
    checkout
        .atmos("deployment rollout shop --target dev --component api")
        .refused(2, "what a command component puts out is known only while it is rolled out")
        .says("--component api --component first");
}

/// A fake terraform that has nothing to change.
const TERRAFORM: &str = r#"#!/bin/sh
case "$1" in
    show) echo '{"resource_changes": []}' ;;
    output) echo '{"id": {"sensitive": false, "type": "string", "value": "1"}}' ;;
esac
"#;

#[test]
fn a_variable_may_get_its_value_from_anywhere() {
    let mut environment = TestEnvironment::new();
    let checkout = shop(&mut environment);
    let bin = checkout.environment.path("bin");
    checkout.write_script(bin.join("terraform").to_str().unwrap(), TERRAFORM);
    let base = DEPLOYMENT.replace("net: {}", "net: { component: zoned }");
    let line = "deployment rollout shop --target dev --component net";
    let file = "components/terraform/zoned/zone.auto.tfvars";
    let missing = "needs a value for the variable zone";
    let write = |from: &str, to: &str, what: &str| {
        assert!(base.contains(from));
        checkout.write("deployments/shop.yaml", &base.replacen(from, to, 1));
        checkout.commit(what);
    };
    write("component: zoned", "component: zoned", "Without a value");
    checkout.atmos(line).refused(2, missing);
    checkout.atmos("deployment validate shop").succeeded().shows(missing);
    checkout.atmos(&format!("{line} --context zone=a")).succeeded();
    checkout.atmos_with(line, &[("TF_VAR_zone", "a")]).succeeded();
    checkout.atmos_with(line, &[("TF_CLI_ARGS_plan", "-var-file=/etc/zone.tfvars")]).succeeded();
    write("cpu: 256", "cpu: 256, zone: a", "In the context");
    checkout.atmos(line).succeeded();
    checkout.write(file, "zone = \"a\"\n");
    write("component: zoned", "component: zoned", "In a file of the module");
    checkout.atmos(line).succeeded();
    let run = checkout.atmos("deployment validate shop").succeeded();
    assert!(!run.stdout.contains(missing), "{}", run.report());

    // Files of the checkout that are not in the commit are not rolled out.
    checkout.git(&["rm", "--quiet", "--cached", file]);
    checkout.git(&["commit", "--quiet", "--message", "Without the file"]);
    checkout.atmos(line).refused(2, missing);

    std::fs::remove_file(checkout.path.join(file)).unwrap();
    checkout.write("stacks/all.yaml", "components: { terraform: { net: { env: { TF_VAR_zone: a } } } }\n");
    write("name: shop\n", "name: shop\n  stacks: [all]\n", "In the environment of the stacks");
    checkout.atmos(line).succeeded();
}

#[test]
fn headings_say_what_is_so() {
    let mut environment = TestEnvironment::new();
    let checkout = shop(&mut environment);
    let validate = |from: &str, to: &str| {
        assert!(DEPLOYMENT.contains(from));
        checkout.write("deployments/shop.yaml", &DEPLOYMENT.replacen(from, to, 1));
        checkout.atmos("deployment validate shop").exited(2)
    };
    validate("component: service", "component: servce").shows("✗ Not all components exist");
    let run = validate("{{ git.sha }}", "{{ git.shaa }}").shows("✓ All components exist");
    assert!(run.stdout.contains("✗ Context variables are not valid"), "{}", run.report());
    validate("{{ outputs.first.url }}", "{{ outputs.last.url }}")
        .shows("✓ All components exist")
        .shows("✗ Not all outputs are there when they are needed");
    // The components of an invalid file were not looked at, so nothing is claimed of them.
    let run = validate("depends_on: [first]", "depends_on: [frist]");
    assert!(!run.stdout.contains("✓ All components exist"), "{}", run.report());
    let run = validate("working_directory: services/api", "working_directory: ../api")
        .shows("✗ Components are not configured");
    assert!(!run.stdout.contains("✓ All components exist"), "{}", run.report());
}
