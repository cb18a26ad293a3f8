//! Where a broker is: `mqtt://host`, `mqtts://host`, `ws://host/path`, `wss://host/path` or `unix:///path`.

use std::fmt;
use std::path::PathBuf;

use url::Url;

/// The path that most brokers give their WebSocket (EMQX, HiveMQ, VerneMQ; Mosquitto takes any).
const USUAL_PATH: &str = "/mqtt";

/// A broker's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Net(Server),
    /// A Unix socket on this machine.
    Local(PathBuf),
}

/// A broker on the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// A name or an IP address, IPv6 without brackets.
    pub host: String,
    /// Without one in the address: 1883, with TLS 8883; of a WebSocket 80, with TLS 443.
    pub port: u16,
    pub tls: bool,
    /// The path of a WebSocket; plain MQTT without it.
    pub path: Option<String>,
}

/// Why a text is no broker's address, and what the user probably meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    #[error("`{0}` is no URL: write mqtt://host or mqtts://host, with :port if it is not 1883 or 8883")]
    NotAUrl(String),
    #[error("`{scheme}://` is a web address; MQTT's is {meant}")]
    Web { scheme: String, meant: String },
    #[error("`{0}://` is not supported: mqtt://, mqtts://, ws://, wss:// or unix://")]
    Scheme(String),
    #[error("a password does not belong in the address: anyone who reads the logs would know it")]
    Credentials,
    #[error("`{0}` goes on after the port: an MQTT address has no path")]
    Path(String),
    #[error("nothing may follow `?` or `#` in the address: anyone who reads the logs would know it")]
    Query,
    #[error("`{0}` names no socket: write unix:///path/of/socket, with three slashes")]
    Socket(String),
    #[error("{0} cannot be reached over `{1}`: it takes mqtt:// or mqtts://")]
    OnlyTcp(&'static str, &'static str),
}

impl Address {
    /// MQTT over TCP, without TLS.
    pub fn tcp(host: impl Into<String>, port: u16) -> Self {
        Self::Net(Server { host: host.into(), port, tls: false, path: None })
    }

    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        if let Some(path) = text.strip_prefix("unix:") {
            return socket(text, path);
        }
        let url = match Url::parse(text) {
            Ok(url) if url.has_host() => url,
            // `localhost:1883` parses as scheme `localhost`; a bare `broker` does not parse at all.
            // What looks like credentials is not repeated.
            _ if text.contains('@') => return Err(InvalidAddress::Credentials),
            _ if text.contains("://") => return Err(InvalidAddress::NotAUrl(text.into())),
            _ => Url::parse(&format!("mqtt://{text}")).map_err(|_| InvalidAddress::NotAUrl(text.into()))?,
        };
        let (tls, web) = scheme(&url)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidAddress::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidAddress::Query);
        }
        let path = match (url.path(), web) {
            ("" | "/", true) => Some(USUAL_PATH.to_owned()),
            (path, true) => Some(path.to_owned()),
            ("" | "/", false) => None,
            // A password with a slash in it ends what looks like host and port.
            (path, false) if path.contains('@') => return Err(InvalidAddress::Credentials),
            (path, false) => return Err(InvalidAddress::Path(path.into())),
        };
        let host =
            url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| InvalidAddress::NotAUrl(text.into()))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_or_known_default().unwrap_or(if tls { 8883 } else { 1883 });
        Ok(Self::Net(Server { host, port, tls, path }))
    }

    /// The address of something that is reached over TCP only; `who` names it in the error.
    pub fn parse_tcp(text: &str, who: &'static str) -> Result<Self, InvalidAddress> {
        let address = Self::parse(text)?;
        match &address {
            Self::Local(_) => Err(InvalidAddress::OnlyTcp(who, "unix://")),
            Self::Net(Server { path: Some(_), .. }) => Err(InvalidAddress::OnlyTcp(who, "ws://")),
            Self::Net(_) => Ok(address),
        }
    }

    pub fn has_tls(&self) -> bool {
        matches!(self, Self::Net(Server { tls: true, .. }))
    }

    /// The same place with TLS, or without.
    pub fn with_tls(&self, tls: bool) -> Self {
        match self {
            Self::Net(server) => Self::Net(Server { tls, ..server.clone() }),
            Self::Local(_) => self.clone(),
        }
    }

    /// Where on the network it is.
    pub fn server(&self) -> Option<&Server> {
        match self {
            Self::Net(server) => Some(server),
            Self::Local(_) => None,
        }
    }
}

