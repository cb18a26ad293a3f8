//! Second step: a command's fields become bytes on a port, by the device's codec, and are checked.

use std::error::Error;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use serde_json::value::RawValue;

use super::refusal::Refusal;
use super::request::checked;
use crate::codecs::{Codecs, EncodeError, Encoded};
use crate::model::{DeviceKey, DownlinkId, DownlinkRequest, FPort, Payload, QueuedDownlink};

/// What makes bytes of fields: the device's codec.
pub trait Encoder: Send + Sync {
    fn encode<'a>(
        &'a self,
        device: &'a DeviceKey,
        data: Box<RawValue>,
        f_port: Option<FPort>,
    ) -> BoxFuture<'a, Result<Encoded, EncodeError>>;
}

impl Encoder for Codecs {
    fn encode<'a>(
        &'a self,
        device: &'a DeviceKey,
        data: Box<RawValue>,
        f_port: Option<FPort>,
    ) -> BoxFuture<'a, Result<Encoded, EncodeError>> {
        Box::pin(self.encode(device, data, f_port))
    }
}

/// The downlink with its bytes known.
pub async fn encode(
    encoder: &dyn Encoder,
    key: &DeviceKey,
    id: DownlinkId,
    request: DownlinkRequest,
    now: Timestamp,
) -> Result<QueuedDownlink, Refusal> {
    let fields = match &request.payload {
        Payload::Fields(fields) => serde_json::from_str(fields.get()).ok(),
        Payload::Bytes(_) => None,
    };
    let (payload, f_port) = match request.payload {
        Payload::Bytes(bytes) => (bytes, request.f_port),
        Payload::Fields(fields) => bytes_of(encoder, key, fields, request.f_port).await?,
    };
    let expires_in = request.expires_in.and_then(|span| SignedDuration::try_from(span).ok());
    Ok(QueuedDownlink {
        id,
        key: key.clone(),
        f_port: f_port.unwrap_or_default(),
        payload: checked(payload)?,
        fields,
        confirmed: request.confirmed,
        priority: request.priority,
        attempts: request.attempts,
        expires_at: expires_in.and_then(|span| now.checked_add(span).ok()),
        not_before: request.not_before,
        supersedes: request.supersedes,
    })
}

/// The port the codec chose, else the one asked for.
async fn bytes_of(
    encoder: &dyn Encoder,
    key: &DeviceKey,
    fields: Box<RawValue>,
    f_port: Option<FPort>,
) -> Result<(Vec<u8>, Option<FPort>), Refusal> {
    let encoded = encoder.encode(key, fields, f_port).await.map_err(unencodable)?;
    for warning in &encoded.warnings {
        tracing::warn!(device = %key, warning, "A codec warns about a command.");
    }
    let chosen = encoded.f_port.map(|port| FPort::new(port.into())).transpose()?;
    Ok((encoded.bytes, chosen.or(f_port)))
}

fn unencodable(error: EncodeError) -> Refusal {
    let hint = match &error {
        EncodeError::NoCodec => Some("choose a codec for this device, or send bytes to downlink/push"),
        EncodeError::Unavailable { .. } => Some("send it again later, or send bytes to downlink/push"),
        EncodeError::Codec { .. } => None,
    };
    let mut reason = error.to_string();
    // The codec's own words, where the sentence does not hold them already.
    if let Some(cause) = error.source().map(ToString::to_string).filter(|cause| !reason.contains(cause)) {
        reason = format!("{reason}: {cause}");
    }
    let passes = matches!(error, EncodeError::Unavailable { .. });
    Refusal { reason, hint: hint.map(str::to_owned), passes }
}
