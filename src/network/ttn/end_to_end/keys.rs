//! The keys that the user has given, and how a session's key is had with them.

use std::collections::BTreeMap;
use std::fmt;

use aes_kw::{KekAes128, KekAes192, KekAes256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::cipher::AppSKey;
use crate::model::DeviceId;

/// The keys of one application's devices.
#[derive(Debug, Default)]
pub struct Keys {
    /// Key encryption keys, by the labels that the Join Server gives them.
    keks: BTreeMap<String, Kek>,
    /// Session keys that the user knows: of devices that never join.
    own: BTreeMap<DeviceId, AppSKey>,
}

/// A session's key as the network hands it on: wrapped with a key that it does not have (The Things Stack API,
/// `KeyEnvelope`).
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyEnvelope {
    pub kek_label: String,
    /// Base64; wrapped as RFC 3394 says.
    pub encrypted_key: String,
    /// In the clear, as hexadecimal digits: never written down.
    #[serde(skip_serializing)]
    pub key: Option<String>,
}

/// What stands in a configuration or a credential is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    #[error("an AppSKey is 32 hexadecimal digits")]
    AppSKey,
    #[error("a KEK is 32, 48 or 64 hexadecimal digits")]
    Kek,
}

/// Why a session's key cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    #[error("no KEK is configured with the label `{0}`")]
    Unknown(String),
    #[error("the KEK that is configured with the label `{0}` does not open it")]
    Wrong(String),
    #[error("the network sent no session key that could be read")]
    Malformed,
}

#[derive(Clone)]
enum Kek {
    Aes128(KekAes128),
    Aes192(KekAes192),
    Aes256(KekAes256),
}

impl Keys {
    /// Reads keys as the user wrote them.
    pub fn read<'a>(
        keks: impl IntoIterator<Item = (&'a str, &'a SecretString)>,
        own: impl IntoIterator<Item = (DeviceId, &'a SecretString)>,
    ) -> Result<Self, InvalidKey> {
        let kek = |(label, key): (&str, &SecretString)| Ok((label.to_owned(), Kek::parse(key.expose_secret())?));
        let own_key = |(device, key): (DeviceId, &SecretString)| Ok((device, app_s_key(key.expose_secret())?));
        Ok(Self {
            keks: keks.into_iter().map(kek).collect::<Result<_, _>>()?,
            own: own.into_iter().map(own_key).collect::<Result<_, _>>()?,
        })
    }

    /// Whether this device's payloads may be encrypted: whoever gave keys expects them to be.
    pub fn may_concern(&self, device: &DeviceId) -> bool {
        !self.keks.is_empty() || self.is_own(device)
    }

    /// Whether an AppSKey is given for this very device.
    pub fn is_own(&self, device: &DeviceId) -> bool {
        self.own.contains_key(device)
    }

    /// The key of a device's session.
    pub fn session_key(&self, device: &DeviceId, envelope: &KeyEnvelope) -> Result<AppSKey, NoKey> {
        if let Some(own) = self.own.get(device) {
            return Ok(own.clone());
        }
        if let Some(key) = &envelope.key {
            return app_s_key(key).map_err(|_| NoKey::Malformed);
        }
        let wrapped = STANDARD.decode(&envelope.encrypted_key).map_err(|_| NoKey::Malformed)?;
        let wrapped: [u8; 24] = wrapped.try_into().map_err(|_| NoKey::Malformed)?;
        let label = &envelope.kek_label;
        let kek = self.keks.get(label).ok_or_else(|| NoKey::Unknown(label.clone()))?;
        kek.unwrap_key(&wrapped).map(AppSKey::new).ok_or_else(|| NoKey::Wrong(label.clone()))
    }
}

impl Kek {
    fn parse(text: &str) -> Result<Self, InvalidKey> {
        let bytes = hex::decode(text.trim()).map_err(|_| InvalidKey::Kek)?;
        match bytes.len() {
            16 => KekAes128::try_from(&bytes[..]).map(Self::Aes128),
            24 => KekAes192::try_from(&bytes[..]).map(Self::Aes192),
            _ => KekAes256::try_from(&bytes[..]).map(Self::Aes256),
        }
        .map_err(|_| InvalidKey::Kek)
    }

    /// `None`: it was wrapped with another key.
    fn unwrap_key(&self, wrapped: &[u8; 24]) -> Option<[u8; 16]> {
        let mut key = [0; 16];
        match self {
            Self::Aes128(kek) => kek.unwrap(wrapped, &mut key),
            Self::Aes192(kek) => kek.unwrap(wrapped, &mut key),
            Self::Aes256(kek) => kek.unwrap(wrapped, &mut key),
        }
        .ok()
        .map(|()| key)
    }
}

/// Whether this is a key encryption key in hexadecimal digits.
pub fn check_kek(text: &str) -> Result<(), InvalidKey> {
    Kek::parse(text).map(drop)
}

