//! A look-alike of The Things Stack: what a bridge sees of it, on loopback, with its silences.
//!
//! | to read about | open |
//! |---|---|
//! | how it is set up, what a device is | `config` |
//! | what a test can do with it | `handle`, `faults` |
//! | the MQTT face: what it accepts, drops and never says | `mqtt` |
//! | the HTTP face | `http` |
//! | what a gateway hears and sends: joins, uplinks, receive windows | `gateway`, `transmission`, `session`, `radio` |
//! | downlinks: what is accepted, in which order they leave | `downlinks`, `requests`, `queue` |
//! | payloads that the network cannot read | `end_to_end` |
//! | payload formatters, the device repository | `formatters` |
//! | the JSON of every message | `messages` |
//! | what can still be read later: storage, event history | `archive` |
//!
//! Behaviour was observed on The Things Stack 3.32; where a newer version differs, the place says so.

mod archive;
mod config;
mod downlinks;
mod end_to_end;
mod faults;
mod formatters;
mod gateway;
mod handle;
mod http;
mod messages;
mod mqtt;
mod queue;
mod radio;
mod rate;
mod requests;
mod session;
mod shared;
mod transmission;
mod world;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use archive::PublishedUplink;
pub use config::{
    ALL_RIGHTS, ApiKey, Application, Batching, Class, Device, EventHistory, Location, Rate, RateLimits, StackConfig,
    StorageConfig, VersionIds,
};
pub use end_to_end::Kek;
pub use faults::{Fault, FaultPlan, HttpFault};
pub use formatters::{Formatter, Formatters, RepositoryCodec};
pub use handle::{HttpRequest, StackEvent, StackHandle, UnknownApplication, UnknownDevice};
pub use radio::{DataFrame, FrameError, FrameHeader, MAX_PAYLOAD, RadioFrame, SessionKeys};

use shared::Shared;

/// How long [`Stack::stop`] waits for its servers.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// A running look-alike. Dropping it ends its servers.
#[derive(Debug)]
pub struct Stack {
    mqtt: SocketAddr,
    http: SocketAddr,
    shared: Arc<Shared>,
    servers: JoinSet<()>,
}

impl Stack {
    /// Binds both faces and serves them. Fails if an address is taken.
    pub async fn start(config: StackConfig) -> io::Result<Self> {
        let mqtt = TcpListener::bind(config.mqtt).await?;
        let http = TcpListener::bind(config.http).await?;
        let (mqtt_addr, http_addr) = (mqtt.local_addr()?, http.local_addr()?);
        let shared = Arc::new(Shared::new(config));
        let mut servers = JoinSet::new();
        servers.spawn(mqtt::serve(mqtt, shared.clone()));
        servers.spawn(http::serve(http, shared.clone(), mqtt_addr));
        Ok(Self { mqtt: mqtt_addr, http: http_addr, shared, servers })
    }

    pub fn mqtt_addr(&self) -> SocketAddr {
        self.mqtt
    }

    /// Requests go to `http://{this}/api/v3/…`.
    pub fn http_addr(&self) -> SocketAddr {
        self.http
    }

    pub fn handle(&self) -> StackHandle {
        StackHandle::new(self.shared.clone())
    }

    /// Closes every connection and both faces. What was registered is gone with it.
    pub async fn stop(mut self) {
        self.shared.stop.cancel();
        let ended = async { while self.servers.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_TIMEOUT, ended).await.is_err() {
            self.servers.shutdown().await;
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}
