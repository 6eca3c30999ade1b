//! `atmos describe`: stacks in the working tree, and the reference implementation's values through
//! the whole program.

use std::path::Path;

use serde_json::{Value as Json, json};

use crate::stacks_conformance::{cases, difference};
use crate::support::{ATMOS, Run, Running, TestEnvironment};

/// Runs `atmos` in a folder.
fn atmos(environment: &TestEnvironment, folder: &Path, arguments: &[&str]) -> Run {
    let mut command = environment.command(ATMOS, folder);
    command.args(arguments);
    Running::start(command).wait()
}

#[test]
#[cfg_attr(without_conformance, ignore = "needs conformance")]
fn the_program_says_what_the_reference_implementation_recorded() {
    let cases = cases();
    let environment = TestEnvironment::new();
    let mut failures = Vec::new();
    for case in cases {
        let expected: Json =
            serde_json::from_str(&std::fs::read_to_string(case.join("expected.json")).unwrap()).unwrap();
        for entry in expected["cases"].as_array().unwrap() {
            let (stack, component) = (entry["stack"].as_str().unwrap(), entry["component"].as_str().unwrap());
            let what = format!("{}: {component} in {stack}", case.display());
            let arguments = ["describe", "component", component, "--stack", stack, "--format", "json"];
            let run = atmos(&environment, &case, &arguments);
            if entry.get("error").is_some() {
                run.exited(2);
                continue;
            }
            let found = run.succeeded().json();
            let sections = entry["expect"].as_object().unwrap();
            for (section, value) in sections {
                let whole = sections.len() > 1;
                let differences = difference(found.as_object().unwrap(), section, value, whole);
                failures.extend(differences.map(|difference| format!("{what}: {difference}")));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Two stacks that import a catalog, in a folder that is no repository.
fn tree(environment: &TestEnvironment) -> std::path::PathBuf {
    let root = environment.path("tree");
    let files = [
        (
            "atmos.yaml",
            "base_path: ./\nstacks:\n  base_path: stacks\n  included_paths: [deploy/**/*]\n  \
             name_pattern: \"{stage}\"\n",
        ),
        (
            "stacks/catalog/vpc.yaml",
            "components: {terraform: {vpc: {vars: {cidr: 10.0.0.0/16, at: '{{ .vars.stage }}'}}}}\n",
        ),
        ("stacks/deploy/dev.yaml", "import: [catalog/vpc]\nvars: {stage: dev}\n"),
        (
            "stacks/deploy/prod.yaml",
            "import: [catalog/vpc]\nvars: {stage: prod}\ncomponents:\n  terraform:\n    odd:\n      vars: {x: !exec date}\n",
        ),
    ];
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    root
}

#[test]
fn stacks_are_shown_without_a_repository_and_from_any_folder_of_the_tree() {
    let environment = TestEnvironment::new();
    let root = tree(&environment);
    let describe = |folder: &str, line: &str| {
        let arguments: Vec<_> = ["describe"].into_iter().chain(line.split(' ')).collect();
        atmos(&environment, &root.join(folder), &arguments)
    };
    let shown = describe("stacks/deploy", "stacks --components vpc --sections vars --format json");
    let vpc = |stage: &str| json!({"components": {"terraform": {"vpc": {"vars": {"cidr": "10.0.0.0/16", "stage": stage, "at": stage}}}}});
    assert_eq!(shown.succeeded().json(), json!({"dev": vpc("dev"), "prod": vpc("prod")}));

    let yaml = describe("", "component vpc -s dev").succeeded().stdout;
    let described: Json = serde_yaml::from_str(&yaml).unwrap();
    assert_eq!(described["vars"]["at"], json!("dev"));
    assert_eq!(described["component_info"]["component_path"], json!("components/terraform/vpc"));
    let as_written = describe("", "component vpc -s dev --process-templates=false -f json");
    assert_eq!(as_written.succeeded().json()["vars"]["at"], json!("{{ .vars.stage }}"));
}

#[test]
fn what_is_not_supported_matters_only_where_it_is_selected() {
    let environment = TestEnvironment::new();
    let root = tree(&environment);
    let describe = |arguments: &[&str]| atmos(&environment, &root, &[&["describe"], arguments].concat());
    describe(&["component", "vpc", "-s", "prod"]).succeeded();
    describe(&["stacks", "--stack", "dev"]).succeeded();
    let place = "stacks/deploy/prod.yaml:6:17: the YAML function `!exec` is not supported";
    describe(&["component", "odd", "-s", "prod"]).exited(2).says(place).says("Supported are !env");
    let partial = describe(&["stacks", "--format", "json"]).exited(2).says(place);
    let shown: Json = serde_json::from_str(&partial.stdout).unwrap();
    assert_eq!(shown["dev"]["components"]["terraform"]["vpc"]["vars"]["at"], json!("dev"));
    let odd = &shown["prod"]["components"]["terraform"]["odd"];
    assert_eq!((&odd["vars"]["x"], &odd["vars"]["stage"]), (&json!("!exec date"), &json!("prod")));
    assert_eq!(
        odd["failures"],
        json!([{"path": "vars.x", "message": place, "file": "stacks/deploy/prod.yaml", "line": 6, "column": 17}])
    );
    partial.says("Warning: prod.components.terraform.odd.vars.x: ").says("1 value cannot be computed");
    describe(&["stacks", "--query", ".prod.components.terraform.vpc"]).succeeded();
    describe(&["component", "odd", "-s", "prod", "-q", ".vars.stage"]).succeeded();
    let strict = describe(&["stacks", "--strict"]).refused(2, place);
    assert_eq!(strict.stdout, "");
    let shown = describe(&["component", "odd", "-s", "prod", "--process-functions=false"]).succeeded();
    assert!(shown.stdout.contains("!exec date"), "{}", shown.report());
    describe(&["component", "vpc", "-s", "prdo"]).refused(2, "did you mean \"prod\"?");
    describe(&["component", "vcp", "-s", "prod"]).refused(2, "has no component \"vcp\"");
}

#[test]
fn a_component_can_be_named_by_the_folder_of_its_code() {
    let environment = TestEnvironment::new();
    let root = tree(&environment);
    for folder in ["components/terraform/vpc", "components/terraform/net/dns"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    let dns =
        "vars: {stage: two}\ncomponents: {terraform: {a: {metadata: {component: net/dns}}, net/dns: {}}}\n";
    std::fs::write(root.join("stacks/deploy/two.yaml"), dns).unwrap();
    let describe = |folder: &str, component: &str, stack: &str| {
        let arguments = ["describe", "component", component, "-s", stack, "--query", ".atmos_component"];
        atmos(&environment, &root.join(folder), &arguments)
    };
    for (folder, path) in [
        ("", "components/terraform/vpc"),
        ("components/terraform/vpc", "."),
        ("components", "./terraform/vpc"),
    ] {
        assert_eq!(describe(folder, path, "dev").succeeded().stdout.trim(), "vpc", "{path} in {folder}");
    }
    assert_eq!(describe("components", "net/dns", "two").succeeded().stdout.trim(), "net/dns");
    describe("components/terraform/net/dns", ".", "two")
        .refused(2, "2 components of the stack \"two\" are made of net/dns: a, net/dns");
    describe("", "./stacks", "dev").refused(2, "has no component \"./stacks\"");
}

#[test]
fn a_description_can_be_cut_and_go_to_a_file() {
    let environment = TestEnvironment::new();
    let root = tree(&environment);
    let describe = |arguments: &[&str]| atmos(&environment, &root, &[&["describe"], arguments].concat());
    let all =
        "stacks --skip exec --format json --file all.json --query .prod.components.terraform.odd.vars.x";
    let run = describe(&all.split(' ').collect::<Vec<_>>()).succeeded();
    assert_eq!(run.stdout, "");
    assert_eq!(std::fs::read_to_string(root.join("all.json")).unwrap().trim(), "\"!exec date\"");
    describe(&["stacks", "--query", ".dev | map(.x)"]).refused(2, "only paths such as");
    let length = describe(&["stacks", "--stack", "dev", "-q", ".dev.components.terraform | length"]);
    assert_eq!(length.succeeded().stdout.trim(), "1");
    describe(&["stacks", "--stack", "dev", "--query", ".dev | . + 1"])
        .refused(2, "the query `.dev | . + 1` adds");
    describe(&["stacks", "--stack", "dev", "--file", "no/such/folder"]).refused(1, "cannot write");
    std::fs::write(root.join("stacks/deploy/none.yaml"), "name: none\n").unwrap();
    let empty =
        ["stacks", "--include-empty-stacks", "--sections", "component", "--query", ".none.components"];
    assert_eq!(describe(&empty).succeeded().stdout.trim(), "{}");
}

#[test]
fn outputs_are_shown_where_their_state_can_be_read() {
    let environment = TestEnvironment::new();
    let root = tree(&environment);
    let app = "id: !terraform.output net two id, from: '{{ (atmos.Component \"db\" \"two\").outputs.host }}', \
               none: !terraform.state db two .port // 5432, key: !terraform.output db two key, s3: !terraform.output far id";
    let two = format!(
        "vars: {{stage: two}}\ncomponents:\n  terraform:\n    \
         net: {{remote_state_backend_type: static, remote_state_backend: {{static: {{id: vpc-1}}}}}}\n    \
         db: {{}}\n    far: {{backend_type: s3, backend: {{s3: {{bucket: b}}}}}}\n    app: {{vars: {{{app}}}}}\n"
    );
    std::fs::write(root.join("stacks/deploy/two.yaml"), two).unwrap();
    let folder = root.join("components/terraform/db/terraform.tfstate.d/two");
    std::fs::create_dir_all(&folder).unwrap();
    let state =
        r#"{"outputs": {"host": {"value": "db.internal"}, "key": {"value": "x", "sensitive": true}}}"#;
    std::fs::write(folder.join("terraform.tfstate"), state).unwrap();
    let run = atmos(
        &environment,
        &root,
        &["describe", "component", "app", "-s", "two", "-q", ".vars", "-f", "json"],
    );
    let run =
        run.exited(2).says("Warning: vars.key: ").says("its state has no such output, or it is sensitive");
    let shown: Json = serde_json::from_str(&run.stdout).unwrap();
    let expected = json!({"stage": "two", "id": "vpc-1", "from": "db.internal", "none": 5432,
                          "key": "!terraform.output db two key", "s3": "!terraform.output far two id"});
    assert_eq!(shown, expected);
}

#[test]
fn values_have_the_line_that_they_are_written_on() {
    let environment = TestEnvironment::new();
    let root = tree(&environment);
    let describe = |arguments: &[&str]| {
        let arguments = [&["describe", "component", "vpc", "-s", "dev", "--provenance"], arguments].concat();
        atmos(&environment, &root, &arguments).succeeded()
    };
    let vars = describe(&["--query", ".vars"]).stdout;
    assert!(vars.contains("stage: dev  # stacks/deploy/dev.yaml:2\n"), "{vars}");
    assert!(vars.contains("at: dev  # stacks/catalog/vpc.yaml:1\n"), "{vars}");
    let whole = describe(&[]).stdout;
    assert!(whole.contains("  cidr: 10.0.0.0/16  # stacks/catalog/vpc.yaml:1\n"), "{whole}");
    let document = describe(&["--format", "json"]).json();
    let stage = json!({"path": "vars.stage", "file": "stacks/deploy/dev.yaml", "line": 2, "column": 8});
    assert!(document["provenance"].as_array().unwrap().contains(&stage), "{document}");
}

#[test]
fn the_environment_and_files_above_atmos_yaml_are_found() {
    let environment = TestEnvironment::new();
    let root = tree(&environment);
    let below = root.join("config");
    std::fs::create_dir_all(&below).unwrap();
    std::fs::write(below.join("atmos.yaml"), "base_path: ..\nstacks: {included_paths: [deploy/dev.yaml]}\n")
        .unwrap();
    let mut command = environment.command(ATMOS, &below);
    command.args(["describe", "component", "vpc", "-s", "a-dev", "--format", "json"]);
    command.env("ATMOS_STACKS_NAME_TEMPLATE", "a-{{ .vars.stage }}");
    command.env("ATMOS_COMPONENTS_TERRAFORM_COMMAND", "tofu");
    let described = Running::start(command).wait().succeeded().json();
    assert_eq!((&described["command"], &described["workspace"]), (&json!("tofu"), &json!("a-dev")));
    assert_eq!(described["component_info"]["component_path"], json!("components/terraform/vpc"));
}

#[test]
fn base_paths_lead_where_they_are_typed_and_no_stacks_are_an_error() {
    let environment = TestEnvironment::new();
    let root = environment.path("based");
    let module = root.join("components/terraform/app");
    for folder in [&module, &root.join("cfg"), &root.join("stacks/orgs")] {
        std::fs::create_dir_all(folder).unwrap();
    }
    let configure = |included: &str, more: &str| {
        let text = format!("stacks: {{included_paths: [{included}]}}\n{more}");
        std::fs::write(root.join("cfg/atmos.yaml"), text).unwrap();
    };
    let component = "components: {terraform: {app: {vars: {a: 1}}}}\n";
    std::fs::write(root.join("stacks/orgs/dev.yaml"), component).unwrap();
    let absolute = root.to_str().unwrap();
    let query = ["describe", "stacks", "--query", ".\"orgs/dev\".components.terraform.app.vars.a"];
    let shows = |folder: &Path, flags: &[&str], variables: &[(&str, &str)]| {
        let mut command = environment.command(ATMOS, folder);
        command.args([flags, &query[..]].concat()).envs(variables.iter().copied());
        Running::start(command).wait()
    };
    configure("./orgs/**/*", "");
    let found = |run: Run| assert_eq!(run.succeeded().stdout.trim(), "1");
    found(shows(&root, &["--config", "cfg/atmos.yaml", "--base-path", absolute], &[]));
    found(shows(&root, &["--config", "cfg/atmos.yaml", "--base-path", "."], &[]));
    found(shows(&module, &["--config", "../../../cfg/atmos.yaml", "--base-path", "../../.."], &[]));
    let folder = root.join("cfg");
    let variables = [("ATMOS_CLI_CONFIG_PATH", folder.to_str().unwrap()), ("ATMOS_BASE_PATH", absolute)];
    found(shows(&root, &[], &variables));
    configure("orgs/*", &format!("base_path: {absolute}\n"));
    found(shows(&module, &["--config", "../../../cfg/atmos.yaml"], &[]));

    configure("nope/**/*", &format!("base_path: {absolute}\n"));
    shows(&root, &["--config", "cfg/atmos.yaml"], &[])
        .refused(2, "there are no stacks: of the files in stacks");
    shows(&root, &["--config", "cfg/atmos.yaml", "--base-path", "cfg"], &[])
        .refused(2, "there are no stacks: the stacks folder cfg/stacks is not there");
    shows(&root, &["--config", "cfg/atmos.yaml"], &[("ATMOS_PROFILE", "dev")]).refused(2, "profiles");
}
