//! The look-alike of The Things Stack, from the outside: raw MQTT, raw HTTP, simulated nodes.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod client;
mod connecting;
mod downlinks_over_mqtt;
mod end_to_end;
mod events;
mod http;
mod nodes;
mod scene;
mod shapes;
mod storage;
mod subscribing;
mod trouble;
