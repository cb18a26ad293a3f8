//! The API's legs: reachable, key valid, right to read, right to write, devices at this cluster, messages stored.

use jiff::Timestamp;
use url::Url;

use super::Limits;
use super::finding::Legs;
use crate::config::ApplicationConfig;
use crate::mqtt::tls::Tls;
use crate::network::ttn::rights::{self, READ, WRITE};
use crate::network::ttn::{self, ApiError, Endpoints, KeyInfo};
use crate::telemetry::with_causes;

const LEGS: [&str; 6] = ["api", "key", "read right", "write right", "cluster", "storage"];

const AWAY: &str = "is the cluster (or api_url, identity_url) right, with https:// or http:// as the server has it? An \
                    authority of your own needs ca_file";

/// What the API says.
pub enum Api {
    /// A plain broker.
    None,
    /// It could not be asked.
    Away(String),
    Asked {
        key: Result<KeyInfo, ApiError>,
        rights: Result<Vec<String>, ApiError>,
        /// The Application Server that has the application's first device.
        device_server: Option<String>,
        /// Whether the network stores the application's messages.
        stored: Result<bool, ApiError>,
    },
}

pub async fn ask(config: &ApplicationConfig, endpoints: &Endpoints, tls: &Tls, limits: Limits) -> Api {
    let (Some(_), Some(key)) = (&endpoints.identity, &config.api_key) else { return Api::None };
    let api = match ttn::Api::with_limit(endpoints, &config.id, key.clone(), tls, limits.answer) {
        Ok(api) => api,
        Err(error) => return Api::Away(with_causes(&error)),
    };
    let info = api.key_info().await;
    if let Some(why) = info.as_ref().err().and_then(away) {
        return Api::Away(why);
    }
    let rights = api.rights().await;
    // Without the right to see devices there is none to tell by.
    let device_server = api.device_server().await.ok().flatten();
    let stored = api.stores_messages().await;
    Api::Asked { key: info, rights, device_server, stored }
}

/// Why it is not The Things Stack that answered, if so.
fn away(error: &ApiError) -> Option<String> {
    match error {
        ApiError::Refused(refusal) if refusal.from_stack => None,
        ApiError::Refused(_) | ApiError::Unreadable(_) => {
            Some(format!("{}; it answers, and not as The Things Stack does", with_causes(error)))
        }
        error => Some(with_causes(error)),
    }
}

impl Api {
    /// The legs, in their order.
    pub fn tell(&self, config: &ApplicationConfig, endpoints: &Endpoints, legs: &mut Legs) {
        match self {
            Self::None => legs.skipped(&LEGS, "no api_url: commands to devices need the API, readings do not"),
            Self::Away(why) => {
                legs.failed("api", why, AWAY);
                legs.skipped(&LEGS[1..], "needs the api");
            }
            Self::Asked { key, rights, device_server, stored } => {
                legs.ok("api", endpoints.identity.as_ref().map_or("", Url::as_str));
                if tell_key(key, legs) {
                    tell_rights(config, key.as_ref().ok(), rights, legs);
                    tell_cluster(device_server.as_deref(), endpoints, legs);
                    tell_storage(config, stored, legs);
                } else {
                    legs.skipped(&LEGS[2..], "needs a valid key");
                }
            }
        }
    }

    /// What to do when the MQTT server refuses the login. The server itself never says why.
    pub fn explain_refusal(&self, config: &ApplicationConfig, endpoints: &Endpoints) -> String {
        let uid = &endpoints.uid;
        match self {
            Self::Asked { key: Err(_), .. } => "the API key is not valid: see the leg `key` below".into(),
            Self::Asked { key: Ok(info), .. } if other_application(info, config).is_some() => {
                "the API key belongs to another application: see the leg `read right` below".into()
            }
            Self::Asked { rights: Err(_), .. } => {
                format!("the API key is valid and has no right on `{}`: is the application's id right?", config.id)
            }
            Self::Asked { .. } if config.tenant.is_empty() => {
                format!("the key is right, so the user name `{uid}` is not: is a tenant missing (tenant = \"ttn\")?")
            }
            Self::Asked { .. } => format!(
                "the key is right, so it is the cluster, or the tenant in `{uid}`: compare both with the console's address \
                 (a stack without tenants wants tenant = \"\")"
            ),
            Self::None | Self::Away(_) => {
                format!(
                    "does the server know the user `{uid}` with this password? On The Things Network it is the whole API key"
                )
            }
        }
    }
}

