//! Moves rows from one buffer to another: the newest day of a log stays behind when a full buffer is written, so that
//! a log in time order gives one run a day.

use super::buffer::RowBuffer;
use super::rules::Rules;
use crate::event::RejectReason;

/// Moves the rows at or after `ts` from `full` to `next`.
///
/// # Errors
/// A row that was taken is refused now, which would be a mistake of ours.
pub fn carry(full: &mut RowBuffer, next: &mut RowBuffer, ts: i64, rules: &Rules) -> Result<(), RejectReason> {
    for row in full.rows.iter().filter(|row| row.ts >= ts) {
        next.push(&full.raw(row), row.source, row.offset, rules)?;
    }
    full.rows.retain(|row| row.ts < ts);
    Ok(())
}
