//! The trusted servers: by the system's authorities, those of a file, and certificates that are
//! listed themselves.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use rustls_platform_verifier::Verifier;

/// The remedy where a certificate is not trusted: for this program, and for git, which has a
/// setting of its own.
const ADVICE: &str = "Name the file that has its authority in SSL_CERT_FILE (in a job of GitLab, CI_SERVER_TLS_CA_FILE \
                      does); git takes GIT_SSL_CAINFO or http.sslCAInfo";

/// The TLS settings; the authorities of `authority_file` are trusted in addition to the system's,
/// or to `SSL_CERT_FILE` in their place.
///
/// # Errors
///
/// The reason why the file cannot be used, or that there are no authorities at all.
pub(super) fn tls(authority_file: Option<&Path>) -> Result<ClientConfig, String> {
    let listed = match authority_file {
        Some(file) => read(file)?,
        None => Vec::new(),
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let system = Verifier::new_with_extra_roots(listed.iter().cloned(), Arc::clone(&provider))
        .map_err(|error| format!("no certificate can be trusted: {error}. {ADVICE}"))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ListedVerifier { system, listed }))
        .with_no_client_auth();
    Ok(config)
}

/// The certificates of a file.
fn read(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| format!("the certificates of {} cannot be read: {error}", file.display()))
}

/// The system's verifier, which also takes a self-signed certificate that is listed itself.
///
/// OpenSSL, and so git, trusts a server's own certificate once it is in the bundle. webpki does not
/// where the certificate declares itself an authority, as `openssl req -x509` makes it.
#[derive(Debug)]
struct ListedVerifier {
    system: Verifier,
    /// The certificates of the authority file.
    listed: Vec<CertificateDer<'static>>,
}

impl ListedVerifier {
    /// Whether a certificate is, byte for byte, among those that are trusted. Asked for seldom, so
    /// read anew.
    fn lists(&self, certificate: &CertificateDer<'_>) -> bool {
        self.listed.contains(certificate)
            || rustls_native_certs::load_native_certs().certs.contains(certificate)
    }
}

impl ServerCertVerifier for ListedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.system.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // Its validity has been checked before this was found; its name has not.
            Err(Error::InvalidCertificate(error)) if is_authority(&error) && self.lists(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.system.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.system.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.system.supported_verify_schemes()
    }
}

/// Whether the certificate was refused because it is an authority's, and for nothing else.
fn is_authority(error: &CertificateError) -> bool {
    let CertificateError::Other(other) = error else { return false };
    matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

/// The reason why a connection could not be secured, and the remedy.
pub(super) fn explain(error: &Error) -> String {
    let Error::InvalidCertificate(problem) = error else {
        return format!("there is no secure connection: {error}");
    };
    let why = match problem {
        CertificateError::UnknownIssuer => "its issuer is not known".to_owned(),
        problem if is_authority(problem) => "it is self-signed and not known".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            return "the server's certificate has expired".to_owned();
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            return "the server's certificate is not valid yet; is this machine's clock right?".to_owned();
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            return "the server's certificate is for another name".to_owned();
        }
        problem => format!("{problem:?}"),
    };
    format!("the server's certificate is not trusted: {why}. {ADVICE}")
}
