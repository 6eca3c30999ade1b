//! Servers over TLS: the trusted certificates, and the errors for the others.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::crypto::aws_lc_rs;
use rustls::{ServerConfig, ServerConnection, Stream};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::*;

/// A file beside these tests: certificates of one key, which is used only here.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/provider/tests/certificates").join(format!("{name}.pem"))
}

/// Starts a server with this certificate that accepts every request; returns its address and the
/// number of connections.
fn server(certificate: &str) -> (String, Arc<AtomicUsize>) {
    let chain = vec![CertificateDer::from_pem_file(file(certificate)).unwrap()];
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(file("key")).unwrap())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let (config, connected) = (Arc::new(config), Arc::<AtomicUsize>::default());
    let counted = Arc::clone(&connected);
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut socket = socket.unwrap();
            let mut session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = Stream::new(&mut session, &mut socket);
            // A client that does not trust this hangs up.
            if matches!(stream.read(&mut [0; 8192]), Ok(1..)) {
                let _ = stream
                    .write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
            }
        }
    });
    (address, connected)
}

/// The result of setting a status from a GitLab job, and the number of attempts.
async fn told(certificate: &str, authority_file: &Path) -> (Result<(), String>, usize) {
    let (address, connected) = server(certificate);
    let gitlab = provider(&[
        ("GITLAB_CI", "true"),
        ("CI_API_V4_URL", &format!("{address}/api/v4")),
        ("CI_PROJECT_ID", "42"),
        ("CI_SERVER_TLS_CA_FILE", authority_file.to_str().unwrap()),
        ("GITLAB_TOKEN", TOKEN),
    ]);
    let told = gitlab.set_commit_status(&commit(), &status()).await;
    let is_lasting = |error: &ProviderError| matches!(error, ProviderError::Unreachable { .. });
    assert!(told.as_ref().err().is_none_or(is_lasting), "{told:?}");
    (told.map_err(|error| error.to_string()), connected.load(Ordering::SeqCst))
}

#[tokio::test]
async fn an_authority_or_a_certificate_that_is_listed_itself_is_trusted() {
    for (certificate, listed) in
        [("of-authority", "authority"), ("own-authority", "own-authority"), ("own-leaf", "own-leaf")]
    {
        assert_eq!(told(certificate, &file(listed)).await.0, Ok(()), "{certificate}");
    }
}

#[tokio::test]
async fn what_is_not_trusted_is_asked_once_and_says_what_to_set() {
    for (certificate, listed, why) in [
        ("of-authority", "own-leaf", "is not trusted: its issuer is not known. "),
        ("own-leaf", "authority", "is not trusted: its issuer is not known. "),
        ("own-authority", "own-leaf", "is not trusted: it is self-signed and not known. "),
        ("another-name", "another-name", "is for another name"),
        ("expired", "expired", "has expired"),
    ] {
        let (told, connected) = told(certificate, &file(listed)).await;
        let said = told.expect_err(certificate);
        assert!(said.contains(&format!("set the commit status: the server's certificate {why}")), "{said}");
        if why.starts_with("is not trusted") {
            for setting in ["SSL_CERT_FILE", "CI_SERVER_TLS_CA_FILE", "GIT_SSL_CAINFO", "http.sslCAInfo"] {
                assert!(said.contains(setting), "{said}");
            }
        }
        assert_eq!(connected, 1, "{certificate}");
    }
}

#[tokio::test]
async fn a_file_that_is_none_is_named() {
    let (told, connected) = told("own-leaf", Path::new("/nowhere/authority.pem")).await;
    assert!(told.unwrap_err().contains("the certificates of /nowhere/authority.pem cannot be read"));
    assert_eq!(connected, 0);
}
