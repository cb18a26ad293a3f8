//! ttn-ferry carries messages between The Things Network and a home MQTT broker, both ways.
//!
//! ```text
//!   network/                        uplink/                         home/
//! ┌──────────┐   record → receive → decode → publish         ┌──────────────┐
//! │   ttn    │ ────────────────────────────────────────────▶ │ home broker  │
//! │          │ ◀──────────────────────────────────────────── │              │
//! └──────────┘   dispatch ← queue ← encode ← accept          └──────────────┘
//!                                 downlink/
//! ```
//!
//! Sides talk protocols, flows make decisions, codecs translate. Imports go downwards only:
//! `cli → app → web → control → uplink, downlink → network, home, codecs, store → mqtt, telemetry → model`. The two sides
//! never see each other, nor a flow; the flows see [`network::NetworkServer`], never [`network::ttn`]. What must survive a
//! restart is in the [`store`].
//!
//! | to learn about | open |
//! |---|---|
//! | how everything is wired, and how it stops | [`app`], [`shutdown`] |
//! | the road of an uplink, step by step | [`uplink`] |
//! | the life of a downlink | [`downlink`], its decisions in [`downlink::queue`] |
//! | what The Things Stack says and hears | [`network::ttn`] |
//! | the topics at home | [`home::Topics`] |
//! | why a message cannot get lost on the way to the broker | [`uplink`], [`store`], [`mqtt::Outbox`] |
//! | which codec a device gets, and how strangers' code is held in check | [`codecs`] |
//! | what a running bridge can be asked | [`control`], over HTTP by [`web`] |
//! | what the user writes | [`config`] |

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
pub mod store;
pub mod telemetry;
pub mod uplink;
pub mod web;
