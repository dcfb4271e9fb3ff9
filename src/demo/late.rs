//! Lines that are written late: what a busy server or a phone without a network does to a log's order.

use std::io::{self, Write};

use super::dice::Dice;

/// Passes lines through, holding back one in a hundred until a few others have passed, and stops after `limit`.
pub(super) struct Late<'a> {
    out: &'a mut dyn Write,
    left: u64,
    /// A line held back, and how many lines it still waits for.
    held: Option<(Vec<u8>, u64)>,
}

impl<'a> Late<'a> {
    pub(super) const fn new(out: &'a mut dyn Write, limit: u64) -> Self {
        Self { out, left: limit, held: None }
    }

    /// Whether the file is full once the line that is held back is counted.
    pub(super) fn is_full(&self) -> bool {
        self.left <= u64::from(self.held.is_some())
    }

    pub(super) fn line(&mut self, line: &[u8], dice: &mut Dice) -> io::Result<()> {
        if self.is_full() {
            return Ok(());
        }
        if self.held.is_none() && dice.chance(10) {
            self.held = Some((line.to_vec(), 1 + dice.below(8)));
            return Ok(());
        }
        self.pass(line)?;
        match self.held.take() {
            Some((held, 1)) => self.pass(&held),
            waiting => {
                self.held = waiting.map(|(held, others)| (held, others - 1));
                Ok(())
            }
        }
    }

    /// Writes what is still held back.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if let Some((held, _)) = self.held.take() {
            self.pass(&held)?;
        }
        self.out.flush()
    }

    fn pass(&mut self, line: &[u8]) -> io::Result<()> {
        self.left = self.left.saturating_sub(1);
        self.out.write_all(line)?;
        self.out.write_all(b"\n")
    }
}
