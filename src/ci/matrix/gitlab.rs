//! GitLab's child pipeline: one job for each component, which `needs:` the jobs of its
//! dependencies.

use indexmap::IndexMap;
use serde::{Serialize, Serializer};

use super::{FanOut, MatrixError};
use crate::deployment::ComponentName;

/// The maximum number of jobs in `needs:`: <https://docs.gitlab.com/ci/yaml/#needs>.
const NEEDS_LIMIT: usize = 50;

/// The hidden job of the template that the jobs extend.
const HIDDEN_JOB: &str = ".atmos-rollout";

/// The stage of the jobs. `needs:` alone orders them.
const STAGE: &str = "rollout";

/// The location of the template that the child pipeline includes.
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
    // A map of one entry, as YAML would write an enum as a tag.
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
    /// A value with `$`, which GitLab must not expand.
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

/// The job's name. The prefix keeps a component's name from being a keyword of GitLab or starting
/// with a dot.
fn job_name(component: &ComponentName) -> String {
    format!("rollout {component}")
}
