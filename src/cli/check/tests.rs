//! `check --connect` against small servers that go wrong in one way each.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::Process;

/// Long enough for loopback, short enough to wait for.
const SHORT: Limits = {
    let limit = Duration::from_millis(400);
    Limits { name: Duration::from_secs(5), tcp: limit, tls: limit, login: limit, answer: limit }
};

/// CONNACK: accepted.
const ACCEPTED: [u8; 4] = [0x20, 2, 0, 0];
/// CONNACK: not authorised.
const REFUSED: [u8; 4] = [0x20, 2, 0, 5];

/// A server on loopback that does the same with every connection, until it is dropped.
struct Server {
    address: SocketAddr,
    _task: JoinSet<()>,
}

impl Server {
    async fn new<F: Future<Output = ()> + Send + 'static>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream));
            }
        });
        Self { address, _task: task }
    }

    /// Answers the first packet with these bytes, then waits for the client to go.
    async fn answering(answer: &'static [u8]) -> Self {
        Self::new(move |mut stream| async move {
            let mut buffer = [0; 4096];
            if stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                let _ = stream.write_all(answer).await;
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
            }
        })
        .await
    }

    /// TLS with a certificate for `localhost` that nobody knows, then the same as [`Server::answering`].
    async fn tls(answer: &'static [u8]) -> (Self, String) {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let server = Self::new(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut buffer = [0; 4096];
                if stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    let _ = stream.write_all(answer).await;
                    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
                }
            }
        })
        .await;
        (server, cert.pem())
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}", self.address.port())
    }
}

/// Swallows the connection and never answers.
async fn mute() -> Server {
    Server::new(|mut stream| async move {
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    })
    .await
}

async fn home(url: String, ca_file: Option<PathBuf>) -> Vec<Finding> {
    let config = crate::config::HomeConfig { url, ca_file, ..Default::default() };
    let assistant = crate::config::HomeAssistantConfig::default();
    home::check(&config, &assistant, &Process, SHORT).await
}

/// The leg's status and everything said about it.
fn leg(findings: &[Finding], name: &str) -> (Status, String) {
    let all: Vec<_> = findings.iter().filter(|finding| finding.leg == name).collect();
    assert_eq!(all.len(), 1, "{name} in {findings:#?}");
    (all[0].status, format!("{} {}", all[0].detail, all[0].hint.clone().unwrap_or_default()))
}

fn assert_failed(findings: &[Finding], name: &str, told: &str) {
    let (status, text) = leg(findings, name);
    assert_eq!(status, Status::Failed, "{text}");
    assert!(text.contains(told), "{text}");
    assert!(findings.iter().filter(|f| f.status == Status::Failed).all(|f| f.hint.is_some()), "{findings:#?}");
}

#[tokio::test]
async fn a_closed_port_is_told_and_the_rest_is_skipped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let findings = home(format!("mqtt://127.0.0.1:{port}"), None).await;
    assert_eq!(leg(&findings, "name").0, Status::Ok);
    assert_failed(&findings, "tcp", "nothing listens on this port");
    for skipped in ["tls", "login", "publish"] {
        assert_eq!(leg(&findings, skipped).0, Status::Skipped);
    }
}

