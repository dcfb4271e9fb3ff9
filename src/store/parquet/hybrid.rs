//! Parquet's hybrid of run lengths and bit packing, for dictionary indices and definition levels.
//!
//! ```text
//! varint(n << 1)       value in ⌈width / 8⌉ bytes      n times the same value
//! varint(g << 1 | 1)   g × 8 values of `width` bits    g groups of 8 values, little-endian bits
//! ```
//!
//! A run pays from 8 equal values on; a packed stretch is cut only at a multiple of 8 values, so a run lends it the few
//! that it needs to get there.

use arrow::buffer::BooleanBuffer;

/// Appends `values`, each less than 2^`width`.
pub(super) fn encode(values: &[u32], width: u8, out: &mut Vec<u8>) {
    let mut packed_from = 0;
    let mut at = 0;
    while at < values.len() {
        let value = values[at];
        let run = 1 + values[at + 1..].iter().take_while(|next| **next == value).count();
        let lent = (8 - (at - packed_from) % 8) % 8;
        if run >= lent + 8 {
            pack(&values[packed_from..at + lent], width, out);
            repeat(value, run - lent, width, out);
            packed_from = at + run;
        }
        at += run;
    }
    pack(&values[packed_from..], width, out);
}

/// Appends the definition levels of a page of a nullable column: a bit a row, 1 where there is a value.
pub(super) fn encode_validity(valid: &BooleanBuffer, nulls: usize, out: &mut Vec<u8>) {
    if nulls == 0 || nulls == valid.len() {
        return repeat(u32::from(nulls == 0), valid.len(), 1, out);
    }
    let groups = valid.len().div_ceil(8);
    varint(groups << 1 | 1, out);
    let bits = valid.sliced();
    out.extend_from_slice(&bits.as_slice()[..groups]);
    // Bits beyond the last row: readers stop before them, but equal rows shall give equal bytes.
    if !valid.len().is_multiple_of(8)
        && let Some(last) = out.last_mut()
    {
        *last &= (1 << (valid.len() % 8)) - 1;
    }
}

fn repeat(value: u32, times: usize, width: u8, out: &mut Vec<u8>) {
    if times > 0 {
        varint(times << 1, out);
        out.extend_from_slice(&value.to_le_bytes()[..usize::from(width).div_ceil(8)]);
    }
}

fn pack(values: &[u32], width: u8, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(8);
    varint(groups << 1 | 1, out);
    let end = out.len() + groups * usize::from(width);
    let mut bits: u64 = 0;
    let mut filled = 0;
    for &value in values {
        bits |= u64::from(value) << filled;
        filled += u32::from(width);
        if filled >= 32 {
            out.extend_from_slice(&bits.to_le_bytes()[..4]);
            bits >>= 32;
            filled -= 32;
        }
    }
    out.extend_from_slice(&bits.to_le_bytes()[..filled.div_ceil(8) as usize]);
    out.resize(end, 0);
}

fn varint(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Bits that hold every value up to `largest`.
#[expect(clippy::cast_possible_truncation, reason = "at most 32")]
pub(super) const fn width_of(largest: u32) -> u8 {
    (u32::BITS - largest.leading_zeros()) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A reader written from the specification, not from the writer.
    fn decode(mut bytes: &[u8], width: u8, count: usize) -> Vec<u32> {
        let mut values = Vec::new();
        let varint = |bytes: &mut &[u8]| {
            let mut value = 0_usize;
            for shift in (0..).step_by(7) {
                let byte = bytes[0];
                *bytes = &bytes[1..];
                value |= usize::from(byte & 0x7f) << shift;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            value
        };
        while values.len() < count {
            let header = varint(&mut bytes);
            if header & 1 == 0 {
                let size = usize::from(width).div_ceil(8);
                let mut value = [0; 4];
                value[..size].copy_from_slice(&bytes[..size]);
                bytes = &bytes[size..];
                values.extend(std::iter::repeat_n(u32::from_le_bytes(value), header >> 1));
            } else {
                let size = (header >> 1) * usize::from(width);
                for n in 0..(header >> 1) * 8 {
                    let bit = |at: usize| u32::from(bytes[at / 8] >> (at % 8) & 1);
                    values.push((0..usize::from(width)).map(|b| bit(n * usize::from(width) + b) << b).sum());
                }
                bytes = &bytes[size..];
            }
        }
        assert!(bytes.is_empty());
        values.truncate(count);
        values
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(runs in prop::collection::vec((0_u32..1 << 20, 1_usize..40), 0..30), small in any::<bool>()) {
            let values: Vec<u32> =
                runs.iter().flat_map(|&(value, times)| std::iter::repeat_n(if small { value % 3 } else { value }, times)).collect();
            let width = width_of(values.iter().copied().max().unwrap_or(0));
            let mut bytes = Vec::new();
            encode(&values, width, &mut bytes);
            prop_assert_eq!(decode(&bytes, width, values.len()), values);
        }

        #[test]
        fn validity_is_read(bits in prop::collection::vec(any::<bool>(), 1..200), cut in 0_usize..9) {
            let cut = cut.min(bits.len() - 1);
            let valid = BooleanBuffer::from(bits.clone()).slice(cut, bits.len() - cut);
            let nulls = valid.len() - valid.count_set_bits();
            let mut bytes = Vec::new();
            encode_validity(&valid, nulls, &mut bytes);
            let expected: Vec<u32> = bits[cut..].iter().map(|bit| u32::from(*bit)).collect();
            prop_assert_eq!(decode(&bytes, 1, expected.len()), expected);
        }
    }

    #[test]
    fn widths() {
        assert_eq!([0, 1, 2, 255, 256, u32::MAX].map(width_of), [0, 1, 2, 8, 9, 32]);
    }
}
