//! The first run: without a configuration, `run` asks for one on a page and goes on with it.

use std::os::unix::fs::PermissionsExt;

use reqwest::{Client, Method, StatusCode, redirect};
use serde_json::{Value, json};

use crate::harness::{APP, Doors, Process, Stage, in_time, password};

/// What a browser does, one request at a time.
struct Browser {
    client: Client,
    address: String,
    token: String,
}

impl Browser {
    /// Opens nothing yet; the address is what the process told.
    fn of(told: &str) -> Self {
        let url =
            told.split_whitespace().find(|word| word.starts_with("http://127.0.0.1:")).expect("an address is told");
        let (address, token) = url.split_once("/?token=").expect("it holds a token");
        // It speaks no TLS here, and yet wants to know how.
        let tls = ttn_ferry::mqtt::tls::public().as_ref().clone();
        let client = Client::builder().tls_backend_preconfigured(tls).redirect(redirect::Policy::none()).no_proxy();
        let client = client.build().unwrap();
        Self { client, address: address.into(), token: token.into() }
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Value) -> (StatusCode, Value) {
        let request = self.client.request(method, format!("{}/{path}", self.address));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = in_time(path, request.body(body.to_string()).send()).await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// With the token.
    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let token = format!("Bearer {}", self.token);
        self.ask(Method::POST, path, &[("authorization", &token)], body).await
    }
}

async fn first_run(stage: &Stage) -> (Process, Browser) {
    let mut process =
        Process::ferry_at_home(stage.folder(), &["run", "--page", "127.0.0.1:0", "--config", "first.toml"]);
    process.says("It will be written to first.toml").await;
    let browser = Browser::of(&process.said());
    (process, browser)
}

fn answers(stage: &Stage) -> Value {
    let (mqtt, http) = stage.network.addresses();
    json!({
        "mqtt_url": format!("mqtt://{mqtt}"),
        "api_url": format!("http://{http}"),
        "application": APP,
        "api_key": stage.network.key(),
        "home": format!("mqtt://{}", stage.broker()),
    })
}

