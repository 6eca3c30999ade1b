//! The only module here that starts child processes.
//!
//! A child runs in its own process group, with an argument vector (no shell), at most a few lines
//! on its standard input and exactly the given environment. Stopping it means stopping the group,
//! so that its own children end too.

mod output;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until};

use super::environment::Environment;
use super::log::{LogSink, Masks, Stream};
use crate::cancellation::{Cancellation, CancellationLevel};
use output::{LineCutter, Tail, clean};

/// The grace period of a process group after a timeout, before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// The time to read on after a child's end while an orphan holds its output open, and to wait for a
/// killed child.
const LINGER: Duration = Duration::from_secs(2);

/// The maximum size of a standard output that is kept as data, in bytes.
const LARGEST_DATA: usize = 256 * 1024 * 1024;

/// The number of retries to start a program whose file another process still holds open for
/// writing.
const BUSY_RETRIES: u32 = 5;

/// The handling of a child's standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StdoutUse {
    /// Written to the log, line by line.
    Log,
    /// Kept as a whole, and never logged, since it may contain secrets.
    Data,
}

/// A child to run.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// The name to show.
    pub name: String,
    /// Absolute.
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    pub directory: PathBuf,
    pub environment: Environment,
    /// After this time the group gets SIGTERM, and SIGKILL if it does not end.
    pub timeout: Option<Duration>,
    /// The content of its standard input: a few lines at most.
    pub input: Vec<u8>,
    pub stdout: StdoutUse,
}

/// The log and the cancellation of a child.
#[derive(Clone, Copy)]
pub(crate) struct Supervision<'a> {
    pub log: &'a dyn LogSink,
    pub masks: &'a Masks,
    pub cancellation: &'a Cancellation,
}

/// A child that could not be started or did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("the program {program:?} was not found")]
    Missing { program: String },
    #[error("{program} could not be started")]
    Start { program: String, source: io::Error },
    #[error("the output of {program} could not be read")]
    Read { program: String, source: io::Error },
    #[error("{program} printed more than {limit} bytes of data")]
    TooMuchData { program: String, limit: usize },
    #[error("{program} {}", describe(*status))]
    Failed { program: String, status: ExitStatus, tail: Vec<String> },
    #[error("{program} did not end within {} seconds and was stopped", after.as_secs_f64())]
    TimedOut { program: String, after: Duration, tail: Vec<String> },
    #[error("{program} was cancelled")]
    Cancelled { program: String, tail: Vec<String> },
}

/// An exit status as the end of a sentence.
fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => format!("failed: {status}"),
    }
}

impl ProcessError {
    /// The last lines that the child printed.
    #[must_use]
    pub fn tail(&self) -> &[String] {
        match self {
            Self::Failed { tail, .. } | Self::TimedOut { tail, .. } | Self::Cancelled { tail, .. } => tail,
            Self::Missing { .. } | Self::Start { .. } | Self::Read { .. } | Self::TooMuchData { .. } => &[],
        }
    }
}

/// Runs a child to its end and returns its standard output if that is data.
///
/// Dropping the future kills the group.
pub(crate) async fn run(
    invocation: &Invocation,
    supervision: Supervision<'_>,
) -> Result<Vec<u8>, ProcessError> {
    let program = || invocation.name.clone();
    if supervision.cancellation.is_cancelled() {
        return Err(ProcessError::Cancelled { program: program(), tail: Vec::new() });
    }
    let mut child = start(invocation).await?;
    let group = Group::of(&child);
    let collected = Mutex::new(Collected::default());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let stdin = child.stdin.take();
    let reading = async {
        if let Some(mut stdin) = stdin {
            // A few lines never fill a pipe. A child need not read them.
            let _ = stdin.write_all(&invocation.input).await;
        }
        let stdout = read(stdout, Stream::Stdout, invocation.stdout, supervision, &collected);
        let stderr = read(stderr, Stream::Stderr, StdoutUse::Log, supervision, &collected);
        tokio::try_join!(stdout, stderr).map(drop)
    };
    let ended = supervise(invocation, supervision, &mut child, &group, reading).await;
    let collected = collected.into_inner().unwrap_or_else(PoisonError::into_inner);
    let tail = collected.tail.into_lines();
    match ended {
        Err(source) => Err(ProcessError::Read { program: program(), source }),
        Ok(Ended::Stopped(Stop::Cancelled)) => Err(ProcessError::Cancelled { program: program(), tail }),
        Ok(Ended::Stopped(Stop::TimedOut(after))) => {
            Err(ProcessError::TimedOut { program: program(), after, tail })
        }
        Ok(Ended::Exited(status)) => {
            // Processes that it started in the background on purpose may stay.
            group.release();
            if !status.success() {
                Err(ProcessError::Failed { program: program(), status, tail })
            } else if collected.overflowed {
                Err(ProcessError::TooMuchData { program: program(), limit: LARGEST_DATA })
            } else {
                Ok(collected.data)
            }
        }
    }
}

