//! The whole bridge, from a look-alike of The Things Stack to a home broker and back; one file for each theme.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod api;
mod availability;
mod backup;
mod bad_input;
mod bridge;
mod codec_files;
mod codec_requests;
mod codecs;
mod command_line;
mod control;
mod downlink;
mod formatters;
mod gaps;
mod harness;
mod history;
mod home_assistant;
mod live;
mod mosquitto;
mod onboarding;
mod outage;
mod quality;
mod questions;
mod refused;
mod reload;
mod requests;
mod samples;
mod secrets;
mod shutdown;
mod spool;
mod stuck;
mod topics;
mod transports;
mod uplink;
mod web;
