//! `gateways`: which gateways hear the devices, and how well.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::scope::moment;
use super::{History, unreadable};
use crate::control::Problem;
use crate::model::{DeviceKey, Directory, HomeName};
use crate::store::GatewayRow;

/// How far back is looked, unless the request says otherwise.
const USUAL_SPAN: &str = "24h";

/// Since when.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WantedGateways {
    /// A time (RFC 3339), or a span back from now such as `7d`; `24h` without it.
    pub from: Option<String>,
}

/// The gateways that heard any device.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Gateways {
    from: Timestamp,
    /// In the order of their ids.
    gateways: Vec<HeardBy>,
}

/// One gateway. Of each device its last 10,000 uplinks are looked at.
#[derive(Debug, Serialize, JsonSchema)]
struct HeardBy {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    eui: Option<String>,
    last_seen: Timestamp,
    /// Uplinks that it heard.
    uplinks: u64,
    /// Whose, by their names at home.
    devices: BTreeSet<HomeName>,
    /// dBm.
    best_rssi: f32,
    /// dB.
    best_snr: f32,
    /// Only where the gateway's owner made it public.
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Box<RawValue>>,
}

impl History {
    /// # Errors
    /// The time is none, or the store cannot be read.
    pub async fn gateways(&self, wanted: WantedGateways) -> Result<Gateways, Problem> {
        let from = moment("from", wanted.from.as_deref().unwrap_or(USUAL_SPAN), Timestamp::now())?;
        let mut all = BTreeMap::new();
        let (keys, names): (Vec<_>, Vec<_>) = self.devices().into_iter().unzip();
        for (device, heard) in self.store.gateways(keys, from).await.map_err(unreadable)? {
            note(&mut all, &names[device], heard);
        }
        Ok(Gateways { from, gateways: all.into_values().collect() })
    }

    fn devices(&self) -> Vec<(DeviceKey, HomeName)> {
        let directory = Directory::lock(&self.directory);
        directory.all().into_iter().map(|device| (device.key.clone(), device.name.clone())).collect()
    }
}

/// A place that was told later is the better one.
fn note(all: &mut BTreeMap<String, HeardBy>, name: &HomeName, GatewayRow { gateway, uplinks, last_heard }: GatewayRow) {
    let known = all.entry(gateway.id.clone()).or_insert_with(|| HeardBy {
        id: gateway.id,
        eui: None,
        last_seen: last_heard,
        uplinks: 0,
        devices: BTreeSet::new(),
        best_rssi: gateway.rssi,
        best_snr: gateway.snr,
        location: None,
    });
    if last_heard >= known.last_seen {
        known.eui = gateway.eui.or(known.eui.take());
        known.location = gateway.location.or(known.location.take());
    }
    known.last_seen = known.last_seen.max(last_heard);
    known.uplinks += uplinks;
    known.devices.insert(name.clone());
    known.best_rssi = known.best_rssi.max(gateway.rssi);
    known.best_snr = known.best_snr.max(gateway.snr);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Gateway;

    #[test]
    fn a_gateway_that_hears_two_devices_is_one() {
        let mut all = BTreeMap::new();
        let place = |text: &str| RawValue::from_string(text.into()).ok();
        for (name, rssi, second, location) in
            [("b", -80.0, 20, place("1")), ("a", -50.0, 10, place("2")), ("b", -90.0, 5, None)]
        {
            let gateway = Gateway { id: "roof".into(), eui: None, rssi, snr: 1.0, location };
            let last_heard = Timestamp::from_second(second).unwrap();
            note(&mut all, &HomeName::parse(name).unwrap(), GatewayRow { gateway, uplinks: 2, last_heard });
        }
        let told = serde_json::to_string(all.values().next().unwrap()).unwrap();
        let expected = concat!(
            r#"{"id":"roof","last_seen":"1970-01-01T00:00:20Z","uplinks":6,"devices":["a","b"],"#,
            r#""best_rssi":-50.0,"best_snr":1.0,"location":1}"#
        );
        assert_eq!((all.len(), told.as_str()), (1, expected));
    }
}
