//! Two codecs in one: what reads uplinks need not be what makes downlinks.

use serde_json::value::RawValue;

use crate::codec::{Codec, Decoded, DownlinkInput, Encoded, Engines, Functions, Normalized, Source, UplinkInput};
use crate::error::CodecError;
use crate::metadata::Field;

/// The codec of one direction, if it has one, or why that does not load.
type Half = Result<Option<Box<dyn Codec>>, CodecError>;

/// A codec for each direction, or for one of them. What is wrong with one costs nothing of the other.
pub(crate) struct ByDirection {
    uplink: Half,
    downlink: Half,
}

impl ByDirection {
    /// Loads both.
    ///
    /// # Errors
    /// Of either, if loading it may go better another time.
    pub fn load(engines: &Engines, uplink: Option<&Source>, downlink: Option<&Source>) -> Result<Self, CodecError> {
        let half = |source: Option<&Source>| match source.map(|source| engines.load(source)).transpose() {
            Err(error) if !error.is_final() => Err(error),
            half => Ok(half),
        };
        Ok(Self { uplink: half(uplink)?, downlink: half(downlink)? })
    }

    fn uplink(&mut self) -> Result<&mut Box<dyn Codec>, CodecError> {
        present(&mut self.uplink, "decodeUplink")
    }

    fn downlink(&mut self, wanted: &'static str) -> Result<&mut Box<dyn Codec>, CodecError> {
        present(&mut self.downlink, wanted)
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
        let of = |half: &Half| half.iter().flatten().map(|codec| codec.functions()).next().unwrap_or_default();
        let Functions { decode_uplink, normalize_uplink, .. } = of(&self.uplink);
        Functions { decode_uplink, normalize_uplink, ..of(&self.downlink) }
    }

    fn fields(&mut self) -> Vec<Field> {
        let uplink = self.uplink.as_mut().ok().and_then(Option::as_mut);
        uplink.map(|codec| codec.fields()).unwrap_or_default()
    }

    fn take_console(&mut self) -> Vec<String> {
        let halves = [&mut self.uplink, &mut self.downlink].into_iter().flatten().flatten();
        halves.flat_map(|codec| codec.take_console()).collect()
    }
}

fn present<'a>(half: &'a mut Half, wanted: &'static str) -> Result<&'a mut Box<dyn Codec>, CodecError> {
    let codec = half.as_mut().map_err(|error| error.clone())?;
    codec.as_mut().ok_or(CodecError::MissingFunction { wanted })
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
    fn a_script_that_does_not_load_costs_its_own_direction_only() {
        let broken = script("function encodeDownlink( {");
        let source = Source::ByDirection { uplink: Some(Arc::new(Source::CayenneLpp)), downlink: broken };
        let mut codec = load(&source, &Limits::default()).unwrap();
        let input = UplinkInput { bytes: &[3, 103, 1, 16], f_port: 1, recv_time_ms: None };
        assert_eq!(codec.decode_uplink(&input).unwrap().data.get(), r#"{"temperature_3":27.2}"#);
        let data = RawValue::from_string("{}".into()).unwrap();
        let refused = codec.encode_downlink(&DownlinkInput { data: &data, f_port: None });
        assert!(matches!(refused, Err(CodecError::Load { .. })), "{refused:?}");
        assert!(source.runs_scripts() && source.parts().len() == 2);
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