#[tokio::test]
async fn an_unknown_name_is_told() {
    for (host, told) in [("no-such-host.invalid", "no-such-host.invalid"), ("no-such-host.local", "multicast DNS")] {
        assert_failed(&home(format!("mqtt://{host}"), None).await, "name", told);
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let server = mute().await;
    assert_failed(&home(server.url("mqtt"), None).await, "login", "does not answer as an MQTT broker");
    assert_failed(&home(server.url("mqtts"), None).await, "tls", "does not answer in TLS");
}

#[tokio::test]
async fn a_server_that_hangs_up_is_told_with_its_likely_reasons() {
    let server = Server::new(|mut stream| async move {
        let mut buffer = [0; 64];
        let _ = stream.read(&mut buffer).await;
    })
    .await;
    assert_failed(&home(server.url("mqtt"), None).await, "login", "MQTT 5");
    assert_failed(&home(server.url("mqtts"), None).await, "tls", "is it the broker's TLS port");
}

#[tokio::test]
async fn a_web_server_is_no_broker() {
    let page = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: 46\r\n\r\n\
                 <html><title>400 Bad Request</title></html>...";
    let server = Server::answering(page).await;
    assert_failed(&home(server.url("mqtt"), None).await, "login", "the port belongs to another service");
    assert_failed(&home(server.url("mqtts"), None).await, "tls", "does not answer in TLS");
}

#[tokio::test]
async fn a_broker_that_speaks_only_mqtt_5_is_named() {
    // CONNACK as MQTT 3.1.1 refuses a version, and as MQTT 5 does: reason 0x84, no properties.
    for (answer, told) in [(&[0x20, 2, 0, 1][..], "accept 3.1.1 besides 5"), (&[0x20, 3, 0, 0x84, 0], "wants MQTT 5")] {
        let server = Server::answering(answer).await;
        assert_failed(&home(server.url("mqtt"), None).await, "login", told);
    }
}

#[tokio::test]
async fn a_plain_port_reached_with_tls_is_named() {
    let server = Server::answering(&REFUSED).await;
    let findings = home(server.url("mqtts"), None).await;
    assert_failed(&findings, "tls", &format!("write {}", server.url("mqtt")));
}

#[tokio::test]
async fn a_tls_port_reached_without_tls_is_named() {
    let (server, _) = Server::tls(&ACCEPTED).await;
    let findings = home(server.url("mqtt"), None).await;
    assert_failed(&findings, "login", &format!("write {}", server.url("mqtts")));
}

#[tokio::test]
async fn an_unknown_authority_wants_a_ca_file_and_with_it_the_way_is_open() {
    let (server, pem) = Server::tls(&REFUSED).await;
    assert_failed(&home(server.url("mqtts"), None).await, "tls", "ca_file");
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, pem).unwrap();
    let findings = home(server.url("mqtts"), Some(ca.clone())).await;
    assert_eq!(leg(&findings, "tls").0, Status::Ok, "{findings:#?}");
    assert_failed(&findings, "login", "username and password_file in [home]");
    let other_name = home(server.url("mqtts").replace("localhost", "127.0.0.1"), Some(ca)).await;
    assert_failed(&other_name, "tls", "the certificate is for another name");
}

#[tokio::test]
async fn a_broker_that_takes_the_login_and_then_says_nothing_fails_at_the_message() {
    let server = Server::answering(&ACCEPTED).await;
    let findings = home(server.url("mqtt"), None).await;
    assert_eq!(leg(&findings, "login").0, Status::Ok);
    assert_failed(&findings, "publish", "no answer within");
}

/// An application on `mqtt`, with `api` as its API.
async fn application(mqtt: &Server, api: Option<&Server>) -> Vec<Finding> {
    let api = api.map(|api| format!("api_url = '{}'\n", api.url("http"))).unwrap_or_default();
    let text = format!("[[application]]\nid = 'my-app'\nmqtt_url = '{}'\n{api}api_key = 'secret'\n", mqtt.url("mqtt"));
    let config = Config::from_text(&text, Path::new("ttn-ferry.toml"), &Process).unwrap();
    application::check(&config.application[0], &Process, SHORT).await
}

