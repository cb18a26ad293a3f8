//! Whether a request may be looked at: what a browser of the house would send, and not what a stranger's web site makes
//! it send. Decides by the request's head alone.
//!
//! Two ways lead from a web site into a home. A name of its own that suddenly means `127.0.0.1` (DNS rebinding) makes the
//! page here part of that site: so the names this bridge is called by are known, and others are refused. And a form or a
//! script may send requests here without being able to read the answer: so what changes something, and every WebSocket,
//! must come from the page itself, if it comes from a page at all.

use std::collections::BTreeSet;

use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use url::{Host, Origin, Url};

/// Fetch metadata: how the page that asks stands to this one (W3C Fetch Metadata, 2.3).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// A host name and a port are not longer (RFC 1035, 2.3.4).
const LONGEST_HOST: usize = 255 + 6;

/// The names this bridge is called by.
#[derive(Debug)]
pub struct Guard {
    names: BTreeSet<String>,
    /// The origin of the page as people see it, if that was configured.
    public: Option<Origin>,
}

/// Why a request is not looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("a request must say once, in `Host`, whom it means")]
    NoHost,
    #[error("this bridge is not called `{0}`")]
    Stranger(String),
    #[error("the request comes from another web site")]
    OtherSite,
}

impl Guard {
    /// `machine`: this machine's own name; `hosts`: what else it is called by; `url`: the address people use.
    pub fn new(machine: &str, hosts: &[String], url: Option<&str>) -> Self {
        let url = url.and_then(|url| Url::parse(url).ok());
        let short = machine.split('.').next().unwrap_or_default();
        let own = ["localhost".into(), machine.into(), short.into(), format!("{short}.local")];
        let public = url.as_ref().and_then(Url::host_str).map(str::to_owned);
        let names = own.into_iter().chain(hosts.iter().cloned()).chain(public).map(|name| plain(&name));
        Self {
            names: names.filter(|name| !name.is_empty() && name != ".local").collect(),
            public: url.map(|url| url.origin()),
        }
    }

    /// # Errors
    /// The request is none that a browser of the house, or a script, would send.
    pub fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Refused> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(Refused::NoHost) };
        let host = host.to_str().map_err(|_| Refused::NoHost)?;
        self.must_be_ours(host)?;
        if let Some(target) = uri.authority() {
            // The form for proxies, which says it once more (RFC 9112, 3.2.2).
            self.must_be_ours(target.as_str())?;
        }
        let is_harmless = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
        if is_harmless && !headers.contains_key(header::UPGRADE) {
            return Ok(());
        }
        let is_own = |origin: &str| self.is_own_origin(origin, host);
        let all_own = headers.get_all(header::ORIGIN).iter().all(|origin| origin.to_str().is_ok_and(is_own));
        let crossing = headers.get_all(FETCH_SITE).iter().any(|site| site == "cross-site");
        if all_own && !crossing { Ok(()) } else { Err(Refused::OtherSite) }
    }

    /// An address cannot be rebound; a name must be known.
    fn must_be_ours(&self, host: &str) -> Result<(), Refused> {
        let stranger = || Refused::Stranger(host.chars().filter(|c| c.is_ascii_graphic()).take(80).collect());
        match at("http", host).and_then(|url| Some(url.host()?.to_owned())) {
            Some(Host::Domain(name)) if self.names.contains(&plain(&name)) => Ok(()),
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => Ok(()),
            Some(Host::Domain(_)) | None => Err(stranger()),
        }
    }

    /// Whether the page that asks lies where the request goes, or where people see this page. Behind a proxy that speaks
    /// TLS only the page's side of it has `https`, so `Host` is read as the origin's scheme would.
    fn is_own_origin(&self, origin: &str, host: &str) -> bool {
        let Some(page) = Url::parse(origin).ok().filter(|url| ["http", "https"].contains(&url.scheme())) else {
            return false;
        };
        let asked = at(page.scheme(), host).map(|url| url.origin());
        [asked.as_ref(), self.public.as_ref()].into_iter().flatten().any(|own| *own == page.origin())
    }
}

impl Refused {
    /// 421 for a name that is not ours (RFC 9110, 15.5.20).
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoHost => StatusCode::BAD_REQUEST,
            Self::Stranger(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::OtherSite => StatusCode::FORBIDDEN,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoHost => "HTTP/1.1 has it in every request",
            Self::Stranger(_) => "if it is, say so in the configuration: [web] hosts = [\"that-name\"]",
            Self::OtherSite => {
                "behind a reverse proxy: let it pass on `Host`, or say the address people use: [web] url"
            }
        }
    }
}

/// The address of a host as a `Host` header names it; none if that holds more than a host and a port.
fn at(scheme: &str, host: &str) -> Option<Url> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:[]".contains(c);
    if host.is_empty() || host.len() > LONGEST_HOST || !host.chars().all(is_plain) {
        return None;
    }
    Url::parse(&format!("{scheme}://{host}/")).ok()
}

