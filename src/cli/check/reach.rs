//! The first legs to any server: its name, TCP, TLS; or the Unix socket.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use rustls::CertificateError;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Limits;
use super::finding::Legs;
use super::login;
use crate::mqtt::tls::Tls;
use crate::mqtt::{Address, Server};

/// Whether the way is open so far; if not, why is among the legs.
pub async fn reach(address: &Address, tls: &Tls, limits: Limits, legs: &mut Legs) -> bool {
    match address {
        Address::Net(server) => reach_server(server, tls, limits, legs).await,
        Address::Local(path) => reach_socket(path, limits, legs).await,
    }
}

async fn reach_server(server: &Server, tls: &Tls, limits: Limits, legs: &mut Legs) -> bool {
    let Some(found) = name(server, limits, legs).await else {
        legs.skipped(&["tcp", "tls"], "needs the name");
        return false;
    };
    let Some(stream) = tcp(server, &found, limits, legs).await else {
        legs.skipped(&["tls"], "needs tcp");
        return false;
    };
    if !server.tls {
        legs.skipped(&["tls"], if server.path.is_some() { "not wanted: ws://" } else { "not wanted: mqtt://" });
        return true;
    }
    handshake(server, stream, tls, limits, legs).await
}

async fn reach_socket(path: &Path, limits: Limits, legs: &mut Legs) -> bool {
    let hint = "does the broker listen on this socket, and may this user write to it?";
    match timeout(limits.tcp, UnixStream::connect(path)).await {
        Ok(Ok(_)) => {
            legs.ok("socket", path.display());
            return true;
        }
        Ok(Err(error)) => legs.failed("socket", format!("{}: {error}", path.display()), hint),
        Err(_) => legs.failed("socket", format!("{}: no answer within {:?}", path.display(), limits.tcp), hint),
    }
    false
}

/// Whether the server behind `address` answers in TLS, whatever its certificate.
pub async fn speaks_tls(address: &Address, tls: &Tls, limits: Limits) -> bool {
    let Some(server) = address.server() else { return false };
    let Ok(Ok(stream)) = timeout(limits.tcp, TcpStream::connect((server.host.as_str(), server.port))).await else {
        return false;
    };
    match timeout(limits.tls, shake(server, stream, tls)).await {
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

async fn name(server: &Server, limits: Limits, legs: &mut Legs) -> Option<Vec<SocketAddr>> {
    let host = &server.host;
    let unknown = if host.ends_with(".local") {
        "a name in .local needs multicast DNS on this machine (Debian: libnss-mdns); or write the host's IP address"
    } else {
        "is the host's name right, and does this machine's name resolution work?"
    };
    match timeout(limits.name, lookup_host((host.as_str(), server.port))).await {
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

async fn tcp(server: &Server, found: &[SocketAddr], limits: Limits, legs: &mut Legs) -> Option<TcpStream> {
    match timeout(limits.tcp, TcpStream::connect(found)).await {
        Ok(Ok(stream)) => {
            legs.ok("tcp", format!("port {} is open", server.port));
            Some(stream)
        }
        Ok(Err(error)) => {
            legs.failed("tcp", format!("port {}: {error}", server.port), closed_hint(&error));
            None
        }
        Err(_) => {
            let detail = format!("port {}: no answer within {:?}", server.port, limits.tcp);
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

async fn handshake(server: &Server, stream: TcpStream, tls: &Tls, limits: Limits, legs: &mut Legs) -> bool {
    match timeout(limits.tls, shake(server, stream, tls)).await {
        Ok(Ok(())) => {
            legs.ok("tls", format!("{} has shown a certificate we trust", server.host));
            true
        }
        Ok(Err(error)) => {
            let hint = match hint_of_certificate(&error) {
                Some(hint) => hint.to_owned(),
                None if login::speaks_plain_mqtt(server, limits).await => {
                    let plain = Server { tls: false, ..server.clone() };
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

async fn shake(server: &Server, stream: TcpStream, tls: &Tls) -> io::Result<()> {
    let name = ServerName::try_from(server.host.clone()).map_err(io::Error::other)?;
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
        AlertReceived(_) => {
            "the server ended the handshake: does it want TLS 1.1, or a client certificate (client_cert_file, client_key_file)?"
        }
        _ => return None,
    })
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
