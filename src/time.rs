//! Time: the only reader of the clock, civil dates, and the time and duration texts that people write.
//!
//! Everything is UTC in microseconds since 1970-01-01; a day is its number since 1970-01-01.
//!
//! Deliberately not here: time zones with rules (only fixed offsets are understood), formatting of log times
//! (each format in `parse/` reads its own).

use std::fmt;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Microseconds in a second, an hour and a day.
pub const SECOND: i64 = 1_000_000;
pub const HOUR: i64 = 3_600 * SECOND;
pub const DAY: i64 = 24 * HOUR;

/// A UTC calendar day, as days since 1970-01-01 (Arrow's Date32). Shown as `2026-01-05`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

impl Day {
    /// The UTC day that holds `ts` (µs).
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "accepted times are within 1995..9999")]
    pub const fn of(ts: i64) -> Self {
        Self(ts.div_euclid(DAY) as i32)
    }

    /// The first microsecond of the day.
    #[must_use]
    pub const fn start(self) -> i64 {
        self.0 as i64 * DAY
    }

    /// Reads `2026-01-05`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return None;
        }
        let number = |from: usize, to: usize| text.get(from..to)?.parse::<u16>().ok();
        civil_day(number(0, 4)?.into(), u8::try_from(number(5, 7)?).ok()?, u8::try_from(number(8, 10)?).ok()?)
    }

    /// Year, month (1–12) and day of the month (1–31).
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "months and days are small and positive"
    )]
    pub const fn civil(self) -> (i32, u8, u8) {
        // Days are counted from 0000-03-01 in eras of 400 years, so that the leap day ends the year.
        let z = self.0 + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
        (year, month as u8, day as u8)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// The day of a civil date, `None` where the calendar has no such date.
#[must_use]
pub fn civil_day(year: i32, month: u8, day: u8) -> Option<Day> {
    const DAYS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = if month == 2 && !leap { 28 } else { *DAYS.get(usize::from(month).checked_sub(1)?)? };
    if day == 0 || day > last || !(-9_999..=9_999).contains(&year) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (month, day) = (i32::from(month), i32::from(day));
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(Day(era * 146_097 + day_of_era - 719_468))
}

/// The clock. Nothing else in the crate reads it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that the lint points to")]
pub fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Measures how long something takes: a clock that never steps back.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Seconds since the start.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// `2026-01-05T10:00:00.123456Z`, microseconds only where there are any.
#[must_use]
pub fn iso(ts: i64) -> String {
    let (day, rest) = (Day::of(ts), ts.rem_euclid(DAY));
    let (seconds, micros) = (rest / SECOND, rest % SECOND);
    let clock = format!("{day}T{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if micros == 0 { format!("{clock}Z") } else { format!("{clock}.{micros:06}Z") }
}

/// Reads an ISO-8601 instant: `2026-01-05`, `2026-01-05T10:00[:00[.fraction]]` with `T` or a blank, and `Z`,
/// `+hh`, `+hhmm`, `+hh:mm` or nothing (then `zone_micros` east of UTC is meant). Microseconds since 1970; digits
/// beyond the microsecond are cut.
#[must_use]
pub fn parse_iso(text: &[u8], zone_micros: i64) -> Option<i64> {
    let date = text.get(..10)?;
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let year = i32::from(digits2(date, 0)?) * 100 + i32::from(digits2(date, 2)?);
    let day = civil_day(year, digits2(date, 5)?, digits2(date, 8)?)?.start();
    let rest = &text[10..];
    if rest.is_empty() {
        return Some(day - zone_micros);
    }
    if !matches!(rest[0], b'T' | b't' | b' ') || rest.len() < 6 || rest[3] != b':' {
        return None;
    }
    let (hour, minute) = (digits2(rest, 1)?, digits2(rest, 4)?);
    let mut at = 6;
    let mut second = 0;
    let mut micros = 0;
    if rest.get(at) == Some(&b':') {
        second = digits2(rest, at + 1)?;
        at += 3;
        if matches!(rest.get(at), Some(b'.' | b',')) {
            let fraction = rest[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if fraction == 0 {
                return None;
            }
            for place in 0..6 {
                let digit = if place < fraction { rest[at + 1 + place] - b'0' } else { 0 };
                micros = micros * 10 + i64::from(digit);
            }
            at += 1 + fraction;
        }
    }
    if hour > 24 || minute > 59 || second > 60 || (hour == 24 && (minute > 0 || second > 0)) {
        return None;
    }
    let zone = if at == rest.len() { zone_micros } else { parse_zone(rest[at..].trim_ascii_start())? };
    let clock = (i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second)) * SECOND;
    Some(day + clock + micros - zone)
}

/// `Z`, `UTC`, `+hh`, `+hhmm`, `+hh:mm` as microseconds east of UTC.
#[must_use]
pub fn parse_zone(text: &[u8]) -> Option<i64> {
    if matches!(text, b"Z" | b"z" | b"UTC" | b"GMT") {
        return Some(0);
    }
    let sign = match text.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours = digits2(text, 1)?;
    let minutes = match text.len() {
        3 => 0,
        5 => digits2(text, 3)?,
        6 if text[3] == b':' => digits2(text, 4)?,
        _ => return None,
    };
    if hours > 15 || minutes > 59 {
        return None;
    }
    Some(sign * (i64::from(hours) * 60 + i64::from(minutes)) * 60 * SECOND)
}

/// Whether a time zone's name is one of those that UTC has.
#[must_use]
pub fn is_utc(zone: &str) -> bool {
    let zone = zone.trim().to_ascii_lowercase();
    let zone = zone.strip_prefix("etc/").unwrap_or(&zone);
    let offset = zone.strip_prefix("utc").or_else(|| zone.strip_prefix("gmt")).unwrap_or(zone);
    let is_zero = offset.contains('0') && offset.chars().all(|it| "+-0:".contains(it));
    is_zero || matches!(zone, "utc" | "gmt" | "uct" | "z" | "zulu" | "universal" | "greenwich")
}

fn digits2(text: &[u8], at: usize) -> Option<u8> {
    let (tens, ones) = (text.get(at)?.wrapping_sub(b'0'), text.get(at + 1)?.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| tens * 10 + ones)
}

/// Reads a length of time: `30 minutes`, `1 hour 30 min`, `90s`, `500 ms`, `7 days`, `2 weeks`, `0`.
///
/// # Errors
/// A text that says what is wrong: months and years have no fixed length, a negative length has no meaning here.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let text = text.trim();
    if text == "0" {
        return Ok(0);
    }
    let mut total: i64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_len);
        let tail = tail.trim_start();
        let unit_len = tail.find(|c: char| !(c.is_alphabetic() || c == 'µ')).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let number: f64 =
            number.parse().map_err(|_| format!("'{text}' is no length of time, write for example '30 minutes'"))?;
        #[expect(clippy::cast_possible_truncation, reason = "checked against the limit below")]
        let part = (number * unit_micros(unit, text)?).round() as i64;
        total = total
            .checked_add(part)
            .filter(|total| *total < 4_000_000_000 * SECOND)
            .ok_or_else(|| format!("'{text}' is too long"))?;
        rest = tail.trim_start();
    }
    if text.is_empty() { Err("an empty text is no length of time".to_owned()) } else { Ok(total) }
}

