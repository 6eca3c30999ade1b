//! A server over plain sockets, for the misbehaviour that HTTP servers lack: half a response, none,
//! a reset.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request, as far as it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    pub method: String,
    /// With the query.
    pub path: String,
    pub headers: String,
    pub body: String,
}

/// The answer to a request.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// These bytes, and the end of the connection.
    Bytes(String),
    /// The end of the connection, without a response.
    Close,
    /// The connection is broken off.
    Reset,
    /// No answer, for ever.
    Stall,
}

impl Answer {
    /// A whole answer of HTTP.
    pub(super) fn http(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let (headers, length) = (headers.concat(), body.len());
        Self::Bytes(format!(
            "HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        ))
    }
}

/// The server: ends with the runtime of the test.
pub(super) struct SocketServer {
    pub address: String,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl SocketServer {
    /// Starts one that asks `answer` about each request.
    pub(super) async fn start(answer: impl Fn(&Heard) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (heard, answer) = (Arc::<Mutex<Vec<Heard>>>::default(), Arc::new(answer));
        let all = Arc::clone(&heard);
        tokio::spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let (all, answer) = (Arc::clone(&all), Arc::clone(&answer));
                tokio::spawn(async move {
                    let Some(request) = read(&mut connection).await else { return };
                    all.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
                    give(connection, answer(&request)).await;
                });
            }
        });
        Self { address, heard }
    }

    /// The requests received with a method.
    pub(super) fn heard(&self, method: &str) -> Vec<Heard> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.iter().filter(|request| request.method == method).cloned().collect()
    }
}

async fn read(connection: &mut TcpStream) -> Option<Heard> {
    let mut bytes = Vec::new();
    loop {
        if connection.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() < length.unwrap_or(0) {
            continue;
        }
        let (first, headers) = head.split_once("\r\n")?;
        let mut words = first.split(' ').map(str::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        return Some(Heard { method, path, headers: headers.to_lowercase(), body: body.to_owned() });
    }
}

async fn give(mut connection: TcpStream, answer: Answer) {
    match answer {
        Answer::Bytes(bytes) => {
            // The client may have gone.
            let _ = connection.write_all(bytes.as_bytes()).await;
            let _ = connection.shutdown().await;
        }
        Answer::Close => {}
        Answer::Reset => connection.set_zero_linger().unwrap(),
        Answer::Stall => std::future::pending().await,
    }
}
