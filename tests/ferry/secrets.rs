//! Secrets stay where they belong: not in logs, not at home, not on the command line.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use simulator::stack::Fault;

use crate::harness::{Heard, Process, Stage, in_time};
use crate::web::visit;

const PASSWORD: &str = "hunter2-of-the-home-broker";
const WRONG_PASSWORD: &str = "letmein-said-by-mistake";
const WEB_PASSWORD: &str = "sesame-of-the-page";
const WEB_TOKEN: &str = "5e5a3e0ff00d5e5a3e0ff00d5e5a3e0f";
const KEK: &str = "202122232425262728292a2b2c2d2e2f";
const OWN_KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
/// A session key as The Things Stack 3.32 gave it, and what that KEK makes of it.
const WRAPPED_KEY: &str = "zjEUI8F5vFWZN1NJjxFfn2PfYmf7xKVM";
const SESSION_KEY: &str = "c5a4b2ebc7e78200ef51cea85f72ea3d";

#[tokio::test]
async fn no_secret_shows_in_the_log_at_home_or_on_the_command_line() {
    let client = rcgen::generate_simple_self_signed(["ferry".to_owned()]).unwrap();
    let client_key = client.signing_key.serialize_pem();
    let mut stage = Stage::set(|setup| {
        setup.broker.users = Some(HashMap::from([("ferry".into(), PASSWORD.into())]));
        setup.home = "username = \"ferry\"".into();
        setup.home_password = Some(PASSWORD.into());
        setup.application = "kek = [{ label = \"as/mykek\", key_file = \"kek.key\" }]".into();
        setup.home = format!("{}\nclient_cert_file = \"client.pem\"\nclient_key_file = \"client.key\"", setup.home);
        let secret = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        setup.secrets = vec![secret("kek.key", KEK), secret("own.key", OWN_KEY), secret("client.key", &client_key)];
        setup.secrets.push(secret("client.pem", &client.cert.pem()));
        setup.secrets.extend([secret("web.password", WEB_PASSWORD), secret("web.token", WEB_TOKEN)]);
        setup.more += "[web]\nlisten = \"127.0.0.1:0\"\npassword_file = \"web.password\"\ntoken_file = \"web.token\"\n";
        setup.add_device("own", "app_s_key_file = \"own.key\"");
        setup.log = "trace";
    })
    .await;
    let key = stage.network.key().to_owned();
    stage.network.handle.set_fault(Fault::RefuseConnect);
    let mut process = Process::ferry(&stage.configuration());
    process.says("not authorised").await;
    stage.network.handle.clear_faults();
    stage.network.subscribed().await;
    stage.network.fixture("uplink-full");
    stage.network.publish("v3/app1/devices/node/up", "{");
    stage.home.on("ttn/dev1/uplink").await;
    for request in ["info", "health", "devices", "nonsense"] {
        stage.home.publish(&format!("ttn/bridge/request/{request}"), "").await;
        stage.home.on(&format!("ttn/bridge/response/{request}")).await;
    }
    stage.home.publish("ttn/dev1/set", r#"{"led": true}"#).await;
    encrypted(&mut stage).await;
    let session = visited(&process.said()).await;
    reloaded(&mut stage, &process).await;
    let commands =
        [&["check"][..], &["check", "--json"], &["config", "show"], &["config", "show", "--json"], &["devices"]];
    let mut printed = String::new();
    for command in commands {
        let told = stage.command(command).await;
        assert!(told.code == Some(0) && !told.out.is_empty(), "{command:?}: {told:?}");
        printed += &format!("{}\n{}", told.out, told.err);
    }
    assert!(printed.contains("home.password = (set)"), "{printed}");
    let of_process = |what: &str| std::fs::read(format!("/proc/{}/{what}", process.id())).unwrap();
    let outside = [of_process("cmdline"), of_process("environ")].concat();
    process.signal("TERM").await;
    let (status, said) = process.ended().await;
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(
        said.contains("Message cannot be understood.") && said.contains("Stopped."),
        "the log is a full one: {said}"
    );
    // What the test itself asked is not the bridge's word.
    let ours = |heard: &&Heard| !heard.topic.starts_with("ttn/bridge/request/");
    let heard = stage.home.ever_heard().iter().filter(ours);
    let told: String = heard.map(|heard| format!("{} {}\n", heard.topic, heard.text)).collect();
    assert!(
        told.contains("ttn/dev1/uplink") && told.contains("configuration_broken"),
        "all of it is looked at: {told}"
    );
    let (_, secret) = key.rsplit_once('.').unwrap();
    let outside = String::from_utf8_lossy(&outside).into_owned();
    let lines: Vec<_> = client_key.lines().filter(|line| !line.starts_with('-')).collect();
    for (what, text) in [("log", said), ("home", told), ("process", outside), ("command line", printed)] {
        let of_the_page = [WEB_PASSWORD, WEB_TOKEN, &session];
        for hidden in
            [&key, secret, PASSWORD, WRONG_PASSWORD].into_iter().chain(of_the_page).chain(lines.iter().copied())
        {
            assert!(!text.contains(hidden), "a secret is in the {what}:\n{text}");
        }
        for hidden in [KEK, OWN_KEY, SESSION_KEY] {
            let bytes = hex::decode(hidden).unwrap();
            for form in [hidden.into(), STANDARD.encode(&bytes), format!("{bytes:?}"), format!("{bytes:x?}")] {
                assert!(!text.to_lowercase().contains(&form.to_lowercase()), "{form} is in the {what}:\n{text}");
            }
        }
    }
}

/// A reload with secrets that are wrong, in files and in the configuration's own text, and one with the right ones.
async fn reloaded(stage: &mut Stage, process: &Process) {
    let own = |secret: &str| format!("{}\n[[device]]\nid = \"more\"\napp_s_key_file = \"{secret}\"\n", stage.toml());
    let files = [
        stage.toml().replace("password_file = \"home.password\"", &format!("pasword = \"{WRONG_PASSWORD}\"")),
        stage.toml().replace("password_file = \"home.password\"", &format!("password = [\"{WRONG_PASSWORD}\"]")),
        // Another kind of secret where a key is wanted: it is not repeated either.
        own("home.password"),
    ];
    for file in files {
        assert_ne!(file, stage.toml());
        std::fs::write(stage.configuration(), &file).unwrap();
        stage.home.forget();
        process.signal("HUP").await;
        stage.home.event("configuration_broken").await;
        stage.home.publish("ttn/bridge/request/config/check", serde_json::json!({"text": file}).to_string()).await;
        stage.home.on("ttn/bridge/response/config/check").await;
    }
    std::fs::write(stage.configuration(), stage.toml()).unwrap();
    std::fs::write(stage.folder().join("home.password"), WRONG_PASSWORD).unwrap();
    stage.home.forget();
    process.signal("HUP").await;
    let reloaded = stage.home.event("configuration_reloaded").await;
    assert_eq!(reloaded["needs_restart"], serde_json::json!(["home.password"]));
    let options = r#"{"device": "own", "options": {"area": "Hall"}}"#;
    stage.home.publish("ttn/bridge/request/device/options", options).await;
    assert_eq!(stage.home.on("ttn/bridge/response/device/options").await["status"], "ok");
}

/// The page is visited with each kind of secret, right and wrong. What a session was signed with is the answer.
async fn visited(said: &str) -> String {
    let (_, rest) = said.split_once("The page is served.").expect("it is told where");
    let address = rest.split_once("127.0.0.1:").and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next());
    let page = format!("127.0.0.1:{}", address.expect("a port")).parse().expect("an address");
    for token in [WEB_TOKEN, WRONG_PASSWORD] {
        in_time("an answer", visit(page, "GET", "/api/v1/info").bearer_auth(token).send()).await.unwrap();
    }
    for (body, status) in [
        (json!({"password": WRONG_PASSWORD}), 401),
        (json!({"pasword": WEB_PASSWORD}), 400),
        (json!({"password": [WEB_PASSWORD]}), 400),
        (json!({"token": WEB_TOKEN}), 200),
        (json!({"password": WEB_PASSWORD}), 200),
    ] {
        let login = visit(page, "POST", "/api/v1/session").body(body.to_string());
        let response = in_time("an answer", login.send()).await.unwrap();
        assert_eq!(response.status(), status, "{body}");
        if let Some(cookie) = response.headers().get("set-cookie") {
            let (_, sign) = cookie.to_str().unwrap().split(';').next().unwrap().rsplit_once('.').unwrap();
            let sign = sign.to_owned();
            in_time("an answer", visit(page, "GET", "/metrics").header("cookie", cookie).send()).await.unwrap();
            if status == 200 && body["password"].is_string() {
                return sign;
            }
        }
    }
    panic!("the right password opens a session");
}

