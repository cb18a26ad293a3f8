//! Numbers of any width at any bit of a payload.

use super::Endian;

/// The unsigned number in `count` (64 at most) bits from bit `start` on; bits beyond the end are 0.
pub(super) fn read(bytes: &[u8], start: usize, count: usize, endian: Endian) -> u64 {
    (0..count).fold(0, |number, index| {
        let (byte, mask) = place(start + index, endian);
        let bit = u64::from(bytes.get(byte).is_some_and(|byte| byte & mask != 0));
        match endian {
            Endian::Big => number << 1 | bit,
            Endian::Little => number | bit << index,
        }
    })
}

/// Writes the low `count` (64 at most) bits of `number` from bit `start` on; `bytes` grows as needed, with zeros.
pub(super) fn write(bytes: &mut Vec<u8>, start: usize, count: usize, endian: Endian, number: u64) {
    bytes.resize(bytes.len().max((start + count).div_ceil(8)), 0);
    for index in 0..count {
        let (byte, mask) = place(start + index, endian);
        let shift = match endian {
            Endian::Big => count - 1 - index,
            Endian::Little => index,
        };
        if number >> shift & 1 == 1 {
            bytes[byte] |= mask;
        }
    }
}

/// The byte that a bit lies in, and its mask there.
fn place(bit: usize, endian: Endian) -> (usize, u8) {
    let mask = match endian {
        Endian::Big => 0x80 >> (bit % 8),
        Endian::Little => 1 << (bit % 8),
    };
    (bit / 8, mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_bytes_are_the_usual_numbers() {
        let bytes = [0x12, 0x34, 0x56];
        assert_eq!(read(&bytes, 0, 24, Endian::Big), 0x12_3456);
        assert_eq!(read(&bytes, 0, 24, Endian::Little), 0x56_3412);
    }

    #[test]
    fn single_bits_are_counted_from_the_end_that_comes_first() {
        assert_eq!([read(&[0x80], 0, 1, Endian::Big), read(&[0x80], 7, 1, Endian::Little)], [1, 1]);
        assert_eq!(read(&[0b0001_0110, 0b1000_0000], 3, 6, Endian::Big), 0b10_1101);
        assert_eq!(read(&[0b1010_0000, 0b0000_0011], 5, 5, Endian::Little), 0b1_1101);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(start in 0_usize..40, count in 1_usize..=64, number: u64, little: bool) {
            let endian = if little { Endian::Little } else { Endian::Big };
            let number = number >> (64 - count);
            let mut bytes = Vec::new();
            write(&mut bytes, start, count, endian, number);
            prop_assert_eq!(read(&bytes, start, count, endian), number);
            prop_assert_eq!(bytes.iter().map(|byte| byte.count_ones()).sum::<u32>(), number.count_ones());
        }
    }
}
