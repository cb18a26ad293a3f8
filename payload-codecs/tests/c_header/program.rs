//! The program in C: packs and parses what the tests made up, and prints what came of it.

use std::fmt::Write as _;

use payload_codecs::table::{Data, Table, header};

use crate::dice::{self, Dice};
use crate::port;
use crate::tables;
use crate::values::{self, Said};
use crate::written::{message_name, toml};

/// Values per table, and payloads per table that may say anything.
const VALUES: usize = 8;
const STRANGE: usize = 16;

/// A made-up table with what is to be tried with it.
pub struct Generated {
    pub toml: String,
    pub table: Table,
    pub cases: Vec<Case>,
    name: String,
    spec: tables::Table,
    code: String,
}

/// One thing that is tried; the program prints a line for each.
#[derive(Debug)]
pub enum Case {
    /// C packs these values (hex is printed), and parses what the codec made of them.
    Said { index: usize, data: Data, bytes: Vec<u8> },
    /// C parses these bytes and packs what it found (hex is printed), or refuses them.
    Strange { index: usize, bytes: Vec<u8> },
}

impl Generated {
    pub fn roll(dice: &mut Dice, number: usize) -> Self {
        let spec = dice::table(dice);
        let toml = toml(&spec);
        let table = Table::parse(&toml).unwrap_or_else(|error| panic!("{error}\n{toml}"));
        let mut generated =
            Self { toml, table, cases: Vec::new(), name: format!("t{number}"), spec, code: String::new() };
        for turn in 0..VALUES {
            let index = turn % generated.spec.messages.len();
            let bytes = generated.say(dice, index);
            for _ in 0..STRANGE / VALUES {
                generated.hear(index, strange(dice, &bytes));
            }
        }
        generated
    }

    /// The name and text of its header.
    pub fn header(&self) -> (String, String) {
        let text = header(&self.table, &self.name).unwrap_or_else(|error| panic!("{error}\n{}", self.toml));
        (format!("{}.h", self.name), text)
    }

    /// Whether what was decoded is within the limits that C keeps.
    pub fn fits(&self, index: usize, data: &Data) -> bool {
        let message = &self.spec.messages[index];
        let mut parts = message.parts.iter();
        values::fits(&message.fields, data) && parts.all(|(_, fields)| values::fits(fields, data))
    }

    /// Values that go both ways; the payload they make.
    fn say(&mut self, dice: &mut Dice, index: usize) -> Vec<u8> {
        let said = Said::any(dice, &self.spec.messages[index]);
        let encoded = self.table.encode(Some(port(index)), &said.data);
        let (bytes, _) = encoded.unwrap_or_else(|error| panic!("{error}: {:?}\n{}", said.data, self.toml));
        let (name, up, down) = (&self.name, message_name("uplink", index), message_name("downlink", index));
        let length = bytes.len();
        let _ = write!(
            self.code,
            "    {{
        struct {name}_{up} up;
        struct {name}_{down} down;
        memset(&up, 0, sizeof up);
        {}
        CHECK({length} == 0 || {name}_pack_{up}(&up, bytes, {length}) == {length});
        CHECK({length} == 0 || {name}_pack_{up}(&up, bytes, {length} - 1u) == 0);
        {}
        CHECK({name}_parse_{down}({}, bytes, {length}, &down));
        {}
        print(bytes, {name}_pack_{up}(&up, bytes, sizeof bytes));
    }}
",
            said.assignments("up").join("\n        "),
            filled(&bytes),
            port(index),
            said.checks("down").join("\n        "),
        );
        self.cases.push(Case::Said { index, data: said.data, bytes: bytes.clone() });
        bytes
    }

    fn hear(&mut self, index: usize, bytes: Vec<u8>) {
        let (name, up, down) = (&self.name, message_name("uplink", index), message_name("downlink", index));
        let _ = write!(
            self.code,
            "    {{
        struct {name}_{up} up;
        struct {name}_{down} down;
        {}
        if ({name}_parse_{down}({}, bytes, {}, &down)) {{
            /* Both structs have the same members. */
            memcpy(&up, &down, sizeof up);
            print(bytes, {name}_pack_{up}(&up, bytes, sizeof bytes));
        }} else {{
            puts(\"refused\");
        }}
    }}
",
            filled(&bytes),
            port(index),
            bytes.len(),
        );
        self.cases.push(Case::Strange { index, bytes });
    }
}

/// The program that tries all cases.
pub fn source(generated: &[Generated]) -> String {
    let mut source = String::from("#include <stdio.h>\n");
    for table in generated {
        let _ = writeln!(source, "#include \"{}.h\"", table.name);
    }
    source.push_str(TOOLS);
    for table in generated {
        let _ = writeln!(source, "static void {}(void)\n{{\n{}}}\n", table.name, table.code);
    }
    let calls: String = generated.iter().map(|table| format!("    {}();\n", table.name)).collect();
    source + &format!("int main(void)\n{{\n{calls}    return 0;\n}}\n")
}

const TOOLS: &str = r#"
#define CHECK(holds) do { if (!(holds)) { printf("%s (line %d) does not hold. ", #holds, __LINE__); } } while (0)

static uint8_t bytes[300];

static void print(const uint8_t *from, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        printf("%02x", (unsigned)from[i]);
    }
    printf("\n");
}

static inline float f32_of(uint32_t bits) { float number; memcpy(&number, &bits, sizeof number); return number; }
static inline double f64_of(uint64_t bits) { double number; memcpy(&number, &bits, sizeof number); return number; }
static inline uint32_t f32_bits(float number) { uint32_t bits; memcpy(&bits, &number, sizeof bits); return bits; }
static inline uint64_t f64_bits(double number) { uint64_t bits; memcpy(&bits, &number, sizeof bits); return bits; }

"#;

/// C that puts these into `bytes`, with ones behind that must not be read.
fn filled(payload: &[u8]) -> String {
    let octal: String = payload.iter().map(|byte| format!("\\{byte:03o}")).collect();
    format!("memset(bytes, 255, sizeof bytes); memcpy(bytes, \"{octal}\", {});", payload.len())
}

/// A payload with some bits turned, cut, or longer.
fn strange(dice: &mut Dice, payload: &[u8]) -> Vec<u8> {
    let mut bytes = payload.to_vec();
    match dice.below(4) {
        0 => bytes.truncate(dice.below(payload.len() + 1)),
        1 => bytes.extend((0..dice.below(10)).map(|_| 0)),
        2 => bytes.iter_mut().for_each(|byte| *byte = 0),
        _ => {}
    }
    for byte in &mut bytes {
        if dice.once_in(8) {
            *byte ^= dice.bits(8) as u8;
        }
    }
    bytes
}
