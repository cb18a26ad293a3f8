//! What a browser is sent: the page, in a form it understands, and what it may do with it.

use std::io::Read;

use flate2::read::GzDecoder;

use super::*;

#[tokio::test]
async fn the_page_is_packed_for_who_understands_it_and_sent_again_only_when_it_changed() {
    let front = front();
    for path in ["/", "/app.js", "/app.css", "/icon.svg"] {
        let asked = format!("GET {path}");
        let plain = ask(&front, &asked, &[], "").await;
        assert_eq!((plain.header("content-encoding"), plain.header("cache-control")), ("", "no-cache"), "{path}");
        for other in ["br, deflate", "gzip;q=0", "gzipped"] {
            assert_eq!(ask(&front, &asked, &[("accept-encoding", other)], "").await.body, plain.body, "{other}");
        }
        let packed = ask(&front, &asked, &[("accept-encoding", "br;q=1.0, gzip;q=0.8, *;q=0.1")], "").await;
        assert_eq!((packed.header("content-encoding"), packed.header("vary")), ("gzip", "accept-encoding"), "{path}");
        let mut unpacked = Vec::new();
        GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == plain.body, "{path}");
        assert_ne!(packed.header("etag"), plain.header("etag"), "two forms are two representations");
        let tag = plain.header("etag").to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".into()] {
            let again = ask(&front, &asked, &[("if-none-match", &known)], "").await;
            assert_eq!((again.status.as_u16(), again.body.len()), (304, 0), "{path} {known}");
            assert_eq!(again.header("etag"), tag);
        }
        assert_eq!(ask(&front, &asked, &[("if-none-match", "\"other\"")], "").await.status, 200);
    }
}

#[tokio::test]
async fn every_answer_says_what_a_browser_may_do_with_it() {
    let front = front();
    for path in ["/", "/app.js", "/api/v1/session", "/api/v1/devices", "/healthz", "/nothing"] {
        let answer = ask(&front, &format!("GET {path}"), &[], "").await;
        let policy = answer.header("content-security-policy");
        for part in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.split("; ").any(|it| it == part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
}

#[tokio::test]
async fn the_index_leads_nowhere_but_to_what_lies_beside_it() {
    let index = ask(&front_with(None, None, "/a/b/"), "GET /", &[], "").await;
    assert_eq!(index.header("content-type"), "text/html; charset=utf-8");
    let text = index.text();
    assert!(text.contains("<base href=\"/a/b/\">"), "{text}");
    let leads: Vec<_> = text.split(['"', '\'']).filter(|part| part.contains("//") || part.starts_with('/')).collect();
    assert_eq!(leads, ["/a/b/"], "an address of its own is not below every base path");
    assert!(!text.contains("<style") && !text.contains("style=") && !text.contains("onload="), "the policy forbids it");
}
