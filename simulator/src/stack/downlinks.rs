//! Push, replace and list: what the Application Server does with a downlink request, whichever face brought it.

use super::archive::Event;
use super::messages::{ApplicationDownlink, ApplicationUp, Body, DownlinkFailed, EndDeviceIds, Failure};
use super::messages::{base64, correlation_id, now};
use super::queue::{Downlink, Refused};
use super::radio::MAX_PAYLOAD;
use super::requests::{self, Face, Refusal};
use super::shared::Shared;
use super::world::DeviceState;

/// What to do with the items that wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Push,
    Replace,
}

/// A request for one device.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub application_id: &'a str,
    pub device_id: &'a str,
    pub operation: Operation,
    pub face: Face,
    pub body: &'a [u8],
    /// A fault pretends that the device's queue is full.
    pub full: bool,
}

impl Shared {
    /// Queues all of a request's items or none, and publishes what became of them.
    ///
    /// What the request's validation refuses leaves no trace on MQTT; what is refused after it (no port, no session, too
    /// long, queue full) is also published as `down/failed`.
    pub fn queue_downlinks(&self, request: Request<'_>) -> Result<(), Refusal> {
        let mut items = requests::parse(request.body, request.face)?;
        self.name_items(&mut items, request);
        let (uid, ids, outcome) = {
            let mut world = self.world();
            let device = world.device(request.application_id, request.device_id)?;
            let ids = device.ids(request.application_id);
            if device.device.end_to_end.is_none() {
                // The Application Server gives these itself.
                items.iter_mut().for_each(|item| (item.f_cnt, item.session_key_id) = (None, None));
            }
            let outcome =
                if request.full { Err(Failure::queue_capacity()) } else { enqueue(device, &items, request.operation) };
            let registered = world.application(request.application_id);
            (registered.map(|known| known.application.uid()).unwrap_or_default(), ids, outcome)
        };
        for item in &items {
            self.archive.events().publish(Event::received(&ids, ApplicationDownlink::queued(item)));
        }
        for item in &items {
            self.publish(&uid, &announcement(&ids, item, outcome.as_ref().err()));
        }
        self.send_continuously(request.application_id, request.device_id);
        Ok(outcome?)
    }

    /// What waits for a device in its present session.
    pub fn list_queue(&self, application_id: &str, device_id: &str) -> Result<Vec<ApplicationDownlink>, Failure> {
        let mut world = self.world();
        let device = world.device(application_id, device_id)?;
        let session = device.session.as_ref().ok_or_else(Failure::no_device_session)?;
        Ok(device.queue.waiting().map(|item| ApplicationDownlink::numbered(&item, &session.key_id)).collect())
    }

    /// Every item gets an id of its own; those of one HTTP request share that request's.
    fn name_items(&self, items: &mut [Downlink], request: Request<'_>) {
        let operation = match request.operation {
            Operation::Push => "DownlinkQueuePush",
            Operation::Replace => "DownlinkQueueReplace",
        };
        let call = correlation_id(&format!("rpc:/ttn.lorawan.v3.AppAs/{operation}"));
        for item in items {
            item.correlation_ids.push(correlation_id("as:downlink"));
            if request.face == Face::Http {
                item.correlation_ids.push(call.clone());
            }
            item.correlation_ids.sort();
        }
    }
}

fn enqueue(device: &mut DeviceState, items: &[Downlink], operation: Operation) -> Result<(), Failure> {
    let session = device.session.clone().ok_or_else(Failure::no_device_session)?;
    let session_key_id = base64(&session.key_id);
    let hint = |failure: Failure, min| failure.with_session(session.dev_addr, &session_key_id, min);
    if items.iter().any(|item| item.session_key_id.as_ref().is_some_and(|id| *id != session_key_id)) {
        return Err(hint(Failure::unknown_session(), device.queue.min_f_cnt()));
    }
    if items.iter().any(|item| item.f_port == 0) {
        return Err(Failure::no_f_port());
    }
    if let Some(item) = items.iter().find(|item| item.payload.len() > MAX_PAYLOAD) {
        return Err(Failure::too_long(item.payload.len(), MAX_PAYLOAD));
    }
    let queued = match operation {
        Operation::Push => device.queue.push(items.to_vec()),
        Operation::Replace => device.queue.replace(items.to_vec()),
    };
    queued.map_err(|refused| match refused {
        Refused::Full => Failure::queue_capacity(),
        Refused::FCntTooLow { f_cnt, min } => hint(Failure::f_cnt_too_low(f_cnt, min), min),
    })
}

fn announcement(ids: &EndDeviceIds, item: &Downlink, failure: Option<&Failure>) -> ApplicationUp {
    let downlink = ApplicationDownlink::queued(item);
    ApplicationUp {
        end_device_ids: ids.clone(),
        correlation_ids: item.correlation_ids.clone(),
        received_at: now(),
        body: match failure {
            None => Body::DownlinkQueued(downlink),
            Some(error) => Body::DownlinkFailed(DownlinkFailed { downlink, error: error.clone() }),
        },
        simulated: false,
    }
}
