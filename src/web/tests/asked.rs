//! Who is let in, and how often somebody may be wrong.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn login(password: &str) -> String {
    json!({ "password": password }).to_string()
}

#[tokio::test]
async fn without_a_login_there_is_the_page_and_nothing_of_the_home() {
    let front = front();
    for open in ["/", "/app.js", "/app.css", "/icon.svg", "/healthz", "/readyz", "/api/v1/session"] {
        assert_eq!(ask(&front, &format!("GET {open}"), &[], "").await.status, 200, "{open}");
    }
    for closed in ["/api/v1/devices", "/metrics", "/api/v1/live", "/api/v1/nothing", "/nothing", "/index.html", "//"] {
        let answer = ask(&front, &format!("GET {closed}"), &[], "").await;
        assert_eq!((answer.status.as_u16(), answer.header("www-authenticate")), (401, "Bearer"), "{closed}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{closed}");
        assert_eq!(answer.header("cache-control"), "no-store", "{closed}");
    }
    let answer = ask(&front, "POST /app.js", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.json()["status"].as_u64()), (405, Some(405)));
}

#[tokio::test]
async fn a_password_opens_a_session_and_a_logout_ends_it_for_whoever_has_a_copy() {
    let front = front();
    let before = ask(&front, "GET /api/v1/session", &[], "").await.json();
    let expected =
        json!({"needed": true, "authenticated": false, "password": true, "edit_codecs": false, "base_path": "/"});
    assert_eq!(before, expected);
    let wrong = ask(&front, "POST /api/v1/session", &[], &login("three plain word")).await;
    assert_eq!((wrong.status.as_u16(), wrong.header("set-cookie")), (401, ""));
    let right = ask(&front, "POST /api/v1/session", &[], &login(PASSWORD)).await;
    assert_eq!((right.status.as_u16(), right.json()["authenticated"].as_bool()), (200, Some(true)));
    let attributes = right.header("set-cookie").split_once("; ").unwrap().1;
    assert_eq!(attributes, "Path=/; Max-Age=2592000; HttpOnly; SameSite=Strict");
    let cookie = right.cookie();
    let carried = format!("theme=dark; {cookie}; other=1");
    for cookie in [cookie.as_str(), carried.as_str()] {
        let answer = ask(&front, "GET /api/v1/devices", &[("cookie", cookie)], "").await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, "/api/v1/devices"), "{cookie}");
        assert_eq!(ask(&front, "GET /api/v1/session", &[("cookie", cookie)], "").await.json()["authenticated"], true);
    }
    let elsewhere = ask(&front, "POST /api/v1/session", &[], &login(PASSWORD)).await.cookie();
    let out = ask(&front, "DELETE /api/v1/session", &[("cookie", &cookie)], "").await;
    assert_eq!(out.json()["authenticated"], false);
    assert!(out.header("set-cookie").contains("=; Path=/; Max-Age=0;"), "{out:?}");
    assert_eq!(ask(&front, "GET /api/v1/devices", &[("cookie", &cookie)], "").await.status, 401);
    assert_eq!(ask(&front, "GET /api/v1/devices", &[("cookie", &elsewhere)], "").await.status, 200);
    let with_token = ask(&front, "POST /api/v1/session", &[], &json!({ "token": TOKEN }).to_string()).await;
    assert_eq!(with_token.status, 200);
}

#[tokio::test]
async fn a_session_is_good_after_a_restart_until_the_password_is_another() {
    let cookie = ask(&front(), "POST /api/v1/session", &[], &login(PASSWORD)).await.cookie();
    let headers = [("cookie", cookie.as_str())];
    assert_eq!(ask(&front(), "GET /metrics", &headers, "").await.status, 200);
    for changed in [front_with(Some("another one"), Some(TOKEN), "/"), front_with(Some(PASSWORD), None, "/")] {
        assert_eq!(ask(&changed, "GET /metrics", &headers, "").await.status, 401);
    }
}

#[tokio::test]
async fn a_browser_that_speaks_tls_sends_its_session_over_nothing_else() {
    let front = front();
    let origin = [("host", "home.example.org"), ("origin", "https://home.example.org")];
    let answer = ask(&front, "POST /api/v1/session", &origin, &login(PASSWORD)).await;
    assert!(answer.header("set-cookie").ends_with("; Secure"), "{answer:?}");
    // Under a name of its own: browsers never put one without TLS in its place.
    let cookie = answer.cookie();
    assert!(cookie.starts_with("__Secure-ttn_ferry_session="), "{cookie}");
    assert_eq!(ask(&front, "GET /metrics", &[("cookie", &cookie)], "").await.status, 200);
    let out = ask(&front, "DELETE /api/v1/session", &[origin[0], origin[1], ("cookie", &cookie)], "").await;
    assert!(out.header("set-cookie").starts_with("__Secure-ttn_ferry_session=;"), "{out:?}");
    assert_eq!(ask(&front, "GET /metrics", &[("cookie", &cookie)], "").await.status, 401);
}

