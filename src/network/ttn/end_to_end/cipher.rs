//! Payload encryption under a session's AppSKey (LoRaWAN 1.0.3, 4.3.3).

use std::fmt;

use aes::Aes128;
use aes::cipher::{BlockEncrypt, KeyInit};

/// Which way a frame goes: part of what its payload is encrypted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Up = 0,
    Down = 1,
}

/// A device address, most significant byte first, as it is printed.
pub type DevAddr = [u8; 4];

/// A session's key for application payloads.
#[derive(Clone)]
pub struct AppSKey(Aes128);

impl AppSKey {
    pub fn new(key: [u8; 16]) -> Self {
        Self(Aes128::new(&key.into()))
    }

    /// Encrypts `payload` in place, or decrypts it: both are the same. `f_cnt` is the whole 32-bit frame counter.
    pub fn apply(&self, direction: Direction, dev_addr: DevAddr, f_cnt: u32, payload: &mut [u8]) {
        for (index, chunk) in payload.chunks_mut(16).enumerate() {
            // A frame has at most 16 blocks; what is longer is no frame's payload, and stays unreadable.
            let mut block = first_block(direction, dev_addr, f_cnt, (index + 1) as u8).into();
            self.0.encrypt_block(&mut block);
            chunk.iter_mut().zip(block).for_each(|(byte, key)| *byte ^= key);
        }
    }
}

/// The block A_i, which encrypted becomes the i-th part of the key stream.
fn first_block(direction: Direction, mut dev_addr: DevAddr, f_cnt: u32, number: u8) -> [u8; 16] {
    let mut block = [0; 16];
    dev_addr.reverse();
    (block[0], block[5], block[15]) = (1, direction as u8, number);
    block[6..10].copy_from_slice(&dev_addr);
    block[10..14].copy_from_slice(&f_cnt.to_le_bytes());
    block
}

impl fmt::Debug for AppSKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppSKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(direction: Direction, f_cnt: u32, payload: &[u8]) -> String {
        let mut payload = payload.to_vec();
        let key = AppSKey::new(std::array::from_fn(|index| index as u8));
        key.apply(direction, [0x26, 0x00, 0x12, 0x34], f_cnt, &mut payload);
        hex::encode_upper(payload)
    }

    /// Vectors made with an independent implementation of LoRaWAN 1.0.3, 4.3.3.
    #[test]
    fn payloads_are_encrypted_as_the_specification_says() {
        assert_eq!(applied(Direction::Up, 1, &[1, 2]), "0BD1");
        assert_eq!(applied(Direction::Down, 1, &[1, 2]), "D07F");
        let twenty: Vec<u8> = (0..20).collect();
        assert_eq!(applied(Direction::Up, 0x12345, &twenty), "10F8C1853BEAA58F5268B058AC292916A426BDE6");
        assert_eq!(applied(Direction::Up, 1, &[]), "");
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(format!("{:?}", AppSKey::new([7; 16])), "AppSKey");
    }
}
