//! The effect of settings on components, and the output of `describe`.

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

#[test]
fn what_fails_is_shown_as_it_is_written_beside_the_rest() {
    let tree = Tree::default()
        .with("deploy/a.yaml", "vars: {stage: a}\ncomponents: {terraform: {good: {vars: {x: '{{ .vars.stage }}'}}}}\n")
        .with(
            "deploy/b.yaml",
            "vars: {stage: b}\ncomponents:\n  terraform:\n    bad:\n      vars:\n        p: !secret db\n        \
             list: [1, !exec ls]\n        made: '{{ .vars.p }}-x'\n        fine: '{{ .vars.stage }}'\n    \
             lost: {metadata: {inherits: [nowhere]}}\n",
        );
    let settings = settings();
    let reader = StackReader::new(&tree, &settings);
    let stacks = reader.all().unwrap();
    let describer = |tolerates| Describer::new(&reader, &Nothing, Processing::DESCRIBE).tolerating(tolerates);
    let filter = Filter { sections: vec!["vars".to_owned()], ..Filter::default() };
    let listing = describer(true).stacks(&stacks, &filter).unwrap();
    assert_eq!(listing.stacks["a"]["components"]["terraform"]["good"]["vars"]["x"], json!("a"));
    let bad = &listing.stacks["b"]["components"]["terraform"]["bad"];
    assert_eq!(
        bad["vars"],
        json!({"stage": "b", "p": "!secret db", "list": [1, "!exec ls"], "made": "{{ .vars.p }}-x", "fine": "b"})
    );
    let secret = "stacks/deploy/b.yaml:6:12: the YAML function `!secret` is not supported";
    assert_eq!(
        bad["failures"][0],
        json!({"path": "vars.p", "message": secret, "file": "stacks/deploy/b.yaml", "line": 6, "column": 12})
    );
    let lost = &listing.stacks["deploy/b"]["components"]["terraform"]["lost"];
    assert!(lost["failures"][0]["message"].as_str().unwrap().contains("inherits from nowhere"), "{lost}");
    let mut failed: Vec<_> = listing
        .failures
        .iter()
        .map(|failed| [&failed.place[..], &failed.failure.path].concat().join("."))
        .collect();
    failed.sort_unstable();
    let of_bad = "b.components.terraform.bad.vars";
    let expected = [format!("{of_bad}.list.1"), format!("{of_bad}.made"), format!("{of_bad}.p")];
    assert_eq!(failed[..3], expected);
    assert_eq!(failed[3..], ["deploy/b.components.terraform.lost"]);

    let found = describer(true).find(&stacks, "b", None, "bad").unwrap();
    assert_eq!((found.failures.len(), found.workspace.as_deref()), (3, Some("b")));
    assert!(describer(false).find(&stacks, "b", None, "bad").unwrap_err().to_string().contains("!secret"));
    assert!(describer(false).stacks(&stacks, &filter).is_err());
}

#[test]
fn each_value_has_the_line_that_it_is_written_on() {
    let tree = Tree::default()
        .with(
            "catalog/app.yaml",
            "components:\n  terraform:\n    base:\n      vars:\n        size: 1\n        tags: {a: 1, b: 2}\n",
        )
        .with(
            "deploy/dev.yaml",
            "import: [catalog/app]\nvars:\n  stage: dev\ncomponents:\n  terraform:\n    app:\n      \
             component: base\n      vars:\n        tags: {b: 3}\n        name: '{{ .vars.stage }}'\n      \
             settings: &s {x: 1}\n      env: *s\n",
        );
    let settings = settings();
    let reader = StackReader::new(&tree, &settings);
    let stacks = reader.all().unwrap();
    let describer = Describer::new(&reader, &Nothing, Processing::DESCRIBE).tracing_lines(true);
    let app = describer.find(&stacks, "dev", None, "app").unwrap();
    let place = |path: &str| {
        let found = app.provenance.iter().find(|found| found.path.join(".") == path)?;
        Some((found.file.as_str(), found.line.map(|(line, _)| line)))
    };
    assert_eq!(place("vars.stage"), Some(("stacks/deploy/dev.yaml", Some(3))));
    assert_eq!(place("vars.size"), Some(("stacks/catalog/app.yaml", Some(5))));
    assert_eq!(place("vars.tags.a"), Some(("stacks/catalog/app.yaml", Some(6))));
    assert_eq!(place("vars.tags.b"), Some(("stacks/deploy/dev.yaml", Some(9))));
    assert_eq!(place("vars.name"), Some(("stacks/deploy/dev.yaml", Some(10))));
    assert_eq!(place("settings.x"), Some(("stacks/deploy/dev.yaml", Some(11))));
    // An alias refers to a value written elsewhere.
    assert_eq!(place("env.x"), Some(("stacks/deploy/dev.yaml", None)));
    assert_eq!(place("inheritance"), None);
}