#[tokio::test]
async fn a_script_shows_its_token_and_what_is_meant_for_a_proxy_is_left_alone() {
    let front = front();
    let with = async |value: &str| ask(&front, "GET /metrics", &[("authorization", value)], "").await.status.as_u16();
    assert_eq!(with(&format!("Bearer {TOKEN}")).await, 200);
    assert_eq!(with(&format!("bearer {TOKEN}")).await, 200);
    assert_eq!(with(&format!("Bearer {PASSWORD}")).await, 401);
    // Often, without being counted: these are no tries.
    for _ in 0..20 {
        assert_eq!(with("Basic dXNlcjpwYXNz").await, 401);
    }
    assert_eq!(with(&format!("Bearer {TOKEN}")).await, 200);
}

#[tokio::test(start_paused = true)]
async fn wrong_passwords_are_slowed_down_where_they_come_from_and_sessions_go_on() {
    let front = front();
    let owner: IpAddr = "192.168.1.9".parse().unwrap();
    let cookie = ask(&front, "POST /api/v1/session", &[], &login(PASSWORD)).await.cookie();
    let post = async |from, password: &str| ask_from(from, &front, "POST /api/v1/session", &[], &login(password)).await;
    for _ in 0..5 {
        assert_eq!(post(HERE, "wrong").await.status, 401);
    }
    let slow = post(HERE, PASSWORD).await;
    assert_eq!((slow.status.as_u16(), slow.header("retry-after")), (429, "10"));
    let bearer = [("authorization", "Bearer wrong")];
    assert_eq!(ask(&front, "GET /metrics", &bearer, "").await.status, 429, "a token is a try as well");
    assert_eq!(ask(&front, "GET /metrics", &[("cookie", &cookie)], "").await.status, 200);
    assert_eq!(post(owner, PASSWORD).await.status, 200);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(post(HERE, PASSWORD).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn behind_a_trusted_proxy_each_visitor_has_tries_of_its_own_and_nobody_can_write_another_name() {
    let front = front();
    let proxy: IpAddr = "172.17.0.2".parse().unwrap();
    let post = async |from, forwarded: &str, password: &str| {
        let headers = [("x-forwarded-for", forwarded)];
        ask_from(from, &front, "POST /api/v1/session", &headers, &login(password)).await.status.as_u16()
    };
    for number in 0..5 {
        assert_eq!(post(proxy, &format!("198.51.100.{number}, 203.0.113.7"), "wrong").await, 401);
    }
    assert_eq!(post(proxy, "198.51.100.9, 203.0.113.7", PASSWORD).await, 429, "it is the same visitor");
    let bearer = [("authorization", "Bearer wrong"), ("x-forwarded-for", "203.0.113.7")];
    assert_eq!(ask_from(proxy, &front, "GET /metrics", &bearer, "").await.status, 429);
    assert_eq!(post(proxy, "203.0.113.8", PASSWORD).await, 200, "and this another one");
    // Who is no proxy of ours says what it likes.
    for number in 0..5 {
        assert_eq!(post(HERE, &format!("203.0.113.{number}"), "wrong").await, 401);
    }
    assert_eq!(post(HERE, "203.0.113.99", PASSWORD).await, 429);
}

#[tokio::test]
async fn what_is_no_login_is_told_without_being_repeated() {
    let front = front();
    let long = login(&"hush".repeat(2000));
    for body in ["", "hush", "{}", r#"{"pasword": "hush"}"#, r#"{"password": 7815}"#, r#"["hush"]"#, &long] {
        let answer = ask(&front, "POST /api/v1/session", &[], body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(!answer.text().contains("hush") && !answer.text().contains("7815"), "{answer:?}");
    }
    assert_eq!(ask(&front, "POST /api/v1/session", &[], &login(PASSWORD)).await.status, 200, "they were no tries");
}

#[tokio::test]
async fn strangers_names_and_sites_are_refused_at_every_path() {
    let front = front();
    let token = format!("Bearer {TOKEN}");
    for path in ["/", "/app.js", "/healthz", "/readyz", "/api/v1/session", "/api/v1/devices", "/metrics", "/nothing"] {
        let headers = [("host", "evil.example:8899"), ("authorization", token.as_str())];
        let answer = ask(&front, &format!("GET {path}"), &headers, "").await;
        assert_eq!((answer.status.as_u16(), answer.json()["status"].as_u64()), (421, Some(421)), "{path}");
        let headers = [("origin", "http://evil.example"), ("authorization", token.as_str())];
        for method in ["POST", "DELETE"] {
            assert_eq!(ask(&front, &format!("{method} {path}"), &headers, "").await.status, 403, "{method} {path}");
        }
        let socket = [headers[0], headers[1], ("upgrade", "websocket"), ("connection", "upgrade")];
        assert_eq!(ask(&front, &format!("GET {path}"), &socket, "").await.status, 403, "{path}");
    }
    let headers = [("origin", "http://localhost:8899"), ("authorization", token.as_str())];
    assert_eq!(ask(&front, "POST /api/v1/devices", &headers, "").await.status, 200);
}

#[tokio::test]
async fn where_nothing_is_asked_for_the_guard_still_stands() {
    let front = front_with(None, None, "/");
    assert_eq!(ask(&front, "GET /api/v1/devices", &[], "").await.status, 200);
    let session = ask(&front, "GET /api/v1/session", &[], "").await.json();
    assert_eq!((&session["needed"], &session["authenticated"]), (&json!(false), &json!(true)));
    assert_eq!(ask(&front, "POST /api/v1/session", &[], &login("any")).await.status, 200);
    assert_eq!(ask(&front, "GET /api/v1/devices", &[("host", "evil.example")], "").await.status, 421);
    assert_eq!(ask(&front, "POST /api/v1/devices", &[("origin", "null")], "").await.status, 403);
}

#[tokio::test]
async fn everything_lies_below_the_base_path_and_a_proxy_may_take_it_off() {
    let front = front_with(Some(PASSWORD), None, "/ferry/");
    for root in ["/ferry/", "/ferry", "/"] {
        let page = ask(&front, &format!("GET {root}"), &[], "").await;
        assert!(page.text().contains("<base href=\"/ferry/\">"), "{root}: {page:?}");
    }
    let answer = ask(&front, "POST /ferry/api/v1/session", &[], &login(PASSWORD)).await;
    assert_eq!(answer.json()["base_path"], "/ferry/");
    assert!(answer.header("set-cookie").contains("; Path=/ferry/; "), "{answer:?}");
    let cookie = answer.cookie();
    for path in ["/ferry/api/v1/devices?a=b", "/api/v1/devices?a=b"] {
        let answer = ask(&front, &format!("GET {path}"), &[("cookie", &cookie)], "").await;
        assert_eq!(answer.text(), "/api/v1/devices?a=b");
        assert_eq!(ask(&front, &format!("GET {path}"), &[], "").await.status, 401);
    }
    assert_eq!(ask(&front, "GET /ferryman/api/v1/devices", &[("cookie", &cookie)], "").await.status, 404);
}

#[tokio::test]
async fn what_a_proxy_says_of_others_is_believed_by_nobody_and_harms_nothing() {
    let said = [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "/elsewhere"),
        ("forwarded", "for=127.0.0.1;host=evil.example;proto=https"),
    ];
    let plain = ask(&front(), "POST /api/v1/session", &[], &login(PASSWORD)).await;
    let answer = ask(&front(), "POST /api/v1/session", &said, &login(PASSWORD)).await;
    assert_eq!((answer.status.as_u16(), answer.header("set-cookie").contains("Secure")), (200, false));
    assert_eq!(answer.body, plain.body);
    assert_eq!(ask(&front(), "GET /metrics", &said, "").await.status, 401);
}

#[tokio::test]
async fn it_is_ready_once_the_home_broker_is_there() {
    let (connected, watch) = watch::channel(false);
    let probes = probes_of(watch);
    let answer = ask(&probes, "GET /readyz", &[], "").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json(), json!({"ready": false, "reasons": ["the home broker is not connected"]}));
    assert_eq!(ask(&probes, "GET /healthz", &[], "").await.status, 200);
    connected.send_replace(true);
    let answer = ask(&probes, "GET /readyz", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"ready": true})));
}

