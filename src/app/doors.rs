//! What requests reach, and the doors that are not MQTT's.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::restoring::fits;
use super::{BuildError, Site};
use crate::codecs::{Codecs, Renewal};
use crate::config::{Config, Environment, WebConfig, control_socket, store_folder};
use crate::control::{self, Answers};
use crate::downlink::Desk;
use crate::home::LiveSettings;
use crate::network::NetworkServer;
use crate::store::Store;
use crate::uplink::RepairHandle;
use crate::web::{self, Certificate, EndedSessions, Port, SigningKey, Socket, Web};

/// What requests are passed on to.
pub(super) struct Handles {
    pub servers: Vec<Arc<dyn NetworkServer>>,
    pub store: Store,
    pub backups: control::Backups,
    pub backfill: RepairHandle,
    pub codecs: (Codecs, Renewal),
    pub settings: LiveSettings,
    pub configuring: control::Configuration,
    pub in_use: watch::Receiver<control::InUse>,
    pub home_connected: watch::Receiver<bool>,
    pub log: control::Log,
    pub desk: Desk,
}

pub(super) fn backups(
    Site { config, environment, shared, .. }: &Site<'_>,
    store: &Store,
    folder: &Path,
) -> control::Backups {
    let (sources, environment) = (config.sources.clone(), *environment);
    let overlay = sources.overlay.clone();
    let fits =
        move |text: &str| fits(&sources, text, Config::with_overlay, environment).map_err(|error| error.to_string());
    control::Backups::new(store.clone(), folder, (overlay, Box::new(fits)), shared.again.clone())
}

pub(super) fn answers(Site { config, shared, .. }: &Site<'_>, handles: Handles) -> Answers {
    let Handles { servers, store, desk, configuring, codecs: (library, renewal), .. } = handles;
    let applications: Vec<_> = servers.iter().map(|server| server.name().clone()).collect();
    let events = control::Events::new(shared.live.clone(), store.clone(), desk.clone());
    let codecs = control::CodecParts {
        library,
        renewal,
        desk: desk.clone(),
        settings: handles.settings,
        store: store.clone(),
        limits: config.codecs.limits(),
        edit: config.web.edit_codecs,
    };
    Answers {
        codecs: control::Codecs::new(codecs),
        log: handles.log,
        backups: handles.backups,
        gaps: control::Gaps::new(handles.backfill.clone(), events.clone()),
        events,
        history: control::History::new(store.clone(), desk.clone(), shared.directory.clone()),
        backfill: control::Backfill::new(handles.backfill, applications),
        servers,
        directory: shared.directory.clone(),
        counters: shared.counters.clone(),
        live: shared.live.clone(),
        open_downlinks: desk.open(),
        device_changes: control::Devices::new(desk.clone(), configuring.clone()),
        downlinks: control::Downlinks::new(desk),
        configuring,
        in_use: handles.in_use,
        home_connected: handles.home_connected,
        store,
        metrics_per_device: config.web.metrics_per_device,
        started: Instant::now(),
    }
}

/// The doors that are not MQTT's; where the page is, if there is one.
pub(super) fn web(
    Site { config, environment, shared, tasks, .. }: &mut Site<'_>,
    answers: Arc<Answers>,
) -> Result<Option<SocketAddr>, BuildError> {
    let socket = control_socket(config, *environment).map(|path| Socket::open(&path)).transpose()?;
    let site = site(config, *environment, shared.certificate.subscribe())?;
    let page = site.as_ref().map(|site| site.port.address());
    if socket.is_some() || site.is_some() {
        let (servers, home_connected) = (answers.servers.clone(), answers.home_connected.clone());
        let readiness = control::Readiness { servers, home_connected };
        tasks.add("web", Web { socket, site, answers, readiness }.run(shared.stop.clone()));
    }
    Ok(page)
}

/// What is served to browsers, if anything.
fn site(
    config: &Config,
    environment: &dyn Environment,
    certificate: watch::Receiver<Certificate>,
) -> Result<Option<web::Site>, BuildError> {
    let Some(address) = config.web.address() else { return Ok(None) };
    let port = Port::open(address, certificate)?;
    let WebConfig { password, token, hosts, url, edit_codecs, connections, .. } = config.web.clone();
    let folder = store_folder(config, environment)?;
    let (key, ended) = (SigningKey::in_folder(&folder)?, EndedSessions::in_folder(&folder)?);
    let (base, proxies) = (config.web.base(), config.web.proxies());
    Ok(Some(web::Site { port, base, password, token, key, ended, hosts, url, proxies, edit_codecs, connections }))
}
