//! End-to-end encryption: payloads that the network carries and cannot read.
//!
//! A Join Server may wrap a session's AppSKey with a key that the network does not have. Then uplinks come encrypted, with
//! the wrapped key beside them, and what the network does for other devices is done here: downlinks are encrypted under a
//! frame counter of our own giving; those that it gives back, because the counter went on without them or the session
//! changed, are numbered and encrypted anew; and what was not acknowledged is not sent again by itself.
//!
//! - [`cipher`]: the payload cipher; [`keys`]: what the user configured, and how a session's key is unwrapped.
//! - [`news`]: what a message says of a session; [`sessions`]: what is known of a device's sessions, and its counters.

mod cipher;
mod keys;
mod news;
mod sessions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

pub use cipher::{AppSKey, DevAddr, Direction};
pub use keys::{InvalidKey, Keys, NoKey, check_app_s_key, check_kek};
pub use news::{Numbered, subject};

use super::downlinks::{Downlinks, push_error};
use super::json::Envelope;
use crate::model::{
    ApplicationName, DeviceId, DeviceKey, DeviceNotes, DownlinkEvent, DownlinkHappening, Failure, QueuedDownlink,
    Uplink,
};
use crate::network::{Budget, PushError};
use crate::telemetry::{Notice, Notices, WeakNotices};
use news::{News, Payloads};
use sessions::Sessions;

/// How often one push is made to fit what the network says of its session.
const MOST_CORRECTIONS: usize = 4;
/// The wait before a push is tried again whose counter could not be stored, or that never fitted.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The encrypted devices of one application.
pub struct EndToEnd {
    application: ApplicationName,
    keys: Keys,
    devices: Mutex<Devices>,
    notes: Arc<dyn DeviceNotes>,
    /// Held from reading what is to be noted until its place among the notes is sure: an older note that came later would
    /// take counters back that were given out.
    writing: tokio::sync::Mutex<()>,
    /// Whoever tells notices holds the server too, and stops only when nobody can give any more.
    notices: WeakNotices,
}

#[derive(Default)]
struct Devices {
    sessions: BTreeMap<DeviceId, Sessions>,
    /// Those whose missing key was told.
    told: BTreeSet<DeviceId>,
}

/// A downlink's payload as the network gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub payload: Vec<u8>,
    pub f_cnt: u32,
    pub session_key_id: String,
}

impl EndToEnd {
    /// `restored`: the notes that were kept.
    pub fn new(
        application: ApplicationName,
        keys: Keys,
        restored: impl IntoIterator<Item = (DeviceId, String)>,
        notes: Arc<dyn DeviceNotes>,
        notices: &Notices,
    ) -> Self {
        let read = |(device, body): (DeviceId, String)| match serde_json::from_str(&body) {
            Ok(sessions) => Some((device, sessions)),
            Err(error) => {
                tracing::error!(%device, %error, "The stored sessions of a device cannot be read; its next uplink tells.");
                None
            }
        };
        let sessions = restored.into_iter().filter_map(read).collect();
        let devices = Mutex::new(Devices { sessions, told: BTreeSet::new() });
        let writing = tokio::sync::Mutex::default();
        Self { application, keys, devices, notes, writing, notices: notices.downgrade() }
    }

    /// Writes down what is known of a device's sessions.
    pub async fn note(&self, device: &DeviceId) {
        let _turn = self.writing.lock().await;
        self.notes.note(self.key(device), self.body(device)).await;
    }

    /// Takes what a message that has just come says of its device's sessions. Returns whether it is to be noted.
    pub fn learn(&self, device: &DeviceId, envelope: &Envelope<'_>) -> bool {
        let Some(news) = News::of(envelope) else { return false };
        let encrypted = matches!(news.payloads, Some(Payloads::Encrypted(_)));
        let mut devices = self.lock();
        if !encrypted && !self.keys.may_concern(device) && !devices.sessions.contains_key(device) {
            return false;
        }
        devices.sessions.entry(device.clone()).or_default().note(news)
    }

    /// The key of an encrypted uplink, and the address it was sent from; `None` if it is not encrypted.
    pub fn key_of(&self, device: &DeviceId, envelope: &Envelope<'_>) -> Option<Result<(AppSKey, DevAddr), NoKey>> {
        let app_s_key = envelope.uplink_message.as_ref()?.app_s_key?;
        let Payloads::Encrypted(wrapped) = Payloads::of(Some(app_s_key)) else { return None };
        let dev_addr = news::dev_addr(&envelope.end_device_ids).ok_or(NoKey::Malformed);
        Some(self.keys.session_key(device, &wrapped).and_then(|key| Ok((key, dev_addr?))))
    }

