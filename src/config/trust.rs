//! Whom a connection trusts: the public authorities, or the CA file that the configuration names.

use std::io;
use std::path::Path;

use super::Environment;
use crate::mqtt::tls::{self, IdentityError, Tls, TlsError};

/// A file of certificates, or of a key, that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error(transparent)]
    Certificates(#[from] TlsError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("a certificate needs its other half: the file of the certificate and that of its key go together")]
    HalfIdentity,
}

/// The public authorities without a file, else only those in the file.
pub fn trust(ca_file: Option<&Path>, environment: &dyn Environment) -> Result<Tls, TrustError> {
    match ca_file {
        None => Ok(tls::public()),
        Some(path) => Ok(tls::private(environment.read(path)?.as_bytes())?),
    }
}

impl TrustError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "name a PEM file that this user may read",
            Self::Certificates(_) => "it takes the authority's certificate: -----BEGIN CERTIFICATE-----",
            Self::Identity(IdentityError::Encrypted) => {
                "nobody is there to type it: `openssl pkey -in key.pem -out plain.pem`, then chmod 600 plain.pem"
            }
            Self::Identity(IdentityError::Mismatch) => "name the key that this certificate was made with",
            Self::Identity(IdentityError::Key(_)) => {
                "it takes RSA of 2048 to 4096 bits, ECDSA with P-256 or P-384, or Ed25519"
            }
            Self::Identity(error) if error.is_about_key() => "it takes the key: -----BEGIN PRIVATE KEY-----",
            Self::Identity(_) => "it takes the certificate, its chain after it: -----BEGIN CERTIFICATE-----",
            Self::HalfIdentity => "name both files, or neither",
        }
    }
}
