//! Functions that pack the messages a device sends.

use super::code::Code;
use super::layout::{self, Length, Message, Number, Part, Parts, Shape, Slot, Step, Times, What};
use crate::table::model::Type;

/// Writes the functions that fill payloads.
struct Pack<'h> {
    prefix: &'h str,
    /// The writer as an argument, and before the name of one of its members.
    to: &'static str,
    to_dot: &'static str,
}

/// The function that packs a message.
pub(super) fn message(code: &mut Code, prefix: &str, message: &Message<'_>) {
    let pack = Pack { prefix, to: "&to", to_dot: "to." };
    let Shape { name, macros, steps } = &message.shape;
    let on = message.ports.first().map(|_| format!(", to be sent on port {macros}_PORT")).unwrap_or_default();
    code.line("/*");
    code.line(format!(" * Packs the message{on}. Returns its length in bytes:"));
    code.line(" * 0 if there is nothing to send, no room, or a number that does not fit its bits.");
    code.line(" */");
    let parameters = format!("const struct {prefix}_{name} *values, uint8_t *bytes, size_t room");
    code.function(&format!("size_t {prefix}_pack_{name}"), &parameters, |code| {
        let start = format!("{prefix}_start_packing(bytes, room, {macros}_SIZE)");
        code.line(format!("struct {prefix}_bit_writer to = {start};"));
        if message.shape.is_empty() && message.parts.is_none() {
            code.line("(void)values;");
        }
        pack.steps(code, steps, "");
        if let Some(parts) = &message.parts {
            pack.parts(code, parts);
        }
        code.line("return to.failed ? 0 : (to.at + 7) / 8;");
    });
}

/// The function that writes one occurrence of a group.
pub(super) fn group(code: &mut Code, prefix: &str, shape: &Shape<'_>) {
    let pack = Pack { prefix, to: "to", to_dot: "to->" };
    let name = &shape.name;
    let parameters = format!("struct {prefix}_bit_writer *to, const struct {prefix}_{name} *values");
    code.function(&format!("void {prefix}_put_{name}"), &parameters, |code| {
        if shape.is_empty() {
            code.line("(void)values;");
        }
        pack.start(code, &shape.steps);
        pack.steps(code, &shape.steps, "start + ");
    });
}

