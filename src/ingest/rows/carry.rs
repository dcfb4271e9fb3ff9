//! Moves rows from one buffer to another: the newest day of a log stays behind when a full buffer is written, so that
//! a log in time order gives one run a day.

use super::buffer::RowBuffer;
use super::rules::Rules;

/// Moves the rows at or after `ts` from `full` to `next`, as they are: the masks are on already.
pub fn carry(full: &mut RowBuffer, next: &mut RowBuffer, ts: i64, rules: &Rules) {
    next.adopt(full, |row| row.ts >= ts, rules);
    full.rows.retain(|row| row.ts < ts);
}
