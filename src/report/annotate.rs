//! Annotations of errors, on the run and on the lines of the files that they concern.

use std::path::Path;

use serde_json::Value;

use super::failure;
use super::outcome::Outcome;
use crate::ci::System;
use crate::ci::annotations::{self, Annotation, AnnotationLevel, AnnotationPlace};
use crate::context::Context;
use crate::deployment::rollout_report::ComponentResult;

/// Gives the platform its annotations. GitLab has none: there the log has the same text.
pub fn annotate(context: &Context, system: Option<System>, outcome: &Outcome) {
    if system != Some(System::GitHubActions) {
        return;
    }
    let prefix = prefix(context);
    let mut annotations = of_error(outcome);
    annotations.extend(of_components(outcome));
    annotations.extend(outcome.document.as_deref().map(of_validation).unwrap_or_default());
    for annotation in &mut annotations {
        annotation.message = context.masks().apply(std::mem::take(&mut annotation.message));
        if let Some(place) = &mut annotation.place {
            place.file = format!("{prefix}{}", place.file);
        }
    }
    context.streams().steer(&annotations::github(&annotations));
}

/// The error of the verb: one annotation, or one for each place that it is about.
fn of_error(outcome: &Outcome) -> Vec<Annotation> {
    let (Some(error), Some(failure)) = (outcome.error(), failure::view(outcome)) else { return Vec::new() };
    let annotation = |message: &str, place| Annotation {
        level: AnnotationLevel::Error,
        title: Some(failure.title.clone()),
        message: message.to_owned(),
        place,
    };
    if error.locations.is_empty() {
        return vec![annotation(&error.message, None)];
    }
    let places = error.locations.iter().map(|location| {
        let place = AnnotationPlace {
            file: location.file.clone(),
            line: Some(location.line),
            column: Some(location.column),
        };
        annotation(&location.message, Some(place))
    });
    places.collect()
}

fn of_components(outcome: &Outcome) -> Vec<Annotation> {
    let report = outcome.rollout.report.iter();
    let components =
        report.flat_map(|report| report.components.iter().map(move |component| (report, component)));
    let failed = components.filter(|(_, component)| component.status == ComponentResult::Failed);
    failed
        .map(|(report, component)| Annotation {
            level: AnnotationLevel::Error,
            title: Some(format!("{} failed on {}", component.component, report.target)),
            message: component.error.clone().unwrap_or_else(|| "failed".to_owned()),
            place: None,
        })
        .collect()
}

/// The problems that a `ValidationReport` lists.
fn of_validation(document: &str) -> Vec<Annotation> {
    let Ok(document) = serde_json::from_str::<Value>(document) else { return Vec::new() };
    if document["kind"] != "ValidationReport" {
        return Vec::new();
    }
    let deployments = document["deployments"].as_array().into_iter().flatten();
    let problems = deployments.flat_map(|deployment| deployment["problems"].as_array().into_iter().flatten());
    let number = |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok());
    let annotation = |problem: &Value| {
        Some(Annotation {
            level: if problem["severity"] == "warning" {
                AnnotationLevel::Warning
            } else {
                AnnotationLevel::Error
            },
            title: None,
            message: problem["message"].as_str()?.to_owned(),
            place: Some(AnnotationPlace {
                file: problem["file"].as_str()?.to_owned(),
                line: number(&problem["line"]),
                column: number(&problem["column"]),
            }),
        })
    };
    problems.filter_map(annotation).collect()
}

/// The path from the workspace, to which annotations are relative, to the checkout; usually empty.
fn prefix(context: &Context) -> String {
    let find = || {
        let repository = context.repository().ok()?;
        let workspace = Path::new(context.variable("GITHUB_WORKSPACE")?).canonicalize().ok()?;
        let relative = repository.work_tree()?.strip_prefix(workspace).ok()?.to_str()?.to_owned();
        (!relative.is_empty()).then(|| format!("{relative}/"))
    };
    find().unwrap_or_default()
}
