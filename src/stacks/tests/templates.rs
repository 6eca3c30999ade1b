//! Templates of imports and of components.

use super::*;

fn variables(tree: &Tree, component: &str) -> Json {
    json!(find(tree, "dev", component).variables())
}

#[test]
fn a_template_file_can_choose_and_repeat() {
    let tree = Tree::default()
        .with(
            "catalog/apps.yaml.tmpl",
            "components:\n  terraform:\n{{- range $name, $size := .apps }}\n    {{ $name }}:\n      vars:\n        \
             size: {{ $size }}\n        {{- if hasKey $ \"owner\" }}\n        owner: {{ $.owner | quote }}\n        \
             {{- end }}\n        full: '{{ .vars.stage }}'\n{{- end }}\n",
        )
        .with(
            "deploy/dev.yaml",
            "import:\n- {path: catalog/apps, context: {apps: {a: 1, b: [2]}, owner: me}}\nvars: {stage: dev}\n",
        );
    // Inside of `range` the dot is the item: the component's values are reached from the top.
    assert!(refusal(&tree, "dev", "a").contains("there is no field `vars` in a number"));
    let tree = tree.with(
        "catalog/apps.yaml.tmpl",
        "components:\n  terraform:\n{{- range $name, $size := .apps }}\n    {{ $name }}:\n      vars:\n        \
         size: {{ toJson $size }}\n        {{- if hasKey $ \"owner\" }}\n        owner: {{ $.owner | quote }}\n        \
         {{- end }}\n{{- end }}\nvars:\n  full: '{{ .vars.stage }}-x'\n",
    );
    assert_eq!(variables(&tree, "a"), json!({"full": "dev-x", "stage": "dev", "size": 1, "owner": "me"}));
    assert_eq!(variables(&tree, "b")["size"], json!([2]));
}

#[test]
fn what_a_context_lacks_waits_for_the_component_with_the_context_at_hand() {
    let tree = Tree::default()
        .with(
            "catalog/app.yaml",
            "components:\n  terraform:\n    app: {vars: {name: '{{ .flavor }}-{{ .vars.stage | upper }}', \
             size: '{{ .size | default \"small\" }}'}}\n",
        )
        .with(
            "deploy/dev.yaml",
            "import: [{path: catalog/app, context: {flavor: blue}}]\nvars: {stage: dev}\n",
        );
    assert_eq!(variables(&tree, "app"), json!({"stage": "dev", "name": "blue-DEV", "size": "small"}));
}

#[test]
fn missing_values_of_an_import_can_be_ignored() {
    let tree = |options: &str| {
        Tree::default()
            .with("catalog/app.yaml.tmpl", "vars:\n  {{ if .on }}on: 1{{ else }}off: 1{{ end }}\n")
            .with(
                "deploy/dev.yaml",
                &format!(
                    "import: [{{path: catalog/app, context: {{x: 1}}{options}}}]\nvars: {{stage: dev}}\n\
                 components: {{terraform: {{app: {{}}}}}}\n"
                ),
            )
    };
    assert_eq!(
        variables(&tree(", ignore_missing_template_values: true"), "app"),
        json!({"off": 1, "stage": "dev"})
    );
    assert_eq!(
        refusal(&tree(""), "dev", "app"),
        "stacks/catalog/app.yaml.tmpl:2:3: the template `{{ if .on }}` needs what neither the import's `context` nor \
         the file's `locals` set"
    );
}

#[test]
fn an_import_s_path_may_be_computed() {
    let tree = Tree::default()
        .with("_defaults.yaml", "settings: {version: V2}\n")
        .with("catalog/v2/app.yaml", "components: {terraform: {app: {vars: {v: 2}}}}\n")
        .with(
            "deploy/dev.yaml",
            "import: [_defaults, 'catalog/{{ lower .settings.version }}/app']\nvars: {stage: dev}\n",
        );
    assert_eq!(variables(&tree, "app")["v"], json!(2));
    let tree = tree.with("deploy/dev.yaml", "import:\n- 'catalog/{{ .settings.version }}/app'\n");
    assert_eq!(
        refusal(&tree, "dev", "app"),
        "stacks/deploy/dev.yaml:2:3: the import's path `catalog/{{ .settings.version }}/app`: the template \
         `{{ .settings.version }}` needs what neither the import's `context` nor the file's `locals` set"
    );
}

