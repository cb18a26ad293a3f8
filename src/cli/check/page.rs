//! The page: whether it could be served where the configuration says.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;

use jiff::Timestamp;

use super::finding::{Finding, Legs};
use crate::config::{Config, Environment, control_socket};
use crate::mqtt::tls::Identity;
use crate::web::PortError;

/// Listens there for a moment, unless a running bridge does.
pub fn check_page(config: &Config, environment: &dyn Environment) -> Vec<Finding> {
    let mut legs = Legs::of("page");
    let Some(address) = config.web.address() else { return legs.into_findings() };
    match TcpListener::bind(address).map_err(|error| PortError::new(address, error)) {
        Ok(_) => legs.ok("listen", described(address, config)),
        Err(PortError::Taken(_)) if is_running(config, environment) => {
            legs.ok("listen", format!("{}, in use while the bridge runs", described(address, config)));
        }
        // Another user's service may be allowed what this user is not.
        Err(error) => legs.warning("listen", &error, error.hint()),
    }
    certificate(config, Timestamp::now(), &mut legs);
    legs.into_findings()
}

/// How long the page's certificate is good for.
fn certificate(config: &Config, now: Timestamp, legs: &mut Legs) {
    match config.web.identity.as_deref().and_then(Identity::ends) {
        None => {}
        Some(ends) if ends > now => legs.ok("certificate", format!("good until {ends}")),
        Some(ends) => {
            let hint = "renew it; a running bridge takes the new one over from the same files";
            legs.warning("certificate", format!("it ended on {ends}: browsers refuse it"), hint);
        }
    }
}

fn described(address: SocketAddr, config: &Config) -> String {
    let scheme = if config.web.tls_cert_file.is_some() { "https" } else { "http" };
    format!("{scheme}://{address}{}", config.web.base())
}

fn is_running(config: &Config, environment: &dyn Environment) -> bool {
    control_socket(config, environment).is_some_and(|socket| UnixStream::connect(socket).is_ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::sync::Arc;

    use super::*;
    use crate::cli::check::finding::Status;
    use crate::config::Process;

    #[test]
    fn a_port_is_free_or_the_bridges_own_or_anothers() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("control.sock");
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = other.local_addr().unwrap().to_string();
        let text = format!("[web]\nlisten = {listen:?}\nbase_path = '/ferry'\n[service]\nsocket = {socket:?}");
        let config: Config = toml::from_str(&text).unwrap();
        let check = || {
            let found = check_page(&config, &Process);
            (found.len(), found[0].status, found[0].detail.clone(), found[0].hint.clone())
        };
        let (count, status, detail, hint) = check();
        assert!((count, status) == (1, Status::Warning) && detail.contains("another program listens"), "{detail}");
        assert!(hint.is_some_and(|hint| hint.contains("[web] listen")));
        let running = UnixListener::bind(&socket).unwrap();
        assert_eq!(check().1, Status::Ok);
        drop((running, other));
        let (_, status, detail, _) = check();
        assert_eq!((status, detail), (Status::Ok, format!("http://{listen}/ferry/")));
        assert!(check_page(&toml::from_str("").unwrap(), &Process).is_empty());
    }

    #[test]
    fn it_tells_until_when_the_certificate_is_good() {
        let made = rcgen::generate_simple_self_signed(["ferry.lan".to_owned()]).unwrap();
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let mut config: Config = toml::from_str("[web]").unwrap();
        config.web.identity = Some(Arc::new(Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap()));
        let ends = config.web.identity.as_ref().unwrap().ends().unwrap();
        for (now, status) in [(Timestamp::UNIX_EPOCH, Status::Ok), (ends, Status::Warning)] {
            let mut legs = Legs::of("page");
            certificate(&config, now, &mut legs);
            let found = legs.into_findings();
            assert_eq!((found.len(), found[0].status), (1, status));
            assert!(found[0].detail.contains(&ends.to_string()), "{}", found[0].detail);
        }
    }
}
