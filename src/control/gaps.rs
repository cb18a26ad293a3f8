//! Spans in which messages may have gone by unheard, and what became of them.

use std::collections::HashMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Events;
use super::problem::Problem;
use crate::model::ApplicationName;
use crate::store::{EventFilter, EventRow, Types};
use crate::uplink::{OpenGap, RepairHandle};

/// Gaps in one list, unless the request says otherwise, and at most.
const USUAL: usize = 50;
const MOST: usize = 500;
/// Notices looked at for them: each gap has two.
const MOST_NOTICES: usize = 4 * MOST;
/// What tells of gaps.
const TYPES: &[&str] = &["gap_found", "gap_repaired", "gap_lost"];

/// Answers requests about gaps. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gaps {
    repair: RepairHandle,
    events: Events,
}

/// Which gaps are asked for.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    /// All applications without it.
    pub application: Option<String>,
    /// The newest so many: 50 unless given, 500 at most.
    pub limit: Option<usize>,
}

/// Gaps, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Gaps")]
pub struct GapList {
    gaps: Vec<Gap>,
}

/// A span in which messages may have gone by unheard.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
struct Gap {
    /// Of an open one, as in `bridge/event`; after a restart numbers may be given again.
    id: u64,
    application: ApplicationName,
    from: Timestamp,
    /// Now, as long as nothing is heard yet.
    to: Timestamp,
    state: State,
    /// How it came to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// Uplinks that were fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    repaired: Option<u64>,
    /// Frames that will not come any more, as far as counters tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
    /// Why they will not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "GapState")]
enum State {
    /// The network is being asked.
    Open,
    /// Nothing is known to be missing any more.
    Repaired,
    Lost,
}

/// What a notice says of a gap.
#[derive(Deserialize)]
struct Notice {
    id: u64,
    application: String,
    from: Timestamp,
    to: Timestamp,
    why: Option<String>,
    repaired: Option<u64>,
    reason: Option<String>,
    #[serde(default)]
    devices: Vec<Loss>,
}

#[derive(Deserialize)]
struct Loss {
    count: u64,
}

impl Gaps {
    pub fn new(repair: RepairHandle, events: Events) -> Self {
        Self { repair, events }
    }

    /// How many are open, of one application.
    pub fn open(&self, application: &ApplicationName) -> usize {
        self.repair.open_gaps().iter().filter(|gap| gap.application == *application).count()
    }

    /// Open ones and, as long as events are kept, those that ended.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, Wanted { application, limit }: Wanted) -> Result<GapList, Problem> {
        let asked = EventFilter { after: 0, before: None, device: None, types: Types::Only(TYPES), most: MOST_NOTICES };
        let mut gaps = ended(self.events.newest(asked).await?);
        let now = Timestamp::now();
        gaps.extend(self.repair.open_gaps().into_iter().map(|gap| Gap::open(gap, now)));
        gaps.retain(|gap| application.as_ref().is_none_or(|wanted| gap.application.as_str() == wanted));
        gaps.sort_by_key(|gap| std::cmp::Reverse((gap.state == State::Open, gap.to)));
        gaps.truncate(limit.unwrap_or(USUAL).min(MOST));
        Ok(GapList { gaps })
    }
}

/// What notices, newest first, tell of gaps that ended. One that was found before says why.
fn ended(notices: Vec<EventRow>) -> Vec<Gap> {
    let mut found = HashMap::new();
    let mut gaps = Vec::new();
    for row in notices.iter().rev() {
        let Ok(notice) = serde_json::from_str::<Notice>(&row.body) else { continue };
        let key = (notice.application.clone(), notice.id);
        match row.kind.as_str() {
            "gap_found" => drop(found.insert(key, notice.why)),
            kind => {
                let why = found.remove(&key).flatten();
                gaps.extend(Gap::ended(notice, why, kind == "gap_lost"));
            }
        }
    }
    gaps
}

impl Gap {
    fn open(OpenGap { id, application, from, to, why, repaired }: OpenGap, now: Timestamp) -> Self {
        let (to, why, repaired) = (to.unwrap_or(now), Some(why), Some(repaired));
        Self { id, application, from, to, state: State::Open, why, repaired, lost: None, reason: None }
    }

    fn ended(notice: Notice, why: Option<String>, is_lost: bool) -> Option<Self> {
        let Notice { id, application, from, to, repaired, reason, devices, .. } = notice;
        let lost = is_lost.then(|| devices.iter().map(|device| device.count).sum());
        let state = if is_lost { State::Lost } else { State::Repaired };
        let application = ApplicationName::parse(&application).ok()?;
        Some(Self { id, application, from, to, state, why, repaired, lost, reason })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(n: u64, kind: &str, id: u64, rest: serde_json::Value) -> EventRow {
        let mut body = json!({"id": id, "application": "garden", "from": at(n), "to": at(n + 1)});
        body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        EventRow { n, at: at(n), key: None, kind: kind.into(), body: body.to_string() }
    }

    fn at(second: u64) -> Timestamp {
        Timestamp::from_second(second as i64).unwrap()
    }

    #[test]
    fn an_end_has_the_reason_of_its_own_beginning_though_ids_come_again() {
        let lost = json!({"repaired": 1, "reason": "gone", "devices": [{"count": 3}, {"count": 4}]});
        let mut notices = vec![
            row(1, "gap_found", 1, json!({"why": "first"})),
            row(2, "gap_repaired", 1, json!({"repaired": 7, "source": "storage"})),
            row(3, "gap_found", 1, json!({"why": "second"})),
            row(4, "gap_lost", 1, lost),
            row(5, "gap_repaired", 2, json!({"repaired": 1, "source": "storage"})),
            row(6, "gap_found", 3, json!({"why": "still open"})),
        ];
        notices.reverse();
        let told: Vec<_> = ended(notices).into_iter().map(|gap| (gap.state, gap.why, gap.repaired, gap.lost)).collect();
        let expected = [
            (State::Repaired, Some("first".to_owned()), Some(7), None),
            (State::Lost, Some("second".to_owned()), Some(1), Some(7)),
            (State::Repaired, None, Some(1), None),
        ];
        assert_eq!(told, expected);
    }
}
