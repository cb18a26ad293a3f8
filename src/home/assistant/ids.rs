//! Names for Home Assistant: identifiers that never change and never meet, and readable ones that may.

use super::Portrait;

/// The identifier of a device: of its network, application and id, so not of what the user calls it.
pub fn device(portrait: &Portrait) -> String {
    let parts = [&portrait.network, portrait.key.application.as_str(), portrait.key.device.as_str()];
    parts.iter().fold("ttn".to_owned(), |id, part| format!("{id}_{}", encoded(part, false)))
}

/// The identifier of a bridge, by its client id.
pub fn bridge(client_id: &str) -> String {
    format!("ttn_ferry_bridge_{}", encoded(client_id, true))
}

/// The identifier of an entity within its device, by the path of its field. Two paths never give the same one.
pub fn entity(path: &str) -> String {
    encoded(path, true)
}

/// Lower-case letters, digits and single underscores, as Home Assistant's entity ids are made of. Two texts may give the
/// same one, and Home Assistant then numbers them.
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('_') {
            slug.push('_');
        }
    }
    slug.trim_end_matches('_').to_owned()
}

/// Only `[a-zA-Z0-9_-]`, which is all that a discovery topic may hold (Home Assistant's MQTT documentation, "Discovery
/// topic"), and reversible: a dot becomes `--`, what else does not fit `-` and its hexadecimal number and `-`.
/// Without underscores, these can part such texts.
fn encoded(text: &str, keep_underscores: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '_' if keep_underscores => encoded.push('_'),
            '.' => encoded.push_str("--"),
            c if c.is_ascii_alphanumeric() => encoded.push(c),
            c => encoded.push_str(&format!("-{:x}-", u32::from(c))),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_names_stay_readable() {
        assert_eq!(entity("relative_humidity_1"), "relative_humidity_1");
        assert_eq!(entity("door.open"), "door--open");
        assert_eq!(slug("Ground floor/Küche "), "ground_floor_k_che");
    }

    proptest! {
        #[test]
        fn two_paths_never_have_the_same_identifier(one in "[ab._2d-]{0,8}", other in "[ab._2d-]{0,8}") {
            prop_assert_eq!(one == other, entity(&one) == entity(&other), "{} and {}", entity(&one), entity(&other));
        }

        #[test]
        fn identifiers_fit_into_a_discovery_topic(path in "\\PC{0,20}") {
            prop_assert!(entity(&path).chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)));
        }
    }
}