/// Answers a request by its path; what it does not know is a 404 in the stack's own words.
async fn api(answers: &'static [(&'static str, u16, &'static str)]) -> Server {
    Server::new(move |mut stream| async move {
        let mut request = vec![0; 4096];
        let read = stream.read(&mut request).await.unwrap_or(0);
        let request = String::from_utf8_lossy(&request[..read]).into_owned();
        let path = request.split(' ').nth(1).unwrap_or_default();
        let known = answers.iter().find(|(known, ..)| path.starts_with(known));
        let (_, status, body) =
            known.unwrap_or(&("", 404, r#"{"code":5,"message":"error:routes:not_found (not found)"}"#));
        let answer =
            format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await
}

const MINE: (&str, u16, &str) =
    ("/api/v3/auth_info", 200, r#"{"api_key":{"entity_ids":{"application_ids":{"application_id":"my-app"}}}}"#);

#[tokio::test]
async fn a_plain_broker_skips_the_api_and_says_what_for_it_is() {
    let mqtt = Server::answering(&REFUSED).await;
    let findings = application(&mqtt, None).await;
    assert_failed(&findings, "login", "my-app@ttn");
    assert_eq!(leg(&findings, "api").0, Status::Skipped);
    assert!(leg(&findings, "api").1.contains("commands"), "{findings:#?}");
}

#[tokio::test]
async fn a_missing_right_is_named_with_the_place_to_add_it() {
    let rights = ("/api/v3/applications/my-app/rights", 200, r#"{"rights":["RIGHT_APPLICATION_TRAFFIC_READ"]}"#);
    let rights: &[_] = Vec::leak(vec![MINE, rights]);
    let findings = application(&Server::answering(&ACCEPTED).await, Some(&api(rights).await)).await;
    assert_eq!(leg(&findings, "key").0, Status::Ok);
    assert_eq!(leg(&findings, "read right").0, Status::Ok);
    assert_failed(&findings, "write right", "RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE");
    assert_failed(&findings, "write right", "API keys, this key, tick");
}

#[tokio::test]
async fn a_storage_that_is_not_activated_is_a_warning_with_the_way_to_it() {
    const RIGHTS: (&str, u16, &str) =
        ("/api/v3/applications/my-app/rights", 200, r#"{"rights":["RIGHT_APPLICATION_ALL"]}"#);
    const PACKAGES: &str = "/api/v3/as/applications/my-app/packages/associations";
    const OFF: &[(&str, u16, &str)] = &[MINE, RIGHTS, (PACKAGES, 200, "{}")];
    const ON: &[(&str, u16, &str)] =
        &[MINE, RIGHTS, (PACKAGES, 200, r#"{"defaults":[{"package_name":"storage-integration"}]}"#)];
    const UNSEEN: &[(&str, u16, &str)] =
        &[MINE, RIGHTS, (PACKAGES, 403, r#"{"code":7,"message":"error:pkg/auth/rights:no_application_rights"}"#)];
    let mqtt = Server::answering(&ACCEPTED).await;
    for (answers, status, told) in [
        (OFF, Status::Warning, "Storage Integration, Activate"),
        (ON, Status::Ok, "activated"),
        (UNSEEN, Status::Skipped, "RIGHT_APPLICATION_SETTINGS_PACKAGES"),
    ] {
        let findings = application(&mqtt, Some(&api(answers).await)).await;
        let (found, text) = leg(&findings, "storage");
        assert!(found == status && text.contains(told), "{found:?} {text}");
    }
}

#[tokio::test]
async fn a_refused_login_with_a_good_key_is_the_cluster_or_the_tenant() {
    let rights = ("/api/v3/applications/my-app/rights", 200, r#"{"rights":["RIGHT_APPLICATION_ALL"]}"#);
    let rights: &[_] = Vec::leak(vec![MINE, rights]);
    let findings = application(&Server::answering(&REFUSED).await, Some(&api(rights).await)).await;
    assert_eq!(leg(&findings, "write right").0, Status::Ok);
    assert_failed(&findings, "login", "so it is the cluster, or the tenant");
}

#[tokio::test]
async fn an_expired_key_is_told_apart_from_an_unknown_one() {
    const EXPIRED: &[(&str, u16, &str)] =
        &[("/api/v3/auth_info", 200, r#"{"api_key":{"api_key":{"expires_at":"2020-01-01T00:00:00Z"}}}"#)];
    const UNKNOWN: &[(&str, u16, &str)] =
        &[("/api/v3/auth_info", 401, r#"{"code":16,"message":"error:pkg/auth:token (invalid token)"}"#)];
    let mqtt = Server::answering(&REFUSED).await;
    assert_failed(&application(&mqtt, Some(&api(EXPIRED).await)).await, "key", "expired at 2020-01-01");
    let unknown = application(&mqtt, Some(&api(UNKNOWN).await)).await;
    assert_failed(&unknown, "key", "the server does not know this key");
    assert_failed(&unknown, "login", "the API key is not valid");
    assert_eq!(leg(&unknown, "read right").0, Status::Skipped);
}

#[tokio::test]
async fn a_key_of_another_application_is_told_whose_it_is() {
    const OTHER: &[(&str, u16, &str)] = &[
        ("/api/v3/auth_info", 200, r#"{"api_key":{"entity_ids":{"application_ids":{"application_id":"garden"}}}}"#),
        (
            "/api/v3/applications/my-app/rights",
            403,
            r#"{"code":7,"message":"error:pkg/auth/rights:no_application_rights"}"#,
        ),
    ];
    let findings = application(&Server::answering(&REFUSED).await, Some(&api(OTHER).await)).await;
    assert_failed(&findings, "read right", "the key was made for `garden`");
    assert_failed(&findings, "login", "belongs to another application");
}

#[tokio::test]
async fn a_web_page_in_place_of_the_api_is_told() {
    const PAGE: &[(&str, u16, &str)] = &[("/", 200, "<html>welcome</html>")];
    let findings = application(&Server::answering(&ACCEPTED).await, Some(&api(PAGE).await)).await;
    assert_failed(&findings, "api", "not as The Things Stack does");
    assert_eq!(leg(&findings, "key").0, Status::Skipped);
}

#[tokio::test]
async fn the_command_prints_a_line_a_leg_and_ends_with_what_was_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ttn-ferry.toml");
    let run = async |text: &str, connect: bool, json: bool| {
        std::fs::write(&path, text).unwrap();
        let out = Shared::default();
        let mut terminal = Terminal::of(std::io::empty(), out.clone(), std::io::sink());
        let exit = Check { connect, json }.run(&path, &Process, &mut terminal).await.unwrap();
        (exit, out.text())
    };
    let good = "[[application]]\nid = 'my-app'\nmqtt_url = 'mqtt://127.0.0.1:1'\napi_key = 'x'\n\
                [home]\nurl = 'mqtt://127.0.0.1:1'\n";
    let (exit, text) = run(good, false, false).await;
    assert_eq!(exit, Exit::Success);
    assert!(text.starts_with("configuration: file"), "{text}");
    let (exit, text) = run(good, true, true).await;
    assert_eq!(exit, Exit::Failure);
    let legs: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let failed: Vec<_> =
        legs.iter().filter(|leg| leg["status"] == "failed").map(|leg| leg["subject"].as_str().unwrap()).collect();
    assert_eq!(failed, ["my-app", "home"], "{text}");
    let (exit, text) = run("[home]\nurl = 'https://x'\n", false, true).await;
    assert_eq!((exit, text.lines().count()), (Exit::Configuration, 2), "{text}");
}

/// A buffer that the terminal writes to and the test reads.
#[derive(Clone, Default)]
struct Shared(Arc<std::sync::Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Shared {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(buffer);
        Ok(buffer.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What `check` without `--connect` ends with, for a configuration with this `[[device]]`.
async fn exit_with_codec(codec: &str) -> Exit {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.js"), "function decodeUplink( {").unwrap();
    let path = folder.path().join("ttn-ferry.toml");
    let text = format!(
        "[[application]]\nid = 'my-app'\nmqtt_url = 'mqtt://localhost'\napi_key = 'a key'\n\
         [codecs]\nfolder = {:?}\n[[device]]\nid = 'node-1'\ncodec = '{codec}'\n",
        folder.path()
    );
    std::fs::write(&path, text).unwrap();
    let mut terminal = Terminal::of(std::io::empty(), std::io::sink(), std::io::sink());
    let check = Check { connect: false, json: false };
    check.run(&path, &Process, &mut terminal).await.unwrap()
}

#[tokio::test]
async fn a_codec_that_is_not_there_is_a_wrong_configuration_and_a_broken_script_is_none() {
    assert_eq!(exit_with_codec("nope/nope").await, Exit::Configuration);
    assert_eq!(exit_with_codec("broken").await, Exit::Success);
}
