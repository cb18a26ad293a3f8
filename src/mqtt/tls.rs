//! Whom to trust, the public certificate authorities or one the user names, and who we are ourselves.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::validity::end_of_validity;

/// TLS as both the MQTT and the HTTP side use it.
pub type Tls = Arc<ClientConfig>;

/// A CA file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("it is no PEM file of certificates")]
    Pem(#[from] pem::Error),
    #[error("it holds no certificate")]
    Empty,
    #[error("a certificate in it cannot be used as an authority")]
    Certificate(#[from] rustls::Error),
}

/// What one end of a connection shows to the other: a certificate with its chain, and the key that proves it.
#[derive(PartialEq, Eq)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// A key, or a certificate, that cannot be shown to a server.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("it is no PEM file of certificates")]
    Pem(#[source] pem::Error),
    #[error("it holds no certificate")]
    NoCertificate,
    #[error("it holds no private key")]
    NoKey,
    #[error("its key is protected by a passphrase")]
    Encrypted,
    #[error("its key does not belong to the certificate")]
    Mismatch,
    #[error("its key cannot be used")]
    Key(#[source] rustls::Error),
}

/// Trusts Mozilla's list of public authorities, compiled in.
pub fn public() -> Tls {
    Arc::new(client(public_roots()).with_no_client_auth())
}

/// Trusts only the authorities in this PEM text.
pub fn private(pem: &[u8]) -> Result<Tls, TlsError> {
    Ok(Arc::new(client(roots(pem)?).with_no_client_auth()))
}

/// Trusts the authorities in this PEM text, else the public ones, and shows who we are.
pub fn identified(ca: Option<&[u8]>, identity: Identity) -> Result<Tls, TlsError> {
    let roots = ca.map_or_else(|| Ok(public_roots()), roots)?;
    let Identity { chain, key } = identity;
    Ok(Arc::new(client(roots).with_client_auth_cert(chain, key)?))
}

impl Identity {
    /// From the PEM texts of a certificate, its chain after it, and of its key (PKCS#8, PKCS#1 or SEC1).
    ///
    /// # Errors
    /// [`IdentityError::is_about_key`] tells which of the two cannot be used.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(certificate).collect::<Result<_, _>>().map_err(IdentityError::Pem)?;
        if chain.is_empty() {
            return Err(IdentityError::NoCertificate);
        }
        Self { chain, key: private_key(key)? }.checked()
    }

    /// What a server shows with it, speaking these protocols (RFC 7301), to whoever comes.
    pub fn server(&self, protocols: &[&[u8]]) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring supports TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .expect("certificate and key were tried together when this was made");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }

    /// When the certificate is good no more; none if that cannot be read out of it.
    pub fn ends(&self) -> Option<Timestamp> {
        end_of_validity(self.chain.first()?)
    }

    /// A key of a kind nobody knows, or another's, is found here rather than at the first connection.
    fn checked(self) -> Result<Self, IdentityError> {
        let (chain, key) = (self.chain.clone(), self.key.clone_key());
        match client(RootCertStore::empty()).with_client_auth_cert(chain, key) {
            Ok(_) => Ok(self),
            Err(rustls::Error::InconsistentKeys(_)) => Err(IdentityError::Mismatch),
            Err(error) => Err(IdentityError::Key(error)),
        }
    }
}

/// Without the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

impl IdentityError {
    /// Whether the key's file is wrong, not the certificate's.
    pub fn is_about_key(&self) -> bool {
        !matches!(self, Self::Pem(_) | Self::NoCertificate)
    }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, IdentityError> {
    let encrypted = String::from_utf8_lossy(pem).lines().any(|line| {
        line.starts_with("-----BEGIN ENCRYPTED") || (line.starts_with("Proc-Type:") && line.contains("ENCRYPTED"))
    });
    match PrivateKeyDer::from_pem_slice(pem) {
        _ if encrypted => Err(IdentityError::Encrypted),
        Ok(key) => Ok(key),
        Err(_) => Err(IdentityError::NoKey),
    }
}

fn public_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate?)?;
    }
    if roots.is_empty() { Err(TlsError::Empty) } else { Ok(roots) }
}

fn client(roots: RootCertStore) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports TLS 1.2 and 1.3")
        .with_root_certificates(roots)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused() {
        assert!(matches!(private(b"hello"), Err(TlsError::Empty)));
        assert!(private(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
    }

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["ferry".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn of(certificate: &str, key: &str) -> Result<Identity, IdentityError> {
        Identity::from_pem(certificate.as_bytes(), key.as_bytes())
    }

    /// As `openssl ecparam -genkey` writes it: the curve in a part of its own before the key.
    #[test]
    fn an_older_form_of_a_key_is_taken_too() {
        let made = rcgen::generate_simple_self_signed(["ferry".to_owned()]).unwrap();
        let whole = made.signing_key.serialize_der();
        // PKCS#8 wraps SEC 1's form, which is 109 bytes long for P-256 (RFC 5915, 3).
        let inner = STANDARD.encode(&whole[whole.len() - 109..]);
        let curve = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        let key = format!("{curve}-----BEGIN EC PRIVATE KEY-----\n{inner}\n-----END EC PRIVATE KEY-----\n");
        assert!(of(&made.cert.pem(), &key).is_ok());
    }

    #[test]
    fn a_certificate_is_shown_only_with_its_own_key() {
        let ((certificate, key), (_, other)) = (pair(), pair());
        assert!(of(&certificate, &key).is_ok());
        assert!(matches!(of(&certificate, &other), Err(IdentityError::Mismatch)));
        assert!(matches!(of("", &key), Err(IdentityError::NoCertificate)));
        assert!(matches!(of(&certificate, "hello"), Err(IdentityError::NoKey)));
        let locked =
            key.replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE").replace("END PRIVATE", "END ENCRYPTED PRIVATE");
        assert!(matches!(of(&certificate, &locked), Err(IdentityError::Encrypted)));
    }
}
