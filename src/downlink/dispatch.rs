//! Fourth step: carries out what the queue asks of the network, beside everything else.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use super::queue::{Answer, Request};
use crate::model::{ApplicationName, Failure};
use crate::network::{NetworkServer, PushError};

/// The network servers by application.
pub type Servers = HashMap<ApplicationName, Arc<dyn NetworkServer>>;

/// The requests under way: at most one for each application, because the queue asks no more.
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
                Ok(server) => server.push(&downlink.key.device, std::slice::from_ref(&downlink)).await.map(drop),
                Err(error) => Err(error),
            };
            Answer::Pushed(downlink.key, downlink.id, result)
        }
        Request::Look(key) => {
            let result = match server {
                Ok(server) => server.waiting(&key.device).await,
                Err(error) => Err(error),
            };
            Answer::Looked(key, result)
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

fn no_server() -> PushError {
    PushError::Refused(Failure { name: "no_network".into(), message: "this application has no network server".into() })
}
