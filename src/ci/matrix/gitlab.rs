//! GitLab's child pipeline: one job for each component, which `needs:`
//! the jobs of what it depends on.

use indexmap::IndexMap;
use serde::{Serialize, Serializer};

use super::{FanOut, MatrixError};
use crate::deployment::ComponentName;

/// <https://docs.gitlab.com/ci/yaml/#needs>: a job can need at most so many.
const NEEDS_LIMIT: usize = 50;

/// The hidden job of the template that the jobs extend.
const HIDDEN_JOB: &str = ".atmos-rollout";

/// The stage of the jobs. `needs:` alone orders them.
const STAGE: &str = "rollout";

/// Where the child pipeline finds the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Template {
    /// A file of the repository.
    Local(String),
    /// An address.
    Remote(String),
}

impl Template {
    /// An address where the text is one, else a file of the repository.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text.starts_with("https://") || text.starts_with("http://") {
            Self::Remote(text.to_owned())
        } else {
            // GitLab's own form starts at the root.
            Self::Local(format!("/{}", text.trim_start_matches("./").trim_start_matches('/')))
        }
    }
}

impl Serialize for Template {
    // A map of one entry, which YAML would otherwise write as a tag.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, value) = match self {
            Self::Local(file) => ("local", file),
            Self::Remote(address) => ("remote", address),
        };
        serializer.collect_map([(key, value)])
    }
}

#[derive(Serialize)]
struct Pipeline<'a> {
    include: [&'a Template; 1],
    stages: [&'static str; 1],
    #[serde(flatten)]
    jobs: IndexMap<String, Job>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Job {
    Rollout {
        extends: &'static str,
        stage: &'static str,
        needs: Vec<String>,
        variables: IndexMap<&'static str, Variable>,
    },
    /// A pipeline without jobs would be an error.
    Nothing { stage: &'static str, script: [&'static str; 1] },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Variable {
    Plain(String),
    /// What GitLab would take for the name of a variable stays as it is.
    Raw {
        value: String,
        expand: bool,
    },
}

impl From<&str> for Variable {
    fn from(value: &str) -> Self {
        let value = value.to_owned();
        if value.contains('$') { Self::Raw { value, expand: false } } else { Self::Plain(value) }
    }
}

/// The pipeline as YAML.
pub fn gitlab(fan_out: &FanOut<'_>, template: &Template) -> Result<String, MatrixError> {
    let mut jobs = IndexMap::new();
    for job in fan_out.jobs {
        let needs = job.depends_on.len();
        if needs > NEEDS_LIMIT {
            let component = job.component.to_string();
            return Err(MatrixError::TooManyNeeds { component, needs, limit: NEEDS_LIMIT });
        }
        let variables = [
            ("ATMOS_INPUT_DEPLOYMENT", fan_out.deployment.as_str()),
            ("ATMOS_INPUT_TARGET", fan_out.target.as_str()),
            ("ATMOS_INPUT_COMPONENT", job.component.as_str()),
        ];
        let rollout = Job::Rollout {
            extends: HIDDEN_JOB,
            stage: STAGE,
            needs: job.depends_on.iter().map(job_name).collect(),
            variables: variables.into_iter().map(|(name, value)| (name, value.into())).collect(),
        };
        jobs.insert(job_name(&job.component), rollout);
    }
    if jobs.is_empty() {
        jobs.insert("nothing to roll out".to_owned(), Job::Nothing { stage: STAGE, script: ["true"] });
    }
    Ok(serde_yaml::to_string(&Pipeline { include: [template], stages: [STAGE], jobs })?)
}

/// A word before the component's name, which alone could be one of GitLab's
/// own keywords or start with a dot.
fn job_name(component: &ComponentName) -> String {
    format!("rollout {component}")
}
