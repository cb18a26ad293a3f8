//! Backups over HTTP: streamed both ways, and never in memory as a whole. On the control socket only: a backup holds
//! everything, and one that is restored decides everything.
//!
//! | request | answer |
//! |---|---|
//! | `GET /api/v1/backup` | the store as one file |
//! | `POST /api/v1/restore` | 202 once it was found good; the bridge ends and begins again with it |
//! | `GET /api/v1/restore` | `waiting`, `failed` or `done` |

use std::fs::File;
use std::io::{self, Read};

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::stream::{self, Stream};
use serde_json::json;

use super::api::{Api, not_this_method};
use crate::control::{Kind, Problem};

/// What is read from the disk at once.
const PIECE: usize = 256 << 10;

/// What a backup is: a database of SQLite (registered with IANA).
const MEDIA: &str = "application/vnd.sqlite3";

pub fn router(api: Api) -> Router {
    Router::new()
        .route("/api/v1/backup", get(backup))
        .route("/api/v1/restore", get(restoring).post(restore))
        .method_not_allowed_fallback(not_this_method)
        .layer(DefaultBodyLimit::disable())
        .with_state(api)
}

async fn backup(State(api): State<Api>) -> Result<Response, Problem> {
    let file = api.answers.backups.make().await?;
    let unreadable = |error: io::Error| Problem::new(Kind::Unavailable, format!("the backup cannot be read: {error}"));
    let length = file.metadata().map_err(unreadable)?.len();
    let headers = [(header::CONTENT_TYPE, MEDIA.to_owned()), (header::CONTENT_LENGTH, length.to_string())];
    Ok((headers, Body::from_stream(pieces(file))).into_response())
}

async fn restore(State(api): State<Api>, body: Body) -> Result<Response, Problem> {
    let taken = api.answers.backups.take(body.into_data_stream()).await?;
    Ok((StatusCode::ACCEPTED, Json(taken)).into_response())
}

async fn restoring(State(api): State<Api>) -> Response {
    Json(json!({ "restore": api.answers.backups.restoring() })).into_response()
}

/// The file piece by piece, each read on a thread where it holds nobody up.
fn pieces(file: File) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(file, async |mut file| {
        let read = move || {
            let mut piece = Vec::with_capacity(PIECE);
            file.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
            Ok((!piece.is_empty()).then(|| (Bytes::from(piece), file)))
        };
        tokio::task::spawn_blocking(read).await.expect("reading a file does not panic")
    })
}
