//! What the settings change about components, and what describing them shows.

use serde_json::json;

use super::super::*;
use super::{Nothing, Tree, find, find_by, settings};

#[test]
fn sources_and_the_environment_of_all_components_follow_the_settings() {
    let tree = Tree::default().with(
        "deploy/dev.yaml",
        "vars: {stage: dev}\nenv: {A: stack}\ncomponents:\n  terraform:\n    base: {source: {uri: u}, provision: {workdir: {enabled: true}}}\n    \
         app: {metadata: {inherits: [base]}, env: {C: own}}\n",
    );
    let mut settings = settings();
    let text = || Variable::Text("all".to_owned());
    settings.env = [("A", text()), ("B", text())].map(|(name, value)| (name.to_owned(), value)).into();
    let app = find_by(&tree, &settings, "dev", "app").unwrap();
    assert_eq!(app.sections["env"], json!({"A": "stack", "B": "all", "C": "own"}));
    assert_eq!(app.sections["source"], json!({"uri": "u"}));
    settings.inherit.source = false;
    let at = Location { file: "atmos.yaml".into(), line: 3, column: 5 };
    let function = Variable::Function { tag: "!exec".to_owned(), argument: "ls".to_owned(), at };
    settings.env.insert("C".to_owned(), function.clone());
    let app = find_by(&tree, &settings, "dev", "app").unwrap();
    assert_eq!((&app.sections["source"], &app.sections["provision"]), (&json!({}), &json!({})));
    settings.env.insert("D".to_owned(), function);
    assert_eq!(
        find_by(&tree, &settings, "dev", "app").unwrap_err().to_string(),
        "atmos.yaml:3:5: the YAML function `!exec` is not supported"
    );
}

#[test]
fn the_github_integration_of_the_settings_is_the_lowest_layer_of_every_component_s() {
    let tree = Tree::default().with(
        "deploy/dev.yaml",
        "vars: {stage: dev}\nsettings: {integrations: {github: {gitops: {role: stack}}}}\n\
         components: {terraform: {app: {settings: {integrations: {slack: {channel: ops}}}}}}\n",
    );
    let mut settings = settings();
    let github = json!({"gitops": {"role": "all", "region": "eu"}});
    settings.github_integration = github.as_object().unwrap().clone();
    let app = find_by(&tree, &settings, "dev", "app").unwrap();
    assert_eq!(
        app.sections["settings"]["integrations"],
        json!({"github": {"gitops": {"role": "stack", "region": "eu"}}, "slack": {"channel": "ops"}})
    );
}

#[test]
fn a_listing_computes_what_it_shows_and_keeps_what_manifests_disagree_about() {
    let manifest = "vars: {stage: dev}\ncomponents:\n  terraform:\n    base: {vars: {x: X, y: !exec ls}}\n    \
                    made: {metadata: {component: base}}\n    other: {}\n";
    let tree = Tree::default()
        .with("deploy/a.yaml", &manifest.replace('X', "1"))
        .with("deploy/b.yaml", &manifest.replace('X', "2"))
        .with("deploy/empty.yaml", "name: nothing\n");
    let settings = settings();
    let reader = StackReader::new(&tree, &settings);
    let stacks = reader.all().unwrap();
    let list = |filter: &Filter, skipped: &[&str]| {
        let skipped = skipped.iter().map(|name| (*name).to_owned()).collect();
        Describer::new(&reader, &Nothing, Processing::DESCRIBE).skipping(skipped).stacks(&stacks, filter)
    };
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let filter =
        Filter { components: texts(&["base"]), sections: texts(&["workspace"]), ..Filter::default() };
    let listing = list(&filter, &[]).unwrap();
    assert_eq!(
        json!(listing.stacks),
        json!({"dev": {"components": {"terraform": {
            "base": {"workspace": "dev"}, "made": {"workspace": "dev-made"},
        }}}})
    );
    assert!(listing.conflicts.is_empty(), "what is shown is the same");

    let filter = Filter { sections: texts(&["vars"]), ..Filter::default() };
    assert!(list(&filter, &[]).unwrap_err().to_string().contains("`!exec` is not supported"));
    let listing = list(&filter, &["exec"]).unwrap();
    assert_eq!(
        listing.stacks["dev"]["components"]["terraform"]["base"],
        json!({"vars": {"stage": "dev", "x": 1, "y": "!exec ls"}})
    );
    let conflicts: Vec<String> = listing.conflicts.iter().map(ToString::to_string).collect();
    assert_eq!(
        conflicts,
        ["the stack name \"dev\" is ambiguous for the component base: it is made by deploy/a, deploy/b"]
    );

    let filter = Filter { sections: texts(&["none"]), ..Filter::default() };
    assert_eq!(json!(list(&filter, &[]).unwrap().stacks), json!({}));
    let filter = Filter { empty_stacks: true, components: texts(&["other"]), ..filter };
    assert_eq!(
        json!(list(&filter, &[]).unwrap().stacks),
        json!({"dev": {"components": {"terraform": {"other": {}}}}, "nothing": {"components": {}}})
    );
}

#[test]
fn the_components_that_are_made_of_a_folder_are_found() {
    let tree = Tree::default().with(
        "deploy/dev.yaml",
        "vars: {stage: dev}\ncomponents: {terraform: {net/vpc: {}, two: {metadata: {component: net/vpc}}, three: {component: two}}}\n",
    );
    let settings = settings();
    let reader = StackReader::new(&tree, &settings);
    let stacks = reader.all().unwrap();
    let describer = Describer::new(&reader, &Nothing, Processing::DESCRIBE);
    let made_of = |kind: &str, folder: &str| describer.made_of(&stacks, "dev", kind, folder).unwrap();
    assert_eq!(made_of("terraform", "net/vpc"), ["net/vpc", "two"]);
    assert_eq!(made_of("terraform", "two"), ["three", "two"]);
    assert!(made_of("helmfile", "net/vpc").is_empty() && made_of("terraform", "nope").is_empty());
}

#[test]
fn the_names_that_other_tools_know_a_component_by_are_shown_and_seen() {
    let tree = |spacelift: &str, atlantis: &str| {
        Tree::default().with(
            "deploy/dev.yaml",
            &format!(
                "vars: {{stage: dev, name: '{{{{ .spacelift_stack }}}}'}}\ncomponents: {{terraform: {{net/vpc: {{settings: \
                 {{spacelift: {{workspace_enabled: true{spacelift}}}, atlantis: {{project_template: {{name: '{atlantis}'}}}}}}}}}}}}\n"
            ),
        )
    };
    let names = |spacelift: &str, atlantis: &str| {
        let sections = find(&tree(spacelift, atlantis), "dev", "net/vpc").sections;
        assert_eq!(sections["vars"]["name"], sections["spacelift_stack"]);
        (sections["spacelift_stack"].clone(), sections.get("atlantis_project").cloned())
    };
    assert_eq!(names("", ""), (json!("dev-net-vpc"), None));
    assert_eq!(
        names(", stack_name_pattern: '{component}-{stage}'", "{stage}/{component}"),
        (json!("net-vpc-dev"), Some(json!("dev/net-vpc")))
    );
    assert_eq!(names(", stack_name: fixed", "").0, json!("fixed"));
    let off = tree(", stack_name: fixed", "").with(
        "deploy/dev.yaml",
        "vars: {stage: dev}\ncomponents: {terraform: {net/vpc: {settings: {spacelift: {workspace_enabled: false}}}}}\n",
    );
    assert!(!find(&off, "dev", "net/vpc").sections.contains_key("spacelift_stack"));
}
