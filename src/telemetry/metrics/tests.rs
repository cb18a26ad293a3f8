//! What a scrape looks like: names by the conventions, both formats, and devices only where they are wanted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;
use crate::model::{ApplicationName, State};

fn scrape(devices: usize) -> Scrape {
    let garden = ApplicationName::parse("garden").unwrap();
    let counters = Counters::of([garden.clone()]);
    counters.count_many_for(&garden, Count::Uplink, 3);
    counters.count_many_for(&garden, Count::Unkept, 4);
    counters.downlink_ended(&garden, State::Acked);
    counters.codec_ran(Duration::from_millis(2));
    counters.set_spooled(2, 700, |_| 2);
    let application = ApplicationReading {
        name: "garden".into(),
        connected: true,
        last_message: Timestamp::from_second(1_700_000_000).ok(),
        dropped: 0,
        degraded: 1,
    };
    let device = |number| DeviceReading {
        device: format!("soil \"{number}\""),
        application: "garden".into(),
        last_seen: Timestamp::from_second(1_700_000_001).ok(),
        state: json!({
            "temperature": 21.5, "battery_percentage": 50, "door": {"open": true, "name": "east"},
            "link": {"rssi": -97.0, "snr": 7.5, "gateways": 2},
        }),
    };
    Scrape {
        version: "1.2.3",
        counters,
        applications: vec![application],
        home_connected: true,
        open_downlinks: 4,
        store_failing: false,
        uptime: Duration::from_secs(60),
        devices: (0..devices).map(device).collect(),
    }
}

/// The families of a page: name, type, unit, and the names of their samples.
fn families(page: &str) -> BTreeMap<String, (String, Option<String>, BTreeSet<String>)> {
    let mut families = BTreeMap::<String, (String, Option<String>, BTreeSet<String>)>::new();
    let mut last = String::new();
    for line in page.lines().filter(|line| *line != "# EOF") {
        let words: Vec<_> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, help] => {
                assert!(help.ends_with('.') && !families.contains_key(name), "{line}");
                last = name.into();
            }
            ["#", "TYPE", name, kind] => {
                assert_eq!(name, last, "help and type stand together");
                families.insert(name.into(), (kind.into(), None, BTreeSet::new()));
            }
            ["#", "UNIT", name, unit] => families.get_mut(name).unwrap().1 = Some(unit.into()),
            _ => {
                let sample = line.split(['{', ' ']).next().unwrap();
                families.get_mut(&last).unwrap().2.insert(sample.to_owned());
            }
        }
    }
    families
}

#[test]
fn every_name_keeps_the_conventions() {
    let page = scrape(1).written_as(Exposition::OpenMetrics);
    assert!(page.ends_with("# EOF\n"), "{page}");
    let families = families(&page);
    assert!(families.len() > 25, "{families:?}");
    for (name, (kind, unit, samples)) in families {
        assert!(name.starts_with("ttn_ferry_") || name.starts_with("process_"), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        assert!(unit.is_none_or(|unit| name.ends_with(&format!("_{unit}"))), "{name}");
        let suffixes: &[&str] = match kind.as_str() {
            "counter" => &["_total"],
            "info" => &["_info"],
            "gauge" => &[""],
            "histogram" => &["_sum", "_count", "_bucket"],
            _ => panic!("{name} is a {kind}"),
        };
        let expected: BTreeSet<_> = suffixes.iter().map(|suffix| format!("{name}{suffix}")).collect();
        assert_eq!(samples, expected, "{name}");
        assert!(!name.ends_with("_total") && !name.ends_with("_count"), "{name} is the family's name");
    }
}

#[test]
fn what_is_counted_can_be_read() {
    let page = scrape(1).written_as(Exposition::OpenMetrics);
    for line in [
        r#"ttn_ferry_build_info{version="1.2.3"} 1"#,
        r#"ttn_ferry_uplinks_total{application="garden"} 3"#,
        r#"ttn_ferry_downlinks_total{application="garden",state="acked"} 1"#,
        r#"ttn_ferry_application_connected{application="garden"} 1.0"#,
        r#"ttn_ferry_codec_run_seconds_bucket{le="0.003"} 1"#,
        r#"ttn_ferry_codec_run_seconds_bucket{le="+Inf"} 1"#,
        "ttn_ferry_spool_size_bytes 700.0",
        r#"ttn_ferry_spool_messages{application="garden"} 2.0"#,
        r#"ttn_ferry_readings_unkept_total{application="garden"} 4"#,
        r#"ttn_ferry_device_rssi_dbm{application="garden",device="soil \"0\""} -97.0"#,
        r#"ttn_ferry_device_battery_ratio{application="garden",device="soil \"0\""} 0.5"#,
        r#"ttn_ferry_device_field{application="garden",device="soil \"0\"",field="door.open"} 1.0"#,
        r#"ttn_ferry_device_field{application="garden",device="soil \"0\"",field="temperature"} 21.5"#,
    ] {
        assert!(page.lines().any(|its| its == line), "{line}\n{page}");
    }
    assert!(!page.contains("link.rssi"), "how it is heard has names of its own: {page}");
}

#[test]
fn the_older_format_calls_counters_as_their_samples_are() {
    let page = scrape(0).written_as(Exposition::Text);
    for line in [
        "# TYPE ttn_ferry_uplinks_total counter",
        "# HELP ttn_ferry_uplinks_total Uplinks received, copies not counted.",
        "# TYPE ttn_ferry_build_info gauge",
        "# TYPE ttn_ferry_codec_run_seconds histogram",
        "# TYPE process_cpu_seconds_total counter",
        r#"ttn_ferry_uplinks_total{application="garden"} 3"#,
    ] {
        assert!(page.lines().any(|its| its == line), "{line}\n{page}");
    }
    assert!(!page.contains("# UNIT") && !page.contains("# EOF"), "{page}");
}

#[test]
fn without_devices_no_line_is_about_one() {
    let page = scrape(0).written_as(Exposition::OpenMetrics);
    assert!(!page.contains("device"), "{page}");
}

#[test]
fn prometheus_gets_what_it_asks_for_first() {
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
    assert_eq!(Exposition::accepted(prometheus), Exposition::OpenMetrics);
    assert_eq!((Exposition::accepted("*/*"), Exposition::accepted("")), (Exposition::Text, Exposition::Text));
}
