//! `downlink send`: the arguments, and the downlink they ask for.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{ArgGroup, Args};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::cli::moment::{Moment, span};
use crate::model::DownlinkId;

/// How long `--wait` waits if nobody says: most nodes report several times a day.
const A_DAY: &str = "24h";

const USAGE: &str = "\
ttn-ferry downlink send [OPTIONS] <DEVICE> <FIELD=VALUE>...
       ttn-ferry downlink send [OPTIONS] <DEVICE> --fields <JSON>
       ttn-ferry downlink send [OPTIONS] <DEVICE> --port <N> <--hex <BYTES>|--base64 <BYTES>|--text <TEXT>>";

const EXAMPLES: &str = "\
Examples:
  ttn-ferry downlink send lamp led=true                        the device's codec makes the bytes
  ttn-ferry downlink send lamp led=true interval=600 --confirmed --wait=1h
  ttn-ferry downlink send lamp --port 15 --hex '01 01' --expires-in 30m
  ttn-ferry downlink send lamp --fields '{\"led\":{\"red\":255}}' --priority high --supersedes led

Exit codes:
  0   stored, and with --wait: acknowledged, or transmitted if it is not a confirmed one
  1   refused, failed, expired, cancelled or superseded
  64  wrong command line
  69  the bridge cannot be reached
  75  the time of --wait is over and the downlink is still open
  78  wrong configuration";

/// Send a downlink to a device
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
#[command(group = ArgGroup::new("payload").args(["values", "fields", "hex", "base64", "text"]).required(true))]
pub struct Send {
    /// The device's name at home, or its id at the network
    device: String,
    /// Fields for the device's codec; a value that is no JSON is a text
    #[arg(value_name = "FIELD=VALUE", value_parser = field)]
    values: Vec<Field>,
    /// All fields as one JSON object
    #[arg(long, value_name = "JSON", value_parser = object)]
    fields: Option<Object>,
    /// The bytes: 01FF, '01 ff' or '0x01 0xff'; needs --port
    #[arg(long, value_name = "BYTES", requires = "port")]
    hex: Option<String>,
    /// The bytes in base64; needs --port
    #[arg(long, value_name = "BYTES", requires = "port")]
    base64: Option<String>,
    /// The bytes as a text; needs --port
    #[arg(long, requires = "port")]
    text: Option<String>,
    /// The application port
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=223))]
    port: Option<u8>,
    /// The device shall acknowledge it
    #[arg(long)]
    confirmed: bool,
    /// Transmissions of a confirmed downlink at most
    #[arg(long, value_name = "N", requires = "confirmed", value_parser = clap::value_parser!(u8).range(1..=32))]
    attempts: Option<u8>,
    /// How urgent it is
    #[arg(long, value_parser = PRIORITIES, ignore_case = true)]
    priority: Option<String>,
    /// Give it up if the network has not taken it after this time, such as 30m
    #[arg(long, value_name = "TIME", value_parser = span)]
    expires_in: Option<Duration>,
    /// Hold it back until a time (2026-11-21T06:00:00Z), or for one (2h)
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    not_before: Option<Moment>,
    /// Of the downlinks that wait with the same key, only the newest is sent
    #[arg(long, value_name = "KEY")]
    supersedes: Option<String>,
    /// An id of your own, 1 to 64 of a-z A-Z 0-9 . - _
    #[arg(long)]
    id: Option<String>,
    /// The application, if two have a device of this name
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
    /// Follow it to its end, for so long at most [default with --wait: 24h]
    #[arg(long, value_name = "TIME", value_parser = span, num_args = 0..=1, require_equals = true, default_missing_value = A_DAY)]
    pub wait: Option<Duration>,
}

const PRIORITIES: [&str; 7] = ["lowest", "low", "below-normal", "normal", "above-normal", "high", "highest"];

/// One field and its value as JSON.
type Field = (String, Box<RawValue>);
type Object = Box<RawValue>;

/// The body of `POST /downlinks`.
#[derive(Serialize)]
struct Body<'a> {
    device: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<&'a str>,
    #[serde(flatten)]
    payload: BTreeMap<&'static str, Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    f_port: Option<u8>,
    confirmed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    supersedes: Option<&'a str>,
    id: &'a str,
}

impl Send {
    /// Its id. Never left to the bridge: if the answer is lost, it can still be asked for.
    pub fn id(&self) -> String {
        self.id.clone().unwrap_or_else(|| DownlinkId::random(fastrand::u64(..)).to_string())
    }

    /// The request that asks for it.
    pub fn body(&self, id: &str, now: Timestamp) -> serde_json::Result<String> {
        let priority = self.priority.as_ref().map(|name| name.to_uppercase().replace('-', "_"));
        serde_json::to_string(&Body {
            device: &self.device,
            application: self.application.as_deref(),
            payload: self.payload()?,
            f_port: self.port,
            confirmed: self.confirmed,
            attempts: self.attempts,
            priority,
            expires_in: self.expires_in.map(|span| span.as_secs_f64()),
            not_before: self.not_before.map(|moment| moment.ahead(now)),
            supersedes: self.supersedes.as_deref(),
            id,
        })
    }

