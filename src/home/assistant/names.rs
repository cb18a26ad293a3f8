//! What people read.

/// The name of a field nobody named: `door.open_count` is *Door open count*.
pub fn of_path(path: &str) -> String {
    let words: Vec<_> = path.split(['.', '_', ' ']).filter(|word| !word.is_empty()).collect();
    let name = words.join(" ");
    let mut letters = name.chars();
    letters.next().map_or_else(|| path.to_owned(), |first| first.to_uppercase().chain(letters).collect())
}

/// An entity's name without the device's at its beginning, where Home Assistant puts that itself; `None` if nothing is left,
/// which is its way to say that the entity is called like the device.
pub fn beside<'a>(device: &str, name: &'a str) -> Option<&'a str> {
    let rest = name.get(..device.len()).filter(|start| start.to_lowercase() == device.to_lowercase());
    let Some(rest) = rest.map(|start| &name[start.len()..]) else { return Some(name) };
    match rest.chars().next() {
        None => None,
        Some(c) if c.is_alphanumeric() => Some(name),
        Some(_) => Some(rest.trim_start_matches(|c: char| !c.is_alphanumeric())).filter(|rest| !rest.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_words() {
        assert_eq!(of_path("relative_humidity_1"), "Relative humidity 1");
        assert_eq!(of_path("door.open"), "Door open");
        assert_eq!(of_path("TempC_SHT"), "TempC SHT");
    }

    #[test]
    fn the_devices_name_is_not_repeated() {
        assert_eq!(beside("pump", "Pump state"), Some("state"));
        assert_eq!(beside("pump", "Pumped water"), Some("Pumped water"));
        assert_eq!(beside("pump", "Pump"), None);
        assert_eq!(beside("kitchen", "Temperature"), Some("Temperature"));
    }
}
