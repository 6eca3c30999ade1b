//! The settings of `atmos.yaml` that environment variables override, by Atmos's own names.

use super::atmos::{AtmosConfig, ListMergeStrategy};

/// An environment variable whose value is not valid for its setting.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} must be {expected}, not \"{value}\"")]
pub struct EnvironmentError {
    pub variable: &'static str,
    pub expected: &'static str,
    pub value: String,
}

impl AtmosConfig {
    /// Overrides the file's settings by environment variables. Empty variables count as absent;
    /// lists are comma-separated.
    pub fn take_environment<'e>(
        &mut self,
        variable: impl Fn(&str) -> Option<&'e str>,
    ) -> Result<(), EnvironmentError> {
        let text = |name: &str| variable(name).filter(|value| !value.is_empty()).map(str::to_owned);
        let items = |text: String| text.split(',').map(|item| item.trim().to_owned()).collect();
        let stacks = &mut self.stacks;
        set(&mut stacks.base_path, text("ATMOS_STACKS_BASE_PATH"));
        set(&mut stacks.included_paths, text("ATMOS_STACKS_INCLUDED_PATHS").map(items).map(Some));
        set(&mut stacks.excluded_paths, text("ATMOS_STACKS_EXCLUDED_PATHS").map(items).map(Some));
        set(&mut stacks.name_pattern, text("ATMOS_STACKS_NAME_PATTERN").map(Some));
        set(&mut stacks.name_template, text("ATMOS_STACKS_NAME_TEMPLATE").map(Some));
        set(&mut self.terraform.base_path, text("ATMOS_COMPONENTS_TERRAFORM_BASE_PATH").map(Some));
        set(&mut self.terraform.command, text("ATMOS_COMPONENTS_TERRAFORM_COMMAND").map(Some));
        set(
            &mut self.terraform.auto_generate_backend_file,
            flag(text, "ATMOS_COMPONENTS_TERRAFORM_AUTO_GENERATE_BACKEND_FILE")?.map(Some),
        );
        set(&mut self.helmfile.base_path, text("ATMOS_COMPONENTS_HELMFILE_BASE_PATH").map(Some));
        set(&mut self.helmfile.command, text("ATMOS_COMPONENTS_HELMFILE_COMMAND").map(Some));
        set(&mut self.registry, text("ATMOS_REGISTRY").map(Some));
        if let Some(value) = text("ATMOS_SETTINGS_LIST_MERGE_STRATEGY") {
            self.list_merge_strategy = match value.as_str() {
                "replace" => ListMergeStrategy::Replace,
                "append" => ListMergeStrategy::Append,
                "merge" => ListMergeStrategy::Merge,
                _ => {
                    return Err(EnvironmentError {
                        variable: "ATMOS_SETTINGS_LIST_MERGE_STRATEGY",
                        expected: "replace, append or merge",
                        value,
                    });
                }
            };
        }
        Ok(())
    }
}

fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

/// Parses a flag from the words that Atmos accepts.
fn flag(
    text: impl Fn(&str) -> Option<String>,
    variable: &'static str,
) -> Result<Option<bool>, EnvironmentError> {
    let Some(value) = text(variable) else { return Ok(None) };
    match value.as_str() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Some(true)),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Some(false)),
        _ => Err(EnvironmentError { variable, expected: "true or false", value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(variables: &[(&str, &'static str)]) -> Result<AtmosConfig, EnvironmentError> {
        let mut config = AtmosConfig::default();
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        config.take_environment(variable).map(|()| config)
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let config = taken(&[
            ("ATMOS_STACKS_BASE_PATH", "live"),
            ("ATMOS_STACKS_INCLUDED_PATHS", "a/**/*, b/*"),
            ("ATMOS_STACKS_NAME_TEMPLATE", "{{ .vars.stage }}"),
            ("ATMOS_COMPONENTS_TERRAFORM_COMMAND", "tofu"),
            ("ATMOS_COMPONENTS_TERRAFORM_AUTO_GENERATE_BACKEND_FILE", "0"),
            ("ATMOS_COMPONENTS_HELMFILE_BASE_PATH", ""),
            ("ATMOS_REGISTRY", "registry.example.com"),
            ("ATMOS_SETTINGS_LIST_MERGE_STRATEGY", "merge"),
        ])
        .unwrap();
        assert_eq!(config.stacks.base_path, "live");
        assert_eq!(config.stacks.included_paths.unwrap(), ["a/**/*", "b/*"]);
        assert_eq!(config.stacks.name_template.as_deref(), Some("{{ .vars.stage }}"));
        assert_eq!(config.terraform.command.as_deref(), Some("tofu"));
        assert_eq!(config.terraform.auto_generate_backend_file, Some(false));
        assert_eq!(config.helmfile.base_path, None);
        assert_eq!(config.registry.as_deref(), Some("registry.example.com"));
        assert_eq!(config.list_merge_strategy, ListMergeStrategy::Merge);
        assert_eq!(taken(&[]).unwrap(), AtmosConfig::default());
    }

    #[test]
    fn what_no_setting_can_be_made_of_is_refused() {
        let refused = |name, value| taken(&[(name, value)]).unwrap_err().to_string();
        assert_eq!(
            refused("ATMOS_SETTINGS_LIST_MERGE_STRATEGY", "both"),
            "ATMOS_SETTINGS_LIST_MERGE_STRATEGY must be replace, append or merge, not \"both\""
        );
        assert!(
            refused("ATMOS_COMPONENTS_TERRAFORM_AUTO_GENERATE_BACKEND_FILE", "yes").contains("true or false")
        );
    }
}
