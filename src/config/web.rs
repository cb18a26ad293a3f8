//! `[web]`: where the page and the HTTP API are served, and to whom.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{BadFile, Environment, TrustError};
use crate::mqtt::tls::Identity;

/// `[web]`: the page and the HTTP API. The control socket, `[service] socket`, is there without it.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebConfig {
    /// Where the page and the API are served: an address and a port. Beyond this machine (`0.0.0.0:8899`, `[::]:8899`) only
    /// with a password or a token. Without it: nowhere.
    #[schemars(example = &"127.0.0.1:8899")]
    pub listen: Option<String>,
    /// The path below which everything lies when a reverse proxy gives it a part of a site, such as `/ferry/`. The proxy may
    /// leave it in its requests or strip it.
    pub base_path: String,
    /// The address by which people reach the page, such as `https://ferry.example.org/`. Home Assistant links each device
    /// to its page there.
    #[schemars(example = &"http://homeserver.local:8899/")]
    pub url: Option<String>,
    /// Further names that the page is reached by, beside addresses, `localhost`, this machine's own name and that of `url`.
    /// Requests under any other name are refused: that is how web sites of strangers would get in.
    #[schemars(example = &["ferry.lan"])]
    pub hosts: Vec<String>,
    /// The reverse proxies before the page, by address or network (`"192.168.1.2"`, `"172.16.0.0/12"`). Of a request that
    /// comes from one of them, `X-Forwarded-For` says whose it is, so that wrong passwords are counted for each visitor.
    /// Others may write what they like there.
    #[schemars(example = &["127.0.0.1", "::1"])]
    pub proxies: Vec<String>,
    /// What people log in with, best left out: see `password_file`.
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>", example = &"a secret")]
    pub password: Option<SecretString>,
    /// File that holds the password and nothing else. Without it: `TTN_FERRY_WEB_PASSWORD`, or the systemd credential
    /// `web-password`.
    #[schemars(example = &"web.password")]
    pub password_file: Option<PathBuf>,
    /// What scripts show (`Authorization: Bearer …`), best left out: see `token_file`.
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>", example = &"a long secret")]
    pub token: Option<SecretString>,
    /// File that holds the token and nothing else. Without it: `TTN_FERRY_WEB_TOKEN`, or the systemd credential
    /// `web-token`.
    #[schemars(example = &"web.token")]
    pub token_file: Option<PathBuf>,
    /// PEM file with the certificate to serve HTTPS with, its chain after it. It goes with `tls_key_file`. When what is in
    /// the two files changes, the new certificate is shown from then on.
    #[schemars(example = &"web.pem")]
    pub tls_cert_file: Option<PathBuf>,
    /// PEM file with the key of that certificate, without a passphrase.
    #[schemars(example = &"web-key.pem")]
    pub tls_key_file: Option<PathBuf>,
    /// What was in both.
    #[serde(skip)]
    pub identity: Option<Arc<Identity>>,
    /// Whether codecs may be written into the codec folder from the page, and by the request `codec/save`.
    pub edit_codecs: bool,
    /// Whether `/metrics` has numbers for each device, which makes it long where there are many.
    pub metrics_per_device: bool,
    /// Connections at once. When there are as many, the one on which nothing was asked for longest makes way for the next.
    /// 8 to 10000.
    #[schemars(range(min = 8, max = 10000))]
    pub connections: usize,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            listen: None,
            base_path: "/".into(),
            url: None,
            hosts: Vec::new(),
            proxies: Vec::new(),
            password: None,
            password_file: None,
            token: None,
            token_file: None,
            tls_cert_file: None,
            tls_key_file: None,
            identity: None,
            edit_codecs: false,
            metrics_per_device: false,
            connections: 256,
        }
    }
}

impl WebConfig {
    /// Where to listen; none without `listen`, or if that is no address.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listen.as_ref()?.parse().ok()
    }

    /// The trusted proxies; what is no address is left out.
    pub fn proxies(&self) -> Vec<IpNet> {
        self.proxies.iter().filter_map(|proxy| network(proxy)).collect()
    }

    /// The base path, with a slash at both its ends.
    pub fn base(&self) -> String {
        match self.base_path.trim_matches('/') {
            "" => "/".into(),
            inner => format!("/{inner}/"),
        }
    }
}

/// A network, or an address as the network of itself.
pub(super) fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(|address| address.to_canonical().into()))
}

/// The certificate and key that HTTPS is served with, if there is to be HTTPS.
///
/// # Errors
/// One is missing, or cannot be used.
pub(super) fn identity(web: &WebConfig, environment: &dyn Environment) -> Result<Option<Identity>, BadFile> {
    let (certificate, key) = match (&web.tls_cert_file, &web.tls_key_file) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(path), None) => return Err(bad("tls_key_file", path, TrustError::HalfIdentity)),
        (None, Some(path)) => return Err(bad("tls_cert_file", path, TrustError::HalfIdentity)),
    };
    let read = |name, path| environment.read(path).map_err(|error| bad(name, path, error.into()));
    let (chain, secret) = (read("tls_cert_file", certificate)?, read("tls_key_file", key)?);
    Identity::from_pem(chain.as_bytes(), secret.as_bytes()).map(Some).map_err(|error| match error.is_about_key() {
        true => bad("tls_key_file", key, error.into()),
        false => bad("tls_cert_file", certificate, error.into()),
    })
}

