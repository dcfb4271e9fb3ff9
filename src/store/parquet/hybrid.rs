//! Parquet's hybrid of run lengths and bit packing, for dictionary codes and definition levels.
//!
//! ```text
//! run      varint(length << 1)          value in ceil(width / 8) bytes, little endian
//! literal  varint(groups << 1 | 1)      groups × 8 values of `width` bits, lowest bit first
//! ```
//!
//! A run is worth its header from eight equal values on; anything shorter is packed. Source: the Parquet format's
//! "RLE / bit-packing hybrid".

/// Values of one packed group.
const GROUP: usize = 8;

/// The bits that hold every value up to `max`, at least one.
pub(super) fn width_of(max: u32) -> u8 {
    u8::try_from((u32::BITS - max.leading_zeros()).max(1)).unwrap_or(32)
}

/// Appends `values`, each below `1 << width`, to `out`.
pub(super) fn encode(values: &[u32], width: u8, out: &mut Vec<u8>) {
    let mut at = 0;
    while at < values.len() {
        let run = run_length(&values[at..]);
        if run >= GROUP {
            push_run(run, values[at], width, out);
            at += run;
            continue;
        }
        let start = at;
        loop {
            at = (at + GROUP).min(values.len());
            if at == values.len() || run_length(&values[at..values.len().min(at + GROUP)]) == GROUP {
                break;
            }
        }
        push_literal(&values[start..at], width, out);
    }
}

/// Appends one run of `length` times `value`.
pub(super) fn push_run(length: usize, value: u32, width: u8, out: &mut Vec<u8>) {
    push_varint(length << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..usize::from(width).div_ceil(8)]);
}

fn run_length(values: &[u32]) -> usize {
    values.iter().take_while(|value| **value == values[0]).count()
}

fn push_literal(values: &[u32], width: u8, out: &mut Vec<u8>) {
    push_varint(values.len().div_ceil(GROUP) << 1 | 1, out);
    let mut bits: u64 = 0;
    let mut filled = 0;
    for value in values {
        bits |= u64::from(*value) << filled;
        filled += u32::from(width);
        if filled >= 32 {
            out.extend_from_slice(&bits.to_le_bytes()[..4]);
            bits >>= 32;
            filled -= 32;
        }
    }
    // Only the last group of all may be short; it is filled up with zeros.
    let padding = (GROUP - values.len() % GROUP) % GROUP;
    let rest = filled as usize + padding * usize::from(width);
    out.extend(bits.to_le_bytes().into_iter().chain(std::iter::repeat(0)).take(rest.div_ceil(8)));
}

fn push_varint(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the hybrid back by its definition, one bit at a time.
    fn decode(mut bytes: &[u8], width: u8, count: usize) -> Vec<u32> {
        let mut values = Vec::new();
        while values.len() < count {
            let mut header = 0usize;
            let mut shift = 0;
            loop {
                let byte = bytes[0];
                bytes = &bytes[1..];
                header |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            if header & 1 == 0 {
                let mut value = [0; 4];
                let size = usize::from(width).div_ceil(8);
                value[..size].copy_from_slice(&bytes[..size]);
                bytes = &bytes[size..];
                values.extend(std::iter::repeat_n(u32::from_le_bytes(value), header >> 1));
            } else {
                let packed = (header >> 1) * usize::from(width);
                for at in 0..(header >> 1) * GROUP {
                    let bit = |index: usize| u32::from(bytes[index / 8] >> (index % 8) & 1);
                    values.push((0..usize::from(width)).map(|b| bit(at * usize::from(width) + b) << b).sum());
                }
                bytes = &bytes[packed..];
            }
        }
        assert!(bytes.is_empty());
        values.truncate(count);
        values
    }

    #[test]
    fn what_is_encoded_is_read_back() {
        let mut seed = 7u64;
        let mut next = |limit: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % limit
        };
        for width in 1..=20u8 {
            for length in [0, 1, 7, 8, 9, 63, 64, 1_000] {
                let mut values = Vec::new();
                while values.len() < length {
                    let value = u32::try_from(next(1 << width)).unwrap();
                    let times = if next(3) == 0 { next(30) } else { 1 };
                    values.extend(std::iter::repeat_n(value, usize::try_from(times).unwrap()));
                }
                values.truncate(length);
                let mut out = Vec::new();
                encode(&values, width, &mut out);
                assert_eq!(decode(&out, width, length), values, "width {width} length {length}");
            }
        }
    }

    #[test]
    fn widths() {
        assert_eq!([0, 1, 2, 3, 4, 255, 256].map(width_of), [1, 1, 2, 2, 3, 8, 9]);
    }
}
