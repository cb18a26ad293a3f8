//! Functions that parse the messages a device gets.

use super::code::Code;
use super::layout::{self, Length, Message, Number, Part, Parts, Shape, Slot, Step, Times, What};
use super::range::{c_bounds, float_range, literal, raw_range};
use crate::table::model::{Field, Type};

/// Writes the functions that read payloads.
struct Parse<'h> {
    prefix: &'h str,
    /// The reader as an argument, and before the name of one of its members.
    from: &'static str,
    from_dot: &'static str,
    /// What stands before a member of the struct that is filled.
    values: &'static str,
}

/// The function that parses a message.
pub(super) fn message(code: &mut Code, prefix: &str, message: &Message<'_>) {
    let parse = Parse { prefix, from: "&from", from_dot: "from.", values: "parsed." };
    let name = &message.shape.name;
    code.line("/*");
    code.line(" * Parses the message. One that is not whole, or says what it may not, is refused:");
    code.line(" * then the answer is false, and `values` are as before.");
    code.line(" */");
    let parameters = format!("uint8_t port, const uint8_t *bytes, size_t length, struct {prefix}_{name} *values");
    code.function(&format!("bool {prefix}_parse_{name}"), &parameters, |code| {
        code.line(format!("struct {prefix}_bit_reader from = {{bytes, 0, length * 8, false}};"));
        code.line(format!("struct {prefix}_{name} parsed;"));
        code.line("memset(&parsed, 0, sizeof parsed);");
        parse.port(code, message.ports);
        parse.steps(code, &message.shape.steps, "");
        if let Some(parts) = &message.parts {
            parse.parts(code, parts);
        }
        code.block("if (from.failed)", |code| code.line("return false;"));
        code.line("*values = parsed;");
        code.line("return true;");
    });
}

/// The function that reads one occurrence of a group.
pub(super) fn group(code: &mut Code, prefix: &str, shape: &Shape<'_>) {
    let parse = Parse { prefix, from: "from", from_dot: "from->", values: "values->" };
    let name = &shape.name;
    let parameters = format!("struct {prefix}_bit_reader *from, struct {prefix}_{name} *values");
    code.function(&format!("void {prefix}_get_{name}"), &parameters, |code| {
        if shape.is_empty() {
            code.line("(void)values;");
        }
        parse.start(code, &shape.steps);
        parse.steps(code, &shape.steps, "start + ");
    });
}

