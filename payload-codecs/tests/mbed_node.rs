//! Compiles the node of `examples/mbed-node/` and holds it against the codec of `mbed/led-and-sensors`, both ways.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "c_header/compiler.rs"]
mod compiler;

use std::path::{Path, PathBuf};

use compiler::{Language, Program};
use payload_codecs::table::header;
use payload_codecs::{Codec, DownlinkInput, Limits, Source, UplinkInput, devices, load};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

/// For each line `pack T H B L I` an uplink in hex; for each `parse PORT HEX` the settings there are, or "refused".
const PROGRAM: &str = r#"
#include "payload.h"
#include <stdio.h>

static void pack(void)
{
    int temperature, humidity, battery, led, interval;
    struct payload_report report;
    uint8_t bytes[PAYLOAD_REPORT_SIZE];
    if (scanf("%d %d %d %d %d", &temperature, &humidity, &battery, &led, &interval) == 5) {
        report.temperature = (int16_t)temperature;
        report.humidity = (uint8_t)humidity;
        report.battery = (uint16_t)battery;
        report.led = led != 0;
        report.interval = (uint16_t)interval;
        const size_t length = payload_pack_report(&report, bytes, sizeof bytes);
        for (size_t i = 0; i < length; i++) {
            printf("%02x", (unsigned)bytes[i]);
        }
        printf("\n");
    }
}

static void parse(void)
{
    unsigned port, byte;
    uint8_t bytes[64];
    size_t length = 0;
    struct payload_settings settings;
    if (scanf("%u ", &port) != 1) {
        return;
    }
    while (scanf("%2x", &byte) == 1) {
        bytes[length++] = (uint8_t)byte;
    }
    if (!payload_parse_settings((uint8_t)port, bytes, length, &settings)) {
        printf("refused\n");
        return;
    }
    if (settings.has_led) {
        printf("led %d ", settings.led);
    }
    if (settings.has_interval) {
        printf("interval %u", (unsigned)settings.interval);
    }
    printf("\n");
}

int main(void)
{
    char what[8];
    if (scanf("%7s", what) == 1) {
        if (strcmp(what, "pack") == 0) {
            pack();
        } else {
            parse();
        }
    }
    return 0;
}
"#;

/// As much of Mbed OS as the node uses: what it sends is printed, what it receives stands on standard input.
const MBED: &str = r#"
#include <chrono>
#include <cstdint>
#include <cstdio>
#define LED1 1
#define EVENTS_EVENT_SIZE 1
#define MSG_UNCONFIRMED_FLAG 1
#define MBED_CONF_LORA_APP_PORT 15

struct DigitalOut {
    explicit DigitalOut(int) : value(0) {}
    DigitalOut &operator=(int other) { value = other; return *this; }
    operator int() const { return value; }
    int value;
};

enum lorawan_event_t { CONNECTED, RX_DONE, JOIN_FAILURE };
enum lorawan_status_t { LORAWAN_STATUS_OK, LORAWAN_STATUS_CONNECT_IN_PROGRESS };
typedef void (*on_event_t)(lorawan_event_t);
namespace mbed { inline on_event_t callback(on_event_t on_event) { return on_event; } }
struct lorawan_app_callbacks_t { on_event_t events; };
static on_event_t on_event;
static int radio;

namespace events {
struct EventQueue {
    explicit EventQueue(int) {}
    void call_in(std::chrono::seconds wait, void (*)()) { printf("next in %d s\n", static_cast<int>(wait.count())); }
    void dispatch_forever() { on_event(CONNECTED); on_event(RX_DONE); }
};
}

struct LoRaWANInterface {
    explicit LoRaWANInterface(int) {}
    lorawan_status_t initialize(events::EventQueue *) { return LORAWAN_STATUS_OK; }
    void add_app_callbacks(lorawan_app_callbacks_t *callbacks) { on_event = callbacks->events; }
    void enable_adaptive_datarate() {}
    lorawan_status_t connect() { return LORAWAN_STATUS_CONNECT_IN_PROGRESS; }
    int16_t send(uint8_t port, const uint8_t *bytes, uint16_t length, int)
    {
        printf("%d ", port);
        for (uint16_t i = 0; i < length; i++) {
            printf("%02x", static_cast<unsigned>(bytes[i]));
        }
        printf("\n");
        return static_cast<int16_t>(length);
    }
    int16_t receive(uint8_t *bytes, uint16_t room, uint8_t &port, int &flags)
    {
        unsigned number, byte;
        int16_t length = 0;
        flags = 0;
        if (scanf("%u ", &number) != 1) {
            return -1;
        }
        port = static_cast<uint8_t>(number);
        while (length < room && scanf("%2x", &byte) == 1) {
            bytes[length++] = static_cast<uint8_t>(byte);
        }
        return length;
    }
};
"#;

