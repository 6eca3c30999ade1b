//! The hints that a refusal prints, taken from its document and run as a user would paste them.

use std::path::Path;

use super::checkout::{ATMOS, Checkout};
use super::run::{Run, Running};

impl Checkout<'_> {
    /// Runs a command line in a shell, with the program under test as `atmos`.
    #[track_caller]
    pub(crate) fn shell(&self, line: &str, variables: &[(&str, &str)]) -> Run {
        let mut command = self.environment.command("sh", &self.path);
        let path = self.environment.variable("PATH");
        let folder = Path::new(ATMOS).parent().unwrap().display();
        command.env("PATH", format!("{folder}:{path}")).args(["-c", line]);
        command.envs(variables.iter().copied());
        Running::start(command).wait()
    }
}

impl Run {
    /// The hints of the error document that have commands: each text with its commands in order.
    #[track_caller]
    pub(crate) fn hints(&self) -> Vec<(String, Vec<String>)> {
        let document = self.json();
        let hints = document["hints"].as_array().unwrap().iter();
        let command = |step: &serde_json::Value| step["command"].as_str().unwrap().to_owned();
        hints
            .filter_map(|hint| {
                let steps = hint["steps"].as_array()?.iter().map(command).collect();
                Some((hint["text"].as_str().unwrap().to_owned(), steps))
            })
            .collect()
    }
}
