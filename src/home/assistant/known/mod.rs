//! What a field is, by its name: the names that decoders of LoRaWAN devices use, as data.
//!
//! A name is read word by word (`TempC_SHT` is *temp, c, sht*) from its end: `probe_temp` is a temperature, `temp_alarm` is
//! none. A unit is one the name says (`battery_mv`, `TempF`), or the only one in use for that quantity (humidity is in %);
//! where makers differ (pressure, energy, distance) a name without unit tells no class.

mod tables;
mod words;

use super::classes;
use crate::model::ValueKind;
use tables::{FLAGS, QUANTITIES, Quantity, UNITS};
use words::{ends_with, longest, readings};

/// What a name tells of a field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meaning {
    pub is_binary: bool,
    pub device_class: Option<&'static str>,
    pub unit: Option<&'static str>,
    pub state_class: Option<&'static str>,
    pub diagnostic: bool,
}

impl Meaning {
    /// What the field at this path (levels joined by dots) is, if it holds such values. Where its name says nothing: a plain
    /// value, or a plain yes or no.
    pub fn of(path: &str, kind: ValueKind) -> Self {
        let words = words::of(path);
        let flag = || readings(&words).find_map(flag_called);
        let number = |wants_unit| readings(&words).find_map(|words| quantity_called(words, wants_unit));
        let guessed = match kind {
            ValueKind::Bool => flag().or(Some(Self { is_binary: true, ..Self::default() })),
            ValueKind::Binary => flag().or_else(|| number(false)),
            ValueKind::Number => number(false),
            // A text may be a rounded number if the name says in which unit, and an error tells more than that it is one.
            ValueKind::Text => flag().filter(|it| it.device_class != Some("problem")).or_else(|| number(true)),
            ValueKind::Place | ValueKind::Null => None,
        };
        guessed.or_else(|| axis(path)).unwrap_or_default()
    }
}

/// The class of a number called this that is measured in this unit.
pub fn class_in(path: &str, unit: &str) -> Option<&'static str> {
    let words = words::of(path);
    let named = QUANTITIES.iter().filter(|quantity| quantity.is_measured_in(unit));
    longest(named.filter_map(|quantity| Some((ends_with(&words, quantity.names)?, quantity))))?.device_class
}

/// One axis of an accelerometer or gyrometer, as Cayenne LPP has them: no class, but a unit.
fn axis(path: &str) -> Option<Meaning> {
    let (sensor, axis) = path.rsplit_once('.')?;
    let unit = match sensor.rsplit('.').next()? {
        sensor if sensor.starts_with("accelerometer") => "g",
        sensor if sensor.starts_with("gyrometer") => "°/s",
        _ => return None,
    };
    let measured = Meaning { unit: Some(unit), state_class: Some("measurement"), ..Meaning::default() };
    matches!(axis, "x" | "y" | "z").then_some(measured)
}

fn flag_called(words: &[String]) -> Option<Meaning> {
    let flag = longest(FLAGS.iter().filter_map(|flag| Some((ends_with(words, flag.names)?, flag))))?;
    Some(Meaning { is_binary: true, device_class: flag.device_class, ..Meaning::default() })
}

fn quantity_called(words: &[String], wants_unit: bool) -> Option<Meaning> {
    let said = words.split_last().filter(|(_, rest)| !rest.is_empty()).and_then(|(last, rest)| {
        let (_, unit) = UNITS.iter().find(|(word, _)| word == last)?;
        quantity_in(rest, unit)
    });
    said.or_else(|| if wants_unit { None } else { usual_quantity(words) })
}

/// The quantity called this that is measured in this unit.
fn quantity_in(words: &[String], unit: &'static str) -> Option<Meaning> {
    let measured = QUANTITIES.iter().filter(|quantity| quantity.is_measured_in(unit));
    let named = measured.filter_map(|quantity| Some((ends_with(words, quantity.names)?, quantity)));
    longest(named).map(|quantity| quantity.meaning(Some(unit)))
}

/// The quantity called this that has a usual unit, or no class at all.
fn usual_quantity(words: &[String]) -> Option<Meaning> {
    let usual = QUANTITIES.iter().filter(|quantity| quantity.usual_unit.is_some() || quantity.device_class.is_none());
    let named = usual.filter_map(|quantity| Some((ends_with(words, quantity.names)?, quantity)));
    longest(named).map(|quantity| quantity.meaning(quantity.usual_unit.filter(|unit| !unit.is_empty())))
}

impl Quantity {
    fn is_measured_in(&self, unit: &str) -> bool {
        self.device_class.is_some_and(|class| classes::has_unit(class, Some(unit)))
    }

    fn meaning(&self, unit: Option<&'static str>) -> Meaning {
        let Self { device_class, diagnostic, .. } = *self;
        let state_class = Some(self.state_class).filter(|class| !class.is_empty());
        Meaning { is_binary: false, device_class, unit, state_class, diagnostic }
    }
}

