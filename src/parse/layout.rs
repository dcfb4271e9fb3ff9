//! Time layouts in strftime notation, compiled once, read without allocation.
//!
//! ```text
//! %Y %y %m %b %B %d %e %j   date          %F = %Y-%m-%d   %D = %m/%d/%y
//! %H %I %p %M %S %f %L      clock         %T = %H:%M:%S   %R = %H:%M     %.f = an optional fraction with its point
//! %z %:z %Z                 zone          %Z knows UTC, GMT and Z only
//! %s                        epoch         its unit told by its magnitude; %s%.f reads a fraction
//!                                         %a %A skip a weekday           %% a percent sign
//! ```
//! A blank of the layout stands for any blanks, or none. Numbers may be shorter than usual (`5/Jan/2026`).
//!
//! Deliberately not here: layouts without a year (syslog): a record does not say when it was written.

use super::clock::{fraction_micros, month};
use crate::time::{self, SECOND};

/// A compiled layout.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    items: Vec<Item>,
    /// What a time without a zone means, microseconds east of UTC.
    zone_micros: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Literal(u8),
    Blank,
    Year,
    ShortYear,
    Month,
    MonthName,
    Date,
    DayOfYear,
    Hour,
    Hour12,
    Half,
    Minute,
    Second,
    Fraction,
    PointFraction,
    Zone,
    ZoneName,
    Epoch,
    Weekday,
}

/// What a text has said so far.
#[derive(Debug, Default)]
struct Parts {
    year: Option<i32>,
    month: Option<u8>,
    date: Option<u8>,
    day_of_year: Option<i32>,
    hour: i64,
    half: Option<i64>,
    minute: i64,
    second: i64,
    micros: i64,
    zone_micros: Option<i64>,
    epoch_micros: Option<i64>,
}

impl Layout {
    /// Compiles a layout.
    ///
    /// # Errors
    /// The text names an unknown field, or too few for a point in time.
    pub(super) fn new(text: &str, zone_micros: i64) -> Result<Self, String> {
        let mut items = Vec::new();
        compile(text, &mut items)?;
        let has = |item: Item| items.contains(&item);
        let has_year = has(Item::Year) || has(Item::ShortYear);
        let has_day = has(Item::DayOfYear) || (has(Item::Date) && (has(Item::Month) || has(Item::MonthName)));
        if !(has(Item::Epoch) || has_year && has_day) {
            return Err(format!("the time layout '{text}' needs year, month and day (%Y %m %d), or %s"));
        }
        Ok(Self { items, zone_micros })
    }

    /// Reads the whole of `text`, microseconds since 1970 UTC.
    pub(super) fn read(&self, text: &[u8]) -> Option<i64> {
        let mut parts = Parts::default();
        let mut rest = text;
        for item in &self.items {
            rest = item.read(rest, &mut parts)?;
        }
        if rest.is_empty() { parts.micros(self.zone_micros) } else { None }
    }
}

fn compile(text: &str, items: &mut Vec<Item>) -> Result<(), String> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            let item = if byte == b' ' { Item::Blank } else { Item::Literal(byte) };
            if item != Item::Blank || items.last() != Some(&Item::Blank) {
                items.push(item);
            }
            continue;
        }
        let mut code = bytes.next();
        if matches!(code, Some(b'-')) {
            code = bytes.next();
        }
        items.push(match code {
            Some(b'Y') => Item::Year,
            Some(b'y') => Item::ShortYear,
            Some(b'm') => Item::Month,
            Some(b'b' | b'B' | b'h') => Item::MonthName,
            Some(b'd' | b'e') => Item::Date,
            Some(b'j') => Item::DayOfYear,
            Some(b'H' | b'k') => Item::Hour,
            Some(b'I' | b'l') => Item::Hour12,
            Some(b'p' | b'P') => Item::Half,
            Some(b'M') => Item::Minute,
            Some(b'S') => Item::Second,
            Some(b'f' | b'L') => Item::Fraction,
            Some(b'z') => Item::Zone,
            Some(b'Z') => Item::ZoneName,
            Some(b's') => Item::Epoch,
            Some(b'a' | b'A') => Item::Weekday,
            Some(b'%') => Item::Literal(b'%'),
            Some(b'.') if bytes.next() == Some(b'f') => Item::PointFraction,
            Some(b':') if bytes.next() == Some(b'z') => Item::Zone,
            Some(b'F') => {
                compile("%Y-%m-%d", items)?;
                continue;
            }
            Some(b'D') => {
                compile("%m/%d/%y", items)?;
                continue;
            }
            Some(b'T') => {
                compile("%H:%M:%S", items)?;
                continue;
            }
            Some(b'R') => {
                compile("%H:%M", items)?;
                continue;
            }
            other => {
                let code = other.map(char::from).map_or(String::new(), String::from);
                return Err(format!("the time layout '{text}' has an unknown field '%{code}'"));
            }
        });
    }
    Ok(())
}

