//! What is measured: ttn-ferry, and the plain Mosquitto bridge that it is compared with.

use std::path::Path;
use std::{fs, io};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::process::Process;

/// A kind of bridge from a broker that carries TTN's topics to a home broker. TTN's side is QoS 0, home is QoS 1.
#[derive(Clone, Copy)]
pub enum Subject {
    /// Decodes with a JavaScript codec, publishes an uplink and a device's state.
    Ferry,
    /// A third Mosquitto that passes bytes on and decodes nothing. It would send on at QoS 0 what came at QoS 0, whatever
    /// its `topic … out 1` says, so it is told to upgrade: else it would be measured without acknowledgements.
    Mosquitto,
}

impl Subject {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ferry => "ttn-ferry",
            Self::Mosquitto => "plain mosquitto",
        }
    }

    /// Where the uplinks are at home.
    pub fn filter(self) -> &'static str {
        match self {
            Self::Ferry => "ttn/+/uplink",
            Self::Mosquitto => "v3/+/devices/+/up",
        }
    }

    /// The number of an uplink that came home: decoded, if its bridge decodes.
    pub fn number(self, message: &[u8]) -> Option<u32> {
        match self {
            Self::Ferry => {
                let digits = after(message, b"\"counter\":")?.iter().take_while(|byte| byte.is_ascii_digit());
                Some(digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
            }
            Self::Mosquitto => {
                let mut bytes = [0; 6];
                BASE64_STANDARD.decode_slice(after(message, b"\"frm_payload\":\"")?.get(..8)?, &mut bytes).ok()?;
                Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            }
        }
    }

    /// Writes what it needs into a folder of its own, for brokers on these ports and a listener on a third.
    pub fn configure(self, folder: &Path, ttn: u16, home: u16, own: u16) -> io::Result<()> {
        match self {
            Self::Ferry => {
                fs::create_dir(folder.join("codecs"))?;
                fs::write(folder.join("codecs/bench.js"), include_str!("codec.js"))?;
                fs::write(folder.join("bridge.conf"), ferry(ttn, home))
            }
            Self::Mosquitto => fs::write(folder.join("bridge.conf"), mosquitto(ttn, home, own)),
        }
    }

    pub fn start(self, folder: &Path) -> io::Result<Process> {
        let configuration = folder.join("bridge.conf");
        match self {
            Self::Ferry => {
                let arguments = ["run".as_ref(), "--config".as_ref(), configuration.as_os_str()];
                Process::start(env!("CARGO_BIN_EXE_ttn-ferry").as_ref(), &arguments, &folder.join("bridge.log"))
            }
            Self::Mosquitto => Process::mosquitto(&configuration),
        }
    }
}

fn ferry(ttn: u16, home: u16) -> String {
    let key = format!("NNSXS.{}.{}", "A".repeat(39), "B".repeat(52));
    format!(
        "[[application]]\nid = 'bench'\nmqtt_url = 'mqtt://127.0.0.1:{ttn}'\napi_key = '{key}'\ncodec = 'bench'\n\
         [home]\nurl = 'mqtt://127.0.0.1:{home}'\n[store]\npath = 'store'\n\
         [codecs]\nfolder = 'codecs'\n[service]\nsocket = ''\n"
    )
}

fn mosquitto(ttn: u16, home: u16, own: u16) -> String {
    format!(
        "listener {own} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nupgrade_outgoing_qos true\n\
         connection ttn\naddress 127.0.0.1:{ttn}\ntopic v3/+/devices/+/up in 0\n\
         connection home\naddress 127.0.0.1:{home}\ntopic v3/+/devices/+/up out 1\n"
    )
}

fn after<'a>(bytes: &'a [u8], needle: &[u8]) -> Option<&'a [u8]> {
    let at = bytes.windows(needle.len()).position(|window| window == needle)?;
    Some(&bytes[at + needle.len()..])
}
