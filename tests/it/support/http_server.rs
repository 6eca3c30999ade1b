//! Smart HTTP with token authentication: a small server that runs `git http-backend`.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::environment::TestEnvironment;
use super::insist_on;

/// `x-access-token:secret-token`, encoded for HTTP's basic authentication.
const TOKEN: &str = "eC1hY2Nlc3MtdG9rZW46c2VjcmV0LXRva2Vu";

/// `oauth2:secret-token`, GitLab's form for an access token.
const ACCESS_TOKEN: &str = "b2F1dGgyOnNlY3JldC10b2tlbg==";

/// `gitlab-ci-token:job-token`, which may only read.
const JOB_TOKEN: &str = "Z2l0bGFiLWNpLXRva2VuOmpvYi10b2tlbg==";

/// A fault that the server simulates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Every request is answered with 503.
    Refuse,
    /// No request is ever answered.
    Stall,
    /// The connection of a push is closed before the repository sees it.
    DropPush,
    /// A push is carried out, and the connection is closed without an answer.
    LosePushAnswer,
}

/// An HTTP server of every repository below a folder. Ended on drop.
pub(crate) struct HttpServer {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    backend: PathBuf,
    folder: PathBuf,
    environment: Vec<(String, String)>,
    fault: Mutex<Fault>,
    requests: AtomicUsize,
    ended: AtomicBool,
    /// Connections of a stalled server, kept open until it ends.
    stalled: Mutex<Vec<TcpStream>>,
}

/// One request of HTTP/1.1, with its body.
struct Request {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl HttpServer {
    /// Starts a server.
    pub(crate) fn start(environment: &TestEnvironment, folder: &Path) -> Self {
        let backend = Path::new(&environment.git(folder, &["--exec-path"])).join("git-http-backend");
        insist_on("git-http-backend", backend.exists());
        let command = environment.command(&backend, folder);
        let variables = command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value?.to_str()?.to_owned())));
        let shared = Arc::new(Shared {
            environment: variables.collect(),
            backend,
            folder: folder.to_owned(),
            fault: Mutex::default(),
            requests: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            stalled: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if served.ended.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&served);
                thread::spawn(move || shared.serve(connection));
            }
        });
        Self { port, shared }
    }

    /// The URL of a repository below the folder, without credentials.
    pub(crate) fn url(&self, repository: &str) -> String {
        format!("http://127.0.0.1:{}/{repository}", self.port)
    }

    /// The setting with which a CI system gives its token to a checkout.
    pub(crate) fn token_setting() -> String {
        format!("http.extraheader=Authorization: Basic {TOKEN}")
    }

    /// Sets the fault of all requests from now on.
    pub(crate) fn set_fault(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = fault;
        self.shared.stalled.lock().unwrap().clear();
    }

    /// The number of requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.set_fault(Fault::None);
        // Wakes the listener up.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    /// Answers the requests of one connection. A client that hangs up is no error.
    fn serve(&self, connection: TcpStream) {
        let Ok(clone) = connection.try_clone() else { return };
        let mut reader = BufReader::new(clone);
        while let Ok(Some(request)) = Request::read(&mut reader, &connection) {
            self.requests.fetch_add(1, Ordering::SeqCst);
            let fault = *self.fault.lock().unwrap();
            let is_push = request.method == "POST" && request.path.ends_with("/git-receive-pack");
            let answer = match fault {
                Fault::Stall => {
                    self.stalled.lock().unwrap().push(connection);
                    return;
                }
                Fault::DropPush if is_push => return,
                Fault::Refuse => answer("503 Service Unavailable", &[], b"not now"),
                _ if request.authorizations().count() > 1 => {
                    answer("400 Bad Request", &[], b"Duplicate header: \"Authorization\"")
                }
                _ if request.pushes_without_permission() => {
                    answer("403 Forbidden", &[], b"You are not allowed to upload code.")
                }
                _ if !request.is_authorised() => {
                    answer("401 Unauthorized", &["WWW-Authenticate: Basic realm=\"git\""], b"who are you?")
                }
                _ => match self.backend(&request) {
                    Ok(answer) => answer,
                    Err(error) => answer("500 Internal Server Error", &[], error.to_string().as_bytes()),
                },
            };
            if fault == Fault::LosePushAnswer && is_push {
                return;
            }
            if (&connection).write_all(&answer).is_err() {
                return;
            }
        }
    }

    /// Runs the backend as a CGI program.
    fn backend(&self, request: &Request) -> io::Result<Vec<u8>> {
        let header = |name: &str| request.header(name).unwrap_or_default().to_owned();
        let mut child = Command::new(&self.backend)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("GIT_PROJECT_ROOT", &self.folder)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REMOTE_USER", "ci")
            .env("REQUEST_METHOD", &request.method)
            .env("PATH_INFO", &request.path)
            .env("QUERY_STRING", &request.query)
            .env("CONTENT_TYPE", header("content-type"))
            .env("CONTENT_LENGTH", request.body.len().to_string())
            .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
            .env("GIT_PROTOCOL", header("git-protocol"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut stdin = child.stdin.take().expect("it is piped");
        let body = request.body.clone();
        let feeder = thread::spawn(move || stdin.write_all(&body));
        let output = child.wait_with_output()?.stdout;
        // A backend that answers without reading everything is no error.
        let _ = feeder.join();
        let end = output.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.ok_or_else(|| io::Error::other("the backend printed no headers"))?;
        let headers = String::from_utf8_lossy(&output[..end]).into_owned();
        let status = headers.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
        let rest: Vec<_> = headers.lines().filter(|line| !line.starts_with("Status: ")).collect();
        Ok(answer(status, &rest, &output[end + 4..]))
    }
}

/// A complete answer with status, headers and body.
fn answer(status: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        answer.push_str(header);
        answer.push_str("\r\n");
    }
    answer.push_str("\r\n");
    let mut answer = answer.into_bytes();
    answer.extend_from_slice(body);
    answer
}

impl Request {
    /// Reads the next request; `None` if the client has closed the connection.
    fn read(reader: &mut impl BufRead, mut connection: &TcpStream) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut request = Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        if request.header("expect").is_some() {
            connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if request.header("transfer-encoding") == Some("chunked") {
            request.body = read_chunks(reader)?;
        } else if let Some(length) = request.header("content-length") {
            let length = length.parse().map_err(io::Error::other)?;
            request.body.resize(length, 0);
            reader.read_exact(&mut request.body)?;
        }
        Ok(Some(request))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn authorizations(&self) -> impl Iterator<Item = &str> {
        let all = self.headers.iter().filter(|(name, _)| name == "authorization");
        all.map(|(_, value)| value.strip_prefix("Basic ").unwrap_or_default())
    }

    fn is_authorised(&self) -> bool {
        self.authorizations().any(|given| [TOKEN, ACCESS_TOKEN, JOB_TOKEN].contains(&given))
    }

    fn pushes_without_permission(&self) -> bool {
        let pushes = format!("{}?{}", self.path, self.query).contains("git-receive-pack");
        pushes && self.authorizations().any(|given| given == JOB_TOKEN)
    }
}

/// Reads a chunked body: a length in hexadecimal, the bytes, an empty line; length 0 ends it.
fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let at = body.len();
        body.resize(at + length, 0);
        reader.read_exact(&mut body[at..])?;
        reader.read_line(&mut line)?;
        if length == 0 {
            return Ok(body);
        }
    }
}
