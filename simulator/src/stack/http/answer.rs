//! Answers: gRPC status codes as HTTP ones, and the error body.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::super::messages::Failure;
use super::super::requests::Refusal;

/// What a handler answers.
pub type Answer = Result<Json<Value>, ApiError>;

/// An error on its way to the client.
#[derive(Debug, Clone, PartialEq)]
pub enum ApiError {
    Failure(Failure),
    /// Errors of the gateway in front of the servers carry no details.
    Plain {
        code: u32,
        message: String,
    },
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Syntax(_) => Self::Plain { code: 3, message: refusal.to_string() },
            Refusal::Failure(failure) => Self::Failure(failure),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (code, body) = match &self {
            Self::Failure(failure) => (failure.code, failure.body()),
            Self::Plain { code, message } => (*code, json!({"code": code, "message": message, "details": []})),
        };
        (http_status(code), Json(body)).into_response()
    }
}

/// An error that only has a status, as a proxy in front of the stack would send it.
pub fn bare(status: StatusCode) -> Response {
    (status, Json(json!({"code": 14, "message": "unavailable", "details": []}))).into_response()
}

/// Paths the look-alike does not serve.
pub async fn not_found() -> ApiError {
    ApiError::Plain { code: 5, message: "Not Found".into() }
}

/// The gateway's mapping of gRPC codes.
fn http_status(code: u32) -> StatusCode {
    match code {
        3 | 9 | 11 => StatusCode::BAD_REQUEST,
        4 => StatusCode::GATEWAY_TIMEOUT,
        5 => StatusCode::NOT_FOUND,
        6 | 10 => StatusCode::CONFLICT,
        7 => StatusCode::FORBIDDEN,
        8 => StatusCode::TOO_MANY_REQUESTS,
        14 => StatusCode::SERVICE_UNAVAILABLE,
        16 => StatusCode::UNAUTHORIZED,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
