use super::*;
use crate::config::source::DirectorySource;

#[test]
fn an_empty_file_means_the_defaults() {
    let config = parse("atmos.yaml", "# nothing\nstacks:\n").unwrap();
    assert_eq!(config, AtmosConfig { file: "atmos.yaml".to_owned(), ..AtmosConfig::default() });
    assert_eq!(config.deployments_directory(), "deployments");
    assert_eq!(config.stacks_directory(), "stacks");
    assert_eq!(config.components_directory(ComponentKind::Terraform), "components/terraform");
    assert_eq!(config.components_directory(ComponentKind::Helmfile), "components/helmfile");
    assert_eq!(config.command(ComponentKind::Terraform), "terraform");
    assert_eq!(config.stacks.included_paths, None);
    assert_eq!(config.list_merge_strategy, ListMergeStrategy::Replace);
}

#[test]
fn our_sections_are_read_among_all_the_others() {
    let text = r#"
base_path: "./live"
components:
  terraform:
    base_path: "../modules"
    command: tofu
    apply_auto_approve: false
    auto_generate_backend_file: true
    workspaces_enabled: false
    workspace: {prefix_separator: "--"}
  nixpack: {registry: registry.example.com/team}
  packer: {base_path: images}
env: {REGION: eu, COUNT: 3, TOKEN: !exec 'gh auth token'}
stacks:
  base_path: "config"
  included_paths: ["deploy/**/*"]
  excluded_paths: ["**/_defaults.yaml"]
  inherit: {metadata: false, source: false}
  name_template: "{{ .vars.stage }}"
settings: {list_merge_strategy: append, region: !env REGION}
integrations: {atlantis: {path: atlantis.yaml}, github: {gitops: {matrix: {sort-by: .stack_slug}}}}
deployments: {base_path: apps, remote: upstream, rules_from: trunk, ledger: {redact: [token], max_refs_per_push: 8}}
ci: {comment_template: comment.md.hbs, environment: "{{ deployment }}/{{ target }}"}
logs: {file: "/dev/stderr", level: Info}
templates: {settings: {enabled: false, evaluations: 2, env: {A: b}, gomplate: {timeout: 10, datasources: {}}}}
"#;
    let config = parse("infra/atmos.yaml", text).unwrap();
    assert_eq!(config.directory, "infra");
    assert_eq!(config.deployments_directory(), "infra/live/apps");
    assert_eq!(config.stacks_directory(), "infra/live/config");
    assert_eq!(config.components_directory(ComponentKind::Terraform), "infra/modules");
    assert_eq!(config.command(ComponentKind::Terraform), "tofu");
    assert_eq!(config.terraform.auto_generate_backend_file, Some(true));
    assert_eq!(config.terraform.workspaces_enabled, Some(false));
    assert_eq!(config.terraform.prefix_separator.as_deref(), Some("--"));
    assert_eq!(config.registry.as_deref(), Some("registry.example.com/team"));
    assert_eq!(config.other_kinds["packer"].base_path.as_deref(), Some("images"));
    let token = Variable::Function {
        tag: "!exec".to_owned(),
        argument: "gh auth token".to_owned(),
        line: 13,
        column: 42,
    };
    let text = |text: &str| Variable::Text(text.to_owned());
    let env = [("REGION", text("eu")), ("COUNT", text("3")), ("TOKEN", token)];
    assert_eq!(config.env, env.map(|(name, value)| (name.to_owned(), value)).into());
    assert_eq!(config.stacks.excluded_paths.unwrap(), ["**/_defaults.yaml"]);
    assert_eq!(config.stacks.name_template.as_deref(), Some("{{ .vars.stage }}"));
    assert_eq!((config.stacks.inherit_metadata, config.stacks.inherit_source), (Some(false), Some(false)));
    assert_eq!(config.list_merge_strategy, ListMergeStrategy::Append);
    assert_eq!(config.github_integration["gitops"]["matrix"]["sort-by"], ".stack_slug");
    assert_eq!(config.deployments.remote.as_deref(), Some("upstream"));
    assert_eq!(config.deployments.rules_from.as_deref(), Some("trunk"));
    assert_eq!(config.deployments.ledger.redact, ["token"]);
    assert_eq!(config.deployments.ledger.max_refs_per_push, Some(8));
    assert_eq!(config.ci.comment_template.as_deref(), Some("comment.md.hbs"));
    assert_eq!(config.ci.environment.as_deref(), Some("{{ deployment }}/{{ target }}"));
    assert_eq!(
        config.templates,
        TemplatesConfig {
            enabled: Some(false),
            evaluations: Some(2),
            delimiters: None,
            env: [("A".to_owned(), "b".to_owned())].into()
        }
    );
}

