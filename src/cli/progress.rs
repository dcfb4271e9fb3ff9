//! The bar of long work, on stderr, where a person looks at it; and lines of a follower for a log.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

use super::context::Context;
use crate::ingest::{Flushed, Progress};
use crate::output::Measure;
use crate::store::Meter;
use crate::terminal::neutral;
use crate::time::Stopwatch;

/// Seconds between two lines of a follower that no terminal shows.
const BETWEEN_LINES: f64 = 60.0;

/// A bar over the bytes of the inputs; without a known total, a counter.
pub(super) struct Bar {
    bar: ProgressBar,
    lines: u64,
}

impl Bar {
    pub(super) fn new() -> Self {
        Self { bar: ProgressBar::no_length(), lines: 0 }
    }

    /// Over the bytes of the store's files, where a person looks.
    pub(super) fn over_files(context: &Context) -> Self {
        let shows = !context.quiet && std::io::stderr().is_terminal();
        let bar = if shows { ProgressBar::no_length() } else { ProgressBar::hidden() };
        bar.set_style(style("[{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec} {eta} left"));
        Self { bar, lines: 0 }
    }

    /// What moves it.
    pub(super) fn meter(&self) -> Meter {
        let bar = self.bar.clone();
        Meter::new(move |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        })
    }

    /// For a follower, which knows no end.
    pub(super) fn following() -> Self {
        let bar = Self::new();
        bar.bar.set_style(style("{spinner} {msg}"));
        bar.bar.set_message("looking");
        bar.bar.enable_steady_tick(std::time::Duration::from_millis(250));
        bar
    }
}

impl Drop for Bar {
    /// What the bar said is in the summary.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// `following 2 files, 4711 lines committed, 0 bytes behind`
fn sentence(so_far: &Flushed) -> String {
    let Flushed { files, lines, behind } = so_far;
    let plural = if *files == 1 { "" } else { "s" };
    format!("following {files} file{plural}, {lines} lines committed, {behind} bytes behind")
}

/// A line now and then, for a log.
#[derive(Debug, Default)]
pub(super) struct Lines {
    said: Option<Stopwatch>,
}

impl Progress for Lines {
    fn flushed(&mut self, so_far: &Flushed) {
        if self.said.is_none_or(|said| said.seconds() >= BETWEEN_LINES) {
            self.said = Some(Stopwatch::start());
            self.remark(&sentence(so_far));
        }
    }

    fn remark(&mut self, text: &str) {
        for line in text.lines() {
            // A closed stderr is nobody's failure.
            _ = writeln!(std::io::stderr(), "{}", neutral(line));
        }
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

    fn flushed(&mut self, so_far: &Flushed) {
        self.bar.set_message(sentence(so_far));
    }

    fn remark(&mut self, text: &str) {
        text.lines().for_each(|line| self.bar.println(neutral(line)));
    }
}
