//! Evaluation of single values.

use std::io;

use serde_json::json;

use super::super::world::OutputRequest;
use super::super::yaml;
use super::*;

struct World;

impl Functions for World {
    fn environment(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/home/me".to_owned())
    }

    fn repository_root(&self) -> Option<String> {
        Some("/repo".to_owned())
    }

    fn terraform_output(&self, request: &OutputRequest<'_>) -> Result<Json, String> {
        match request.output {
            "id" => Ok(json!({"of": format!("{}@{}", request.component, request.stack)})),
            other => Err(format!("there is no output {other}")),
        }
    }
}

impl StackFiles for World {
    fn read(&self, path: &str) -> io::Result<Option<String>> {
        Ok((path == "stacks/extra.yaml").then(|| "a: {b: [1, 2]}\n".to_owned()))
    }

    fn list(&self, _: &str) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

fn evaluate(text: &str, processing: Processing) -> Result<Json, String> {
    let document = yaml::parse(text, &Arc::from("stacks/dev.yaml")).unwrap();
    let data = document.value.as_map().unwrap();
    let settings = StackSettings::default();
    let evaluator = Evaluator::new(&World, &World, &settings, processing, data, "dev");
    evaluator.map(data).map(Json::Object).map_err(|error| error.to_string())
}

#[test]
fn functions_and_templates_are_computed() {
    let text = "vars: {stage: dev, name: 'a-{{ .vars.stage }}', full: '{{ .vars.name }}/{{ .n }}'}\nn: 3\n\
                e: [!env HOME, !env NOPE, !env 'NOPE \"a b\"', !unset ]\ngone: !unset\n\
                l: !literal '{{ .x }}'\no: !terraform.output vpc {{ .vars.stage }} id\n\
                p: '{{ .o.of }}'\ni: !include ./extra.yaml .a.b\nr: !repo-root\nx: !append [1]\n";
    assert_eq!(
        evaluate(text, Processing::STRICT).unwrap(),
        json!({
            "vars": {"stage": "dev", "name": "a-dev", "full": "a-dev/3"}, "n": 3,
            "e": ["/home/me", "", "a b"], "l": "{{ .x }}", "o": {"of": "vpc@dev"}, "p": "vpc@dev",
            "i": [1, 2], "r": "/repo", "x": [1],
        })
    );
}

#[test]
fn what_is_not_processed_is_shown_as_it_is_written() {
    let processing = Processing { templates: false, functions: false, strict: true };
    assert_eq!(
        evaluate("a: !exec rm -rf\nb: '{{ if .x }}'\nc: !unset\n", processing).unwrap(),
        json!({"a": "!exec rm -rf", "b": "{{ if .x }}", "c": "!unset"})
    );
}

#[test]
fn the_components_own_environment_comes_first() {
    assert_eq!(
        evaluate("env: {A: x, HOME: !env HOME}\nv: [!env A, !env HOME]\n", Processing::STRICT).unwrap(),
        json!({"env": {"A": "x", "HOME": "/home/me"}, "v": ["x", "/home/me"]})
    );
}

#[test]
fn what_has_no_value_is_shown_as_the_reference_shows_it() {
    assert_eq!(
        evaluate("a: 'x-{{ .b.c }}'\nd: 'y-{{ .d }}'\n", Processing::DESCRIBE).unwrap(),
        json!({"a": "x-<no value>", "d": "y-y-{{ .d }}"})
    );
}

#[test]
fn what_is_not_supported_is_refused_by_name_and_place() {
    let refusal = |text| evaluate(text, Processing::STRICT).unwrap_err();
    assert_eq!(
        refusal("a:\n  b: !exec 'echo hi'\n"),
        "stacks/dev.yaml:2:6: the YAML function `!exec` is not supported"
    );
    assert_eq!(
        refusal("a: x-{{ .b | shuffle }}\nb: c\n"),
        "stacks/dev.yaml:1:14: the template function `shuffle` is not supported: it gives something \
         else each time"
    );
    assert_eq!(
        refusal("a: '{{ .b.c }}'\nb: {}\n"),
        "stacks/dev.yaml:1:4: the template `{{ .b.c }}` has no value here"
    );
    assert!(refusal("a: '{{ .b }}'\nb: '{{ .a }}'\n").contains("circle"));
    assert!(refusal("a: !terraform.output vpc name\n").contains("there is no output name"));
    assert!(refusal("a: !include ./nope.yaml\n").contains("which is not there"));
}