#[test]
fn wrong_types_of_our_keys_are_all_reported() {
    let text = "stacks:\n  included_paths: deploy\nsettings:\n  list_merge_strategy: apend\n\
                    components:\n  terraform:\n    workspaces_enabled: no\nbase_path: !env HOME\n\
                    templates: {settings: {evaluations: -1}}\nenv: {A: [x]}\n";
    let problems: Vec<String> =
        parse("atmos.yaml", text).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "atmos.yaml:2:19: error: `included_paths` must be a list, but this is text (write it as a list: [deploy])",
            "atmos.yaml:4:24: error: `list_merge_strategy` must be `replace` or `append` or `merge`, not `apend` (did you mean `append`?)",
            "atmos.yaml:7:25: error: `workspaces_enabled` must be `true` or `false`, but this is text (write `false`)",
            "atmos.yaml:8:17: error: the tag `!env` is not supported here",
            "atmos.yaml:9:37: error: `evaluations` must be a whole number, but this is a number",
            "atmos.yaml:10:10: error: `A` must be text, but this is a list",
        ]
    );
}

#[test]
fn what_is_not_read_and_changes_what_is_is_refused_and_slips_are_told() {
    let told = |text: &str| -> Vec<String> {
        let problems = parse("atmos.yaml", text).map_or_else(|problems| problems, |config| config.warnings);
        problems.iter().map(ToString::to_string).collect()
    };
    for (text, expected) in [
        ("import: [./more.yaml]\n", Some("atmos.yaml:1:1: error: `import` of atmos.yaml is not supported")),
        ("logs: {}\nedition: '2025-09'\n", Some("atmos.yaml:2:1: error: `edition` of atmos.yaml is not")),
        ("stack: {}\n", Some("atmos.yaml:1:1: warning: `stack` is no key")),
        ("stacks: {name_templat: x}\n", Some("(did you mean `name_template`?)")),
        ("deployments: {legder: {}}\n", Some("(did you mean `ledger`?)")),
        ("import: []\nschemas: {opa: {base_path: q}}\nmy_own: 1\nstores: {}\nvendor: {}\n", None),
    ] {
        let told = told(text);
        assert_eq!(told.len(), usize::from(expected.is_some()), "{text}: {told:?}");
        assert!(expected.is_none_or(|part| told[0].contains(part)), "{text}: {told:?}");
    }
}

#[test]
fn pieces_beside_the_file_are_refused_and_a_hidden_file_is_one() {
    let directory = tempfile::tempdir().unwrap();
    let source = DirectorySource::new(directory.path());
    std::fs::write(directory.path().join(".atmos.yaml"), "base_path: hidden").unwrap();
    assert_eq!(load(&source, "").unwrap().base_path, "hidden");
    std::fs::create_dir(directory.path().join("atmos.d")).unwrap();
    std::fs::write(directory.path().join("atmos.d/README.md"), "").unwrap();
    assert!(load(&source, "").is_ok());
    std::fs::write(directory.path().join("atmos.d/stacks.yaml"), "").unwrap();
    let Err(ConfigError::Invalid(problems)) = load(&source, "") else { panic!("it is read") };
    assert_eq!(problems[0].file, "atmos.d/stacks.yaml");
}

#[test]
fn a_limit_of_a_push_leaves_room_for_one_component() {
    for number in ["0", "3", "-1", "many", "4.5"] {
        let problems =
            parse("atmos.yaml", &format!("deployments: {{ledger: {{max_refs_per_push: {number}}}}}"));
        let problems = problems.unwrap_err();
        assert!(problems[0].message.contains("a whole number from 4"), "{}", problems[0].message);
    }
}

#[test]
fn the_nearest_file_upwards_is_the_one() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory.path().join("infra/live/deep")).unwrap();
    let source = DirectorySource::new(directory.path());
    assert_eq!(load(&source, "infra/live").unwrap(), AtmosConfig::default());
    std::fs::write(directory.path().join("atmos.yaml"), "base_path: root").unwrap();
    std::fs::write(directory.path().join("infra/atmos.yml"), "base_path: infra").unwrap();
    assert_eq!(load(&source, "").unwrap().base_path, "root");
    let config = load(&source, "infra/live/deep/").unwrap();
    assert_eq!((config.directory.as_str(), config.base_path.as_str()), ("infra", "infra"));
}
