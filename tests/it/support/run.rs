//! A finished or running process, with the assertions of tests.

use std::io::Read as _;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{PATIENCE, wait_until};

/// The exit code, the signal and the output of a finished process.
pub(crate) struct Run {
    command: String,
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    fn new(command: String, output: &Output) -> Self {
        Self {
            command,
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts exit code 0.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        self.exited(0)
    }

    /// Asserts an exit code.
    #[track_caller]
    pub(crate) fn exited(self, code: i32) -> Self {
        assert!(self.code == Some(code), "expected exit code {code}\n{}", self.report());
        self
    }

    /// Asserts a clean refusal: the exit code, an `Error:` line with this text on stderr, nothing
    /// on stdout.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, message: &str) -> Self {
        let run = self.exited(code);
        let error = run.error_line();
        assert!(error.contains(message), "expected an error with {message:?}\n{}", run.report());
        let errors = run.stderr.lines().filter(|line| line.starts_with("Error: ")).count();
        assert!(errors == 1, "expected one error\n{}", run.report());
        assert!(!run.stderr.contains("panicked"), "{}", run.report());
        assert!(run.stdout.is_empty(), "expected nothing on stdout\n{}", run.report());
        run
    }

    /// Asserts that stderr contains this text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "expected {text:?} on stderr\n{}", self.report());
        self
    }

    /// Asserts that stdout contains this text.
    #[track_caller]
    pub(crate) fn shows(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "expected {text:?} on stdout\n{}", self.report());
        self
    }

    /// Asserts that the process was killed.
    #[track_caller]
    pub(crate) fn killed(self) -> Self {
        assert!(self.signal == Some(9), "expected SIGKILL\n{}", self.report());
        self
    }

    /// The first line of stderr that starts with `Error: `, without that prefix.
    pub(crate) fn error_line(&self) -> &str {
        self.stderr.lines().find_map(|line| line.strip_prefix("Error: ")).unwrap_or_default()
    }

    /// The document on stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is no JSON: {error}\n{}", self.report()))
    }

    /// The report of the run in a failing assertion.
    pub(crate) fn report(&self) -> String {
        let Self { command, code, signal, stdout, stderr } = self;
        format!(
            "{command}\ncode {code:?}, signal {signal:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---"
        )
    }
}

/// A running process.
pub(crate) struct Running {
    command: String,
    process: u32,
    output: Receiver<Output>,
    /// The output on stderr so far.
    said: Arc<Mutex<Vec<u8>>>,
}

impl Running {
    /// Starts a process and drains its output, so that it never waits for a reader.
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let process = child.id();
        let said = Arc::<Mutex<Vec<u8>>>::default();
        let (heard, mut stderr) = (Arc::clone(&said), child.stderr.take().unwrap());
        let listener = std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = stderr.read(&mut part) {
                heard.lock().unwrap().extend(&part[..length]);
            }
        });
        let (sender, output) = mpsc::channel();
        let all = Arc::clone(&said);
        std::thread::spawn(move || {
            let output = child.wait_with_output().unwrap();
            listener.join().unwrap();
            sender.send(Output { stderr: all.lock().unwrap().clone(), ..output })
        });
        Self { command: format!("{command:?}"), process, output, said }
    }

    /// Waits until stderr contains this text.
    pub(crate) fn until_it_says(&self, text: &str) {
        let said = || String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned();
        wait_until(&format!("{} says {text:?}", self.command), || said().contains(text));
    }

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, signal: Signal) {
        let process = Pid::from_raw(i32::try_from(self.process).unwrap()).unwrap();
        kill_process(process, signal).unwrap();
    }

    /// Waits for the end of the process.
    #[track_caller]
    pub(crate) fn wait(self) -> Run {
        if let Ok(output) = self.output.recv_timeout(PATIENCE) {
            return Run::new(self.command, &output);
        }
        self.signal(Signal::KILL);
        let output = self.output.recv().unwrap();
        panic!("it did not end\n{}", Run::new(self.command, &output).report());
    }
}