impl Parse<'_> {
    fn port(&self, code: &mut Code, ports: &[u8]) {
        let others: Vec<_> = ports.iter().map(|port| format!("port != {port}")).collect();
        if others.is_empty() {
            return code.line("(void)port;  /* it comes on any */");
        }
        code.block(format!("if ({})", others.join(" && ")), |code| code.line("return false;"));
    }

    fn parts(&self, code: &mut Code, parts: &Parts<'_>) {
        code.block(format!("while ({}_bits_left({}) > 0)", self.prefix, self.from), |code| {
            code.block(format!("switch ({})", self.get(parts.tag)), |code| {
                parts.parts.iter().for_each(|part| self.part(code, part));
                code.line("default:");
                code.indented(|code| {
                    code.line(format!("{}failed = true;", self.from_dot));
                    code.line("break;");
                });
            });
        });
    }

    fn part(&self, code: &mut Code, part: &Part<'_>) {
        let seeks = layout::seek(&part.steps);
        code.line(format!("case {:#04x}u:{}", part.tag, if seeks { " {" } else { "" }));
        code.indented(|code| {
            self.start(code, &part.steps);
            self.steps(code, &part.steps, "start + ");
            code.line(format!("{}{} = true;", self.values, part.has));
            code.line("break;");
        });
        if seeks {
            code.line("}");
        }
    }

    /// Remembers where a group or part begins, if its fields say where they lie.
    fn start(&self, code: &mut Code, steps: &[Step<'_>]) {
        if layout::seek(steps) {
            code.line(format!("const size_t start = {}at;", self.from_dot));
        }
    }

    fn steps(&self, code: &mut Code, steps: &[Step<'_>], start: &str) {
        let (dot, values) = (self.from_dot, self.values);
        for step in steps {
            match step {
                Step::Seek(bits) => code.line(format!("{dot}at = {start}{bits};")),
                Step::Align => code.line(format!("{dot}at = ({dot}at + 7) / 8 * 8;")),
                Step::Open { has, bits } => {
                    code.line(format!("{values}{has} = {}_bits_left({}) >= {bits};", self.prefix, self.from));
                    code.open(format!("if ({values}{has})"));
                }
                // What is not there, or not whole, was the end.
                Step::Close => code.close_or(format!("{dot}end = {dot}at;")),
                Step::Slot(slot) => self.what(code, slot),
            }
        }
    }

    fn what(&self, code: &mut Code, slot: &Slot<'_>) {
        match &slot.what {
            What::Padding(bits) => code.line(format!("{}_skip_bits({}, {bits});", self.prefix, self.from)),
            What::Constant(number, bits) => self.require(code, &format!("{} == {bits:#04x}u", self.get(*number))),
            What::Scalar { member, number } => {
                code.line(format!("{}{member} = {};", self.values, self.value(*number)));
                self.range(code, member, slot.field, *number);
            }
            What::Flags { number, members } => self.flags(code, *number, members),
            What::Run { member, text, length } => self.run(code, member, *text, length),
            What::Group { member, shape, times } => self.group(code, member, shape, times),
        }
    }

    fn require(&self, code: &mut Code, condition: &str) {
        code.line(format!("{}_must_hold({}, {condition});", self.prefix, self.from));
    }

    fn get(&self, number: Number) -> String {
        format!("{}_get_{}({}, {})", self.prefix, number.order(), self.from, number.bits)
    }

    /// What a number's bits are as its member.
    fn value(&self, number: Number) -> String {
        let (prefix, get) = (self.prefix, self.get(number));
        match number.kind {
            Type::Boolean(_) => format!("{get} != 0"),
            Type::Float(32) => format!("{prefix}_float_of((uint32_t){get})"),
            Type::Float(_) => format!("{prefix}_double_of({get})"),
            Type::Signed(bits) => format!("({}){prefix}_of_twos({bits}, {get})", number.c_type()),
            _ => format!("({}){get}", number.c_type()),
        }
    }

    fn range(&self, code: &mut Code, member: &str, field: &Field, number: Number) {
        let value = format!("{}{member}", self.values);
        let (least, greatest) = limits(field, number);
        let least = least.map(|least| format!("{value} >= {least}"));
        let greatest = greatest.map(|greatest| format!("{value} <= {greatest}"));
        let within = match (least, greatest) {
            (None, None) => return,
            (Some(limit), None) | (None, Some(limit)) => limit,
            (Some(least), Some(greatest)) if field.absent.is_some() => format!("({least} && {greatest})"),
            (Some(least), Some(greatest)) => format!("{least} && {greatest}"),
        };
        let absent = field.absent.map(|absent| format!(" || {value} == {}", literal(number.raw(absent))));
        self.require(code, &format!("{within}{}", absent.unwrap_or_default()));
    }

    fn flags(&self, code: &mut Code, number: Number, members: &[(String, u8)]) {
        if let [(member, bit)] = members {
            let bit = format!("({} & {:#04x}u) != 0", self.get(number), 1_u64 << bit);
            return code.line(format!("{}{member} = {bit};", self.values));
        }
        code.line("{");
        code.indented(|code| {
            let kind = Number { kind: Type::Unsigned(0), ..number }.c_type();
            code.line(format!("const {kind} flags = ({kind}){};", self.get(number)));
            for (member, bit) in members {
                code.line(format!("{}{member} = (flags & {:#04x}u) != 0;", self.values, 1_u64 << bit));
            }
        });
        code.line("}");
    }

    fn run(&self, code: &mut Code, member: &str, text: bool, length: &Length) {
        let (prefix, from, values) = (self.prefix, self.from, self.values);
        match (text, length) {
            // The struct was zeroed, so that a text has its NUL.
            (_, Length::Fixed(size)) => code.line(format!("{prefix}_get_bytes({from}, {values}{member}, {size});")),
            (true, Length::Rest { most, .. }) => {
                code.line(format!("(void){prefix}_get_rest({from}, {values}{member}, {most});"));
            }
            (false, Length::Rest { count, most }) => {
                code.line(format!("{values}{count} = {prefix}_get_rest({from}, {values}{member}, {most});"));
            }
        }
    }

    fn group(&self, code: &mut Code, member: &str, shape: &Shape<'_>, times: &Times) {
        let (dot, values) = (self.from_dot, self.values);
        let get = |code: &mut Code, index: &str| {
            let (prefix, name) = (self.prefix, &shape.name);
            code.line(format!("{prefix}_get_{name}({}, &{values}{member}{index});", self.from));
        };
        match times {
            Times::Once => get(code, ""),
            Times::Fixed(times) => {
                code.block(format!("for (size_t i = 0; i < {times}; i++)"), |code| get(code, "[i]"));
            }
            Times::Counted { count, most } => {
                self.require(code, &format!("{values}{count} <= {most}"));
                let head = format!("for (size_t i = 0; !{dot}failed && i < {values}{count}; i++)");
                code.block(head, |code| get(code, "[i]"));
            }
            Times::Rest { count, most } => self.rest(code, &format!("{values}{count}"), *most, |code, count| {
                get(code, &format!("[{count}]"));
            }),
        }
    }

    /// Occurrences until the payload ends; one too many is refused.
    fn rest(&self, code: &mut Code, count: &str, most: usize, get: impl FnOnce(&mut Code, &str)) {
        code.block(format!("while ({}_bits_left({}) > 0)", self.prefix, self.from), |code| {
            code.block(format!("if ({count} == {most})"), |code| {
                code.line(format!("{}failed = true;", self.from_dot));
                code.line("break;");
            });
            get(code, count);
            code.line(format!("{count}++;"));
        });
    }
}

/// The limits of a raw number that its type in C does not keep by itself: compilers warn of the others.
fn limits(field: &Field, number: Number) -> (Option<String>, Option<String>) {
    if matches!(number.kind, Type::Float(_)) {
        return float_range(field, number);
    }
    let Some((least, greatest)) = raw_range(field, number) else { return (None, None) };
    let (first, last) = c_bounds(number);
    ((least > first).then(|| literal(least)), (greatest < last).then(|| literal(greatest)))
}
