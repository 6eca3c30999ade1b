//! Whole trees of stacks in memory, read and described.

use std::collections::BTreeMap;
use std::io;

use serde_json::{Value as Json, json};

use super::*;

mod describing;
mod limits;

/// Files in memory; one that holds `unreadable` must not be read.
#[derive(Default)]
struct Tree(BTreeMap<String, String>);

impl Tree {
    fn with(mut self, path: &str, text: &str) -> Self {
        self.0.insert(format!("stacks/{path}"), text.to_owned());
        self
    }
}

impl StackFiles for Tree {
    fn read(&self, path: &str) -> io::Result<Option<String>> {
        match self.0.get(path) {
            Some(text) if text == "unreadable" => Err(io::Error::other("must not be read")),
            text => Ok(text.cloned()),
        }
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let below = format!("{directory}/");
        Ok(self.0.keys().filter(|path| path.starts_with(&below)).cloned().collect())
    }
}

struct Nothing;

impl Functions for Nothing {
    fn environment(&self, _: &str) -> Option<String> {
        None
    }

    fn repository_root(&self) -> Option<String> {
        None
    }

    fn terraform_output(&self, _: &OutputRequest<'_>) -> Result<Json, String> {
        Err("nothing is deployed".to_owned())
    }
}

fn settings() -> StackSettings {
    StackSettings {
        included_paths: vec!["deploy/**/*".to_owned()],
        excluded_paths: vec!["**/_defaults.yaml".to_owned()],
        name_template: Some("{{ .vars.stage }}".to_owned()),
        ..StackSettings::default()
    }
}

fn find_by(
    tree: &Tree,
    settings: &StackSettings,
    stack: &str,
    component: &str,
) -> Result<StackComponent, StackError> {
    let reader = StackReader::new(tree, settings);
    let stacks = reader.all()?;
    Describer::new(&reader, &Nothing, Processing::STRICT).find(&stacks, stack, None, component)
}

fn find(tree: &Tree, stack: &str, component: &str) -> StackComponent {
    find_by(tree, &settings(), stack, component).unwrap()
}

fn refusal(tree: &Tree, stack: &str, component: &str) -> String {
    find_by(tree, &settings(), stack, component).unwrap_err().to_string()
}

#[test]
fn imports_are_merged_depth_first_and_then_the_file() {
    let tree = Tree::default()
        .with("catalog/a.yml", "import: [./inner/*]\nvars: {x: a, from_a: 1}\n")
        .with("catalog/inner/b.yaml", "vars: {x: b, from_b: 1}\n")
        .with("catalog/c.yaml", "vars: {x: c, y: c}\ncomponents: {terraform: {app: {vars: {z: c}}}}\n")
        .with(
            "deploy/dev.yaml",
            "import:\n- catalog/a\n- {path: catalog/c.yaml}\n- {path: nope, skip_if_missing: true}\n\
             vars: {stage: dev, y: dev}\n",
        );
    let component = find(&tree, "dev", "app");
    assert_eq!(
        component.sections["vars"],
        json!({"x": "c", "from_b": 1, "from_a": 1, "y": "dev", "stage": "dev", "z": "c"})
    );
    assert_eq!(component.sections["imports"], json!(["catalog/a", "catalog/c", "catalog/inner/b"]));
    assert_eq!(
        component.sections["deps"],
        json!(["catalog/a", "catalog/c", "catalog/inner/b", "deploy/dev"])
    );
}

#[test]
fn broken_imports_name_the_chain() {
    let tree = Tree::default()
        .with("deploy/dev.yaml", "import: [catalog/a]\n")
        .with("catalog/a.yaml", "vars: {}\nimport:\n  - nope\n");
    assert_eq!(
        refusal(&tree, "dev", "app"),
        "stacks/catalog/a.yaml:3:5: the import \"nope\" is not there \
         (imported by stacks/deploy/dev.yaml → stacks/catalog/a.yaml)"
    );
    let tree = tree.with("catalog/a.yaml", "import: [deploy/dev]\n");
    assert_eq!(
        refusal(&tree, "dev", "app"),
        "the imports go in a circle: stacks/deploy/dev.yaml → stacks/catalog/a.yaml → stacks/deploy/dev.yaml"
    );
    let tree = tree.with("catalog/a.yaml", "import: [../../../etc/passwd]\n");
    assert!(refusal(&tree, "dev", "app").contains("leads out of the repository"));
}

