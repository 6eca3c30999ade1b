//! Every mistake that a deployment file can contain, with its message.

use super::super::deployment_file;
use super::{WHOLE, problems, with};

#[test]
fn what_breaks_a_rule_is_told_by_its_keys() {
    let text = "deployment:
  name: api
  frobnicate: true
  components: {command: {api: {settings: {command: {apply: [./x]}}}}}
  targets:
    dev: {}
    prod:
      promotion: {from: stagng}
";
    let problems = super::parse(text).unwrap_err();
    let keys: Vec<_> = problems.iter().map(|problem| problem.keys.join(".")).collect();
    assert_eq!(keys, ["", "deployment.targets.prod.promotion.from"]);
}

#[test]
fn each_mistake_is_reported_at_its_place() {
    for (section, expected) in MISTAKES {
        let text = with(section);
        assert_eq!(problems(&text), [*expected], "{text}");
    }
}

/// Each addition to a valid file, and its exact message.
const MISTAKES: &[(&str, &str)] = &[
    // Unknown keys.
    ("  lables: {a: b}\n", "5:3: error: unknown key `lables` (did you mean `labels`?)"),
    (
        "  x: 1\n",
        "5:3: error: unknown key `x` (known keys: `name`, `description`, `labels`, `stacks`, `context`, `vendor`, `components`, `targets`)",
    ),
    ("  context: {promote: tag}\n", "5:13: error: unknown key `promote` (did you mean `promote_by`?)"),
    (
        "  targets: {dev: {promotoin: x}}\n",
        "4:19: error: unknown key `promotoin` (did you mean `promotion`?)",
    ),
    (
        "  targets: {dev: {autoscale: {min: 1}}}\n",
        "4:19: error: unknown key `autoscale` (known keys: `labels`, `context`, `stack`, `promotion`, `components`)",
    ),
    (
        "  components: {teraform: {vpc: {}}}\n",
        "4:16: error: unknown key `teraform` (did you mean `terraform`?)",
    ),
    (
        "  components: {packer: {image: {}}}\n",
        "4:16: error: unknown key `packer`: such components are not rolled out (stacks describe them; to run one, write a \
         `command` component whose settings.command.apply calls packer)",
    ),
    (
        "  components: {terraform: {vpc: {settings: {nixpack: {}}}}}\n",
        "4:45: error: unknown key `nixpack` (known keys: `terraform`, `health`)",
    ),
    (
        "  components: {nixpack: {api: {vars: {image: {repo: x}}}}}\n",
        "4:47: error: unknown key `repo` (known keys: `registry`, `name`, `tag`)",
    ),
    // Wrong types.
    (
        "  labels: {version: 1.10}\n",
        "5:21: error: `version` must be text, but this is a number (put it in quotes: \"1.10\")",
    ),
    ("  stacks: vpc\n", "5:11: error: `stacks` must be a list, but this is text (write it as a list: [vpc])"),
    ("  stacks: [vpc, {a: b}]\n", "5:17: error: an item of `stacks` must be text, but this is a mapping"),
    ("  targets: {dev: [a]}\n", "4:18: error: `dev` must be a mapping, but this is a list"),
    ("  targets:\n    dev:\n      labels: x\n", "6:15: error: `labels` must be a mapping, but this is text"),
    (
        "  context: {promote_by: digset}\n",
        "5:25: error: `promote_by` must be `digest` or `tag`, not `digset` (did you mean `digest`?)",
    ),
    (
        "  components: {nixpack: {api: {vars: {pkgs: ffmpeg}}}}\n",
        "4:45: error: `pkgs` must be a list, but this is text (write it as a list: [ffmpeg])",
    ),
    (
        "  components: {nixpack: {api: {settings: {nixpack: {publish: yes}}}}}\n",
        "4:62: error: `publish` must be `true` or `false`, but this is text (write `true`)",
    ),
    (
        "  components: {terraform: {vpc: {vars: {home: !env HOME}}}}\n",
        "4:52: error: the tag `!env` is not supported here",
    ),
    (
        "  components: {terraform: {vpc: {vars: {sha: \"{{ git.sha\"}}}}\n",
        "4:46: error: the template is not closed: `{{` without `}}` (write `\\{{` for the two characters themselves)",
    ),
    // Names.
    (
        "  targets: {Dev: {}}\n",
        "4:13: error: target name \"Dev\" must start with a lower-case letter or digit and hold only a-z, 0-9, '.', '_' and '-'",
    ),
    (
        "  components: {terraform: {a//b: {}}}\n",
        "4:28: error: component name \"a//b\" has an empty, \".\" or \"..\" part between its slashes",
    ),
    (
        "  components:\n    terraform: {api: {}}\n    nixpack: {api: {}}\n",
        "6:15: error: two components are called `api` (it is also a terraform component, in line 5; rename one of them)",
    ),
    (
        "  description: a\n  description: b\n",
        "6:3: error: the key `description` comes up twice (it is already set in line 5)",
    ),
    // References.
    (
        "  context: {default_target: prod}\n",
        "5:29: error: the default target `prod` does not exist (targets: `dev`)",
    ),
    (
        "  components: {terraform: {vpc: {metadata: {depends_on: [ecr, terraform/vcp]}}, ecr: {}}}\n",
        "4:63: error: the component `terraform/vcp` does not exist (did you mean `terraform/vpc`?)",
    ),
    (
        "  components: {terraform: {a: {metadata: {depends_on: [terraform/b]}}, b: {metadata: {depends_on: [a]}}}}\n",
        "4:56: error: these components depend on each other in a circle: a → b → a",
    ),
    (
        "  targets:\n    dev: {components: {vcp: {}}}\n",
        "5:24: error: the component `vcp` does not exist (did you mean `vpc`?)",
    ),
    (
        "  targets:\n    dev: {components: {vpc: {}, terraform/vpc: {}}}\n",
        "5:33: error: the component `vpc` comes up twice",
    ),
    // Promotion.
    (
        "  targets: {dev: {}, prod: {promotion: {from: dve}}}\n",
        "4:47: error: target `prod` is promoted from `dve`, which does not exist (did you mean `dev`?)",
    ),
    (
        "  targets: {dev: {}, prod: {promotion: {allowed_from: [dev, quality]}}}\n",
        "4:61: error: target `prod` is promoted from `quality`, which does not exist (targets: `dev`, `prod`)",
    ),
    (
        "  targets: {dev: {}, prod: {promotion: {from: dev, allowed_from: [dev]}}}\n",
        "4:52: error: target `prod` has both `from` and `allowed_from` (keep one of them)",
    ),
    (
        "  targets: {dev: {}, prod: {promotion: {allowed_from: []}}}\n",
        "4:55: error: `allowed_from` must not be empty",
    ),
    (
        "  targets: {dev: {}, prod: {promotion: {requires_approval: false}}}\n",
        "4:29: error: the promotion of target `prod` has neither `from` nor `allowed_from` (an entry point has no `promotion`, or one with `requires_approval: true`)",
    ),
    (
        "  targets: {dev: {}, prod: {promotion: {requires_approval: true, approval_expires: never}}}\n",
        "4:84: error: `never` is not a duration above zero (write hours, minutes and seconds: `10m`, `90s`, `1h30m`)",
    ),
    (
        "  targets: {dev: {}, prod: {promotion: }}\n",
        "4:29: error: the promotion of target `prod` has neither `from` nor `allowed_from` (an entry point has no `promotion`, or one with `requires_approval: true`)",
    ),
    (
        "  targets: {a: {promotion: {from: c}}, b: {promotion: {from: a}}, c: {promotion: {from: b}}}\n",
        "4:17: error: circular promotion path: a → b → c → a",
    ),
    ("  targets: {dev: {promotion: {from: dev}}}\n", "4:19: error: circular promotion path: dev → dev"),
    (
        "  targets: {dev: {}, prod: {promotion: {from: dev, approval_method: pro}}}\n",
        "4:52: warning: `approval_method` has no effect without `requires_approval: true` (add `requires_approval: true`, or remove it)",
    ),
    (
        "  targets: {dev: {cpu: 1, context: {cpu: 2}}}\n",
        "4:19: error: `cpu` is also set under `context` (keep that one)",
    ),
    // Commands and folders.
    ("  components: {command: {worker: }}\n", "4:26: error: `worker` has no `settings`"),
    ("  components: {command: {worker: {settings: {}}}}\n", "4:35: error: `settings` has no `command`"),
    (
        "  components: {command: {worker: {settings: {command: {plan: [x]}}}}}\n",
        "4:46: error: `command` has no `apply`",
    ),
    (
        "  components: {command: {worker: {settings: {command: {apply: []}}}}}\n",
        "4:63: error: `apply` must not be empty",
    ),
    (
        "  components: {command: {worker: {settings: {command: {apply: ['']}}}}}\n",
        "4:64: error: `apply` names no program",
    ),
    (
        "  components: {command: {worker: {settings: {command: {apply: [x], timeout: 10}}}}}\n",
        "4:77: error: `timeout` must be text, but this is a number (for example `10m`)",
    ),
    (
        "  components: {command: {worker: {settings: {command: {apply: [x], timeout: 1d}}}}}\n",
        "4:77: error: `1d` is not a duration above zero (write hours, minutes and seconds: `10m`, `90s`, `1h30m`)",
    ),
    (
        "  components: {command: {worker: {settings: {command: {apply: [x], timeout: 0s}}}}}\n",
        "4:77: error: `0s` is not a duration above zero (write hours, minutes and seconds: `10m`, `90s`, `1h30m`)",
    ),
    (
        "  components: {command: {worker: {settings: {command: {apply: [x], working_directory: ../x}}}}}\n",
        "4:87: error: `../x` must be a relative path without `..`",
    ),
    (
        "  components: {terraform: {vpc: {component: /etc}}}\n",
        "4:45: error: `/etc` must be a relative path without `..`",
    ),
];

/// The published schema accepts a file if and only if the check does.
#[test]
fn the_published_schema_agrees_with_the_check() {
    let schema = serde_json::to_value(deployment_file::schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let json = |text: &str| serde_yaml::from_str::<serde_json::Value>(text).unwrap();
    assert!(validator.is_valid(&json(WHOLE)));
    assert!(validator.is_valid(&json(&with("  targets: {dev: {cpu: 256}, prod: }\n"))));
    for (section, expected) in MISTAKES {
        let shape = ["unknown key", ", but this is", ", not `", "` has no `", "must not be empty"];
        // A schema cannot distinguish a typo in a target's key from shorthand context.
        let is_slip = section.contains("promotoin: x");
        if !is_slip && shape.iter().any(|part| expected.contains(part)) {
            let text = with(section);
            assert!(!validator.is_valid(&json(&text)), "{text}");
        }
    }
}