#[test]
fn a_component_s_templates_have_logic() {
    let tree = Tree::default().with(
        "deploy/dev.yaml",
        "vars: {stage: dev, list: [a, b], tags: {x: 1}}\ncomponents:\n  terraform:\n    app:\n      vars:\n        \
         name: '{{ if eq .vars.stage \"dev\" }}small{{ else }}large{{ end }}'\n        \
         joined: '{{ join \"-\" .vars.list }}/{{ index .vars.list 1 }}'\n        \
         maybe: '{{ .settings.owner | default \"nobody\" }}'\n        \
         'k-{{ .vars.stage }}': 1\n        \
         named: '{{ printf \"%s-%s\" .atmos_component .atmos_stack }}'\n",
    );
    assert_eq!(
        variables(&tree, "app"),
        json!({
            "stage": "dev", "list": ["a", "b"], "tags": {"x": 1}, "name": "small", "joined": "a-b/b",
            "maybe": "nobody", "k-dev": 1, "named": "app-dev",
        })
    );
}

#[test]
fn a_list_in_a_text_is_refused_where_it_would_be_deployed_and_shown_as_it_is() {
    let tree = Tree::default().with(
        "deploy/dev.yaml",
        "vars: {stage: dev, list: [a, b]}\ncomponents: {terraform: {app: {vars: {x: 'l{{ .vars.list }}'}}}}\n",
    );
    assert_eq!(
        refusal(&tree, "dev", "app"),
        "stacks/deploy/dev.yaml:2:43: the template `{{ .vars.list }}` is a list or a map, where a text is needed"
    );
    let reader_settings = settings();
    let reader = StackReader::new(&tree, &reader_settings);
    let shown = Describer::new(&reader, &Nothing, Processing::DESCRIBE)
        .find(&reader.all().unwrap(), "dev", None, "app")
        .unwrap();
    assert_eq!(shown.sections["vars"]["x"], json!("l[a b]"));
}

#[test]
fn templates_see_variables_that_are_set_for_them() {
    let tree = Tree::default().with(
        "deploy/dev.yaml",
        "vars: {stage: dev}\ncomponents: {terraform: {app: {env: {A: own}, \
         settings: {templates: {settings: {env: {B: stack}}}}, \
         vars: {x: '{{ env \"A\" }}{{ env \"B\" }}{{ env \"C\" }}'}}}}\n",
    );
    let with_env = StackSettings {
        template_env: [("C".to_owned(), "config".to_owned()), ("B".to_owned(), "config".to_owned())].into(),
        ..settings()
    };
    let component = find_by(&tree, &with_env, "dev", "app").unwrap();
    assert_eq!(component.sections["vars"]["x"], json!("stackconfig"));
}

#[test]
fn templates_can_be_written_between_other_delimiters() {
    let tree = Tree::default().with(
        "deploy/dev.yaml",
        "locals: {a: l}\nvars: {stage: dev, x: '[% .vars.stage %]-{{ .helm }}', y: '{{ .locals.a }}'}\n\
         components: {terraform: {app: {}}}\n",
    );
    let other = StackSettings { template_delimiters: ("[%".to_owned(), "%]".to_owned()), ..settings() };
    let component = find_by(&tree, &other, "dev", "app").unwrap();
    assert_eq!(component.sections["vars"], json!({"stage": "dev", "x": "dev-{{ .helm }}", "y": "l"}));
}