/// Whatever a request carries: nothing panics, and without a secret nothing opens.
#[test]
fn no_header_opens_what_only_a_secret_opens() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let fronts = [front(), front_with(Some(PASSWORD), None, "/ferry/")];
    proptest!(|(
        cookie in "((__Secure-)?ttn_ferry_session=[0-9a-f.; ]{0,90})?\\PC{0,40}",
        authorization in "(Bearer |Basic )?\\PC{0,40}",
        host in "(localhost|127\\.0\\.0\\.1|\\[::1\\])?[:@./a-z0-9]{0,12}",
        origin in "(https?://)?[:@./a-z0-9]{0,20}",
        path in "/[a-z/.%0-9]{0,20}",
    )| {
        let all = [("cookie", cookie), ("authorization", authorization), ("host", host), ("origin", origin)];
        let headers: Vec<_> = all.iter().filter(|(_, value)| value.parse::<axum::http::HeaderValue>().is_ok()).collect();
        let headers: Vec<_> = headers.into_iter().map(|(name, value)| (*name, value.as_str())).collect();
        for front in &fronts {
            for closed in ["GET /api/v1/devices", "POST /api/v1/devices", "GET /metrics"] {
                let status = runtime.block_on(ask(front, closed, &headers, "")).status;
                prop_assert!(status.is_client_error(), "{status} for {headers:?}");
            }
            if path.parse::<axum::http::Uri>().is_ok() {
                runtime.block_on(ask(front, &format!("GET {path}"), &headers, ""));
            }
        }
    });
}
