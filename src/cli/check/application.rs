//! The legs to one application: the MQTT server to its subscription, then the API to each right.

use super::api::{self, Api};
use super::finding::{Finding, Legs};
use super::{Limits, login, reach};
use crate::config::{ApplicationConfig, Environment, trust};
use crate::mqtt::Connection;
use crate::mqtt::tls::Tls;
use crate::network::ttn::Endpoints;

pub async fn check(config: &ApplicationConfig, environment: &dyn Environment, limits: Limits) -> Vec<Finding> {
    let mut legs = Legs::of(config.name());
    match (Endpoints::of(config), trust(config.ca_file.as_deref(), environment)) {
        (Ok(endpoints), Ok(tls)) => {
            // Asked first: what the API says of the key explains a refused login.
            let api = api::ask(config, &endpoints, &tls, limits).await;
            mqtt(config, &endpoints, &tls, &api, limits, &mut legs).await;
            api.tell(config, &endpoints, &mut legs);
        }
        (Err(error), _) => legs.failed("address", error, "see `ttn-ferry check` without --connect"),
        (_, Err(error)) => legs.failed("ca_file", &error, error.hint()),
    }
    legs.into_findings()
}

async fn mqtt(
    config: &ApplicationConfig,
    endpoints: &Endpoints,
    tls: &Tls,
    api: &Api,
    limits: Limits,
    legs: &mut Legs,
) {
    if !reach::reach(&endpoints.mqtt, tls, limits, legs).await {
        return legs.skipped(&["login", "subscription"], "needs a connection");
    }
    let mut endpoint = login::endpoint(&endpoints.mqtt, tls, "ttn-ferry-check".into());
    endpoint.username = Some(endpoints.uid.clone());
    endpoint.password = config.api_key.clone();
    let refused = api.explain_refusal(config, endpoints);
    match login::login(&endpoint, tls, limits, &refused, legs).await {
        Some(connection) => subscription(connection, endpoints, limits, legs).await,
        None => legs.skipped(&["subscription"], "needs the login"),
    }
}

async fn subscription(mut connection: Connection, endpoints: &Endpoints, limits: Limits, legs: &mut Legs) {
    let filter = format!("v3/{}/devices/#", endpoints.uid);
    match login::subscribe(&mut connection, &filter, limits).await {
        Ok(true) => legs.ok("subscription", filter),
        Ok(false) => legs.failed(
            "subscription",
            format!("{filter} is refused"),
            "are application and tenant right? A broker needs an ACL that allows reading it",
        ),
        Err(why) => legs.failed("subscription", why, "the server ended the connection or does not answer; try again"),
    }
    login::leave(connection, limits).await;
}
