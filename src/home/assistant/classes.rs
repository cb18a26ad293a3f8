//! Which units and state classes go with which device class, so that nothing is announced that Home Assistant rejects or
//! warns about.
//!
//! Facts of Home Assistant 2024.3 and 2026.9 (their constants of sensors, binary sensors and numbers). Older ones refuse an
//! entity whose class they do not know. Micro is written U+00B5: 2024.3 knows no other, 2026.9 takes it for its own.

use serde_json::{Map, Value};

use super::entity::Component;
use crate::home::Discovery;

/// A device class of sensors.
struct Class {
    name: &'static str,
    /// Units that 2024.3 takes as well; empty: a class without unit.
    units: &'static [&'static str],
    /// Units that came later.
    newer_units: &'static [&'static str],
    state_classes: &'static [&'static str],
    is_new: bool,
}

const MEASURED: &[&str] = &["measurement"];
const TOTAL: &[&str] = &["total", "total_increasing"];
const ANY: &[&str] = &["measurement", "total", "total_increasing"];
const ANGLE: &[&str] = &["measurement_angle"];
const NO_UNIT: &[&str] = &[];

const PRESSURES: &[&str] = &["Pa", "hPa", "kPa", "bar", "cbar", "mbar", "mmHg", "inHg", "psi"];
const ENERGIES: &[&str] = &["Wh", "kWh", "MWh", "MJ", "GJ"];
const NEWER_ENERGIES: &[&str] = &["J", "kJ", "mWh", "GWh", "TWh", "cal", "kcal", "Mcal", "Gcal"];
const VOLUMES: &[&str] = &["L", "mL", "m³", "ft³", "CCF", "gal", "fl. oz."];
const CONCENTRATION: &[&str] = &["µg/m³"];