fn bad(key: &'static str, path: &std::path::Path, error: TrustError) -> BadFile {
    BadFile { key, path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use crate::config::Config;
    use crate::config::tests::{Fake, environment, load};

    fn with(lines: &str, environment: &Fake) -> Config {
        let text = format!("[[application]]\nid = 'my-app'\ncluster = 'eu1'\n[web]\n{lines}");
        load(&text, environment).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn its_secrets_are_found_where_others_are_and_shown_nowhere() {
        let (password, token) = ("three plain words", "0123456789abcdef0123456789abcdef");
        let own = format!("password = '{password}'\ntoken = '{token}'\n");
        let in_files = environment().file("CONFIG/p", format!("{password}\n")).file("CONFIG/t", token);
        let in_variables = environment().with("TTN_FERRY_WEB_PASSWORD", password).with("TTN_FERRY_WEB_TOKEN", token);
        let in_credentials = environment()
            .with("CREDENTIALS_DIRECTORY", "/run")
            .file("/run/web-password", password)
            .file("/run/web-token", token);
        for (lines, environment, place) in [
            (own.as_str(), environment(), "line 5"),
            ("password_file = 'p'\ntoken_file = 't'", in_files, "file CONFIG/p"),
            ("", in_variables, "environment TTN_FERRY_WEB_PASSWORD"),
            ("", in_credentials, "systemd credential web-password"),
        ] {
            // Open to the network: with a secret it may be.
            let config = with(&format!("{lines}\nlisten = '[::]:8899'"), &environment);
            assert_eq!(config.web.password.as_ref().unwrap().expose_secret(), password);
            assert_eq!(config.web.token.as_ref().unwrap().expose_secret(), token);
            let shown: String = config.shown().iter().map(|value| format!("{value}\n")).collect();
            assert!(shown.contains(&format!("web.password = (set)  # {place}\n")), "{shown}");
            let all = format!("{config:?}\n{shown}\n{}", config.public());
            assert!(!all.contains(password) && !all.contains(token), "{all}");
        }
    }

    #[test]
    fn what_is_weak_or_open_is_a_warning() {
        let mut environment = environment();
        environment.open_to_all.push("CONFIG/ttn-ferry.toml".into());
        let warnings = with("password = 'secret'\ntoken = 'short'", &environment).warnings;
        let keys: Vec<_> = warnings.iter().map(|warning| warning.key.as_str()).collect();
        assert_eq!(keys, ["web.password", "web.password", "web.token"], "{warnings:?}");
        assert!(!format!("{warnings:?}").contains("'secret'"));
    }

    #[test]
    fn a_base_path_is_taken_with_and_without_its_last_slash() {
        for (written, base) in
            [("/", "/"), ("/ferry", "/ferry/"), ("/ferry/", "/ferry/"), ("/a/b-c_d.e~1", "/a/b-c_d.e~1/")]
        {
            assert_eq!(with(&format!("base_path = '{written}'"), &environment()).web.base(), base);
        }
        for wrong in ["", "ferry", "//", "//evil.example", "/a//b", "/../", "/a b/", "/a\"b/", "/a;b/", "/a%2f/"] {
            let text = format!("[[application]]\nid = 'my-app'\ncluster = 'eu1'\n[web]\nbase_path = '{wrong}'");
            let error = load(&text, &environment()).err().unwrap_or_else(|| panic!("{wrong} is taken"));
            assert!(error.problems().iter().all(|problem| problem.key == "web.base_path"), "{error}");
        }
    }

    #[test]
    fn what_is_changed_counts_after_a_restart_but_another_certificate_at_once() {
        let made = || rcgen::generate_simple_self_signed(["ferry.lan".to_owned()]).unwrap();
        let lines = "tls_cert_file = 'web.pem'\ntls_key_file = 'web.key'";
        let load = |lines: &str| {
            let made = made();
            let files = environment().file("CONFIG/web.pem", made.cert.pem());
            let files = files.file("CONFIG/web.key", made.signing_key.serialize_pem());
            (with(lines, &files), files)
        };
        let ((old, old_files), (renewed, files)) = (load(lines), load(lines));
        let changed = old.changes_to(&renewed);
        assert_eq!(changed.0, ["web.tls_cert_file", "web.tls_key_file"]);
        assert!(changed.needing_restart().is_empty());
        assert_eq!(old.sources.look(&old_files), old.sources.print);
        assert_eq!(
            old.sources.look(&files),
            renewed.sources.print,
            "it is looked at without a word of the file changing"
        );
        assert_ne!(old.sources.print, renewed.sources.print);
        assert!(old.web.identity.is_some() && old.web.identity != renewed.web.identity);
        let (new, _) =
            load(&format!("{lines}\nlisten = '127.0.0.1:1'\npassword = 'three plain words'\nurl = 'http://pi/'"));
        assert_eq!(old.changes_to(&new).needing_restart(), ["web.listen", "web.password", "web.url"]);
    }

    #[test]
    fn proxies_are_addresses_and_networks_and_never_everybody() {
        let config =
            with("proxies = ['127.0.0.1', '::1', '192.168.1.0/24', 'fd00::/8', '::ffff:10.1.2.3']", &environment());
        let networks: Vec<_> = config.web.proxies().iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["127.0.0.1/32", "::1/128", "192.168.1.0/24", "fd00::/8", "10.1.2.3/32"]);
        for wrong in ["", "proxy.lan", "127.0.0.1:80", "10.0.0.0/33", "192.168.1.", "0.0.0.0/0", "::/0"] {
            let text = format!("[[application]]\nid = 'my-app'\ncluster = 'eu1'\n[web]\nproxies = ['{wrong}']");
            let error = load(&text, &environment()).err().unwrap_or_else(|| panic!("{wrong} is taken"));
            assert!(error.problems().iter().all(|problem| problem.key == "web.proxies"), "{error}");
        }
    }
}
