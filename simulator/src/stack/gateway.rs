//! The network's side of the air: joins and uplinks, and what they cause.

use super::end_to_end::{KeyEnvelope, SealedUplink};
use super::messages::{
    ApplicationDownlink, ApplicationUp, Body, EndDeviceIds, Failure, JoinAccept, base64, correlation_id, now,
};
use super::queue::{DEFAULT_MAX_ATTEMPTS, Numbered, Receipt};
use super::radio::{DataFrame, RadioFrame};
use super::session::JoinRequest;
use super::shared::Shared;
use super::transmission::Exchange;
use super::world::DeviceState;

/// RX1 delay in whole seconds that a JoinAccept announces; a simulated node does not keep time by it.
const ANNOUNCED_DELAY: u8 = 5;

/// An uplink that was taken, on its way to the application.
#[derive(Debug)]
pub struct Received {
    pub about: Exchange,
    pub data: DataFrame,
    /// The Network Server's time.
    pub received_at: String,
    pub locations_loaded: bool,
    /// As the network sees its payload, if it cannot read it.
    pub sealed: Option<SealedUplink>,
    receipt: Option<Receipt>,
}

/// A session that has begun.
struct Activated {
    uid: String,
    ids: EndDeviceIds,
    session_key_id: String,
    app_s_key: Option<KeyEnvelope>,
    invalidated_downlinks: Vec<ApplicationDownlink>,
    accept: Vec<u8>,
}

impl Shared {
    /// See [`StackHandle::transmit`](super::StackHandle::transmit).
    pub async fn transmit(&self, frame: RadioFrame) -> Option<Vec<u8>> {
        match JoinRequest::parse(&frame.phy_payload) {
            Some(request) => self.join(request).await,
            None => self.uplink(frame).await,
        }
    }

    async fn join(&self, request: JoinRequest) -> Option<Vec<u8>> {
        let received_at = now();
        let Activated { uid, ids, session_key_id, app_s_key, invalidated_downlinks, accept } =
            self.activate(&request)?;
        tokio::time::sleep(self.config.receive_delay).await;
        let message = ApplicationUp {
            end_device_ids: ids,
            correlation_ids: uplink_correlation_ids(),
            received_at: now(),
            body: Body::JoinAccept(JoinAccept { session_key_id, app_s_key, invalidated_downlinks, received_at }),
            simulated: false,
        };
        self.publish(&uid, &message);
        Some(accept)
    }

    /// Checks a join request and starts the session.
    fn activate(&self, request: &JoinRequest) -> Option<Activated> {
        let mut world = self.world();
        let (application, device) = world
            .devices_mut()
            .find(|(_, state)| state.device.dev_eui == request.dev_eui && state.device.join_eui == request.join_eui)?;
        let app_key = device.device.app_key;
        if !request.is_signed_with(app_key) || !device.used_nonces.insert(request.dev_nonce) {
            tracing::debug!(device = device.device.device_id, "Join request refused.");
            return None;
        }
        let (accept, session) = request.accept(app_key, ANNOUNCED_DELAY);
        let session_key_id = base64(&session.key_id);
        let app_s_key = device.device.end_to_end.as_ref().map(|kek| kek.wrap(&session));
        let old = device.session.replace(session).map(|old| old.key_id).unwrap_or_default();
        let given_back = device.queue.rejoin();
        device.activated_at = Some(now());
        Some(Activated {
            uid: application.uid(),
            ids: device.ids_in_session(&application.id),
            session_key_id,
            app_s_key,
            invalidated_downlinks: given_back.iter().map(|item| ApplicationDownlink::numbered(item, &old)).collect(),
            accept,
        })
    }

    async fn uplink(&self, frame: RadioFrame) -> Option<Vec<u8>> {
        let received = self.receive(&frame)?;
        tokio::time::sleep(self.config.deduplication).await;
        self.publish(&received.about.application.uid(), &received.uplink_message(&frame));
        self.publish_receipt(&received);
        let confirmed = received.data.header.confirmed;
        if !confirmed {
            // Nothing obliges the network to answer yet, so what is pushed until the window opens still goes out in it.
            tokio::time::sleep(self.config.receive_delay.saturating_sub(self.config.deduplication)).await;
        }
        let answer = self.answer(&received.about, frame.downlink_limit(), confirmed);
        self.send_continuously(&received.about.application.id, &received.about.device.device_id);
        answer
    }

    /// Takes a data uplink if it belongs to a session, passes its MIC and is new.
    fn receive(&self, frame: &RadioFrame) -> Option<Received> {
        let dev_addr = DataFrame::dev_addr(&frame.phy_payload).ok()?;
        let mut world = self.world();
        let in_session = |state: &DeviceState| state.session.as_ref().is_some_and(|known| known.dev_addr == dev_addr);
        world.devices_mut().filter(|(_, state)| in_session(state)).find_map(|(application, state)| {
            let session = state.session.as_mut()?;
            let data = session.take_uplink(&frame.phy_payload).ok()?;
            let (kek, last_given) = (&state.device.end_to_end, state.queue.last_given());
            let carries = data.f_port.is_some_and(|port| port != 0);
            let sealed = kek.as_ref().filter(|_| carries).map(|kek| kek.seal(session, frame, last_given));
            state.last_seen_at = Some(now());
            Some(Received {
                sealed,
                about: Exchange::with(application, state, uplink_correlation_ids())?,
                receipt: state.queue.uplink_arrived(data.header.ack),
                data,
                received_at: now(),
                locations_loaded: std::mem::replace(&mut state.locations_loaded, true),
            })
        })
    }

    /// Says what the uplink revealed about the confirmed downlink before it. A failure is told before its `nack`, as on
    /// the real one.
    fn publish_receipt(&self, received: &Received) {
        let about = &received.about;
        let shown = |item: &Numbered| ApplicationDownlink::numbered(item, &about.session_key_id);
        match &received.receipt {
            None => {}
            Some(Receipt::Acknowledged(item)) => self.publish_about(about, item, Body::DownlinkAck(shown(item))),
            Some(Receipt::Missed(item)) => self.publish_about(about, item, Body::DownlinkNack(shown(item))),
            Some(Receipt::GivenUp(item)) => {
                let max = item.downlink.retry.and_then(|retry| retry.max_attempts).unwrap_or(DEFAULT_MAX_ATTEMPTS);
                self.publish_failure(about, item, Failure::max_retries_reached(max));
                self.publish_about(about, item, Body::DownlinkNack(shown(item)));
            }
        }
    }
}

fn uplink_correlation_ids() -> Vec<String> {
    const STEPS: [&str; 3] =
        ["gs:uplink", "rpc:/ttn.lorawan.v3.GsNs/HandleUplink", "rpc:/ttn.lorawan.v3.NsAs/HandleUplink"];
    STEPS.map(correlation_id).into()
}
