//! `[[application]]`: ids, names, addresses and keys that belong together.

use std::collections::HashMap;

use secrecy::ExposeSecret;

use super::api_key_shape;
use crate::config::error::Report;
use crate::config::{ApplicationConfig, Environment};
use crate::model::{ApplicationName, ttn_id};
use crate::network::ttn::{Endpoints, InvalidEndpoint};

/// The clusters of The Things Network. The Things Stack Cloud may have more.
const TTN_CLUSTERS: [&str; 3] = ["eu1", "nam1", "au1"];
/// Hosts on which every key has the known shape.
const TTN_HOSTS: [&str; 2] = [".cloud.thethings.network", ".cloud.thethings.industries"];

pub fn check(all: &[ApplicationConfig], environment: &dyn Environment, report: &mut Report) {
    if all.is_empty() {
        report.error(
            "application",
            "no application is configured",
            "add a table [[application]], or let `ttn-ferry init` write one",
        );
    }
    let mut names = HashMap::new();
    for (index, application) in all.iter().enumerate() {
        let at = format!("application[{index}]");
        identity(application, &at, report);
        labels(application, &at, report);
        if let Some(first) = names.insert(application.name(), index) {
            let message = format!("application[{first}] is called `{}` as well", application.name());
            report.error(format!("{at}.name"), message, "give one of them a name of its own: name = \"garden\"");
        }
        match Endpoints::of(application) {
            Ok(endpoints) => reached(application, &endpoints, &at, environment, report),
            Err(error) => address(&error, &at, report),
        }
    }
}

fn identity(application: &ApplicationConfig, at: &str, report: &mut Report) {
    let ApplicationConfig { id, tenant, .. } = application;
    match id.split_once('@') {
        Some((id, tenant)) => {
            let hint = format!("id = \"{id}\" and tenant = \"{tenant}\"");
            report.error(format!("{at}.id"), format!("`{id}@{tenant}` is the MQTT user name, not the id"), hint);
        }
        None if !ttn_id(id) => {
            let message = format!("`{id}` is no application id: 3 to 36 of a-z, 0-9 and single dashes inside");
            report.error(
                format!("{at}.id"),
                message,
                "copy the ID from the application's page in the console, not its name",
            );
        }
        None => {}
    }
    if let Some(Err(error)) = application.name.as_deref().map(ApplicationName::parse) {
        report.error(format!("{at}.name"), error, "it becomes one topic level: letters, digits, dashes");
    }
    match &application.cluster {
        Some(_) if tenant.is_empty() => {
            report.error(
                format!("{at}.tenant"),
                "a cluster has tenants, and none is given",
                "tenant = \"ttn\" on The Things Network, else your own",
            );
        }
        _ if !tenant.is_empty() && !ttn_id(tenant) => {
            report.error(
                format!("{at}.tenant"),
                format!("`{tenant}` is no tenant id"),
                "\"ttn\" on The Things Network; \"\" on a stack of your own",
            );
        }
        Some(cluster) if tenant == "ttn" && known_shape(cluster) && !TTN_CLUSTERS.contains(&cluster.as_str()) => {
            report.warn(
                format!("{at}.cluster"),
                format!("The Things Network is not known to have a cluster `{cluster}`"),
                "eu1, nam1 or au1",
            );
        }
        _ => {}
    }
}

fn labels(application: &ApplicationConfig, at: &str, report: &mut Report) {
    for (index, kek) in application.kek.iter().enumerate() {
        let key = format!("{at}.kek[{index}].label");
        let label = kek.label.trim();
        if label.is_empty() {
            report.error(
                key,
                "a key without a label is never found",
                "the label that the Join Server gives it: \"as/mykek\"",
            );
        } else if let Some(first) = application.kek[..index].iter().position(|other| other.label.trim() == label) {
            report.error(key, format!("kek[{first}] has the label `{label}` as well"), "one key for each label");
        }
    }
}

fn address(error: &InvalidEndpoint, at: &str, report: &mut Report) {
    let (key, hint) = match error {
        InvalidEndpoint::Missing => ("", "cluster = \"eu1\": the first part of the console's address".to_owned()),
        InvalidEndpoint::Cluster(pasted) => ("cluster", cluster_hint(pasted)),
        InvalidEndpoint::Mqtt(_) => ("mqtt_url", "mqtts://host, or mqtt://host without TLS".into()),
        InvalidEndpoint::MoreThanAnAddress { key } => (*key, "https://host[:port]".into()),
        InvalidEndpoint::Api { key, .. } => (*key, "https://host, or http://host:1885 for a stack of your own".into()),
    };
    let key = if key.is_empty() { at.to_owned() } else { format!("{at}.{key}") };
    report.error(key, error, hint);
}

fn reached(
    application: &ApplicationConfig,
    endpoints: &Endpoints,
    at: &str,
    environment: &dyn Environment,
    report: &mut Report,
) {
    let secure_api = [&endpoints.api, &endpoints.identity].into_iter().flatten().any(|url| url.scheme() == "https");
    let tls = endpoints.mqtt.has_tls() || secure_api;
    super::ca_file(&format!("{at}.ca_file"), application.ca_file.as_deref(), tls, environment, report);
    if let Some(key) = &application.api_key
        && let Err(error) = api_key_shape(key.expose_secret())
    {
        let source = if application.api_key_file.is_some() { "api_key_file" } else { "api_key" };
        let key = format!("{at}.{source}");
        let host = endpoints.mqtt.server().map_or("", |server| &server.host);
        let on_ttn = TTN_HOSTS.iter().any(|known| host.ends_with(known));
        match (on_ttn, &endpoints.api) {
            (true, _) => report.error(key, error, error.hint()),
            (false, Some(_)) => report.warn(key, error, error.hint()),
            // A broker that only carries TTN's topics has passwords of its own.
            (false, None) => {}
        }
    }
}

fn known_shape(cluster: &str) -> bool {
    cluster.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// A pasted host name or address begins with the cluster.
fn cluster_hint(pasted: &str) -> String {
    let host = pasted.split_once("://").map_or(pasted, |(_, rest)| rest);
    match TTN_CLUSTERS
        .iter()
        .find(|cluster| host.to_ascii_lowercase().split(['.', '/', ':']).any(|part| part == **cluster))
    {
        Some(cluster) => format!("cluster = \"{cluster}\""),
        None => {
            "cluster = \"eu1\", \"nam1\" or \"au1\"; for a stack of your own set mqtt_url and api_url instead".into()
        }
    }
}
