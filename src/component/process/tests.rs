//! Tests with children of every behaviour.

use std::path::Path;

use super::*;
use crate::component::log::LogSink;

fn shell(script: &str) -> Invocation {
    Invocation {
        name: "sh".to_owned(),
        program: PathBuf::from("/bin/sh"),
        arguments: vec!["-c".into(), script.into()],
        directory: std::env::temp_dir(),
        environment: [("PATH".into(), "/usr/bin:/bin".into())].into_iter().collect(),
        timeout: None,
        input: Vec::new(),
        stdout: StdoutUse::Log,
    }
}

async fn run_with(
    invocation: &Invocation,
    log: &dyn LogSink,
    cancellation: &Cancellation,
) -> Result<Vec<u8>, ProcessError> {
    let masks = Masks::new(["hunter2"]);
    run(invocation, Supervision { log, masks: &masks, cancellation }).await
}

async fn run_alone(invocation: &Invocation) -> Result<Vec<u8>, ProcessError> {
    run_with(invocation, &|_, _: &str| {}, &Cancellation::never()).await
}

/// Whether the process is gone, given the time that the kernel needs. A zombie that its new parent
/// has yet to reap counts as gone.
fn is_gone(pid: &str) -> bool {
    (0..500).any(|_| {
        let gone = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"))
            .map_or(true, |stat| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")));
        if !gone {
            std::thread::sleep(Duration::from_millis(10));
        }
        gone
    })
}

#[tokio::test]
async fn both_streams_reach_the_log_without_secrets() {
    let lines = Mutex::new(Vec::new());
    let log = |stream: Stream, line: &str| lines.lock().unwrap().push((stream, line.to_owned()));
    run_with(&shell("echo the password is hunter2; echo oops >&2"), &log, &Cancellation::never())
        .await
        .unwrap();
    let lines = lines.into_inner().unwrap();
    assert!(lines.contains(&(Stream::Stdout, "the password is ***".to_owned())));
    assert!(lines.contains(&(Stream::Stderr, "oops".to_owned())));
}

#[tokio::test]
async fn data_is_returned_and_never_logged() {
    let log = |_: Stream, line: &str| panic!("logged {line:?}");
    let invocation = Invocation { stdout: StdoutUse::Data, ..shell("printf 'hunter2\\n'") };
    assert_eq!(run_with(&invocation, &log, &Cancellation::never()).await.unwrap(), b"hunter2\n");
}

#[tokio::test]
async fn a_failure_carries_its_status_and_the_last_lines() {
    let error = run_alone(&shell("for i in $(seq 100); do echo line $i; done; exit 3")).await.unwrap_err();
    assert_eq!(error.to_string(), "sh failed with exit status 3");
    assert_eq!(error.tail().len(), 40);
    assert_eq!(error.tail().last().unwrap(), "line 100");
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let invocation = Invocation { name: "nope".to_owned(), program: "/nonexistent/nope".into(), ..shell("") };
    let error = run_alone(&invocation).await.unwrap_err();
    assert!(matches!(error, ProcessError::Missing { program } if program == "nope"));
}

#[tokio::test]
async fn the_child_gets_its_environment_and_nothing_else() {
    let input = b"a line\n".to_vec();
    let given = Invocation { stdout: StdoutUse::Data, input: input.clone(), ..shell("cat") };
    assert_eq!(run_alone(&given).await.unwrap(), input);
    let not_taken = Invocation { input, ..shell("exec 0<&-; exit 0") };
    run_alone(&not_taken).await.unwrap();
    let invocation = Invocation { stdout: StdoutUse::Data, ..shell("echo ${HOME-unset}; cat") };
    assert_eq!(run_alone(&invocation).await.unwrap(), b"unset\n");
}

#[tokio::test]
async fn a_timeout_ends_the_grandchildren_too() {
    let directory = tempfile::tempdir().unwrap();
    let invocation = Invocation {
        directory: directory.path().to_owned(),
        timeout: Some(Duration::from_millis(300)),
        input: Vec::new(),
        ..shell("sleep 600 & echo $! > pid; wait")
    };
    let error = run_alone(&invocation).await.unwrap_err();
    assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}");
    let pid = std::fs::read_to_string(directory.path().join("pid")).unwrap();
    assert!(is_gone(pid.trim()));
}

#[tokio::test]
async fn a_child_that_never_stops_printing_is_still_timed_out() {
    let invocation = Invocation { timeout: Some(Duration::from_millis(100)), ..shell("yes") };
    let error = run_alone(&invocation).await.unwrap_err();
    assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}");
}

/// Runs a script and raises the cancellation through these levels, one for each printed line.
async fn run_cancelled(script: &str, levels: &[CancellationLevel]) -> (ProcessError, Vec<String>) {
    let (canceller, cancellation) = Cancellation::new();
    let lines = Mutex::new(Vec::new());
    let log = |_: Stream, line: &str| {
        let mut lines = lines.lock().unwrap();
        if let Some(level) = levels.get(lines.len()) {
            canceller.raise(*level);
        }
        lines.push(line.to_owned());
    };
    let error = run_with(&shell(script), &log, &cancellation).await.unwrap_err();
    (error, lines.into_inner().unwrap())
}

#[tokio::test]
async fn a_graceful_cancellation_lets_the_child_clean_up() {
    let script = "trap 'echo cleaned up; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let (error, lines) = run_cancelled(script, &[CancellationLevel::Graceful]).await;
    assert!(matches!(error, ProcessError::Cancelled { .. }), "{error}");
    assert_eq!(lines.last().unwrap(), "cleaned up");
}

#[tokio::test]
async fn an_immediate_cancellation_kills_what_ignores_the_first() {
    let script = "trap 'echo no' TERM; echo ready; while :; do sleep 0.05; done";
    let levels = [CancellationLevel::Graceful, CancellationLevel::Immediate];
    let (error, _) = run_cancelled(script, &levels).await;
    assert!(matches!(error, ProcessError::Cancelled { .. }), "{error}");
}

#[tokio::test]
async fn dropping_the_run_kills_the_group() {
    let directory = tempfile::tempdir().unwrap();
    let pids = directory.path().join("pids");
    let invocation = Invocation {
        directory: directory.path().to_owned(),
        ..shell("sleep 600 & echo $$ $! > pids.new; mv pids.new pids; wait")
    };
    let both = tokio::select! {
        ended = run_alone(&invocation) => panic!("ended: {ended:?}"),
        both = async {
            loop {
                if let Ok(both) = std::fs::read_to_string(&pids) {
                    break both;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        } => both,
    };
    assert!(both.split_whitespace().all(is_gone));
}

#[tokio::test]
async fn a_child_that_leaves_something_running_is_not_waited_for_forever() {
    let invocation = Invocation { stdout: StdoutUse::Data, ..shell("sleep 600 & echo $!") };
    let pid = String::from_utf8(run_alone(&invocation).await.unwrap()).unwrap();
    let pid = pid.trim();
    assert!(Path::new("/proc").join(pid).exists(), "what was left on purpose still runs");
    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
}