    /// The one payload that was given, under its key.
    fn payload(&self) -> serde_json::Result<BTreeMap<&'static str, Box<RawValue>>> {
        let texts = [("payload_hex", &self.hex), ("payload_base64", &self.base64), ("payload_text", &self.text)];
        let text = texts.into_iter().find_map(|(key, text)| Some((key, text.as_ref()?)));
        Ok(BTreeMap::from([match (text, &self.fields) {
            (Some((key, text)), _) => (key, to_raw_value(text)?),
            (None, Some(fields)) => ("fields", fields.clone()),
            (None, None) => {
                let values: BTreeMap<_, _> = self.values.iter().map(|(name, value)| (name, value)).collect();
                ("fields", to_raw_value(&values)?)
            }
        }]))
    }
}

/// `led=true`; a value that is no JSON is a text, so that `mode=eco` needs no quotes within quotes.
fn field(text: &str) -> Result<Field, String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("expected FIELD=VALUE")?;
    let value = serde_json::from_str::<Box<RawValue>>(value).or_else(|_| to_raw_value(value));
    Ok((name.to_owned(), value.map_err(|error| error.to_string())?))
}

fn object(text: &str) -> Result<Object, String> {
    let value = serde_json::from_str::<Box<RawValue>>(text).map_err(|error| error.to_string())?;
    if value.get().starts_with('{') { Ok(value) } else { Err("expected a JSON object".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use serde_json::{Value, json};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        send: Send,
    }

    fn parse(arguments: &[&str]) -> Result<Send, clap::Error> {
        Line::try_parse_from(["send"].iter().chain(arguments)).map(|line| line.send)
    }

    fn body(arguments: &[&str]) -> Value {
        let send = parse(arguments).unwrap();
        let text = send.body(&send.id(), "2026-11-21T06:00:00Z".parse().unwrap()).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn fields_are_json_or_text() {
        let told = body(&["lamp", "--id", "mine", "led=true", "mode=eco", "level=1.5", "name=\"7\"", "empty="]);
        let fields = json!({"led": true, "mode": "eco", "level": 1.5, "name": "7", "empty": ""});
        assert_eq!(told, json!({"device": "lamp", "id": "mine", "confirmed": false, "fields": fields}));
    }

    #[test]
    fn numbers_keep_their_digits() {
        let send = parse(&["lamp", "--fields", "{\"level\":1.50}"]).unwrap();
        assert!(send.body("mine", Timestamp::UNIX_EPOCH).unwrap().contains("\"level\":1.50"));
        let send = parse(&["lamp", "level=12345678901234567890123"]).unwrap();
        assert!(send.body("mine", Timestamp::UNIX_EPOCH).unwrap().contains("12345678901234567890123"));
    }

    #[test]
    fn everything_a_downlink_may_have_can_be_said() {
        let line = "a/lamp --port 15 --hex 01FF --confirmed --attempts 3 --priority Above-Normal --expires-in 30m \
                    --not-before 1h --supersedes led --id mine --application garden";
        let told = body(&line.split_whitespace().collect::<Vec<_>>());
        let expected = json!({
            "device": "a/lamp", "application": "garden", "payload_hex": "01FF", "f_port": 15, "confirmed": true,
            "attempts": 3, "priority": "ABOVE_NORMAL", "expires_in": 1800.0, "not_before": "2026-11-21T07:00:00Z",
            "supersedes": "led", "id": "mine",
        });
        assert_eq!(told, expected);
    }

    #[test]
    fn exactly_one_payload_is_given_and_bytes_need_a_port() {
        for bad in [
            &["lamp"][..],
            &["lamp", "led=true", "--port", "1", "--hex", "01"],
            &["lamp", "--hex", "01"],
            &["lamp", "led"],
            &["lamp", "=1"],
            &["lamp", "--fields", "[1]"],
            &["lamp", "led=1", "--port", "224"],
            &["lamp", "led=1", "--attempts", "3"],
            &["lamp", "led=1", "--priority", "urgent"],
            &["lamp", "led=1", "--expires-in", "soon"],
            &["lamp", "led=1", "--wait=soon"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_wait_without_a_time_is_a_day() {
        let wait = |more: &[&str]| parse(&[&["lamp", "led=1"], more].concat()).unwrap().wait;
        assert_eq!(wait(&[]), None);
        assert_eq!(wait(&["--wait"]), Some(Duration::from_secs(86_400)));
        assert_eq!(wait(&["--wait=90s"]), Some(Duration::from_secs(90)));
    }
}
