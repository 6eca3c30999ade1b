//! The settings of components: build, execution and health checks.

use std::time::Duration;

use jiff::fmt::friendly::SpanParser;

use crate::deployment::ComponentKind;
use crate::deployment::definition::{
    CommandSettings, ComponentSettings, HelmfileOptions, NixpackSettings, RunLimits, TerraformOptions,
};
use crate::deployment::health::{HealthCheck, Probe};

use super::super::deployment_file::{
    CommandComponentSettings, CommandSection, HealthEcs, HealthKubernetes, HealthSection,
    HelmfileComponentSettings, HelmfileSection, NixpackComponentSettings, NixpackSection,
    TerraformComponentSettings, TerraformSection,
};
use super::super::problem::Problems;
use super::super::span::Span;
use super::Places;
use super::inside::check_inside;

/// The settings of a component of any kind as declared in the file.
#[derive(Debug, Default)]
pub(super) struct DeclaredSettings {
    nixpack: Option<NixpackSection>,
    terraform: Option<TerraformSection>,
    helmfile: Option<HelmfileSection>,
    command: Option<CommandSection>,
    health: Option<HealthSection>,
}

impl From<NixpackComponentSettings> for DeclaredSettings {
    fn from(settings: NixpackComponentSettings) -> Self {
        Self { nixpack: settings.nixpack, health: settings.health, ..Self::default() }
    }
}

impl From<TerraformComponentSettings> for DeclaredSettings {
    fn from(settings: TerraformComponentSettings) -> Self {
        Self { terraform: settings.terraform, health: settings.health, ..Self::default() }
    }
}

impl From<HelmfileComponentSettings> for DeclaredSettings {
    fn from(settings: HelmfileComponentSettings) -> Self {
        Self { helmfile: settings.helmfile, health: settings.health, ..Self::default() }
    }
}

impl From<CommandComponentSettings> for DeclaredSettings {
    fn from(settings: CommandComponentSettings) -> Self {
        Self { command: settings.command, health: settings.health, ..Self::default() }
    }
}

/// Settings at a path of the file.
pub(super) struct SettingsAt<'a, 'p, 'f> {
    pub(super) places: Places<'a>,
    pub(super) path: &'a [&'a str],
    pub(super) problems: &'p mut Problems<'f>,
}

