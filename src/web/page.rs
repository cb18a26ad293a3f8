//! The page: a few files that are part of the program, ready to be sent.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;

const INDEX: &str = include_str!("../../ui/dist/index.html");
/// What the index has beside it: the path, the media type, the content.
const BESIDE: [(&str, &str, &[u8]); 4] = [
    ("/app.js", "text/javascript; charset=utf-8", include_bytes!("../../ui/dist/app.js")),
    ("/app.css", "text/css; charset=utf-8", include_bytes!("../../ui/dist/app.css")),
    // Only where plots are drawn.
    ("/uplot.js", "text/javascript; charset=utf-8", include_bytes!("../../ui/dist/uplot.js")),
    ("/icon.svg", "image/svg+xml", include_bytes!("../../ui/dist/icon.svg")),
];
/// Where the index says what its relative addresses are relative to.
const BASE: &str = "<base href=\"";

/// The page as it lies below one path.
pub struct Page {
    files: Vec<(&'static str, File)>,
}

/// One file in both forms it is sent in.
#[derive(Clone)]
struct File {
    media: HeaderValue,
    plain: Form,
    gzip: Form,
}

#[derive(Clone)]
struct Form {
    body: Bytes,
    /// Another one when the bytes are others (RFC 9110, 8.8.3).
    tag: HeaderValue,
}

/// Where its files are, from the base path on.
pub fn paths() -> impl Iterator<Item = &'static str> {
    std::iter::once("/").chain(BESIDE.iter().map(|(path, ..)| *path))
}

impl Page {
    /// `base` is the path below which a browser sees it, with a slash at both ends.
    pub fn new(base: &str) -> Self {
        let index = File::new("text/html; charset=utf-8", at_base(base).into());
        let beside = BESIDE.map(|(path, media, content)| (path, File::new(media, Bytes::from_static(content))));
        Self { files: std::iter::once(("/", index)).chain(beside).collect() }
    }

    /// Serves the files, and nothing else.
    pub fn router(self) -> Router {
        let serve = |file: File| get(|headers: HeaderMap| async move { file.answer(&headers) });
        self.files.into_iter().fold(Router::new(), |router, (path, file)| router.route(path, serve(file)))
    }
}

impl File {
    fn new(media: &'static str, body: Bytes) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let packed = encoder.write_all(&body).and_then(|()| encoder.finish()).expect("a Vec takes everything");
        Self { media: HeaderValue::from_static(media), plain: Form::new(body), gzip: Form::new(packed.into()) }
    }

    fn answer(&self, asked: &HeaderMap) -> Response {
        let packed = listed(asked, header::ACCEPT_ENCODING).any(|(coding, weight)| coding == "gzip" && weight != "0");
        let form = if packed { &self.gzip } else { &self.plain };
        let known = |tag: &str| tag == "*" || tag.trim_start_matches("W/").as_bytes() == form.tag.as_bytes();
        let common = [
            (header::ETAG, form.tag.clone()),
            // It is asked for each time and mostly answered by 304: a page never is of another version than its bridge.
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::VARY, HeaderValue::from_static("accept-encoding")),
        ];
        if listed(asked, header::IF_NONE_MATCH).any(|(tag, _)| known(tag)) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        let mut response = (common, [(header::CONTENT_TYPE, self.media.clone())], form.body.clone()).into_response();
        if packed {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

impl Form {
    fn new(body: Bytes) -> Self {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        Self { body, tag: tag.try_into().expect("hex digits in quotes can stand in a header") }
    }
}

/// The index with its `<base href>` set.
fn at_base(base: &str) -> String {
    let (before, rest) = INDEX.split_once(BASE).expect("a test looks for it");
    let (_, after) = rest.split_once('"').expect("a test looks for it");
    format!("{before}{BASE}{base}\"{after}")
}

/// The members of a list, each with its weight, `1` if there is none (RFC 9110, 12.4.2).
fn listed(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = (&str, &str)> {
    let texts = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(|member| {
        let (value, weight) = member.split_once(";q=").unwrap_or((member, "1"));
        (value.trim(), weight.trim())
    })
}