/// The classes of sensors; a number entity takes the same ones, but for those without a number.
const SENSOR: &[Class] = &[
    old("apparent_power", &["VA"], MEASURED).later(&["mVA", "kVA"]),
    old("aqi", NO_UNIT, MEASURED),
    old("atmospheric_pressure", PRESSURES, MEASURED).later(&["mPa"]),
    old("battery", &["%"], MEASURED),
    old("carbon_dioxide", &["ppm"], MEASURED),
    old("carbon_monoxide", &["ppm"], MEASURED).later(&["ppb", "mg/m³", "µg/m³"]),
    old("current", &["A", "mA"], MEASURED),
    old("data_rate", &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "B/s", "kB/s", "MB/s", "GB/s"], MEASURED),
    old("data_size", &["bit", "kbit", "Mbit", "Gbit", "B", "kB", "MB", "GB", "KiB", "MiB", "GiB"], ANY),
    old("distance", &["mm", "cm", "m", "km", "in", "ft", "yd", "mi"], ANY).later(&["nmi"]),
    old("duration", &["ms", "s", "min", "h", "d"], ANY),
    old("energy", ENERGIES, TOTAL).later(NEWER_ENERGIES),
    old("energy_storage", ENERGIES, MEASURED).later(NEWER_ENERGIES),
    old("frequency", &["Hz", "kHz", "MHz", "GHz"], MEASURED).later(&["mHz"]),
    old("gas", &["m³", "ft³", "CCF"], TOTAL).later(&["L", "MCF"]),
    old("humidity", &["%"], MEASURED),
    old("illuminance", &["lx"], MEASURED),
    old("irradiance", &["W/m²", "BTU/(h⋅ft²)"], MEASURED),
    old("moisture", &["%"], MEASURED),
    old("nitrogen_dioxide", CONCENTRATION, MEASURED).later(&["ppb", "ppm"]),
    old("nitrogen_monoxide", CONCENTRATION, MEASURED).later(&["ppb"]),
    old("nitrous_oxide", CONCENTRATION, MEASURED),
    old("ozone", CONCENTRATION, MEASURED).later(&["ppb", "ppm"]),
    old("ph", NO_UNIT, MEASURED),
    old("pm1", CONCENTRATION, MEASURED),
    old("pm10", CONCENTRATION, MEASURED),
    old("pm25", CONCENTRATION, MEASURED),
    old("power", &["W", "kW"], MEASURED).later(&["mW", "MW", "GW", "TW"]),
    old("power_factor", &["%", ""], MEASURED),
    old("precipitation", &["mm", "cm", "in"], ANY),
    old("precipitation_intensity", &["mm/h", "mm/d", "in/h", "in/d"], MEASURED),
    old("pressure", PRESSURES, MEASURED).later(&["mPa"]),
    old("reactive_power", &["var"], MEASURED).later(&["mvar", "kvar"]),
    old("signal_strength", &["dB", "dBm"], MEASURED),
    old("sound_pressure", &["dB", "dBA"], MEASURED),
    old("speed", &["m/s", "km/h", "mph", "kn", "ft/s", "mm/h", "mm/d", "in/h", "in/d"], MEASURED)
        .later(&["m/min", "mm/s", "in/s", "Beaufort"]),
    old("sulphur_dioxide", CONCENTRATION, MEASURED).later(&["ppb"]),
    old("temperature", &["°C", "°F", "K"], MEASURED),
    old("volatile_organic_compounds", CONCENTRATION, MEASURED).later(&["mg/m³"]),
    old("volatile_organic_compounds_parts", &["ppm", "ppb"], MEASURED),
    old("voltage", &["V", "mV"], MEASURED).later(&["µV", "kV", "MV"]),
    old("volume", VOLUMES, TOTAL).later(&["MCF"]),
    old("volume_flow_rate", &["m³/h", "L/min", "ft³/min", "gal/min"], MEASURED)
        .later(&["L/h", "L/s", "mL/s", "m³/min", "m³/s", "gal/h", "gal/d"]),
    old("volume_storage", VOLUMES, MEASURED).later(&["MCF"]),
    old("water", &["L", "m³", "ft³", "CCF", "gal"], TOTAL).later(&["MCF"]),
    old("weight", &["kg", "g", "mg", "µg", "oz", "lb", "st"], ANY),
    old("wind_speed", &["m/s", "km/h", "mph", "kn", "ft/s"], MEASURED).later(&["m/min", "mm/s", "in/s", "Beaufort"]),
    new("absolute_humidity", &["g/m³", "mg/m³"], MEASURED),
    new("area", &["m²", "cm²", "km²", "mm²", "in²", "ft²", "yd²", "mi²", "ac", "ha"], ANY),
    new("conductivity", &["S/cm", "mS/cm", "µS/cm"], MEASURED),
    new("energy_distance", &["kWh/100km", "Wh/km", "mi/kWh", "km/kWh"], MEASURED),
    new("pm4", CONCENTRATION, MEASURED),
    new("radon", &["Bq/m³", "pCi/L"], MEASURED),
    new("reactive_energy", &["varh", "kvarh"], TOTAL),
    new("temperature_delta", &["°C", "°F", "K"], MEASURED),
    new("wind_direction", &["°"], ANGLE),
];

/// Classes of sensors whose state is no number. (`date` is left out: no codec is known to tell one.)
const WORDS: [&str; 2] = ["enum", "timestamp"];

/// The classes of binary sensors, the same in both versions.
const BINARY: [&str; 28] = [
    "battery",
    "battery_charging",
    "carbon_monoxide",
    "cold",
    "connectivity",
    "door",
    "garage_door",
    "gas",
    "heat",
    "light",
    "lock",
    "moisture",
    "motion",
    "moving",
    "occupancy",
    "opening",
    "plug",
    "power",
    "presence",
    "problem",
    "running",
    "safety",
    "smoke",
    "sound",
    "tamper",
    "update",
    "vibration",
    "window",
];

/// The classes of controls that have some.
const BUTTON: [&str; 3] = ["identify", "restart", "update"];
const SWITCH: [&str; 2] = ["outlet", "switch"];
const VALVE: [&str; 2] = ["gas", "water"];

