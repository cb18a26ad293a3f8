//! The payload formatters that The Things Stack would run: of the device, else of the application; those that are the
//! device repository's are fetched from there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::Mutex;

use super::api::{Api, ApiError, ListedVersion};
use super::downlinks::push_error;
use super::health::Health;
use crate::model::{ApplicationName, DeviceId, VersionIds};
use crate::network::{Formatter, FormatterError, PushError, Script};
use crate::telemetry::WeakNotices;

/// How long an answer that many devices share is used before it is asked for again.
const RECENT: Duration = Duration::from_secs(600);
/// Scripts of the device repository kept for that long.
const MOST_RECENT: usize = 64;
/// The largest script taken, in bytes. The Things Stack takes 64 KiB from a console (since 3.35); the largest public one
/// in a device repository has 235 KB.
const LONGEST_SCRIPT: usize = 1 << 20;

/// What each answer is about, on `bridge/info`.
const OF_DEVICES: About = About {
    key: "formatters of devices",
    lack: "the key may not view devices: their payload formatters cannot be used by the bridge",
    hint: "add the right to view devices to the key (console → application → API keys)",
};
const OF_APPLICATION: About = About {
    key: "formatters of the application",
    lack: "the key may not view the application's basic settings: its default payload formatter cannot be used by the \
           bridge",
    hint: "add the right to view basic application settings to the key (console → application → API keys), or choose a \
           codec for the devices that have none",
};

/// Asks for the formatters of one application's devices, one request after the other.
pub struct Formatters {
    application: ApplicationName,
    api: Api,
    health: Arc<Health>,
    notices: WeakNotices,
    recent: Mutex<Recent>,
}

/// What is said when the key may not see something.
struct About {
    key: &'static str,
    lack: &'static str,
    hint: &'static str,
}

/// Answers that many devices share.
struct Recent {
    since: Instant,
    /// Not asked yet, or what the application has for devices without their own.
    default: Option<Result<Option<Chosen>, FormatterError>>,
    /// Why none of the devices can be asked for.
    devices: Option<FormatterError>,
    /// What the device repository has, by product and part.
    scripts: HashMap<(Product, Part), Option<Script>>,
}

/// `MessagePayloadFormatters` of The Things Stack's API. What is `FORMATTER_NONE` is left out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Chosen {
    up_formatter: String,
    up_formatter_parameter: String,
    down_formatter: String,
    down_formatter_parameter: String,
}

/// A device as the Application Server knows it.
#[derive(Deserialize)]
struct AsDevice {
    formatters: Option<Chosen>,
    version_ids: Option<ListedVersion>,
}

#[derive(Deserialize)]
struct Link {
    default_formatters: Option<Chosen>,
}

/// `MessagePayloadDecoder` and `MessagePayloadEncoder` of the device repository's API.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Published {
    formatter: String,
    formatter_parameter: String,
}

/// One firmware of one product in one band: what the device repository has codecs for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Product {
    brand: String,
    model: String,
    firmware: String,
    band: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    UplinkDecoder,
    DownlinkEncoder,
}

impl Formatters {
    pub fn new(application: ApplicationName, api: Api, health: Arc<Health>, notices: WeakNotices) -> Self {
        Self { application, api, health, notices, recent: Mutex::new(Recent::new()) }
    }

    /// The formatters that run for `device`; `None` if none do. A device's own go before the application's even if they
    /// are none (The Things Stack, `GetFormatter` of the Application Server). `version_ids` count if the Application
    /// Server has none itself.
    pub async fn of(
        &self,
        device: &DeviceId,
        version_ids: Option<&VersionIds>,
    ) -> Result<Option<Formatter>, FormatterError> {
        let mut recent = self.recent.lock().await;
        if recent.since.elapsed() > RECENT {
            *recent = Recent::new();
        }
        let Some(known) = self.device(&mut recent, device).await? else { return Ok(None) };
        let (chosen, origin) = match known.formatters {
            Some(own) => (Some(own), format!("ttn/{}/{device}", self.application)),
            None => (self.default(&mut recent).await?, format!("ttn/{}", self.application)),
        };
        let Some(chosen) = chosen else { return Ok(None) };
        let product = known.version_ids.map(VersionIds::from).or(version_ids.cloned()).and_then(Product::of);
        self.formatter(&mut recent, chosen, origin, product.as_ref()).await
    }

    async fn formatter(
        &self,
        recent: &mut Recent,
        chosen: Chosen,
        origin: String,
        product: Option<&Product>,
    ) -> Result<Option<Formatter>, FormatterError> {
        let Chosen { up_formatter, up_formatter_parameter, down_formatter, down_formatter_parameter } = chosen;
        let up = self.script(recent, &up_formatter, up_formatter_parameter, (product, Part::UplinkDecoder)).await?;
        let down = (product, Part::DownlinkEncoder);
        let down = self.script(recent, &down_formatter, down_formatter_parameter, down).await?;
        let first = if up.is_some() { &up_formatter } else { &down_formatter };
        let name = match product.filter(|_| first == REPOSITORY) {
            Some(Product { brand, model, .. }) => format!("ttn/{brand}/{model}"),
            None => origin,
        };
        Ok((up.is_some() || down.is_some()).then_some(Formatter { name, up, down }))
    }

