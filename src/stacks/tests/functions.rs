//! YAML functions, and merging of their results.

use super::*;

/// A world in which one component is deployed.
struct Deployed;

impl Functions for Deployed {
    fn environment(&self, name: &str) -> Option<String> {
        (name == "REGION").then(|| "eu".to_owned())
    }

    fn repository_root(&self) -> Option<String> {
        Some("/repo".to_owned())
    }

    fn terraform_output(&self, request: &OutputRequest<'_>) -> Result<Json, String> {
        match (request.component, request.stack, request.output) {
            ("vpc", "dev", "id") => Ok(json!("vpc-1")),
            ("vpc", "dev", "subnets") => Ok(json!([{"id": "a"}, {"id": "b"}])),
            ("vpc", "dev", "arns") => Ok(json!({"app/client": "arn"})),
            _ if request.has_default => Ok(Json::Null),
            _ => Err("there is none".to_owned()),
        }
    }
}

fn variables_of(tree: &Tree, component: &str) -> Result<Json, String> {
    let reader_settings = settings();
    let reader = StackReader::new(tree, &reader_settings);
    let stacks = reader.all().unwrap();
    let component = Describer::new(&reader, &Deployed, Processing::STRICT)
        .find(&stacks, "dev", None, component)
        .map_err(|error| error.to_string())?;
    Ok(component.sections["vars"].clone())
}

fn app(vars: &str) -> Result<Json, String> {
    let text = format!(
        "vars: {{stage: dev}}\ncomponents:\n  terraform:\n    app:\n      \
         metadata: {{tags: [a, 1], labels: {{team: web, cost: 7}}}}\n      vars:\n{vars}"
    );
    variables_of(&Tree::default().with("deploy/dev.yaml", &text), "app")
}

#[test]
fn outputs_are_picked_by_queries() {
    let vars =
        app("        id: !terraform.output vpc id\n        other: !terraform.state vpc dev .id\n        \
         first: !terraform.output vpc .subnets[0].id\n        \
         arn: !terraform.output vpc '.arns[\"app/client\"]'\n        \
         url: !terraform.output vpc dev .id | \"https://\" + .\n        \
         none: !terraform.output vpc .nope // \"default\"\n        \
         many: !terraform.output vpc dev .nope // [\"x\", \"y\"]\n")
        .unwrap();
    assert_eq!(
        vars,
        json!({
            "stage": "dev", "id": "vpc-1", "other": "vpc-1", "first": "a", "arn": "arn",
            "url": "https://vpc-1", "none": "default", "many": ["x", "y"],
        })
    );
    assert_eq!(
        app("        id: !terraform.output vpc nope\n").unwrap_err(),
        "stacks/deploy/dev.yaml:7:13: `!terraform.output` of \"nope\" of vpc in dev: there is none"
    );
    assert!(
        app("        id: !terraform.output vpc .id | map(.)\n").unwrap_err().contains("is not supported at")
    );
    assert!(app("        id: !terraform.output vpc\n").unwrap_err().contains("takes a component"));
}

#[test]
fn a_template_function_decodes_what_comes_out() {
    let vars = app("        text: !template hello\n        number: !template '42'\n        \
         list: !template '{{ toJson .metadata.tags }}'\n        \
         map: !template |\n          {{- dict \"stage\" .vars.stage | toJson -}}\n        bad: !template '{not json'\n        \
         items: [!template '[1]', x]\n")
    .unwrap();
    assert_eq!(
        vars,
        json!({
            "stage": "dev", "text": "hello", "number": 42, "list": ["a", 1], "map": {"stage": "dev"},
            "bad": "{not json", "items": [[1], "x"],
        })
    );
}

#[test]
fn labels_and_tags_are_the_component_s_own() {
    assert_eq!(
        app("        l: !labels\n        k: !labels.keys\n        v: !labels.values\n        t: !tags\n")
            .unwrap(),
        json!({
            "stage": "dev", "l": {"cost": "7", "team": "web"}, "k": ["cost", "team"], "v": ["7", "web"],
            "t": ["a", "1"],
        })
    );
    let tree = Tree::default().with(
        "deploy/dev.yaml",
        "vars: {stage: dev}\ncomponents: {terraform: {app: {vars: {l: !labels '', t: !tags ''}}}}\n",
    );
    assert_eq!(variables_of(&tree, "app").unwrap(), json!({"stage": "dev", "l": {}, "t": []}));
}

#[test]
fn the_root_of_the_repository_has_two_names() {
    assert_eq!(
        app("        a: !repo-root\n        b: !git.root\n").unwrap(),
        json!({"stage": "dev", "a": "/repo", "b": "/repo"})
    );
}

