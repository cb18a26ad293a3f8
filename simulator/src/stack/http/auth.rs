//! Who asks: the bearer key of a request, and what it may do.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::super::config::{ApiKey, Application};
use super::super::messages::Failure;
use super::super::shared::Shared;
use super::Backend;
use super::answer::ApiError;

/// The key a request came with, if any. A key that is wrong ends the request before its handler.
#[derive(Debug)]
pub struct Caller(Option<(Arc<Application>, ApiKey)>);

impl Caller {
    /// The key itself and its application.
    pub fn key(&self) -> Option<&(Arc<Application>, ApiKey)> {
        self.0.as_ref()
    }

    /// The application, if the caller holds `right` on it. Someone else's application and one that does not exist look
    /// the same, as does a request without any key.
    pub fn may(&self, application_id: &str, right: &str) -> Result<&Arc<Application>, ApiError> {
        match &self.0 {
            Some((application, key)) if application.id == application_id && key.may(right) => Ok(application),
            _ => Err(no_rights(application_id).into()),
        }
    }

    /// The key, if it belongs to this application at all.
    pub fn of(&self, application_id: &str) -> Result<&ApiKey, ApiError> {
        match &self.0 {
            Some((application, key)) if application.id == application_id => Ok(key),
            _ => Err(no_rights(application_id).into()),
        }
    }
}

impl FromRequestParts<Backend> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, backend: &Backend) -> Result<Self, ApiError> {
        let Some(header) = parts.headers.get(AUTHORIZATION) else { return Ok(Self(None)) };
        let header = header.to_str().unwrap_or_default();
        let Some(key) = header.strip_prefix("Bearer ").or_else(|| header.strip_prefix("bearer ")) else {
            let text = "unsupported authorization method";
            return Err(Failure::new(16, "pkg/identityserver", "unsupported_authorization", text).into());
        };
        authenticate(key, &backend.shared).map(|found| Self(Some(found)))
    }
}

fn authenticate(key: &str, shared: &Shared) -> Result<(Arc<Application>, ApiKey), ApiError> {
    if let Some((application, key)) = shared.world().key(key) {
        return Ok((application.clone(), key.clone()));
    }
    match is_well_formed(key) {
        true => Err(Failure::new(16, "pkg/identityserver", "token_not_found", "token not found").into()),
        false => Err(Failure::new(3, "pkg/auth", "token", "invalid token").into()),
    }
}

/// `NNSXS.` id (39) `.` secret (52).
fn is_well_formed(key: &str) -> bool {
    let parts: Vec<&str> = key.split('.').collect();
    matches!(parts[..], ["NNSXS", id, secret] if id.len() == 39 && secret.len() == 52)
}

fn no_rights(application_id: &str) -> Failure {
    let text = "no `{missing}` rights for application `{uid}`";
    Failure::new(7, "pkg/auth/rights", "no_application_rights", text).with("uid", application_id)
}
