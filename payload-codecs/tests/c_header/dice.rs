//! Dice, and the tables they make up.

use proptest::prelude::Rng;
use proptest::test_runner::TestRng;

use crate::tables::{Kind, Message, Number, Spec, Table, Times, sum};

/// Dice that fall alike in every run.
pub struct Dice(pub TestRng);

impl Dice {
    /// From 0 to `sides - 1`.
    pub fn below(&mut self, sides: usize) -> usize {
        (self.0.next_u64() % sides as u64) as usize
    }

    /// Once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// So many bits; often all alike, where mistakes hide.
    pub fn bits(&mut self, bits: usize) -> u64 {
        let all = u64::MAX >> (64 - bits);
        match self.below(8) {
            0 => 0,
            1 => all,
            2 => all >> 1,
            3 => (all >> 1) + 1,
            _ => self.0.next_u64() & all,
        }
    }

    fn width(&mut self) -> usize {
        match self.below(3) {
            0 => [8, 16, 24, 32, 64][self.below(5)],
            _ => 1 + self.below(64),
        }
    }
}

/// A table that fits the longest payload.
pub fn table(dice: &mut Dice) -> Table {
    loop {
        let little = dice.once_in(2);
        let messages = (0..1 + dice.below(2)).map(|_| Builder::default().message(dice)).collect();
        let table = Table { little, messages };
        if table.messages.iter().all(|message| message.most_bits() <= 200 * 8) {
            return table;
        }
    }
}

/// Gives fields their names and places.
#[derive(Default)]
struct Builder {
    names: usize,
}

impl Builder {
    fn message(&mut self, dice: &mut Dice) -> Message {
        if dice.once_in(3) {
            return self.tagged(dice);
        }
        let least = usize::from(!dice.once_in(10));
        let mut fields = self.row(dice, 2, least);
        match dice.below(4) {
            0 => {
                let rest = self.rest(dice);
                push_behind(&mut fields, rest);
            }
            1 if fields.iter().all(|field| field.kind.fixed_bits().is_some()) => self.optional(dice, &mut fields),
            _ => unpadded(&mut fields),
        }
        if fields.is_empty() {
            fields.push(self.named(Kind::Boolean(8)));
        }
        Message { fields, tag: None, parts: Vec::new() }
    }

    fn tagged(&mut self, dice: &mut Dice) -> Message {
        let tag = [8, 8, 16, 24][dice.below(4)];
        let mut fields = self.row(dice, 1, 0);
        unpadded(&mut fields);
        let mut parts: Vec<(u64, Vec<Spec>)> = Vec::new();
        for _ in 0..1 + dice.below(4) {
            let number = dice.bits(tag);
            if parts.iter().all(|(taken, _)| *taken != number) {
                parts.push((number, if dice.once_in(4) { Vec::new() } else { self.shown_row(dice, 1) }));
            }
        }
        let last = parts.len() - 1;
        let with_rest = dice.once_in(3) && !parts[last].1.is_empty();
        parts.iter_mut().take(if with_rest { last } else { last + 1 }).for_each(|(_, fields)| unpadded(fields));
        if with_rest {
            let rest = self.rest(dice);
            push_behind(&mut parts[last].1, rest);
        }
        Message { fields, tag: Some(tag), parts }
    }

    /// Fields that fill whole bytes together; with `depth` 0 none that must lie at one.
    fn row(&mut self, dice: &mut Dice, depth: usize, least: usize) -> Vec<Spec> {
        let mut fields: Vec<Spec> = Vec::new();
        let mut at = 0;
        for _ in 0..least + dice.below(6) {
            let kind = if dice.once_in(4) { self.large(dice, depth) } else { self.scalar(dice) };
            if let Kind::List { times: Times::Counted(count), .. } = &kind {
                at += 8;
                fields.extend(pad(&mut at));
                fields.push(Spec { name: Some(count.clone()), ..Spec::of(number(8)) });
            }
            if kind.needs_byte() {
                fields.extend(pad(&mut at));
            }
            let mut spec = if kind.nameless() { Spec::of(kind) } else { self.named(kind) };
            let bits = spec.kind.fixed_bits().unwrap_or(0);
            let whole = at.is_multiple_of(8) && bits.is_multiple_of(8);
            if spec.kind.is_number() && whole && dice.once_in(3) {
                spec.endian = Some(["big", "little"][dice.below(2)]);
            }
            at += bits;
            fields.push(spec);
        }
        fields.extend(pad(&mut at));
        let movable = fields.iter().all(|field| field.kind.fixed_bits().is_some());
        if movable && dice.once_in(3) { shuffled(dice, fields) } else { fields }
    }

    fn scalar(&mut self, dice: &mut Dice) -> Kind {
        let bits = dice.width();
        match dice.below(12) {
            0 => Kind::Padding(bits),
            1 => Kind::Constant { bits: bits.min(40), raw: dice.bits(bits.min(40)) },
            2 => Kind::Boolean([1, 1, 3, 8][dice.below(4)]),
            3 => Kind::Float { bits: [32, 64][dice.below(2)], limited: dice.once_in(3) },
            4 => self.flags(dice, bits),
            5 => self.values(dice, bits.min(40)),
            _ => Kind::Number(self.number(dice, bits)),
        }
    }