#[test]
fn what_functions_give_is_merged_with_what_stands_over_and_under_it() {
    let tree = Tree::default().with(
        "deploy/dev.yaml",
        "vars: {stage: dev}\nsettings: {conf: {on: true, retries: 3, list: [1]}}\ncomponents:\n  terraform:\n    \
         base:\n      metadata: {type: abstract}\n      vars:\n        \
         under: !template '{{ toJson .settings.conf }}'\n        over: {base: 1, on: false}\n        \
         list: !template '[1, 2]'\n        both: !template '{\"a\": 1, \"b\": {\"x\": 1}}'\n        \
         text: !template '{\"a\": 1}'\n        flip: !template '{\"a\": 1}'\n    \
         mixin: {metadata: {type: abstract}, vars: {flip: none}}\n    \
         app:\n      metadata: {inherits: [base, mixin]}\n      vars:\n        under: {on: false, list: [2]}\n        \
         over: !template '{{ dict \"new\" 2 \"on\" true | toJson }}'\n        list: [3]\n        \
         both: !template '{\"b\": {\"y\": 2}}'\n        text: plain\n        flip: {c: 3}\n    \
         long:\n      metadata: {inherits: [base]}\n      settings: {list_merge_strategy: append}\n      \
         vars: {under: {list: [2]}, list: [3]}\n",
    );
    assert_eq!(
        variables_of(&tree, "app").unwrap(),
        json!({
            "stage": "dev", "under": {"on": false, "retries": 3, "list": [2]},
            "over": {"base": 1, "on": true, "new": 2}, "list": [3],
            "both": {"a": 1, "b": {"x": 1, "y": 2}}, "text": "plain", "flip": {"c": 3},
        })
    );
    let long = variables_of(&tree, "long").unwrap();
    assert_eq!([&long["under"]["list"], &long["list"]], [&json!([1, 2]), &json!([1, 2, 3])]);
}

#[test]
fn a_function_that_is_overridden_by_a_text_is_not_needed() {
    let tree = Tree::default().with(
        "deploy/dev.yaml",
        "vars: {stage: dev}\ncomponents:\n  terraform:\n    \
         base: {metadata: {type: abstract}, vars: {x: !store redis x, y: !exec ls}}\n    \
         app: {metadata: {inherits: [base]}, vars: {x: own, y: null}}\n    \
         bad: {metadata: {inherits: [base]}, vars: {x: {a: 1}, y: null}}\n",
    );
    assert_eq!(variables_of(&tree, "app").unwrap(), json!({"stage": "dev", "x": "own", "y": null}));
    assert_eq!(
        variables_of(&tree, "bad").unwrap_err(),
        "stacks/deploy/dev.yaml:4:50: the YAML function `!store` is not supported"
    );
}

#[test]
fn files_are_included_by_what_they_are() {
    let tree = Tree::default()
        .with("config/a.json", "{\"list\": [\"a\", {\"b\": true}], \"name\": null}")
        .with("config/b.env", "# note\nexport A=1 # one\nB='x y'\nC=\"l\\nm\"\n")
        .with("config/c.tf", "size = \"t3\"\n")
        .with("config/d.txt", "plain\n")
        .with("config/e f.yaml", "x: {k-1: yes}\n")
        .with(
            "deploy/dev.yaml",
            "vars: {stage: dev}\ncomponents:\n  terraform:\n    app:\n      vars:\n        \
             item: !include ../config/a.json .list[1].b\n        \
             none: !include config/a.json .name // \"default\"\n        raw: !include.raw config/c.tf\n        \
             text: !include config/d.txt\n        spaced: !include '\"config/e f.yaml\" \".x.k-1\"'\n      \
             env: !include ../config/b.env\n    tf: {vars: !include config/c.tf }\n",
        );
    let found = find(&tree, "dev", "app");
    assert_eq!(
        found.sections["vars"],
        json!({
            "stage": "dev", "item": true, "none": "default", "raw": "size = \"t3\"\n", "text": "plain\n",
            "spaced": "yes",
        })
    );
    assert_eq!(found.sections["env"], json!({"A": "1", "B": "x y", "C": "l\nm"}));
    assert_eq!(find(&tree, "dev", "tf").sections["vars"], json!({"stage": "dev", "size": "t3"}));
}

#[test]
fn a_section_that_is_a_missing_file_is_named_with_that_file() {
    let tree = Tree::default()
        .with("catalog/base.yaml", "components: {terraform: {app: {vars: {a: 1}}}}\n")
        .with(
            "deploy/dev.yaml",
            "import: [catalog/base]\nvars: {stage: dev}\ncomponents: {terraform: {app: {vars: !include ../gone.tfvars}}}\n",
        );
    let error = find_by(&tree, &settings(), "dev", "app").unwrap_err().to_string();
    assert!(error.contains("`!include ../gone.tfvars` cannot make up the section `vars`"), "{error}");
    assert!(error.contains("there is no such file"), "{error}");
}