/// Other ways to write a unit.
const SPELLINGS: [(&str, &str); 26] = [
    ("C", "°C"),
    ("degC", "°C"),
    ("ºC", "°C"),
    ("℃", "°C"),
    ("celsius", "°C"),
    ("F", "°F"),
    ("degF", "°F"),
    ("℉", "°F"),
    ("percent", "%"),
    ("%RH", "%"),
    ("lux", "lx"),
    ("l", "L"),
    ("ml", "mL"),
    ("m3", "m³"),
    ("m3/h", "m³/h"),
    ("l/min", "L/min"),
    ("ug/m3", "µg/m³"),
    ("ug/m³", "µg/m³"),
    ("µg/m3", "µg/m³"),
    ("uS/cm", "µS/cm"),
    // The same quantity.
    ("dS/m", "mS/cm"),
    ("deg", "°"),
    ("degrees", "°"),
    ("sec", "s"),
    ("W/m2", "W/m²"),
    ("dB(A)", "dBA"),
];

/// Writes units as Home Assistant does, and takes away what would make it refuse or warn: a class it does not know or
/// whose unit is missing or another, a state class that does not go with the class, a unit where there is none.
pub fn settle(keys: &mut Map<String, Value>, component: Component, form: Discovery) {
    if let Some(unit) = text(keys, "unit_of_measurement").map(canonical) {
        match unit.as_str() {
            "" => keys.remove("unit_of_measurement"),
            _ => keys.insert("unit_of_measurement".into(), unit.into()),
        };
    }
    match component {
        Component::Sensor => settle_sensor(keys, form),
        Component::Number => drop_unless(keys, "device_class", |keys, class| fits(keys, class, form)),
        _ => drop_unless(keys, "device_class", |_, class| names(component).contains(&class)),
    }
}

/// Whether a number in this unit may have this class; without a unit, whether there is such a class.
pub fn has_unit(class: &str, unit: Option<&str>) -> bool {
    let unit = unit.map(canonical);
    find(class).is_some_and(|class| unit.is_none_or(|unit| class.takes(&unit, Discovery::Device)))
}

/// Every device class that an entity of this kind can have.
pub fn names(component: Component) -> Vec<&'static str> {
    let numbers = || SENSOR.iter().map(|class| class.name);
    match component {
        Component::Sensor => numbers().chain(WORDS).collect(),
        Component::Number => numbers().collect(),
        Component::BinarySensor => BINARY.to_vec(),
        Component::Button => BUTTON.to_vec(),
        Component::Switch => SWITCH.to_vec(),
        Component::Valve => VALVE.to_vec(),
        Component::DeviceTracker | Component::Select | Component::Text => Vec::new(),
    }
}

/// A unit as Home Assistant writes it.
pub fn canonical(unit: &str) -> String {
    let unit = unit.trim().replace('\u{3bc}', "\u{b5}");
    SPELLINGS.iter().find(|(other, _)| *other == unit).map_or(unit, |(_, unit)| (*unit).into())
}

fn settle_sensor(keys: &mut Map<String, Value>, form: Discovery) {
    drop_unless(keys, "device_class", |keys, class| WORDS.contains(&class) || fits(keys, class, form));
    let class = text(keys, "device_class").map(str::to_owned);
    let is_word = class.as_deref().is_some_and(|class| WORDS.contains(&class));
    if is_word {
        keys.remove("unit_of_measurement");
    }
    if class.as_deref() != Some("enum") {
        keys.remove("options");
    }
    let allowed = class.as_deref().and_then(find).map(|class| class.state_classes);
    drop_unless(keys, "state_class", |keys, state_class| {
        let is_angle = state_class == "measurement_angle";
        let known = ANY.contains(&state_class)
            || is_angle && form == Discovery::Device && text(keys, "unit_of_measurement") == Some("°");
        known && !is_word && allowed.is_none_or(|allowed| allowed.contains(&state_class))
    });
}

/// Whether these keys have the unit that the class needs.
fn fits(keys: &Map<String, Value>, class: &str, form: Discovery) -> bool {
    let unit = text(keys, "unit_of_measurement").unwrap_or_default();
    find(class).is_some_and(|class| class.takes(unit, form))
}

fn find(name: &str) -> Option<&'static Class> {
    SENSOR.iter().find(|class| class.name == name)
}

fn text<'a>(keys: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    keys.get(key).and_then(Value::as_str)
}

