//! The flow up, what repairs its gaps, and the codecs it runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::error::BuildError;
use super::{Disk, Site, by_name};
use crate::codecs::{Codecs, Crossed, Finder, Renewal, Shown};
use crate::config::Config;
use crate::downlink::{self, Desk, Downlinks};
use crate::home::discovery::{self, Keeper, Residence, Signals};
use crate::home::{self, AssistantStarts, Home};
use crate::model::{ApplicationName, DownlinkId};
use crate::network::ttn::Endpoints;
use crate::network::{Arrival, NetworkServer, Tracked};
use crate::store::{Restored, Store};
use crate::uplink::{
    Decode, Hearing, HearingParts, HomePresence, Publish, Receive, Record, Repair, RepairHandle, RepairParts, Roll,
    Spool, SpoolParts, Tidy, Uplinks,
};

/// What the uplink flow waits for.
pub(super) struct Entrances {
    pub arrivals: mpsc::Receiver<Arrival>,
    pub crossed: mpsc::Receiver<Crossed>,
    pub receipts: mpsc::Receiver<u64>,
    pub home_connected: watch::Receiver<bool>,
    pub assistant: AssistantStarts,
    pub listed: watch::Sender<BTreeMap<ApplicationName, bool>>,
}

pub(super) fn uplink_flow(
    Site { config, shared, .. }: &Site<'_>,
    Entrances { arrivals, crossed, receipts, home_connected, assistant, listed }: Entrances,
    (store, restored, record): (Store, Restored, Record),
    servers: &[Arc<dyn NetworkServer>],
    home: &Home,
    decode: Decode,
) -> Uplinks {
    let mut publish = Publish {
        home: home.clone(),
        states: home::States::default(),
        attributes: home::Attributes::default(),
        directory: shared.directory.clone(),
        devices_changed: shared.devices_changed.clone(),
    };
    let mut hearing = Hearing::new(HearingParts {
        servers: servers.to_vec(),
        home: home.clone(),
        directory: shared.directory.clone(),
        devices_changed: shared.devices_changed.clone(),
        notices: shared.notices.clone(),
    });
    hearing.restore(restored.states.iter().map(|(key, _)| key.clone()), restored.availability);
    for (key, state) in restored.states {
        let heard_until = record.memory().device_heard_until(&key);
        publish.restore(key, state, heard_until);
    }
    let spool = Spool::new(SpoolParts {
        store,
        next_seq: restored.next_seq,
        receipts,
        servers: by_name(servers),
        most_bytes: config.store.spool_size,
        most_age: config.store.spool_age,
        counters: shared.counters.clone(),
        notices: shared.notices.clone(),
        clock: shared.clock.clone(),
    });
    Uplinks {
        arrivals,
        crossed,
        record,
        spool,
        receive: Receive {
            directory: shared.directory.clone(),
            home: home.clone(),
            notices: shared.notices.clone(),
            devices_changed: shared.devices_changed.clone(),
        },
        decode,
        publish,
        hearing,
        roll: Roll::default(),
        tidy: Tidy::new(
            home.clone(),
            shared.directory.clone(),
            shared.devices_changed.subscribe(),
            servers.iter().map(|server| server.name().clone()).collect(),
        ),
        home: HomePresence::new(home_connected, assistant),
        listed,
        drain: config.service.grace / 2,
    }
}

/// What the downlink flow waits for.
pub(super) struct Orders {
    pub commands: mpsc::Receiver<home::HomeCommand>,
    pub tracked: mpsc::Receiver<Tracked>,
    pub step_receipts: mpsc::Receiver<(DownlinkId, u32)>,
    pub listed: watch::Receiver<BTreeMap<ApplicationName, bool>>,
    pub home_connected: watch::Receiver<bool>,
    pub assistant: AssistantStarts,
}

