//! The table of operations: what HTTP is asked, and which request that is. The router is built from it, and so is the
//! description of the API, so that neither knows what the other does not.

use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::{MethodFilter, MethodRouter};
use schemars::{Schema, SchemaGenerator};

use super::{Api, openapi};
use crate::control::{self, Request};
use crate::web::live;

/// Something that HTTP can be asked.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    pub method: Method,
    /// Below `/api/v1`. What stands in braces is a key of the request.
    pub path: &'static str,
    /// As generators of clients call it; no other operation is called the same.
    pub id: &'static str,
    pub does: Does,
    /// Of a success.
    pub status: StatusCode,
}

/// How an operation is carried out.
#[derive(Debug, Clone, Copy)]
pub enum Does {
    /// It asks the request of this name. Its keys are in the path, in the query and, where the method has one, the body.
    Asks(&'static str),
    /// It asks that without any key: a `GET` of something that the request can change too.
    Looks(&'static str),
    /// It is HTTP's alone.
    Own(Own),
}

/// An operation that no other door has.
#[derive(Debug, Clone, Copy)]
pub struct Own {
    pub summary: &'static str,
    pub route: fn(MethodFilter) -> MethodRouter<Api>,
    /// The keys it takes, in the same places.
    pub takes: Option<fn(&mut SchemaGenerator) -> Schema>,
    pub gives: Given,
}

/// What an operation of its own answers with.
#[derive(Debug, Clone, Copy)]
pub enum Given {
    /// JSON.
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// Nothing, or another protocol.
    Nothing,
}

/// As far as they are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

use Method::{Delete, Get, Patch, Post, Put};

/// Every operation there is.
pub const OPERATIONS: &[Operation] = &[
    asks(Get, "/info", "info"),
    asks(Get, "/health", "health"),
    asks(Get, "/devices", "devices"),
    asks(Get, "/states", "states"),
    asks(Get, "/devices/{device}", "device"),
    asks(Patch, "/devices/{device}", "device/options"),
    asks(Delete, "/devices/{device}", "device/remove"),
    asks(Post, "/devices/{device}/rename", "device/rename"),
    asks(Get, "/devices/{device}/readings", "readings"),
    asks(Get, "/devices/{device}/radio", "radio"),
    asks(Get, "/devices/{device}/uplinks", "uplinks"),
    asks(Get, "/gateways", "gateways"),
    asks(Post, "/downlinks", "downlink/send").created(),
    asks(Get, "/downlinks", "downlink/list"),
    asks(Delete, "/downlinks", "downlink/clear"),
    asks(Get, "/downlinks/{id}", "downlink/show"),
    asks(Delete, "/downlinks/{id}", "downlink/cancel"),
    asks(Post, "/backfill", "backfill"),
    asks(Get, "/codecs", "codec/list"),
    asks(Get, "/codecs/{name}/source", "codec/source"),
    asks(Put, "/codecs/{name}/source", "codec/save"),
    asks(Post, "/codecs/reload", "codec/reload"),
    asks(Post, "/codecs/test", "codec/test"),
    asks(Post, "/codecs/try", "codec/try"),
    asks(Get, "/config", "config/show"),
    asks(Post, "/config/check", "config/check"),
    asks(Post, "/config/reload", "config/reload"),
    looks("/log/level", "log/level").called("log/level/show"),
    asks(Put, "/log/level", "log/level"),
    asks(Get, "/applications", "applications"),
    asks(Get, "/gaps", "gaps"),
    asks(Get, "/events", "events"),
    own(Get, "/live", "live", live::OPERATION),
    own(Get, "/openapi.json", "openapi", openapi::OPERATION),
];

const fn asks(method: Method, path: &'static str, request: &'static str) -> Operation {
    Operation { method, path, id: request, does: Does::Asks(request), status: StatusCode::OK }
}

const fn looks(path: &'static str, request: &'static str) -> Operation {
    Operation { method: Get, path, id: request, does: Does::Looks(request), status: StatusCode::OK }
}

const fn own(method: Method, path: &'static str, id: &'static str, own: Own) -> Operation {
    Operation { method, path, id, does: Does::Own(own), status: StatusCode::OK }
}

impl Operation {
    /// It makes something, which is then found below the path, by its `id`.
    const fn created(self) -> Self {
        Self { status: StatusCode::CREATED, ..self }
    }

    /// The request has another operation already.
    const fn called(self, id: &'static str) -> Self {
        Self { id, ..self }
    }

    /// The request it asks.
    ///
    /// # Panics
    /// There is none of that name: a test looks at all of them.
    pub fn request(&self) -> Option<&'static Request> {
        match self.does {
            Does::Asks(name) | Does::Looks(name) => Some(control::find(name).expect("a test finds them all")),
            Does::Own(_) => None,
        }
    }

    /// The keys it takes, if any.
    pub fn takes(&self) -> Option<fn(&mut SchemaGenerator) -> Schema> {
        match self.does {
            Does::Asks(_) => self.request().map(|request| request.takes),
            Does::Looks(_) => None,
            Does::Own(own) => own.takes,
        }
    }

    pub fn gives(&self) -> Given {
        match self.does {
            Does::Own(own) => own.gives,
            _ => self.request().map_or(Given::Nothing, |request| Given::Json(request.gives)),
        }
    }

    pub fn summary(&self) -> &'static str {
        match self.does {
            Does::Own(own) => own.summary,
            _ => self.request().map_or("", |request| request.summary),
        }
    }

    /// How long it may take from the first byte of the request's body to the answer.
    pub fn limit(&self) -> Option<Duration> {
        self.request().map(|request| request.limit)
    }

    /// The keys that stand in the path.
    pub fn in_path(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}

impl Method {
    pub fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }

    /// As OpenAPI writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }

    /// Whether its body says something.
    pub fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::control::REQUESTS;

    #[test]
    fn every_request_has_an_operation_and_every_operation_has_its_request() {
        let asked: BTreeSet<_> = OPERATIONS.iter().filter_map(Operation::request).map(|request| request.name).collect();
        let known: BTreeSet<_> = REQUESTS.iter().map(|request| request.name).collect();
        assert_eq!(asked, known);
        assert_eq!(known.len(), REQUESTS.len(), "no name is there twice");
        let ids: BTreeSet<_> = OPERATIONS.iter().map(|operation| operation.id).collect();
        assert_eq!(ids.len(), OPERATIONS.len(), "no operation is called as another one");
    }
}
