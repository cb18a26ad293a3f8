//! What a field is, by its name: the names that decoders of LoRaWAN devices use, as data.
//!
//! A name is read word by word (`TempC_SHT` is *temp, c, sht*) from its end: `probe_temp` is a temperature, `temp_alarm` is
//! none. A unit is one the name says (`battery_mv`, `TempF`), or the only one in use for that quantity (humidity is in %);
//! where makers differ (pressure, energy, distance) a name without unit tells no class.

use super::classes;
use crate::model::ValueKind;

/// What a name tells of a field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meaning {
    pub is_binary: bool,
    pub device_class: Option<&'static str>,
    pub unit: Option<&'static str>,
    pub state_class: Option<&'static str>,
    pub diagnostic: bool,
}

/// A quantity, and what it is called.
struct Quantity {
    /// Words from the end of a name.
    names: &'static [&'static str],
    device_class: Option<&'static str>,
    /// The unit if the name says none; `None` if there must be one, and `""` where there is none.
    usual_unit: Option<&'static str>,
    state_class: &'static str,
    diagnostic: bool,
}

/// A yes or no, and what it is called.
struct Flag {
    names: &'static [&'static str],
    device_class: Option<&'static str>,
}

const QUANTITIES: &[Quantity] = &[
    measured(&["temperature", "temp", "dew point", "dewpoint"], "temperature", Some("°C")),
    measured(&["humidity", "hum", "rh"], "humidity", Some("%")),
    measured(&["moisture", "soil humidity", "soil moisture", "vwc", "water soil"], "moisture", Some("%")),
    measured(
        &["barometric pressure", "barometer", "air pressure", "atmospheric pressure"],
        "atmospheric_pressure",
        Some("hPa"),
    ),
    measured(&["pressure", "pres", "press"], "pressure", None),
    measured(&["co2", "carbon dioxide"], "carbon_dioxide", Some("ppm")),
    measured(&["co", "carbon monoxide"], "carbon_monoxide", None),
    measured(&["tvoc", "voc"], "volatile_organic_compounds_parts", None),
    measured(&["tvoc", "voc"], "volatile_organic_compounds", None),
    measured(&["pm1", "pm1 0"], "pm1", Some("µg/m³")),
    measured(&["pm25", "pm2 5"], "pm25", Some("µg/m³")),
    measured(&["pm10"], "pm10", Some("µg/m³")),
    measured(&["o3", "ozone"], "ozone", None),
    measured(&["no2"], "nitrogen_dioxide", None),
    measured(&["so2"], "sulphur_dioxide", None),
    measured(
        &["illuminance", "illumination", "luminosity", "lux", "light intensity", "ill", "light"],
        "illuminance",
        None,
    ),
    measured(&["illuminance", "illumination", "luminosity", "lux", "light intensity"], "illuminance", Some("lx")),
    measured(&["battery level", "battery", "bat", "batt", "soc"], "battery", None).about_the_device(),
    measured(&["battery level", "battery percentage", "battery soc"], "battery", Some("%")).about_the_device(),
    measured(&["battery", "bat", "batt", "vbat", "vdd", "vcc"], "voltage", None).about_the_device(),
    measured(&["battery voltage", "bat voltage", "batt voltage"], "voltage", Some("V")).about_the_device(),
    measured(&["voltage", "volt", "volts"], "voltage", Some("V")),
    measured(&["current"], "current", None),
    measured(&["power"], "power", None),
    measured(&["power factor"], "power_factor", None),
    measured(&["frequency", "freq"], "frequency", None),
    counted(&["energy", "consumption"], "energy", None),
    counted(&["water", "water total", "water volume", "water consumption"], "water", None),
    counted(&["gas", "gas total", "gas volume", "gas consumption"], "gas", None),
    measured(&["flow", "flow rate"], "volume_flow_rate", None),
    measured(&["distance", "depth", "height", "length", "altitude"], "distance", None),
    measured(&["weight", "mass"], "weight", None),
    measured(&["speed", "velocity"], "speed", None),
    measured(&["wind speed", "wind gust", "gust"], "wind_speed", None),
    Quantity {
        state_class: "measurement_angle",
        ..measured(&["wind direction", "wind dir"], "wind_direction", Some("°"))
    },
    measured(&["rain", "rainfall", "precipitation"], "precipitation", None),
    measured(&["rain", "rain rate", "rain intensity"], "precipitation_intensity", None),
    measured(&["irradiance", "solar radiation", "radiation"], "irradiance", None),
    measured(&["noise", "sound", "sound level", "sound pressure", "laeq"], "sound_pressure", None),
    measured(&["ec", "conductivity", "conduct"], "conductivity", None),
    measured(&["conduct soil"], "conductivity", Some("µS/cm")),
    measured(&["ph"], "ph", Some("")),
    measured(&["duration", "uptime", "interval", "time"], "duration", None),
    measured(&["rssi"], "signal_strength", Some("dBm")).about_the_device(),
    measured(&["snr"], "signal_strength", Some("dB")).about_the_device(),
    plain(&["battery", "bat", "batt", "vbat", "vdd", "vcc", "bat status", "battery status"]),
    plain(&["firmware", "firmware version", "fw version", "hardware version", "hw version", "protocol version"]),
    plain(&["serial number", "serial no"]),
];

