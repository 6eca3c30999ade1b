//! `locals`, of files and of components.

use super::*;

fn variables(tree: &Tree, component: &str) -> Json {
    json!(find(tree, "dev", component).variables())
}

#[test]
fn a_local_can_be_computed_from_functions_and_logic() {
    let tree = Tree::default().with(
        "deploy/dev.yaml",
        "locals:\n  home: !env HOME dir\n  at: '{{ .locals.home }}/x'\n  \
         tier: '{{ if eq .vars.stage \"prod\" }}gold{{ else }}{{ .vars.stage }}{{ end }}'\n  \
         deep: {list: ['{{ .locals.at }}']}\nvars: {stage: dev}\n\
         components: {terraform: {app: {vars: {at: '{{ .locals.at }}', tier: '{{ .locals.tier | upper }}', \
         deep: '{{ .locals.deep }}'}}}}\n",
    );
    assert_eq!(
        variables(&tree, "app"),
        json!({"stage": "dev", "at": "dir/x", "tier": "DEV", "deep": {"list": ["dir/x"]}})
    );
}

#[test]
fn the_locals_of_a_kind_stand_over_those_of_the_file_and_leave_them_alone() {
    let tree = Tree::default().with(
        "deploy/dev.yaml",
        "locals: {name: global, full: '{{ .locals.name }}-x'}\nvars: {stage: dev}\n\
         terraform:\n  vars: {region: eu}\n  locals: {name: own, state: '{{ .locals.full }}-{{ .vars.region }}'}\n\
         components: {terraform: {app: {vars: {name: '{{ .locals.name }}', full: '{{ .locals.full }}', \
         state: '{{ .locals.state }}'}}}}\n",
    );
    let variables = variables(&tree, "app");
    assert_eq!(
        [&variables["name"], &variables["full"], &variables["state"]],
        [&json!("own"), &json!("global-x"), &json!("global-x-eu")]
    );
}

#[test]
fn a_local_sees_its_own_file_and_nothing_else() {
    let tree = Tree::default()
        .with("catalog/a.yaml", "settings: {zone: z}\nlocals: {inner: x}\nvars: {of_a: '{{ .locals.inner }}'}\n")
        .with(
            "deploy/dev.yaml",
            "import: [catalog/a]\nlocals:\n  zone: '{{ .settings.zone }}'\nvars: {stage: dev}\n",
        )
        .with(
            "deploy/other.yaml",
            "import: [catalog/a]\nvars: {stage: other}\nlocals: {own: y}\n\
             components: {terraform: {app: {vars: {own: '{{ .locals.own }}', inner: '{{ .locals.inner }}'}}}}\n",
        );
    assert_eq!(
        refusal(&tree, "dev", "app"),
        "stacks/deploy/dev.yaml:3:9: the local `zone` is `{{ .settings.zone }}`, which needs what the file does not \
         have: locals see the locals, `settings`, `vars` and `env` of their own file only"
    );
    assert_eq!(
        refusal(&tree, "other", "app"),
        "stacks/deploy/other.yaml:4:72: the template `{{ .locals.inner }}` has no value here"
    );
}

#[test]
fn a_file_that_needs_the_component_is_left_to_it_as_a_whole() {
    let tree = Tree::default().with(
        "deploy/dev.yaml",
        "locals: {a: x}\nvars: {stage: dev, size: 1}\ncomponents: {terraform: {app: {vars: {size: 2, \
         shown: '{{ .vars.size }}', name: '{{ .locals.a }}-{{ .atmos_component }}'}}}}\n",
    );
    let variables = variables(&tree, "app");
    assert_eq!([&variables["shown"], &variables["name"]], [&json!("2"), &json!("x-app")]);
}

#[test]
fn components_have_locals_that_they_hand_on() {
    let tree = Tree::default().with(
        "deploy/dev.yaml",
        "locals: {org: acme}\nvars: {stage: dev}\ncomponents:\n  terraform:\n    \
         base: {metadata: {type: abstract}, locals: {kind: base, size: 1}}\n    \
         app: {metadata: {inherits: [base]}, locals: {kind: own, of: '{{ .locals.org }}'}, \
         vars: {kind: '{{ .locals.kind }}', size: '{{ .locals.size }}', of: '{{ .locals.of }}'}}\n",
    );
    let app = find(&tree, "dev", "app");
    assert_eq!(app.sections["locals"], json!({"kind": "own", "size": 1, "of": "acme"}));
    assert_eq!(app.sections["vars"], json!({"stage": "dev", "kind": "own", "size": "1", "of": "acme"}));
}

#[test]
fn circles_are_named() {
    let circle = |locals: &str| {
        let text = format!("locals: {{{locals}}}\nvars: {{stage: dev}}\n");
        refusal(&Tree::default().with("deploy/dev.yaml", &text), "dev", "app")
    };
    assert_eq!(
        circle(
            "x: '{{ .locals.a }}', a: '{{ .locals.b }}', b: '{{ if .locals.c }}y{{ end }}', c: ['{{ .locals.a }}']"
        ),
        "stacks/deploy/dev.yaml:1:13: the locals refer to each other in a circle: a → b → c → a"
    );
    assert!(circle("a: '{{ .locals.a }}'").ends_with("in a circle: a → a"));
    let no_map = Tree::default().with("deploy/dev.yaml", "locals: [a]\n");
    assert_eq!(
        refusal(&no_map, "dev", "app"),
        "stacks/deploy/dev.yaml: `locals` must be a map, but is a list"
    );
}
