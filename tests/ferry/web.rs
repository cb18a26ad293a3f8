//! The page and the API on a port: who is let in, and what is there for whoever watches the process.

use std::ffi::OsStr;
use std::net::SocketAddr;

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use simulator::stack::Fault;
use ttn_ferry::mqtt::tls::{self, Tls};

use crate::harness::{Ferry, Process, Setup, Stage, in_time};

const PASSWORD: &str = "three plain words";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// With a page on any free port, behind a password and a token.
fn guarded(setup: &mut Setup) {
    setup.secrets.push(("web.password".into(), PASSWORD.into()));
    setup.secrets.push(("web.token".into(), TOKEN.into()));
    setup.more += "[web]\nlisten = \"127.0.0.1:0\"\npassword_file = \"web.password\"\ntoken_file = \"web.token\"\n";
}

impl Ferry {
    /// A request to the page's address, which has not been sent.
    fn visit(&self, method: &str, path: &str) -> RequestBuilder {
        visit(self.page.expect("the setup has a page"), method, path)
    }
}

/// A browser that trusts these authorities.
fn client(trusted: &Tls) -> Client {
    Client::builder().tls_backend_preconfigured(trusted.as_ref().clone()).no_proxy().build().unwrap()
}

/// A request to the page at this address, which has not been sent.
pub fn visit(page: SocketAddr, method: &str, path: &str) -> RequestBuilder {
    client(&tls::public()).request(Method::from_bytes(method.as_bytes()).unwrap(), format!("http://{page}{path}"))
}

async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = in_time("an answer", request.send()).await.unwrap();
    let (status, text) = (response.status(), response.text().await.unwrap());
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[tokio::test]
async fn the_page_is_for_all_and_the_api_for_who_has_the_token() {
    let mut ferry = Ferry::with(guarded).await;
    ferry.network.up("node", 1, b"x");
    ferry.home.on("ttn/node/uplink").await;
    let (status, page) = answer(ferry.visit("GET", "/")).await;
    assert!(status == 200 && page.as_str().is_some_and(|page| page.contains("<title>ttn-ferry</title>")), "{page}");
    let (status, problem) = answer(ferry.visit("GET", "/api/v1/devices")).await;
    assert_eq!((status.as_u16(), &problem["status"]), (401, &json!(401)));
    let (status, devices) = answer(ferry.visit("GET", "/api/v1/devices").bearer_auth(TOKEN)).await;
    assert_eq!((status.as_u16(), &devices[0]["name"]), (200, &json!("node")));
    let (status, _) = answer(ferry.visit("GET", "/api/v1/nothing").bearer_auth(TOKEN)).await;
    assert_eq!(status, 404);
    let long = json!({"device": "node", "payload_text": "x".repeat(1 << 20)}).to_string();
    let (status, _) = answer(ferry.visit("POST", "/api/v1/downlinks").bearer_auth(TOKEN).body(long)).await;
    assert_eq!(status, 413);
    let stranger = ferry.visit("GET", "/api/v1/devices").bearer_auth(TOKEN).header("host", "evil.example");
    assert_eq!(answer(stranger).await.0, 421);
    // The socket is guarded by its file, and asks for nothing more.
    assert_eq!(ferry.ask("GET", "devices", "").await.0, 200);
}

#[tokio::test]
async fn who_is_logged_in_stays_so_over_a_restart_until_the_password_is_changed() {
    let ferry = Ferry::with(guarded).await;
    let login = ferry.visit("POST", "/api/v1/session").body(json!({ "password": PASSWORD }).to_string());
    let response = in_time("an answer", login.send()).await.unwrap();
    assert_eq!(response.status(), 200);
    let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let with_cookie = async |ferry: &Ferry| answer(ferry.visit("GET", "/api/v1/info").header("cookie", &cookie)).await;
    let (status, info) = with_cookie(&ferry).await;
    assert!(status == 200 && !info.to_string().contains(PASSWORD) && !info.to_string().contains(TOKEN), "{info}");
    let (_, stage) = ferry.stop().await;
    let ferry = Ferry::on(stage).await;
    assert_eq!(with_cookie(&ferry).await.0, 200);
    let (_, stage) = ferry.stop().await;
    std::fs::write(stage.folder().join("web.password"), "another one").unwrap();
    let ferry = Ferry::on(stage).await;
    assert_eq!(with_cookie(&ferry).await.0, 401);
}

