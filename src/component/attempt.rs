//! Attempts of a run, with a timeout each, and retries after failures.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::{ComponentError, ComponentResult, ComponentRun, Notice, Stream};
use crate::cancellation::{Cancellation, CancellationLevel};

/// The grace period of a run after its timeout. Terraform releases its state lock in that time.
const GRACE: Duration = Duration::from_secs(30);

/// The pause before the second attempt; it doubles before each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The maximum pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Runs a component until it succeeds, within the retries and the timeout of its settings.
pub(super) async fn within_limits(run: ComponentRun<'_>) -> Result<ComponentResult, ComponentError> {
    let limits = run.component.settings.limits;
    let mut attempt = 1;
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match in_time(run, limits.timeout).await {
            Ok(mut result) => {
                if attempt > 1 {
                    result.notices.push(Notice::Retried { attempts: attempt });
                }
                return Ok(result);
            }
            Err(error) => error,
        };
        if attempt > limits.retries || !error.may_pass() {
            return Err(error);
        }
        let seconds = pause.as_secs_f64();
        let (of, next) = (limits.retries + 1, format!("trying again in {seconds} s"));
        run.log.line(Stream::Stderr, &format!("attempt {attempt} of {of} failed: {error}; {next}"));
        tokio::select! {
            () = sleep(pause) => {}
            _ = run.cancellation.above(CancellationLevel::None) => return Err(error),
        }
        attempt += 1;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Runs one attempt. A timeout ends it in the same way as a cancellation.
async fn in_time(
    run: ComponentRun<'_>,
    timeout: Option<Duration>,
) -> Result<ComponentResult, ComponentError> {
    let Some(timeout) = timeout else { return super::run_once(run).await };
    let (canceller, cancellation) = Cancellation::new();
    let attempt = super::run_once(ComponentRun { cancellation: &cancellation, ..run });
    tokio::pin!(attempt);
    let mut deadline = Instant::now() + timeout;
    let mut next = CancellationLevel::Graceful;
    let mut timed_out = false;
    let mut level = CancellationLevel::None;
    loop {
        tokio::select! {
            result = &mut attempt => {
                return match result {
                    Err(error) if timed_out && !run.cancellation.is_cancelled() && error.is_cancelled() => {
                        Err(ComponentError::TimedOut { after: timeout, tail: error.tail().to_vec() })
                    }
                    result => result,
                };
            }
            raised = run.cancellation.above(level) => {
                level = raised;
                canceller.raise(raised);
            }
            () = sleep_until(deadline), if !timed_out || next == CancellationLevel::Immediate => {
                canceller.raise(next);
                (deadline, timed_out) = (Instant::now() + GRACE, true);
                next = match next {
                    CancellationLevel::Graceful => CancellationLevel::Immediate,
                    // The run was killed: there is no further level.
                    _ => CancellationLevel::None,
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::component::testing::{Fixture, command};
    use crate::component::{ComponentError, Mode, Notice};
    use crate::deployment::ComponentKind;
    use crate::deployment::definition::RunLimits;

    use super::*;

    fn fixture(script: &str, limits: RunLimits) -> Fixture {
        let mut fixture = Fixture::new(ComponentKind::Command, "worker");
        fixture.component.settings.command = Some(command(&["sh", "-c", script]));
        fixture.component.settings.limits = limits;
        fixture
    }

    #[tokio::test]
    async fn what_fails_is_tried_again_as_often_as_it_may_be() {
        let script = "echo x >> tries; [ $(wc -l < tries) -eq 2 ] && echo done=yes > $ATMOS_OUTPUT";
        let limits = RunLimits { timeout: None, retries: 1 };
        let result = fixture(script, limits).run(Mode::Apply).await.unwrap();
        assert_eq!(result.outputs["done"], "yes");
        assert_eq!(result.notices, [Notice::Retried { attempts: 2 }]);

        let fixture = fixture("echo x >> tries; exit 4", limits);
        assert_eq!(fixture.run(Mode::Apply).await.unwrap_err().exit_code(), Some(4));
        assert_eq!(std::fs::read_to_string(fixture.checkout().join("tries")).unwrap(), "x\nx\n");
        let lines = fixture.lines.lock().unwrap();
        assert_eq!(*lines, ["attempt 1 of 2 failed: sh failed with exit status 4; trying again in 0.5 s"]);
    }

    #[tokio::test]
    async fn an_attempt_that_hangs_is_told_to_end_and_its_last_words_are_kept() {
        let limits = RunLimits { timeout: Some(Duration::from_millis(300)), retries: 0 };
        let script = "trap 'echo tidied; exit 1' TERM; sleep 600 & wait";
        let error = fixture(script, limits).run(Mode::Apply).await.unwrap_err();
        assert!(matches!(error, ComponentError::TimedOut { .. }), "{error}");
        assert_eq!(error.tail(), ["tidied"]);
        assert!(!error.is_cancelled());
    }

    #[tokio::test]
    async fn a_cancellation_is_neither_a_time_out_nor_tried_again() {
        let limits = RunLimits { timeout: Some(Duration::from_mins(10)), retries: 5 };
        let mut fixture = fixture("echo ready; sleep 600 & wait", limits);
        fixture.cancel_at = Some("ready");
        assert!(fixture.run(Mode::Apply).await.unwrap_err().is_cancelled());
    }
}
