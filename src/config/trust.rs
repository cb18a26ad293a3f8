//! Whom a connection trusts: the public authorities, or the CA file that the configuration names.

use std::io;
use std::path::Path;

use super::Environment;
use crate::mqtt::tls::{self, Tls, TlsError};

/// A CA file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error(transparent)]
    Certificates(#[from] TlsError),
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
            Self::Certificates(_) => "it takes the authority's certificate: -----BEGIN CERTIFICATE----- …",
        }
    }
}
