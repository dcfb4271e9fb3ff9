//! Times as logs write them, read without regular expressions and with the last hour remembered.
//!
//! ```text
//! 05/Jan/2026:10:04:31 +0100          NCSA        key: the first 14 bytes and the zone
//! 2026-01-05T10:04:31.250Z            ISO-8601    key: the first 14 bytes
//! 1767607471  1767607471250  …        epoch       seconds, ms, µs or ns by magnitude
//! ```
//!
//! Deliberately not here: layouts that a format names (`layout.rs`).

use crate::time::{self, SECOND};

const HOUR_BYTES: usize = 14;
const NCSA_BYTES: usize = 26;

/// Reads NCSA and ISO-8601 times; neighbours in a log share the hour, whose start is computed once.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    /// What a time without a zone means, microseconds east of UTC.
    zone_micros: i64,
    ncsa_hour: [u8; HOUR_BYTES],
    ncsa_zone: [u8; 6],
    /// UTC start of the remembered hour.
    ncsa_start: i64,
    iso_hour: [u8; HOUR_BYTES],
    /// Start of the remembered hour, as if it were UTC.
    iso_start: i64,
}

impl Clock {
    pub(super) fn new(zone_micros: i64) -> Self {
        Self {
            zone_micros,
            ncsa_hour: [0; HOUR_BYTES],
            ncsa_zone: [0; 6],
            ncsa_start: 0,
            iso_hour: [0; HOUR_BYTES],
            iso_start: 0,
        }
    }

    /// Reads `05/Jan/2026:10:04:31 +0100` at the start of `text`; `None` where it is anything else.
    #[inline]
    pub(super) fn ncsa_prefix(&mut self, text: &[u8]) -> Option<i64> {
        let text = text.first_chunk::<NCSA_BYTES>()?;
        if text[..HOUR_BYTES] != self.ncsa_hour || text[20..] != self.ncsa_zone {
            let start = ncsa_hour(text)?;
            self.ncsa_hour.copy_from_slice(&text[..HOUR_BYTES]);
            self.ncsa_zone.copy_from_slice(&text[20..]);
            self.ncsa_start = start;
        }
        Some(self.ncsa_start + clock_micros([text[14], text[15], text[16], text[17], text[18], text[19]])?)
    }

    /// Reads the whole of `text` as an NCSA time, single digits, lower-case months and `Z` included.
    pub(super) fn ncsa(&mut self, text: &[u8]) -> Option<i64> {
        if text.len() == NCSA_BYTES
            && let Some(ts) = self.ncsa_prefix(text)
        {
            return Some(ts);
        }
        loose_ncsa(text)
    }

    /// Reads any time that stands as text in an event: ISO-8601, NCSA or an epoch number.
    #[inline]
    pub(super) fn text(&mut self, text: &[u8]) -> Option<i64> {
        if let Some(ts) = self.usual_iso(text) {
            return Some(ts);
        }
        let text = text.trim_ascii();
        if text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'))
            && let Some(ts) = epoch(text)
        {
            return Some(ts);
        }
        time::parse_iso(text, self.zone_micros).or_else(|| self.ncsa(text))
    }

    /// The common cases: `2026-01-05T10:04:31[.fraction]Z`, and with a blank and without zone.
    #[inline]
    fn usual_iso(&mut self, text: &[u8]) -> Option<i64> {
        let (hour, rest) = text.split_first_chunk::<HOUR_BYTES>()?;
        let (clock, rest) = rest.split_first_chunk::<5>()?;
        if *hour != self.iso_hour {
            if hour[13] != b':' || !matches!(hour[10], b'T' | b' ') {
                return None;
            }
            let mut whole = *b"....-..-..T..:00";
            whole[..HOUR_BYTES].copy_from_slice(hour);
            self.iso_start = time::parse_iso(&whole, 0)?;
            self.iso_hour = *hour;
        }
        let start = self.iso_start + clock_micros([b':', clock[0], clock[1], clock[2], clock[3], clock[4]])?;
        match rest {
            [b'Z'] => Some(start),
            [] => Some(start - self.zone_micros),
            [b'.', digits @ .., b'Z'] => Some(start + fraction_micros(digits)?),
            _ => None,
        }
    }
}

