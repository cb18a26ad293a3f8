//! The two sides: each application's network server, and the home broker.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::error::BuildError;
use super::{COMMAND_CAPACITY, Disk, HOME_CAPACITY, HOME_KEEP_ALIVE, Site, longest_name};
use crate::config::{self, Config, Environment};
use crate::home::{self, AssistantStarts, Home, Ledger, LiveSettings, Noted, OFFLINE, Settings, Topics, Wiring};
use crate::model::{DeviceKey, DownlinkId, InvalidName};
use crate::mqtt::{Endpoint, MqttVersion, Qos, Will};
use crate::network::ttn::{self, EncryptedDevices, Parts};
use crate::network::{Arrival, Late, NetworkServer, Sorting, Tracked};
use crate::store::RetainedRow;
use crate::uplink::MOST_IN_FLIGHT;

/// What the home asks, and whether it is there.
pub(super) struct Asked {
    pub commands: mpsc::Receiver<home::HomeCommand>,
    pub requests: mpsc::Receiver<home::HomeRequest>,
    pub uplink_receipts: mpsc::Receiver<u64>,
    pub step_receipts: mpsc::Receiver<(DownlinkId, u32)>,
    pub connected: watch::Receiver<bool>,
    pub assistant: AssistantStarts,
}

pub(super) fn network_side(
    Site { config, environment, shared, tasks, .. }: &mut Site<'_>,
    disk: &Disk,
    arrivals: &mpsc::Sender<Arrival>,
    tracked: &mpsc::Sender<Tracked>,
) -> Result<Vec<Arc<dyn NetworkServer>>, BuildError> {
    let mut servers = Vec::new();
    for application in &config.application {
        let (raw, heard) = mpsc::channel(config.service.intake);
        let failed = |source| BuildError::Application { name: application.name().into(), source };
        let (outages, telling) = (shared.outages.clone(), (shared.notices.clone(), shared.clock.clone()));
        let encrypted = encrypted_devices(config, application.name(), disk)?;
        let Parts { server, stream, registry } =
            ttn::parts(application, *environment, encrypted, raw, arrivals.clone(), outages, telling)
                .map_err(failed)?;
        let sorting = Sorting {
            server: server.clone(),
            raw: heard,
            arrivals: arrivals.clone(),
            tracked: tracked.clone(),
            counters: shared.counters.clone(),
            notices: shared.notices.clone(),
            late: Late::new(server.name().clone(), shared.outages.clone()),
            clock: shared.clock.clone(),
        };
        tasks.add("network stream", stream.run(shared.stop.clone()));
        tasks.add("network sorting", sorting.run());
        tasks.add("network registry", registry.run(shared.stop.clone()));
        servers.push(server);
    }
    Ok(servers)
}

/// What is configured and was noted of one application's devices whose payloads the network cannot read.
pub(super) fn encrypted_devices(
    config: &Config,
    application: &str,
    disk: &Disk,
) -> Result<EncryptedDevices, InvalidName> {
    let own = |key: &DeviceKey| key.application.as_str() == application;
    let keys = config.devices()?.into_iter().filter(|(key, _)| own(key));
    let noted = disk.restored.notes.iter().filter(|(key, _)| own(key));
    Ok(EncryptedDevices {
        app_s_keys: keys.filter_map(|(key, device)| Some((key.device, device.app_s_key.clone()?))).collect(),
        noted: noted.map(|(key, body)| (key.device.clone(), body.clone())).collect(),
        notes: Arc::new(disk.store.clone()),
    })
}

pub(super) fn home_side(
    Site { config, environment, shared, tasks, .. }: &mut Site<'_>,
    retained: Vec<RetainedRow>,
) -> Result<(Home, Asked, watch::Sender<Arc<Settings>>), BuildError> {
    let (replace, settings) = LiveSettings::new(settings(config)?);
    let endpoint = home_endpoint(config, *environment, &settings.now().topics)?;
    let (messages, published) = mpsc::channel(HOME_CAPACITY);
    let (command, commands) = mpsc::channel(COMMAND_CAPACITY);
    let (request, requests) = mpsc::channel(COMMAND_CAPACITY);
    let (connecting, connected) = watch::channel(false);
    let (assistant_starting, assistant_started) = watch::channel(());
    let assistant = AssistantStarts::new(assistant_started);
    let (uplink_receipt, uplink_receipts) = mpsc::channel(MOST_IN_FLIGHT);
    let (step_receipt, step_receipts) = mpsc::channel(COMMAND_CAPACITY);
    let wiring = Wiring {
        messages: published,
        commands: command,
        requests: request,
        counters: shared.counters.clone(),
        notices: shared.notices.downgrade(),
        connected: connecting,
        assistant_started: assistant_starting,
        uplink_receipts: uplink_receipt,
        step_receipts: step_receipt,
    };
    let broker = home::Broker::new(endpoint, settings.clone(), wiring);
    tasks.add("home broker", broker.run(shared.stop.clone()));
    let row = |RetainedRow { topic, owner, kind }| Noted { topic, owner, kind };
    let ledger = Ledger::restore(retained.into_iter().map(row));
    let asked = Asked { commands, requests, uplink_receipts, step_receipts, connected, assistant };
    let home = Home::new(messages, settings).with_ledger(ledger).with_live(shared.live.clone());
    Ok((home, asked, replace))
}

/// What the configuration says of topics, devices and Home Assistant.
pub(super) fn settings(config: &Config) -> Result<Settings, BuildError> {
    let (home, assistant) = (&config.home, &config.home_assistant);
    let settings = Settings::new(home, assistant, config.availability, config.devices()?, longest_name(config))?;
    Ok(settings.with_page(config.web.url.as_deref()))
}

/// What the bridge is to the home broker: one that is heard to go, and whose commands wait for it.
fn home_endpoint(config: &Config, environment: &dyn Environment, topics: &Topics) -> Result<Endpoint, BuildError> {
    let home = &config.home;
    let exactly_once = std::iter::once(Some(home.qos)).chain(config.device.iter().map(|device| device.qos));
    // What was under way when the last process ended is known to nobody. With MQTT 5 the broker says so itself.
    let unknown = exactly_once.flatten().any(|qos| qos == Qos::ExactlyOnce) && home.mqtt_version == MqttVersion::V3_1_1;
    Ok(Endpoint {
        keep_alive: HOME_KEEP_ALIVE,
        window: home.in_flight,
        keep_session: home.keep_session,
        unreleased: if unknown { (1..=home.in_flight).collect() } else { Vec::new() },
        will: Some(Will { topic: topics.of_bridge("state"), payload: OFFLINE }),
        ..config::home_endpoint(home, environment)?
    })
}