#[test]
fn an_import_can_be_given_a_context() {
    let tree = Tree::default()
        .with(
            "catalog/app.yaml",
            "components:\n  terraform:\n    'app-{{ .flavor }}':\n      vars:\n        size: '{{ .size }}'\n        \
             name: '{{ .flavor }}-{{ .vars.stage }}'\n",
        )
        .with("catalog/raw.yaml.tmpl", "vars:\n  enabled: {{ .enabled }}\n")
        .with(
            "deploy/dev.yaml",
            "import:\n- {path: catalog/app, context: {flavor: blue, size: [1, 2]}}\n\
             - {path: catalog/app, context: {flavor: red, size: 3}}\n\
             - {path: catalog/raw, context: {enabled: true}}\nvars: {stage: dev}\n",
        );
    let blue = find(&tree, "dev", "app-blue").variables();
    assert_eq!(json!(blue), json!({"enabled": true, "stage": "dev", "size": [1, 2], "name": "blue-dev"}));
    assert_eq!(find(&tree, "dev", "app-red").variables()["size"], json!(3));
}

#[test]
fn locals_are_the_files_own() {
    let tree = Tree::default()
        .with("catalog/a.yaml", "locals: {secret: a}\nvars: {of_a: '{{ .locals.secret }}'}\n")
        .with(
            "deploy/dev.yaml",
            "import: [catalog/a]\nlocals: {full: '{{ .locals.base }}-x', base: b, home: !env HOME dir}\n\
             vars: {stage: dev}\ncomponents: {terraform: {app: {vars: \
             {full: '{{ .locals.full }}', home: 'at {{ .locals.home }}'}}}}\n",
        );
    let variables = find(&tree, "dev", "app").variables();
    assert_eq!(json!(variables), json!({"of_a": "a", "stage": "dev", "full": "b-x", "home": "at dir"}));
    let circle = tree.with("deploy/dev.yaml", "locals: {a: '{{ .locals.b }}', b: '{{ .locals.a }}'}\n");
    assert_eq!(
        refusal(&circle, "dev", "app"),
        "stacks/deploy/dev.yaml:1:13: the locals refer to each other in a circle: a → b → a"
    );
}

#[test]
fn components_inherit_by_both_chains() {
    let tree = Tree::default().with(
        "deploy/dev.yaml",
        "vars: {stage: dev, v: global}\nterraform: {vars: {k: kind, v: kind}, backend_type: s3, \
         backend: {s3: {bucket: b}}}\ncomponents:\n  terraform:\n\
        \x20   root: {metadata: {type: abstract, component: code/app, labels: {a: 1}}, vars: {v: root, r: 1}, \
         settings: {spacelift: {workspace_enabled: true}}}\n\
        \x20   middle: {metadata: {inherits: [root]}, vars: {m: 1, v: middle}}\n\
        \x20   other: {vars: {o: 1, v: other}, backend_type: gcs, backend: {gcs: {bucket: g}}}\n\
        \x20   app: {metadata: {component: code/app, inherits: [middle, other]}, vars: {a: 1}, \
         env: {A: x}, command: tofu}\n\
        \x20   plain: {component: code/plain}\n\
        \x20   old: {component: plain, vars: {a: 2}}\n\
        \x20   older: {component: old}\n",
    );
    let app = find(&tree, "dev", "app");
    assert_eq!(
        app.sections["vars"],
        json!({"stage": "dev", "v": "other", "k": "kind", "r": 1, "m": 1, "o": 1, "a": 1})
    );
    assert_eq!(app.sections["inheritance"], json!(["other", "middle", "root"]));
    assert_eq!(app.sections["metadata"]["labels"], json!({"a": 1}));
    assert_eq!(app.sections["backend"], json!({"bucket": "g", "prefix": "code-app"}));
    assert_eq!((app.workspace.as_deref(), app.folder()), (Some("dev-app"), "code/app"));
    assert_eq!(app.variables_file(), "dev-code-app.terraform.tfvars.json");
    assert_eq!(
        app.backend_file(),
        Some(json!({"terraform": {"backend": {"gcs": {"bucket": "g", "prefix": "code-app"}}}}))
    );
    assert!(!app.is_abstract && app.is_enabled);

    let old = find(&tree, "dev", "old");
    assert_eq!(old.sections["component"], json!("plain"));
    assert_eq!(old.sections["backend"], json!({"bucket": "b", "workspace_key_prefix": "plain"}));
    let older = find(&tree, "dev", "older");
    assert_eq!((older.folder(), &older.sections["vars"]["a"]), ("plain", &json!(2)));
    // A base that the stack does not define is none.
    let plain = find(&tree, "dev", "plain");
    assert_eq!((plain.folder(), plain.workspace.as_deref()), ("plain", Some("dev")));
    let root = find(&tree, "dev", "root");
    assert!(root.is_abstract);
    assert_eq!(root.sections["settings"], json!({"spacelift": {}}));
}