#[cfg(test)]
mod tests {
    use super::super::entity::Component;
    use super::*;

    fn number(name: &str) -> (Option<&'static str>, Option<&'static str>) {
        let meaning = Meaning::of(name, ValueKind::Number);
        assert!(!meaning.is_binary, "{name}");
        (meaning.device_class, meaning.unit)
    }

    #[test]
    fn names_of_known_decoders_are_understood() {
        for (name, class, unit) in [
            ("TempC_SHT", "temperature", "°C"),
            ("TempC1", "temperature", "°C"),
            ("temp_SOIL", "temperature", "°C"),
            ("externalTemperature", "temperature", "°C"),
            ("outside_temp_f", "temperature", "°F"),
            ("temperature_3", "temperature", "°C"),
            ("Hum_SHT", "humidity", "%"),
            ("water_SOIL", "moisture", "%"),
            ("conduct_SOIL", "conductivity", "µS/cm"),
            ("BatV", "voltage", "V"),
            ("battery_mv", "voltage", "mV"),
            ("Battery Voltage", "voltage", "V"),
            ("battery_pct", "battery", "%"),
            ("batteryLevel", "battery", "%"),
            ("CO2", "carbon_dioxide", "ppm"),
            ("co2_ppm", "carbon_dioxide", "ppm"),
            ("PM2_5", "pm25", "µg/m³"),
            ("pm10", "pm10", "µg/m³"),
            ("ILL_lx", "illuminance", "lx"),
            ("lux", "illuminance", "lx"),
            ("barometric_pressure_1", "atmospheric_pressure", "hPa"),
            ("pressure_kpa", "pressure", "kPa"),
            ("windDirection", "wind_direction", "°"),
            ("wind_speed_kmh", "wind_speed", "km/h"),
            ("rssi", "signal_strength", "dBm"),
            ("LORA_SNR", "signal_strength", "dB"),
            ("tvoc_ppb", "volatile_organic_compounds_parts", "ppb"),
            ("energyKWh", "energy", "kWh"),
            ("air_pressure_hPa", "atmospheric_pressure", "hPa"),
            ("noise_dB", "sound_pressure", "dB"),
            ("air_temperature.value", "temperature", "°C"),
            ("distance_mm", "distance", "mm"),
            ("SoilHum", "moisture", "%"),
            ("VBatt", "voltage", "V"),
            ("wind_direction_angle", "wind_direction", "°"),
        ] {
            assert_eq!(number(name), (Some(class), Some(unit)), "{name}");
        }
        assert_eq!(number("PH1_SOIL"), (Some("ph"), None));
    }

    #[test]
    fn a_name_that_does_not_say_enough_tells_no_class() {
        for name in
            ["pressure", "energy", "distance", "power", "battery", "m3", "v", "temperature_alarm", "x", "amp", "speed"]
        {
            assert_eq!(number(name), (None, None), "{name}");
        }
        assert_eq!(number("accelerometer_2.x"), (None, Some("g")));
        assert!(Meaning::of("battery", ValueKind::Number).diagnostic);
    }

    #[test]
    fn what_is_yes_or_no_is_known_by_name_and_never_by_two_numbers_alone() {
        let flag = |name, kind| Some(Meaning::of(name, kind)).filter(|it| it.is_binary).map(|it| it.device_class);
        assert_eq!(flag("DOOR_OPEN_STATUS", ValueKind::Binary), Some(Some("door")));
        assert_eq!(flag("WATER_LEAK_STATUS", ValueKind::Binary), Some(Some("moisture")));
        assert_eq!(flag("presence_4", ValueKind::Binary), Some(Some("occupancy")));
        assert_eq!(flag("digital_in_1", ValueKind::Binary), Some(None));
        assert_eq!(flag("magnet_status", ValueKind::Text), Some(Some("opening")));
        assert_eq!(flag("led", ValueKind::Bool), Some(None));
        assert_eq!(flag("error", ValueKind::Text), None);
        assert_eq!(flag("pulses", ValueKind::Binary), None);
        assert_eq!(flag("digital_in_1", ValueKind::Number), None);
    }

    #[test]
    fn a_text_is_a_number_only_if_its_name_says_the_unit() {
        assert_eq!(Meaning::of("TempC_DS", ValueKind::Text).device_class, Some("temperature"));
        assert_eq!(Meaning::of("temperature", ValueKind::Text), Meaning::default());
    }

    #[test]
    fn every_row_can_be_announced() {
        for quantity in QUANTITIES {
            let Some(class) = quantity.device_class else { continue };
            let unit = quantity.usual_unit.filter(|unit| !unit.is_empty());
            assert!(classes::has_unit(class, unit), "{class} {unit:?}");
        }
        assert!(
            FLAGS
                .iter()
                .filter_map(|it| it.device_class)
                .all(|it| classes::names(Component::BinarySensor).contains(&it))
        );
    }
}
