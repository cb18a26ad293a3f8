//! The fourth step: the device's codec, else what the network's own formatter made of the payload, else nothing.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::Wants;
use crate::codecs::{Codec, Codecs, Crossed, Fault, Wishes};
use crate::model::{DeviceKey, RegisteredDevice, Uplink, VersionIds};
use crate::telemetry::{Count, Counters};

/// What is known of an uplink's content.
#[derive(Debug, Default)]
pub struct Reading {
    pub fields: Option<Box<RawValue>>,
    pub measurements: Option<Box<RawValue>>,
    pub warnings: Vec<String>,
    /// Who made the fields: a codec's name, or `network`.
    pub codec: Option<String>,
    pub fault: Option<Fault>,
}

/// Sends uplinks to their codecs and takes them back.
pub struct Decode {
    pub codecs: Codecs,
    /// Where the network's own formatters are asked for.
    pub wants: Wants,
    pub counters: Counters,
    /// How many are with a codec, and which the last of them has, by device.
    under_way: HashMap<DeviceKey, (usize, Arc<Codec>)>,
}

impl Decode {
    pub fn new(codecs: Codecs, wants: Wants, counters: Counters) -> Self {
        Self { codecs, wants, counters, under_way: HashMap::new() }
    }

    /// Uplinks sent to a codec and not yet back.
    pub fn under_way(&self) -> usize {
        self.under_way.values().map(|(count, _)| count).sum()
    }

    /// Settles the codec of a device from the registry, so that a command can be encoded before its first uplink.
    pub fn prepare(&self, device: &RegisteredDevice) {
        let wishes = Wishes { attributes: Some(&device.attributes), version_ids: device.version_ids.as_ref() };
        self.codecs.choose(&device.key, &wishes);
        self.want(&device.key, device.version_ids.as_ref());
    }

    /// Sends an uplink on its way, or gives it back at once if its device has no codec of ours. One that no codec can
    /// read takes the same way as its device's others, so that it does not overtake them; so does one whose device has
    /// just lost its codec.
    pub fn start(&mut self, mut uplink: Box<Uplink>) -> Option<(Box<Uplink>, Reading)> {
        // Stacks before 3.34 send no attributes at all: then none says nothing.
        let attributes = Some(&uplink.attributes).filter(|attributes| !attributes.is_empty());
        let wishes = Wishes { attributes, version_ids: uplink.version_ids.as_ref() };
        let chosen = self.codecs.choose(&uplink.key, &wishes);
        self.want(&uplink.key, uplink.version_ids.as_ref());
        let codec = chosen.map(|chosen| chosen.codec).filter(|codec| codec.source().reads_uplinks());
        match codec.or_else(|| self.under_way.get(&uplink.key).map(|(_, last)| last.clone())) {
            Some(codec) => {
                let (count, last) = self.under_way.entry(uplink.key.clone()).or_insert_with(|| (0, codec.clone()));
                *count += 1;
                last.clone_from(&codec);
                self.codecs.decode(uplink, codec);
                None
            }
            None => {
                let reading = from_network(&mut uplink);
                self.codecs.note_undecoded(&uplink.key, reading.fields.is_some());
                Some((uplink, reading))
            }
        }
    }

    /// Asks for the network's own formatter if there is nothing better.
    fn want(&self, key: &DeviceKey, version_ids: Option<&VersionIds>) {
        if self.codecs.lacks_codec(key) {
            self.wants.want(key, version_ids);
        }
    }

    /// Takes an uplink back from its codec.
    pub fn finish(&mut self, crossed: Crossed) -> (Box<Uplink>, Reading) {
        let mut uplink = crossed.uplink;
        self.came_back(&uplink.key);
        crossed.took.into_iter().for_each(|took| self.counters.codec_ran(took));
        self.codecs.note_described(&uplink.key, &crossed.codec);
        let reading = match crossed.outcome {
            Ok(decoded) => {
                self.counters.count_for(&uplink.key.application, Count::Decoded);
                Reading {
                    fields: Some(decoded.data),
                    measurements: decoded.measurements.or_else(|| uplink.network_measurements.take()),
                    warnings: decoded.warnings,
                    codec: Some(crossed.codec.name.clone()),
                    fault: None,
                }
            }
            Err(Fault::NothingToDecode) => from_network(&mut uplink),
            Err(fault) => {
                self.counters.count_for(&uplink.key.application, Count::CodecError);
                // The network ran the same script, perhaps with more luck.
                let network = match self.codecs.lacks_codec(&uplink.key) {
                    true => from_network(&mut uplink),
                    false => Reading::default(),
                };
                Reading { codec: Some(crossed.codec.name.clone()), fault: Some(fault), ..network }
            }
        };
        (uplink, reading)
    }

    fn came_back(&mut self, key: &DeviceKey) {
        let Some((count, _)) = self.under_way.get_mut(key) else { return };
        *count -= 1;
        if *count == 0 {
            self.under_way.remove(key);
        }
    }
}

fn from_network(uplink: &mut Uplink) -> Reading {
    let fields = uplink.network_fields.take();
    Reading {
        codec: fields.as_ref().map(|_| "network".to_owned()),
        fields,
        measurements: uplink.network_measurements.take(),
        warnings: std::mem::take(&mut uplink.network_warnings),
        fault: None,
    }
}

#[cfg(test)]
mod tests {
    use payload_codecs::Source;
    use tokio::sync::{mpsc, watch};

    use super::*;
    use crate::codecs::{CodecsConfig, Finder, LANE_CAPACITY, Learned, Shown};

    #[tokio::test]
    async fn an_uplink_whose_device_has_just_lost_its_codec_stays_behind_those_under_way() {
        let (crossed, mut back) = mpsc::channel(LANE_CAPACITY);
        let shown = Shown::new(Arc::default(), watch::Sender::default());
        let codecs = Codecs::start(Finder::default(), &CodecsConfig::default(), crossed, shown).unwrap();
        let mut decode = Decode::new(codecs.clone(), Wants::default(), Counters::default());
        let key = Uplink::sample("node", 1, 0).key;
        codecs.learn(&key, Some(Learned { name: "ttn/x".into(), source: Source::CayenneLpp }));
        assert!(decode.start(Uplink::sample("node", 1, 0)).is_none());
        codecs.learn(&key, None);
        assert!(decode.start(Uplink::sample("node", 2, 0)).is_none() && decode.under_way() == 2);
        for f_cnt in [1, 2] {
            assert_eq!(decode.finish(back.recv().await.unwrap()).0.f_cnt, f_cnt);
        }
        assert!(decode.start(Uplink::sample("node", 3, 0)).is_some() && decode.under_way() == 0);
    }
}