pub(super) fn downlink_flow(
    Site { config, shared, .. }: &Site<'_>,
    Orders { commands, tracked, step_receipts, listed, home_connected, assistant }: Orders,
    servers: &[Arc<dyn NetworkServer>],
    (home, codecs): (&Home, &Codecs),
    disk: &mut Disk,
) -> (Downlinks, Desk) {
    Downlinks::new(downlink::Parts {
        config: config.downlink,
        commands,
        tracked,
        step_receipts,
        home: home.clone(),
        directory: shared.directory.clone(),
        encoder: Arc::new(codecs.clone()),
        servers: by_name(servers),
        listed,
        devices_changed: shared.devices_changed.subscribe(),
        home_connected,
        assistant,
        counters: shared.counters.clone(),
        notices: shared.notices.clone(),
        store: disk.store.clone(),
        restored: std::mem::take(&mut disk.restored.downlinks),
        usage: std::mem::take(&mut disk.restored.usage),
        clock: shared.clock.clone(),
    })
}

pub(super) fn repair_task(
    Site { config, shared, tasks, .. }: &mut Site<'_>,
    disk: &mut Disk,
    servers: &[Arc<dyn NetworkServer>],
    (arrivals, tracked): (mpsc::Sender<Arrival>, mpsc::Sender<Tracked>),
) -> RepairHandle {
    let heard_until = |server: &Arc<dyn NetworkServer>| {
        let name = server.name().clone();
        disk.memory.heard_until(&name).map(|at| (name, at))
    };
    let (repair, handle) = Repair::new(RepairParts {
        config: config.repair,
        heard_until: servers.iter().filter_map(heard_until).collect(),
        servers: by_name(servers),
        outages: shared.outages.clone(),
        arrivals,
        tracked,
        store: disk.store.clone(),
        rows: std::mem::take(&mut disk.restored.gaps),
        directory: shared.directory.clone(),
        counters: shared.counters.clone(),
        notices: shared.notices.clone(),
        clock: shared.clock.clone(),
    });
    tasks.add("repair", repair.run(shared.stop.clone()));
    handle
}

/// Keeps Home Assistant told of the devices.
pub(super) fn discovery_task(
    Site { config, shared, tasks, .. }: &mut Site<'_>,
    home: &Home,
    signals: Signals,
) -> Result<(), BuildError> {
    let mut applications = BTreeMap::new();
    for application in &config.application {
        let failed = |source| BuildError::Application { name: application.name().into(), source };
        let endpoints = Endpoints::of(application).map_err(|error| failed(error.into()))?;
        let residence = Residence { network: endpoints.network(), console: endpoints.console() };
        applications.insert(ApplicationName::parse(application.name())?, residence);
    }
    let keeper = Keeper::new(discovery::Parts {
        home: home.clone(),
        directory: shared.directory.clone(),
        applications,
        bridge: config.home.client_id.clone(),
        signals,
        counters: shared.counters.clone(),
    });
    tasks.add("discovery", keeper.run(shared.stop.clone()));
    Ok(())
}

pub(super) fn codecs(
    Site { config, shared, systemd, tasks, .. }: &mut Site<'_>,
    crossed: mpsc::Sender<Crossed>,
) -> Result<(Codecs, Renewal), BuildError> {
    let shown = Shown::new(shared.directory.clone(), shared.devices_changed.clone());
    let mut finder = finder(config)?;
    finder.tell(shared.notices.clone());
    let codecs = Codecs::start(finder, &config.codecs, crossed, shown).map_err(BuildError::Threads)?;
    let (reload, renewal) = codecs.reload(&config.codecs, shared.notices.clone());
    tasks.add_background("codec watch", codecs.watch(shared.notices.downgrade(), systemd.is_there()));
    tasks.add("codec reload", reload.run(shared.stop.clone()));
    Ok((codecs, renewal))
}

/// The codecs the configuration speaks of; each must be there.
pub(super) fn finder(config: &Config) -> Result<Finder, BuildError> {
    let mut finder = Finder::new(&config.codecs);
    for application in &config.application {
        if let Some(codec) = &application.codec {
            finder.assign_default(ApplicationName::parse(application.name())?, codec)?;
        }
    }
    for (key, device) in config.devices()? {
        if let Some(codec) = &device.codec {
            finder.assign(key, codec)?;
        }
    }
    Ok(finder)
}
