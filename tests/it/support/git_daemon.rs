//! `git daemon` on the loopback interface.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};

use super::environment::TestEnvironment;
use super::{has_tool, wait_until};

/// A daemon that serves every repository below a folder, for fetching and pushing. Ended when it is dropped.
pub(crate) struct GitDaemon {
    child: Child,
    port: u16,
}

impl GitDaemon {
    /// Starts a daemon; `None`, with a word why, where it is not installed.
    pub(crate) fn start(environment: &TestEnvironment, folder: &Path) -> Option<Self> {
        // `git daemon` itself would only be the parent of this, and leave it behind when it is killed.
        let program = Path::new(&environment.git(folder, &["--exec-path"])).join("git-daemon");
        if !has_tool("git-daemon", program.exists()) {
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = environment.command(program, folder);
        command
            .args(["--reuseaddr", "--export-all", "--enable=receive-pack", "--listen=127.0.0.1"])
            .arg(format!("--port={port}"))
            .arg(format!("--base-path={}", folder.display()))
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut daemon = Self { child: command.spawn().unwrap(), port };
        wait_until("git daemon answers", || {
            assert!(daemon.child.try_wait().unwrap().is_none(), "git daemon ended");
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some(daemon)
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
