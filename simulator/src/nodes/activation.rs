//! Over-the-air activation, the node's half (LoRaWAN 1.0.3, 6.2).

use lorawan::creator::JoinRequestCreator;
use lorawan::keys::AppKey;
use lorawan::parser::{DecryptedJoinAcceptPayload, DevNonce};

use crate::stack::SessionKeys;

/// What a node is born with.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Most significant byte first, as printed.
    pub dev_eui: [u8; 8],
    /// Most significant byte first, as printed.
    pub join_eui: [u8; 8],
    pub app_key: [u8; 16],
}

/// What a join gave the node.
#[derive(Debug, Clone)]
pub struct Activation {
    pub keys: SessionKeys,
    /// Most significant byte first, as printed.
    pub dev_addr: [u8; 4],
}

/// Why a node could not join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    #[error("nobody answered the join request")]
    NoAnswer,
    #[error("the answer is no JoinAccept made with this node's root key")]
    NotForUs,
}

impl Identity {
    /// The join request number `dev_nonce`. A number is good for one join only.
    pub fn join_request(&self, dev_nonce: u16) -> Vec<u8> {
        let mut creator = JoinRequestCreator::new();
        creator
            .set_app_eui(least_significant_first(self.join_eui))
            .set_dev_eui(least_significant_first(self.dev_eui))
            .set_dev_nonce(dev_nonce.to_le_bytes());
        creator.build(&AppKey::from(self.app_key)).to_vec()
    }

    /// Decrypts the answer, checks its MIC and derives the session keys.
    pub fn read_join_accept(&self, dev_nonce: u16, bytes: Vec<u8>) -> Result<Activation, JoinError> {
        let app_key = AppKey::from(self.app_key);
        let accept = DecryptedJoinAcceptPayload::new(bytes, &app_key).map_err(|_| JoinError::NotForUs)?;
        let dev_nonce = DevNonce::from(dev_nonce.to_le_bytes());
        let keys = SessionKeys {
            network: accept.derive_newskey(&dev_nonce, &app_key),
            application: accept.derive_appskey(&dev_nonce, &app_key),
        };
        let mut dev_addr = [0; 4];
        dev_addr.copy_from_slice(accept.dev_addr().as_ref());
        dev_addr.reverse();
        Ok(Activation { keys, dev_addr })
    }
}

fn least_significant_first(mut eui: [u8; 8]) -> [u8; 8] {
    eui.reverse();
    eui
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The JoinAccept of the `lorawan` crate's own documentation is of another key.
    #[test]
    fn an_answer_for_another_node_is_refused() {
        let identity = Identity { dev_eui: [1; 8], join_eui: [2; 8], app_key: [3; 16] };
        let foreign = hex::decode("20493eeb51fba2116f810edb3742975142").unwrap();
        assert_eq!(identity.read_join_accept(1, foreign).unwrap_err(), JoinError::NotForUs);
        assert_eq!(identity.read_join_accept(1, vec![0x20]).unwrap_err(), JoinError::NotForUs);
    }

    #[test]
    fn a_join_request_carries_its_identifiers_least_significant_byte_first() {
        let identity = Identity { dev_eui: *b"devEUI12", join_eui: *b"joinEUI1", app_key: [3; 16] };
        let request = identity.join_request(0x1234);
        assert_eq!(&request[..19], b"\x001IUEnioj21IUEved\x34\x12");
    }
}
