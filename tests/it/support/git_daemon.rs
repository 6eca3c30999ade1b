//! `git daemon` on the loopback interface.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;

use super::environment::TestEnvironment;
use super::insist_on;

/// The number of ports that are tried.
const PORTS: usize = 20;

/// A daemon that serves every repository below a folder, for fetching and pushing. Ended on drop.
pub(crate) struct GitDaemon {
    child: Child,
    port: u16,
}

impl GitDaemon {
    /// Starts a daemon.
    pub(crate) fn start(environment: &TestEnvironment, folder: &Path) -> Self {
        // `git daemon` itself would only be the parent of this process, and leave it behind when
        // killed.
        let program = Path::new(&environment.git(folder, &["--exec-path"])).join("git-daemon");
        insist_on("git-daemon", program.exists());
        let daemon = (0..PORTS).find_map(|_| Self::try_start(environment, &program, folder));
        daemon.expect("git daemon came up on no port")
    }

    /// Starts a daemon on a port that is free. Another process may take that port before the daemon
    /// does; then the daemon ends, and this returns `None`.
    fn try_start(environment: &TestEnvironment, program: &Path, folder: &Path) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = environment.command(program, folder);
        command
            .args(["--export-all", "--enable=receive-pack", "--verbose", "--log-destination=stderr"])
            .args(["--reuseaddr", "--listen=127.0.0.1"])
            .arg(format!("--port={port}"))
            .arg(format!("--base-path={}", folder.display()))
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut daemon = Self { child: command.spawn().unwrap(), port };
        // A process that listens there need not be this daemon, so its log has to tell.
        let mut log = BufReader::new(daemon.child.stderr.take().unwrap());
        let is_up = log.by_ref().lines().map_while(Result::ok).any(|line| line.ends_with("Ready to rumble"));
        // With a full pipe for its log, the daemon would block.
        thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        is_up.then_some(daemon)
    }

    /// The URL of a repository below the folder.
    pub(crate) fn url(&self, repository: &str) -> String {
        format!("git://127.0.0.1:{}/{repository}", self.port)
    }
}

impl Drop for GitDaemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
