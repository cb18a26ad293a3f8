//! What an API key may do, asked of the Identity Server. MQTT cannot tell: a key without the right to read subscribes
//! without complaint and hears nothing (observed on The Things Stack 3.32).

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::mqtt::tls::Tls;

/// Uplinks and all that comes with them.
pub const READ: &str = "RIGHT_APPLICATION_TRAFFIC_READ";
/// Downlinks.
pub const WRITE: &str = "RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE";
/// The list of devices.
pub const DEVICES: &str = "RIGHT_APPLICATION_DEVICES_READ";
/// Rights that hold all others.
const ALL: [&str; 2] = ["RIGHT_APPLICATION_ALL", "RIGHT_ALL"];
/// The largest answer read, in bytes: a list of rights has about 2000.
const MAX_ANSWER: usize = 256 << 10;

/// What the Identity Server says of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyInfo {
    /// The application it was made for; none if it belongs to a user or an organization.
    pub application: Option<String>,
    pub expires_at: Option<Timestamp>,
}

/// Why there is no answer to work with.
#[derive(Debug, thiserror::Error)]
pub enum RightsError {
    #[error("no connection to {host}")]
    Unreachable {
        host: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("{host} did not answer in time")]
    Silent { host: String },
    /// A JSON error as The Things Stack writes it: the server is the right one.
    #[error("{status}: {message}")]
    Refused { status: StatusCode, message: String },
    #[error("{host} answers {status}, and not as The Things Stack does")]
    Foreign { host: String, status: StatusCode },
}

/// A client for one application's HTTP requests, each of which may take `limit`.
pub fn http_client(tls: &Tls, limit: Duration) -> Result<Client, reqwest::Error> {
    Client::builder()
        .tls_backend_preconfigured((**tls).clone())
        .user_agent(concat!("ttn-ferry/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .timeout(limit)
        .build()
}

/// `GET /auth_info`: whether the key is one, whose, and until when.
pub async fn key_info(http: &Client, identity: &Url, key: &SecretString) -> Result<KeyInfo, RightsError> {
    let answer: AuthInfo = get(http, &below(identity, &["auth_info"]), key).await?;
    let access = answer.api_key.unwrap_or_default();
    Ok(KeyInfo {
        application: access.entity_ids.application_ids.map(|ids| ids.application_id),
        expires_at: access.api_key.expires_at,
    })
}

/// `GET /applications/{id}/rights`: what the key may do with this application.
pub async fn rights(http: &Client, identity: &Url, id: &str, key: &SecretString) -> Result<Vec<String>, RightsError> {
    let answer: Rights = get(http, &below(identity, &["applications", id, "rights"]), key).await?;
    Ok(answer.rights)
}

/// The host of the Application Server at which the application's first device is registered, if the key may know and
/// there is a device.
pub async fn device_server(http: &Client, identity: &Url, id: &str, key: &SecretString) -> Option<String> {
    let mut url = below(identity, &["applications", id, "devices"]);
    url.set_query(Some("field_mask=application_server_address&limit=1"));
    let answer: Devices = get(http, &url, key).await.ok()?;
    let address = answer.end_devices.into_iter().next()?.application_server_address;
    Some(address.split(':').next().unwrap_or_default().to_owned()).filter(|host| !host.is_empty())
}

/// Whether `wanted` is among these rights, by itself or within a wider one.
pub fn includes(rights: &[String], wanted: &str) -> bool {
    rights.iter().any(|right| right == wanted || ALL.contains(&right.as_str()))
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

#[derive(Deserialize)]
struct Rights {
    #[serde(default)]
    rights: Vec<String>,
}

#[derive(Deserialize)]
struct Devices {
    #[serde(default)]
    end_devices: Vec<EndDevice>,
}

#[derive(Deserialize)]
struct EndDevice {
    #[serde(default)]
    application_server_address: String,
}

#[derive(Deserialize)]
struct Refusal {
    /// The gRPC code: what tells The Things Stack's errors from those of a proxy.
    #[serde(rename = "code")]
    _code: i32,
    message: String,
}

async fn get<T: DeserializeOwned>(http: &Client, url: &Url, key: &SecretString) -> Result<T, RightsError> {
    let host = || url.host_str().unwrap_or_default().to_owned();
    let lost = |error: reqwest::Error| match error.is_timeout() {
        true => RightsError::Silent { host: host() },
        false => RightsError::Unreachable { host: host(), source: error.without_url() },
    };
    let response = http.get(url.clone()).bearer_auth(key.expose_secret()).send().await.map_err(lost)?;
    let status = response.status();
    let body = body(response).await.map_err(lost)?;
    if status.is_success() {
        serde_json::from_slice(&body).map_err(|_| RightsError::Foreign { host: host(), status })
    } else {
        Err(match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) => RightsError::Refused { status, message: refusal.message },
            Err(_) => RightsError::Foreign { host: host(), status },
        })
    }
}

/// The body up to [`MAX_ANSWER`]; what is cut off there is no JSON any more, and told as such.
async fn body(mut response: reqwest::Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut all = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        all.extend_from_slice(&chunk);
        if all.len() > MAX_ANSWER {
            break;
        }
    }
    Ok(all)
}

fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    url.path_segments_mut().expect("an API address is http or https, which have paths").extend(segments);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_right_includes_the_one_wanted() {
        let has = |right: &str| includes(&[right.to_owned()], READ);
        assert!(has(READ) && has("RIGHT_APPLICATION_ALL"));
        assert!(!has(WRITE));
    }

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

    #[test]
    fn paths_are_joined_below_the_base() {
        let base = Url::parse("https://host/api/v3").unwrap();
        assert_eq!(below(&base, &["applications", "a", "rights"]).path(), "/api/v3/applications/a/rights");
    }
}
