//! Tables as codecs.

use std::sync::Arc;

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::{Data, Table, bad_command};
use crate::codec::{Codec, Decoded, DownlinkInput, Encoded, Functions, Naming, Normalized, UplinkInput};
use crate::error::CodecError;

/// The engine; it keeps nothing between calls.
pub(crate) struct TableCodec(pub(crate) Arc<Table>);

impl Codec for TableCodec {
    fn decode_uplink(&mut self, input: &UplinkInput<'_>) -> Result<Decoded, CodecError> {
        self.0.decode(input.f_port, input.bytes).map(decoded)
    }

    fn normalize_uplink(&mut self, data: &RawValue) -> Result<Option<Normalized>, CodecError> {
        let data = object(data).unwrap_or_default();
        Ok(self.0.normalize(&data).map(|list| Normalized { measurements: raw(&list), warnings: Vec::new() }))
    }

    fn encode_downlink(&mut self, input: &DownlinkInput<'_>) -> Result<Encoded, CodecError> {
        let data =
            object(input.data).ok_or_else(|| bad_command("it must be an object with a key per field".to_owned()))?;
        let (bytes, f_port) = self.0.encode(input.f_port, &data)?;
        Ok(Encoded { bytes, f_port, warnings: Vec::new() })
    }

    fn functions(&self) -> Functions {
        let if_any = |any: bool| any.then_some(Naming::Current);
        let (up, down) = (if_any(!self.0.uplink.is_empty()), if_any(!self.0.downlink.is_empty()));
        let normalize_uplink = if_any(self.0.normalizes());
        Functions { decode_uplink: up, normalize_uplink, encode_downlink: down, decode_downlink: down }
    }

    fn decode_downlink(&mut self, input: &UplinkInput<'_>) -> Result<Decoded, CodecError> {
        self.0.decode_downlink(input.f_port, input.bytes).map(decoded)
    }
}

fn decoded((data, warnings): (Data, Vec<String>)) -> Decoded {
    Decoded { data: raw(&data.into()), warnings }
}

fn object(data: &RawValue) -> Option<Data> {
    serde_json::from_str(data.get()).ok()
}

fn raw(value: &Value) -> Box<RawValue> {
    to_raw_value(value).expect("a JSON value has a JSON text")
}
