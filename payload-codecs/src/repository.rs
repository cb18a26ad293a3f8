//! The YAML files of a LoRaWAN device repository, in the layout of TheThingsNetwork/lorawan-devices: which codec a
//! device has, which scripts make it up, and the examples they come with.
//!
//! `vendor/<brand>/<model>.yaml` says by firmware and region which codec a model has; `vendor/<brand>/<codec>.yaml` says
//! which files in the same folder hold its functions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A model: `vendor/<brand>/<model>.yaml`, as far as it is about codecs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceYaml {
    #[serde(default)]
    firmware_versions: Vec<Firmware>,
}

/// A codec: `vendor/<brand>/<codec>.yaml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CodecYaml {
    /// Reads uplinks, and normalises them if its script can.
    pub uplink_decoder: Option<Function>,
    /// Makes downlinks of commands.
    pub downlink_encoder: Option<Function>,
    /// Reads downlinks back.
    pub downlink_decoder: Option<Function>,
}

/// One function of a codec, and what it was tested with.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Function {
    /// The script, relative to the folder of the YAML file, and never outside of it.
    pub file_name: String,
    /// Calls of the function and what must come of them.
    #[serde(default, deserialize_with = "none_is_empty")]
    pub examples: Vec<Example>,
}

/// A call of a function and what must come of it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Example {
    /// What it is about, for people.
    #[serde(default)]
    pub description: Option<String>,
    /// The function's argument: `bytes`, `fPort`, `recvTime` for decoders, `data` for encoders. A number with a leading
    /// zero (`07`) is read as a float (`7.0`).
    pub input: Value,
    /// The function's result: `data`, or `bytes` and `fPort`; `warnings`, `errors`.
    pub output: Option<Value>,
    /// The result of `normalizeUplink` for the decoded data.
    pub normalized_output: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Firmware {
    version: String,
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Profile {
    codec: Option<String>,
}

/// Why a file of a device repository cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RepositoryError {
    /// It is not YAML, or lacks what it must have.
    #[error("{message}")]
    Yaml {
        /// What the parser says.
        message: String,
        /// Where, counted from 1.
        line: Option<u32>,
    },
    /// It names a file outside of its own folder.
    #[error("`{path}` is not inside the vendor's folder")]
    Outside {
        /// What it names.
        path: String,
    },
}

impl DeviceYaml {
    /// Reads the file of a model.
    ///
    /// # Errors
    /// It is no such file, or names a codec outside of the vendor's folder.
    pub fn parse(text: &str) -> Result<Self, RepositoryError> {
        let device: Self = parse(text)?;
        let profiles = device.firmware_versions.iter().flat_map(|firmware| firmware.profiles.values());
        profiles.filter_map(|profile| profile.codec.as_deref()).try_for_each(stays_inside)?;
        Ok(device)
    }

    /// The codec of a device, as the name of its file without `.yaml`. A firmware or a band (an id of The Things Stack's:
    /// `EU_863_870`) that is given must be listed; one that is not, an empty text, leaves open which. `None` too if more
    /// than one codec is left.
    pub fn codec(&self, firmware_version: &str, band_id: &str) -> Option<&str> {
        let firmwares =
            self.firmware_versions.iter().filter(|it| firmware_version.is_empty() || it.version == firmware_version);
        let profiles = firmwares.flat_map(|firmware| &firmware.profiles);
        let in_band = profiles.filter(|(region, _)| band_id.is_empty() || band_of(region) == band_id);
        let codecs: BTreeSet<_> = in_band.filter_map(|(_, profile)| profile.codec.as_deref()).collect();
        codecs.first().copied().filter(|_| codecs.len() == 1)
    }
}

impl CodecYaml {
    /// Reads the file of a codec.
    ///
    /// # Errors
    /// It is no such file, or names a script outside of the vendor's folder.
    pub fn parse(text: &str) -> Result<Self, RepositoryError> {
        let codec: Self = parse(text)?;
        codec.functions().try_for_each(|function| stays_inside(&function.file_name))?;
        Ok(codec)
    }

    /// The functions it has.
    pub fn functions(&self) -> impl Iterator<Item = &Function> {
        [&self.uplink_decoder, &self.downlink_encoder, &self.downlink_decoder].into_iter().flatten()
    }
}

impl RepositoryError {
    /// The line of the file, counted from 1, if that is known.
    pub fn line(&self) -> Option<u32> {
        match self {
            Self::Yaml { line, .. } => *line,
            Self::Outside { .. } => None,
        }
    }
}

/// The Things Stack's id of a region's band: `EU863-870` is `EU_863_870`, `AS923-2` is `AS_923_2`.
fn band_of(region: &str) -> String {
    let (area, channels) = region.split_at_checked(2).unwrap_or((region, ""));
    format!("{area}_{}", channels.replace('-', "_"))
}

/// `yes` and `on` are texts there, and a number that is none (`.nan`) becomes null as in JSON.
fn parse<T: DeserializeOwned>(text: &str) -> Result<T, RepositoryError> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| RepositoryError::Yaml {
        message: error.to_string(),
        line: error.location().and_then(|location| u32::try_from(location.line()).ok()),
    })
}

