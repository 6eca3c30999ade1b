//! GitHub's matrix: the value of `strategy.matrix: ${{ fromJSON(…) }}`.

use serde::Serialize;

use super::{FanOut, MatrixError};
use crate::deployment::{ComponentKind, ComponentName};

/// The maximum number of jobs that a matrix may create in one run:
/// <https://docs.github.com/en/actions/reference/limits>.
const LIMIT: usize = 256;

#[derive(Serialize)]
struct Matrix<'a> {
    include: Vec<Include<'a>>,
}

#[derive(Serialize)]
struct Include<'a> {
    component: &'a ComponentName,
    #[serde(rename = "type")]
    kind: ComponentKind,
    wave: usize,
    depends_on: &'a [ComponentName],
}

/// The matrix in one line, as `$GITHUB_OUTPUT` takes it.
pub fn github(fan_out: &FanOut<'_>) -> Result<String, MatrixError> {
    let jobs = fan_out.jobs.len();
    if jobs > LIMIT {
        return Err(MatrixError::TooManyJobs { jobs, limit: LIMIT });
    }
    let include = fan_out.jobs.iter().map(|job| Include {
        component: &job.component,
        kind: job.kind,
        wave: job.wave,
        depends_on: &job.depends_on,
    });
    Ok(serde_json::to_string(&Matrix { include: include.collect() })? + "\n")
}
