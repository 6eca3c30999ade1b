//! Reports to a platform whose certificate is its own authority, as those of private servers are.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustls::crypto::aws_lc_rs;
use rustls::{ServerConfig, ServerConnection, Stream};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::{CiJob, TestEnvironment};

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/provider/tests/certificates").join(name)
}

/// Starts a server with a self-signed certificate. Returns its address, and the number of requests
/// that have got through to it.
fn server() -> (String, Arc<AtomicUsize>) {
    let chain = vec![CertificateDer::from_pem_file(certificate("own-authority.pem")).unwrap()];
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(certificate("key.pem")).unwrap())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let (config, heard) = (Arc::new(config), Arc::<AtomicUsize>::default());
    let counted = Arc::clone(&heard);
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = Stream::new(&mut session, &mut socket);
            if matches!(stream.read(&mut [0; 8192]), Ok(1..)) {
                counted.fetch_add(1, Ordering::SeqCst);
                let answer = "HTTP/1.1 201 Created\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    (address, heard)
}

#[test]
fn a_self_signed_certificate_is_trusted_on_both_platforms_once_it_is_in_the_bundle() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let (address, heard) = server();
    let file = certificate("own-authority.pem");
    let job = |on_github: bool| {
        let job = if on_github {
            CiJob::github(&checkout, "push").with("GITHUB_API_URL", &address)
        } else {
            CiJob::gitlab(&checkout).with("CI_API_V4_URL", &format!("{address}/api/v4"))
        };
        job.rollout("dev").input("comment", "false").input("deployment-record", "false")
    };
    for on_github in [true, false] {
        let run = job(on_github).run().succeeded();
        run.says("is not trusted: it is self-signed").says("SSL_CERT_FILE").says("GIT_SSL_CAINFO");
        assert_eq!(heard.load(Ordering::SeqCst), 0);
        let run = job(on_github).with("SSL_CERT_FILE", file.to_str().unwrap()).run().succeeded();
        assert!(!run.stderr.contains("is not trusted"), "{}", run.report());
        assert_ne!(heard.swap(0, Ordering::SeqCst), 0, "{}", run.report());
    }
}
