//! The tools of a rollout, found and checked before anything is applied.

use std::collections::BTreeMap;

use super::command::RolloutCommand;
use crate::component::{MissingTool, TerraformSettings, TooOld, preflight, preflight_health};
use crate::context::runtime;
use crate::deployment::rollout_plan::{ComponentPlan, RolloutPlan};
use crate::deployment::{CommitId, ComponentKind, ComponentName, Deployment};
use crate::error::{Code, CommandError};
use crate::render::document::error::Hint;

impl RolloutCommand<'_, '_> {
    /// Refuses a plan whose tools are missing, before anything is applied.
    pub(super) fn check_tools(
        &self,
        plan: &RolloutPlan,
        definitions: &BTreeMap<CommitId, Deployment>,
    ) -> Result<(), CommandError> {
        let (mut all, mut others) = (Vec::new(), Vec::new());
        // Stacks may name the program that runs a terraform component.
        let mut programs = BTreeMap::new();
        for planned in &plan.components {
            let deployment = definitions.get(&planned.commit);
            let component = deployment
                .and_then(|deployment| deployment.component(&planned.component))
                .ok_or_else(|| not_in_commit(planned))?;
            all.push(component);
            match component.kind {
                ComponentKind::Terraform => {
                    programs.insert(&planned.component, self.terraform().program);
                }
                _ => others.push(component),
            }
        }
        for (component, program) in self.check_stacks(plan, definitions)? {
            match program {
                Some(program) => programs.insert(component, program),
                None => programs.remove(component),
            };
        }
        let environment = self.environment();
        let missing = |missing: MissingTool| self.missing_tool(plan, missing);
        preflight(others, &self.terraform(), &self.helmfile(), &environment).map_err(missing)?;
        preflight_health(all, &environment).map_err(missing)?;
        let by_program: BTreeMap<String, &ComponentName> =
            programs.into_iter().map(|(component, program)| (program, component)).collect();
        for (program, component) in by_program {
            self.check_terraform(plan, component, program)?;
        }
        Ok(())
    }

    /// Checks that the program of a terraform component exists and is new enough.
    fn check_terraform(
        &self,
        plan: &RolloutPlan,
        component: &ComponentName,
        program: String,
    ) -> Result<(), CommandError> {
        let settings = TerraformSettings { program, ..self.terraform() };
        let environment = self.environment();
        settings.check(component, &environment).map_err(|missing| self.missing_tool(plan, missing))?;
        let runtime = runtime::on_this_thread()?;
        let too_old = |error: TooOld| {
            CommandError::new(Code::Preflight, error.to_string()).hint(Hint::note(error.hint))
        };
        runtime.block_on(settings.check_version(&environment)).map_err(too_old)
    }
}

impl RolloutCommand<'_, '_> {
    /// The error of a missing program, with the place of the component that needs it.
    fn missing_tool(&self, plan: &RolloutPlan, tool: MissingTool) -> CommandError {
        let planned = plan.components.iter().find(|planned| planned.component == tool.component);
        let place = planned
            .and_then(|planned| self.place_of(&planned.commit, planned.kind, &planned.component))
            .map(|place| format!("needed at {place}"));
        missing(tool).details(place)
    }
}

pub(super) fn missing(missing: MissingTool) -> CommandError {
    CommandError::new(Code::Preflight, missing.to_string()).hint(Hint::note(missing.hint))
}

fn not_in_commit(planned: &ComponentPlan) -> CommandError {
    let message = format!("commit {} has no component called {}", planned.commit.short(), planned.component);
    CommandError::new(Code::UnknownComponent, message)
        .hint(Hint::note("Configuration comes from the commit that is deployed: commit it first"))
}
