//! How the home broker is reached: address, login, trust and identity out of `[home]`.

use std::path::{Path, PathBuf};

use super::trust::TrustError;
use super::{Environment, HomeConfig, trust};
use crate::mqtt::tls::{self, Identity, Tls};
use crate::mqtt::{Address, Endpoint, InvalidAddress};

/// Why no endpoint can be made of `[home]`.
#[derive(Debug, thiserror::Error)]
pub enum InvalidHome {
    #[error("home.url: {0}")]
    Address(#[from] InvalidAddress),
    #[error("home.{}: {source}", .source.key)]
    File {
        #[from]
        source: BadFile,
    },
}

/// A file of `[home]` that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub struct BadFile {
    /// Of `[home]`.
    pub key: &'static str,
    pub path: PathBuf,
    pub error: TrustError,
}

/// Where the home broker is, and as whom the bridge comes to it; nothing yet of what it does there.
pub fn home_endpoint(home: &HomeConfig, environment: &dyn Environment) -> Result<Endpoint, InvalidHome> {
    let address = Address::parse(&home.url)?;
    let tls = address.has_tls().then(|| home_tls(home, environment)).transpose()?;
    Ok(Endpoint {
        version: home.mqtt_version,
        tls,
        username: home.username.clone(),
        password: home.password.clone(),
        ..Endpoint::new(address, home.client_id.clone())
    })
}

/// Whom `[home]` trusts, and who the bridge is to the broker.
pub fn home_tls(home: &HomeConfig, environment: &dyn Environment) -> Result<Tls, BadFile> {
    let ca = home.ca_file.as_deref();
    let identity = match (home.client_cert_file.as_deref(), home.client_key_file.as_deref()) {
        (None, None) => return trust(ca, environment).map_err(bad("ca_file", ca)),
        (Some(certificate), Some(key)) => identity(certificate, key, environment)?,
        (Some(_), None) => {
            return Err(bad("client_key_file", home.client_cert_file.as_deref())(TrustError::HalfIdentity));
        }
        (None, Some(_)) => {
            return Err(bad("client_cert_file", home.client_key_file.as_deref())(TrustError::HalfIdentity));
        }
    };
    let pem = ca.map(|path| environment.read(path)).transpose().map_err(|error| bad("ca_file", ca)(error.into()))?;
    tls::identified(pem.as_deref().map(str::as_bytes), identity).map_err(|error| bad("ca_file", ca)(error.into()))
}

fn identity(certificate: &Path, key: &Path, environment: &dyn Environment) -> Result<Identity, BadFile> {
    let read = |name, path| environment.read(path).map_err(|error| bad(name, Some(path))(error.into()));
    let (chain, secret) = (read("client_cert_file", certificate)?, read("client_key_file", key)?);
    Identity::from_pem(chain.as_bytes(), secret.as_bytes()).map_err(|error| match error.is_about_key() {
        true => bad("client_key_file", Some(key))(error.into()),
        false => bad("client_cert_file", Some(certificate))(error.into()),
    })
}

fn bad(key: &'static str, path: Option<&Path>) -> impl FnOnce(TrustError) -> BadFile {
    let path = path.unwrap_or(Path::new("")).to_owned();
    move |error| BadFile { key, path, error }
}
