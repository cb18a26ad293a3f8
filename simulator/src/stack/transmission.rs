//! Downlinks leave: in a class A receive window, or at any time in class C.

use std::sync::Arc;

use super::config::{Application, Class, Device};
use super::end_to_end::opened;
use super::faults::Fault;
use super::messages::{
    ApplicationDownlink, ApplicationUp, Body, DownlinkFailed, EndDeviceIds, Failure, QueueInvalidated, base64,
    correlation_id, now,
};
use super::queue::{Numbered, Window};
use super::radio::{DataFrame, max_payload};
use super::session::Session;
use super::shared::Shared;
use super::world::DeviceState;

/// Class C devices listen at RX2, which is SF9 in TTN's European plan.
const CONTINUOUS_SPREADING_FACTOR: u8 = 9;

/// The steps of a transmission that leave an id in `down/sent`.
const STEPS: [&str; 4] = [
    "gs:tx_ack",
    "ns:transmission",
    "rpc:/ttn.lorawan.v3.GsNs/ReportTxAcknowledgment",
    "rpc:/ttn.lorawan.v3.NsGs/ScheduleDownlink",
];

/// The device a message is about, its session, and what led to the message.
#[derive(Debug)]
pub struct Exchange {
    pub application: Arc<Application>,
    pub device: Arc<Device>,
    pub ids: EndDeviceIds,
    pub session_key_id: [u8; 16],
    pub correlation_ids: Vec<String>,
}

impl Exchange {
    /// `None` without a session.
    pub fn with(application: &Arc<Application>, state: &DeviceState, correlation_ids: Vec<String>) -> Option<Self> {
        Some(Self {
            application: application.clone(),
            device: state.device.clone(),
            ids: state.ids_in_session(&application.id),
            session_key_id: state.session.as_ref()?.key_id,
            correlation_ids,
        })
    }

    /// An event about a downlink: the outer ids are those of the item and of this exchange.
    fn message(&self, item: &Numbered, body: Body) -> ApplicationUp {
        let mut correlation_ids = item.downlink.correlation_ids.clone();
        correlation_ids.extend(self.correlation_ids.iter().cloned());
        correlation_ids.sort();
        ApplicationUp { end_device_ids: self.ids.clone(), correlation_ids, received_at: now(), body, simulated: false }
    }
}

impl Shared {
    /// A receive window opens: at most one frame goes out. `ack` if the uplink before it asked for an acknowledgement.
    pub fn answer(&self, about: &Exchange, limit: usize, ack: bool) -> Option<Vec<u8>> {
        let mac_commands = self.faults.spend(|fault| matches!(fault, Fault::MacCommands { .. })).is_some();
        let (session, window, empty) = {
            let mut world = self.world();
            let state = world.device(&about.application.id, &about.device.device_id).ok()?;
            // A device that joined again meanwhile does not listen for the old session any more.
            let session = state.session.clone().filter(|session| session.key_id == about.session_key_id)?;
            let window = match mac_commands {
                true => Window { pending: state.queue.waiting().next().is_some(), ..Window::default() },
                false => state.queue.window(limit, about.device.class),
            };
            let empty = (window.send.is_none() && (ack || mac_commands)).then(|| state.queue.count_empty_frame());
            (session, window, empty)
        };
        for item in &window.too_long {
            self.publish_failure(about, item, Failure::too_long(item.downlink.payload.len(), limit));
        }
        match &window.send {
            Some(item) => self.send(about, &session, item, FrameBits { ack, pending: window.pending }),
            None => {
                let (f_cnt, given_back) = empty?;
                self.publish_invalidated(about, f_cnt, &given_back);
                empty_frame(&session, f_cnt, FrameBits { ack, pending: window.pending })
            }
        }
    }

    /// Where senders number their downlinks, they are told of every number that the network took itself.
    fn publish_invalidated(&self, about: &Exchange, last_f_cnt_down: u32, given_back: &[Numbered]) {
        if about.device.end_to_end.is_none() {
            return;
        }
        let shown = |item: &Numbered| ApplicationDownlink::numbered(item, &about.session_key_id);
        let message = ApplicationUp {
            end_device_ids: about.ids.clone(),
            correlation_ids: about.correlation_ids.clone(),
            received_at: now(),
            body: Body::DownlinkQueueInvalidated(QueueInvalidated {
                downlinks: given_back.iter().map(shown).collect(),
                last_f_cnt_down,
                session_key_id: base64(&about.session_key_id),
            }),
            simulated: false,
        };
        self.publish(&about.application.uid(), &message);
    }