impl Item {
    /// Reads the item at the start of `text`; what follows it.
    fn read<'a>(self, text: &'a [u8], parts: &mut Parts) -> Option<&'a [u8]> {
        match self {
            Self::Literal(byte) => return text.strip_prefix(&[byte]),
            Self::Blank => return Some(text.trim_ascii_start()),
            Self::MonthName => return month_name(text, parts),
            Self::Weekday => return Some(skip_letters(text)),
            Self::Half => return half(text, parts),
            Self::Fraction => return fraction(text, parts),
            Self::PointFraction => {
                return match text.first() {
                    Some(b'.' | b',') => fraction(&text[1..], parts),
                    _ => Some(text),
                };
            }
            Self::Zone | Self::ZoneName => return zone(text, parts),
            Self::Epoch => return epoch(text, parts),
            _ => {}
        }
        let longest = match self {
            Self::Year => 4,
            Self::DayOfYear => 3,
            _ => 2,
        };
        let text = text.trim_ascii_start();
        let (value, rest) = digits(text, longest)?;
        let small = u8::try_from(value).ok();
        let within = |from: i32, to: i32| (from..=to).contains(&value).then_some(i64::from(value));
        match self {
            Self::Year if text.len() - rest.len() == 4 => parts.year = Some(value),
            Self::ShortYear => parts.year = Some(if value < 70 { 2_000 + value } else { 1_900 + value }),
            Self::Month => parts.month = small,
            Self::Date => parts.date = small,
            Self::DayOfYear => parts.day_of_year = Some(value),
            Self::Hour => parts.hour = within(0, 23)?,
            Self::Hour12 => parts.hour = within(1, 12)? % 12,
            Self::Minute => parts.minute = within(0, 59)?,
            Self::Second => parts.second = within(0, 60)?,
            _ => return None,
        }
        Some(rest)
    }
}

impl Parts {
    fn micros(&self, default_zone_micros: i64) -> Option<i64> {
        if let Some(epoch) = self.epoch_micros {
            return Some(epoch + self.micros);
        }
        let year = self.year?;
        let day = match self.day_of_year {
            Some(number) => {
                let first = time::civil_day(year, 1, 1)?.0;
                let is_known = (1..=366).contains(&number) && first + number <= time::civil_day(year + 1, 1, 1)?.0;
                time::Day(is_known.then_some(first + number - 1)?)
            }
            None => time::civil_day(year, self.month?, self.date?)?,
        };
        let hour = self.hour + self.half.unwrap_or(0);
        let clock = (hour * 3_600 + self.minute * 60 + self.second) * SECOND + self.micros;
        Some(day.start() + clock - self.zone_micros.unwrap_or(default_zone_micros))
    }
}

/// The number of the leading digits, at most `longest` of them.
fn digits(text: &[u8], longest: usize) -> Option<(i32, &[u8])> {
    let len = text.iter().take(longest).take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(len);
    Some((super::clock::number(digits)?, rest))
}

fn skip_letters(text: &[u8]) -> &[u8] {
    let len = text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    text.get(len..).unwrap_or_default()
}

