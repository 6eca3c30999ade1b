//! A job of a CI system: the variables that its runner sets, and the files that it reads
//! afterwards.

use std::path::PathBuf;

use super::checkout::Checkout;
use super::run::{Run, Running};

/// The id of GitHub's run and of GitLab's pipeline in these tests.
const RUN: &str = "99";

/// The name of the runner that has GitHub's job.
pub(crate) const RUNNER: &str = "GitHub Actions 1";

/// A token that must not appear in any output.
pub(crate) const TOKEN: &str = "ghs_averysecrettoken0123456789";

/// A job that runs `atmos deployment ci`.
#[derive(Clone)]
pub(crate) struct Job<'c, 'e> {
    checkout: &'c Checkout<'e>,
    variables: Vec<(String, String)>,
    on_github: bool,
}

impl<'c, 'e> Job<'c, 'e> {
    /// A job on GitHub Actions, started by this event.
    pub(crate) fn github(checkout: &'c Checkout<'e>, event: &str) -> Self {
        let mut job = Self { checkout, variables: Vec::new(), on_github: true };
        let head = checkout.head();
        for (name, value) in [
            ("CI", "true"),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", event),
            ("GITHUB_REPOSITORY", "acme/shop"),
            ("GITHUB_SERVER_URL", "https://github.example.com"),
            // A closed port, until a test sets the address of its server.
            ("GITHUB_API_URL", "http://127.0.0.1:9"),
            ("GITHUB_RUN_ID", RUN),
            ("GITHUB_RUN_ATTEMPT", "1"),
            ("RUNNER_NAME", RUNNER),
            ("GITHUB_RUN_NUMBER", "128"),
            ("GITHUB_WORKFLOW", "Deploy"),
            ("GITHUB_ACTOR", "ada"),
            ("GITHUB_SHA", &head),
            ("GITHUB_REF_NAME", "main"),
            ("GITHUB_WORKSPACE", checkout.path.to_str().unwrap()),
            ("INPUT_TOKEN", TOKEN),
        ] {
            job = job.with(name, value);
        }
        for (name, default) in inputs_of_the_action() {
            if name != "TOKEN" {
                job = job.with(&format!("INPUT_{name}"), &default);
            }
        }
        for name in ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_EVENT_PATH"] {
            let file = job.file(name);
            std::fs::write(&file, "").unwrap();
            job = job.with(name, file.to_str().unwrap());
        }
        job
    }

    /// A job on GitLab CI.
    pub(crate) fn gitlab(checkout: &'c Checkout<'e>) -> Self {
        let mut job = Self { checkout, variables: Vec::new(), on_github: false };
        let head = checkout.head();
        for (name, value) in [
            ("CI", "true"),
            ("GITLAB_CI", "true"),
            ("CI_API_V4_URL", "http://127.0.0.1:9/api/v4"),
            ("CI_SERVER_URL", "https://gitlab.example.com"),
            ("CI_PROJECT_URL", "https://gitlab.example.com/acme/shop"),
            ("CI_PROJECT_ID", "42"),
            ("CI_PROJECT_PATH", "acme/shop"),
            ("CI_PIPELINE_ID", RUN),
            ("CI_PIPELINE_SOURCE", "push"),
            ("CI_JOB_ID", "6"),
            ("CI_JOB_NAME", "deploy"),
            ("CI_JOB_URL", "https://gitlab.example.com/acme/shop/-/jobs/6"),
            ("CI_COMMIT_SHA", &head),
            ("CI_COMMIT_REF_NAME", "main"),
            ("GITLAB_USER_LOGIN", "ada"),
            ("CI_JOB_TOKEN", TOKEN),
        ] {
            job = job.with(name, value);
        }
        job
    }

    /// A job of an unknown CI system.
    pub(crate) fn elsewhere(checkout: &'c Checkout<'e>) -> Self {
        Self { checkout, variables: Vec::new(), on_github: false }
    }

    /// Sets a variable.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets an input.
    pub(crate) fn input(self, name: &str, value: &str) -> Self {
        let name = name.to_uppercase();
        if self.on_github {
            self.with(&format!("INPUT_{name}"), value)
        } else {
            self.with(&format!("ATMOS_INPUT_{}", name.replace('-', "_")), value)
        }
    }

    /// Sets the inputs of a rollout of the payment service.
    pub(crate) fn rollout(self, target: &str) -> Self {
        self.input("command", "rollout").input("deployment", "payment-service").input("target", target)
    }

    /// Switches off all reports to the platform.
    pub(crate) fn unreported(self) -> Self {
        let reports = ["comment", "commit-status", "deployment-record"];
        reports.iter().fold(self, |job, report| job.input(report, "false"))
    }

    /// Writes the payload of the event.
    pub(crate) fn event(self, payload: &serde_json::Value) -> Self {
        std::fs::write(self.file("GITHUB_EVENT_PATH"), payload.to_string()).unwrap();
        self
    }

    /// Runs the job with these flags.
    #[track_caller]
    pub(crate) fn run_with(&self, flags: &str) -> Run {
        self.start_with(flags).wait()
    }

    /// Runs the job.
    #[track_caller]
    pub(crate) fn run(&self) -> Run {
        self.run_with("")
    }

    /// Starts the job with these flags.
    pub(crate) fn start_with(&self, flags: &str) -> Running {
        let mut command = self.checkout.atmos_command(&format!("{flags} deployment ci"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        Running::start(command)
    }

    /// An output of the job, as the next step (GitHub) or the next job (GitLab) reads it. Empty if
    /// there is none.
    #[track_caller]
    pub(crate) fn output(&self, name: &str) -> String {
        if !self.on_github {
            let variable = format!("ATMOS_{}=", name.to_uppercase().replace('-', "_"));
            let text = std::fs::read_to_string(self.checkout.path.join("atmos.env")).unwrap();
            return text.lines().find_map(|line| line.strip_prefix(&variable)).unwrap_or_default().to_owned();
        }
        let text = self.read("GITHUB_OUTPUT");
        let mut lines = text.lines();
        let mut found = String::new();
        while let Some((key, delimiter)) = lines.next().map(|line| line.split_once("<<").expect(line)) {
            let value: Vec<_> = lines.by_ref().take_while(|line| *line != delimiter).collect();
            if key == name {
                found = value.join("\n");
            }
        }
        found
    }

    /// The summary of the step.
    pub(crate) fn summary(&self) -> String {
        self.read("GITHUB_STEP_SUMMARY")
    }

    /// The content of a file that the runner reads.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.checkout.environment.path(name)
    }
}

/// The action's inputs and their defaults, as the runner sets them: an input that was left out and
/// has no default is empty.
fn inputs_of_the_action() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/action.yml")).unwrap();
    let action: serde_json::Value = serde_yaml::from_str(&text).unwrap();
    let inputs = action["inputs"].as_object().unwrap();
    let default = |input: &serde_json::Value| input["default"].as_str().unwrap_or_default().to_owned();
    inputs.iter().map(|(name, input)| (name.to_uppercase(), default(input))).collect()
}
