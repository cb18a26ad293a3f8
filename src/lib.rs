//! x
#![allow(dead_code, unused)]
pub mod codecs;
pub mod config;
pub mod downlink;
pub mod home;
pub mod model;
pub mod mqtt;
pub mod network;
