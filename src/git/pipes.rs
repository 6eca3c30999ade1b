//! A child's pipes, polled by the calling thread: a thread for each would
//! cost more than many git commands.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::process::Child;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The bytes that a writable pipe takes without blocking (`PIPE_BUF` of Linux; POSIX requires 512).
const CHUNK: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };
const BUFFER: usize = 64 * 1024;

/// Writes a child's stdin and reads its stdout and stderr to their ends; `None` at the deadline.
pub(super) fn exchange(
    child: &mut Child,
    mut input: &[u8],
    deadline: Option<Instant>,
) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let (mut stdin, mut stdout, mut stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let mut buffer = vec![0; BUFFER];
    while stdout.is_some() || stderr.is_some() {
        if input.is_empty() {
            // Closing stdin is the end of the input.
            stdin = None;
        }
        let mut waiting = Vec::with_capacity(3);
        waiting.extend(stdout.as_ref().map(|pipe| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)));
        waiting.extend(stderr.as_ref().map(|pipe| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)));
        waiting.extend(stdin.as_ref().map(|pipe| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::OUT)));
        if !wait(&mut waiting, deadline)? {
            return Ok(None);
        }
        // Closed and broken pipes count as ready: the next read or write returns the error.
        let mut ready = waiting.iter().map(|pipe| !pipe.revents().is_empty()).collect::<Vec<_>>().into_iter();
        let mut is_ready = |waited: bool| waited && ready.next().unwrap_or_default();
        let (read_output, read_errors, write) =
            (is_ready(stdout.is_some()), is_ready(stderr.is_some()), is_ready(stdin.is_some()));
        if read_output {
            receive(&mut stdout, &mut buffer, &mut output)?;
        }
        if read_errors {
            receive(&mut stderr, &mut buffer, &mut errors)?;
        }
        if let Some(pipe) = stdin.as_mut().filter(|_| write) {
            match pipe.write(&input[..input.len().min(CHUNK)]) {
                Ok(written) => input = &input[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A broken pipe: git's stderr and exit status say why.
                Err(_) => input = &[],
            }
        }
    }
    Ok(Some((output, errors)))
}

/// Waits until one of the pipes is ready; `false` at the deadline.
fn wait(pipes: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<bool> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // A duration that overflows means no timeout.
        let left: Option<Timespec> = left.and_then(|left| left.try_into().ok());
        match poll(pipes, left.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads available bytes, and drops the pipe at its end.
fn receive(pipe: &mut Option<impl Read>, buffer: &mut [u8], into: &mut Vec<u8>) -> io::Result<()> {
    let Some(open) = pipe else { return Ok(()) };
    match open.read(buffer) {
        Ok(0) => *pipe = None,
        Ok(read) => into.extend_from_slice(&buffer[..read]),
        Err(error) if error.kind() == ErrorKind::Interrupted => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn shell(script: &str) -> Child {
        Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    #[test]
    fn more_than_any_pipe_holds_goes_through_in_all_directions() {
        let input: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut child = shell("tee /dev/stderr");
        let (output, errors) = exchange(&mut child, &input, None).unwrap().unwrap();
        assert!(child.wait().unwrap().success());
        assert!(output == input && errors == input);
    }

    #[test]
    fn a_child_that_does_not_read_its_input_is_heard_out() {
        let mut child = shell("exec <&-; echo no >&2; exit 3");
        let (output, errors) = exchange(&mut child, &vec![b'x'; 1_000_000], None).unwrap().unwrap();
        assert_eq!((output.as_slice(), errors.as_slice()), (&b""[..], &b"no\n"[..]));
        assert_eq!(child.wait().unwrap().code(), Some(3));
    }
}
