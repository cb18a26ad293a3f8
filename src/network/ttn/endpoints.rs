//! The addresses that follow from an application's configuration.

use url::Url;

use super::ApplicationConfig;
use crate::mqtt::{Address, InvalidAddress};

/// Where one application is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    pub mqtt: Address,
    /// The application's cluster: `https://host/api/v3`. `None` for a plain broker that only carries TTN's topics.
    pub api: Option<Url>,
    /// The Identity Server: rights and the list of devices. On TTN and The Things Stack Cloud always in `eu1`.
    pub identity: Option<Url>,
    /// `application@tenant`, or the bare application on a stack without tenants: MQTT user name and topic level.
    pub uid: String,
}

/// Why no address follows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    #[error("neither `cluster` nor `mqtt_url` is set")]
    Missing,
    #[error("cluster `{0}` is no cluster's name: eu1, nam1 or au1")]
    Cluster(String),
    #[error("mqtt_url: {0}")]
    Mqtt(#[from] InvalidAddress),
    #[error("{key}: `{value}` is no https:// or http:// address")]
    Api { key: &'static str, value: String },
    #[error("{key} holds more than an address: the key goes into `api_key_file`, nothing after `?` or `#`")]
    MoreThanAnAddress { key: &'static str },
}

impl Endpoints {
    pub fn of(config: &ApplicationConfig) -> Result<Self, InvalidEndpoint> {
        let host = config.cluster.as_deref().map(|cluster| cloud_host(cluster, &config.tenant)).transpose()?;
        let mqtt = match (&config.mqtt_url, &host) {
            (Some(url), _) => Address::parse_tcp(url, "the network")?,
            (None, Some(host)) => Address::tcp(host, 8883).with_tls(true),
            (None, None) => return Err(InvalidEndpoint::Missing),
        };
        let api = match (&config.api_url, &host) {
            (Some(url), _) => Some(api_base("api_url", url)?),
            (None, Some(host)) => Some(api_base("cluster", &format!("https://{host}"))?),
            (None, None) => None,
        };
        let identity = match (&config.identity_url, &config.cluster) {
            (Some(url), _) => Some(api_base("identity_url", url)?),
            (None, Some(_)) if config.api_url.is_none() => {
                let host = cloud_host("eu1", &config.tenant)?;
                Some(api_base("cluster", &format!("https://{host}"))?)
            }
            (None, _) => api.clone(),
        };
        Ok(Self { mqtt, api, identity, uid: uid(&config.id, &config.tenant) })
    }
}

impl Endpoints {
    /// What tells this network from every other one in which the same ids may be given: host and tenant.
    pub fn network(&self) -> String {
        let host = match &self.mqtt {
            Address::Net(server) => server.host.clone(),
            Address::Local(path) => path.display().to_string(),
        };
        let tenant = self.uid.split_once('@').map(|(_, tenant)| tenant);
        tenant.map_or_else(|| host.clone(), |tenant| format!("{host}/{tenant}"))
    }

    /// The application's page in the network's console, if it has one: it is where its API is.
    pub fn console(&self) -> Option<String> {
        let (api, id) = (self.api.as_ref()?, self.uid.split('@').next()?);
        Some(format!("{}/console/applications/{id}", api.origin().ascii_serialization()))
    }
}

/// `eu1.cloud.thethings.network` on The Things Network, `<tenant>.eu1.cloud.thethings.industries` on The Things Stack
/// Cloud (The Things Stack documentation, "Addresses").
fn cloud_host(cluster: &str, tenant: &str) -> Result<String, InvalidEndpoint> {
    let clean = !cluster.is_empty() && cluster.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    match (clean, tenant) {
        (false, _) => Err(InvalidEndpoint::Cluster(cluster.into())),
        (true, "ttn" | "") => Ok(format!("{cluster}.cloud.thethings.network")),
        (true, tenant) => Ok(format!("{tenant}.{cluster}.cloud.thethings.industries")),
    }
}

fn api_base(key: &'static str, text: &str) -> Result<Url, InvalidEndpoint> {
    let invalid = || InvalidEndpoint::Api { key, value: text.into() };
    let mut url = Url::parse(text).map_err(|_| invalid())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(invalid());
    }
    // It is shown on `bridge/info`, and a path is appended to it.
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(InvalidEndpoint::MoreThanAnAddress { key });
    }
    let path = url.path().trim_end_matches('/');
    let path = if path.ends_with("/api/v3") { path.to_owned() } else { format!("{path}/api/v3") };
    url.set_path(&path);
    Ok(url)
}

fn uid(id: &str, tenant: &str) -> String {
    if tenant.is_empty() { id.into() } else { format!("{id}@{tenant}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(toml: &str) -> ApplicationConfig {
        toml::from_str(toml).unwrap()
    }

    #[test]
    fn the_things_network_needs_only_a_cluster() {
        let all = Endpoints::of(&config("id = 'my-app'\ncluster = 'nam1'")).unwrap();
        assert_eq!(all.mqtt.to_string(), "mqtts://nam1.cloud.thethings.network:8883");
        assert_eq!(all.network(), "nam1.cloud.thethings.network/ttn");
        let console = "https://nam1.cloud.thethings.network/console/applications/my-app";
        assert_eq!(all.console().as_deref(), Some(console));
        assert_eq!(all.api.unwrap().as_str(), "https://nam1.cloud.thethings.network/api/v3");
        assert_eq!(all.identity.unwrap().as_str(), "https://eu1.cloud.thethings.network/api/v3");
        assert_eq!(all.uid, "my-app@ttn");
    }

    #[test]
    fn a_tenant_of_the_cloud_has_its_own_host() {
        let all = Endpoints::of(&config("id = 'my-app'\ncluster = 'au1'\ntenant = 'acme'")).unwrap();
        assert_eq!(all.mqtt.to_string(), "mqtts://acme.au1.cloud.thethings.industries:8883");
        assert_eq!(all.identity.unwrap().as_str(), "https://acme.eu1.cloud.thethings.industries/api/v3");
    }

    #[test]
    fn a_stack_of_ones_own_is_named_by_its_addresses() {
        let all = "id = 'my-app'\ntenant = ''\nmqtt_url = 'mqtt://localhost:1883'\napi_url = 'http://localhost:1885/'";
        let all = Endpoints::of(&config(all)).unwrap();
        assert_eq!(all.api.as_ref().unwrap().as_str(), "http://localhost:1885/api/v3");
        assert_eq!(all.identity, all.api);
        assert_eq!((all.uid.as_str(), all.network().as_str()), ("my-app", "localhost"));
    }

    #[test]
    fn a_plain_broker_has_no_api() {
        let all = Endpoints::of(&config("id = 'my-app'\nmqtt_url = 'mqtt://localhost'")).unwrap();
        assert_eq!((all.api, all.identity), (None, None));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "id = 'a'",
            "id = 'a'\ncluster = 'eu1.cloud'",
            "id = 'a'\nmqtt_url = 'https://x'",
            "id = 'a'\ncluster='eu1'\napi_url = 'x'",
            "id = 'a'\ncluster='eu1'\napi_url = 'https://me:secret@host'",
            "id = 'a'\ncluster='eu1'\napi_url = 'https://host/?token=secret'",
        ] {
            assert!(Endpoints::of(&config(bad)).is_err(), "{bad}");
        }
    }
}
