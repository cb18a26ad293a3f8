//! Every request by its name, with what it takes and gives, and the handler that answers it: the same one at each door.
//!
//! A new request is a line of the table here and, for HTTP, one of `web/api/operations.rs`.

use std::time::Duration;

use schemars::{Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio_util::sync::CancellationToken;

use super::answers::{DeviceAnswer, Health, Info};
use super::applications::Applications;
use super::body::Nothing;
use super::configuration::{Checked, OptionsSet, Reloaded, Removed, Renamed};
use super::device::DeviceDetail;
use super::downlinks::{self, LONGEST_WAIT, Listed, One, Order, Patient, Whose};
use super::events::EventList;
use super::gaps::GapList;
use super::problem::{Kind, Problem};
use super::states::DeviceState;
use super::{Answers, Body, Told, backfill, codecs, configuration, devices, events, gaps, history, log};
use crate::codecs::Renewed;
use crate::downlink::DownlinkView;
use crate::model::did_you_mean;

/// How long an answer may take that waits for nothing but the bridge itself.
pub const QUICK: Duration = Duration::from_secs(15);
/// How long it may take if it waits for news, or for codecs.
const PATIENT: Duration = LONGEST_WAIT.saturating_add(QUICK);
/// How long messages may be fetched from the network.
pub const FETCH: Duration = Duration::from_secs(10 * 60);

/// An answer, JSON.
pub type Answer = Result<Box<RawValue>, Problem>;

/// What can be asked.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Below `bridge/request/`.
    pub name: &'static str,
    /// One line, for people.
    pub summary: &'static str,
    /// How long its answer may take.
    pub limit: Duration,
    /// The schema of the object it takes, as it is read.
    pub takes: fn(&mut SchemaGenerator) -> Schema,
    /// The schema of its answer, as it is written.
    pub gives: fn(&mut SchemaGenerator) -> Schema,
}

/// Makes of one table the list of requests and the choice of the handler, so that what a request is said to take and
/// give is what its handler takes and gives.
macro_rules! requests {
    (|$answers:ident, $stop:ident| $(
        $name:literal, $limit:expr, $summary:literal: $takes:ty => $gives:ty, |$taken:pat_param| $given:expr;
    )*) => {
        /// Everything that can be asked.
        pub const REQUESTS: &[Request] = &[$(Request {
            name: $name,
            summary: $summary,
            limit: $limit,
            takes: SchemaGenerator::subschema_for::<$takes>,
            gives: SchemaGenerator::subschema_for::<$gives>,
        }),*];

        impl Answers {
            async fn handle(&self, name: &str, body: Body, $stop: &CancellationToken) -> Answer {
                let $answers = self;
                match name {
                    $($name => {
                        let $taken = body.read::<$takes>()?;
                        let given: Result<$gives, Problem> = $given;
                        json(&given?)
                    })*
                    unknown => Err(no_such_request(unknown)),
                }
            }
        }
    };
}