#[test]
fn inheritance_that_cannot_be_is_refused() {
    let tree = Tree::default().with(
        "deploy/dev.yaml",
        "vars: {stage: dev}\ncomponents:\n  terraform:\n    a: {metadata: {inherits: [nope]}}\n    \
         b: {metadata: {inherits: [c]}}\n    c: {metadata: {inherits: [d]}}\n    d: {metadata: {inherits: [c]}}\n",
    );
    assert_eq!(
        refusal(&tree, "dev", "a"),
        "deploy/dev: the component a inherits from nope, which the stack does not define"
    );
    assert_eq!(
        refusal(&tree, "dev", "b"),
        "deploy/dev: components inherit from each other in a circle: b → c → d → c"
    );
}

#[test]
fn overrides_change_what_the_file_and_its_imports_define() {
    let tree = Tree::default()
        .with("catalog/app.yaml", "components: {terraform: {app: {vars: {x: base}}}}\n")
        .with("team.yaml", "import: [catalog/app]\noverrides: {vars: {x: team, t: 1}, command: make}\n")
        .with("deploy/dev.yaml", "import: [team]\nvars: {stage: dev}\nterraform: {overrides: {vars: {x: dev}}}\n")
        .with(
            "deploy/prod.yaml",
            "import: [catalog/other, team]\nvars: {stage: prod}\ncomponents: {terraform: {app: {vars: {y: 1}}}}\n",
        )
        .with("catalog/other.yaml", "components: {terraform: {other: {vars: {x: other}}}}\n");
    let dev = find(&tree, "dev", "app");
    assert_eq!(dev.sections["vars"], json!({"stage": "dev", "x": "dev", "t": 1}));
    assert_eq!(dev.sections["command"], json!("make"));
    let prod = find(&tree, "prod", "app");
    assert_eq!(prod.sections["vars"], json!({"stage": "prod", "x": "team", "y": 1, "t": 1}));
    assert_eq!(find(&tree, "prod", "other").sections["vars"]["x"], json!("other"));
}

#[test]
fn a_stack_has_one_valid_name() {
    let tree = Tree::default()
        .with("deploy/one.yaml", "vars: {stage: dev}\ncomponents: {terraform: {app: {}}}\n")
        .with("deploy/two.yaml", "name: second\nvars: {stage: x}\ncomponents: {terraform: {app: {}}}\n")
        .with("deploy/_defaults.yaml", "import: [nope]\n");
    assert_eq!(find(&tree, "dev", "app").stack_file, "deploy/one");
    assert_eq!(find(&tree, "second", "app").workspace.as_deref(), Some("second"));
    assert_eq!(
        refusal(&tree, "deploy/two", "app"),
        "there is no stack \"deploy/two\"; did you mean \"second\"?"
    );
    assert_eq!(
        refusal(&tree, "dev", "ap"),
        "the stack \"dev\" has no component \"ap\"; did you mean \"app\"?"
    );
    let by_pattern = StackSettings {
        name_template: None,
        name_pattern: Some("{tenant}-{stage}".to_owned()),
        ..settings()
    };
    assert!(find_by(&tree, &by_pattern, "deploy/one", "app").is_ok(), "no tenant: known by its file");
}

