//! What an API key may do, asked of the Identity Server. MQTT cannot tell: a key without the right to read subscribes
//! without complaint and hears nothing (observed on The Things Stack 3.32).

/// Uplinks and all that comes with them.
pub const READ: &str = "RIGHT_APPLICATION_TRAFFIC_READ";
/// Downlinks.
pub const WRITE: &str = "RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE";
/// The list of devices.
pub const DEVICES: &str = "RIGHT_APPLICATION_DEVICES_READ";
/// Rights that hold all others.
const ALL: [&str; 2] = ["RIGHT_APPLICATION_ALL", "RIGHT_ALL"];

/// Whether `wanted` is among these rights, by itself or within a wider one.
pub fn includes(rights: &[String], wanted: &str) -> bool {
    rights.iter().any(|right| right == wanted || ALL.contains(&right.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_right_includes_the_one_wanted() {
        let has = |right: &str| includes(&[right.to_owned()], READ);
        assert!(has(READ) && has("RIGHT_APPLICATION_ALL"));
        assert!(!has(WRITE));
    }
}