/// Whether the key is valid.
fn tell_key(key: &Result<KeyInfo, ApiError>, legs: &mut Legs) -> bool {
    match key {
        Ok(KeyInfo { expires_at: Some(end), .. }) if *end <= Timestamp::now() => {
            legs.failed(
                "key",
                format!("it expired at {end}"),
                "make another one in the console: the application, API keys",
            );
            false
        }
        Ok(info) => {
            let end = info.expires_at.map(|end| format!(", until {end}")).unwrap_or_default();
            legs.ok("key", format!("valid{end}"));
            true
        }
        Err(error) => {
            let hint = match error {
                ApiError::Refused(refusal) if refusal.status >= 500 => "the server is in trouble; try again later",
                ApiError::Refused(refusal) if refusal.status == 429 => "too many requests; try again in a minute",
                _ => {
                    "the server does not know this key: deleted, expired, cut off, or of another stack? Make another one"
                }
            };
            legs.failed("key", error, hint);
            false
        }
    }
}

fn tell_rights(
    config: &ApplicationConfig,
    key: Option<&KeyInfo>,
    rights: &Result<Vec<String>, ApiError>,
    legs: &mut Legs,
) {
    match rights {
        Ok(rights) => {
            for (leg, right, means) in [
                ("read right", READ, "read application traffic"),
                ("write right", WRITE, "write downlink application traffic"),
            ] {
                match rights::includes(rights, right) {
                    true => legs.ok(leg, right),
                    false => legs.failed(leg, format!("the key has no {right}"), add_right(config, means)),
                }
            }
        }
        Err(error) => {
            let hint = match key.and_then(|key| other_application(key, config)) {
                Some(owner) => {
                    format!("the key was made for `{owner}`: take a key of `{}`, or set id = \"{owner}\"", config.id)
                }
                None => format!("is there an application `{}` at this tenant, and may this key see it?", config.id),
            };
            legs.failed("read right", error, hint.clone());
            legs.failed("write right", error, hint);
        }
    }
}

fn add_right(config: &ApplicationConfig, means: &str) -> String {
    format!("in the console: application `{}`, API keys, this key, tick \"{means}\" and save", config.id)
}

/// A server of another cluster takes the login and never sends anything.
fn tell_cluster(device_server: Option<&str>, endpoints: &Endpoints, legs: &mut Legs) {
    match (device_server, endpoints.api.as_ref().and_then(Url::host_str)) {
        (Some(server), Some(api)) if server == api => legs.ok("cluster", format!("devices are at {server}")),
        // Behind a stack of one's own the same server may have several names.
        (Some(server), Some(api)) if in_cloud(server) && in_cloud(api) => {
            let detail = format!("the devices are at {server}, and {api} is configured");
            let hint = format!("cluster = \"{}\"", cluster_of(server));
            legs.failed("cluster", detail, hint);
        }
        _ => legs.skipped(&["cluster"], "no device to tell by, or no right to see devices"),
    }
}

/// Readings flow without it; what is sent while nobody listens is lost.
fn tell_storage(config: &ApplicationConfig, stored: &Result<bool, ApiError>, legs: &mut Legs) {
    match stored {
        Ok(true) => legs.ok("storage", "the Storage Integration is activated"),
        Ok(false) => legs.warning(
            "storage",
            "the Storage Integration is not activated: what devices send while the bridge cannot hear it is lost",
            format!(
                "in the console: application `{}`, Integrations, Storage Integration, Activate (a stack of the open \
                 source edition has none)",
                config.id
            ),
        ),
        Err(ApiError::Refused(refusal)) if refusal.status == 403 => legs.skipped(
            &["storage"],
            "the key may not see whether the Storage Integration is activated (RIGHT_APPLICATION_SETTINGS_PACKAGES)",
        ),
        Err(error) => legs.skipped(&["storage"], &format!("not told: {error}")),
    }
}

fn in_cloud(host: &str) -> bool {
    host.contains(".cloud.thethings.")
}

/// `nam1` in `nam1.cloud.…` and `acme.nam1.cloud.…`.
fn cluster_of(host: &str) -> &str {
    let before = host.split(".cloud.").next().unwrap_or(host);
    before.rsplit('.').next().unwrap_or(before)
}

/// The application this key was made for, if it is not the configured one.
fn other_application<'a>(key: &'a KeyInfo, config: &ApplicationConfig) -> Option<&'a str> {
    key.application.as_deref().filter(|owner| *owner != config.id)
}
