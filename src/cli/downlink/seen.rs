//! A downlink as the control API shows it, and how it is told to people.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cli::moment::whole_seconds;
use crate::cli::{Exit, Terminal};

/// The parts of a downlink that are told.
#[derive(Debug, Deserialize)]
pub struct Seen {
    pub id: String,
    device: String,
    application: String,
    state: String,
    pub open: bool,
    confirmed: bool,
    f_port: u8,
    payload_hex: String,
    updated_at: Timestamp,
    /// Steps it ever made. Of very many only the first and the latest are remembered.
    pub step_count: usize,
    /// As they came, for whoever reads JSON.
    steps: Vec<Box<RawValue>>,
}

/// The answer to a request for a list.
#[derive(Debug, Deserialize)]
pub struct Listed {
    pub downlinks: Vec<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
struct Step {
    state: String,
    at: Timestamp,
    reason: Option<String>,
    hint: Option<String>,
}

impl Seen {
    pub fn parse(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }

    /// What a script is told of it: whether it ended well, or has not ended.
    pub fn exit(&self) -> Exit {
        match (self.open, self.state.as_str()) {
            (true, _) => Exit::StillOpen,
            (false, "acked") => Exit::Success,
            (false, "sent") if !self.confirmed => Exit::Success,
            (false, _) => Exit::Failure,
        }
    }

    pub fn was_cancelled(&self) -> bool {
        self.state == "cancelled"
    }

    /// `downlink 9f31c06ab27d5e84 for lamp: port 15, 0101, confirmed`.
    pub fn headline(&self) -> String {
        let Self { id, device, f_port, payload_hex, .. } = self;
        let confirmed = if self.confirmed { ", confirmed" } else { "" };
        format!("downlink {id} for {device}: port {f_port}, {payload_hex}{confirmed}")
    }

    /// One line of a list.
    pub fn line(&self) -> String {
        let Self { id, device, application, state, f_port, payload_hex, updated_at, .. } = self;
        format!(
            "{id:<16}  {}  {state:<10}  {application}/{device}  port {f_port}  {payload_hex}",
            whole_seconds(*updated_at)
        )
    }

    /// The steps after so many: lines for people, objects for programs.
    pub fn tell_steps(&self, told: usize, json: bool, terminal: &mut Terminal) -> anyhow::Result<()> {
        let new = self.step_count.saturating_sub(told);
        for step in self.steps.iter().skip(self.steps.len().saturating_sub(new)) {
            let line = if json { step.get().to_owned() } else { text(&serde_json::from_str(step.get())?) };
            terminal.line(&line)?;
        }
        Ok(())
    }
}

fn text(step: &Step) -> String {
    let reason = step.reason.iter().map(|reason| format!(": {reason}"));
    let hint = step.hint.iter().map(|hint| format!("\n  hint: {hint}"));
    let more: String = reason.chain(hint).collect();
    format!("{}  {}{more}", whole_seconds(step.at), step.state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn downlink(state: &str, open: bool, confirmed: bool) -> Seen {
        let steps = json!([
            {"id": "mine", "state": "accepted", "at": "2026-11-21T06:00:00.25Z"},
            {"id": "mine", "state": state, "at": "2026-11-21T06:00:02.999Z", "reason": "no session", "hint": "wait"},
        ]);
        let seen = json!({
            "id": "mine", "device": "lamp", "application": "garden", "device_id": "lamp-1", "state": state,
            "open": open, "f_port": 15, "payload_hex": "0101", "confirmed": confirmed, "priority": "NORMAL",
            "created_at": "2026-11-21T06:00:00Z", "updated_at": "2026-11-21T06:00:02Z", "step_count": 2, "steps": steps,
        });
        Seen::parse(&seen.to_string()).unwrap()
    }

    #[test]
    fn what_a_script_is_told_is_how_it_ended() {
        for (state, open, confirmed, exit) in [
            ("acked", false, true, Exit::Success),
            ("sent", false, false, Exit::Success),
            ("sent", true, true, Exit::StillOpen),
            ("held", true, false, Exit::StillOpen),
            ("failed", false, true, Exit::Failure),
            ("expired", false, false, Exit::Failure),
            ("cancelled", false, false, Exit::Failure),
            ("superseded", false, false, Exit::Failure),
        ] {
            assert_eq!(downlink(state, open, confirmed).exit(), exit, "{state}");
        }
    }

    #[test]
    fn people_get_lines_with_whole_seconds() {
        let seen = downlink("held", true, true);
        assert_eq!(seen.headline(), "downlink mine for lamp: port 15, 0101, confirmed");
        assert_eq!(seen.line(), "mine              2026-11-21T06:00:02Z  held        garden/lamp  port 15  0101");
        let steps: Vec<Step> = seen.steps.iter().map(|step| serde_json::from_str(step.get()).unwrap()).collect();
        assert_eq!(text(&steps[0]), "2026-11-21T06:00:00Z  accepted");
        assert_eq!(text(&steps[1]), "2026-11-21T06:00:02Z  held: no session\n  hint: wait");
    }
}
