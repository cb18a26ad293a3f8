//! Tables as codecs.

use std::sync::Arc;

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::{Data, Table};
use crate::codec::{Codec, Decoded, DownlinkInput, Encoded, Normalized, UplinkInput};
use crate::error::CodecError;

/// The engine; it keeps nothing between calls.
pub(crate) struct TableCodec(pub(crate) Arc<Table>);

impl Codec for TableCodec {
    fn decode_uplink(&mut self, input: &UplinkInput<'_>) -> Result<Decoded, CodecError> {
        decoded(self.0.decode(input.f_port, input.bytes))
    }

    fn normalize_uplink(&mut self, data: &RawValue) -> Result<Option<Normalized>, CodecError> {
        let data = object(data).unwrap_or_default();
        Ok(self.0.normalize(&data).map(|list| Normalized { measurements: raw(&list), warnings: Vec::new() }))
    }

    fn encode_downlink(&mut self, input: &DownlinkInput<'_>) -> Result<Encoded, CodecError> {
        let data =
            object(input.data).ok_or_else(|| bad_command("it must be an object with a key per field".to_owned()))?;
        let (bytes, f_port) = self.0.encode(input.f_port, &data).map_err(bad_command)?;
        Ok(Encoded { bytes, f_port, warnings: Vec::new() })
    }

    fn decode_downlink(&mut self, input: &UplinkInput<'_>) -> Result<Decoded, CodecError> {
        decoded(self.0.decode_downlink(input.f_port, input.bytes))
    }
}

fn decoded(said: Result<(Data, Vec<String>), String>) -> Result<Decoded, CodecError> {
    let (data, warnings) = said.map_err(|reason| CodecError::BadPayload { format: "as the table says", reason })?;
    Ok(Decoded { data: raw(&data.into()), warnings })
}

fn object(data: &RawValue) -> Option<Data> {
    serde_json::from_str(data.get()).ok()
}

fn raw(value: &Value) -> Box<RawValue> {
    to_raw_value(value).expect("a JSON value has a JSON text")
}

fn bad_command(reason: String) -> CodecError {
    CodecError::BadCommand { format: "the table says", reason }
}