/// Starts the child, with retries if its file is still open for writing elsewhere: between fork and
/// exec, any of our processes holds copies of the files that we are writing.
async fn start(invocation: &Invocation) -> Result<Child, ProcessError> {
    let mut command = Command::new(&invocation.program);
    command
        .args(&invocation.arguments)
        .current_dir(&invocation.directory)
        .env_clear()
        .envs(invocation.environment.iter())
        .stdin(if invocation.input.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut attempt = 0;
    loop {
        let program = invocation.name.clone();
        match command.spawn() {
            Ok(child) => return Ok(child),
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && attempt < BUSY_RETRIES => {
                attempt += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !invocation.program.exists() => {
                return Err(ProcessError::Missing { program });
            }
            Err(source) => return Err(ProcessError::Start { program, source }),
        }
    }
}

/// The way that a child ended.
enum Ended {
    Exited(ExitStatus),
    Stopped(Stop),
}

/// The reason that a child was stopped.
#[derive(Debug, Clone, Copy)]
enum Stop {
    Cancelled,
    /// The timeout, after this time.
    TimedOut(Duration),
}

/// Waits for the child and for its output, and stops the group on cancellation or timeout.
///
/// A graceful cancellation sets no timeout: terraform may need minutes to stop without losing
/// state, and a second signal still kills it immediately.
async fn supervise(
    invocation: &Invocation,
    supervision: Supervision<'_>,
    child: &mut Child,
    group: &Group,
    reading: impl Future<Output = io::Result<()>>,
) -> io::Result<Ended> {
    tokio::pin!(reading);
    let mut all_read = false;
    let mut status: Option<ExitStatus> = None;
    let mut stop: Option<Stop> = None;
    let mut killed = false;
    let mut level = CancellationLevel::None;
    let mut deadline = invocation.timeout.map(|timeout| Instant::now() + timeout);

    loop {
        if let (Some(status), true) = (status, all_read) {
            return Ok(stop.map_or(Ended::Exited(status), Ended::Stopped));
        }
        tokio::select! {
            biased;
            exited = child.wait(), if status.is_none() => {
                status = Some(exited?);
                if stop.is_none() {
                    deadline = Some(Instant::now() + LINGER);
                }
            }
            raised = supervision.cancellation.above(level), if status.is_none() || stop.is_some() => {
                level = raised;
                stop.get_or_insert(Stop::Cancelled);
                if level == CancellationLevel::Immediate {
                    group.signal(Signal::KILL);
                    killed = true;
                    deadline = Some(Instant::now() + LINGER);
                } else {
                    group.signal(Signal::TERM);
                }
            }
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                match (stop, status) {
                    // The child has ended; any process that still holds its output open is not ours
                    // to stop.
                    (None, Some(status)) => return Ok(Ended::Exited(status)),
                    (Some(stop), _) if killed => return Ok(Ended::Stopped(stop)),
                    (Some(_), _) => {
                        group.signal(Signal::KILL);
                        killed = true;
                        deadline = Some(Instant::now() + LINGER);
                    }
                    (None, None) => {
                        stop = invocation.timeout.map(Stop::TimedOut);
                        group.signal(Signal::TERM);
                        deadline = Some(Instant::now() + GRACE);
                    }
                }
            }
            // Last: otherwise a child that never stops printing would starve the other branches.
            read = &mut reading, if !all_read => {
                read?;
                all_read = true;
            }
        }
    }
}

/// The output read so far.
#[derive(Debug, Default)]
struct Collected {
    tail: Tail,
    data: Vec<u8>,
    /// Whether there was more data than the maximum.
    overflowed: bool,
}

/// Reads one of a child's streams to its end.
async fn read(
    reader: Option<impl AsyncRead + Unpin>,
    stream: Stream,
    purpose: StdoutUse,
    supervision: Supervision<'_>,
    collected: &Mutex<Collected>,
) -> io::Result<()> {
    let Some(mut reader) = reader else { return Ok(()) };
    let mut chunk = vec![0; 8 * 1024];
    let mut cutter = LineCutter::default();
    let take_line = |line: &[u8]| {
        let line = clean(line, supervision.masks);
        supervision.log.line(stream, &line);
        collected.lock().unwrap_or_else(PoisonError::into_inner).tail.push(line);
    };
    loop {
        let length = reader.read(&mut chunk).await?;
        let bytes = &chunk[..length];
        match purpose {
            StdoutUse::Log if length == 0 => {
                cutter.finish(take_line);
                return Ok(());
            }
            StdoutUse::Log => cutter.push(bytes, take_line),
            StdoutUse::Data if length == 0 => return Ok(()),
            StdoutUse::Data => {
                let mut collected = collected.lock().unwrap_or_else(PoisonError::into_inner);
                if collected.data.len() + length > LARGEST_DATA {
                    collected.overflowed = true;
                } else {
                    collected.data.extend_from_slice(bytes);
                }
            }
        }
    }
}

/// A child's process group, killed on drop unless it was released.
struct Group {
    /// The child's own id; absent if it was already waited for.
    leader: Option<Pid>,
}

impl Group {
    fn of(child: &Child) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self { leader }
    }

    /// Signals every process of the group. An empty group is no error.
    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader
            && let Err(error) = kill_process_group(leader, signal)
            && error != rustix::io::Errno::SRCH
        {
            tracing::warn!(%error, group = leader.as_raw_nonzero().get(), "cannot signal a process group");
        }
    }

    /// Releases the remaining processes of the group.
    fn release(mut self) {
        self.leader = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

#[cfg(test)]
mod tests;
