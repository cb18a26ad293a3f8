//! What people paste when they are asked for a cluster or an application: host names, the console's addresses, user
//! names.

use url::Url;

const NETWORK: &str = ".cloud.thethings.network";
const INDUSTRIES: &str = ".cloud.thethings.industries";

/// What a pasted text says; parts that it does not tell are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    pub cluster: Option<String>,
    pub tenant: Option<String>,
    pub application: Option<String>,
    /// A stack that is not in the cloud: its MQTT and HTTP addresses.
    pub own: Option<OwnStack>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnStack {
    pub mqtt_url: String,
    pub api_url: String,
}

/// A text that names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAPlace {
    #[error("`{0}` is neither a cluster nor an address")]
    Unreadable(String),
    #[error("this is the page that chooses a cluster: go on to the console, and copy its address from there")]
    Chooser,
}

/// Reads a cluster's name (`eu1`), a host, or an address in the console.
pub fn place(text: &str) -> Result<Place, NotAPlace> {
    let bare = !text.contains(['.', ':', '/']) && text != "localhost";
    if bare && !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(Place { cluster: Some(text.to_ascii_lowercase()), ..Place::default() });
    }
    let unreadable = || NotAPlace::Unreadable(text.into());
    let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = Url::parse(&full).map_err(|_| unreadable())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(unreadable)?;
    let mut place = of_host(host, &url)?;
    place.application = application_in(&url);
    Ok(place)
}

/// Reads an application id, the MQTT user name `application@tenant`, or an address in the console.
pub fn application(text: &str) -> Result<Place, NotAPlace> {
    if text.contains('/') {
        return place(text);
    }
    let (id, tenant) = text.split_once('@').map_or((text, None), |(id, tenant)| (id, Some(tenant.to_owned())));
    Ok(Place { application: Some(id.to_owned()), tenant, ..Place::default() })
}

fn of_host(host: &str, url: &Url) -> Result<Place, NotAPlace> {
    let cloud = |cluster: &str, tenant: &str| Place {
        cluster: Some(cluster.into()),
        tenant: Some(tenant.into()),
        ..Place::default()
    };
    if let Some(cluster) = host.strip_suffix(NETWORK) {
        return if cluster == "console" { Err(NotAPlace::Chooser) } else { Ok(cloud(cluster, "ttn")) };
    }
    match host.strip_suffix(INDUSTRIES).map(|rest| rest.split_once('.')) {
        Some(Some((tenant, cluster))) => Ok(cloud(cluster, tenant)),
        Some(None) => Err(NotAPlace::Chooser),
        None => Ok(Place { own: Some(own_stack(url)), tenant: Some(String::new()), ..Place::default() }),
    }
}

/// The usual ports: MQTT 8883 and 1883, HTTP as in the address itself.
fn own_stack(url: &Url) -> OwnStack {
    let tls = !matches!(url.scheme(), "http" | "mqtt");
    let web = matches!(url.scheme(), "http" | "https");
    let host = url.host_str().unwrap_or_default();
    let port = url.port().filter(|_| web).map(|port| format!(":{port}")).unwrap_or_default();
    let (mqtt, http) = if tls { ("mqtts", "https") } else { ("mqtt", "http") };
    OwnStack { mqtt_url: format!("{mqtt}://{host}"), api_url: format!("{http}://{host}{port}") }
}

/// `…/console/applications/my-app/…`
fn application_in(url: &Url) -> Option<String> {
    let mut segments = url.path_segments()?.skip_while(|segment| *segment != "applications").skip(1);
    segments.next().filter(|id| !id.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(place: &Place) -> (Option<&str>, Option<&str>, Option<&str>) {
        (place.cluster.as_deref(), place.tenant.as_deref(), place.application.as_deref())
    }

    #[test]
    fn clusters_are_found_in_what_people_paste() {
        for (text, expected) in [
            ("eu1", (Some("eu1"), None, None)),
            ("NAM1", (Some("nam1"), None, None)),
            ("eu1.cloud.thethings.network", (Some("eu1"), Some("ttn"), None)),
            ("mqtts://au1.cloud.thethings.network:8883", (Some("au1"), Some("ttn"), None)),
            (
                "https://eu1.cloud.thethings.network/console/applications/my-app",
                (Some("eu1"), Some("ttn"), Some("my-app")),
            ),
            (
                "https://eu1.cloud.thethings.network/console/applications/my-app/devices/x",
                (Some("eu1"), Some("ttn"), Some("my-app")),
            ),
            ("https://acme.nam1.cloud.thethings.industries/console", (Some("nam1"), Some("acme"), None)),
        ] {
            assert_eq!(told(&place(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn another_host_is_a_stack_of_ones_own() {
        for (text, mqtt, api) in [
            ("https://tts.example.org/console/", "mqtts://tts.example.org", "https://tts.example.org"),
            ("http://localhost:1885", "mqtt://localhost", "http://localhost:1885"),
            ("localhost", "mqtts://localhost", "https://localhost"),
        ] {
            let place = place(text).unwrap();
            let own = OwnStack { mqtt_url: mqtt.into(), api_url: api.into() };
            assert_eq!((place.own, place.tenant.as_deref()), (Some(own), Some("")), "{text}");
        }
    }

    #[test]
    fn applications_are_found_in_user_names_and_addresses() {
        assert_eq!(told(&application("my-app").unwrap()), (None, None, Some("my-app")));
        assert_eq!(told(&application("my-app@ttn").unwrap()), (None, Some("ttn"), Some("my-app")));
        let pasted = application("https://eu1.cloud.thethings.network/console/applications/my-app/api-keys").unwrap();
        assert_eq!(told(&pasted), (Some("eu1"), Some("ttn"), Some("my-app")));
    }

    #[test]
    fn what_names_no_place_is_refused() {
        assert_eq!(place("https://console.cloud.thethings.network/"), Err(NotAPlace::Chooser));
        for bad in ["", "eu 1", "https://"] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
