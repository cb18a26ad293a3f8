//! The rules a configuration keeps, beyond its types. Every broken one is reported.

mod api_key;
mod applications;
mod availability;
mod codecs;
mod devices;
mod home;
mod home_assistant;
mod limits;
mod store;
mod topics;
mod web;

use std::path::Path;

use super::error::Report;
use super::trust::trust;
use super::{Config, Environment};

pub use api_key::{InvalidKey, api_key_shape};

pub fn check(config: &Config, environment: &dyn Environment, report: &mut Report) {
    applications::check(&config.application, environment, report);
    home::check(config, environment, report);
    codecs::check(&config.codecs, environment, report);
    devices::check(config, report);
    availability::check(config, report);
    home_assistant::check(config, report);
    limits::check(config, report);
    store::check(&config.store, report);
    topics::check(config, report);
    web::check(&config.web, environment, report);
}

/// A CA file must hold certificates, and is of use only on a connection with TLS.
fn ca_file(key: &str, path: Option<&Path>, in_use: bool, environment: &dyn Environment, report: &mut Report) {
    let Some(path) = path else { return };
    let shown = path.display();
    match trust(Some(path), environment) {
        Err(error) => report.error(key, format!("{shown}: {error}"), error.hint()),
        Ok(_) if !in_use => report.warn(key, "not used: no address here has TLS", "write mqtts:// or https://"),
        Ok(_) => {}
    }
}