/// Whether this is an AppSKey in hexadecimal digits.
pub fn check_app_s_key(text: &str) -> Result<(), InvalidKey> {
    app_s_key(text).map(drop)
}

fn app_s_key(text: &str) -> Result<AppSKey, InvalidKey> {
    let mut key = [0; 16];
    hex::decode_to_slice(text.trim(), &mut key).map_err(|_| InvalidKey::AppSKey)?;
    Ok(AppSKey::new(key))
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kek")
    }
}

impl fmt::Debug for KeyEnvelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyEnvelope({})", self.kek_label)
    }
}

#[cfg(test)]
mod tests {
    use super::super::cipher::Direction;
    use super::*;

    const KEK: &str = "202122232425262728292A2B2C2D2E2F";

    fn device() -> DeviceId {
        DeviceId::parse("node-1").unwrap()
    }

    fn envelope(label: &str, encrypted_key: &str) -> KeyEnvelope {
        KeyEnvelope { kek_label: label.into(), encrypted_key: encrypted_key.into(), key: None }
    }

    fn keys(kek: &str) -> Keys {
        Keys::read([("as/mykek", &kek.into())], []).unwrap()
    }

    /// Observed on The Things Stack 3.32, whose Join Server had this KEK.
    #[test]
    fn a_wrapped_session_key_opens_and_decrypts_what_the_device_said() {
        let wrapped = envelope("as/mykek", "zjEUI8F5vFWZN1NJjxFfn2PfYmf7xKVM");
        let key = keys(KEK).session_key(&device(), &wrapped).unwrap();
        let mut payload = STANDARD.decode("Z3Cb+eY=").unwrap();
        key.apply(Direction::Up, [0x27, 0x93, 0xB4, 0x80], 0, &mut payload);
        assert_eq!(payload, b"hello");
    }

    /// RFC 3394, 4.1 to 4.3: the same 128 bits wrapped with keys of 128, 192 and 256 bits.
    #[test]
    fn keys_of_all_lengths_unwrap_as_the_rfc_says() {
        let kek = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F";
        for (digits, wrapped) in [
            (32, "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"),
            (48, "96778B25AE6CA435F92B5B97C050AED2468AB8A17AD84E5D"),
            (64, "64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7"),
        ] {
            let wrapped: [u8; 24] = hex::decode(wrapped).unwrap().try_into().unwrap();
            let key = Kek::parse(&kek[..digits]).unwrap().unwrap_key(&wrapped).unwrap();
            assert_eq!(hex::encode_upper(key), "00112233445566778899AABBCCDDEEFF");
        }
    }

    #[test]
    fn what_cannot_be_opened_says_which_key_is_missing() {
        let wrapped = "zjEUI8F5vFWZN1NJjxFfn2PfYmf7xKVM";
        let open = |keys: &Keys, label, wrapped| keys.session_key(&device(), &envelope(label, wrapped)).unwrap_err();
        assert_eq!(open(&keys(KEK), "other", wrapped), NoKey::Unknown("other".into()));
        assert_eq!(open(&keys(&KEK.replace('2', "3")), "as/mykek", wrapped), NoKey::Wrong("as/mykek".into()));
        for malformed in ["", "%", "zjEU"] {
            assert_eq!(open(&keys(KEK), "as/mykek", malformed), NoKey::Malformed);
        }
    }

    #[test]
    fn a_key_of_the_devices_own_needs_no_kek() {
        let own = "000102030405060708090A0B0C0D0E0F".into();
        let keys = Keys::read([], [(device(), &own)]).unwrap();
        let mut payload = [1, 2];
        let key = keys.session_key(&device(), &KeyEnvelope::default()).unwrap();
        key.apply(Direction::Up, [0x26, 0x00, 0x12, 0x34], 1, &mut payload);
        assert_eq!(payload, [0x0B, 0xD1]);
        assert!(keys.may_concern(&device()) && !keys.may_concern(&DeviceId::parse("other").unwrap()));
    }

    #[test]
    fn what_is_no_key_is_refused_and_no_key_is_ever_shown() {
        for bad in ["", "00", "xyz", &KEK[1..], &KEK.repeat(3)] {
            assert_eq!(check_kek(bad), Err(InvalidKey::Kek), "{bad}");
            assert_eq!(check_app_s_key(bad), Err(InvalidKey::AppSKey), "{bad}");
        }
        assert_eq!(check_app_s_key(&KEK.repeat(2)), Err(InvalidKey::AppSKey));
        let plain = KeyEnvelope { key: Some(KEK.into()), ..envelope("label", "") };
        let shown = format!("{plain:?} {:?} {}", keys(KEK), serde_json::to_string(&plain).unwrap());
        assert!(!shown.contains(KEK) && !shown.contains("2021") && !shown.contains("32, 33"), "{shown}");
    }
}
