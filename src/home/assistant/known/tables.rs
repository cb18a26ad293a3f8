//! The names themselves: quantities, yes and no, units, and what says only where.

/// A quantity, and what it is called.
pub struct Quantity {
    /// Words from the end of a name.
    pub names: &'static [&'static str],
    pub device_class: Option<&'static str>,
    /// The unit if the name says none; `None` if there must be one, and `""` where there is none.
    pub usual_unit: Option<&'static str>,
    pub state_class: &'static str,
    pub diagnostic: bool,
}

/// A yes or no, and what it is called.
pub struct Flag {
    pub names: &'static [&'static str],
    pub device_class: Option<&'static str>,
}

pub const QUANTITIES: &[Quantity] = &[
    measured(&["temperature", "temp", "tem", "dew point", "dewpoint"], "temperature", Some("°C")),
    measured(&["humidity", "hum", "humi", "rh"], "humidity", Some("%")),
    measured(&["moisture", "soil humidity", "soil hum", "soil moisture", "vwc", "water soil"], "moisture", Some("%")),
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
    measured(&["battery voltage", "bat voltage", "batt voltage", "v bat", "v batt"], "voltage", Some("V"))
        .about_the_device(),
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
        ..measured(&["wind direction", "wind direction angle", "wind dir"], "wind_direction", Some("°"))
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

pub const FLAGS: &[Flag] = &[
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
pub const UNITS: [(&str, &str); 57] = [
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
pub const ASIDES: [&str; 34] = [
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

impl Quantity {
    const fn about_the_device(self) -> Self {
        Self { diagnostic: true, ..self }
    }
}

/// Whether it is a word of one of these tables, digits and all.
pub fn is_word(word: &str) -> bool {
    let mut names = QUANTITIES.iter().flat_map(|quantity| quantity.names).flat_map(|name| name.split(' '));
    names.any(|name| name == word) || UNITS.iter().any(|(unit, _)| *unit == word) || ASIDES.contains(&word)
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