    /// What the Application Server has of a device; `None` if it does not know it.
    async fn device(&self, recent: &mut Recent, device: &DeviceId) -> Result<Option<AsDevice>, FormatterError> {
        if let Some(error) = &recent.devices {
            return Err(error.clone());
        }
        let mut url = self.api.cluster_url(&["devices", device.as_str()]).map_err(failed)?;
        url.set_query(Some("field_mask=formatters,version_ids"));
        let answer = self.allowed(&OF_DEVICES, found(self.api.get::<AsDevice>(url).await));
        recent.devices = answer.as_ref().err().filter(|error| is_forbidden(error)).cloned();
        answer
    }

    /// The formatters for devices without their own.
    async fn default(&self, recent: &mut Recent) -> Result<Option<Chosen>, FormatterError> {
        if let Some(known) = &recent.default {
            return known.clone();
        }
        let mut url = self.api.cluster_url(&["link"]).map_err(failed)?;
        url.set_query(Some("field_mask=default_formatters"));
        // It is not there until somebody sets it.
        let answer = self.allowed(&OF_APPLICATION, found(self.api.get::<Link>(url).await));
        let answer = answer.map(|link| link.and_then(|link| link.default_formatters));
        if answer.as_ref().err().is_none_or(is_forbidden) {
            recent.default = Some(answer.clone());
        }
        answer
    }

    async fn script(
        &self,
        recent: &mut Recent,
        formatter: &str,
        parameter: String,
        (product, part): (Option<&Product>, Part),
    ) -> Result<Option<Script>, FormatterError> {
        match (formatter, product) {
            (REPOSITORY, Some(product)) => self.published(recent, product, part).await,
            _ => script(formatter, parameter),
        }
    }

    /// What the device repository has for a product; `None` if it knows nothing of it.
    async fn published(
        &self,
        recent: &mut Recent,
        product: &Product,
        part: Part,
    ) -> Result<Option<Script>, FormatterError> {
        let key = (product.clone(), part);
        if let Some(known) = recent.scripts.get(&key) {
            return Ok(known.clone());
        }
        let url = self.api.repository_url(&product.path(part)).map_err(failed)?;
        let published = found(self.api.get::<Published>(url).await)?.unwrap_or_default();
        let script = script(&published.formatter, published.formatter_parameter)?;
        if recent.scripts.len() < MOST_RECENT {
            recent.scripts.insert(key, script.clone());
        }
        Ok(script)
    }

    /// Notes, and tells if it is news, whether the key may see this.
    fn allowed<T>(&self, about: &About, answer: Result<T, FormatterError>) -> Result<T, FormatterError> {
        let news = match &answer {
            Err(error) if is_forbidden(error) => {
                self.health.degraded(&self.application, about.key, about.lack, about.hint)
            }
            Err(_) => None,
            Ok(_) => self.health.restored(&self.application, about.key),
        };
        news.into_iter().for_each(|notice| self.notices.tell(notice));
        answer
    }
}

impl Recent {
    fn new() -> Self {
        Self { since: Instant::now(), default: None, devices: None, scripts: HashMap::new() }
    }
}

impl Product {
    /// `None` if a part is missing without which nothing can be asked for.
    fn of(ids: VersionIds) -> Option<Self> {
        let VersionIds { brand_id: brand, model_id: model, firmware_version: firmware, band_id: band, .. } = ids;
        let complete = [&brand, &model, &firmware, &band].into_iter().all(|part| !part.is_empty());
        complete.then_some(Self { brand, model, firmware, band })
    }

    fn path(&self, part: Part) -> [&str; 9] {
        let [direction, role] = match part {
            Part::UplinkDecoder => ["uplink", "decoder"],
            Part::DownlinkEncoder => ["downlink", "encoder"],
        };
        let Self { brand, model, firmware, band } = self;
        ["brands", brand, "models", model, firmware, band, "formatters", direction, role]
    }
}

const REPOSITORY: &str = "FORMATTER_REPOSITORY";

/// What a formatter is by itself: none if it is none, unimplemented (`FORMATTER_GRPC_SERVICE`), or an empty script.
fn script(formatter: &str, parameter: String) -> Result<Option<Script>, FormatterError> {
    match formatter {
        "FORMATTER_JAVASCRIPT" if parameter.len() > LONGEST_SCRIPT => {
            Err(FormatterError::Refused(format!("a script of {} bytes; at most {LONGEST_SCRIPT}", parameter.len())))
        }
        "FORMATTER_JAVASCRIPT" if !parameter.trim().is_empty() => Ok(Some(Script::JavaScript(parameter))),
        "FORMATTER_CAYENNELPP" => Ok(Some(Script::CayenneLpp)),
        _ => Ok(None),
    }
}

/// What The Things Stack itself says is not there, is not there.
fn found<T, H>(answer: Result<(T, H), ApiError>) -> Result<Option<T>, FormatterError> {
    match answer {
        Ok((value, _)) => Ok(Some(value)),
        Err(ApiError::Refused(refusal)) if refusal.status == 404 && refusal.from_stack => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: ApiError) -> FormatterError {
    let lacks_right = matches!(&error, ApiError::Refused(refusal) if refusal.status == 403);
    match push_error(error) {
        PushError::RateLimited { retry_after } => FormatterError::RateLimited { retry_after },
        PushError::Forbidden(failure) if lacks_right => FormatterError::Forbidden(failure.message),
        PushError::Refused(failure) => FormatterError::Refused(failure.message),
        // A key that is wrong or expired may be mended: the look at the registry says so.
        other => FormatterError::Unknown(other.to_string()),
    }
}

fn is_forbidden(error: &FormatterError) -> bool {
    matches!(error, FormatterError::Forbidden(_))
}