    fn flags(&mut self, dice: &mut Dice, bits: usize) -> Kind {
        let mut flags = Vec::new();
        for bit in 0..bits {
            if flags.is_empty() || dice.once_in(4) {
                flags.push((self.name(), bit));
            }
        }
        if dice.once_in(3) {
            return Kind::Number(Number { bits, step: 1, flags, ..Number::default() });
        }
        Kind::Flags { bits, flags }
    }

    fn values(&mut self, dice: &mut Dice, bits: usize) -> Kind {
        let mut names: Vec<_> = (0..1 + dice.below(4)).map(|_| dice.bits(bits)).collect();
        names.sort_unstable();
        names.dedup();
        Kind::Values { bits, names }
    }

    fn number(&mut self, dice: &mut Dice, bits: usize) -> Number {
        let signed = bits > 1 && dice.once_in(2);
        let mut number = Number { signed, bits, step: 1, ..Number::default() };
        // A double has 53 bits: finer values would not lead back to their raw numbers.
        if bits <= 32 && dice.once_in(2) {
            number.step = [1, 5, 25, -2, 625][dice.below(5)];
            number.places = dice.below(4) as u32;
            number.offset = [0, 0, -40, 1000][dice.below(4)];
        }
        if bits > 1 && dice.once_in(3) {
            number.absent = Some(dice.bits(bits));
        } else if bits > 4 && bits <= 32 && dice.once_in(3) {
            let (one, other) = (number.raw(dice.bits(bits)), number.raw(dice.bits(bits)));
            number.range = (one != other).then(|| (one.min(other), one.max(other)));
        }
        number
    }

    /// Something that lies at a byte.
    fn large(&mut self, dice: &mut Dice, depth: usize) -> Kind {
        if depth == 0 {
            return self.scalar(dice);
        }
        let most = 1 + dice.below(4);
        match dice.below(6) {
            0 => Kind::Bytes(Some(1 + dice.below(6))),
            1 => Kind::Text(Some(1 + dice.below(6))),
            2 => Kind::Group(self.group(dice, depth)),
            3 | 4 => Kind::List { fields: self.group(dice, depth), times: Times::Fixed, most },
            _ => Kind::List { times: Times::Counted(self.name()), fields: self.group(dice, depth), most },
        }
    }

    fn group(&mut self, dice: &mut Dice, depth: usize) -> Vec<Spec> {
        self.shown_row(dice, depth - 1)
    }

    /// Fields of which at least one shows.
    fn shown_row(&mut self, dice: &mut Dice, depth: usize) -> Vec<Spec> {
        loop {
            let fields = self.row(dice, depth, 1);
            if fields.iter().any(Spec::shows) {
                return fields;
            }
        }
    }

    /// A field that takes the rest of the payload.
    fn rest(&mut self, dice: &mut Dice) -> Spec {
        let kind = match dice.below(3) {
            0 => Kind::Bytes(None),
            1 => Kind::Text(None),
            _ => Kind::List { fields: self.group(dice, 1), times: Times::Rest, most: 1 + dice.below(4) },
        };
        self.named(kind)
    }

    /// Fields before which the payload may end, now and then with padding before, or with something behind.
    fn optional(&mut self, dice: &mut Dice, fields: &mut Vec<Spec>) {
        for _ in 0..1 + dice.below(3) {
            if dice.once_in(4) {
                push_behind(fields, Spec { optional: true, ..Spec::of(Kind::Padding(8)) });
            }
            let kind = match dice.below(4) {
                0 => Kind::Text(Some(3)),
                1 => Kind::Group(self.group(dice, 1)),
                _ => self.bytes_number(dice),
            };
            push_behind(fields, Spec { optional: true, ..self.named(kind) });
            if dice.once_in(3) {
                let kind = self.bytes_number(dice);
                push_behind(fields, self.named(kind));
            }
        }
    }

    fn bytes_number(&mut self, dice: &mut Dice) -> Kind {
        let bits = 8 * (1 + dice.below(4));
        Kind::Number(self.number(dice, bits))
    }

    fn named(&mut self, kind: Kind) -> Spec {
        Spec { name: Some(self.name()), ..Spec::of(kind) }
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("f{}", self.names)
    }
}

/// Lets the fields end within a byte, if they do without what fills it.
fn unpadded(fields: &mut Vec<Spec>) {
    if fields.len() > 1 {
        fields.pop_if(|last| matches!(last.kind, Kind::Padding(_)));
    }
}

/// Adds a field behind all others, whatever their order is.
fn push_behind(fields: &mut Vec<Spec>, mut field: Spec) {
    field.at = sum(fields).filter(|_| fields.iter().any(|other| other.at.is_some()));
    fields.push(field);
}

/// A plain number.
fn number(bits: usize) -> Kind {
    Kind::Number(Number { bits, step: 1, ..Number::default() })
}

/// Padding to the next byte, if `at` is within one.
fn pad(at: &mut usize) -> Option<Spec> {
    let missing = (8 - *at % 8) % 8;
    *at += missing;
    (missing > 0).then(|| Spec::of(Kind::Padding(missing)))
}

/// The fields in another order, each saying where it lies; with gaps now and then.
fn shuffled(dice: &mut Dice, mut fields: Vec<Spec>) -> Vec<Spec> {
    let mut at = 0;
    for field in &mut fields {
        if dice.once_in(6) {
            at += 8;
        }
        field.at = Some(at);
        at += field.kind.fixed_bits().unwrap_or(0);
    }
    for last in (1..fields.len()).rev() {
        fields.swap(last, dice.below(last + 1));
    }
    fields
}
