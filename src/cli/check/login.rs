//! The login to an MQTT server, and what follows on the connection: subscription, and a message there and back.

use bytes::Bytes;
use tokio::time::{Instant, timeout, timeout_at};

use super::Limits;
use super::finding::Legs;
use super::reach;
use crate::mqtt::tls::Tls;
use crate::mqtt::{Address, ConnectError, Connection, Endpoint, Event, Message, Qos, Reason, Server};
use crate::telemetry::with_causes;

/// Publishes under way at once: a check has one.
pub const WINDOW: u16 = 1;

/// Who logs in where.
pub fn endpoint(address: &Address, tls: &Tls, client_id: String) -> Endpoint {
    Endpoint {
        tls: address.has_tls().then(|| tls.clone()),
        window: WINDOW,
        ..Endpoint::new(address.clone(), client_id)
    }
}

/// Logs in. `refused` is the hint for a server that knows MQTT and does not take these credentials.
pub async fn login(
    endpoint: &Endpoint,
    tls: &Tls,
    limits: Limits,
    refused: &str,
    legs: &mut Legs,
) -> Option<Connection> {
    match open(endpoint, limits).await {
        Ok(connection) => {
            let user = endpoint.username.as_deref().map_or("without a user".into(), |user| format!("as {user}"));
            legs.ok("login", format!("{user}, MQTT {}", endpoint.version));
            Some(connection)
        }
        Err(error) => {
            let hint = match &error {
                error if error.is_credentials() => refused.to_owned(),
                ConnectError::Closed { .. } | ConnectError::Protocol { .. } | ConnectError::Silent { .. }
                    if !endpoint.address.has_tls() && reach::speaks_tls(&endpoint.address, tls, limits).await =>
                {
                    let secure = endpoint.address.with_tls(true);
                    format!("this port speaks TLS: write {secure}")
                }
                error => error.hint().into(),
            };
            legs.failed("login", with_causes(&error), hint);
            None
        }
    }
}

/// Whether a server without TLS answers a login; it gets no credentials, since anyone could read them.
pub async fn speaks_plain_mqtt(server: &Server, limits: Limits) -> bool {
    let plain = Address::Net(Server { tls: false, ..server.clone() });
    let endpoint = endpoint(&plain, &crate::mqtt::tls::public(), "ttn-ferry-check".into());
    matches!(open(&endpoint, limits).await, Ok(_) | Err(ConnectError::Refused { .. }))
}

/// Subscribes to one filter. `Ok(false)` if the server says no.
pub async fn subscribe(connection: &mut Connection, filter: &str, limits: Limits) -> Result<bool, String> {
    connection.sender().subscribe(&[filter.to_owned()], Qos::AtLeastOnce).map_err(|lost| lost.to_string())?;
    let answer = async {
        loop {
            if let Event::Subscribed(granted) = connection.next().await.map_err(|lost| lost.to_string())? {
                return Ok(granted.iter().all(|granted| *granted));
            }
        }
    };
    timeout(limits.answer, answer).await.unwrap_or_else(|_| Err(format!("no answer within {:?}", limits.answer)))
}

/// How far a message came.
#[derive(Debug, PartialEq, Eq)]
pub enum Trip {
    /// Acknowledged, and back on our own subscription.
    Returned,
    /// The server said why it does not take it.
    Refused(Reason),
    /// Acknowledged and never seen again.
    Swallowed,
    Unanswered,
}

/// Publishes with QoS 1, not retained, to a topic that `connection` subscribed to, and waits for it to come back.
pub async fn round_trip(
    connection: &mut Connection,
    topic: &str,
    payload: Bytes,
    limits: Limits,
) -> Result<Trip, String> {
    connection.sender().publish(Message::new(topic, payload.clone())).map_err(|lost| lost.to_string())?;
    let (mut acked, mut seen, mut refused) = (false, false, None);
    let mut limit = Instant::now() + limits.answer;
    while !(acked && seen) && refused.is_none() {
        // Running out of time is an outcome here: what came until then tells.
        let Ok(event) = timeout_at(limit, connection.next()).await else { break };
        match event.map_err(|lost| lost.to_string())? {
            Event::Acked(_) => {
                acked = true;
                limit = Instant::now() + limits.answer / 3;
            }
            Event::Refused(_, reason) => refused = Some(reason),
            Event::Message(message) if message.payload == payload => seen = true,
            _ => {}
        }
    }
    Ok(match (refused, acked, seen) {
        (Some(reason), ..) => Trip::Refused(reason),
        (None, true, true) => Trip::Returned,
        (None, true, false) => Trip::Swallowed,
        (None, false, _) => Trip::Unanswered,
    })
}

/// Says goodbye, so that the server's log does not tell of a lost client.
pub async fn leave(mut connection: Connection, limits: Limits) {
    if connection.sender().disconnect().is_ok() {
        let gone = async { while !matches!(connection.next().await, Ok(Event::Disconnected) | Err(_)) {} };
        // The check is done either way.
        let _ = timeout(limits.answer, gone).await;
    }
}

async fn open(endpoint: &Endpoint, limits: Limits) -> Result<Connection, ConnectError> {
    let silent = |_| Err(ConnectError::Silent { address: endpoint.address.clone() });
    timeout(limits.login, Connection::open(endpoint)).await.unwrap_or_else(silent)
}