    /// Tells, once a device, why its uplinks stay encrypted.
    pub fn tell(&self, device: &DeviceId, missing: &NoKey) {
        if !self.lock().told.insert(device.clone()) {
            return;
        }
        let hint = match missing {
            NoKey::Unknown(label) | NoKey::Wrong(label) => format!(
                "in [[application]] `{}`: kek = [{{ label = \"{label}\", key_file = \"…\" }}]",
                self.application
            ),
            NoKey::Malformed => format!("in [[device]] `{device}`: app_s_key_file = \"…\""),
        };
        let what = format!("uplinks of `{device}` stay encrypted: {missing}");
        self.notices.tell(Notice::Degraded { application: self.application.clone(), what, hint });
    }

    /// The downlinks of ours that a message gives back: to be pushed again, under another counter or in another session.
    pub fn given_back(&self, key: &DeviceKey, at: Timestamp, envelope: &Envelope<'_>) -> Vec<DownlinkEvent> {
        let told = news::given_back(envelope);
        if told.is_empty() {
            return Vec::new();
        }
        let devices = self.lock();
        let sessions = devices.sessions.get(&key.device);
        let event = |told: Numbered| {
            let happening = match sessions.and_then(|sessions| sessions.is_last_push(&told)) {
                Some(true) => DownlinkHappening::GivenBack,
                // It was pushed again since.
                Some(false) => return None,
                None => DownlinkHappening::Dropped(given_back_failure()),
            };
            Some(DownlinkEvent { key: key.clone(), id: Some(told.id), happening, at })
        };
        told.into_iter().filter_map(event).collect()
    }

    /// These are about to be pushed again: told of once more, their last push must not end the one that follows.
    pub fn forget(&self, given_back: &[DownlinkEvent]) {
        let mut devices = self.lock();
        for DownlinkEvent { key, id, .. } in given_back {
            if let (Some(sessions), Some(id)) = (devices.sessions.get_mut(&key.device), id) {
                sessions.forget(id);
            }
        }
    }

    /// What an event of a downlink means where the network leaves repeating to us; `None` if it is of an earlier push and
    /// means nothing any more.
    pub fn interpret(&self, event: DownlinkEvent, subject: Option<&Numbered>) -> Option<DownlinkEvent> {
        let devices = self.lock();
        let (Some(sessions), Some(told)) = (devices.sessions.get(&event.key.device), subject) else {
            return Some(event);
        };
        let outdated = sessions.is_last_push(told) == Some(false);
        match event.happening {
            DownlinkHappening::Nacked { .. } if sessions.is_encrypted(told.session.as_deref()) => {
                (!outdated).then_some(DownlinkEvent { happening: DownlinkHappening::NotRepeated, ..event })
            }
            DownlinkHappening::Queued | DownlinkHappening::Dropped(_) => (!outdated).then_some(event),
            _ => Some(event),
        }
    }

    /// Pushes downlinks: encrypted if the device's payloads are, as they are if they are not.
    pub async fn push(
        &self,
        downlinks: &Downlinks,
        device: &DeviceId,
        items: &[QueuedDownlink],
    ) -> Result<Budget, PushError> {
        for _ in 0..MOST_CORRECTIONS {
            let Some(sealed) = self.seal(device, items).await? else { return downlinks.push(device, items).await };
            let session = sealed.first().map(|sealed| sealed.session_key_id.clone()).unwrap_or_default();
            match downlinks.push_sealed(device, items, sealed).await {
                Err(error) if self.corrected(device, &session, &error) => {}
                result => return result.map_err(push_error),
            }
        }
        let why = "the network's frame counter runs ahead of every push".into();
        Err(PushError::NotNow { why, retry_after: AGAIN_AFTER })
    }

    /// Encrypts payloads under counters that are on the disk before anyone sees them; `None` if the network is to do it.
    async fn seal(&self, device: &DeviceId, items: &[QueuedDownlink]) -> Result<Option<Vec<Sealed>>, PushError> {
        let Some(sealed) = self.sealed(device, items)? else { return Ok(None) };
        let not_now = |why| PushError::NotNow {
            why: format!("its frame counter cannot be stored: {why}"),
            retry_after: AGAIN_AFTER,
        };
        let turn = self.writing.lock().await;
        let kept = self.notes.keep(self.key(device), self.body(device)).await;
        drop(turn);
        kept.await.map_err(not_now)?;
        Ok(Some(sealed))
    }

