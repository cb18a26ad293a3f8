//! Why a device has the codec it has: everything that was considered, in its order.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Finder, LEARNED};
use crate::codecs::library::{Draft, FindError, Lookup, Origin};
use crate::codecs::{Codec, Codecs, lane};
use crate::model::DeviceKey;
use crate::telemetry::with_causes;

/// A codec that a device could have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "CodecConsidered")]
pub struct Considered {
    pub name: String,
    /// Where it would be from.
    pub source: Origin,
    /// Why it was considered.
    pub why: &'static str,
    /// Why the device does not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

impl Finder {
    /// The places where this device's codec is looked for, and what was learned of it.
    fn asked_for(&self, device: &DeviceKey) -> (Vec<(Lookup, &'static str)>, Option<String>) {
        let known = self.devices.get(device);
        let (wish, product) = known.map(|known| (known.wish.clone(), known.product.clone())).unwrap_or_default();
        let learned = self.learned.get(device).map(|codec: &std::sync::Arc<Codec>| codec.name.clone());
        (self.candidates(device, wish, product), learned)
    }
}

impl Codecs {
    /// What is considered as this device's codec, the first that is there being the one it has. The disk is looked at
    /// anew, on a thread where that holds nobody up.
    pub async fn considered(&self, device: &DeviceKey) -> Vec<Considered> {
        let (library, (candidates, learned)) = {
            let finder = lane::lock(&self.finder);
            (finder.library(), finder.asked_for(device))
        };
        let look = move || {
            let looked = candidates.into_iter().map(|(lookup, why)| (library.look_up(&lookup), lookup, why));
            looked.map(|(found, lookup, why)| considered(&found, &lookup, why)).collect::<Vec<_>>()
        };
        let mut all = tokio::task::spawn_blocking(look).await.unwrap_or_default();
        all.extend(learned.map(|name| Considered { name, source: Origin::Network, why: LEARNED, why_not: None }));
        let mut there = all.iter_mut().filter(|one| one.why_not.is_none());
        if let Some(chosen) = there.next().map(|chosen| chosen.name.clone()) {
            there.for_each(|one| one.why_not = Some(format!("`{chosen}` goes before")));
        }
        all
    }
}

fn considered(found: &Result<Option<Draft>, FindError>, lookup: &Lookup, why: &'static str) -> Considered {
    let source = match lookup {
        Lookup::Product(_) => Origin::Repository,
        Lookup::Entry(_) | Lookup::Named(_) => Origin::User,
    };
    let (name, source, why_not) = match found {
        Ok(Some(draft)) => (draft.name.clone(), draft.origin, None),
        Ok(None) => (lookup.to_string(), source, Some("there is none of that name".into())),
        Err(error) => (lookup.to_string(), source, Some(with_causes(error))),
    };
    Considered { name, source, why, why_not }
}
