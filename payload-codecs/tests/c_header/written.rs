//! Made-up tables in TOML, as people write them.

use std::fmt::Write as _;

use crate::tables::{Kind, Message, Number, Spec, Table, Times};

/// The whole table: message 0 goes on port 1, message 1 on port 2, and both ways.
pub fn toml(table: &Table) -> String {
    let mut text = String::new();
    if table.little {
        text.push_str("endian = \"little\"\n");
    }
    for direction in ["uplink", "downlink"] {
        for (index, message) in table.messages.iter().enumerate() {
            let _ =
                writeln!(text, "[[{direction}]]\nname = \"{}\"\nport = {}", message_name(direction, index), index + 1);
            text.push_str(&message_body(message, direction));
        }
    }
    text
}

/// What a message is called in C too.
pub fn message_name(direction: &str, index: usize) -> String {
    format!("{direction}_{index}")
}

/// The key of a part without fields.
pub fn part_name(tag: u64) -> String {
    format!("part{tag}")
}

/// The number that a raw one is worth, exactly.
pub fn worth(number: &Number, raw: i128) -> String {
    let unit = 10_i128.pow(number.places);
    let digits = raw * i128::from(number.step) + i128::from(number.offset) * unit;
    let fraction = format!("{:01$}", digits.abs() % unit, number.places as usize);
    let sign = if digits < 0 { "-" } else { "" };
    let whole = digits.abs() / unit;
    match fraction.trim_end_matches('0') {
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    }
}

fn message_body(message: &Message, direction: &str) -> String {
    let mut text = format!("fields = [{}]\n", fields(&message.fields));
    if let Some(tag) = message.tag {
        let _ = writeln!(text, "tag = \"u{tag}\"");
        for (number, part) in &message.parts {
            let name = if part.is_empty() { format!("name = \"{}\"\n", part_name(*number)) } else { String::new() };
            let _ = writeln!(text, "[[{direction}.parts]]\ntag = {number}\n{name}fields = [{}]", fields(part));
        }
    }
    text
}

fn fields(fields: &[Spec]) -> String {
    fields.iter().map(|field| format!("\n  {{ {} }},", keys(field).join(", "))).collect::<String>() + "\n"
}

fn keys(field: &Spec) -> Vec<String> {
    let mut keys: Vec<String> = field.name.iter().map(|name| format!("name = \"{name}\"")).collect();
    keys.extend(field.at.map(|bits| match bits % 8 {
        0 => format!("at = {}", bits / 8),
        bit => format!("at = \"{}.{bit}\"", bits / 8),
    }));
    keys.extend(field.endian.map(|endian| format!("endian = \"{endian}\"")));
    keys.extend(field.optional.then(|| "optional = true".to_owned()));
    keys.extend(kind(&field.kind));
    keys
}

fn kind(kind: &Kind) -> Vec<String> {
    let length = |length: &Option<usize>| length.map(|length| length.to_string()).unwrap_or_default();
    match kind {
        Kind::Padding(bits) => vec![format!("type = \"u{bits}\"")],
        Kind::Constant { bits, raw } => vec![format!("type = \"u{bits}\""), format!("equals = {raw}")],
        Kind::Number(number) => number_keys(number),
        Kind::Values { bits, names } => {
            let names: Vec<_> = names.iter().map(|raw| format!("{raw} = \"{}\"", value_name(*raw))).collect();
            vec![format!("type = \"u{bits}\""), format!("values = {{ {} }}", names.join(", "))]
        }
        Kind::Boolean(1) => vec!["type = \"bool\"".to_owned()],
        Kind::Boolean(bits) => vec![format!("type = \"bool{bits}\"")],
        Kind::Float { bits, limited: false } => vec![format!("type = \"f{bits}\"")],
        Kind::Float { bits, limited: true } => vec![format!("type = \"f{bits}\""), "min = -1.0, max = 1.0".to_owned()],
        Kind::Flags { bits, flags } => vec![format!("type = \"u{bits}\""), flags_key(flags)],
        Kind::Bytes(size) => vec![format!("type = \"bytes{}\"", length(size))],
        Kind::Text(size) => vec![format!("type = \"text{}\"", length(size))],
        Kind::Group(inner) => vec![format!("fields = [{}]", fields(inner))],
        Kind::List { fields: inner, times, most } => {
            let repeat = match times {
                Times::Fixed => format!("repeat = {most}"),
                Times::Counted(count) => format!("repeat = \"{count}\", most = {most}"),
                Times::Rest => format!("repeat = \"rest\", most = {most}"),
            };
            vec![repeat, format!("fields = [{}]", fields(inner))]
        }
    }
}

/// What a raw number with a name is called.
pub fn value_name(raw: u64) -> String {
    format!("value {raw}")
}

fn number_keys(number: &Number) -> Vec<String> {
    let mut keys = vec![format!("type = \"{}{}\"", if number.signed { "i" } else { "u" }, number.bits)];
    if number.step != 1 || number.places != 0 {
        let scale = Number { offset: 0, ..number.clone() };
        keys.push(format!("scale = {}", decimal(&worth(&scale, 1))));
    }
    if number.offset != 0 {
        keys.push(format!("offset = {}.0", number.offset));
    }
    // Half of them signed, half as the bits are written; TOML has no integers beyond 63 bits.
    keys.extend(number.absent.map(|bits| match i64::try_from(bits) {
        Ok(written) if bits % 2 == 0 => format!("absent = {written}"),
        _ => format!("absent = {}", number.raw(bits) as i64),
    }));
    if let Some((low, high)) = number.range {
        let (low, high) = if number.step < 0 { (high, low) } else { (low, high) };
        keys.push(format!("min = {}", decimal(&worth(number, low))));
        keys.push(format!("max = {}", decimal(&worth(number, high))));
    }
    if !number.flags.is_empty() {
        keys.push(flags_key(&number.flags));
    }
    keys
}

fn flags_key(flags: &[(String, usize)]) -> String {
    let flags: Vec<_> = flags.iter().map(|(name, bit)| format!("{{ name = \"{name}\", bit = {bit} }}")).collect();
    format!("flags = [{}]", flags.join(", "))
}

/// TOML tells integers from floats by the point.
fn decimal(number: &str) -> String {
    if number.contains('.') { number.to_owned() } else { format!("{number}.0") }
}