impl SettingsAt<'_, '_, '_> {
    /// Validates settings and fills in the defaults.
    pub(super) fn resolve(mut self, kind: ComponentKind, declared: &DeclaredSettings) -> ComponentSettings {
        let section = kind.as_str();
        let (timeout, retries) = match kind {
            ComponentKind::Command => {
                declared.command.as_ref().map(|section| (section.timeout.as_ref(), section.retries))
            }
            ComponentKind::Terraform => {
                declared.terraform.as_ref().map(|section| (section.timeout.as_ref(), section.retries))
            }
            ComponentKind::Helmfile => {
                declared.helmfile.as_ref().map(|section| (section.timeout.as_ref(), section.retries))
            }
            ComponentKind::Nixpack => None,
        }
        .unwrap_or_default();
        let lock_timeout = declared.terraform.as_ref().and_then(|section| section.lock_timeout.as_ref());
        let helmfile = declared.helmfile.as_ref();
        ComponentSettings {
            limits: RunLimits {
                timeout: self.duration(timeout, &[section, "timeout"]),
                retries: retries.unwrap_or(0),
            },
            command: declared.command.as_ref().and_then(|command| self.command(command)),
            nixpack: (kind == ComponentKind::Nixpack).then(|| nixpack(declared.nixpack.as_ref())),
            terraform: TerraformOptions {
                lock_timeout: self.duration(lock_timeout, &[section, "lock_timeout"]),
            },
            helmfile: HelmfileOptions {
                environment: helmfile.and_then(|helmfile| helmfile.environment.clone()),
                selectors: helmfile.and_then(|helmfile| helmfile.selectors.clone()).unwrap_or_default(),
            },
            health: declared.health.as_ref().and_then(|health| self.health(health)),
        }
    }

    fn at<'s>(&'s self, inside: &[&'s str]) -> Vec<&'s str> {
        self.path.iter().chain(inside).copied().collect()
    }

    /// `None` without `apply`, which the schema check reports.
    fn command(&mut self, command: &CommandSection) -> Option<CommandSettings> {
        for (key, arguments) in [("plan", &command.plan), ("apply", &command.apply)] {
            if arguments.as_ref().and_then(|arguments| arguments.first()).is_some_and(String::is_empty) {
                let place = self.places.item(&self.at(&["command", key]), 0);
                self.problems.error(place, format!("`{key}` names no program"), None);
            }
        }
        if let Some(directory) = &command.working_directory {
            let place = self.places.value(&self.at(&["command", "working_directory"]));
            check_inside(directory, place, self.problems);
        }
        Some(CommandSettings {
            plan: command.plan.clone(),
            apply: command.apply.clone()?,
            working_directory: command.working_directory.clone(),
        })
    }

    /// `None` unless exactly one kind of check is configured; anything else is an error.
    fn health(&mut self, health: &HealthSection) -> Option<HealthCheck> {
        let timeout = self.duration(health.timeout.as_ref(), &["health", "timeout"]);
        let interval = self.duration(health.interval.as_ref(), &["health", "interval"]);
        let status = health.http.as_ref().and_then(|http| http.status);
        let status = status.map(|status| u16::try_from(status).unwrap_or(u16::MAX));
        if status.is_some_and(|status| !(100..600).contains(&status)) {
            let place = self.places.value(&self.at(&["health", "http", "status"]));
            self.problems.error(place, "`status` must be from 100 to 599", None);
        }
        let mut probes = [
            health.command.clone().map(Probe::Command),
            health.http.clone().and_then(|http| Some(Probe::Http { url: http.url?, status })),
            health.kubernetes.clone().and_then(kubernetes),
            health.ecs.clone().and_then(ecs),
        ]
        .into_iter()
        .flatten();
        let (first, second) = (probes.next(), probes.next());
        let incomplete = health.http.is_some() || health.kubernetes.is_some() || health.ecs.is_some();
        if second.is_some() || (first.is_none() && !incomplete) {
            let place = self.places.key(&self.at(&["health"]));
            let message = "`health` must have one of `command`, `http`, `kubernetes`, `ecs`";
            self.problems.error(place, message, None);
        }
        Some(HealthCheck {
            probe: first?,
            timeout: timeout.unwrap_or(HealthCheck::TIMEOUT),
            interval: interval.unwrap_or(HealthCheck::INTERVAL),
            required: health.required.unwrap_or(true),
        })
    }

    fn duration(&mut self, text: Option<&String>, inside: &[&str]) -> Option<Duration> {
        let text = text?;
        let span = self.places.value(&self.at(inside));
        duration(text, span, self.problems)
    }
}

/// Parses a positive duration; anything else is a problem.
pub(super) fn duration(text: &str, span: Span, problems: &mut Problems<'_>) -> Option<Duration> {
    let duration = SpanParser::new().parse_unsigned_duration(text);
    let duration = duration.ok().filter(|duration| !duration.is_zero());
    if duration.is_none() {
        let hint = "write hours, minutes and seconds: `10m`, `90s`, `1h30m`".to_owned();
        problems.error(span, format!("`{text}` is not a duration above zero"), Some(hint));
    }
    duration
}

fn kubernetes(kubernetes: HealthKubernetes) -> Option<Probe> {
    let HealthKubernetes { resource, namespace, context } = kubernetes;
    Some(Probe::Kubernetes { resource: resource?, namespace, context })
}

fn ecs(ecs: HealthEcs) -> Option<Probe> {
    Some(Probe::Ecs { cluster: ecs.cluster?, service: ecs.service?, region: ecs.region })
}

fn nixpack(section: Option<&NixpackSection>) -> NixpackSettings {
    let section = section.cloned().unwrap_or_default();
    let sbom = section.sbom.unwrap_or_default();
    let default = NixpackSettings::default();
    let formats =
        sbom.formats.map(|formats| formats.iter().map(|format| format.as_str().to_owned()).collect());
    NixpackSettings {
        publish: section.publish.unwrap_or(default.publish),
        dockerfile_escape: section.dockerfile_escape.unwrap_or(default.dockerfile_escape),
        sbom_required: sbom.require.unwrap_or(default.sbom_required),
        sbom_formats: formats.unwrap_or(default.sbom_formats),
        test: section.test.unwrap_or_default(),
    }
}
