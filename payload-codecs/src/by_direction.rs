//! Two codecs in one: what reads uplinks need not be what makes downlinks.

use serde_json::value::RawValue;

use crate::codec::{Codec, Decoded, DownlinkInput, Encoded, Functions, Normalized, UplinkInput};
use crate::error::CodecError;

/// A codec for each direction, or for one of them.
pub(crate) struct ByDirection {
    pub uplink: Option<Box<dyn Codec>>,
    pub downlink: Option<Box<dyn Codec>>,
}

impl ByDirection {
    fn uplink(&mut self) -> Result<&mut Box<dyn Codec>, CodecError> {
        self.uplink.as_mut().ok_or(CodecError::MissingFunction { wanted: "decodeUplink" })
    }

    fn downlink(&mut self, wanted: &'static str) -> Result<&mut Box<dyn Codec>, CodecError> {
        self.downlink.as_mut().ok_or(CodecError::MissingFunction { wanted })
    }
}

impl Codec for ByDirection {
    fn decode_uplink(&mut self, input: &UplinkInput<'_>) -> Result<Decoded, CodecError> {
        self.uplink()?.decode_uplink(input)
    }

    fn normalize_uplink(&mut self, data: &RawValue) -> Result<Option<Normalized>, CodecError> {
        self.uplink()?.normalize_uplink(data)
    }

    fn encode_downlink(&mut self, input: &DownlinkInput<'_>) -> Result<Encoded, CodecError> {
        self.downlink("encodeDownlink")?.encode_downlink(input)
    }

    fn decode_downlink(&mut self, input: &UplinkInput<'_>) -> Result<Decoded, CodecError> {
        self.downlink("decodeDownlink")?.decode_downlink(input)
    }

    fn functions(&self) -> Functions {
        let of = |codec: &Option<Box<dyn Codec>>| codec.as_ref().map(|codec| codec.functions()).unwrap_or_default();
        let Functions { decode_uplink, normalize_uplink, .. } = of(&self.uplink);
        Functions { decode_uplink, normalize_uplink, ..of(&self.downlink) }
    }

    fn take_console(&mut self) -> Vec<String> {
        [&mut self.uplink, &mut self.downlink].into_iter().flatten().flat_map(|codec| codec.take_console()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Limits, Source, load};

    fn script(text: &str) -> Option<Arc<Source>> {
        Some(Arc::new(Source::JavaScript { name: "test".into(), script: text.into() }))
    }

    #[test]
    fn each_direction_has_its_own_codec() {
        let up =
            script("function decodeUplink() { return {data: {from: 'up'}} } function encodeDownlink() { throw 1 }");
        let source = Source::ByDirection { uplink: up, downlink: Some(Arc::new(Source::CayenneLpp)) };
        let mut codec = load(&source, &Limits::default()).unwrap();
        let input = UplinkInput { bytes: &[], f_port: 1, recv_time_ms: None };
        assert_eq!(codec.decode_uplink(&input).unwrap().data.get(), r#"{"from":"up"}"#);
        let data = RawValue::from_string(r#"{"value_1":1}"#.into()).unwrap();
        assert_eq!(codec.encode_downlink(&DownlinkInput { data: &data, f_port: None }).unwrap().bytes, [1, 0, 100]);
        assert!(source.reads_uplinks());
    }

    #[test]
    fn a_direction_without_a_codec_is_told() {
        let source = Source::ByDirection { uplink: None, downlink: Some(Arc::new(Source::CayenneLpp)) };
        let mut codec = load(&source, &Limits::default()).unwrap();
        let input = UplinkInput { bytes: &[], f_port: 1, recv_time_ms: None };
        assert!(matches!(codec.decode_uplink(&input), Err(CodecError::MissingFunction { wanted: "decodeUplink" })));
        assert!(!source.reads_uplinks() && codec.functions().decode_uplink.is_none());
    }
}
