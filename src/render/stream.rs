//! The output streams: the only place that writes to stdout and stderr.
//!
//! stdout is data: the requested result, and nothing else. stderr is conversation: progress, hints,
//! warnings, errors.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, PoisonError};

use anstream::adapter::strip_str;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::Form;

/// The use of colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColorChoice {
    /// Coloured on a terminal that supports it.
    #[default]
    Auto,
    Always,
    Never,
}

/// The error of a write to stdout.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The pipe is closed (`atmos … | head`): exit quietly.
    #[error("the reader of the output has gone")]
    Closed,
    #[error("cannot write the output: {0}")]
    Write(#[source] io::Error),
}

impl From<io::Error> for StreamError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Closed } else { Self::Write(error) }
    }
}

/// Changes text before it is written, for example to mask secrets.
pub type Guard = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// A copy of the stdout output, without colours.
pub type Copied = Arc<Mutex<String>>;

/// One stream and its capabilities.
struct Sink {
    writer: Mutex<Box<dyn Write + Send>>,
    color: bool,
    terminal: bool,
    guard: Option<Guard>,
}

impl Sink {
    fn write(&self, text: &str) -> io::Result<()> {
        match &self.guard {
            Some(guard) => self.write_as_it_is(&guard(text)),
            None => self.write_as_it_is(text),
        }
    }

    fn write_as_it_is(&self, text: &str) -> io::Result<()> {
        // A writer that panicked may have written half a line, which does not affect the next one.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if self.color {
            writer.write_all(text.as_bytes())?;
        } else {
            writer.write_all(strip_str(text).to_string().as_bytes())?;
        }
        writer.flush()
    }
}

/// stdout and stderr, of this process or of a test.
pub struct Streams {
    stdout: Sink,
    stderr: Sink,
    quiet: bool,
    copied: Option<Copied>,
}

impl Streams {
    /// The streams of this process. `quiet` suppresses notes and progress.
    #[must_use]
    pub fn system(color: ColorChoice, quiet: bool) -> Self {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let (stdout_terminal, stderr_terminal) = (stdout.is_terminal(), stderr.is_terminal());
        let wants_color = |auto: anstream::ColorChoice| match color {
            ColorChoice::Auto => auto != anstream::ColorChoice::Never,
            ColorChoice::Always => true,
            ColorChoice::Never => false,
        };
        let stdout_color = wants_color(anstream::AutoStream::choice(&stdout));
        let stderr_color = wants_color(anstream::AutoStream::choice(&stderr));
        Self {
            stdout: Sink {
                writer: Mutex::new(Box::new(stdout)),
                color: stdout_color,
                terminal: stdout_terminal,
                guard: None,
            },
            stderr: Sink {
                writer: Mutex::new(Box::new(stderr)),
                color: stderr_color,
                terminal: stderr_terminal,
                guard: None,
            },
            quiet,
            copied: None,
        }
    }

    /// Applies the guard `stdout` to everything that is written to stdout, and `stderr` to stderr.
    #[must_use]
    pub fn guarded(mut self, stdout: Guard, stderr: Guard) -> Self {
        self.stdout.guard = Some(stdout);
        self.stderr.guard = Some(stderr);
        self
    }

    /// Copies everything that is written to stdout.
    #[must_use]
    pub fn copied_to(mut self, copied: Copied) -> Self {
        self.copied = Some(copied);
        self
    }

    /// The form of data on stdout.
    #[must_use]
    pub const fn form(&self) -> Form {
        if self.stdout.terminal { Form::Terminal } else { Form::Pipe }
    }

    /// Whether a person may be watching stderr.
    #[must_use]
    pub const fn stderr_is_terminal(&self) -> bool {
        self.stderr.terminal
    }

    /// Prompts at the terminal; `None` where there is no terminal, or the question is withdrawn
    /// meanwhile.
    pub fn ask(&self, question: &str, is_withdrawn: impl Fn() -> bool) -> Option<String> {
        let stdin = io::stdin();
        if !stdin.is_terminal() || !self.stderr.terminal {
            return None;
        }
        self.stderr.write(question).ok()?;
        // Signals do not interrupt the reading of a line.
        while !is_answered(&stdin) {
            if is_withdrawn() {
                return None;
            }
        }
        let mut answer = String::new();
        stdin.read_line(&mut answer).ok()?;
        Some(answer)
    }

    /// Writes the requested result.
    pub fn data(&self, text: &str) -> Result<(), StreamError> {
        if let Some(copied) = &self.copied {
            copied.lock().unwrap_or_else(PoisonError::into_inner).push_str(&strip_str(text).to_string());
        }
        self.stdout.write(text).map_err(StreamError::from)
    }

