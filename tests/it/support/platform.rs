//! The stand-in for GitHub and GitLab: `tests/contracts/stub.py`, which `tests/contracts/run` has
//! validated with Prism against the platforms' own API descriptions.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::insist_on;

/// A running stub, ended on drop.
pub(crate) struct Platform {
    process: Child,
    address: String,
}

impl Platform {
    /// Starts a stub.
    pub(crate) fn start() -> Self {
        let stub = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contracts/stub.py");
        let mut command = Command::new("python3");
        command.arg(stub).args(["--port", "0"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let process = command.spawn();
        insist_on("python3", process.is_ok());
        let mut process = process.unwrap();
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { process, address: address.trim().to_owned() }
    }

    /// The address of GitHub's API.
    pub(crate) fn github(&self) -> &str {
        &self.address
    }

    /// The address of GitLab's API.
    pub(crate) fn gitlab(&self) -> String {
        format!("{}/api/v4", self.address)
    }

    /// The state of the stub: everything that it has been told.
    pub(crate) fn state(&self) -> Value {
        serde_json::from_str(&control(&self.address, "GET", "/__state", "")).unwrap()
    }

    /// All reports of one kind that the stub has been told, in order.
    pub(crate) fn told(&self, kind: &str) -> Vec<Value> {
        self.state()[kind].as_array().unwrap().clone()
    }

    /// The number of requests whose method and path contain this.
    pub(crate) fn requests(&self, part: &str) -> usize {
        self.told("requests").iter().filter(|request| request.as_str().unwrap().contains(part)).count()
    }

    /// Makes the next requests that match fail before they are carried out.
    pub(crate) fn refuse(&self, status: u16, times: usize, path: &str, more: &Value) {
        let mut fault = json!({ "status": status, "times": times, "path": path, "before": true });
        for (key, value) in more.as_object().into_iter().flatten() {
            fault[key] = value.clone();
        }
        self.control("POST", "/__fault", &fault);
    }

    /// Starts a job of GitHub's run on a runner. With an environment, the platform makes a
    /// deployment for the job.
    pub(crate) fn job(&self, runner: &str, environment: Option<&str>, commit: &str) {
        let job = json!({ "run": 99, "runner": runner, "commit": commit, "environment": environment });
        self.control("POST", "/__jobs", &job);
    }

    /// Removes all jobs and deployments.
    pub(crate) fn forget_jobs(&self) {
        self.control("DELETE", "/__jobs", &json!({}));
    }

    /// Approves this run for an environment.
    pub(crate) fn approve(&self, environment: &str, by: &str) {
        self.control("POST", "/__approvals", &json!({ "environment": environment, "by": by }));
    }

    pub(crate) fn control(&self, method: &str, path: &str, body: &Value) {
        control(&self.address, method, path, &body.to_string());
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Sends a request to the stub's own control interface. Returns the body of its answer.
pub(crate) fn control(address: &str, method: &str, path: &str, body: &str) -> String {
    let host = address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}
