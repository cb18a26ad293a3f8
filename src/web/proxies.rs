//! Whose request it is when reverse proxies stand between: what they say of it, as far as they are trusted.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// Each proxy puts the address it was reached from behind those that stand there already.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Who may say whose requests they pass on.
#[derive(Debug, Clone, Default)]
pub struct Proxies(pub Vec<IpNet>);

impl Proxies {
    /// The address a request came from before it met the first proxy that is trusted. Read from the right: what stands
    /// further left than a stranger's address, the stranger may have written.
    pub fn visitor(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut visitor = peer;
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let said = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(',').map(address));
        for said in said {
            match said {
                Some(said) if self.are_trusted_with(visitor) => visitor = said,
                _ => break,
            }
        }
        visitor
    }

    fn are_trusted_with(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Some proxies write the port, too.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn visitor(peer: &str, lines: &[&str]) -> String {
        let trusted = ["127.0.0.1/32", "::1/128", "192.168.1.0/24"].map(|network| network.parse().unwrap());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        Proxies(trusted.into()).visitor(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn it_is_the_right_most_address_that_is_not_trusted() {
        for (peer, lines, expected) in [
            ("127.0.0.1", &["203.0.113.7"][..], "203.0.113.7"),
            ("::1", &["203.0.113.7"], "203.0.113.7"),
            ("127.0.0.1", &["2001:db8::7"], "2001:db8::7"),
            ("127.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("127.0.0.1", &["203.0.113.7:4711"], "203.0.113.7"),
            ("127.0.0.1", &["::ffff:203.0.113.7"], "203.0.113.7"),
            ("127.0.0.1", &["203.0.113.7, 192.168.1.2"], "203.0.113.7"),
            ("127.0.0.1", &["203.0.113.7", "192.168.1.2"], "203.0.113.7"),
            // What the visitor wrote itself stands further left.
            ("127.0.0.1", &["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
            ("127.0.0.1", &["198.51.100.1", "127.0.0.1, 203.0.113.7, 192.168.1.2"], "203.0.113.7"),
            // All are trusted: then the first of them it is.
            ("127.0.0.1", &["192.168.1.9, 192.168.1.2"], "192.168.1.9"),
            ("127.0.0.1", &[], "127.0.0.1"),
        ] {
            assert_eq!(visitor(peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn who_is_not_trusted_is_not_believed_and_nonsense_counts_for_who_passed_it_on() {
        for (peer, lines, expected) in [
            ("203.0.113.7", &["198.51.100.1"][..], "203.0.113.7"),
            ("203.0.113.7", &["127.0.0.1"], "203.0.113.7"),
            ("127.0.0.1", &["unknown"], "127.0.0.1"),
            ("127.0.0.1", &[""], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.1, _hidden, 192.168.1.2"], "192.168.1.2"),
            ("127.0.0.1", &["198.51.100.1,"], "127.0.0.1"),
        ] {
            assert_eq!(visitor(peer, lines), expected, "{peer} {lines:?}");
        }
    }

    proptest! {
        /// Whatever a visitor writes into the header: behind it stands what the proxy saw.
        #[test]
        fn nobody_behind_a_proxy_can_be_somebody_else(written in "[0-9a-f.:, x\\[\\]]{0,40}") {
            let line = format!("{written}, 203.0.113.7");
            prop_assert_eq!(visitor("127.0.0.1", &[&line]), "203.0.113.7");
            prop_assert_eq!(visitor("127.0.0.1", &[&written, "203.0.113.7"]), "203.0.113.7");
            prop_assert_eq!(visitor("203.0.113.7", &[&written]), "203.0.113.7");
        }
    }
}
