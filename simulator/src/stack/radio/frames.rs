//! LoRaWAN 1.0.x data frames: sealed with and opened by the two session keys.
//!
//! Both sides of the simulated air use this; the cryptography is the `lorawan` crate's.

use lorawan::creator::DataPayloadCreator;
use lorawan::keys::{AppSKey, NewSKey};
use lorawan::parser::{DataHeader, DataPayload, DevAddr, EncryptedDataPayload, FCtrl, FRMPayload, PhyPayload, parse};

/// Largest FRMPayload in bytes at any data rate of EU868 (Regional Parameters 1.0.3, 2.2.6).
pub const MAX_PAYLOAD: usize = 242;

/// MHDR, FHDR without options, MIC: the length of a frame without port and payload.
const EMPTY_FRAME: usize = 12;

/// The two keys of a LoRaWAN 1.0.x session.
#[derive(Debug, Clone, Copy)]
pub struct SessionKeys {
    pub network: NewSKey,
    pub application: AppSKey,
}

/// What a frame's header says in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    pub uplink: bool,
    pub confirmed: bool,
    /// Most significant byte first, as printed.
    pub dev_addr: [u8; 4],
    pub ack: bool,
    /// Downlinks only: more of them wait.
    pub pending: bool,
    /// All 32 bits, of which the frame carries 16.
    pub f_cnt: u32,
}

/// A data frame in the clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFrame {
    pub header: FrameHeader,
    /// `None` for a frame without payload.
    pub f_port: Option<u8>,
    pub payload: Vec<u8>,
}

/// Why bytes are not a frame of this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("not a LoRaWAN data frame")]
    NotData,
    #[error("the MIC does not match the session key and frame counter")]
    Mic,
    #[error("the payload is longer than {MAX_PAYLOAD} bytes, or has no port")]
    Payload,
}

impl DataFrame {
    /// Encrypts the payload and adds the MIC.
    pub fn seal(&self, keys: &SessionKeys) -> Result<Vec<u8>, FrameError> {
        if self.payload.len() > MAX_PAYLOAD {
            return Err(FrameError::Payload);
        }
        let header = self.header;
        let mut creator = DataPayloadCreator::new();
        creator
            .set_uplink(header.uplink)
            .set_confirmed(header.confirmed)
            .set_dev_addr(reversed(header.dev_addr))
            .set_fctrl(&FCtrl::new(u8::from(header.ack) << 5 | u8::from(header.pending) << 4, header.uplink))
            .set_fcnt(header.f_cnt);
        if let Some(f_port) = self.f_port {
            creator.set_f_port(f_port);
        }
        let bytes = creator.build(&self.payload, &[], &keys.network, &keys.application);
        bytes.map(<[u8]>::to_vec).map_err(|_| FrameError::Payload)
    }

    /// Checks the MIC and decrypts. `last_f_cnt` is the last counter taken from the sender, if any; an old or repeated
    /// frame fails its MIC because the counter is taken to have moved on (LoRaWAN 1.0.3, 4.3.1.5).
    pub fn open(bytes: &[u8], keys: &SessionKeys, last_f_cnt: Option<u32>) -> Result<Self, FrameError> {
        let sealed = data_frame(bytes)?;
        let f_cnt = full_f_cnt(last_f_cnt, sealed.fhdr().fcnt());
        let header = header_of(&sealed, f_cnt);
        let f_port = port_of(bytes, usize::from(sealed.fhdr().fopts_len()));
        let opened = sealed
            .decrypt_if_mic_ok(keys.network.inner(), keys.application.inner(), f_cnt)
            .map_err(|_| FrameError::Mic)?;
        let payload = match opened.frm_payload() {
            FRMPayload::Data(payload) if f_port.is_some_and(|port| port != 0) => payload.to_vec(),
            // MAC commands stay with the network server.
            _ => Vec::new(),
        };
        Ok(Self { header, f_port, payload })
    }

    /// The address a data frame names, most significant byte first, without checking anything.
    pub fn dev_addr(bytes: &[u8]) -> Result<[u8; 4], FrameError> {
        Ok(header_of(&data_frame(bytes)?, 0).dev_addr)
    }
}

/// The encrypted payload in a data frame; empty if there is none.
pub fn sealed_payload(bytes: &[u8]) -> &[u8] {
    let options = bytes.get(5).map_or(0, |control| usize::from(control & 0x0f));
    bytes.get(EMPTY_FRAME - 4 + options + 1..bytes.len().saturating_sub(4)).unwrap_or_default()
}