const FLAGS: &[Flag] = &[
    flag(&["motion", "movement", "pir"], "motion"),
    flag(&["occupancy", "occupied", "presence"], "occupancy"),
    flag(&["door", "door open"], "door"),
    flag(&["window", "window open"], "window"),
    flag(&["contact", "reed", "open", "opening", "magnet"], "opening"),
    flag(&["leak", "leakage", "waterleak", "flood", "flooding"], "moisture"),
    flag(&["smoke", "smoke alarm"], "smoke"),
    flag(&["gas leak", "gas alarm"], "gas"),
    flag(&["tamper"], "tamper"),
    flag(&["vibration"], "vibration"),
    flag(&["low battery", "battery low", "low bat", "bat low"], "battery"),
    flag(&["charging"], "battery_charging"),
    flag(&["fault", "error", "problem"], "problem"),
    Flag { names: &["digital", "digital in", "digital out", "relay"], device_class: None },
];

/// Last words of a name that say its unit.
const UNITS: [(&str, &str); 57] = [
    ("c", "°C"),
    ("degc", "°C"),
    ("celsius", "°C"),
    ("f", "°F"),
    ("degf", "°F"),
    ("fahrenheit", "°F"),
    ("pct", "%"),
    ("perc", "%"),
    ("percent", "%"),
    ("percentage", "%"),
    ("v", "V"),
    ("volt", "V"),
    ("volts", "V"),
    ("mv", "mV"),
    ("amp", "A"),
    ("amps", "A"),
    ("ma", "mA"),
    ("w", "W"),
    ("watt", "W"),
    ("watts", "W"),
    ("kw", "kW"),
    ("wh", "Wh"),
    ("kwh", "kWh"),
    ("pa", "Pa"),
    ("hpa", "hPa"),
    ("kpa", "kPa"),
    ("mbar", "mbar"),
    ("bar", "bar"),
    ("psi", "psi"),
    ("ppm", "ppm"),
    ("ppb", "ppb"),
    ("ugm3", "µg/m³"),
    ("lx", "lx"),
    ("lux", "lx"),
    ("mm", "mm"),
    ("cm", "cm"),
    ("m", "m"),
    ("km", "km"),
    ("mmh", "mm/h"),
    ("mps", "m/s"),
    ("kmh", "km/h"),
    ("kph", "km/h"),
    ("ms", "ms"),
    ("s", "s"),
    ("sec", "s"),
    ("seconds", "s"),
    ("min", "min"),
    ("minutes", "min"),
    ("hours", "h"),
    ("kg", "kg"),
    ("g", "g"),
    ("l", "L"),
    ("liter", "L"),
    ("liters", "L"),
    ("m3", "m³"),
    ("db", "dB"),
    ("hz", "Hz"),
];

/// Last words that say where, which or how: the quantity stands before them.
const ASIDES: [&str; 34] = [
    "sht",
    "sht20",
    "sht31",
    "ds",
    "ds18b20",
    "bme",
    "bme280",
    "bmp280",
    "dht22",
    "ntc",
    "soil",
    "air",
    "water",
    "leaf",
    "indoor",
    "outdoor",
    "internal",
    "external",
    "inside",
    "outside",
    "min",
    "max",
    "avg",
    "mean",
    "average",
    "last",
    "value",
    "sensor",
    "probe",
    "status",
    "state",
    "detected",
    "triggered",
    "trigger",
];

impl Meaning {
    /// What the field at this path (levels joined by dots) is, if it holds such values. Where its name says nothing: a plain
    /// value, or a plain yes or no.
    pub fn of(path: &str, kind: ValueKind) -> Self {
        let words = words_of(path);
        let flag = || readings(&words).find_map(flag_called);
        let number = |wants_unit| readings(&words).find_map(|words| quantity_called(words, wants_unit));
        let guessed = match kind {
            ValueKind::Bool => flag().or(Some(Self { is_binary: true, ..Self::default() })),
            ValueKind::Binary => flag().or_else(|| number(false)),
            ValueKind::Number => number(false),
            // A text may be a rounded number if the name says in which unit; else it says what it says.
            ValueKind::Text => flag().or_else(|| number(true)),
            ValueKind::Place | ValueKind::Null => None,
        };
        guessed.or_else(|| axis(path)).unwrap_or_default()
    }
}

/// The class of a number called this that is measured in this unit.
pub fn class_in(path: &str, unit: &str) -> Option<&'static str> {
    let words = words_of(path);
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
    let fits = |quantity: &&Quantity| quantity.device_class.is_some_and(|class| classes::has_unit(class, Some(unit)));
    let named =
        QUANTITIES.iter().filter(fits).filter_map(|quantity| Some((ends_with(words, quantity.names)?, quantity)));
    longest(named).map(|quantity| quantity.meaning(Some(unit)))
}

