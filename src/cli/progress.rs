//! The bar of a long ingest, on stderr, where a person looks at it.

use indicatif::{ProgressBar, ProgressStyle};

use crate::ingest::Progress;
use crate::output::Measure;
use crate::terminal::neutral;

/// A bar over the bytes of the inputs; without a known total, a counter.
pub(super) struct Bar {
    bar: ProgressBar,
    lines: u64,
}

impl Bar {
    pub(super) fn new() -> Self {
        Self { bar: ProgressBar::no_length(), lines: 0 }
    }

    /// Removes the bar: what it said is in the summary.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants of this file; a wrong one shows the plain bar.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Progress for Bar {
    fn start(&mut self, total_bytes: u64) {
        if total_bytes > 0 {
            // The style first: setting a length draws.
            self.bar.set_style(style("{msg:20!} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec} {eta} left"));
            self.bar.set_length(total_bytes);
        } else {
            self.bar.set_style(style("{spinner} {msg} {bytes} {bytes_per_sec} {elapsed}"));
        }
    }

    fn advance(&mut self, bytes: u64, lines: u64, name: &str) {
        self.lines = lines;
        self.bar.set_position(bytes);
        self.bar.set_message(Measure::cut_start(&neutral(name), 20));
    }

    fn finishing(&mut self) {
        self.bar.set_style(style("{spinner} {msg} {elapsed}"));
        self.bar.set_message(format!("sorting and writing {} lines", self.lines));
        self.bar.enable_steady_tick(std::time::Duration::from_millis(120));
    }
}
