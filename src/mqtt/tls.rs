//! Whom to trust: the public certificate authorities, or one the user names.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};

/// TLS as both the MQTT and the HTTP side use it.
pub type Tls = Arc<ClientConfig>;

/// A CA file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("it is no PEM file of certificates")]
    Pem(#[from] rustls::pki_types::pem::Error),
    #[error("it holds no certificate")]
    Empty,
    #[error("a certificate in it cannot be used as an authority")]
    Certificate(#[from] rustls::Error),
}

/// Trusts Mozilla's list of public authorities, compiled in.
pub fn public() -> Tls {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    Arc::new(client(roots))
}

/// Trusts only the authorities in this PEM text.
pub fn private(pem: &[u8]) -> Result<Tls, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate?)?;
    }
    if roots.is_empty() { Err(TlsError::Empty) } else { Ok(Arc::new(client(roots))) }
}

fn client(roots: RootCertStore) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused() {
        assert!(matches!(private(b"hello"), Err(TlsError::Empty)));
        assert!(private(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
    }
}