fn month_name<'a>(text: &'a [u8], parts: &mut Parts) -> Option<&'a [u8]> {
    parts.month = Some(month(text.get(..3)?)?);
    Some(skip_letters(text))
}

fn half<'a>(text: &'a [u8], parts: &mut Parts) -> Option<&'a [u8]> {
    let (half, rest) = text.split_at_checked(2)?;
    parts.half = match half {
        b"AM" | b"am" => Some(0),
        b"PM" | b"pm" => Some(12),
        _ => return None,
    };
    Some(rest)
}

fn fraction<'a>(text: &'a [u8], parts: &mut Parts) -> Option<&'a [u8]> {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(len);
    parts.micros = fraction_micros(digits)?;
    Some(rest)
}

fn zone<'a>(text: &'a [u8], parts: &mut Parts) -> Option<&'a [u8]> {
    let is_zone = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b':');
    let (zone, rest) = text.split_at(text.iter().take_while(is_zone).count());
    parts.zone_micros = Some(time::parse_zone(zone)?);
    Some(rest)
}

fn epoch<'a>(text: &'a [u8], parts: &mut Parts) -> Option<&'a [u8]> {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at(len);
    parts.epoch_micros = Some(super::clock::epoch(number)?);
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts() {
        for (layout, text, expected) in [
            ("%d/%b/%Y:%H:%M:%S %z", "05/Jan/2026:10:04:31 +0100", "2026-01-05T09:04:31Z"),
            ("%d/%b/%Y:%H:%M:%S%.f", "18/Jul/2011:17:05:24.339", "2011-07-18T17:05:24.339000Z"),
            ("%d/%b/%Y:%H:%M:%S%.f", "18/Jul/2011:17:05:24", "2011-07-18T17:05:24Z"),
            ("%a %b %e %H:%M:%S %Y", "Sun Mar  3 22:49:12 2016", "2016-03-03T22:49:12Z"),
            ("%F\t%T", "2016-06-10\t18:41:39", "2016-06-10T18:41:39Z"),
            ("%Y/%m/%d %I:%M %p %:z", "2026/1/5 12:04 AM +01:00", "2026-01-04T23:04:00Z"),
            ("%y%m%d", "260105", "2026-01-05T00:00:00Z"),
            ("%Y-%j", "2024-366", "2024-12-31T00:00:00Z"),
            ("%s%.f", "1767607471.250", "2026-01-05T10:04:31.250000Z"),
            ("%s", "1767607471250", "2026-01-05T10:04:31.250000Z"),
            ("%B %d, %Y %T %Z", "January 5, 2026 10:04:31 GMT", "2026-01-05T10:04:31Z"),
            ("%d%%%m%%%Y", "05%01%2026", "2026-01-05T00:00:00Z"),
        ] {
            let layout = Layout::new(layout, 0).unwrap();
            assert_eq!(layout.read(text.as_bytes()).map(time::iso).as_deref(), Some(expected), "{text}");
        }
        let local = Layout::new("%F %T", time::HOUR).unwrap();
        assert_eq!(local.read(b"2026-01-05 10:00:00"), time::parse_iso(b"2026-01-05T09:00:00Z", 0));
    }

    #[test]
    fn refused_texts_and_layouts() {
        let layout = Layout::new("%F %T", 0).unwrap();
        for bad in
            ["", "2026-01-05", "2026-02-30 10:00:00", "2026-01-05 24:00:00", "2026-01-05 10:00:00x", "26-1-5 1:1:1"]
        {
            assert_eq!(layout.read(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Layout::new("%Y-%j", 0).unwrap().read(b"2023-366"), None);
        assert!(Layout::new("%b %d %T", 0).unwrap_err().contains("needs year"));
        assert!(Layout::new("%Y-%m-%d %Q", 0).unwrap_err().contains("%Q"));
        assert!(Layout::new("%Y-%m-%d %", 0).unwrap_err().contains("unknown field"));
    }
}
