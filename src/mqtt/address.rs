//! Where a broker is: `mqtt://host[:port]` or `mqtts://host[:port]`.

use std::fmt;

use url::Url;

/// A broker's address. Ports default to 1883, and 8883 with TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
    pub tls: bool,
}

/// Why a text is no broker's address, and what the user probably meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    #[error("`{0}` is no URL: write mqtt://host or mqtts://host, with :port if it is not 1883 or 8883")]
    NotAUrl(String),
    #[error("`{scheme}://` is a web address; MQTT's is {meant}")]
    Web { scheme: String, meant: String },
    #[error("`{0}://` is not supported here: mqtt:// or mqtts://")]
    Scheme(String),
    #[error("a password does not belong in the address: anyone who reads the logs would know it")]
    Credentials,
    #[error("`{0}` goes on after the port: an MQTT address has no path")]
    Path(String),
}

impl Address {
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let url = match Url::parse(text) {
            Ok(url) if url.has_host() => url,
            // `localhost:1883` parses as scheme `localhost`; a bare `broker` does not parse at all.
            // What looks like credentials is not repeated.
            _ if text.contains('@') => return Err(InvalidAddress::Credentials),
            _ if text.contains("://") => return Err(InvalidAddress::NotAUrl(text.into())),
            _ => Url::parse(&format!("mqtt://{text}")).map_err(|_| InvalidAddress::NotAUrl(text.into()))?,
        };
        let tls = scheme_means_tls(&url)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidAddress::Credentials);
        }
        if !matches!(url.path(), "" | "/") {
            return Err(InvalidAddress::Path(url.path().into()));
        }
        let host =
            url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| InvalidAddress::NotAUrl(text.into()))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: url.port().unwrap_or(if tls { 8883 } else { 1883 }), tls })
    }
}

fn scheme_means_tls(url: &Url) -> Result<bool, InvalidAddress> {
    match url.scheme() {
        "mqtt" | "tcp" => Ok(false),
        "mqtts" | "ssl" => Ok(true),
        scheme @ ("http" | "https") => {
            let tls = scheme == "https";
            let meant = format!("{}://{}", if tls { "mqtts" } else { "mqtt" }, url.host_str().unwrap_or("host"));
            Err(InvalidAddress::Web { scheme: scheme.into(), meant })
        }
        other => Err(InvalidAddress::Scheme(other.into())),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_tls_follow_the_scheme() {
        for (text, shown) in [
            ("mqtt://localhost", "mqtt://localhost:1883"),
            ("mqtts://eu1.cloud.thethings.network", "mqtts://eu1.cloud.thethings.network:8883"),
            ("localhost:1884", "mqtt://localhost:1884"),
            ("broker.lan", "mqtt://broker.lan:1883"),
            ("127.0.0.1", "mqtt://127.0.0.1:1883"),
            ("mqtt://[::1]:1885/", "mqtt://[::1]:1885"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_people_paste_by_mistake_is_explained() {
        let web = Address::parse("https://eu1.cloud.thethings.network").unwrap_err();
        assert!(web.to_string().contains("mqtts://eu1.cloud.thethings.network"), "{web}");
        assert_eq!(Address::parse("mqtt://me:secret@host"), Err(InvalidAddress::Credentials));
        assert_eq!(Address::parse("mqtt://me:p#ss@host"), Err(InvalidAddress::Credentials));
        for bad in ["", "mqtt://", "ws://host", "mqtt://host/topic"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
