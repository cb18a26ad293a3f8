//! Fourth step: carries out what the queue asks of the network, beside everything else.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use super::queue::{Answer, Lookup, Request, Sighting};
use crate::model::{ApplicationName, Failure};
use crate::network::{DownlinkHistory, NetworkServer, PushError};

/// The network servers by application.
pub type Servers = HashMap<ApplicationName, Arc<dyn NetworkServer>>;

/// The requests under way: a handful for each application, because the queue asks no more.
pub struct Dispatcher {
    servers: Servers,
    under_way: FuturesUnordered<BoxFuture<'static, Answer>>,
}

impl Dispatcher {
    pub fn new(servers: Servers) -> Self {
        Self { servers, under_way: FuturesUnordered::new() }
    }

    pub fn start(&mut self, request: Request) {
        let server = self.servers.get(&request.key().application).cloned();
        self.under_way.push(Box::pin(carry_out(server, request)));
    }

    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// The next answer; `None` if nothing is under way. May be dropped at any time.
    pub async fn next(&mut self) -> Option<Answer> {
        self.under_way.next().await
    }
}

async fn carry_out(server: Option<Arc<dyn NetworkServer>>, request: Request) -> Answer {
    let server = server.ok_or_else(no_server);
    match request {
        Request::Push(downlink) => {
            let result = match server {
                Ok(server) => server.push(&downlink.key.device, std::slice::from_ref(&downlink)).await,
                Err(error) => Err(error),
            };
            Answer::Pushed(downlink.key, downlink.id, result)
        }
        Request::Look(lookup) => {
            let result = match server {
                Ok(server) => look(server.as_ref(), &lookup).await,
                Err(error) => Err(error),
            };
            Answer::Looked(lookup.key, result)
        }
        Request::Withdraw(key, ids) => {
            let result = match server {
                Ok(server) => server.withdraw(&key.device, &ids).await,
                Err(error) => Err(error),
            };
            Answer::Withdrawn(key, ids, result)
        }
    }
}

/// The queue first, then the history: what leaves the queue in between is in the history.
async fn look(server: &dyn NetworkServer, lookup: &Lookup) -> Result<Sighting, PushError> {
    let device = &lookup.key.device;
    let waiting = server.waiting(device).await?;
    let all_there = lookup.ids.iter().all(|id| waiting.contains(id));
    let history = match lookup.since.filter(|_| !all_there) {
        Some(since) => server.downlink_history(device, since).await,
        None => Ok(DownlinkHistory::default()),
    };
    let history_silent = lookup.without_history && matches!(history, Err(PushError::Unknown(_)));
    let history = history.or_else(|error| without_history(error, history_silent))?;
    Ok(Sighting { waiting, history, history_silent, connected: server.health().connected })
}

/// A network that never tells its history must not keep a look-up from ending; one that does not at the moment may,
/// while it is insisted on.
fn without_history(error: PushError, silent: bool) -> Result<DownlinkHistory, PushError> {
    match error {
        PushError::RateLimited { .. } | PushError::Unknown(_) if !silent => Err(error),
        _ => Ok(DownlinkHistory::default()),
    }
}

fn no_server() -> PushError {
    PushError::Refused(Failure { name: "no_network".into(), message: "this application has no network server".into() })
}
