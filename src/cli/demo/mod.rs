//! `demo`: the whole bridge in one process, with the outside world simulated around it.
//!
//! The bridge is the same [`App`] as in `run`, built from a configuration text and reached only through its two sides.

mod story;
mod telling;
mod world;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use super::{Exit, Terminal};
use crate::app::App;
use crate::config::{Config, Environment};
use crate::mqtt::Address;
use crate::shutdown::{Ended, Signals};
use crate::telemetry::{LogFormat, LogLevel};
use story::Story;
use world::World;

/// A node reports this often at speed 1.
const INTERVAL: Duration = Duration::from_secs(4);

/// Where the page is unless somebody says otherwise, or is there already.
const PAGE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8899);

/// Show the bridge at work, with a simulated network, nodes and home broker
#[derive(Debug, Args)]
pub struct Demo {
    /// End after this time, such as 30s; exit 0 if every node was decoded and the command acknowledged, else 1
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
    /// How many times faster than normal the nodes report
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Where the simulated home broker listens
    #[arg(long, default_value = "127.0.0.1:1884", value_name = "ADDR")]
    listen: SocketAddr,
    /// Use a real home broker instead: needs --home
    #[arg(long, requires = "home")]
    no_broker: bool,
    /// The real home broker, such as mqtt://localhost:1883
    #[arg(long, value_name = "URL", requires = "no_broker", value_parser = address)]
    home: Option<Address>,
    /// How the nodes are announced to Home Assistant on that broker: device, entity (2024.10 and older) or off
    #[arg(long, default_value = "device", value_name = "FORM", value_parser = ["device", "entity", "off"])]
    discovery: String,
    /// Where the page is served, or `off` [default: 127.0.0.1:8899, or any free port if that one is taken]
    #[arg(long, value_name = "ADDR", value_parser = page)]
    page: Option<Page>,
    /// What the bridge logs to standard error meanwhile
    #[arg(long, default_value = "error", value_name = "LEVEL")]
    log: String,
}

/// Where the page is to be.
#[derive(Debug, Clone, Copy)]
enum Page {
    Off,
    At(SocketAddr),
}

impl Demo {
    pub async fn run(self, environment: &'static dyn Environment, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let log = LogLevel::start(&self.log, LogFormat::Text)?;
        let mut signals = Signals::listen()?;
        let world = World::start(self.home.clone(), self.listen, INTERVAL.div_f64(self.speed)).await?;
        let config =
            Config::from_text(&world.configuration(&self.discovery, self.page()), "demo.toml".as_ref(), environment)?;
        let app = App::build(&config, environment, log)?;
        terminal.line(&telling::welcome(world.home(), self.home.is_some(), app.page()))?;

        let mut story = Story::new(world.home().clone());
        let stop = CancellationToken::new();
        let mut asks = 0;
        let bridge = app.run_until_stopped(async || {
            asks += 1;
            if asks == 1 { stop.cancelled().await } else { another_signal().await }
        });
        let watching = async {
            let told = tokio::select! {
                told = story.run(terminal) => told,
                () = signals.next() => Ok(()),
                () = sleep(self.time) => Ok(()),
            };
            stop.cancel();
            told
        };
        let (ended, told) = tokio::join!(bridge, watching);
        world.stop().await;
        finish(told, ended, &story, self.time.is_some(), terminal)
    }

    fn page(&self) -> Option<SocketAddr> {
        match self.page {
            Some(Page::Off) => None,
            Some(Page::At(address)) => Some(address),
            None if std::net::TcpListener::bind(PAGE).is_ok() => Some(PAGE),
            None => Some(SocketAddr::new(PAGE.ip(), 0)),
        }
    }
}

/// With `--for` the demo is a test, and says whether it passed.
fn finish(
    told: io::Result<()>,
    ended: Ended,
    story: &Story,
    judged: bool,
    terminal: &mut Terminal,
) -> anyhow::Result<Exit> {
    // Nobody reads any more, as with `demo | head`: no failure of the bridge.
    let told = told.and_then(|()| terminal.line(&story.summary()));
    let good = ended == Ended::Stopped && (!judged || story.is_complete());
    match told {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ if good => Ok(Exit::Success),
        _ => Ok(Exit::Failure),
    }
}

/// One that comes from now on: whoever listened before has heard the first one too.
async fn another_signal() {
    match Signals::listen() {
        Ok(mut signals) => signals.next().await,
        Err(_) => std::future::pending().await,
    }
}

async fn sleep(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let time: SignedDuration = text.parse().map_err(|_| format!("`{text}` is no time such as 30s or 2m"))?;
    Duration::try_from(time).ok().filter(|time| !time.is_zero()).ok_or_else(|| "must be longer than nothing".into())
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if (0.1..=100.0).contains(&speed) => Ok(speed),
        _ => Err("must be a number from 0.1 to 100".into()),
    }
}

fn page(text: &str) -> Result<Page, String> {
    match text {
        "off" => Ok(Page::Off),
        text => text.parse().map(Page::At).map_err(|_| "must be an address such as 127.0.0.1:8899, or off".into()),
    }
}

fn address(text: &str) -> Result<Address, String> {
    Address::parse_tcp(text, "the demo").map_err(|error| error.to_string())
}
