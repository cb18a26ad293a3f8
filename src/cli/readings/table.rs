//! Readings as comma-separated values (RFC 4180), a line for each point.

use jiff::Timestamp;

use super::{Seen, Series, Values};

pub fn lines(seen: &Seen) -> Vec<String> {
    let mut lines = vec!["time,field,value,min,max".to_owned()];
    for (path, series) in &seen.series {
        lines.extend((0..series.at.len()).map(|index| line(path, series, index)));
    }
    lines
}

fn line(path: &str, series: &Series, index: usize) -> String {
    let time = Timestamp::from_millisecond(series.at[index]).unwrap_or_default();
    let value = match &series.value {
        Values::Numbers(all) => shown(all.get(index)),
        Values::Flags(all) => shown(all.get(index)),
        Values::Texts(all) => quoted(all.get(index).map_or("", String::as_str)),
    };
    let bound = |bounds: &Option<Vec<f64>>| shown(bounds.as_ref().and_then(|all| all.get(index)));
    format!("{time},{},{value},{},{}", quoted(path), bound(&series.min), bound(&series.max))
}

fn shown(value: Option<&impl ToString>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

fn quoted(text: &str) -> String {
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_point_is_a_line_and_commas_are_quoted() {
        let seen = serde_json::from_value(json!({
            "from": "2026-11-21T00:00:00Z", "to": "2026-11-21T06:00:00Z", "count": 2,
            "series": {
                "a": {"kind": "number", "at": [1000, 2500], "value": [21, 22.5], "min": [20.5, 22.5], "max": [22, 22.5]},
                "b": {"kind": "text", "at": [0], "value": ["say \"x\", y"]},
                "c": {"kind": "bool", "at": [0], "value": [true]},
            }
        }));
        let expected = [
            "time,field,value,min,max",
            "1970-01-01T00:00:01Z,a,21,20.5,22",
            "1970-01-01T00:00:02.5Z,a,22.5,22.5,22.5",
            "1970-01-01T00:00:00Z,b,\"say \"\"x\"\", y\",,",
            "1970-01-01T00:00:00Z,c,true,,",
        ];
        assert_eq!(lines(&seen.unwrap()), expected);
    }
}
