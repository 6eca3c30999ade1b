//! Requirements of modules: values for their variables, and the repository's own modules.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::files::{file_text, leads_out, module_files};
use super::{Facts, Moment, Subject};
use crate::component::{
    ModuleInterface, ModuleNeeds, Written, is_variables_file, plain_program, variables_in,
};
use crate::config::{Severity, join_path};
use crate::deployment::image_binding::bound_to;
use crate::deployment::nearest::nearest;
use crate::deployment::stack_layer::{Deployable, StackLayer};
use crate::deployment::variables::{ValueSource, Variables};
use crate::deployment::{Component, ComponentKind};
use crate::error::CommandError;
use crate::git::Place;
use crate::render::document::validate::Check;

/// The limits for following module calls: the depth, and the number of folders.
const DEEPEST: usize = 16;
const MOST_FOLDERS: usize = 256;

/// The prefix of environment variables that Terraform takes values of variables from.
const VALUE_PREFIX: &str = "TF_VAR_";
/// The environment variables that add flags, possibly with values, to `terraform plan`.
const FLAGS: [&str; 2] = ["TF_CLI_ARGS", "TF_CLI_ARGS_plan"];

impl Subject<'_> {
    /// Checks the requirements of the module in a folder, parsed from its files.
    pub(super) fn check_needs(
        &mut self,
        folder: &str,
        module: &ModuleInterface,
        mut files: Vec<(PathBuf, String)>,
        keys: &[String],
    ) -> Result<(), CommandError> {
        // An earlier command may write the missing files into the checkout.
        if self.comes_after_a_command() {
            return Ok(());
        }
        for (name, content) in self.layer.iter().flat_map(|layer| &layer.generated_files) {
            let path = Path::new(folder).join(name);
            files.retain(|(file, _)| *file != path);
            files.push((path, content.to_string()));
        }
        let program = self.program();
        let Some(needs) = ModuleNeeds::parse(&files, &program) else { return Ok(()) };
        // A wrapper may provide values of its own.
        if !needs.has_remote_values && plain_program(&program).is_some() {
            self.check_variables(folder, module, &needs)?;
        }
        self.check_modules(folder, needs, &program, keys)
    }

    fn check_variables(
        &mut self,
        folder: &str,
        module: &ModuleInterface,
        needs: &ModuleNeeds,
    ) -> Result<(), CommandError> {
        let facts = self.facts;
        let Some(given) = facts.given(self.component, &self.declared, self.layer.as_ref()) else {
            return Ok(());
        };
        let lacks = |name: &&String| !given.contains(name.as_str());
        if !needs.variables.keys().any(|name| lacks(&name)) {
            return Ok(());
        }
        let Some(in_files) = facts.given_in_files(folder)? else { return Ok(()) };
        let missing = needs.variables.iter().filter(|(name, _)| lacks(name) && !in_files.contains(*name));
        let missing: Vec<(&String, &Written)> = missing.collect();
        for (name, written) in missing {
            let target = &facts.target.name;
            let on = if self.is_given_nowhere(name) { String::new() } else { format!(" on {target}") };
            let message = format!(
                "its module needs a value for the variable {name} ({written}), and nothing gives it one{on}"
            );
            // A given value that the module does not declare is probably a misspelling.
            let of_stacks = self.layer.iter().flat_map(|layer| layer.vars.keys());
            let others = self.declared.sources.keys().chain(of_stacks);
            let others = others.filter(|given| !module.variables.contains(*given));
            let near = nearest(name, others.map(String::as_str)).map(str::to_owned);
            let source = near.as_ref().and_then(|near| self.declared.sources.get(near)).copied();
            let keys = match (&near, source) {
                // The context is not specific to this component.
                (Some(_), None | Some(ValueSource::TargetContext)) | (None, _) => self.keys(&[]),
                (Some(near), Some(_)) => self.keys_of_variable(near),
            };
            let hint = match near {
                Some(near) => {
                    let of = source.unwrap_or(ValueSource::Stacks).as_words();
                    format!("{near} ({of}) is no variable of the module: did you mean {name}?")
                }
                None => format!(
                    "set {name} in vars of {} or in the context of {target}, by --context {name}=…, or as \
                     {VALUE_PREFIX}{name} in the environment of the rollout",
                    self.component.name
                ),
            };
            self.add(Check::Settings, facts.unless_elsewhere(), keys, message, Some(hint));
        }
        Ok(())
    }

    /// Checks the folders of the repository's own modules that a module calls, recursively.
    fn check_modules(
        &mut self,
        folder: &str,
        needs: ModuleNeeds,
        program: &str,
        keys: &[String],
    ) -> Result<(), CommandError> {
        let facts = self.facts;
        let mut seen = BTreeSet::from([folder.to_owned()]);
        let mut open = vec![(folder.to_owned(), needs, 0)];
        while let Some((folder, needs, depth)) = open.pop() {
            for (name, (source, written)) in needs.modules {
                let called = join_path([folder.as_str(), source.as_str()]);
                if leads_out(&called) || seen.len() > MOST_FOLDERS || !seen.insert(called.clone()) {
                    continue;
                }
                let (what, near) = match facts.tree.place(&called)? {
                    Place::Elsewhere => continue,
                    Place::Folder => {
                        let files = module_files(facts.tree, &called)?.known();
                        let needs = files.and_then(|files| ModuleNeeds::parse(&files, program));
                        open.extend(
                            needs.filter(|_| depth < DEEPEST).map(|needs| (called, needs, depth + 1)),
                        );
                        continue;
                    }
                    Place::Nothing => (format!("there is no folder {called}"), facts.neighbour(&called)?),
                    Place::File { .. } => (format!("{called} is no folder"), None),
                };
                let message = format!("module {name} ({written}) has the source {source}, and {what}");
                let correct =
                    || format!("commit {called}, or correct the source of module {name} in {written}");
                let hint = near.unwrap_or_else(correct);
                self.add(Check::Components, Severity::Error, keys.to_vec(), message, Some(hint));
            }
        }
        Ok(())
    }

    /// The program of the component.
    fn program(&self) -> String {
        let own = self.layer.as_ref().and_then(|layer| layer.program.clone());
        own.unwrap_or_else(|| self.facts.config.command(ComponentKind::Terraform).to_owned())
    }

    /// Whether a command runs in the component's checkout before it.
    fn comes_after_a_command(&self) -> bool {
        let components = self.facts.deployment.components.iter();
        let mut commands = components.filter(|component| component.kind == ComponentKind::Command);
        commands.any(|command| {
            self.facts.together.contains(&command.name)
                && self.facts.of_commit.contains(&command.name)
                && self.comes_after(&command.name)
        })
    }

    /// Whether a variable lacks a value on every target, so that no target is named. A rollout has
    /// a single one.
    fn is_given_nowhere(&self, name: &str) -> bool {
        let lacks = |target| {
            let facts = Facts { target, ..self.facts };
            let Ok(layer) = facts.layer(self.component) else { return false };
            let is_left_out = layer.as_ref().is_some_and(|layer| layer.deployable != Deployable::Yes);
            let declared = facts.declared(self.component);
            let given = facts.given(self.component, &declared, layer.as_ref());
            is_left_out || given.is_some_and(|given| !given.contains(name))
        };
        self.facts.moment == Moment::Validation && self.facts.deployment.targets.values().all(lacks)
    }
}

