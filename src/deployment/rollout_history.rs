//! Rollouts, reconstructed from records that belong together.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::commit::CommitId;
use super::names::{ComponentName, DeploymentName, TargetName};
use super::record::LedgerRecord;
use super::run::pipeline_of;

/// The key shared by the records of one rollout.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    deployment: DeploymentName,
    target: TargetName,
    run: RunKey,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum RunKey {
    Named(String),
    /// Records of other writers without a run: equal second, commit, build and person mean one
    /// rollout.
    Unnamed(Timestamp, CommitId, Option<String>, Option<String>),
}

impl Key {
    fn of(record: &LedgerRecord) -> Self {
        let LedgerRecord { id, record, .. } = record;
        let run = match record.run_id.as_deref().filter(|run| !run.is_empty()) {
            Some(run) => RunKey::Named(pipeline_of(run).to_owned()),
            None => RunKey::Unnamed(
                record.timestamp,
                record.commit.clone(),
                record.build_id.clone(),
                record.deployed_by.clone(),
            ),
        };
        Self { deployment: id.deployment.clone(), target: id.target.clone(), run }
    }
}

/// Groups records, given newest first, into rollouts. A component is in a rollout only once: an
/// older record of it by the same run begins another rollout, which older records of that run join.
#[derive(Debug, Default)]
pub struct Grouping {
    newest: HashMap<Key, usize>,
    components: Vec<BTreeSet<ComponentName>>,
}

impl Grouping {
    /// The number of the rollout that the next older record belongs to, the newest being 0.
    pub fn add(&mut self, record: &LedgerRecord) -> usize {
        let key = Key::of(record);
        let component = &record.id.component;
        if let Some(at) = self.newest.get(&key)
            && let Some(components) = self.components.get_mut(*at)
            && components.insert(component.clone())
        {
            return *at;
        }
        let at = self.components.len();
        self.components.push([component.clone()].into());
        self.newest.insert(key, at);
        at
    }
}

/// The indexes of the records of each rollout, both newest first.
#[must_use]
pub fn rollouts(newest_first: &[LedgerRecord]) -> Vec<Vec<usize>> {
    let mut grouping = Grouping::default();
    let mut rollouts: Vec<Vec<usize>> = Vec::new();
    for (place, record) in newest_first.iter().enumerate() {
        let at = grouping.add(record);
        match rollouts.get_mut(at) {
            Some(rollout) => rollout.push(place),
            None => rollouts.push(vec![place]),
        }
    }
    rollouts
}

/// The start of a rollout, if its records have a duration: a record's time is its end.
#[must_use]
pub fn began<'r>(records: impl IntoIterator<Item = &'r LedgerRecord>) -> Option<Timestamp> {
    let in_time = records.into_iter().filter(|record| !record.is_late());
    let began = |record: &LedgerRecord| {
        let seconds = i64::try_from(record.record.details.duration_seconds?).ok()?;
        record.record.timestamp.checked_sub(jiff::SignedDuration::from_secs(seconds)).ok()
    };
    in_time.filter_map(began).min()
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::super::record::RecordStatus;
    use super::*;

    fn of(component: &str, minute: u8, run: Option<&str>) -> LedgerRecord {
        let at = format!("2025-01-22T10:{minute:02}:00Z");
        let mut record = fixtures::record("prod", component, "abc123d", RecordStatus::Success, &at);
        record.record.run_id = run.map(str::to_owned);
        record
    }

    #[test]
    fn the_records_of_a_run_are_one_rollout_also_where_others_lie_between() {
        let records = [
            of("worker", 5, Some("local:a")),
            of("web", 4, Some("local:b")),
            of("api", 3, Some("local:a")),
            of("database", 2, Some("local:a")),
        ];
        assert_eq!(rollouts(&records), [vec![0, 2, 3], vec![1]]);
    }

    #[test]
    fn what_a_run_deploys_again_is_another_rollout() {
        let run = Some("github:7/1");
        let records = [of("api", 9, run), of("api", 3, run), of("worker", 2, run)];
        assert_eq!(rollouts(&records), [vec![0], vec![1, 2]]);
    }

    #[test]
    fn the_jobs_of_a_pipeline_are_one_rollout_and_the_attempts_of_a_run_are_not() {
        let jobs = [of("api", 4, Some("gitlab:7/12")), of("worker", 3, Some("gitlab:7/11"))];
        assert_eq!(rollouts(&jobs), [vec![0, 1]]);
        let attempts = [of("api", 4, Some("github:7/2")), of("worker", 3, Some("github:7/1"))];
        assert_eq!(rollouts(&attempts), [vec![0], vec![1]]);
    }

    #[test]
    fn targets_are_apart_and_records_without_a_run_go_by_their_second() {
        let mut staging = of("api", 3, Some("local:a"));
        staging.id.target = fixtures::target_name("staging");
        let records = [
            of("api", 3, Some("local:a")),
            staging,
            of("api", 2, None),
            of("worker", 2, None),
            of("database", 1, None),
        ];
        assert_eq!(rollouts(&records), [vec![0], vec![1], vec![2, 3], vec![4]]);
    }

    #[test]
    fn a_rollout_began_when_the_first_of_its_components_did() {
        let (mut api, mut worker, mut late) = (of("api", 5, None), of("worker", 4, None), of("web", 1, None));
        assert_eq!(began([&api, &worker]), None);
        api.record.details.duration_seconds = Some(30);
        worker.record.details.duration_seconds = Some(90);
        late.record.details.duration_seconds = Some(9);
        late.record.details.late_of = Some("0bec7".to_owned());
        assert_eq!(began([&api, &worker, &late]), Some(fixtures::time("2025-01-22T10:02:30Z")));
    }
}
