//! A pseudo-terminal for a program: the screen that a user sees, and the keys that they press.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{ioctl_tiocsctty, setsid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::stdio::stdin;
use rustix::termios::{Winsize, tcsetwinsize};

use super::{PATIENCE, wait_until};

/// A program that runs in a terminal.
pub(crate) struct Terminal {
    program: Child,
    keyboard: File,
    seen: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Terminal {
    /// Starts a program whose standard streams are a terminal, which is also its controlling
    /// terminal.
    pub(crate) fn start(mut command: Command) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let own = openpt(flags).unwrap();
        grantpt(&own).unwrap();
        unlockpt(&own).unwrap();
        let size = Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&own, size).unwrap();
        let name = ptsname(&own, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let its = File::from(open(name.as_c_str(), flags, Mode::empty()).unwrap());
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        command.stdin(its.try_clone().unwrap()).stdout(its.try_clone().unwrap()).stderr(its);
        // SAFETY: between fork and exec it makes two system calls and allocates nothing.
        #[allow(unsafe_code, reason = "a terminal sends its signals to the session that it controls")]
        unsafe {
            command.pre_exec(|| {
                setsid()?;
                ioctl_tiocsctty(stdin())?;
                Ok(())
            });
        }
        let program = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        // The command holds the program's end of the terminal open.
        drop(command);
        let own = File::from(own);
        let (mut screen, keyboard) = (own.try_clone().unwrap(), own);
        let seen = Arc::<Mutex<Vec<u8>>>::default();
        let shown = Arc::clone(&seen);
        let reader = std::thread::spawn(move || {
            let mut part = [0; 4096];
            // A read error is the end: no process has the terminal open any more.
            while let Ok(length @ 1..) = screen.read(&mut part) {
                shown.lock().unwrap().extend(&part[..length]);
            }
        });
        Self { program, keyboard, seen, reader }
    }

    /// Waits until the terminal has shown this text.
    pub(crate) fn until_it_shows(&self, text: &str) {
        let seen = || String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned();
        wait_until(&format!("the terminal shows {text:?}"), || seen().contains(text));
    }

    /// Presses keys.
    pub(crate) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end. Returns the exit code and everything that was shown.
    #[track_caller]
    pub(crate) fn wait(mut self) -> (Option<i32>, String) {
        let deadline = std::time::Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.program.try_wait().unwrap() {
                break status;
            }
            if std::time::Instant::now() > deadline {
                self.program.kill().unwrap();
                panic!("it did not end\n{}", String::from_utf8_lossy(&self.seen.lock().unwrap()));
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        };
        self.reader.join().unwrap();
        let shown = String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned();
        (status.code(), shown)
    }
}