impl Facts<'_> {
    /// The variables of a component's module that get a value, other than from files of the module;
    /// `None` if flags may set others. The values themselves may be known only to a rollout.
    fn given(
        &self,
        component: &Component,
        declared: &Variables,
        layer: Option<&StackLayer>,
    ) -> Option<BTreeSet<String>> {
        let mut environment = self.environment.clone();
        for (name, value) in layer.into_iter().flat_map(|layer| &layer.env) {
            match value {
                Some(value) => environment.set(name, value),
                None => environment.remove(name),
            }
        }
        let has_values = |flags: &str| {
            let flags = environment.get(flags);
            flags.is_some_and(|flags| flags.to_string_lossy().contains("-var"))
        };
        if FLAGS.into_iter().any(has_values) {
            return None;
        }
        let mut given: BTreeSet<String> = declared.values.keys().cloned().collect();
        given.extend(layer.into_iter().flat_map(|layer| layer.vars.keys().cloned()));
        if !bound_to(self.deployment, component).is_empty() {
            given.extend(["image", "images"].map(str::to_owned));
        }
        let variables = environment.iter().filter_map(|(name, _)| name.to_str()?.strip_prefix(VALUE_PREFIX));
        given.extend(variables.map(str::to_owned));
        Some(given)
    }

    /// The variables that files in the module's folder set; `None` if one of them cannot be parsed.
    fn given_in_files(&self, folder: &str) -> Result<Option<BTreeSet<String>>, CommandError> {
        let mut given = BTreeSet::new();
        for name in self.tree.names(folder)?.into_iter().filter(|name| is_variables_file(name)) {
            let text = file_text(self.tree, &join_path([folder, name.as_str()]))?;
            match text.and_then(|text| variables_in(&name, &text)) {
                Some(names) => given.extend(names),
                None => return Ok(None),
            }
        }
        Ok(Some(given))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::Shop;
    use super::*;

    const MAIN: &str = "components/terraform/service/main.tf";
    const UNGIVEN: &str = "its module needs a value for the variable vpc \
                           (components/terraform/service/main.tf:1), and nothing gives it one";
    const SET: &str = "set vpc in vars of app or in the context of dev, by --context vpc=…, or as TF_VAR_vpc in the \
                       environment of the rollout";

    /// The shop in which `vpc` of `app` has no value.
    fn ungiven() -> Shop {
        Shop::with(", vars: { vpc: '{{ outputs.net.id }}' }", "")
    }

    fn told(shop: &Shop) -> Vec<String> {
        shop.told(&[Check::Settings, Check::Components])
    }

    fn stacks(layer: StackLayer) -> Shop {
        Shop { layer: Some(layer), ..ungiven() }
    }

    #[test]
    fn a_variable_without_a_value_is_found() {
        let at_app = "components.terraform.app: terraform/app: ";
        let on_dev = format!("error at {at_app}{UNGIVEN} on dev [{SET}]");
        let unset = [("TF_VAR_vpc".to_owned(), None)].into();
        let other_tfvars = "components/terraform/service/prod.tfvars";
        for (what, shop, expected) in [
            ("nothing", ungiven(), on_dev.clone()),
            ("a file that is not read", ungiven().file(other_tfvars, "vpc = 1\n"), on_dev.clone()),
            ("another's variable", ungiven().variable("TF_VAR_vpcs", "1"), on_dev.clone()),
            (
                "flags without values",
                ungiven().variable("TF_CLI_ARGS_plan", "-compact-warnings"),
                on_dev.clone(),
            ),
            (
                "a variable that the stacks take away",
                Shop {
                    layer: Some(StackLayer { env: unset, ..StackLayer::default() }),
                    ..ungiven().variable("TF_VAR_vpc", "1")
                },
                on_dev.clone(),
            ),
            ("elsewhere", ungiven().at(Moment::Plan), on_dev.replacen("error", "warning", 1)),
            (
                "every target",
                ungiven().at(Moment::Validation),
                format!("warning at {at_app}{UNGIVEN} [{SET}]"),
            ),
            (
                "a target",
                Shop {
                    text: ungiven().text.replace("cpu: 512", "vpc: 512"),
                    ..ungiven().at(Moment::Validation)
                },
                on_dev.replacen("error", "warning", 1),
            ),
            (
                "a slip",
                Shop::with("vpc: '{{", "vcp: '{{"),
                format!(
                    "error at components.terraform.app.vars.vcp: terraform/app: {UNGIVEN} on dev [vcp (component \
                     vars) is no variable of the module: did you mean vpc?]"
                ),
            ),
            (
                "a slip in the context",
                Shop { text: ungiven().text.replace("cpu: 256", "vpcc: 256"), ..ungiven() },
                format!(
                    "error at {at_app}{UNGIVEN} on dev [vpcc (target context) is no variable of the module: did you \
                     mean vpc?]"
                ),
            ),
            (
                "a slip on the command line",
                ungiven().context("vpcs", "1"),
                format!(
                    "error at {at_app}{UNGIVEN} on dev [vpcs (--context) is no variable of the module: did you mean \
                     vpc?]"
                ),
            ),
            (
                "a slip in the stacks",
                stacks(StackLayer {
                    vars: json!({"vpcs": "1"}).as_object().unwrap().clone(),
                    ..StackLayer::default()
                }),
                format!(
                    "error at {at_app}{UNGIVEN} on dev [vpcs (stacks) is no variable of the module: did you mean vpc?]"
                ),
            ),
        ] {
            assert_eq!(told(&shop), [expected], "{what}");
        }
    }

    #[test]
    fn what_may_have_a_value_is_passed_over() {
        let generated = |name: &str, content| {
            stacks(StackLayer {
                generated_files: [(name.to_owned(), content)].into(),
                ..StackLayer::default()
            })
        };
        let beside = |name: &str| format!("components/terraform/service/{name}");
        let program =
            |program: &str| stacks(StackLayer { program: Some(program.to_owned()), ..StackLayer::default() });
        let shops = [
            ("a template", Shop::new()),
            ("the context", ungiven().context("vpc", "1")),
            ("the target", Shop { text: ungiven().text.replace("cpu: 256", "vpc: 1"), ..ungiven() }),
            (
                "an override of the target",
                Shop {
                    text: ungiven().text.replace(
                        "context: { cpu: 256 }",
                        "context: { cpu: 256 }, components: { app: { vars: { vpc: null } } }",
                    ),
                    ..ungiven()
                },
            ),
            ("the environment", ungiven().variable("TF_VAR_vpc", "")),
            ("flags", ungiven().variable("TF_CLI_ARGS_plan", "-var-file=prod.tfvars")),
            ("flags of every verb", ungiven().variable("TF_CLI_ARGS", "-var vpc=1")),
            (
                "the stacks",
                stacks(StackLayer {
                    vars: json!({"vpc": "!terraform.output net id"}).as_object().unwrap().clone(),
                    ..StackLayer::default()
                }),
            ),
            (
                "the environment of the stacks",
                stacks(StackLayer {
                    env: [("TF_VAR_vpc".to_owned(), Some("1".to_owned()))].into(),
                    ..StackLayer::default()
                }),
            ),
            ("terraform.tfvars", ungiven().file(&beside("terraform.tfvars"), "vpc = 1\n")),
            ("a file of JSON", ungiven().file(&beside("x.auto.tfvars.json"), "{\"vpc\": 1}")),
            ("a file that cannot be read", ungiven().file(&beside("x.auto.tfvars"), "\0GITCRYPT\0")),
            ("an override", ungiven().file(&beside("override.tf"), "variable \"vpc\" { default = 1 }\n")),
            ("a remote workspace", ungiven().file(&beside("cloud.tf"), "terraform {\n  cloud {}\n}\n")),
            ("what the stacks generate", generated("main.tf", json!({}))),
            (
                "a generated backend",
                generated("backend.tf.json", json!({"terraform": {"backend": {"remote": {}}}})),
            ),
            ("a wrapper", program("/opt/bin/with-secrets")),
            (
                "OpenTofu's own files",
                Shop { layer: program("tofu").layer, ..ungiven().file(&beside("main.tofu"), "locals {}\n") },
            ),
            (
                "a command that runs before",
                Shop { text: ungiven().text.replace("depends_on: [net]", "depends_on: [api]"), ..ungiven() },
            ),
            (
                "what the stacks leave out",
                stacks(StackLayer { deployable: Deployable::Disabled, ..StackLayer::default() }),
            ),
        ];
        for (what, shop) in shops {
            assert_eq!(told(&shop), [""; 0], "{what}");
        }
    }

    #[test]
    fn an_image_is_given_to_what_it_is_bound_to() {
        let app = "app: { component: service, metadata: { depends_on: [net], labels: { tier: LABEL } } }";
        let labelled = |label: &str| {
            let shop = Shop::with(
                "app: { component: service, metadata: { depends_on: [net] }, vars: { vpc: '{{ outputs.net.id }}' } }",
                &app.replace("LABEL", label),
            );
            let text = shop.text.replace("web: { vars", "web: { metadata: { labels: { tier: a } }, vars");
            Shop { text, ..shop }.file(MAIN, "variable \"image\" {}\n")
        };
        assert_eq!(told(&labelled("a")), [""; 0]);
        assert!(told(&labelled("b"))[0].contains("for the variable image "));
    }

    #[test]
    fn a_module_that_is_not_there_is_found() {
        let calling = |source: &str| {
            Shop::new().file(
                MAIN,
                &format!("variable \"vpc\" {{}}\nmodule \"dns\" {{\n  source = \"{source}\"\n}}\n"),
            )
        };
        let shared = |shop: Shop| shop.file("modules/dns/main.tf", "").file("modules/plain", "");
        let json = r#"{"module": {"zone": {"source": "../zone"}}}"#;
        let nested = calling("../../../modules/dns").file("modules/dns/main.tf.json", json);
        for (what, shop, expected) in [
            (
                "below",
                calling("./dns"),
                "module dns (components/terraform/service/main.tf:2) has the source ./dns, and there is no folder \
                 components/terraform/service/dns [commit components/terraform/service/dns, or correct the source \
                 of module dns in components/terraform/service/main.tf:2]",
            ),
            (
                "a slip",
                shared(calling("../../../modules/dms")),
                "module dns (components/terraform/service/main.tf:2) has the source ../../../modules/dms, and there is no \
                 folder modules/dms [did you mean modules/dns?]",
            ),
            (
                "a file",
                shared(calling("../../../modules/plain")),
                "module dns (components/terraform/service/main.tf:2) has the source ../../../modules/plain, and modules/plain \
                 is no folder [commit modules/plain, or correct the source of module dns in \
                 components/terraform/service/main.tf:2]",
            ),
            (
                "of a module, in JSON",
                nested,
                "module zone (modules/dns/main.tf.json) has the source ../zone, and there is no folder modules/zone [commit \
                 modules/zone, or correct the source of module zone in modules/dns/main.tf.json]",
            ),
        ] {
            for moment in [Moment::Validation, Moment::Plan, Moment::Rollout] {
                let expected =
                    format!("error at components.terraform.app.component: terraform/app: {expected}");
                assert_eq!(told(&Shop { moment, ..shop.copy() }), [expected], "{what}");
            }
        }
    }

    #[test]
    fn modules_that_may_be_there_are_passed_over() {
        let calling = |source: &str| {
            Shop::new()
                .file(MAIN, &format!("variable \"vpc\" {{}}\nmodule \"dns\" {{\n  source = {source}\n}}\n"))
        };
        for (what, shop) in [
            ("there", calling("\"./dns\"").file("components/terraform/service/dns/main.tf", "")),
            ("a circle", calling("\"./\"")),
            ("of a registry", calling("\"hashicorp/dns/aws\"")),
            ("of elsewhere", calling("\"git::https://example.com/x.git//y\"")),
            ("out of the repository", calling("\"../../../../other/dns\"")),
            ("computed", calling("\"./${local.dns}\"")),
            (
                "overridden",
                calling("\"./dns\"").file(
                    "components/terraform/service/x_override.tf",
                    "module \"dns\" {\n  source = \"a/b/c\"\n}\n",
                ),
            ),
            (
                "a module that cannot be read",
                calling("\"../../../modules/odd\"").file("modules/odd/main.tf", "module \"x\" {"),
            ),
            (
                "a command that runs before",
                Shop {
                    text: Shop::new().text.replace("depends_on: [net]", "depends_on: [net, first]"),
                    ..calling("\"./dns\"")
                },
            ),
        ] {
            assert_eq!(told(&shop), [""; 0], "{what}");
        }
    }

    #[test]
    fn a_chain_of_modules_is_followed_to_an_end() {
        let call = |to: usize| format!("module \"next\" {{\n  source = \"../m{to}\"\n}}\n");
        let chain = |length: usize| {
            let root = "variable \"vpc\" {}\nmodule \"next\" {\n  source = \"../../../modules/m0\"\n}\n";
            let shop = Shop::new().file(MAIN, root);
            (0..length).fold(shop, |shop, at| shop.file(&format!("modules/m{at}/main.tf"), &call(at + 1)))
        };
        assert_eq!(told(&chain(DEEPEST)).len(), 1);
        assert_eq!(told(&chain(DEEPEST + 2)), [""; 0]);
    }
}
