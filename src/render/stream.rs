//! The only place that writes to stdout and stderr.
//!
//! stdout is data: what was asked for, and nothing else. stderr is conversation: progress, hints,
//! warnings, errors.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

use anstream::adapter::strip_str;

use super::Form;

/// When output is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColorChoice {
    /// On a terminal that can.
    #[default]
    Auto,
    Always,
    Never,
}

/// stdout could not be written.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The reader has gone (`atmos … | head`): nobody is left to tell, so end quietly.
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

/// One stream and what it can show.
struct Sink {
    writer: Mutex<Box<dyn Write + Send>>,
    color: bool,
    terminal: bool,
}

impl Sink {
    fn write(&self, text: &str) -> io::Result<()> {
        // A writer that panicked half-way has written half a line, which does not concern the next one.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if self.color {
            writer.write_all(text.as_bytes())?;
        } else {
            writer.write_all(strip_str(text).to_string().as_bytes())?;
        }
        writer.flush()
    }
}

/// stdout and stderr of this process, or of a test.
pub struct Streams {
    stdout: Sink,
    stderr: Sink,
    quiet: bool,
}

impl Streams {
    /// The streams of this process. `quiet` keeps notes and progress back.
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
            },
            stderr: Sink {
                writer: Mutex::new(Box::new(stderr)),
                color: stderr_color,
                terminal: stderr_terminal,
            },
            quiet,
        }
    }

    /// The form that data on stdout takes.
    #[must_use]
    pub const fn form(&self) -> Form {
        if self.stdout.terminal { Form::Terminal } else { Form::Pipe }
    }

    /// Whether a person may be watching stderr.
    #[must_use]
    pub const fn stderr_is_terminal(&self) -> bool {
        self.stderr.terminal
    }

    /// Asks the person at the terminal; `None` where there is none to ask.
    pub fn ask(&self, question: &str) -> Option<String> {
        let stdin = io::stdin();
        if !stdin.is_terminal() || !self.stderr.terminal {
            return None;
        }
        self.stderr.write(question).ok()?;
        let mut answer = String::new();
        stdin.read_line(&mut answer).ok()?;
        Some(answer)
    }

    /// Writes what was asked for.
    pub fn data(&self, text: &str) -> Result<(), StreamError> {
        self.stdout.write(text).map_err(StreamError::from)
    }

    /// Writes progress or a note, unless it is quiet. That nobody reads it stops nothing.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.warn(text);
        }
    }

    /// Writes a warning or an error, quiet or not. That nobody reads it stops nothing.
    pub fn warn(&self, text: &str) {
        // A rollout must end and be recorded even when stderr has gone.
        let _ = self.stderr.write(text);
    }
}

/// Writes log messages of this level and above to stderr.
pub fn log(level: tracing_subscriber::filter::LevelFilter) {
    tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(level).with_target(false).init();
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
        let sink = |writer| -> Sink { Sink { writer: Mutex::new(writer), color, terminal: color } };
        Streams { stdout: sink(Box::new(stdout)), stderr: sink(Box::new(stderr)), quiet }
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
    fn a_reader_that_has_gone_is_told_apart() {
        let streams = streams(Closed, Closed, false, false);
        assert!(matches!(streams.data("x"), Err(StreamError::Closed)));
        streams.warn("nobody reads this");
    }
}