fn unit_micros(unit: &str, text: &str) -> Result<f64, String> {
    Ok(match unit.to_ascii_lowercase().as_str() {
        "us" | "µs" | "microsecond" | "microseconds" => 1.0,
        "ms" | "millisecond" | "milliseconds" => 1e3,
        "s" | "sec" | "secs" | "second" | "seconds" => 1e6,
        "m" | "min" | "mins" | "minute" | "minutes" => 6e7,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3.6e9,
        "d" | "day" | "days" => 8.64e10,
        "w" | "week" | "weeks" => 6.048e11,
        "month" | "months" | "mon" | "year" | "years" | "y" => {
            let many = unit.ends_with('s');
            let (article, verb) = if many { ("", "have") } else { ("a ", "has") };
            return Err(format!("'{text}': {article}{unit} {verb} no fixed length, write it in days"));
        }
        "" => return Err(format!("'{text}' has no unit, write for example '{text} minutes'")),
        _ => return Err(format!("'{text}': unknown unit '{unit}', use seconds, minutes, hours, days or weeks")),
    })
}

/// The text of a length of time in the largest unit that divides it: `30 minutes`, `1 day`, `90 seconds`.
#[must_use]
pub fn duration_text(micros: i64) -> String {
    let units = [
        (7 * DAY, "week"),
        (DAY, "day"),
        (HOUR, "hour"),
        (60 * SECOND, "minute"),
        (SECOND, "second"),
        (1_000, "millisecond"),
    ];
    let (size, name) =
        units.into_iter().find(|(size, _)| micros != 0 && micros % size == 0).unwrap_or((1, "microsecond"));
    let count = micros / size;
    if micros == 0 { "0".to_owned() } else { format!("{count} {name}{}", if count == 1 { "" } else { "s" }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_dates_round_trip() {
        for day in (-800_000..3_000_000).step_by(97) {
            let (year, month, date) = Day(day).civil();
            if (1..=9_999).contains(&year) {
                assert_eq!(civil_day(year, month, date), Some(Day(day)));
                assert_eq!(Day::parse(&Day(day).to_string()), Some(Day(day)));
            }
        }
        assert_eq!(civil_day(2023, 2, 29), None);
        assert_eq!(civil_day(2024, 13, 1), None);
    }

    #[test]
    fn iso_texts() {
        let base = parse_iso(b"2026-01-05T10:00:00Z", 0).unwrap();
        assert_eq!(iso(base), "2026-01-05T10:00:00Z");
        assert_eq!(parse_iso(b"2026-01-05 11:00:00.5+01:00", 0), Some(base + 500_000));
        assert_eq!(parse_iso(b"2026-01-05T10:00:00.123456789Z", 0), Some(base + 123_456));
        assert_eq!(parse_iso(b"2026-01-05T11:00", HOUR), Some(base));
        for bad in
            [&b"2026-01-05T"[..], b"2026-1-05", b"2026-02-30", b"2026-01-05T25:00:00Z", b"2026-01-05T10:00:00FOO"]
        {
            assert_eq!(parse_iso(bad, 0), None, "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("30 minutes"), Ok(30 * 60 * SECOND));
        assert_eq!(parse_duration("1 hour 30 min"), Ok(90 * 60 * SECOND));
        assert_eq!(parse_duration("0"), Ok(0));
        assert!(parse_duration("1 month").unwrap_err().contains("no fixed length"));
        assert!(parse_duration("-5 minutes").is_err());
        assert!(parse_duration("20").unwrap_err().contains("no unit"));
        assert_eq!(duration_text(90 * SECOND), "90 seconds");
    }
}
