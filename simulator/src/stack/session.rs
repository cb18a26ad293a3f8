//! Over-the-air activation: the network's half of a join, and the session it makes (LoRaWAN 1.0.3, 6.2).

use lorawan::creator::JoinAcceptCreator;
use lorawan::keys::AppKey;
use lorawan::parser::{DecryptedJoinAcceptPayload, JoinRequestPayload};

use super::radio::{DataFrame, FrameError, FrameHeader, SessionKeys};

/// Length of a JoinAccept without channel list.
const JOIN_ACCEPT: usize = 17;

/// NetID 000013, The Things Network, least significant byte first.
const NET_ID: [u8; 3] = [0x13, 0x00, 0x00];

/// A session between one device and the network.
#[derive(Debug, Clone)]
pub struct Session {
    /// Names the session's keys.
    pub key_id: [u8; 16],
    /// Most significant byte first, as printed.
    pub dev_addr: [u8; 4],
    pub keys: SessionKeys,
    /// The last uplink counter taken; `None` before the first uplink.
    pub last_f_cnt_up: Option<u32>,
}

/// A join request, still unchecked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinRequest {
    /// Most significant byte first, as printed.
    pub join_eui: [u8; 8],
    /// Most significant byte first, as printed.
    pub dev_eui: [u8; 8],
    pub dev_nonce: [u8; 2],
    bytes: [u8; 23],
}

impl JoinRequest {
    /// Reads a join request; `None` if these bytes are something else.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; 23] = bytes.try_into().ok()?;
        let request = JoinRequestPayload::new(bytes).ok()?;
        Some(Self {
            join_eui: printed(request.app_eui().as_ref()),
            dev_eui: printed(request.dev_eui().as_ref()),
            dev_nonce: request.dev_nonce().to_owned().as_ref().try_into().ok()?,
            bytes,
        })
    }

    /// True if the request was made with this root key.
    pub fn is_signed_with(&self, app_key: [u8; 16]) -> bool {
        JoinRequestPayload::new(self.bytes).is_ok_and(|request| request.validate_mic(AppKey::from(app_key).inner()))
    }

    /// Answers with an encrypted JoinAccept and the session it starts. `delay` is the RX1 delay in seconds, 1 to 15.
    pub fn accept(&self, app_key: [u8; 16], delay: u8) -> (Vec<u8>, Session) {
        let app_key = AppKey::from(app_key);
        let dev_addr = [0x26 | fastrand::u8(..2), fastrand::u8(..), fastrand::u8(..), fastrand::u8(..)];
        let accept = join_accept(&app_key, dev_addr, delay);
        let clear = DecryptedJoinAcceptPayload::new(accept.clone(), &app_key)
            .expect("a JoinAccept just made with this key opens with it");
        let nonce = lorawan::parser::DevNonce::from(self.dev_nonce);
        let keys = SessionKeys {
            network: clear.derive_newskey(&nonce, &app_key),
            application: clear.derive_appskey(&nonce, &app_key),
        };
        (accept, Session { key_id: fastrand::u128(..).to_be_bytes(), dev_addr, keys, last_f_cnt_up: None })
    }
}

impl Session {
    /// Takes an uplink: address, MIC and a counter newer than the last one.
    pub fn take_uplink(&mut self, bytes: &[u8]) -> Result<DataFrame, FrameError> {
        let frame = DataFrame::open(bytes, &self.keys, self.last_f_cnt_up)?;
        if !frame.header.uplink || frame.header.dev_addr != self.dev_addr {
            return Err(FrameError::NotData);
        }
        self.last_f_cnt_up = Some(frame.header.f_cnt);
        Ok(frame)
    }

    /// Header of this session's downlink number `f_cnt`.
    pub fn downlink_header(&self, f_cnt: u32, ack: bool, pending: bool) -> FrameHeader {
        FrameHeader { uplink: false, confirmed: false, dev_addr: self.dev_addr, ack, pending, f_cnt }
    }
}

fn join_accept(app_key: &AppKey, mut dev_addr: [u8; 4], delay: u8) -> Vec<u8> {
    dev_addr.reverse();
    let app_nonce: [u8; 3] = std::array::from_fn(|_| fastrand::u8(..));
    let mut creator = JoinAcceptCreator::new();
    creator.set_app_nonce(app_nonce).set_net_id(NET_ID).set_dev_addr(dev_addr).set_rx_delay(delay);
    let bytes = creator.build(app_key.inner()).expect("the creator's own buffer is long enough");
    // Without a channel list only the first 17 of the buffer's 33 bytes are the message.
    bytes[..JOIN_ACCEPT].to_vec()
}

/// EUIs travel least significant byte first.
fn printed(eui: &[u8]) -> [u8; 8] {
    let mut bytes: [u8; 8] = eui.try_into().expect("the parser cuts EUIs to 8 bytes");
    bytes.reverse();
    bytes
}

#[cfg(test)]
mod tests {
    use lorawan::creator::JoinRequestCreator;

    use super::*;

    const APP_KEY: [u8; 16] = [5; 16];

    fn session() -> Session {
        let mut creator = JoinRequestCreator::new();
        creator.set_dev_eui([1; 8]).set_app_eui([2; 8]).set_dev_nonce([3; 2]);
        let request = JoinRequest::parse(creator.build(&AppKey::from(APP_KEY))).unwrap();
        assert!(request.is_signed_with(APP_KEY) && !request.is_signed_with([6; 16]));
        request.accept(APP_KEY, 1).1
    }

    fn uplink(session: &Session, f_cnt: u32) -> Vec<u8> {
        let header = FrameHeader { uplink: true, ..session.downlink_header(f_cnt, false, false) };
        DataFrame { header, f_port: Some(1), payload: vec![1, 2, 3] }.seal(&session.keys).unwrap()
    }

    #[test]
    fn each_counter_is_taken_once_and_only_upwards() {
        let mut session = session();
        let frames: Vec<_> = (0..3).map(|f_cnt| uplink(&session, f_cnt)).collect();
        assert!(session.take_uplink(&frames[0]).is_ok());
        assert_eq!(session.take_uplink(&frames[0]), Err(FrameError::Mic));
        assert!(session.take_uplink(&frames[2]).is_ok());
        assert_eq!(session.take_uplink(&frames[1]), Err(FrameError::Mic));
        assert_eq!(session.last_f_cnt_up, Some(2));
    }

    #[test]
    fn a_downlink_is_no_uplink() {
        let mut session = session();
        let header = session.downlink_header(0, false, false);
        let echo = DataFrame { header, f_port: None, payload: Vec::new() }.seal(&session.keys).unwrap();
        assert_eq!(session.take_uplink(&echo), Err(FrameError::NotData));
    }
}