#[tokio::test]
async fn answers_become_a_configuration_and_the_same_process_goes_on_with_it() {
    let script = "function decodeUplink(input) { return {data: {first: input.bytes[0]}}; }";
    let mut stage = Stage::set(|setup| setup.add_codec("node", script)).await;
    let (mut process, browser) = first_run(&stage).await;
    let answers = answers(&stage);
    let (status, told) = browser.post("api/v1/onboarding/check", answers.clone()).await;
    assert_eq!(status, 200, "{told}");
    let findings = told["findings"].as_array().unwrap();
    assert!(findings.len() > 6, "{told}");
    assert!(findings.iter().all(|finding| finding["status"] != "failed"), "{told}");
    assert!(!stage.folder().join("first.toml").exists(), "a check writes nothing");

    let (status, told) = browser.post("api/v1/onboarding/write", answers).await;
    assert_eq!((status.as_u16(), &told["path"]), (200, &json!("first.toml")), "{told}");
    process.says("Started.").await;
    stage.network.subscribed().await;
    stage.home.on("ttn/bridge/state").await;
    stage.network.up("node", 1, &[42]);
    assert_eq!(stage.home.on("ttn/node/uplink").await["fields"], json!({"first": 42}));

    let key = stage.folder().join("first.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let written = std::fs::read_to_string(stage.folder().join("first.toml")).unwrap();
    assert!(!written.contains(stage.network.key()), "{written}");
    assert!(
        written.contains(&format!("listen = \"{}\"", &browser.address["http://".len()..])),
        "the page stays: {written}"
    );
    assert!(!process.said().contains(stage.network.key()), "{}", process.said());
    let (status, _) = browser.ask(Method::GET, "healthz", &[], Value::Null).await;
    assert_eq!(status, 200, "the page is the bridge's now");
    process.signal("TERM").await;
    assert_eq!(process.ended().await.0.code(), Some(0));
}

#[tokio::test]
async fn a_broker_that_wants_a_login_says_so_refuses_a_wrong_one_and_takes_the_right_one() {
    let doors = Doors::open().await;
    let mut stage = Stage::set(|setup| setup.home_at = Some(doors.mosquitto.address)).await;
    let (mut process, browser) = first_run(&stage).await;
    let with = |home: &str, username: &str, password: &str| {
        let mut answers = answers(&stage);
        (answers["home"], answers["home_username"], answers["home_password"]) =
            (json!(home), json!(username), json!(password));
        answers
    };
    let for_users = doors.for_users();
    let in_address = for_users.replace("//", &format!("//ferry:{}@", password()));
    for (answers, leg, words) in [
        (with(&for_users, "", ""), "login", "wants a user and a password"),
        (with(&for_users, "ferry", ""), "login", "without a password"),
        (with(&for_users, "ferry", "wrong-hush"), "login", "does not take this user and password"),
        (with(&for_users, "", "wrong-hush"), "home.username", "set username"),
        (with(&in_address, "", ""), "home.url", "user and password"),
    ] {
        let (status, told) = browser.post("api/v1/onboarding/check", answers).await;
        let findings = told["findings"].as_array().unwrap();
        let failed = findings.iter().find(|finding| finding["status"] == "failed").unwrap();
        let hint = failed["hint"].as_str().unwrap();
        assert!(status == 200 && failed["leg"] == leg && hint.contains(words), "{told}");
        assert!(leg != "login" || hint.contains("Home Assistant"), "{hint}");
        assert!(!told.to_string().contains("wrong-hush") && !told.to_string().contains(&password()), "{told}");
    }
    let (status, _) = browser.post("api/v1/onboarding/write", with(&in_address, "", "")).await;
    assert_eq!(status.as_u16(), 422);
    assert!(!stage.folder().join("first.toml").exists() && !stage.folder().join("home.password").exists());

    let right = with(&for_users, "ferry", &password());
    let (_, told) = browser.post("api/v1/onboarding/check", right.clone()).await;
    let findings = told["findings"].as_array().unwrap();
    assert!(findings.len() > 6 && findings.iter().all(|finding| finding["status"] != "failed"), "{told}");
    let (status, told) = browser.post("api/v1/onboarding/write", right).await;
    assert_eq!(status.as_u16(), 200, "{told}");
    process.says("Started.").await;
    assert_eq!(stage.home.on("ttn/bridge/state").await["state"], "online");
    let file = stage.folder().join("home.password");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), password());
    let written = std::fs::read_to_string(stage.folder().join("first.toml")).unwrap();
    assert!(written.contains("password_file = \"home.password\"") && !written.contains(&password()), "{written}");
    process.signal("TERM").await;
    let (status, said) = process.ended().await;
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(!said.contains(&password()) && !said.contains("wrong-hush"), "{said}");
}

#[tokio::test]
async fn only_whoever_was_told_the_address_gets_in_and_no_other_site() {
    let stage = Stage::set(|_| {}).await;
    let (process, browser) = first_run(&stage).await;
    let token = format!("Bearer {}", browser.token);
    let known = "api/v1/onboarding";
    let (status, told) = browser.ask(Method::GET, known, &[("authorization", &token)], Value::Null).await;
    assert_eq!((status.as_u16(), &told["path"]), (200, &json!("first.toml")));
    assert_eq!(told["clusters"], json!(["eu1", "nam1", "au1"]));
    for headers in [&[][..], &[("authorization", "Bearer x")], &[("cookie", "ttn-ferry-onboarding=")]] {
        let (status, told) = browser.ask(Method::GET, known, headers, Value::Null).await;
        assert_eq!(status.as_u16(), 401, "{headers:?}: {told}");
        let (status, _) = browser.ask(Method::POST, "api/v1/onboarding/write", headers, answers(&stage)).await;
        assert_eq!(status.as_u16(), 401, "{headers:?}");
    }
    let strange = [("authorization", token.as_str()), ("host", "evil.example")];
    assert_eq!(browser.ask(Method::GET, known, &strange, Value::Null).await.0.as_u16(), 421);
    let crossing = [("authorization", token.as_str()), ("origin", "http://evil.example")];
    let (status, _) = browser.ask(Method::POST, "api/v1/onboarding/write", &crossing, answers(&stage)).await;
    assert_eq!(status.as_u16(), 403);
    assert!(!stage.folder().join("first.toml").exists());

    // The address as it is told: the page follows, with a cookie that scripts cannot read.
    let opened = browser.client.get(format!("{}/?token={}", browser.address, browser.token)).send().await.unwrap();
    assert_eq!((opened.status().as_u16(), opened.headers()["location"].to_str().unwrap()), (303, "/"));
    let cookie = opened.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(browser.ask(Method::GET, known, &[("cookie", cookie)], Value::Null).await.0.as_u16(), 200);
    let (status, page) = browser.ask(Method::GET, "", &[], Value::Null).await;
    assert!(status == 200 && page.as_str().unwrap().contains("<html"), "the page itself is for all: {page}");
    assert_eq!(browser.ask(Method::GET, "api/v1/session", &[("cookie", cookie)], Value::Null).await.0.as_u16(), 404);

    process.signal("TERM").await;
    let (status, said) = process.ended().await;
    assert_eq!(status.code(), Some(0), "{said}");
}