/// `:mm:ss` in microseconds.
#[inline]
fn clock_micros(text: [u8; 6]) -> Option<i64> {
    let digit = |at: usize| text[at].wrapping_sub(b'0');
    let (m1, m0, s1, s0) = (digit(1), digit(2), digit(4), digit(5));
    if text[0] != b':' || text[3] != b':' || m1 > 5 || m0 > 9 || s0 > 9 || s1 > 6 || (s1 == 6 && s0 > 0) {
        return None;
    }
    Some(i64::from(u32::from(m1) * 600 + u32::from(m0) * 60 + u32::from(s1) * 10 + u32::from(s0)) * SECOND)
}

/// Up to six digits as microseconds, further digits cut; `None` for no digit or anything else.
#[inline]
pub(super) fn fraction_micros(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() {
        return None;
    }
    let mut micros = 0;
    let mut scale = 100_000;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        micros += i64::from(digit) * scale;
        scale /= 10;
    }
    Some(micros)
}

/// The UTC start of the hour of an NCSA time in its usual 26 bytes.
fn ncsa_hour(text: &[u8; NCSA_BYTES]) -> Option<i64> {
    if text[2] != b'/' || text[6] != b'/' || text[11] != b':' || text[20] != b' ' {
        return None;
    }
    let day = time::civil_day(number(&text[7..11])?, month(&text[3..6])?, u8::try_from(number(&text[..2])?).ok()?)?;
    let hour = number(&text[12..14]).filter(|hour| *hour < 24)?;
    Some(day.start() + i64::from(hour) * time::HOUR - time::parse_zone(&text[21..])?)
}

/// An NCSA time with one-digit fields or another zone notation.
fn loose_ncsa(text: &[u8]) -> Option<i64> {
    let (stamp, zone) = text.split_at(text.iter().position(|byte| *byte == b' ')?);
    let mut parts = stamp.split(|byte| matches!(byte, b'/' | b':'));
    let mut part = |longest: usize| parts.next().filter(|part| !part.is_empty() && part.len() <= longest);
    let date = u8::try_from(number(part(2)?)?).ok()?;
    let month = month(part(3)?)?;
    let year = part(4).filter(|year| year.len() == 4)?;
    let (hour, minute, second) = (number(part(2)?)?, number(part(2)?)?, number(part(2)?)?);
    if hour > 23 || minute > 59 || second > 60 || parts.next().is_some() {
        return None;
    }
    let day = time::civil_day(number(year)?, month, date)?;
    let clock = i64::from(hour * 3_600 + minute * 60 + second) * SECOND;
    Some(day.start() + clock - time::parse_zone(zone.trim_ascii())?)
}

/// 1–12 for an English month's first three letters, in any case.
pub(super) fn month(name: &[u8]) -> Option<u8> {
    const NAMES: [&[u8; 3]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let name = name.first_chunk::<3>().filter(|_| name.len() == 3)?;
    (1..).zip(NAMES).find_map(|(number, known)| name.eq_ignore_ascii_case(known).then_some(number))
}

/// Digits only, at most nine of them.
pub(super) fn number(digits: &[u8]) -> Option<i32> {
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    digits.iter().try_fold(0, |sum, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| sum * 10 + i32::from(digit))
    })
}

