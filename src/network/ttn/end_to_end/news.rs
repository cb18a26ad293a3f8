//! What a message of the network says of its device's session, and of downlinks that the network gave back.

use super::cipher::DevAddr;
use super::keys::KeyEnvelope;
use crate::model::DownlinkId;
use crate::network::ttn::json::{Downlink, Envelope, Ids, Integer};
use crate::network::ttn::messages::our_id;

/// What one message says of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// The network's id of the session's keys.
    pub session: String,
    pub dev_addr: Option<DevAddr>,
    /// The session begins or is in use: the message is an uplink or a join. Else it only counts downlinks.
    pub in_use: bool,
    /// How payloads travel in it, if the message tells.
    pub payloads: Option<Payloads>,
    /// A frame counter that a downlink has used up.
    pub f_cnt_down: u32,
}

/// How the payloads of a session travel.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payloads {
    /// In the clear: the network itself encrypts and decrypts.
    Plain,
    /// Encrypted end to end.
    Encrypted(KeyEnvelope),
    /// Encrypted when they were first heard, and later in the clear: somebody on the way can read them now.
    Disclosed,
}

/// A downlink that was pushed, by what the network knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    pub id: DownlinkId,
    pub session: Option<String>,
    pub f_cnt: Option<u32>,
}

impl News {
    /// `None`: nothing is said of any session.
    pub fn of(envelope: &Envelope<'_>) -> Option<Self> {
        let dev_addr = dev_addr(&envelope.end_device_ids);
        let news = |session: &Option<_>| {
            let session = AsRef::<str>::as_ref(session.as_ref()?).to_owned();
            Some(Self { session, dev_addr, in_use: false, payloads: None, f_cnt_down: 0 })
        };
        if let Some(up) = envelope.uplink_message.as_ref().filter(|_| !envelope.simulated) {
            // A frame without a payload tells nothing about payloads, unless a key is beside it.
            let told = up.app_s_key.is_some() || up.f_port != Integer(0) && !up.frm_payload.is_empty();
            let payloads = told.then(|| Payloads::of(up.app_s_key));
            return Some(Self {
                in_use: true,
                payloads,
                f_cnt_down: count(up.last_a_f_cnt_down),
                ..news(&up.session_key_id)?
            });
        }
        if let Some(join) = &envelope.join_accept {
            let payloads = Some(Payloads::of(join.app_s_key));
            return Some(Self { in_use: true, payloads, ..news(&join.session_key_id)? });
        }
        if let Some(lost) = &envelope.downlink_queue_invalidated {
            return Some(Self { f_cnt_down: count(lost.last_f_cnt_down), ..news(&lost.session_key_id)? });
        }
        let taken =
            [&envelope.downlink_queued, &envelope.downlink_sent, &envelope.downlink_ack, &envelope.downlink_nack];
        let down = taken.into_iter().flatten().next()?;
        Some(Self { f_cnt_down: down.f_cnt.map_or(0, count), ..news(&down.session_key_id)? })
    }
}

impl Payloads {
    /// What stands at `app_s_key`, if anything does. What cannot be read is a key that opens nothing.
    pub fn of(app_s_key: Option<&serde_json::value::RawValue>) -> Self {
        match app_s_key {
            Some(envelope) => Self::Encrypted(serde_json::from_str(envelope.get()).unwrap_or_default()),
            None => Self::Plain,
        }
    }
}

/// Our downlinks that the network gave back unsent with this message.
pub fn given_back(envelope: &Envelope<'_>) -> Vec<Numbered> {
    let after_join = envelope.join_accept.iter().flat_map(|join| &join.invalidated_downlinks);
    let overtaken = envelope.downlink_queue_invalidated.iter().flat_map(|lost| &lost.downlinks);
    after_join.chain(overtaken).filter_map(numbered).collect()
}

/// Our downlink that the event is about.
pub fn subject(envelope: &Envelope<'_>) -> Option<Numbered> {
    let failed = envelope.downlink_failed.as_ref().map(|failed| &failed.downlink);
    let queued = envelope.downlink_queued.as_ref();
    numbered(queued.or(envelope.downlink_nack.as_ref()).or(failed)?)
}

/// The address of the message's device, in its present session.
pub fn dev_addr(ids: &Ids<'_>) -> Option<DevAddr> {
    let mut bytes = [0; 4];
    hex::decode_to_slice(ids.dev_addr.as_deref()?, &mut bytes).ok().map(|()| bytes)
}

fn numbered(down: &Downlink<'_>) -> Option<Numbered> {
    let id = our_id(&down.correlation_ids)?;
    Some(Numbered { id, session: down.session_key_id.as_deref().map(str::to_owned), f_cnt: down.f_cnt.map(count) })
}

fn count(number: Integer) -> u32 {
    u32::try_from(number.0).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(name: &str, of: impl FnOnce(&Envelope<'_>) -> T) -> T {
        let path = format!("{}/tests/fixtures/tts/{name}.json", env!("CARGO_MANIFEST_DIR"));
        of(&serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    }

    fn news(name: &str) -> Option<News> {
        read(name, News::of)
    }

    #[test]
    fn an_encrypted_uplink_tells_all_of_its_session() {
        let news = news("uplink-e2e-encrypted").unwrap();
        assert_eq!((news.session.as_str(), news.f_cnt_down, news.in_use), ("AaH7f3QJejZ9Wl95EbeojQ==", 2, true));
        assert_eq!(news.dev_addr, Some([0x26, 0x23, 0xFE, 0xF9]));
        let Some(Payloads::Encrypted(envelope)) = news.payloads else { panic!("it is encrypted") };
        assert_eq!(envelope.encrypted_key, "eJkVr7fJ96fsKoGbmP41vtdY1V0tMDkL");
    }

    #[test]
    fn uplinks_and_joins_in_the_clear_say_so_and_what_has_no_payload_or_session_says_nothing() {
        assert_eq!(news("uplink-full").unwrap().payloads, Some(Payloads::Plain));
        assert_eq!(news("join").unwrap().payloads, Some(Payloads::Plain));
        for empty in ["uplink-no-f_port", "uplink-empty-frm_payload"] {
            assert_eq!(news(empty).unwrap().payloads, None, "{empty}");
        }
        for nothing in ["uplink-simulated", "location-solved", "down-queued-raw"] {
            assert_eq!(news(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn downlinks_and_what_took_their_numbers_are_counted() {
        for (name, counted) in [("down-sent", 1), ("down-ack", 3), ("down-invalidated-e2e", 11)] {
            let news = news(name).unwrap();
            assert_eq!((news.f_cnt_down, news.in_use, news.payloads), (counted, false, None), "{name}");
        }
    }

    #[test]
    fn of_what_the_network_gives_back_only_ours_counts() {
        assert_eq!(read("join-e2e-app_s_key-invalidated_downlinks", given_back), []);
        let ours = r#"{"downlink_queue_invalidated":{"downlinks":[{"session_key_id":"a","f_cnt":3,
            "correlation_ids":["ferry:mine"]},{"session_key_id":"a","f_cnt":4,"correlation_ids":["theirs"]}]}}"#;
        let back = given_back(&serde_json::from_str(ours).unwrap());
        let id = DownlinkId::parse("mine").unwrap();
        assert_eq!(back, [Numbered { id, session: Some("a".into()), f_cnt: Some(3) }]);
    }
}
