//! Payload formatters: which a device or an application has, and the codecs of the device repository.

use serde_json::{Map, Value};

use super::config::VersionIds;
use super::messages::Failure;

/// Where the real one keeps these errors.
const NAMESPACE: &str = "pkg/devicerepository/store/remote";

/// What turns payloads into fields, or fields into payloads, on the network's side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Formatter {
    #[default]
    None,
    /// The script that the device repository has for the device's `version_ids`.
    Repository,
    /// A script typed into the console.
    JavaScript(String),
    CayenneLpp,
}

/// The formatters of a device, or those an application has for devices without their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Formatters {
    pub up: Formatter,
    pub down: Formatter,
}

/// A device's codec as the device repository publishes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepositoryCodec {
    pub version_ids: VersionIds,
    pub codec_id: String,
    /// The whole script that holds `decodeUplink`; `None` if the codec has none.
    pub decoder: Option<String>,
    /// The whole script that holds `encodeDownlink`.
    pub encoder: Option<String>,
}

/// What is asked of the device repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    UplinkDecoder,
    DownlinkEncoder,
}

/// The codecs that were published.
#[derive(Debug, Default)]
pub struct DeviceRepository(Vec<RepositoryCodec>);

impl Formatters {
    /// As both servers print them: what is `FORMATTER_NONE` is left out.
    pub fn to_json(&self) -> Value {
        let mut fields = Map::new();
        for (direction, formatter) in [("up", &self.up), ("down", &self.down)] {
            let (name, parameter) = match formatter {
                Formatter::None => continue,
                Formatter::Repository => ("FORMATTER_REPOSITORY", None),
                Formatter::JavaScript(script) => ("FORMATTER_JAVASCRIPT", Some(script)),
                Formatter::CayenneLpp => ("FORMATTER_CAYENNELPP", None),
            };
            fields.insert(format!("{direction}_formatter"), name.into());
            if let Some(parameter) = parameter.filter(|script| !script.is_empty()) {
                fields.insert(format!("{direction}_formatter_parameter"), parameter.as_str().into());
            }
        }
        Value::Object(fields)
    }
}

impl DeviceRepository {
    /// Adds a codec, or puts it in place of the one for the same product.
    pub fn publish(&mut self, codec: RepositoryCodec) {
        self.0.retain(|known| !is_same(&known.version_ids, &codec.version_ids));
        self.0.push(codec);
    }

    /// The codec's id and the script. What is missing is told in the order in which the real one looks.
    pub fn script(&self, wanted: &VersionIds, part: Part) -> Result<(&str, &str), Failure> {
        let VersionIds { brand_id, model_id, firmware_version, band_id, .. } = wanted;
        let missing = |name, text| {
            Err(Failure::new(5, NAMESPACE, name, text)
                .with("brand_id", brand_id.as_str())
                .with("model_id", model_id.as_str())
                .with("firmware_version", firmware_version.as_str())
                .with("band_id", band_id.as_str()))
        };
        let mut left: Vec<_> = self.0.iter().collect();
        left.retain(|codec| codec.version_ids.brand_id == *brand_id && codec.version_ids.model_id == *model_id);
        if left.is_empty() {
            return missing("model_not_found", "model `{brand_id}/{model_id}` not found");
        }
        left.retain(|codec| codec.version_ids.firmware_version == *firmware_version);
        if left.is_empty() {
            let text = "firmware version `{firmware_version}` for model `{brand_id}/{model_id}` not found";
            return missing("firmware_version_not_found", text);
        }
        let Some(codec) = left.into_iter().find(|codec| codec.version_ids.band_id == *band_id) else {
            return missing("no_profile_for_band", "device does not have a profile for band `{band_id}`");
        };
        match (part, &codec.decoder, &codec.encoder) {
            (Part::UplinkDecoder, Some(script), _) | (Part::DownlinkEncoder, _, Some(script)) => {
                Ok((&codec.codec_id, script))
            }
            (Part::UplinkDecoder, ..) => missing("no_decoder", "no decoder defined for codec"),
            (Part::DownlinkEncoder, ..) => missing("no_encoder", "no encoder defined for codec"),
        }
    }
}

/// Whether both name the same firmware of one product in one band. The hardware's version plays no part.
fn is_same(one: &VersionIds, other: &VersionIds) -> bool {
    let key = |ids: &VersionIds| {
        [ids.brand_id.clone(), ids.model_id.clone(), ids.firmware_version.clone(), ids.band_id.clone()]
    };
    key(one) == key(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn formatters_are_printed_without_what_is_none() {
        let formatters = Formatters { up: Formatter::JavaScript("x".into()), down: Formatter::None };
        let printed = json!({"up_formatter": "FORMATTER_JAVASCRIPT", "up_formatter_parameter": "x"});
        assert_eq!(formatters.to_json(), printed);
        assert_eq!(Formatters::default().to_json(), json!({}));
        let both = Formatters { up: Formatter::Repository, down: Formatter::CayenneLpp };
        let printed = json!({"up_formatter": "FORMATTER_REPOSITORY", "down_formatter": "FORMATTER_CAYENNELPP"});
        assert_eq!(both.to_json(), printed);
    }
}
