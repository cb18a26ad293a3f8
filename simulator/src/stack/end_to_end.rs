//! End-to-end encryption: a device whose application key the network does not know, as when a Join Server wraps it with a
//! key of the application's owner.
//!
//! The look-alike's gateway does know it, for it stands in for the Join Server too; what leaves by MQTT and HTTP is what a
//! network without the key could say.

use aes_kw::KekAes128;
use serde::Serialize;

use super::messages::base64;
use super::radio::{DataFrame, RadioFrame, sealed_payload};
use super::session::Session;

/// The key with which the Join Server wraps a device's session keys (RFC 3394).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kek {
    /// `as/mykek`
    pub label: String,
    pub key: [u8; 16],
}

/// A wrapped session key, as messages carry it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyEnvelope {
    pub kek_label: String,
    /// Base64
    pub encrypted_key: String,
}

/// An uplink's payload as the network sees it.
#[derive(Debug)]
pub struct SealedUplink {
    pub payload: Vec<u8>,
    pub app_s_key: KeyEnvelope,
    pub last_a_f_cnt_down: u32,
}

impl Kek {
    pub fn wrap(&self, session: &Session) -> KeyEnvelope {
        let mut wrapped = [0; 24];
        let kek = KekAes128::from(self.key);
        kek.wrap(session.keys.application.as_ref(), &mut wrapped)
            .expect("a wrapped key is 8 bytes longer than the key");
        KeyEnvelope { kek_label: self.label.clone(), encrypted_key: base64(&wrapped) }
    }

    pub fn seal(&self, session: &Session, frame: &RadioFrame, last_a_f_cnt_down: u32) -> SealedUplink {
        let payload = sealed_payload(&frame.phy_payload).to_vec();
        SealedUplink { payload, app_s_key: self.wrap(session), last_a_f_cnt_down }
    }
}

/// What the application on the device will read of an encrypted downlink.
pub fn opened(session: &Session, f_cnt: u32, payload: &[u8]) -> Vec<u8> {
    let header = session.downlink_header(f_cnt, false, false);
    // The payload cipher adds a stream to the payload (LoRaWAN 1.0.3, 4.3.3): zeros come out as the stream itself.
    let zeros = DataFrame { header, f_port: Some(1), payload: vec![0; payload.len()] };
    let stream = zeros.seal(&session.keys).unwrap_or_default();
    payload.iter().zip(sealed_payload(&stream)).map(|(byte, key)| byte ^ key).collect()
}

#[cfg(test)]
mod tests {
    use lorawan::keys::{AppSKey, NewSKey};

    use super::super::radio::SessionKeys;
    use super::*;

    fn session(application: [u8; 16]) -> Session {
        let keys = SessionKeys { network: NewSKey::from([7; 16]), application: AppSKey::from(application) };
        Session { key_id: [1; 16], dev_addr: [0x26, 0x00, 0x12, 0x34], keys, last_f_cnt_up: None }
    }

    /// Observed on The Things Stack 3.32 with this key.
    #[test]
    fn a_session_key_is_wrapped_as_the_join_server_does() {
        let kek = Kek { label: "as/mykek".into(), key: std::array::from_fn(|index| 0x20 + index as u8) };
        let key: [u8; 16] = hex::decode("C5A4B2EBC7E78200EF51CEA85F72EA3D").unwrap().try_into().unwrap();
        assert_eq!(kek.wrap(&session(key)).encrypted_key, "zjEUI8F5vFWZN1NJjxFfn2PfYmf7xKVM");
    }

    /// A vector made with an independent implementation of LoRaWAN 1.0.3, 4.3.3.
    #[test]
    fn an_encrypted_downlink_opens_to_what_was_meant() {
        let session = session(std::array::from_fn(|index| index as u8));
        assert_eq!(opened(&session, 1, &[0xD0, 0x7F]), [1, 2]);
    }
}