/// Removes a key whose text is not good with the others; one that holds no text as well.
fn drop_unless(keys: &mut Map<String, Value>, key: &str, is_good: impl FnOnce(&Map<String, Value>, &str) -> bool) {
    let Some(value) = keys.get(key) else { return };
    if !value.as_str().is_some_and(|value| is_good(keys, value)) {
        keys.remove(key);
    }
}

const fn old(name: &'static str, units: &'static [&'static str], state_classes: &'static [&'static str]) -> Class {
    Class { name, units, newer_units: &[], state_classes, is_new: false }
}

const fn new(name: &'static str, units: &'static [&'static str], state_classes: &'static [&'static str]) -> Class {
    Class { is_new: true, ..old(name, units, state_classes) }
}

impl Class {
    const fn later(self, newer_units: &'static [&'static str]) -> Self {
        Self { newer_units, ..self }
    }

    /// Whether it is known to those that read this form, with this unit; `""` for none.
    fn takes(&self, unit: &str, form: Discovery) -> bool {
        let is_new_form = form == Discovery::Device;
        let known = self.units.contains(&unit) || (unit.is_empty() && self.units.is_empty());
        (is_new_form || !self.is_new) && (known || (is_new_form && self.newer_units.contains(&unit)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settled(keys: Value, form: Discovery) -> Value {
        let Value::Object(mut keys) = keys else { panic!("an object") };
        settle(&mut keys, Component::Sensor, form);
        Value::Object(keys)
    }

    #[test]
    fn a_class_whose_unit_is_another_or_missing_is_dropped_and_the_value_stays() {
        let wrong = json!({"device_class": "temperature", "unit_of_measurement": "V", "state_class": "measurement"});
        let plain = json!({"unit_of_measurement": "V", "state_class": "measurement"});
        assert_eq!(settled(wrong, Discovery::Device), plain);
        assert_eq!(settled(json!({"device_class": "humidity"}), Discovery::Device), json!({}));
        assert_eq!(settled(json!({"device_class": "nonsense"}), Discovery::Device), json!({}));
    }

    #[test]
    fn a_control_has_a_controls_class_or_none() {
        for (component, class, is_kept) in [
            (Component::Button, "restart", true),
            (Component::Button, "temperature", false),
            (Component::Switch, "outlet", true),
            (Component::Valve, "switch", false),
            (Component::Valve, "water", true),
        ] {
            let mut keys = Map::from_iter([("device_class".to_owned(), class.into())]);
            settle(&mut keys, component, Discovery::Device);
            assert_eq!(!keys.is_empty(), is_kept, "{class} of {component:?}");
        }
    }

    #[test]
    fn what_older_versions_do_not_know_is_not_told_to_them() {
        let wind =
            json!({"device_class": "wind_direction", "unit_of_measurement": "°", "state_class": "measurement_angle"});
        assert_eq!(settled(wind.clone(), Discovery::Device), wind);
        assert_eq!(settled(wind, Discovery::Entity), json!({"unit_of_measurement": "°"}));
        let earth = json!({"device_class": "conductivity", "unit_of_measurement": "dS/m"});
        assert_eq!(settled(earth, Discovery::Entity), json!({"unit_of_measurement": "mS/cm"}));
    }

    #[test]
    fn a_word_has_no_unit_and_a_total_is_no_measurement() {
        let word = json!({"device_class": "enum", "unit_of_measurement": "s", "state_class": "measurement"});
        assert_eq!(settled(word, Discovery::Device), json!({"device_class": "enum"}));
        let water = json!({"device_class": "water", "unit_of_measurement": "l", "state_class": "measurement"});
        assert_eq!(settled(water, Discovery::Device), json!({"device_class": "water", "unit_of_measurement": "L"}));
    }

    #[test]
    fn no_class_stands_in_the_table_twice_and_all_have_a_way_to_be_used() {
        for (at, class) in SENSOR.iter().enumerate() {
            assert!(SENSOR[..at].iter().all(|other| other.name != class.name), "{}", class.name);
            assert!(!class.units.is_empty() || class.newer_units.is_empty());
            let units = class.units.iter().chain(class.newer_units);
            assert!(units.clone().all(|unit| canonical(unit) == **unit), "{}", class.name);
        }
    }
}