#[test]
fn the_header_of_the_node_is_made_from_the_codecs_table() {
    let Source::Table { table, .. } = devices::find("mbed/led-and-sensors").unwrap().source() else {
        panic!("mbed/led-and-sensors is no table");
    };
    let made = header(&table, "led-and-sensors").unwrap();
    let path = example("payload.h");
    assert!(
        made == committed("payload.h"),
        "{path} is not what the table says: ttn-ferry codec header \
         payload-codecs/devices/mbed/led-and-sensors/codec.toml > examples/mbed-node/payload.h",
        path = path.display()
    );
}

#[test]
fn what_the_node_packs_is_what_the_codec_reads_and_the_other_way_round() {
    let headers = [("payload.h".to_owned(), committed("payload.h"))];
    for language in [Language::C99, Language::Cpp11] {
        let node = Program::compile(language, PROGRAM, &headers);
        packs(&node);
        parses(&node);
        refuses(&node);
    }
}

#[test]
fn the_node_obeys_a_command_and_reports_what_it_did() {
    let empty = ["lorawan/LoRaWANInterface.h", "events/EventQueue.h", "lora_radio_helper.h"];
    let mut headers: Vec<_> = empty.iter().map(|name| ((*name).to_owned(), String::new())).collect();
    headers.push(("payload.h".to_owned(), committed("payload.h")));
    headers.push(("mbed.h".to_owned(), MBED.to_owned()));
    let node = Program::compile(Language::Cpp11, &committed("main.cpp"), &headers);

    let command = encode(&json!({"led": true, "interval": 600}));
    let printed = node.run(&format!("15 {command}"));
    let [first, next, second] = printed.lines().collect::<Vec<_>>()[..] else { panic!("{printed}") };
    let read = |line: &str| decode(line.strip_prefix("15 ").unwrap());
    assert_eq!(read(first), json!([21.5, null, 3.3, false, 60]));
    assert_eq!(next, "next in 60 s");
    assert_eq!(read(second), json!([21.5, null, 3.3, true, 600]));
    assert_eq!(node.run(&format!("14 {command}")).lines().count(), 2, "what comes on another port is no command");
}

fn packs(node: &Program) {
    for (report, expected) in [
        ("2150 95 3300 1 60", json!([21.5, 47.5, 3.3, true, 60])),
        ("-1234 200 2900 0 65535", json!([-12.34, 100, 2.9, false, 65535])),
        ("-1 0 0 0 10", json!([-0.01, 0, 0, false, 10])),
        ("-32768 255 3300 1 60", json!([null, null, 3.3, true, 60])),
    ] {
        assert_eq!(decode(node.run(&format!("pack {report}")).trim_end()), expected, "{report}");
    }
}

fn parses(node: &Program) {
    for (command, settings) in [
        (json!({"led": true}), "led 1"),
        (json!({"led": false}), "led 0"),
        (json!({"interval": 10}), "interval 10"),
        (json!({"led": true, "interval": 65535}), "led 1 interval 65535"),
    ] {
        assert_eq!(node.run(&format!("parse 15 {}", encode(&command))).trim_end(), settings, "{command}");
    }
}

fn refuses(node: &Program) {
    for downlink in ["15 01", "15 02", "15 0200", "15 020009", "15 03", "15 010103", "16 0101"] {
        assert_eq!(node.run(&format!("parse {downlink}")), "refused\n", "{downlink}");
    }
}

/// Temperature, humidity, battery, LED and interval of an uplink.
fn decode(hex: &str) -> Value {
    let bytes = hex::decode(hex).unwrap();
    let decoded = codec().decode_uplink(&UplinkInput { bytes: &bytes, f_port: 15, recv_time_ms: None }).unwrap();
    let data: Value = serde_json::from_str(decoded.data.get()).unwrap();
    ["temperature", "humidity", "battery", "led", "interval"].map(|key| data[key].clone()).into_iter().collect()
}

/// The hex of a command, which goes out on port 15.
fn encode(command: &Value) -> String {
    let data = to_raw_value(command).unwrap();
    let encoded = codec().encode_downlink(&DownlinkInput { data: &data, f_port: None }).unwrap();
    assert_eq!(encoded.f_port, Some(15));
    hex::encode(encoded.bytes)
}

fn codec() -> Box<dyn Codec> {
    load(&devices::find("mbed/led-and-sensors").unwrap().source(), &Limits::default()).unwrap()
}

fn committed(name: &str) -> String {
    std::fs::read_to_string(example(name)).unwrap()
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/mbed-node").join(name)
}
