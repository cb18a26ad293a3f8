//! `POST /events`: what happened, and what happens from now on, as one stream that stays open.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::super::archive::{Entity, Event, Names, Since, stream_start};
use super::super::messages::Failure;
use super::super::requests::Refusal;
use super::super::shared::Shared;
use super::answer::ApiError;
use super::auth::Caller;
use super::stream as framing;

/// What is asked for. Unknown fields are ignored, as everywhere in this API.
#[derive(Debug, Deserialize)]
struct Request {
    #[serde(default)]
    identifiers: Vec<Identifiers>,
    after: Option<String>,
    #[serde(default)]
    tail: usize,
    #[serde(default)]
    names: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Identifiers {
    ApplicationIds(ApplicationIds),
    DeviceIds(DeviceIds),
}

#[derive(Debug, Deserialize)]
struct ApplicationIds {
    application_id: String,
}

#[derive(Debug, Deserialize)]
struct DeviceIds {
    device_id: String,
    application_ids: ApplicationIds,
}

/// `POST /events` with `{"identifiers":[…],"after":…,"tail":…,"names":[…]}`
pub async fn stream(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    framing::require(&headers)?;
    let request: Request = serde_json::from_slice(&body).map_err(|error| Refusal::Syntax(error.to_string()))?;
    let since = since(&request)?;
    let names = Names::parse(&request.names)?;
    let entities = entities(request.identifiers, &caller)?;
    let (past, live) = shared.archive.follow(&entities, &since);
    let mut pending = VecDeque::from([stream_start(&entities)]);
    pending.extend(past.iter().filter(|event| names.contain(event.name)).map(|event| event.json()));
    let stop = shared.stop.clone();
    let follower = Follower { pending, live, entities, names, stop };
    let body = Body::from_stream(futures_util::stream::unfold(follower, Follower::next));
    let mut answer = ([(CONTENT_TYPE, framing::EVENT_STREAM)], body).into_response();
    if since != Since::default() && !shared.archive.events().are_stored() {
        let warning = HeaderValue::from_static("Events storage is not enabled");
        answer.headers_mut().insert(HeaderName::from_static("x-warning"), warning);
    }
    Ok(answer)
}

/// One open stream.
struct Follower {
    pending: VecDeque<Value>,
    live: broadcast::Receiver<Arc<Event>>,
    entities: Vec<Entity>,
    names: Names,
    stop: CancellationToken,
}

impl Follower {
    /// The next piece of the body; `None` when the stack stops.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let event = match self.pending.pop_front() {
            Some(event) => event,
            None => self.stop.clone().run_until_cancelled(self.happening()).await??,
        };
        Some((Ok(framing::frame(event.to_string().as_bytes()).into()), self))
    }

    /// The next event that was asked for. One who reads too slowly misses some and is not told.
    async fn happening(&mut self) -> Option<Value> {
        loop {
            match self.live.recv().await {
                Ok(event) if self.names.contain(event.name) && event.concerns(&self.entities) => {
                    return Some(event.json());
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

fn since(request: &Request) -> Result<Since, ApiError> {
    let parse = |text: &String| text.parse::<Timestamp>().map_err(|error| Refusal::Syntax(error.to_string()));
    let after = request.after.as_ref().map(parse).transpose()?;
    Ok(Since { after, tail: Some(request.tail).filter(|tail| *tail > 0) })
}

fn entities(identifiers: Vec<Identifiers>, caller: &Caller) -> Result<Vec<Entity>, ApiError> {
    if identifiers.is_empty() {
        return Err(Failure::new(3, "pkg/events/grpc", "no_identifiers", "no identifiers").into());
    }
    let entity = |identifiers: Identifiers| match identifiers {
        Identifiers::ApplicationIds(ids) => Entity { application: ids.application_id, device: None },
        Identifiers::DeviceIds(ids) => {
            Entity { application: ids.application_ids.application_id, device: Some(ids.device_id) }
        }
    };
    let entities: Vec<Entity> = identifiers.into_iter().map(entity).collect();
    for entity in &entities {
        caller.may(&entity.application, "RIGHT_APPLICATION_TRAFFIC_READ")?;
    }
    Ok(entities)
}
