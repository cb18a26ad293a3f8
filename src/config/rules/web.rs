//! `[web]`: an address, whom it is open to, a path, names, and the certificate.

use std::net::SocketAddr;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::limits::within;
use crate::config::error::Report;
use crate::config::web::network;
use crate::config::{Environment, WebConfig};

/// Characters of a password that is not guessed before it is changed.
const SHORT_PASSWORD: usize = 8;
/// Characters of a token that is not guessed at all.
const SHORT_TOKEN: usize = 20;

pub fn check(web: &WebConfig, environment: &dyn Environment, report: &mut Report) {
    if let Some(listen) = &web.listen {
        match listen.parse() {
            Err(_) => report.error("web.listen", format!("`{listen}` is no address with a port"), address_hint(listen)),
            Ok(address) => must_be_guarded(address, web, report),
        }
    }
    base_path(&web.base_path, report);
    url(web.url.as_deref(), report);
    hosts(&web.hosts, report);
    proxies(&web.proxies, report);
    secrets(web, report);
    files(web, environment, report);
    within(report, "web.connections", web.connections, (8, 10_000), "8 to 10000 connections");
}

/// Beyond this machine anybody could come.
fn must_be_guarded(address: SocketAddr, web: &WebConfig, report: &mut Report) {
    if !address.ip().is_loopback() && web.password.is_none() && web.token.is_none() {
        report.error(
            "web.listen",
            format!("{address} is open to other machines, and there is neither a password nor a token"),
            "put a password alone into a file and name it: password_file = \"web.password\"; or listen = \"127.0.0.1:8899\"",
        );
    }
}

fn address_hint(listen: &str) -> String {
    let port = listen.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).unwrap_or(8899);
    format!("\"127.0.0.1:{port}\" for this machine only, \"[::]:{port}\" for all of the network")
}

fn base_path(path: &str, report: &mut Report) {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
    let inner = path.trim_start_matches('/').trim_end_matches('/');
    let good = |part: &str| !part.is_empty() && part.chars().all(plain) && !part.chars().all(|c| c == '.');
    if !path.starts_with('/') || path.starts_with("//") || !(inner.is_empty() || inner.split('/').all(good)) {
        let hint = "it begins and ends with a slash and holds letters, digits, `-`, `_`, `.` and `~`: \"/ferry/\"";
        report.error("web.base_path", format!("`{path}` is no path that a page can lie below"), hint);
    }
}

fn url(url: Option<&str>, report: &mut Report) {
    let Some(url) = url else { return };
    let plain = |url: &Url| url.username().is_empty() && url.password().is_none();
    let is_good = |url: &Url| ["http", "https"].contains(&url.scheme()) && url.host_str().is_some() && plain(url);
    if !Url::parse(url).is_ok_and(|url| is_good(&url)) {
        // Not repeated: people write passwords into addresses.
        let hint = "the address as it stands in the browser, without user and password: \"https://ferry.example.org/\"";
        report.error("web.url", "this is no web address", hint);
    }
}

fn hosts(hosts: &[String], report: &mut Report) {
    let plain = |host: &str| {
        !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) && host.len() < 254
    };
    for host in hosts.iter().filter(|host| !plain(host)) {
        let hint = "names alone, without a port or https://: hosts = [\"ferry.lan\"]";
        report.error("web.hosts", format!("`{host}` is no host name"), hint);
    }
}

fn proxies(proxies: &[String], report: &mut Report) {
    for proxy in proxies {
        match network(proxy) {
            None => {
                let hint = "addresses and networks: proxies = [\"127.0.0.1\", \"192.168.1.2\", \"172.16.0.0/12\"]";
                report.error("web.proxies", format!("`{proxy}` is neither an address nor a network"), hint);
            }
            Some(network) if network.prefix_len() == 0 => {
                let hint = "name the proxy's own address";
                report.error("web.proxies", format!("`{proxy}` trusts everybody to say who they are"), hint);
            }
            Some(_) => {}
        }
    }
}

fn secrets(web: &WebConfig, report: &mut Report) {
    let length = |secret: &Option<SecretString>| secret.as_ref().map(|it| it.expose_secret().chars().count());
    if length(&web.password).is_some_and(|length| length < SHORT_PASSWORD) {
        let hint = format!("{SHORT_PASSWORD} characters or more: three words do well");
        report.warn("web.password", "the password is short enough to be guessed", hint);
    }
    if length(&web.token).is_some_and(|length| length < SHORT_TOKEN) {
        report.warn("web.token", "the token is short enough to be guessed", "`openssl rand -hex 32` makes a good one");
    }
    let in_a_header = |token: &SecretString| token.expose_secret().chars().all(|c| c.is_ascii_graphic());
    if !web.token.as_ref().is_none_or(in_a_header) {
        let hint = "letters, digits and signs without spaces: `openssl rand -hex 32` makes a good one";
        report.error("web.token", "it holds characters that no HTTP header can carry", hint);
    }
}

fn files(web: &WebConfig, environment: &dyn Environment, report: &mut Report) {
    let open = |path: &&Path| environment.readable_by_others(path);
    if let Some(path) = web.tls_key_file.as_deref().filter(open) {
        let message = format!("every user of this machine can read this secret in {}", path.display());
        report.warn("web.tls_key_file", message, format!("chmod 600 {}", path.display()));
    }
}
