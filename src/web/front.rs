//! What every request from outside passes before anything answers it: whose it is, where it leads, who sent it.
//!
//! ```text
//! request ─▶ guard: Host, Origin ─▶ base path taken off ─▶ lock: session or token ─▶ page, session, probes, API
//!             421, 403                                      401, 429
//! ```
//!
//! Of what proxies write, `X-Forwarded-For` is read, if a trusted one wrote it (`proxies.rs`). Nothing else is: who a
//! request means stands in `Host`, and whether a browser speaks TLS in its `Origin`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use jiff::Timestamp;

use super::api::not_this_method;
use super::door::Peer;
use super::guard::{Guard, Refused};
use super::lock::{Locked, Shown};
use super::page::Page;
use super::problem::details;
use super::proxies::Proxies;
use super::session::{self, Facts};
use super::{page, probes};

/// What a browser may do with what it is sent: load what lies here, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'self'; form-action 'self'; frame-ancestors 'none'";
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    // Other sites may not even show it as a picture (Fetch, 3.7).
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Whether a request may see and do everything, or only what is open to all.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    pub is_open: bool,
}

/// What stands before the API.
#[derive(Clone)]
struct Front {
    guard: Arc<Guard>,
    proxies: Arc<Proxies>,
    facts: Facts,
}

/// Puts the page, the session and the probes beside the API, and all that is asked of a request before them.
pub fn before(api: Router, probes: Router, guard: Guard, proxies: Proxies, facts: Facts) -> Router {
    let page = Page::new(&facts.base).router();
    let inside = page.merge(session::router(facts.clone())).merge(probes);
    let inside = inside.method_not_allowed_fallback(not_this_method).fallback_service(api);
    let front = Front { guard: Arc::new(guard), proxies: Arc::new(proxies), facts };
    // Routes are looked for inside, once the path has been made right.
    Router::new().fallback_service(inside).layer(from_fn_with_state(front, pass))
}

async fn pass(State(front): State<Front>, request: Request, next: Next) -> Response {
    safely(match front.admitted(request) {
        Ok(request) => next.run(request).await,
        Err(refused) => *refused,
    })
}

/// An answer with what a browser needs to know to keep it apart from other sites.
pub fn safely(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

impl Front {
    /// The request as it is answered.
    fn admitted(&self, mut request: Request) -> Result<Request, Box<Response>> {
        let refused = |refused: Refused| details(refused.status(), &refused.to_string(), Some(refused.hint()));
        self.guard.check(request.method(), request.uri(), request.headers()).map_err(refused)?;
        if let Some(uri) = below(&self.facts.base, request.uri()) {
            *request.uri_mut() = uri;
        }
        let peer = request.extensions().get().copied().map(|peer: Peer| {
            let address = self.proxies.visitor(peer.address, request.headers());
            Peer { address, ..peer }
        });
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        let is_open = self.is_open(request.headers(), peer).map_err(session::locked_out)?;
        if !is_open && !is_for_all(request.uri().path()) {
            return Err(Box::new(login_needed()));
        }
        request.extensions_mut().insert(Access { is_open });
        Ok(request)
    }

    /// Whether a request carries what opens everything.
    fn is_open(&self, headers: &HeaderMap, peer: Option<Peer>) -> Result<bool, Locked> {
        let (Some(lock), Some(peer)) = (&self.facts.lock, peer) else { return Ok(self.facts.lock.is_none()) };
        let now = Timestamp::now();
        if session::carried(headers).any(|session| lock.is_session(session, now)) {
            return Ok(true);
        }
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| Shown::in_header(value.to_str().ok()?));
        shown.map_or(Ok(false), |shown| lock.open(shown, peer.address).map(|()| true))
    }
}

/// The page itself, so that somebody can log in there, and what says nothing of the home.
fn is_for_all(path: &str) -> bool {
    page::paths().chain([session::PATH, probes::HEALTH, probes::READY]).any(|open| open == path)
}

fn login_needed() -> Response {
    let hint = "log in on the page, or send the token: `Authorization: Bearer …`";
    let mut response = details(StatusCode::UNAUTHORIZED, "this needs a login", Some(hint));
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// The address without the base path; none if it is not below that: a proxy may have taken it off.
fn below(base: &str, uri: &Uri) -> Option<Uri> {
    let rest = uri.path().strip_prefix(base.trim_end_matches('/'))?;
    let rest = if rest.is_empty() { "/" } else { rest };
    if base == "/" || !rest.starts_with('/') {
        return None;
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("{rest}{query}")).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_path_is_taken_off_where_it_is() {
        let taken = |base: &str, uri: &str| below(base, &uri.parse().unwrap()).map(|uri| uri.to_string());
        for (uri, rest) in [
            ("/ferry/", Some("/")),
            ("/ferry", Some("/")),
            ("/ferry?x=1", Some("/?x=1")),
            ("/ferry/api/v1/devices?a=b&c", Some("/api/v1/devices?a=b&c")),
            ("/ferry/ferry/", Some("/ferry/")),
            ("/ferryman", None),
            ("/api/v1/devices", None),
            ("/", None),
        ] {
            assert_eq!(taken("/ferry/", uri).as_deref(), rest, "{uri}");
        }
        assert_eq!(taken("/", "/api"), None);
        assert_eq!(taken("/a/b/", "http://pi/a/b/c").as_deref(), Some("http://pi/c"));
    }

    #[test]
    fn only_the_page_and_what_says_nothing_is_for_all() {
        for open in ["/", "/app.js", "/app.css", "/icon.svg", "/healthz", "/readyz", "/api/v1/session"] {
            assert!(is_for_all(open), "{open}");
        }
        for closed in ["/api/v1/devices", "/metrics", "/api/v1/session/", "//", "/healthz/", "/api", "", "/app.js/.."] {
            assert!(!is_for_all(closed), "{closed}");
        }
    }
}