/// The quantity called this that has a usual unit, or no class at all.
fn usual_quantity(words: &[String]) -> Option<Meaning> {
    let usual = QUANTITIES.iter().filter(|quantity| quantity.usual_unit.is_some() || quantity.device_class.is_none());
    let named = usual.filter_map(|quantity| Some((ends_with(words, quantity.names)?, quantity)));
    longest(named).map(|quantity| quantity.meaning(quantity.usual_unit.filter(|unit| !unit.is_empty())))
}

impl Quantity {
    const fn about_the_device(self) -> Self {
        Self { diagnostic: true, ..self }
    }

    fn is_measured_in(&self, unit: &str) -> bool {
        self.device_class.is_some_and(|class| classes::has_unit(class, Some(unit)))
    }

    fn meaning(&self, unit: Option<&'static str>) -> Meaning {
        let Self { device_class, diagnostic, .. } = *self;
        let state_class = Some(self.state_class).filter(|class| !class.is_empty());
        Meaning { is_binary: false, device_class, unit, state_class, diagnostic }
    }
}

/// How many words of the longest of these names the words end with.
fn ends_with(words: &[String], names: &[&str]) -> Option<usize> {
    let length = |name: &&str| {
        let name: Vec<_> = name.split(' ').collect();
        let start = words.len().checked_sub(name.len())?;
        (words[start..] == name[..]).then_some(name.len())
    };
    names.iter().filter_map(length).max()
}

/// The first of those with the longest name.
fn longest<T>(found: impl Iterator<Item = (usize, T)>) -> Option<T> {
    found.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, found)| found)
}

/// The words as they are, then without one after the other that only says where or which.
fn readings(words: &[String]) -> impl Iterator<Item = &[String]> {
    let is_aside = |word: &String| ASIDES.contains(&word.as_str()) || word.bytes().all(|byte| byte.is_ascii_digit());
    let kept = words.iter().rposition(|word| !is_aside(word)).map_or(0, |last| last + 1);
    (kept.max(1)..=words.len()).rev().map(|length| &words[..length])
}

/// The words of a field's name, in lower case, the number of a channel apart. What is only called `value` is named by what it
/// is the value of.
fn words_of(path: &str) -> Vec<String> {
    let mut levels = path.rsplit('.');
    let last = levels.next().unwrap_or_default();
    let name = if last.eq_ignore_ascii_case("value") { levels.next().unwrap_or(last) } else { last };
    let parts = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    parts.flat_map(at_humps).flat_map(|word| without_channel(&word)).collect()
}

/// `TempC` at its humps: `temp`, `c`. Digits stay with what they follow, and units such as `hPa` stay together.
fn at_humps(part: &str) -> Vec<String> {
    let letters: Vec<_> = part.chars().collect();
    let mut words = vec![String::new()];
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let rises = letter.is_ascii_uppercase() && before.is_some_and(|before| !before.is_ascii_uppercase());
        let ends_capitals = letter.is_ascii_uppercase()
            && before.is_some_and(|before| before.is_ascii_uppercase())
            && letters.get(at + 1).is_some_and(char::is_ascii_lowercase);
        if rises || ends_capitals {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(letter.to_ascii_lowercase());
        }
    }
    if let [.., first, second] = &words[..]
        && UNITS.iter().any(|(unit, _)| *unit == format!("{first}{second}"))
    {
        let unit = format!("{first}{second}");
        words.truncate(words.len() - 2);
        words.push(unit);
    }
    words
}

/// `temp2` is `temp` of channel 2, but `co2` is a name.
fn without_channel(word: &str) -> Vec<String> {
    let (stem, channel) = word.split_at(word.trim_end_matches(|c: char| c.is_ascii_digit()).len());
    let mut names = QUANTITIES.iter().flat_map(|quantity| quantity.names).flat_map(|name| name.split(' '));
    let is_name =
        names.any(|name| name == word) || UNITS.iter().any(|(unit, _)| *unit == word) || ASIDES.contains(&word);
    let parts = if is_name { [word, ""] } else { [stem, channel] };
    parts.into_iter().filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

const fn measured(names: &'static [&'static str], class: &'static str, usual_unit: Option<&'static str>) -> Quantity {
    Quantity { names, device_class: Some(class), usual_unit, state_class: "measurement", diagnostic: false }
}

const fn counted(names: &'static [&'static str], class: &'static str, usual_unit: Option<&'static str>) -> Quantity {
    Quantity { state_class: "total_increasing", ..measured(names, class, usual_unit) }
}

/// Something about the device that has no class.
const fn plain(names: &'static [&'static str]) -> Quantity {
    Quantity { names, device_class: None, usual_unit: None, state_class: "", diagnostic: true }
}

const fn flag(names: &'static [&'static str], class: &'static str) -> Flag {
    Flag { names, device_class: Some(class) }
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
