//! What a normalised measurement may hold: The Things Stack's schema, and what each quantity is for a home.

use std::ops::Bound::{self, Excluded, Included, Unbounded};

use crate::metadata::{Field, FieldKind};

/// What a field of a home is called that shows a quantity: this, and the quantity's path.
const PREFIX: &str = "normalized";

/// One thing that can be measured.
#[derive(Debug, PartialEq)]
pub struct Quantity {
    /// Where it stands in a measurement, levels joined by dots: `air.temperature`.
    pub path: &'static str,
    /// What values it has.
    pub kind: Kind,
    /// The unit of a number, as Home Assistant writes it. `mS/cm` is the schema's dS/m.
    pub unit: Option<&'static str>,
    name: &'static str,
    device_class: Option<&'static str>,
    state_class: Option<&'static str>,
    diagnostic: bool,
}

/// What values a quantity has.
#[derive(Debug, PartialEq)]
pub enum Kind {
    /// A time in RFC 3339.
    Time,
    /// A number between these bounds.
    Number(Bound<f64>, Bound<f64>),
    /// True or false.
    Flag,
    /// One of these texts.
    Choice(&'static [&'static str]),
}

impl Quantity {
    /// What it is for a home, under the name `normalized.<path>`. Latitude and longitude are one field, a place; the time
    /// of a measurement is none.
    pub fn field(&self) -> Option<Field> {
        let kind = self.field_kind();
        let name = if kind == FieldKind::Tracker { "position" } else { self.path };
        (self.kind != Kind::Time).then(|| Field {
            name: format!("{PREFIX}.{name}"),
            friendly_name: Some(self.name.into()),
            kind,
            unit: self.unit.map(Into::into),
            device_class: self.device_class.map(Into::into),
            state_class: self.state_class.map(Into::into),
            diagnostic: self.diagnostic,
        })
    }

    /// Whether a codec's own field shows the same, so that the home does not need it twice: a place, a thing of the same
    /// class, or, where there is no class, of the same name.
    pub fn is_shown_by(&self, field: &Field) -> bool {
        let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        let is_same = match self.device_class {
            _ if field.kind == FieldKind::Tracker => true,
            Some(class) => field.device_class.as_deref() == Some(class),
            None => last(&field.name) == last(self.path),
        };
        is_same && field.kind == self.field_kind()
    }

    fn field_kind(&self) -> FieldKind {
        match self.kind {
            Kind::Flag => FieldKind::BinarySensor,
            Kind::Choice(_) if self.device_class == Some("opening") => FieldKind::BinarySensor,
            Kind::Number(..) if self.path.starts_with("position.") => FieldKind::Tracker,
            _ => FieldKind::Sensor,
        }
    }

    const fn new(path: &'static str, kind: Kind, name: &'static str) -> Self {
        Self { path, kind, unit: None, name, device_class: None, state_class: None, diagnostic: false }
    }

    const fn class(self, device_class: &'static str) -> Self {
        Self { device_class: Some(device_class), ..self }
    }

    const fn counting(self, state_class: &'static str) -> Self {
        Self { state_class: Some(state_class), ..self }
    }

    const fn diagnostic(self) -> Self {
        Self { diagnostic: true, ..self }
    }
}

/// Every quantity there is. Ranges are those of The Things Stack 3.34 and of the device repository's `lib/payload.json`.
pub const QUANTITIES: [Quantity; 31] = [
    Quantity::new("time", Kind::Time, "Time of measurement"),
    number("battery", "V", AT_LEAST_0, "Battery voltage").class("voltage").diagnostic(),
    number("soil.depth", "cm", AT_LEAST_0, "Depth in the soil").class("distance").diagnostic(),
    number("soil.moisture", "%", PERCENT, "Soil moisture").class("moisture"),
    number("soil.temperature", "°C", TEMPERATURE, "Soil temperature").class("temperature"),
    number("soil.ec", "mS/cm", (Included(0.0), Included(621.0)), "Soil conductivity").class("conductivity"),
    bare("soil.pH", (Included(0.0), Included(14.0)), "Soil pH").class("ph").counting("measurement"),
    number("soil.n", "ppm", CONCENTRATION, "Nitrogen in the soil"),
    number("soil.p", "ppm", CONCENTRATION, "Phosphorus in the soil"),
    number("soil.k", "ppm", CONCENTRATION, "Potassium in the soil"),
    Quantity::new("air.location", Kind::Choice(&["indoor", "outdoor"]), "Location").class("enum").diagnostic(),
    number("air.temperature", "°C", TEMPERATURE, "Air temperature").class("temperature"),
    number("air.relativeHumidity", "%", PERCENT, "Air humidity").class("humidity"),
    number("air.pressure", "hPa", (Included(900.0), Included(1100.0)), "Air pressure").class("atmospheric_pressure"),
    number("air.co2", "ppm", CONCENTRATION, "Carbon dioxide").class("carbon_dioxide"),
    number("air.lightIntensity", "lx", AT_LEAST_0, "Light").class("illuminance"),
    number("wind.speed", "m/s", AT_LEAST_0, "Wind speed").class("wind_speed"),
    number("wind.direction", "°", (Included(0.0), Excluded(360.0)), "Wind direction")
        .class("wind_direction")
        .counting("measurement_angle"),
    number("rain.intensity", "mm/h", AT_LEAST_0, "Rain").class("precipitation_intensity"),
    number("rain.cumulative", "mm", AT_LEAST_0, "Rainfall").class("precipitation").counting("total_increasing"),
    Quantity::new("water.leak", Kind::Flag, "Water leak").class("moisture"),
    number("water.temperature.min", "°C", TEMPERATURE, "Least water temperature").class("temperature"),
    number("water.temperature.max", "°C", TEMPERATURE, "Greatest water temperature").class("temperature"),
    number("water.temperature.avg", "°C", TEMPERATURE, "Mean water temperature").class("temperature"),
    number("water.temperature.current", "°C", TEMPERATURE, "Water temperature").class("temperature"),
    number("metering.water.total", "L", AT_LEAST_0, "Water").class("water").counting("total_increasing"),
    Quantity::new("action.motion.detected", Kind::Flag, "Motion").class("motion"),
    bare("action.motion.count", AT_LEAST_0, "Motion count").counting("total_increasing"),
    Quantity::new("action.contactState", Kind::Choice(&["open", "closed"]), "Contact").class("opening"),
    bare("position.latitude", (Included(-90.0), Included(90.0)), "Position"),
    bare("position.longitude", (Included(-180.0), Included(180.0)), "Position"),
];

const AT_LEAST_0: (Bound<f64>, Bound<f64>) = (Included(0.0), Unbounded);
const PERCENT: (Bound<f64>, Bound<f64>) = (Included(0.0), Included(100.0));
const CONCENTRATION: (Bound<f64>, Bound<f64>) = (Included(0.0), Included(1e6));
/// From absolute zero on.
const TEMPERATURE: (Bound<f64>, Bound<f64>) = (Included(-273.15), Unbounded);

const fn bare(path: &'static str, (least, most): (Bound<f64>, Bound<f64>), name: &'static str) -> Quantity {
    Quantity::new(path, Kind::Number(least, most), name)
}

const fn number(
    path: &'static str,
    unit: &'static str,
    range: (Bound<f64>, Bound<f64>),
    name: &'static str,
) -> Quantity {
    Quantity { unit: Some(unit), ..bare(path, range, name) }.counting("measurement")
}