/// Names are the same in any case, and with the dot that ends a full one.
fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn guard() -> Guard {
        Guard::new("Pi.example.org", &["ferry.lan".into()], Some("https://home.example.org/ferry/"))
    }

    fn check(method: &str, target: &str, headers: &[(&'static str, &str)]) -> Result<(), Refused> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        guard().check(&method.parse().unwrap(), &target.parse().unwrap(), &map)
    }

    #[test]
    fn every_name_of_ours_is_answered_and_no_other() {
        let good = "127.0.0.1:8899 [::1]:8899 192.168.1.7 [fe80::1] localhost LOCALHOST:8899 localhost. pi pi:80 \
                    pi.local pi.example.org PI.example.org. ferry.lan:8899 home.example.org";
        for host in good.split_whitespace() {
            assert_eq!(check("GET", "/", &[("host", host)]), Ok(()), "{host}");
        }
        let bad = "evil.example localhost.evil.example evil.localhost pi.local.evil.example ferry.lan.evil.example \
                   example.org local .local 127.0.0.1.evil.example a@localhost localhost@evil.example localhost/x \
                   localhost#x localhost\\x localhost:x [::1 [::1%25lo] : %6cocalhost";
        for host in bad.split_whitespace() {
            assert!(matches!(check("GET", "/", &[("host", host)]), Err(Refused::Stranger(_))), "{host}");
        }
        for hosts in [&[][..], &[("host", "pi"), ("host", "pi")], &[("host", "pi"), ("host", "evil.example")]] {
            assert_eq!(check("GET", "/", hosts), Err(Refused::NoHost), "{hosts:?}");
        }
        assert!(check("GET", "/", &[("host", "")]).is_err());
        assert!(check("GET", "http://evil.example/", &[("host", "localhost")]).is_err());
        assert_eq!(check("GET", "http://localhost:8899/", &[("host", "localhost")]), Ok(()));
    }

    #[test]
    fn what_changes_something_comes_from_the_page_itself_or_from_no_page() {
        for (host, origin, good) in [
            ("pi:8899", "http://pi:8899", true),
            ("pi", "http://pi", true),
            ("pi:80", "http://pi", true),
            ("pi", "https://pi", true),
            ("pi:443", "https://pi", true),
            ("[::1]:8899", "http://[::1]:8899", true),
            // The proxy did not pass on `Host`.
            ("127.0.0.1:8899", "https://home.example.org", true),
            ("pi:8899", "http://PI:8899", true),
            ("pi:8899", "http://pi:3000", false),
            ("pi:8899", "http://pi", false),
            ("pi:8899", "http://localhost:8899", false),
            ("pi:8899", "http://evil.example", false),
            ("pi:8899", "http://evil.example/http://pi:8899", false),
            ("pi:8899", "http://pi:8899@evil.example", false),
            ("127.0.0.1:8899", "http://home.example.org", false),
            ("pi:8899", "null", false),
            ("pi:8899", "", false),
            ("pi:8899", "file://pi:8899", false),
            ("pi:8899", "chrome-extension://pi", false),
        ] {
            for method in ["POST", "PUT", "PATCH", "DELETE"] {
                let expected = if good { Ok(()) } else { Err(Refused::OtherSite) };
                assert_eq!(check(method, "/", &[("host", host), ("origin", origin)]), expected, "{host} {origin}");
            }
            let socket = [("host", host), ("origin", origin), ("upgrade", "websocket")];
            assert_eq!(check("GET", "/", &socket).is_ok(), good, "{host} {origin}");
            // Nobody can read the answer from there.
            assert_eq!(check("GET", "/", &[("host", host), ("origin", origin)]), Ok(()));
        }
        assert_eq!(check("POST", "/", &[("host", "pi")]), Ok(()), "a script has no origin");
        let both = [("host", "pi"), ("origin", "http://pi"), ("origin", "http://evil.example")];
        assert_eq!(check("POST", "/", &both), Err(Refused::OtherSite));
        for (site, good) in [("same-origin", true), ("none", true), ("same-site", true), ("cross-site", false)] {
            assert_eq!(check("POST", "/", &[("host", "pi"), ("sec-fetch-site", site)]).is_ok(), good, "{site}");
        }
    }

    #[test]
    fn a_machine_without_a_name_is_not_called_by_its_ending() {
        for machine in ["", "."] {
            let guard = Guard::new(machine, &[], None);
            assert_eq!(guard.names.iter().collect::<Vec<_>>(), ["localhost"]);
        }
    }

    proptest! {
        /// Whatever comes: nothing panics, and a name that is not ours opens nothing.
        #[test]
        fn no_header_gets_a_stranger_in(host in "\\PC{0,40}", origin in "\\PC{0,40}", name in "[a-z]{1,8}\\.[a-z]{2,5}") {
            let headers = |host: &str, origin: &str| {
                let mut map = HeaderMap::new();
                map.extend(HeaderValue::from_str(host).ok().map(|value| (header::HOST, value)));
                map.extend(HeaderValue::from_str(origin).ok().map(|value| (header::ORIGIN, value)));
                map
            };
            let check = |headers: &HeaderMap| guard().check(&Method::POST, &Uri::from_static("/"), headers);
            check(&headers(&host, &origin)).ok();
            prop_assume!(!["ferry.lan", "pi.local"].contains(&name.as_str()));
            let own_page = headers(&name, &format!("http://{name}"));
            prop_assert!(check(&own_page).is_err());
            let from_elsewhere = headers("pi:8899", &format!("http://{name}/{origin}"));
            prop_assert!(!from_elsewhere.contains_key(header::ORIGIN) || check(&from_elsewhere).is_err());
        }
    }
}