fn socket(text: &str, path: &str) -> Result<Address, InvalidAddress> {
    let path = path.strip_prefix("//").unwrap_or(path);
    // After two slashes comes a host, which a socket has none of.
    if !path.starts_with('/') || path.ends_with('/') {
        return Err(InvalidAddress::Socket(text.into()));
    }
    Ok(Address::Local(path.into()))
}

/// Whether it means TLS, and whether a WebSocket.
fn scheme(url: &Url) -> Result<(bool, bool), InvalidAddress> {
    match url.scheme() {
        "mqtt" | "tcp" => Ok((false, false)),
        "mqtts" | "ssl" => Ok((true, false)),
        "ws" => Ok((false, true)),
        "wss" => Ok((true, true)),
        scheme @ ("http" | "https") => {
            let tls = scheme == "https";
            let meant = format!("{}://{}", if tls { "mqtts" } else { "mqtt" }, url.host_str().unwrap_or("host"));
            Err(InvalidAddress::Web { scheme: scheme.into(), meant })
        }
        other => Err(InvalidAddress::Scheme(other.into())),
    }
}

impl Server {
    /// `host:port`, an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (&self.path, self.tls) {
            (None, false) => "mqtt",
            (None, true) => "mqtts",
            (Some(_), false) => "ws",
            (Some(_), true) => "wss",
        };
        write!(f, "{scheme}://{}{}", self.authority(), self.path.as_deref().unwrap_or(""))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(server) => server.fmt(f),
            Self::Local(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_tls_and_path_follow_the_scheme() {
        for (text, shown) in [
            ("mqtt://localhost", "mqtt://localhost:1883"),
            ("mqtts://eu1.cloud.thethings.network", "mqtts://eu1.cloud.thethings.network:8883"),
            ("localhost:1884", "mqtt://localhost:1884"),
            ("broker.lan", "mqtt://broker.lan:1883"),
            ("127.0.0.1", "mqtt://127.0.0.1:1883"),
            ("mqtt://[::1]:1885/", "mqtt://[::1]:1885"),
            ("ws://broker.lan", "ws://broker.lan:80/mqtt"),
            ("ws://broker.lan:9001/", "ws://broker.lan:9001/mqtt"),
            ("wss://broker.lan/ws", "wss://broker.lan:443/ws"),
            ("wss://[::1]:8884/mqtt", "wss://[::1]:8884/mqtt"),
            ("unix:///run/mosquitto/mqtt.sock", "unix:///run/mosquitto/mqtt.sock"),
            ("unix:/run/mqtt.sock", "unix:///run/mqtt.sock"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.to_string(), shown, "{text}");
            assert_eq!(Address::parse(shown).unwrap(), address, "{shown}");
        }
    }

    #[test]
    fn what_people_paste_by_mistake_is_explained() {
        let web = Address::parse("https://eu1.cloud.thethings.network").unwrap_err();
        assert!(web.to_string().contains("mqtts://eu1.cloud.thethings.network"), "{web}");
        assert_eq!(Address::parse("mqtt://me:secret@host"), Err(InvalidAddress::Credentials));
        assert_eq!(Address::parse("mqtt://me:p#ss@host"), Err(InvalidAddress::Credentials));
        assert_eq!(Address::parse("mqtt://me:1/ss@host"), Err(InvalidAddress::Credentials));
        assert_eq!(Address::parse("wss://host/mqtt?token=secret"), Err(InvalidAddress::Query));
        for bad in
            ["", "mqtt://", "amqp://host", "mqtt://host/topic", "unix://", "unix://run/mqtt.sock", "unix:mqtt.sock"]
        {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_network_takes_only_plain_mqtt() {
        for bad in ["ws://host", "wss://host/mqtt", "unix:///run/mqtt.sock"] {
            assert!(matches!(Address::parse_tcp(bad, "the network"), Err(InvalidAddress::OnlyTcp(..))), "{bad}");
        }
        assert!(Address::parse_tcp("mqtts://host", "the network").unwrap().has_tls());
    }
}