/// The 32-bit counter a frame with these 16 bits has, if it is newer than `last`.
pub fn full_f_cnt(last: Option<u32>, low: u16) -> u32 {
    let Some(last) = last else { return u32::from(low) };
    let candidate = last & 0xffff_0000 | u32::from(low);
    if candidate > last { candidate } else { candidate.wrapping_add(0x1_0000) }
}

type Sealed = EncryptedDataPayload<Vec<u8>, lorawan::default_crypto::DefaultFactory>;

fn data_frame(bytes: &[u8]) -> Result<Sealed, FrameError> {
    match parse(bytes.to_vec()) {
        Ok(PhyPayload::Data(DataPayload::Encrypted(sealed))) => Ok(sealed),
        _ => Err(FrameError::NotData),
    }
}

fn header_of(frame: &Sealed, f_cnt: u32) -> FrameHeader {
    let fhdr = frame.fhdr();
    FrameHeader {
        uplink: frame.is_uplink(),
        confirmed: frame.is_confirmed(),
        dev_addr: reversed_back(&fhdr.dev_addr().to_owned()),
        ack: fhdr.fctrl().ack(),
        pending: fhdr.fctrl().f_pending(),
        f_cnt,
    }
}

/// The port, also of a frame whose payload is empty (the `lorawan` crate reports none there).
fn port_of(bytes: &[u8], options: usize) -> Option<u8> {
    let header = EMPTY_FRAME - 4 + options;
    (bytes.len() > EMPTY_FRAME + options).then(|| bytes[header])
}

/// Addresses travel least significant byte first (LoRaWAN 1.0.3, 4).
fn reversed(mut dev_addr: [u8; 4]) -> [u8; 4] {
    dev_addr.reverse();
    dev_addr
}

fn reversed_back(dev_addr: &DevAddr<[u8; 4]>) -> [u8; 4] {
    let bytes = dev_addr.as_ref();
    [bytes[3], bytes[2], bytes[1], bytes[0]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> SessionKeys {
        let application = std::array::from_fn(|index| index as u8);
        SessionKeys { network: NewSKey::from([7; 16]), application: AppSKey::from(application) }
    }

    fn frame(uplink: bool, f_cnt: u32, payload: &[u8]) -> DataFrame {
        let dev_addr = [0x26, 0x00, 0x12, 0x34];
        let header = FrameHeader { uplink, confirmed: false, dev_addr, ack: false, pending: false, f_cnt };
        DataFrame { header, f_port: Some(15), payload: payload.to_vec() }
    }

    fn cipher_text(frame: &DataFrame) -> String {
        let bytes = frame.seal(&keys()).unwrap();
        hex::encode_upper(&bytes[9..bytes.len() - 4])
    }

    /// Vectors made with an independent implementation of LoRaWAN 1.0.3, 4.3.3.
    #[test]
    fn payloads_are_encrypted_as_the_specification_says() {
        assert_eq!(cipher_text(&frame(true, 1, &[1, 2])), "0BD1");
        assert_eq!(cipher_text(&frame(false, 1, &[1, 2])), "D07F");
        let twenty: Vec<u8> = (0..20).collect();
        assert_eq!(cipher_text(&frame(true, 0x12345, &twenty)), "10F8C1853BEAA58F5268B058AC292916A426BDE6");
    }

    #[test]
    fn a_sealed_frame_opens_to_itself() {
        for payload in [&b"hello"[..], &[]] {
            let frame = frame(false, 0x10002, payload);
            let bytes = frame.seal(&keys()).unwrap();
            assert_eq!(DataFrame::open(&bytes, &keys(), Some(0x10001)), Ok(frame));
        }
    }

    #[test]
    fn a_repeated_or_altered_frame_fails_its_mic() {
        let mut bytes = frame(true, 5, b"hello").seal(&keys()).unwrap();
        assert_eq!(DataFrame::open(&bytes, &keys(), Some(5)), Err(FrameError::Mic));
        bytes[10] ^= 1;
        assert_eq!(DataFrame::open(&bytes, &keys(), Some(4)), Err(FrameError::Mic));
    }

    #[test]
    fn bytes_that_are_no_frame_are_refused() {
        for length in 0..20 {
            assert!(DataFrame::open(&vec![0xff; length], &keys(), None).is_err());
        }
        assert_eq!(frame(true, 0, &[0; 243]).seal(&keys()), Err(FrameError::Payload));
    }

    #[test]
    fn counters_go_on_beyond_sixteen_bits() {
        assert_eq!(full_f_cnt(None, 3), 3);
        assert_eq!(full_f_cnt(Some(0xffff), 0), 0x10000);
        assert_eq!(full_f_cnt(Some(0x1_0005), 6), 0x1_0006);
        assert_eq!(full_f_cnt(Some(0x1_0005), 5), 0x2_0005);
    }
}