fn stays_inside(path: &str) -> Result<(), RepositoryError> {
    let inside = |component| matches!(component, Component::Normal(_) | Component::CurDir);
    let good = !path.is_empty() && !path.contains('\\') && Path::new(path).components().all(inside);
    good.then_some(()).ok_or_else(|| RepositoryError::Outside { path: path.into() })
}

fn none_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Example>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DEVICE: &str = "
name: Soil probe
firmwareVersions:
  - version: '1.0'
    numeric: 1
    hardwareVersions: ['1']
    profiles:
      EU863-870: { id: eu-profile, lorawanCertified: true, codec: probe-codec }
      AS923-2: { id: as-profile, codec: probe-codec }
      US902-928: { id: us-profile, codec: probe-us-codec }
  - version: 2.0
    profiles:
      EU863-870: { id: eu-profile, vendorID: 7, codec: probe2-codec }
  - version: '3.0'
    profiles:
      EU863-870: { id: eu-profile }
";

    const CODEC: &str = "
uplinkDecoder:
  fileName: probe.js
  examples:
    - description: on, and no number
      input: { fPort: 1, bytes: [0x0A, 07, 255], recvTime: '2026-01-01T00:00:00Z' }
      output: { data: { led: on, level: .nan, open: true, mode: 'yes' }, warnings: [] }
      normalizedOutput: { data: [ { air: { temperature: 21 } } ] }
downlinkEncoder:
  fileName: ./down/probe.js
  examples:
";

    #[test]
    fn a_device_has_the_codec_of_its_firmware_and_band() {
        let device = DeviceYaml::parse(DEVICE).unwrap();
        for (firmware, band, codec) in [
            ("1.0", "EU_863_870", Some("probe-codec")),
            ("1.0", "AS_923_2", Some("probe-codec")),
            ("1.0", "US_902_928", Some("probe-us-codec")),
            ("2.0", "EU_863_870", Some("probe2-codec")),
            ("2.0", "", Some("probe2-codec")),
            ("3.0", "EU_863_870", None),
            ("4.0", "EU_863_870", None),
            ("1.0", "KR_920_923", None),
            ("1.0", "", None),
            ("", "US_902_928", Some("probe-us-codec")),
            ("", "EU_863_870", None),
        ] {
            assert_eq!(device.codec(firmware, band), codec, "{firmware} {band}");
        }
    }

    #[test]
    fn regions_are_bands_of_the_things_stack() {
        let regions = ["EU863-870", "US902-928", "EU433", "AS923", "AS923-4", "CN470-510-20-A"];
        let bands = ["EU_863_870", "US_902_928", "EU_433", "AS_923", "AS_923_4", "CN_470_510_20_A"];
        assert_eq!(regions.map(band_of), bands);
        assert_eq!(["", "é", "EUé"].map(band_of), ["_", "é_", "EU_é"]);
    }

    #[test]
    fn a_codec_has_its_scripts_and_examples() {
        let codec = CodecYaml::parse(CODEC).unwrap();
        let files: Vec<_> = codec.functions().map(|function| function.file_name.as_str()).collect();
        assert_eq!(files, ["probe.js", "./down/probe.js"]);
        let [example] = &codec.uplink_decoder.as_ref().unwrap().examples[..] else { panic!("one example") };
        assert_eq!(example.input["bytes"], json!([10, 7.0, 255]));
        let data = json!({"led": "on", "level": null, "open": true, "mode": "yes"});
        assert_eq!(example.output.as_ref().unwrap()["data"], data);
        assert_eq!(example.normalized_output.as_ref().unwrap()["data"][0]["air"]["temperature"], 21);
        assert_eq!(codec.downlink_encoder.unwrap().examples, []);
    }

    #[test]
    fn no_path_leaves_the_vendors_folder() {
        for path in ["../other/codec.js", "/etc/passwd", "a/../../b.js", "..", "''", "'..\\b.js'"] {
            let codec = CodecYaml::parse(&format!("uplinkDecoder: {{ fileName: {path} }}"));
            assert!(matches!(codec, Err(RepositoryError::Outside { .. })), "{path}: {codec:?}");
            let device = format!("firmwareVersions: [{{ version: '1', profiles: {{ EU433: {{ codec: {path} }} }} }}]");
            assert!(matches!(DeviceYaml::parse(&device), Err(RepositoryError::Outside { .. })), "{path}");
        }
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_line() {
        let error = CodecYaml::parse("uplinkDecoder:\n  fileName: [\n").unwrap_err();
        assert!(error.line().is_some_and(|line| line >= 2), "{error:?}");
        assert!(CodecYaml::parse("uplinkDecoder:\n  examples: []\n").unwrap_err().to_string().contains("fileName"));
        assert!(CodecYaml::parse(&"[".repeat(100_000)).is_err());
        assert!(DeviceYaml::parse("firmwareVersions: &a [*a, *a]").is_err());
    }
}