/// An epoch number with its unit told by its magnitude: seconds below 10¹¹ (the year 5138), then milli-, micro- and
/// nanoseconds, a thousand times more each. Digits beyond the microsecond are cut.
pub(super) fn epoch(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let whole_len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (whole, rest) = digits.split_at(whole_len);
    if whole.is_empty() || whole.len() > 19 {
        return None;
    }
    let whole = whole.iter().try_fold(0_i64, |sum, byte| sum.checked_mul(10)?.checked_add(i64::from(byte - b'0')))?;
    let fraction = match rest {
        [] => 0,
        [b'.', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => fraction_micros(digits)?,
        _ => return exponent(text),
    };
    let micros = scaled(whole, fraction);
    Some(if negative { -micros } else { micros })
}

/// An epoch number of a unit told by its magnitude, as [`epoch`] has it.
pub(super) fn epoch_of(number: i64) -> i64 {
    if number < 0 { -scaled(number.saturating_neg(), 0) } else { scaled(number, 0) }
}

/// `fraction` counts millionths of the unit.
fn scaled(whole: i64, fraction: i64) -> i64 {
    match whole {
        ..100_000_000_000 => whole * SECOND + fraction,
        100_000_000_000..100_000_000_000_000 => whole * 1_000 + fraction / 1_000,
        100_000_000_000_000..100_000_000_000_000_000 => whole,
        _ => whole / 1_000,
    }
}

/// `1.7e9`, as JSON numbers may be written; exact up to 2⁵³.
fn exponent(text: &[u8]) -> Option<i64> {
    epoch_of_float(std::str::from_utf8(text).ok()?.parse().ok()?)
}

/// An epoch number with a fraction, to the microsecond.
pub(super) fn epoch_of_float(value: f64) -> Option<i64> {
    let size = value.abs();
    let micros = match size {
        _ if size < 1e11 => value * 1e6,
        _ if size < 1e14 => value * 1e3,
        _ if size < 1e17 => value,
        _ if size < 1e20 => value / 1e3,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "below 10¹⁷")]
    Some(micros.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iso(text: &str) -> i64 {
        time::parse_iso(text.as_bytes(), 0).unwrap()
    }

    #[test]
    fn ncsa_times() {
        let mut clock = Clock::new(0);
        for (text, expected) in [
            (&b"05/Jan/2026:10:04:31 +0000"[..], "2026-01-05T10:04:31Z"),
            (b"05/Jan/2026:10:59:59 +0000", "2026-01-05T10:59:59Z"),
            (b"05/Jan/2026:10:04:31 +0100", "2026-01-05T09:04:31Z"),
            (b"29/Feb/2024:23:59:60 -0330", "2024-03-01T03:30:00Z"),
            (b"5/jan/2026:9:04:31 +00:00", "2026-01-05T09:04:31Z"),
            (b"05/Jan/2026:10:04:31 Z", "2026-01-05T10:04:31Z"),
        ] {
            assert_eq!(clock.ncsa(text), Some(iso(expected)), "{}", text.escape_ascii());
        }
        for bad in [&b"-"[..], b"", b"32/Jan/2026:10:04:31 +0000", b"05/Jan/2026:24:04:31 +0000", b"05/Jan/2026"] {
            assert_eq!(clock.ncsa(bad), None, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn texts_of_events() {
        let mut clock = Clock::new(time::HOUR);
        for (text, expected) in [
            (&b"2026-01-05T10:04:31.250Z"[..], "2026-01-05T10:04:31.25Z"),
            (b"2026-01-05T10:59:31Z", "2026-01-05T10:59:31Z"),
            (b"2026-01-05T10:04:31.1234567Z", "2026-01-05T10:04:31.123456Z"),
            (b"2026-01-05 11:04:31", "2026-01-05T10:04:31Z"),
            (b"2026-01-05T11:04:31+01:00", "2026-01-05T10:04:31Z"),
            (b"05/Jan/2026:10:04:31 +0000", "2026-01-05T10:04:31Z"),
            (b"1767607471", "2026-01-05T10:04:31Z"),
            (b"1767607471.25", "2026-01-05T10:04:31.25Z"),
            (b"1767607471250", "2026-01-05T10:04:31.25Z"),
            (b"1767607471250.5", "2026-01-05T10:04:31.2505Z"),
            (b"1767607471250000", "2026-01-05T10:04:31.25Z"),
            (b"1767607471250000123", "2026-01-05T10:04:31.25Z"),
            (b"1.767607471e9", "2026-01-05T10:04:31Z"),
        ] {
            assert_eq!(clock.text(text), Some(iso(expected)), "{}", text.escape_ascii());
        }
        for bad in [&b""[..], b"yesterday", b"2026-01-05T10:04:31FOO", b"99999999999999999999", b"1.5.2"] {
            assert_eq!(clock.text(bad), None, "{}", bad.escape_ascii());
        }
    }
}
