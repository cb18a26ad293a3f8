//! The TCP address that the page and the API are served on.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::door::Entrance;
use crate::mqtt::tls::Identity;

/// An address that is listened on.
pub struct Port {
    listener: TcpListener,
    address: SocketAddr,
    certificate: watch::Receiver<Certificate>,
}

/// What TLS is spoken with, if it is spoken.
pub type Certificate = Option<TlsAcceptor>;

/// Why the page cannot be served there.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    #[error("the page cannot be served at {0}: another program listens there")]
    Taken(SocketAddr),
    #[error("the page cannot be served at {address}: {source}")]
    Unusable { address: SocketAddr, source: io::Error },
}

impl Port {
    /// Listens at `address`; port 0 is any free one. Whoever comes is shown the certificate of that moment. Needs a runtime to
    /// be entered.
    ///
    /// # Errors
    /// Somebody listens there already, or this machine has no such address.
    pub fn open(address: SocketAddr, certificate: watch::Receiver<Certificate>) -> Result<Self, PortError> {
        let failed = |error| PortError::new(address, error);
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, certificate })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn has_tls(&self) -> bool {
        self.certificate.borrow().is_some()
    }

    pub(super) fn into_entrance(self) -> Entrance {
        Entrance::Tcp(self.listener, self.certificate)
    }
}

/// What visitors are shown of this identity.
pub fn certificate(identity: Option<&Identity>) -> Certificate {
    identity.map(|identity| TlsAcceptor::from(identity.server(&[b"http/1.1"])))
}

impl PortError {
    pub fn new(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::Taken(address),
            _ => Self::Unusable { address, source },
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        let Self::Unusable { source, .. } = self else {
            return "stop it, or give the page another port: [web] listen";
        };
        match source.kind() {
            io::ErrorKind::PermissionDenied => "ports below 1024 are root's: choose another one: [web] listen",
            io::ErrorKind::AddrNotAvailable => {
                "this machine does not have that address: \"127.0.0.1:8899\" and \"[::]:8899\" are always there"
            }
            _ => "choose another address: [web] listen",
        }
    }
}