#[tokio::test]
async fn wrong_answers_are_told_and_nothing_is_overwritten() {
    let stage = Stage::set(|_| {}).await;
    let (_process, browser) = first_run(&stage).await;
    let with = |key: &str, value: Value| {
        let mut answers = answers(&stage);
        answers[key] = value;
        answers
    };
    for (answers, status, words) in [
        (with("api_key", json!("")), 400, "no API key"),
        (with("application", Value::Null), 400, "no application"),
        (with("application", json!("My App")), 422, "application id"),
        (with("colour", json!("red")), 400, "colour"),
        (with("home_password", json!(271828)), 400, "is a text"),
        (json!([]), 400, "expected a map"),
    ] {
        let (got, told) = browser.post("api/v1/onboarding/write", answers).await;
        assert!(got.as_u16() == status && told["detail"].as_str().unwrap().contains(words), "{got}: {told}");
        assert!(!told.to_string().contains("271828"), "{told}");
    }
    let (status, told) = browser.post("api/v1/onboarding/check", with("application", json!("My App"))).await;
    let is_failed = |finding: &Value| finding["status"] == "failed";
    assert!(status == 200 && told["findings"].as_array().unwrap().iter().any(is_failed), "{told}");
    let (status, told) = browser.post("api/v1/onboarding/check", with("home", json!("mqtt://127.0.0.1:1"))).await;
    let failed = told["findings"].as_array().unwrap().iter().find(|finding| is_failed(finding));
    assert!(status == 200 && failed.unwrap()["subject"] == "home", "{told}");

    for name in ["home.password", "first.key"] {
        let path = stage.folder().join(name);
        std::fs::write(&path, "mine").unwrap();
        let (status, told) = browser.post("api/v1/onboarding/write", with("home_password", json!("x"))).await;
        assert!(status.as_u16() == 409 && told["detail"].as_str().unwrap().contains(name), "{status}: {told}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        std::fs::remove_file(path).unwrap();
    }
    assert!(!stage.folder().join("first.toml").exists());
}

#[tokio::test]
async fn an_address_that_others_reach_is_refused_and_a_named_file_that_is_missing_is_an_error() {
    let stage = Stage::set(|_| {}).await;
    for (arguments, code, words) in [
        (&["run", "--page", "0.0.0.0:8899", "--config", "first.toml"][..], 64, "this machine alone"),
        (&["run", "--config", "first.toml"], 78, "first.toml"),
    ] {
        let (status, said) = Process::ferry_at_home(stage.folder(), arguments).ended().await;
        assert!(status.code() == Some(code) && said.contains(words), "{arguments:?}: {status}: {said}");
    }
    let taken = stage.broker().to_string();
    let arguments = ["run", "--page", &taken, "--config", "first.toml"];
    let (status, said) = Process::ferry_at_home(stage.folder(), &arguments).ended().await;
    assert!(status.code() == Some(1) && said.contains("hint: --page"), "{status}: {said}");
}