impl Stage {
    /// Lets the links to certificate and key lead elsewhere, each in one step, as certbot does.
    fn link(&self, links: &[(&str, &str)]) {
        for (link, target) in links {
            std::os::unix::fs::symlink(target, self.folder().join("new")).unwrap();
            std::fs::rename(self.folder().join("new"), self.folder().join(link)).unwrap();
        }
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart_and_half_a_pair_leaves_the_old_one() {
    let [(first, first_key), (second, second_key)] = [(); 2].map(|()| {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    });
    let stage = Stage::set(|setup| {
        let files = [("1.pem", &first), ("1.key", &first_key), ("2.pem", &second), ("2.key", &second_key)];
        setup.secrets.extend(files.map(|(name, text)| (name.to_owned(), text.clone())));
        let files = "tls_cert_file = \"web.pem\"\ntls_key_file = \"web.key\"";
        setup.more = format!("[web]\nlisten = \"127.0.0.1:0\"\n{files}\n");
    })
    .await;
    stage.link(&[("web.pem", "1.pem"), ("web.key", "1.key")]);
    let mut ferry = Ferry::on(stage).await;
    let page = format!("https://{}/healthz", ferry.page.unwrap());
    let trusts = |pem: &str| client(&tls::private(pem.as_bytes()).unwrap());
    // Each time somebody else, who has no connection yet.
    let is_shown = async |pem: &str| in_time("an answer", trusts(pem).get(&page).send()).await.is_ok();
    assert!(is_shown(&first).await && !is_shown(&second).await);

    ferry.link(&[("web.pem", "2.pem")]);
    let (status, _, refused) = ferry.ask("POST", "config/reload", "{}").await;
    assert!(status.is_client_error() && refused.to_string().contains("name the key that this"), "{refused}");
    assert!(is_shown(&first).await);
    ferry.link(&[("web.key", "2.key")]);
    let reloaded = ferry.home.event("configuration_reloaded").await;
    assert_eq!(reloaded["changed"], json!(["web.tls_cert_file", "web.tls_key_file"]));
    assert_eq!(reloaded["needs_restart"], json!([]));
    assert!(is_shown(&second).await && !is_shown(&first).await);
}

#[tokio::test]
async fn a_certificate_that_is_named_before_it_is_there_is_used_once_it_is() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let listen = "listen = \"127.0.0.1:0\"\n";
    let mut ferry = Ferry::with(|setup| setup.more = format!("[web]\n{listen}")).await;
    ferry.reconfigure(listen, &format!("{listen}tls_cert_file = \"web.pem\"\ntls_key_file = \"web.key\"\n"));
    ferry.home.event("configuration_broken").await;
    std::fs::write(ferry.folder().join("web.pem"), made.cert.pem()).unwrap();
    std::fs::write(ferry.folder().join("web.key"), made.signing_key.serialize_pem()).unwrap();
    let reloaded = ferry.home.event("configuration_reloaded").await;
    assert_eq!(reloaded["changed"], json!(["web.tls_cert_file", "web.tls_key_file"]));
    let client = client(&tls::private(made.cert.pem().as_bytes()).unwrap());
    let page = format!("https://{}/healthz", ferry.page.unwrap());
    assert_eq!(in_time("an answer", client.get(&page).send()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn it_is_ready_once_both_sides_were_there_and_says_what_is_missing_without_a_name() {
    let stage = Stage::set(guarded).await;
    stage.network.handle.set_fault(Fault::RefuseConnect);
    let mut ferry = Ferry::on(stage).await;
    ferry.home.on("ttn/bridge/state").await;
    let (status, ready) = answer(ferry.visit("GET", "/readyz")).await;
    let missing = "1 of 1 applications were not connected yet";
    assert_eq!((status.as_u16(), ready), (503, json!({"ready": false, "reasons": [missing]})));
    assert_eq!(answer(ferry.visit("GET", "/healthz")).await.0, 200);
    ferry.network.handle.clear_faults();
    ferry.network.subscribed().await;
    ferry.network.up("node", 1, b"x");
    ferry.home.on("ttn/node/uplink").await;
    assert_eq!(answer(ferry.visit("GET", "/readyz")).await, (StatusCode::OK, json!({"ready": true})));
}

#[tokio::test]
async fn a_port_that_another_program_has_ends_the_start_with_what_to_do() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let stage = Stage::set(|setup| setup.more = format!("[web]\nlisten = \"{address}\"\n")).await;
    let (status, said) = Process::ferry(&stage.configuration()).ended().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("cannot be served at {address}: another program")), "{said}");
    assert!(said.contains("hint: stop it, or give the page another port: [web] listen"), "{said}");
}

#[tokio::test]
async fn the_demo_has_a_page_unless_it_is_told_to_have_none() {
    let demo = |page: &str| {
        let arguments = ["demo", "--listen", "127.0.0.1:0", "--page", page].map(OsStr::new);
        Process::start(OsStr::new(env!("CARGO_BIN_EXE_ttn-ferry")), &arguments).unwrap()
    };
    let mut with = demo("127.0.0.1:0");
    with.says("page  http://127.0.0.1:").await;
    let said = with.said();
    let url = said.split_once("page  http://").and_then(|(_, rest)| rest.split_once("/\n")).unwrap().0;
    let (status, devices) = answer(visit(url.parse().unwrap(), "GET", "/api/v1/devices")).await;
    assert!(status == 200 && devices.is_array(), "{devices}");
    let mut without = demo("off");
    without.says("led").await;
    assert!(!without.said().contains("page  http"), "{}", without.said());
}
