//! x

pub mod app;
pub mod cli;
pub mod codecs;
pub mod config;
pub mod control;
pub mod downlink;
pub mod home;
pub mod model;
pub mod mqtt;
pub mod network;
pub mod shutdown;
pub mod telemetry;
pub mod uplink;