#[test]
fn several_files_make_a_stack_as_long_as_they_agree() {
    let shared = "vars: {stage: dev}\ncomponents: {terraform: {app: {vars: {x: 1}}, NAME: {}}}\n";
    let tree = Tree::default()
        .with("deploy/a.yaml", &shared.replace("NAME", "a"))
        .with("deploy/b.yaml", &shared.replace("NAME", "b"));
    assert_eq!(find(&tree, "dev", "app").stack_file, "deploy/a");
    let reader_settings = settings();
    let reader = StackReader::new(&tree, &reader_settings);
    let describer = Describer::new(&reader, &Nothing, Processing::DESCRIBE);
    let filter = Filter { sections: vec!["vars".to_owned()], ..Filter::default() };
    let all = describer.stacks(&reader.all().unwrap(), &filter).unwrap();
    assert_eq!(
        json!(all.stacks),
        json!({"dev": {"components": {"terraform": {
            "a": {"vars": {"stage": "dev"}}, "app": {"vars": {"stage": "dev", "x": 1}},
            "b": {"vars": {"stage": "dev"}},
        }}}})
    );
    let tree =
        tree.with("deploy/b.yaml", "vars: {stage: dev}\ncomponents: {terraform: {app: {vars: {x: 2}}}}\n");
    assert_eq!(
        refusal(&tree, "dev", "app"),
        "the stack name \"dev\" is ambiguous for the component app: it is made by deploy/a, deploy/b"
    );
}

#[test]
fn what_is_not_supported_is_refused_only_where_it_is_needed() {
    let tree = Tree::default()
        .with(
            "deploy/dev.yaml",
            "vars: {stage: dev}\ncomponents:\n  terraform:\n    app: {}\n    shell:\n      vars: {x: !exec ls}\n",
        )
        .with("deploy/logic.yaml", "vars:\n  stage: logic\n  {{ if .x }}\n  y: 1\n  {{ end }}\n")
        .with("deploy/remote.yaml", "import: ['https://example.com/x.yaml']\n");
    assert!(find(&tree, "dev", "app").is_enabled);
    assert_eq!(
        refusal(&tree, "dev", "shell"),
        "stacks/deploy/dev.yaml:6:17: the YAML function `!exec` is not supported"
    );
    assert!(
        refusal(&tree, "logic", "app")
            .starts_with("stacks/deploy/logic.yaml:3:3: the template `{{ if .x }}`")
    );
}

#[test]
fn a_composed_stack_reads_its_imports_and_nothing_else() {
    let tree = Tree::default()
        .with("catalog/vpc.yaml", "vars: {region: eu}\ncomponents: {terraform: {vpc: {vars: {cidr: a, x: '{{ .vars.region }}'}}}}\n")
        .with("catalog/other.yaml", "unreadable")
        .with("deploy/dev.yaml", "unreadable");
    let reader_settings = settings();
    let reader = StackReader::new(&tree, &reader_settings);
    let at = Location { file: "deployments/api.yaml".into(), line: 3, column: 5 };
    let import = |path: &str| ImportRequest { path: path.to_owned(), at: at.clone() };
    let content = json!({"components": {"terraform": {
        "vpc": {"vars": {"cidr": "b", "raw": "{{ git.sha }}"}}, "app": {"metadata": {"component": "ecs"}},
    }}});
    let compose = |imports: &[ImportRequest]| {
        reader.compose("api-dev", "deployments/api.yaml", imports, content.as_object().unwrap())
    };
    let stack = compose(&[import("catalog/vpc"), import("../stacks/catalog/vpc")]).unwrap();
    let describer = Describer::new(&reader, &Nothing, Processing::STRICT);
    let vpc = describer.component(&stack, Some("terraform"), "vpc").unwrap();
    assert_eq!(vpc.sections["vars"], json!({"region": "eu", "cidr": "b", "x": "eu", "raw": "{{ git.sha }}"}));
    let app = describer.component(&stack, None, "app").unwrap();
    assert_eq!((app.workspace.as_deref(), app.folder()), (Some("api-dev-app"), "ecs"));

    let missing = compose(&[import("catalog/nope")]).unwrap_err();
    assert_eq!(missing.location(), Some(&at));
}