requests! { |answers, stop|
    "info", QUICK, "The bridge: version, configuration in use, applications, counters":
        Nothing => Info, |_| Ok(answers.info());
    "health", QUICK, "How the bridge fares: connections, what waits, memory":
        Nothing => Health, |_| Ok(answers.health());
    "devices", QUICK, "All devices by their names at home":
        Nothing => Told<[DeviceAnswer<'static>]>, |_| Ok(answers.devices());
    "states", QUICK, "The newest state, availability and pending downlinks of every device":
        Nothing => Vec<DeviceState>, |_| Ok(answers.states());
    "applications", QUICK, "The applications: connection, uplinks, what waits, gaps":
        Nothing => Applications, |_| Ok(answers.applications());
    "gaps", QUICK, "Spans in which messages may have gone by unheard, and what became of them, newest first":
        gaps::Wanted => GapList, |wanted| answers.gaps.list(wanted).await;
    "events", QUICK, "What happened to the bridge and to devices, newest first: of 30 days, 10,000 at most":
        events::Wanted => EventList, |wanted| answers.events.list(wanted).await;
    "device", QUICK, "One device: its entry, what it used of its day, its codec and why, its options":
        Whose => Told<DeviceDetail<'static>>, |whose| answers.device(whose).await;
    "device/options", QUICK, "Change options of a device; `null` gives the word back to the configuration file":
        devices::Options => Told<OptionsSet>, |wanted| answers.device_changes.options(wanted).await;
    "device/rename", QUICK, "Give a device another name at home":
        devices::NewName => Told<Renamed>, |wanted| answers.device_changes.rename(wanted).await;
    "device/remove", QUICK, "Forget a device, and what is retained of it":
        Whose => Told<Removed>, |whose| answers.device_changes.remove(whose).await;
    "downlink/send", QUICK, "Send a downlink; answered once it is stored":
        Order => DownlinkView, |order| answers.downlinks.send(order).await;
    "downlink/list", QUICK, "Downlinks, the newest first":
        downlinks::Wanted => Listed, |wanted| answers.downlinks.list(wanted).await;
    "downlink/show", PATIENT, "One downlink, at once or with its news":
        Patient => DownlinkView, |patient| answers.downlinks.show(patient, stop).await;
    "downlink/cancel", PATIENT, "Stop a downlink if that is still possible":
        One => DownlinkView, |one| answers.downlinks.cancel(one).await;
    "downlink/clear", QUICK, "Drop all downlinks of a device that have not been sent":
        Whose => Listed, |whose| answers.downlinks.clear(whose).await;
    "backfill", FETCH, "Fetch what was missed from the network's history":
        backfill::Wanted => backfill::Backfilled, |wanted| answers.backfill.fetch(wanted, stop).await;
    "readings", PATIENT, "What a device told over time, a series for each field":
        history::WantedReadings => history::Readings, |wanted| answers.history.readings(wanted).await;
    "radio", PATIENT, "How a device was heard over time":
        history::WantedRadio => history::Radio, |wanted| answers.history.radio(wanted).await;
    "uplinks", QUICK, "The last uplinks of a device, newest first":
        history::WantedUplinks => Told<history::Uplinks<'static>>, |wanted| answers.history.uplinks(wanted).await;
    "gateways", PATIENT, "The gateways that heard any device":
        history::WantedGateways => history::Gateways, |wanted| answers.history.gateways(wanted).await;
    "codec/reload", PATIENT, "Look at the files of all codecs in use now":
        Nothing => Renewed, |_| answers.codecs.reload().await;
    "codec/test", PATIENT, "What a codec makes of a payload or a command; nothing is published or sent":
        codecs::Wanted => codecs::Outcome, |wanted| answers.codecs.test(wanted).await;
    "codec/list", QUICK, "All codecs: the user's, the shipped, and what else is in use":
        Nothing => codecs::Listed, |_| Ok(answers.codecs.list(&answers.directory).await);
    "codec/source", QUICK, "The text of a codec":
        codecs::Named => codecs::Shown, |named| answers.codecs.source(named).await;
    "codec/try", PATIENT, "What a codec would make of a device's last uplinks; nothing is published or kept":
        codecs::Try => codecs::Replay, |wanted| answers.codecs.replay(wanted).await;
    "codec/save", PATIENT, "Save a codec in the codec folder, once it was seen to work; only with `[web] edit_codecs`":
        codecs::Save => codecs::Saved, |save| answers.codecs.save(save, &answers.directory).await;
    "config/show", QUICK, "The configuration in use, without secrets":
        Nothing => configuration::Shown, |_| Ok(answers.in_use.borrow().shown());
    "config/check", QUICK, "Whether a configuration could be used, and by what it differs":
        configuration::Wanted => Told<Checked>, |wanted| answers.configuring.check(wanted).await;
    "config/reload", QUICK, "Read the configuration again, and use it as far as that goes without a restart":
        Nothing => Told<Reloaded>, |_| answers.configuring.reload().await;
    "log/level", QUICK, "What is logged; with `level`, from now on":
        log::Wanted => log::Logged, |wanted| answers.log.level(wanted);
}

impl Answers {
    /// Answers a request by its name, within the time that this kind of request has.
    ///
    /// # Errors
    /// There is no such request, or the handler refuses it.
    pub async fn answer(&self, name: &str, body: Body, stop: &CancellationToken) -> Answer {
        let limit = find(name).map_or(QUICK, |request| request.limit);
        tokio::time::timeout(limit, self.handle(name, body, stop)).await.unwrap_or_else(|_| Err(late(limit)))
    }
}

/// The request of this name.
pub fn find(name: &str) -> Option<&'static Request> {
    REQUESTS.iter().find(|request| request.name == name)
}

/// Why there is no answer, after so much time.
pub fn late(limit: Duration) -> Problem {
    let detail = format!("no answer within {} seconds", limit.as_secs());
    Problem::new(Kind::Unavailable, detail).hint("the log says what the bridge is doing")
}

fn no_such_request(name: &str) -> Problem {
    let shown: String = name.chars().take(40).collect();
    let known: Vec<_> = REQUESTS.iter().map(|request| request.name).collect();
    Problem::new(Kind::Unknown, format!("there is no request `{shown}`")).hint(did_you_mean(name, &known))
}

/// Raw, so that what a codec wrote keeps its digits.
fn json(answer: &impl Serialize) -> Answer {
    Ok(to_raw_value(answer).expect("our own types have string keys and always serialise"))
}