    /// Writes progress or a note, unless `--quiet` is given. A closed stderr is ignored.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.warn(text);
        }
    }

    /// Writes a warning or an error, also with `--quiet`. A closed stderr is ignored.
    pub fn warn(&self, text: &str) {
        // A rollout must end and be recorded even when stderr is closed.
        let _ = self.stderr.write(text);
    }

    /// Writes workflow commands for the log of a CI system. They bypass the guard, so the caller
    /// must have escaped any untrusted text in them.
    pub fn steer(&self, commands: &str) {
        // A closed stderr is ignored, as for warnings.
        let _ = self.stderr.write_as_it_is(commands);
    }
}

/// Writes log messages of this level and above to stderr, each through the guard.
pub fn log(level: LevelFilter, guard: Guard) {
    if level == LevelFilter::OFF {
        return;
    }
    let writer = GuardedLog(guard);
    tracing_subscriber::fmt().with_writer(writer).with_max_level(level).with_target(false).init();
}

/// The stderr of log messages.
struct GuardedLog(Guard);

impl<'w> MakeWriter<'w> for GuardedLog {
    type Writer = GuardedMessage<'w>;

    fn make_writer(&'w self) -> Self::Writer {
        GuardedMessage { guard: &self.0, message: Vec::new() }
    }
}

/// One log message, written when it is dropped.
struct GuardedMessage<'w> {
    guard: &'w Guard,
    message: Vec<u8>,
}

impl Write for GuardedMessage<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.message.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for GuardedMessage<'_> {
    fn drop(&mut self) {
        let message = (self.guard)(&String::from_utf8_lossy(&self.message));
        // A closed stderr is ignored.
        let _ = io::stderr().write_all(message.as_bytes());
    }
}

/// Waits 100 ms for a line of the terminal, or for its end. Returns whether there is one.
fn is_answered(stdin: &io::Stdin) -> bool {
    let moment = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    !matches!(poll(&mut [PollFd::new(stdin, PollFlags::IN)], Some(&moment)), Ok(0) | Err(Errno::INTR))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Buffer {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn streams(
        stdout: impl Write + Send + 'static,
        stderr: impl Write + Send + 'static,
        color: bool,
        quiet: bool,
    ) -> Streams {
        let sink =
            |writer| -> Sink { Sink { writer: Mutex::new(writer), color, terminal: color, guard: None } };
        Streams { stdout: sink(Box::new(stdout)), stderr: sink(Box::new(stderr)), quiet, copied: None }
    }

    #[test]
    fn colours_reach_only_who_wants_them() {
        for (color, expected) in [(true, "\u{1b}[32mok\u{1b}[39m\n"), (false, "ok\n")] {
            let stdout = Buffer::default();
            streams(stdout.clone(), Buffer::default(), color, false)
                .data("\u{1b}[32mok\u{1b}[39m\n")
                .unwrap();
            assert_eq!(stdout.text(), expected);
        }
    }

    #[test]
    fn quiet_keeps_notes_back_and_nothing_else() {
        let (stdout, stderr) = (Buffer::default(), Buffer::default());
        let streams = streams(stdout.clone(), stderr.clone(), false, true);
        streams.data("data\n").unwrap();
        streams.note("note\n");
        streams.warn("warning\n");
        assert_eq!((stdout.text(), stderr.text()), ("data\n".to_owned(), "warning\n".to_owned()));
    }

    #[test]
    fn a_guard_sees_everything_but_what_steers_the_log() {
        let (stdout, stderr, copied) = (Buffer::default(), Buffer::default(), Copied::default());
        let hide: Guard = Arc::new(|text| text.replace("secret", "***"));
        let streams = streams(stdout.clone(), stderr.clone(), false, false)
            .guarded(Arc::clone(&hide), hide)
            .copied_to(Arc::clone(&copied));
        streams.data("\u{1b}[32ma secret\u{1b}[39m\n").unwrap();
        streams.warn("the secret\n");
        streams.steer("::notice::secret\n");
        assert_eq!(stdout.text(), "a ***\n");
        assert_eq!(stderr.text(), "the ***\n::notice::secret\n");
        assert_eq!(*copied.lock().unwrap(), "a secret\n");
    }

    #[test]
    fn a_reader_that_has_gone_is_told_apart() {
        let streams = streams(Closed, Closed, false, false);
        assert!(matches!(streams.data("x"), Err(StreamError::Closed)));
        streams.warn("nobody reads this");
    }
}