    fn sealed(&self, device: &DeviceId, items: &[QueuedDownlink]) -> Result<Option<Vec<Sealed>>, PushError> {
        let mut devices = self.lock();
        let known = devices.sessions.get_mut(device).and_then(|sessions| Some((sessions.current()?.clone(), sessions)));
        let (session, sessions) = match known {
            Some(known) => known,
            // Sent in the clear, the network would read what it may not: the device's next message tells.
            None if self.keys.may_concern(device) => return Err(PushError::NoSession),
            None => return Ok(None),
        };
        let wrapped = match &session.payloads {
            Payloads::Encrypted(wrapped) => wrapped,
            Payloads::Plain if !self.keys.is_own(device) => return Ok(None),
            Payloads::Plain | Payloads::Disclosed => return Err(PushError::Refused(in_the_clear())),
        };
        let key = self.keys.session_key(device, wrapped).map_err(|missing| PushError::Refused(no_key(&missing)))?;
        let dev_addr = session.dev_addr.ok_or(PushError::NoSession)?;
        let seal = |item: &QueuedDownlink| {
            let f_cnt = sessions.number(&item.id).ok_or(PushError::NoSession)?;
            let mut payload = item.payload.clone();
            key.apply(Direction::Down, dev_addr, f_cnt, &mut payload);
            Ok(Sealed { payload, f_cnt, session_key_id: session.id.clone() })
        };
        items.iter().map(seal).collect::<Result<_, _>>().map(Some)
    }

    /// Whether another try may fit, after what the network said of this one in `session`.
    fn corrected(&self, device: &DeviceId, session: &str, error: &super::ApiError) -> bool {
        let super::ApiError::Refused(refusal) = error else { return false };
        let named = refusal.session.session_key_id.as_deref();
        let misfit = match refusal.name.as_str() {
            "f_cnt_too_low" => true,
            "unknown_session" => named.is_some_and(|named| named != session),
            _ => false,
        };
        let mut devices = self.lock();
        misfit && devices.sessions.get_mut(device).is_some_and(|sessions| sessions.corrected(&refusal.session))
    }

    /// What is to be written down of a device.
    fn body(&self, device: &DeviceId) -> String {
        let sessions = self.lock().sessions.get(device).cloned().unwrap_or_default();
        serde_json::to_string(&sessions).expect("our own types have string keys and always serialise")
    }

    fn key(&self, device: &DeviceId) -> DeviceKey {
        DeviceKey::new(&self.application, device.clone())
    }

    /// Never held over an await. A panic elsewhere leaves nothing half done in here.
    fn lock(&self) -> MutexGuard<'_, Devices> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The note to go on with after one came back from a backup, given the one that counted until then, if there was one. No
/// frame counter that may have been given out since is given out again.
pub fn resumed(backup: &str, here: Option<&str>) -> String {
    let read = |body: &str| serde_json::from_str::<Sessions>(body).ok();
    match read(backup) {
        Some(sessions) => {
            let sessions = sessions.resumed(here.and_then(read));
            serde_json::to_string(&sessions).expect("our own types have string keys and always serialise")
        }
        // No sessions of ours; whoever reads it later says so.
        None => backup.to_owned(),
    }
}

/// Decrypts an uplink in place.
pub fn open(uplink: &mut Uplink, (key, dev_addr): &(AppSKey, DevAddr)) {
    let mut payload = uplink.payload.to_vec();
    key.apply(Direction::Up, *dev_addr, uplink.f_cnt, &mut payload);
    uplink.payload = Bytes::from(payload);
    uplink.encrypted = false;
}

fn no_key(missing: &NoKey) -> Failure {
    let message = format!("payloads of this device are encrypted end to end, and {missing}");
    Failure { name: "no_key".into(), message }
}

/// Whoever gave a key, or had payloads encrypted, does not want the network to read them.
fn in_the_clear() -> Failure {
    let message = "payloads of this device are to be encrypted end to end, and the network has them in the clear: nothing \
                   goes out that it could read, until the device joins again";
    Failure { name: "not_encrypted".into(), message: message.into() }
}

fn given_back_failure() -> Failure {
    Failure { name: "given_back".into(), message: "the network gave it back unsent".into() }
}

#[cfg(test)]
mod tests;
