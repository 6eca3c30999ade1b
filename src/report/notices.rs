//! Notices about reports that could not be sent, with remedies. They never fail a job.

use crate::ci::System;
use crate::ci::annotations::{self, Annotation, AnnotationLevel};
use crate::context::Context;

/// Notices without duplicates.
#[derive(Debug, Default)]
pub struct Notices(Vec<String>);

impl Notices {
    /// Adds a sentence without its full stop.
    pub fn add(&mut self, notice: String) {
        if !self.0.contains(&notice) {
            self.0.push(notice);
        }
    }

    /// Adds other notices.
    pub fn extend(&mut self, others: Self) {
        others.0.into_iter().for_each(|notice| self.add(notice));
    }

    /// Prints the notices.
    pub fn say(&self, context: &Context, system: Option<System>) {
        let masked = self.0.iter().map(|notice| context.masks().apply(notice.clone()));
        if system != Some(System::GitHubActions) {
            masked.for_each(|notice| context.streams().warn(&format!("Notice: {notice}\n")));
            return;
        }
        let annotations: Vec<_> = masked
            .map(|message| Annotation { level: AnnotationLevel::Notice, title: None, message, place: None })
            .collect();
        context.streams().steer(&annotations::github(&annotations));
    }
}