#[test]
fn a_template_can_ask_for_another_component_of_the_stack() {
    let tree = Tree::default().with(
        "deploy/dev.yaml",
        "vars: {stage: dev}\ncomponents:\n  terraform:\n    \
         db: {settings: {port: 5432, name: '{{ .atmos_component }}-{{ .vars.stage }}'}, vars: {x: !exec ls}}\n    \
         app: {vars: {at: '{{ (atmos.Component \"db\" .stack).settings.name }}', \
         port: !template '{{ (atmos.Component \"db\" .stack).settings.port }}'}}\n    \
         other: {vars: {at: '{{ (atmos.Component \"db\" \"prod\").settings.name }}'}}\n    \
         one: {vars: {v: '{{ (atmos.Component \"two\" .stack).vars.v }}'}}\n    \
         two: {vars: {v: '{{ (atmos.Component \"one\" .stack).vars.v }}'}}\n    \
         out: {vars: {v: '{{ (atmos.Component \"db\" .stack).outputs.id }}'}}\n",
    );
    // Only the requested value is evaluated: the function in the other component's variables does
    // not matter.
    assert_eq!(variables(&tree, "app"), json!({"stage": "dev", "at": "db-dev", "port": 5432}));
    assert!(refusal(&tree, "dev", "other").contains("only components of the same stack are supported"));
    assert!(refusal(&tree, "dev", "one").contains("in a circle"));
    assert!(refusal(&tree, "dev", "out").contains("the output \"id\" of db in dev: nothing is deployed"));
}

#[test]
fn what_a_template_cannot_do_is_refused_only_where_it_is_needed() {
    let tree = Tree::default().with(
        "deploy/dev.yaml",
        "vars: {stage: dev}\ncomponents:\n  terraform:\n    app: {}\n    time:\n      vars:\n        \
         now: 'at {{ now | unixEpoch }}'\n    broken: {vars: {x: '{{ if .vars.stage }}'}}\n",
    );
    assert!(find(&tree, "dev", "app").is_enabled);
    assert_eq!(
        refusal(&tree, "dev", "time"),
        "stacks/deploy/dev.yaml:7:20: the template function `now` is not supported: it depends on the clock"
    );
    assert_eq!(
        refusal(&tree, "dev", "broken"),
        "stacks/deploy/dev.yaml:8:24: the template `{{ if .vars.stage }}` has no `end`"
    );
}

#[test]
fn templates_that_need_each_other_deeply_are_refused_and_no_stack_is_exhausted() {
    let brackets = |inner: &str| format!("{}{inner}{}", "(".repeat(15), ")".repeat(15));
    let blocks = |inner: &str| format!("{}{inner}{}", "{{ if true }}".repeat(15), "{{ end }}".repeat(15));
    let variable = |number: usize| {
        let value = blocks(&format!("{{{{ {} }}}}", brackets(&format!(".vars.v{}", number + 1))));
        format!("        v{number}: '{value}'\n")
    };
    let vars = (0..200).map(variable).collect::<Vec<_>>().concat();
    let text = format!("vars: {{stage: dev}}\ncomponents:\n  terraform:\n    app:\n      vars:\n{vars}");
    let tree = Tree::default().with("deploy/dev.yaml", &text);
    assert!(refusal(&tree, "dev", "app").contains("in a circle, or too often"));
}

#[test]
fn components_that_ask_each_other_over_and_over_are_refused() {
    let asking = |number: usize| {
        let asks = format!("{{{{ (atmos.Component \"c{}\" .stack).vars.v }}}}", number + 1).repeat(10);
        format!("    c{number}: {{vars: {{v: '{asks}'}}}}\n")
    };
    let components: String = (0..12).map(asking).collect();
    let text =
        format!("vars: {{stage: dev}}\ncomponents:\n  terraform:\n{components}    c12: {{vars: {{v: x}}}}\n");
    let tree = Tree::default().with("deploy/dev.yaml", &text);
    assert_eq!(variables(&tree, "c11")["v"], json!("xxxxxxxxxx"));
    assert!(refusal(&tree, "dev", "c0").contains("need each other in a circle, or too many of them"));
}