    /// Sends what waits for a class C device, as far as it may go now, to whoever listens as that device.
    pub fn send_continuously(&self, application_id: &str, device_id: &str) {
        while let Some(about) = self.ready_in_class_c(application_id, device_id) {
            let frame = self.answer(&about, max_payload(CONTINUOUS_SPREADING_FACTOR), false);
            let listener = self.world().device(application_id, device_id).ok().and_then(|state| state.listener.clone());
            if let (Some(frame), Some(listener)) = (frame, listener) {
                // A frame that nobody hears, or that comes too fast, is lost on the air.
                drop(listener.try_send(frame));
            }
        }
    }

    /// The exchange for the next class C transmission, if there is anything to transmit.
    fn ready_in_class_c(&self, application_id: &str, device_id: &str) -> Option<Exchange> {
        let mut world = self.world();
        let application = world.application(application_id)?.application.clone();
        let state = world.device(application_id, device_id).ok()?;
        let has_reported = state.session.as_ref()?.last_f_cnt_up.is_some();
        let ready = state.device.class == Class::C && has_reported && state.queue.is_ready(Class::C);
        ready.then(|| Exchange::with(&application, state, Vec::new())).flatten()
    }

    /// Hands one item to the gateway, which takes or refuses it.
    fn send(&self, about: &Exchange, session: &Session, item: &Numbered, bits: FrameBits) -> Option<Vec<u8>> {
        let mut correlation_ids = item.downlink.correlation_ids.clone();
        correlation_ids.extend(about.correlation_ids.iter().cloned());
        correlation_ids.extend(STEPS.map(correlation_id));
        correlation_ids.sort();
        let downlink = ApplicationDownlink::sent(item, &about.session_key_id, correlation_ids.clone());
        let refusal = self.faults.spend(|fault| matches!(fault, Fault::TransmissionRefused { .. }));
        let (body, bytes) = match refusal {
            Some(Fault::TransmissionRefused { result, .. }) => {
                let mut world = self.world();
                world.device(&about.application.id, &about.device.device_id).ok()?.queue.refused();
                let error = Failure::transmission(result);
                (Body::DownlinkFailed(DownlinkFailed { downlink, error }), None)
            }
            _ => (Body::DownlinkSent(downlink), data_frame(session, &about.device, item, bits)),
        };
        let message = ApplicationUp { correlation_ids, ..about.message(item, body) };
        self.publish(&about.application.uid(), &message);
        bytes
    }

    /// Publishes an event about a downlink.
    pub fn publish_about(&self, about: &Exchange, item: &Numbered, body: Body) {
        self.publish(&about.application.uid(), &about.message(item, body));
    }

    /// A downlink failed in a server: told without the session's address.
    pub fn publish_failure(&self, about: &Exchange, item: &Numbered, error: Failure) {
        let downlink = ApplicationDownlink::numbered(item, &about.session_key_id);
        let mut message = about.message(item, Body::DownlinkFailed(DownlinkFailed { downlink, error }));
        message.end_device_ids.dev_addr = None;
        message.correlation_ids.clone_from(&item.downlink.correlation_ids);
        self.publish(&about.application.uid(), &message);
    }
}

/// What a downlink's header says besides its numbers.
#[derive(Debug, Clone, Copy)]
struct FrameBits {
    ack: bool,
    pending: bool,
}

fn data_frame(session: &Session, device: &Device, item: &Numbered, bits: FrameBits) -> Option<Vec<u8>> {
    let mut header = session.downlink_header(item.f_cnt, bits.ack, bits.pending);
    header.confirmed = item.downlink.confirmed;
    let payload = match device.end_to_end {
        Some(_) => opened(session, item.f_cnt, &item.downlink.payload),
        None => item.downlink.payload.clone(),
    };
    DataFrame { header, f_port: Some(item.downlink.f_port), payload }.seal(&session.keys).ok()
}

/// A frame that only carries the acknowledgement of a confirmed uplink, or would carry MAC commands: those have no meaning
/// for a simulated node.
fn empty_frame(session: &Session, f_cnt: u32, bits: FrameBits) -> Option<Vec<u8>> {
    let header = session.downlink_header(f_cnt, bits.ack, bits.pending);
    DataFrame { header, f_port: None, payload: Vec::new() }.seal(&session.keys).ok()
}
