//! Lengths that time is cut into: days, weeks, months.

use crate::time::{DAY, Day, civil_day};

/// A length that time is cut into; weeks begin on Monday, days at midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    Day,
    Week,
    Month,
}

/// The periods by the names they are asked for.
pub const PERIODS: [(&str, Period); 3] = [("day", Period::Day), ("week", Period::Week), ("month", Period::Month)];

impl Period {
    /// The number of the period that holds a time (µs).
    #[must_use]
    pub fn of(self, ts: i64) -> i64 {
        let day = ts.div_euclid(DAY);
        match self {
            Self::Day => day,
            // 1970-01-01 was a Thursday.
            Self::Week => (day + 3).div_euclid(7),
            Self::Month => {
                let (year, month, _) = Day::of(ts).civil();
                i64::from(year) * 12 + i64::from(month) - 1
            }
        }
    }

    /// The first µs of a period.
    #[must_use]
    pub fn start(self, number: i64) -> i64 {
        match self {
            Self::Day => number * DAY,
            Self::Week => (number * 7 - 3) * DAY,
            Self::Month => {
                let (year, month) = (i32::try_from(number.div_euclid(12)), u8::try_from(number.rem_euclid(12) + 1));
                let first = year.ok().zip(month.ok()).and_then(|(year, month)| civil_day(year, month, 1));
                first.map_or(i64::MAX, Day::start)
            }
        }
    }

    /// The length of a rolling period: a month is thirty days.
    #[must_use]
    pub const fn length(self) -> i64 {
        match self {
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Month => 30 * DAY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::HOUR;

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        let at = |text: &str| Day::parse(text).map_or(0, Day::start);
        let week = Period::Week;
        assert_eq!(week.start(week.of(at("2026-01-11") + HOUR)), at("2026-01-05"));
        assert_eq!(week.of(at("2026-01-12")), week.of(at("2026-01-05")) + 1);
        let month = Period::Month;
        assert_eq!(month.start(month.of(at("2026-02-28")) + 1), at("2026-03-01"));
        assert_eq!(month.start(month.of(at("2025-12-31")) + 1), at("2026-01-01"));
    }
}
