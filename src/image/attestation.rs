//! Signed statements: DSSE envelopes, with a key that the user provides.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The media type of in-toto statements in JSON.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The reason why a key cannot sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    #[error("it is not a private key in PEM, without a passphrase")]
    NotPem,
    #[error("it is neither an ECDSA key on P-256 nor an Ed25519 key")]
    UnknownKind,
    #[error("nothing could be signed with it")]
    Failed,
}

/// A private key.
pub struct SigningKey(Pair);

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// Reads a key in PEM: ECDSA on P-256, as `openssl ecparam` and `openssl
    /// genpkey` write it, or Ed25519.
    pub fn from_pem(pem: &SecretString) -> Result<Self, SigningError> {
        let key = PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes());
        let key = key.map_err(|_| SigningError::NotPem)?;
        let der = key.secret_der();
        if let Ok(pair) = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, der) {
            return Ok(Self(Pair::Ecdsa(pair)));
        }
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| SigningError::UnknownKind)?;
        Ok(Self(Pair::Ed25519(pair)))
    }

    /// The statement in an envelope that names the signer's key.
    pub fn envelope(&self, statement: &str) -> Result<Value, SigningError> {
        let signature = self.sign(&encoded(statement))?;
        Ok(json!({
            "payloadType": PAYLOAD_TYPE,
            "payload": STANDARD.encode(statement),
            "signatures": [{ "keyid": self.id()?, "sig": STANDARD.encode(signature) }],
        }))
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        match &self.0 {
            Pair::Ecdsa(pair) => pair.sign(&SystemRandom::new(), message).map(|made| made.as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
        .map_err(|_| SigningError::Failed)
    }

    /// The digest of the public key, as `openssl pkey -pubout -outform DER | sha256sum` prints it.
    fn id(&self) -> Result<String, SigningError> {
        let public: Result<PublicKeyX509Der<'_>, _> = match &self.0 {
            Pair::Ecdsa(pair) => pair.public_key().as_der(),
            Pair::Ed25519(pair) => pair.public_key().as_der(),
        };
        let public = public.map_err(|_| SigningError::Failed)?;
        let digest = Sha256::digest(public.as_ref());
        Ok(digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
    }
}

/// The bytes that are signed: DSSE's "pre-authentication encoding", so that a payload of one type
/// cannot be taken for another.
fn encoded(statement: &str) -> Vec<u8> {
    let (type_length, length) = (PAYLOAD_TYPE.len(), statement.len());
    format!("DSSEv1 {type_length} {PAYLOAD_TYPE} {length} {statement}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_what_the_standard_says() {
        assert_eq!(encoded("é"), "DSSEv1 28 application/vnd.in-toto+json 2 é".as_bytes());
    }

    #[test]
    fn what_is_no_key_is_told_apart_and_not_shown() {
        let error = |pem: &str| SigningKey::from_pem(&pem.to_owned().into()).unwrap_err();
        assert_eq!(error("hunter2"), SigningError::NotPem);
        let rsa = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
        assert_eq!(error(rsa), SigningError::UnknownKind);
    }
}