#[test]
fn aliased_providers_become_lists() {
    let tree = Tree::default().with(
        "deploy/dev.yaml",
        "vars: {stage: dev}\ncomponents: {terraform: {app: {providers: \
         {aws.b: {alias: own}, aws: {region: x}, null: {}, aws.a: {region: y}, google.z: {}}}}}\n",
    );
    assert_eq!(
        find(&tree, "dev", "app").providers_file(),
        Some(json!({"provider": {"aws": [{"region": "x"}, {"region": "y", "alias": "a"}, {"alias": "own"}],
                                "null": {}, "google": [{"alias": "z"}]}}))
    );
}

#[test]
fn state_has_a_place_of_its_own() {
    let tree = |kind: &str, own: &str| {
        Tree::default().with(
            "deploy/dev.yaml",
            &format!(
                "vars: {{stage: dev}}\nterraform: {{{kind}}}\ncomponents: {{terraform: {{net/vpc: {{{own}}}}}}}\n"
            ),
        )
    };
    let azure = "backend_type: azurerm, backend: {azurerm: {key: shared}}";
    let backend =
        |kind: &str, own: &str| find(&tree(kind, own), "dev", "net/vpc").sections["backend"].clone();
    assert_eq!(backend(azure, ""), json!({"key": "shared/net-vpc.terraform.tfstate"}));
    assert_eq!(backend(azure, "backend: {azurerm: {key: mine}}"), json!({"key": "mine"}));
    assert_eq!(
        backend("backend_type: s3, backend: {s3: {}}", "metadata: {name: n}"),
        json!({"workspace_key_prefix": "n"})
    );
    assert_eq!(
        refusal(&tree("backend_type: s3, backend: {gcs: {}}", ""), "dev", "net/vpc"),
        "deploy/dev: the component net/vpc has `backend_type: s3`, but `backend` only configures gcs"
    );
}

#[test]
fn workspaces_can_be_named() {
    let workspace = |metadata: &str, backend_type: &str| {
        let tree = Tree::default().with(
            "deploy/dev.yaml",
            &format!(
                "vars: {{stage: dev, tenant: t}}\ncomponents: {{terraform: {{net/vpc: \
                 {{backend_type: '{backend_type}', metadata: {{{metadata}}}}}}}}}\n"
            ),
        );
        find(&tree, "dev", "net/vpc").workspace.unwrap()
    };
    assert_eq!(workspace("", ""), "dev");
    assert_eq!(workspace("component: vpc", ""), "dev-net-vpc");
    assert_eq!(workspace("terraform_workspace: fixed", ""), "fixed");
    assert_eq!(workspace("terraform_workspace_pattern: '{tenant}-{component}'", ""), "t-net-vpc");
    let template = "terraform_workspace_template: 'w-{{ .vars.tenant }}'";
    assert_eq!(workspace(template, ""), "w-t");
    let pattern = "terraform_workspace_pattern: '{stage}'";
    assert_eq!(workspace(&format!("terraform_workspace: fixed, {pattern}, {template}"), ""), "fixed");
    assert_eq!(workspace(&format!("{pattern}, {template}"), ""), "w-t");
    assert_eq!(workspace("component: vpc", "http"), "default");
}

mod functions;
mod locals;
mod templates;