/// Uplinks that are opened with each kind of key, and downlinks under it.
async fn encrypted(stage: &mut Stage) {
    let of = |device: &str, app_s_key: Value| {
        let message = json!({"end_device_ids": {"device_id": device, "dev_addr": "2793B480"}, "uplink_message": {
            "session_key_id": device, "f_port": 10, "frm_payload": "Z3Cb+eY=", "app_s_key": app_s_key}});
        (format!("v3/app1/devices/{device}/up"), message.to_string())
    };
    let wrapped = json!({"kek_label": "as/mykek", "encrypted_key": WRAPPED_KEY});
    for (device, key) in [("wrapped", wrapped.clone()), ("own", wrapped), ("told", json!({"key": SESSION_KEY}))] {
        let (topic, message) = of(device, key);
        stage.network.publish(&topic, message);
        assert_eq!(stage.home.on(&format!("ttn/{device}/uplink")).await["encrypted"], false, "{device}");
        let push = r#"{"id": "ID", "f_port": 1, "payload_hex": "01"}"#.replace("ID", device);
        stage.home.publish(&format!("ttn/{device}/downlink/push"), push).await;
        let refused = |heard: &Heard| heard.topic.ends_with("downlink/state") && heard.json()["state"] == "failed";
        stage.home.wait_for("that the network knows no such device", refused).await;
    }
}
