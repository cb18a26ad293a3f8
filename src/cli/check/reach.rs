//! The first three legs to any server: its name, TCP, TLS.

use std::io;
use std::net::SocketAddr;

use rustls::CertificateError;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Limits;
use super::finding::Legs;
use super::login;
use crate::mqtt::Address;
use crate::mqtt::tls::Tls;

/// Whether the way is open so far; if not, why is among the legs.
pub async fn reach(address: &Address, tls: &Tls, limits: Limits, legs: &mut Legs) -> bool {
    let Some(found) = name(address, limits, legs).await else {
        legs.skipped(&["tcp", "tls"], "needs the name");
        return false;
    };
    let Some(stream) = tcp(address, &found, limits, legs).await else {
        legs.skipped(&["tls"], "needs tcp");
        return false;
    };
    if !address.tls {
        legs.skipped(&["tls"], "not wanted: mqtt://");
        return true;
    }
    handshake(address, stream, tls, limits, legs).await
}

/// Whether the server behind `address` answers in TLS, whatever its certificate.
pub async fn speaks_tls(address: &Address, tls: &Tls, limits: Limits) -> bool {
    let Ok(Ok(stream)) = timeout(limits.tcp, TcpStream::connect((address.host.as_str(), address.port))).await else {
        return false;
    };
    match timeout(limits.tls, shake(address, stream, tls)).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => matches!(
            tls_error(&error),
            Some(
                rustls::Error::InvalidCertificate(_)
                    | rustls::Error::AlertReceived(_)
                    | rustls::Error::PeerIncompatible(_)
            )
        ),
        Err(_) => false,
    }
}

async fn name(address: &Address, limits: Limits, legs: &mut Legs) -> Option<Vec<SocketAddr>> {
    let host = &address.host;
    let unknown = "is the host's name right, and does this machine's name resolution work?";
    match timeout(limits.name, lookup_host((host.as_str(), address.port))).await {
        Ok(Ok(found)) => {
            let found: Vec<_> = found.collect();
            let shown = found.iter().map(|found| found.ip().to_string()).collect::<Vec<_>>().join(", ");
            legs.ok("name", format!("{host} is {shown}"));
            Some(found)
        }
        Ok(Err(error)) => {
            legs.failed("name", format!("{host}: {error}"), unknown);
            None
        }
        Err(_) => {
            legs.failed("name", format!("{host}: no answer within {:?}", limits.name), unknown);
            None
        }
    }
}

async fn tcp(address: &Address, found: &[SocketAddr], limits: Limits, legs: &mut Legs) -> Option<TcpStream> {
    match timeout(limits.tcp, TcpStream::connect(found)).await {
        Ok(Ok(stream)) => {
            legs.ok("tcp", format!("port {} is open", address.port));
            Some(stream)
        }
        Ok(Err(error)) => {
            legs.failed("tcp", format!("port {}: {error}", address.port), closed_hint(&error));
            None
        }
        Err(_) => {
            let detail = format!("port {}: no answer within {:?}", address.port, limits.tcp);
            legs.failed("tcp", detail, "a firewall in between, or a host that is off");
            None
        }
    }
}

fn closed_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "the host is there and nothing listens on this port: is the broker running, and is it this port?"
        }
        _ => "is there a way from this machine to that host?",
    }
}

async fn handshake(address: &Address, stream: TcpStream, tls: &Tls, limits: Limits, legs: &mut Legs) -> bool {
    match timeout(limits.tls, shake(address, stream, tls)).await {
        Ok(Ok(())) => {
            legs.ok("tls", format!("{} has shown a certificate we trust", address.host));
            true
        }
        Ok(Err(error)) => {
            let hint = match hint_of_certificate(&error) {
                Some(hint) => hint.to_owned(),
                None if login::speaks_plain_mqtt(address, limits).await => {
                    let plain = Address { tls: false, ..address.clone() };
                    format!("this port speaks MQTT without TLS: write {plain}, or the port that has TLS (8883)")
                }
                None => "this port does not answer in TLS: is it the broker's TLS port (8883)?".into(),
            };
            legs.failed("tls", error, hint);
            false
        }
        Err(_) => {
            let detail = format!("no answer within {:?}", limits.tls);
            legs.failed("tls", detail, "something listens there, but it does not answer in TLS: is the port right?");
            false
        }
    }
}

async fn shake(address: &Address, stream: TcpStream, tls: &Tls) -> io::Result<()> {
    let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
    TlsConnector::from(tls.clone()).connect(name, stream).await.map(|_| ())
}

fn hint_of_certificate(error: &io::Error) -> Option<&'static str> {
    use rustls::Error::{AlertReceived, InvalidCertificate};
    Some(match tls_error(error)? {
        InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the certificate is from an authority we do not know: name its PEM file with ca_file"
        }
        InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the certificate has expired, or this machine's clock is wrong"
        }
        InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            "is this machine's clock right?"
        }
        InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            "the certificate is for another name: write the host as the certificate does"
        }
        // Named like this by webpki, whose error has no type of its own here.
        InvalidCertificate(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "the server shows an authority's certificate as its own: make an authority and, signed by it, one for the server"
        }
        InvalidCertificate(_) => "the server's certificate cannot be used",
        AlertReceived(_) => "the server ended the handshake: does it want TLS 1.1 or a client certificate?",
        _ => return None,
    })
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
