//! The Things Stack's HTTP API as one application uses it: one client, one key, and what its errors say.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{ACCEPT, DATE, HeaderMap};
use reqwest::{Client, Method, RequestBuilder, Response, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

use super::Endpoints;
use super::refusal::{RateLimit, Refusal, number, refusal};
use crate::model::{DeviceId, EndDeviceIds, VersionIds};
use crate::mqtt::tls::Tls;
use crate::telemetry::NetworkClock;

/// How long a connection may take to open, and a whole request to end.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// How long an answer that comes piece by piece may go on, each piece in the time of a whole answer.
const STREAM_WITHIN: Duration = Duration::from_secs(3600);
/// The longest answer read, in bytes: a full queue of 10,000 downlinks fits.
const LONGEST_ANSWER: usize = 16 << 20;
/// Devices asked for at once, the most the API gives, and how often at most.
const PAGE: usize = 1000;
const PAGES: usize = 100;
/// What the Storage Integration is called among the packages.
const STORAGE: &str = "storage-integration";

/// The client of one application. Cheap to clone; all clones share connections.
#[derive(Debug, Clone)]
pub struct Api {
    http: Client,
    base: Option<Url>,
    identity: Option<Url>,
    application: String,
    key: SecretString,
    answer_within: Duration,
    clock: NetworkClock,
}

/// A request that did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("no HTTP API is configured for this application")]
    NotConfigured,
    #[error("the HTTP client cannot be set up")]
    Setup(#[source] reqwest::Error),
    #[error("no answer came")]
    NoAnswer(#[source] reqwest::Error),
    #[error("{0}")]
    Refused(Box<Refusal>),
    #[error("the answer stopped coming")]
    Stalled,
    #[error("the answer broke off: {0}")]
    Broken(String),
    #[error("the answer is longer than {LONGEST_ANSWER} bytes")]
    TooLong,
    #[error("the answer is not the JSON it should be")]
    Unreadable(#[source] serde_json::Error),
}

/// What the Identity Server says of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyInfo {
    /// The application it was made for; none if it belongs to a user or an organization.
    pub application: Option<String>,
    pub expires_at: Option<Timestamp>,
}

/// A device as it is registered at the Identity Server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDevice {
    pub id: DeviceId,
    pub attributes: BTreeMap<String, String>,
    pub version_ids: Option<VersionIds>,
    pub ids: EndDeviceIds,
}

impl Api {
    /// `application` is the bare id, without `@tenant`: the tenant comes from the host's name.
    pub fn new(endpoints: &Endpoints, application: &str, key: SecretString, tls: &Tls) -> Result<Self, ApiError> {
        Self::with_limit(endpoints, application, key, tls, ANSWER_WITHIN)
    }

    pub(crate) fn with_limit(
        endpoints: &Endpoints,
        application: &str,
        key: SecretString,
        tls: &Tls,
        answer_within: Duration,
    ) -> Result<Self, ApiError> {
        let http = Client::builder()
            .tls_backend_preconfigured(tls.as_ref().clone())
            .user_agent(concat!("ttn-ferry/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_WITHIN)
            .timeout(answer_within)
            // A redirect would repeat a push, or carry the key elsewhere; a proxy would come from the environment,
            // which only the configuration reads.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(ApiError::Setup)?;
        let (base, identity) = (endpoints.api.clone(), endpoints.identity.clone());
        Ok(Self {
            http,
            base,
            identity,
            application: application.into(),
            key,
            answer_within,
            clock: NetworkClock::default(),
        })
    }

    /// The time that each answer names is told there.
    pub fn setting(self, clock: NetworkClock) -> Self {
        Self { clock, ..self }
    }

    /// Whether the key is one, whose, and until when.
    pub async fn key_info(&self) -> Result<KeyInfo, ApiError> {
        let (answer, _) = self.get::<AuthInfo>(below(self.identity.as_ref(), &["auth_info"], &[])?).await?;
        let access = answer.api_key.unwrap_or_default();
        Ok(KeyInfo {
            application: access.entity_ids.application_ids.map(|ids| ids.application_id),
            expires_at: access.api_key.expires_at,
        })
    }

    /// The host of the Application Server at which the application's first device is registered; `None` if there is no
    /// device.
    pub async fn device_server(&self) -> Result<Option<String>, ApiError> {
        let mut url = self.identity_url(&["devices"])?;
        url.set_query(Some("field_mask=application_server_address&limit=1"));
        let (page, _) = self.get::<ServerPage>(url).await?;
        let address = page.end_devices.into_iter().next().map(|device| device.application_server_address);
        let host = address.map(|address| address.split(':').next().unwrap_or_default().to_owned());
        Ok(host.filter(|host| !host.is_empty()))
    }

    /// The rights the key has on the application: `RIGHT_APPLICATION_TRAFFIC_READ` and so on.
    pub async fn rights(&self) -> Result<Vec<String>, ApiError> {
        #[derive(Deserialize)]
        struct Rights {
            #[serde(default)]
            rights: Vec<String>,
        }
        let (rights, _) = self.get::<Rights>(self.identity_url(&["rights"])?).await?;
        Ok(rights.rights)
    }

    /// Every registered device. One whose id is malformed is left out: nothing could be asked about it.
    pub async fn devices(&self) -> Result<Vec<ListedDevice>, ApiError> {
        let mut all = Vec::new();
        for page in 1..=PAGES {
            let mut url = self.identity_url(&["devices"])?;
            url.query_pairs_mut()
                .append_pair("field_mask", "attributes,version_ids")
                .append_pair("order", "device_id")
                .append_pair("limit", &PAGE.to_string())
                .append_pair("page", &page.to_string());
            let (listed, headers) = self.get::<DevicePage>(url).await?;
            let (count, total) = (listed.end_devices.len(), number(&headers, "x-total-count"));
            all.extend(listed.end_devices.into_iter().filter_map(registered));
            if count == 0 || total.is_some_and(|total| (page * PAGE) as u64 >= total) {
                break;
            }
        }
        Ok(all)
    }

    /// Whether the application's messages are stored: whether the Storage Integration is activated.
    pub async fn stores_messages(&self) -> Result<bool, ApiError> {
        let (associations, _) = self.get::<Associations>(self.cluster_url(&["packages", "associations"])?).await?;
        Ok(associations.defaults.iter().any(|package| package.package_name == STORAGE))
    }

    /// Below `as/applications/{application}` at the application's cluster.
    pub(super) fn cluster_url(&self, path: &[&str]) -> Result<Url, ApiError> {
        below(self.base.as_ref(), &["as", "applications", &self.application], path)
    }

    /// Below `dr/applications/{application}`: the device repository at the application's cluster.
    pub(super) fn repository_url(&self, path: &[&str]) -> Result<Url, ApiError> {
        below(self.base.as_ref(), &["dr", "applications", &self.application], path)
    }

    /// Below `applications/{application}` at the Identity Server.
    fn identity_url(&self, path: &[&str]) -> Result<Url, ApiError> {
        below(self.identity.as_ref(), &["applications", &self.application], path)
    }

    /// The event stream of the application's cluster.
    pub(super) fn events_url(&self) -> Result<Url, ApiError> {
        below(self.base.as_ref(), &["events"], &[])
    }

    /// The bare id, as paths and identifiers have it.
    pub(super) fn application(&self) -> &str {
        &self.application
    }

    /// How long each piece of an answer may take.
    pub(super) fn patience(&self) -> Duration {
        self.answer_within
    }

    /// Asks for an answer that comes piece by piece.
    pub(super) async fn open(&self, url: Url) -> Result<Response, ApiError> {
        self.begin(self.http.request(Method::GET, url)).await
    }

    /// The same with a JSON body.
    pub(super) async fn open_with(&self, url: Url, body: &impl Serialize) -> Result<Response, ApiError> {
        self.begin(self.http.request(Method::POST, url).json(body)).await
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<(T, HeaderMap), ApiError> {
        let (body, headers) = self.send(self.http.request(Method::GET, url)).await?;
        let value = serde_json::from_slice(&body).map_err(ApiError::Unreadable)?;
        Ok((value, headers))
    }

    /// Posts JSON; the answer's body says nothing beyond its status.
    pub(super) async fn post(&self, url: Url, body: &impl Serialize) -> Result<RateLimit, ApiError> {
        let (_, headers) = self.send(self.http.request(Method::POST, url).json(body)).await?;
        Ok(RateLimit::read(&headers))
    }

    /// The time limit is each piece's: the client's own would end a long answer in its middle.
    async fn begin(&self, request: RequestBuilder) -> Result<Response, ApiError> {
        let request =
            request.bearer_auth(self.key.expose_secret()).header(ACCEPT, "text/event-stream").timeout(STREAM_WITHIN);
        let began = async {
            let response = request.send().await.map_err(ApiError::NoAnswer)?;
            self.note_time(response.headers());
            let (status, rate) = (response.status(), RateLimit::read(response.headers()));
            match status.is_success() {
                true => Ok(response),
                false => Err(ApiError::Refused(Box::new(refusal(status, &read(response).await?, rate)))),
            }
        };
        tokio::time::timeout(self.answer_within, began).await.map_err(|_| ApiError::Stalled)?
    }

    async fn send(&self, request: RequestBuilder) -> Result<(Vec<u8>, HeaderMap), ApiError> {
        let request = request.bearer_auth(self.key.expose_secret());
        let response = request.send().await.map_err(ApiError::NoAnswer)?;
        let (status, headers) = (response.status(), response.headers().clone());
        self.note_time(&headers);
        for warning in headers.get_all("x-warning").iter().filter_map(|value| value.to_str().ok()) {
            tracing::warn!(application = self.application, warning, "The Things Stack warns.");
        }
        let body = read(response).await?;
        let rate = RateLimit::read(&headers);
        tracing::trace!(application = self.application, %status, ?rate, "HTTP API answered.");
        if status.is_success() {
            Ok((body, headers))
        } else {
            Err(ApiError::Refused(Box::new(refusal(status, &body, rate))))
        }
    }

    /// When the answer was made, by the server's clock (RFC 9110, 6.6.1).
    fn note_time(&self, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        if let Some(at) = date.and_then(|date| rfc2822::parse(date).ok()) {
            self.clock.heard(at.timestamp());
        }
    }
}

#[derive(Deserialize)]
struct AuthInfo {
    api_key: Option<Access>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Access {
    api_key: Key,
    entity_ids: Entity,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Key {
    expires_at: Option<Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entity {
    application_ids: Option<ApplicationIds>,
}

#[derive(Deserialize)]
struct ApplicationIds {
    application_id: String,
}

/// Packages that handle all of an application's messages, on any port (The Things Stack API, "Application packages").
#[derive(Deserialize)]
struct Associations {
    #[serde(default)]
    defaults: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    #[serde(default)]
    package_name: String,
}

#[derive(Deserialize)]
struct ServerPage {
    #[serde(default)]
    end_devices: Vec<ServerJson>,
}

#[derive(Deserialize)]
struct ServerJson {
    #[serde(default)]
    application_server_address: String,
}

#[derive(Deserialize)]
struct DevicePage {
    #[serde(default)]
    end_devices: Vec<DeviceJson>,
}

#[derive(Deserialize)]
struct DeviceJson {
    ids: ListedIds,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    version_ids: Option<ListedVersion>,
}

#[derive(Deserialize)]
struct ListedIds {
    device_id: String,
    dev_eui: Option<String>,
    join_eui: Option<String>,
    dev_addr: Option<String>,
}

/// proto3 JSON: what is empty is left out.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ListedVersion {
    brand_id: String,
    model_id: String,
    hardware_version: String,
    firmware_version: String,
    band_id: String,
}

impl From<ListedVersion> for VersionIds {
    fn from(listed: ListedVersion) -> Self {
        let ListedVersion { brand_id, model_id, hardware_version, firmware_version, band_id } = listed;
        Self { brand_id, model_id, hardware_version, firmware_version, band_id }
    }
}

fn below(base: Option<&Url>, root: &[&str], path: &[&str]) -> Result<Url, ApiError> {
    let mut url = base.ok_or(ApiError::NotConfigured)?.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(root).extend(path);
    }
    Ok(url)
}

async fn read(mut response: Response) -> Result<Vec<u8>, ApiError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(ApiError::NoAnswer)? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(ApiError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn registered(listed: DeviceJson) -> Option<ListedDevice> {
    let ListedIds { device_id, dev_eui, join_eui, dev_addr } = listed.ids;
    let id = DeviceId::parse(&device_id)
        .inspect_err(|error| tracing::warn!(%error, "A registered device has a malformed id."))
        .ok()?;
    let version_ids = listed.version_ids.map(VersionIds::from);
    let ids = EndDeviceIds { dev_eui, join_eui, dev_addr };
    Some(ListedDevice { id, attributes: listed.attributes, version_ids, ids })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_auth_info_of_any_shape_is_understood() {
        let info = r#"{"api_key":{"api_key":{"id":"X","expires_at":"2027-01-01T00:00:00Z"},
                       "entity_ids":{"application_ids":{"application_id":"my-app"}}}}"#;
        let info: AuthInfo = serde_json::from_str(info).unwrap();
        let access = info.api_key.unwrap();
        assert_eq!(access.entity_ids.application_ids.unwrap().application_id, "my-app");
        assert!(access.api_key.expires_at.is_some());
        assert!(serde_json::from_str::<AuthInfo>(r#"{"is_admin":true}"#).unwrap().api_key.is_none());
    }
}