impl Pack<'_> {
    fn parts(&self, code: &mut Code, parts: &Parts<'_>) {
        for part in &parts.parts {
            code.block(format!("if (values->{})", part.has), |code| self.part(code, parts.tag, part));
        }
    }

    fn part(&self, code: &mut Code, tag: Number, part: &Part<'_>) {
        self.put(code, tag, &format!("{:#04x}u", part.tag));
        self.start(code, &part.steps);
        self.steps(code, &part.steps, "start + ");
    }

    /// Remembers where a group or part begins, if its fields say where they lie.
    fn start(&self, code: &mut Code, steps: &[Step<'_>]) {
        if layout::seek(steps) {
            code.line(format!("const size_t start = {}at;", self.to_dot));
        }
    }

    fn steps(&self, code: &mut Code, steps: &[Step<'_>], start: &str) {
        let dot = self.to_dot;
        for step in steps {
            match step {
                Step::Seek(bits) => code.line(format!("{dot}at = {start}{bits};")),
                Step::Align => code.line(format!("{dot}at = ({dot}at + 7) / 8 * 8;")),
                Step::Open { has, .. } => code.open(format!("if (values->{has})")),
                // Behind what is not there the payload has no room for more.
                Step::Close => code.close_or(format!("{dot}end = {dot}at;")),
                Step::Slot(slot) => self.what(code, slot),
            }
        }
    }

    fn what(&self, code: &mut Code, slot: &Slot<'_>) {
        let (prefix, to) = (self.prefix, self.to);
        match &slot.what {
            What::Padding(bits) => code.line(format!("{prefix}_put_zeros({to}, {bits});")),
            What::Constant(number, bits) => self.put(code, *number, &format!("{bits:#04x}u")),
            What::Scalar { member, number } => self.put(code, *number, &self.bits(member, *number)),
            What::Flags { number, members } => self.flags(code, *number, members),
            What::Run { member, text, length } => self.run(code, member, *text, length),
            What::Group { member, shape, times } => self.group(code, member, shape, times),
        }
    }

    fn put(&self, code: &mut Code, number: Number, value: &str) {
        code.line(format!("{}_put_{}({}, {}, {value});", self.prefix, number.order(), self.to, number.bits));
    }

    /// The bits of a member.
    fn bits(&self, member: &str, number: Number) -> String {
        match number.kind {
            Type::Boolean(_) => format!("values->{member} ? 1u : 0u"),
            Type::Float(32) => format!("{}_float_bits(values->{member})", self.prefix),
            Type::Float(_) => format!("{}_double_bits(values->{member})", self.prefix),
            Type::Signed(bits) => format!("{}_to_twos({}, {bits}, values->{member})", self.prefix, self.to),
            _ => format!("values->{member}"),
        }
    }

    fn flags(&self, code: &mut Code, number: Number, members: &[(String, u8)]) {
        let bits = members.iter().map(|(member, bit)| format!("(values->{member} ? {:#04x}u : 0u)", 1_u64 << bit));
        let bits: Vec<_> = bits.collect();
        if let [bit] = &bits[..] {
            return self.put(code, number, bit.trim_matches(['(', ')']));
        }
        code.line(format!("{}_put_{}({}, {},", self.prefix, number.order(), self.to, number.bits));
        code.indented(|code| {
            for (at, bit) in bits.iter().enumerate() {
                let or = if at == 0 { "" } else { "| " };
                let end = if at + 1 == bits.len() { ");" } else { "" };
                code.line(format!("{or}{bit}{end}"));
            }
        });
    }

    fn run(&self, code: &mut Code, member: &str, text: bool, length: &Length) {
        let (prefix, to) = (self.prefix, self.to);
        match (text, length) {
            (false, Length::Fixed(size)) => {
                code.line(format!("{prefix}_put_bytes({to}, values->{member}, {size});"));
            }
            (true, Length::Fixed(size)) => {
                code.line(format!("{prefix}_put_text({to}, values->{member}, {size});"));
            }
            (true, Length::Rest { most, .. }) => {
                let length = format!("{prefix}_text_length({to}, values->{member}, {most})");
                code.line(format!("{prefix}_put_bytes({to}, values->{member}, {length});"));
            }
            (false, Length::Rest { count, most }) => {
                self.at_most(code, count, *most);
                code.block(format!("if (!{}failed)", self.to_dot), |code| {
                    code.line(format!("{prefix}_put_bytes({to}, values->{member}, values->{count});"));
                });
            }
        }
    }

    fn group(&self, code: &mut Code, member: &str, shape: &Shape<'_>, times: &Times) {
        let put = |code: &mut Code, index: &str| {
            let (prefix, name, to) = (self.prefix, &shape.name, self.to);
            code.line(format!("{prefix}_put_{name}({to}, &values->{member}{index});"));
        };
        match times {
            Times::Once => put(code, ""),
            Times::Fixed(times) => {
                code.block(format!("for (size_t i = 0; i < {times}; i++)"), |code| put(code, "[i]"));
            }
            Times::Counted { count, most } | Times::Rest { count, most } => {
                self.at_most(code, count, *most);
                let head = format!("for (size_t i = 0; !{}failed && i < values->{count}; i++)", self.to_dot);
                code.block(head, |code| put(code, "[i]"));
            }
        }
    }

    fn at_most(&self, code: &mut Code, count: &str, most: usize) {
        code.block(format!("if (values->{count} > {most})"), |code| {
            code.line(format!("{}failed = true;", self.to_dot));
        });
    }
}
