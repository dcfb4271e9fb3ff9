//! What went wrong, on one screen.
//!
//! ```text
//! error: no table 'evnets'                 what
//!   --> report.sql:3:6                     where
//!    |
//!  3 | from evnets
//!    |      ^^^^^^                         the very place
//! hint: did you mean 'events'?             why, or how
//!  try: journeyql sql "show tables"        the next command
//! ```

use std::fmt::Write as _;
use std::ops::Range;

use crate::terminal::neutral;

/// Characters of a line that are shown around the place.
const LINE_SHOWN: usize = 100;

/// A stretch of a text that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spot {
    /// `report.sql` or `query`.
    name: String,
    /// From 1.
    line: usize,
    /// From 1, in characters.
    column: usize,
    text: String,
    /// Characters to underline, at least one.
    length: usize,
}

/// The parts of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explanation {
    what: String,
    spot: Option<Spot>,
    hints: Vec<String>,
    next: Vec<String>,
}

impl Explanation {
    /// A message in the house form: on its first line, what comes before the first ` – ` is what happened and the
    /// rest are hints; further lines belong to what happened.
    #[must_use]
    pub fn new(message: &str) -> Self {
        let (first, details) = message.split_once('\n').map_or((message, None), |(first, rest)| (first, Some(rest)));
        let mut parts = first.split(" – ");
        let mut what = parts.next().unwrap_or_default().trim_end().to_owned();
        let hints = parts.map(|hint| hint.trim().to_owned()).collect();
        if let Some(details) = details {
            what.push('\n');
            what.push_str(details.trim_end());
        }
        Self { what, spot: None, hints, next: Vec::new() }
    }

    /// What happened, without place and advice.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Why, or how to go on.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// A command to type next.
    #[must_use]
    pub fn next(mut self, command: impl Into<String>) -> Self {
        self.next.push(command.into());
        self
    }

    /// Underlines the bytes `range` of `text`, which is called `name`.
    #[must_use]
    pub fn at(mut self, name: &str, text: &str, range: Range<usize>) -> Self {
        let start = range.start.min(text.len());
        let Some(before) = text.get(..start) else { return self };
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = range.end.clamp(start, line_end);
        self.spot = Some(Spot {
            name: name.to_owned(),
            line: before.matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            text: text[line_start..line_end].to_owned(),
            length: text.get(start..end).map_or(1, |marked| marked.chars().count()).max(1),
        });
        self
    }

    /// The screen. Nothing in it can steer a terminal, whatever log or file it quotes.
    #[must_use]
    pub fn text(&self, color: bool) -> String {
        let (red, bold, off) = if color { ("\x1b[1;31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
        let mut lines = self.what.lines();
        // Writing to a String cannot fail.
        let mut text = format!("{red}error{off}: {bold}{}{off}\n", neutral(lines.next().unwrap_or_default()));
        for line in lines {
            _ = writeln!(text, "  {}", neutral(line));
        }
        if let Some(spot) = &self.spot {
            let (shown, shift) = around(&spot.text, spot.column);
            let blanks = " ".repeat(spot.column - 1 - shift);
            let room = shown.chars().count().saturating_sub(blanks.len()).max(1);
            let carets = "^".repeat(spot.length.min(room));
            let margin = " ".repeat(spot.line.to_string().len());
            _ = writeln!(text, "{margin} --> {}:{}:{}", neutral(&spot.name), spot.line, spot.column);
            _ = writeln!(text, "{margin}  |\n{}  | {}", spot.line, single_width(&shown));
            _ = writeln!(text, "{margin}  | {blanks}{red}{carets}{off}");
        }
        self.write_advice(&mut text);
        text
    }

    fn write_advice(&self, text: &mut String) {
        for hint in &self.hints {
            for (at, line) in hint.lines().enumerate() {
                _ = writeln!(text, "{} {}", if at == 0 { "hint:" } else { "     " }, neutral(line));
            }
        }
        for command in &self.next {
            _ = writeln!(text, " try: {}", neutral(command));
        }
    }
}

/// The part of a line around a column, and how many characters were left out before it.
fn around(line: &str, column: usize) -> (String, usize) {
    let shift = if column > LINE_SHOWN - 20 { column - LINE_SHOWN / 2 } else { 0 };
    (line.chars().skip(shift).take(LINE_SHOWN).collect(), shift)
}

/// The line with every hostile character as one dot, so that the carets stay under their place.
fn single_width(line: &str) -> String {
    line.chars()
        .map(|c| if c == '\t' { ' ' } else { c })
        .map(|c| if neutral(c.encode_utf8(&mut [0; 4])).len() == c.len_utf8() { c } else { '·' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_screen() {
        let sql = "select *\nfrom evnets";
        let explained =
            Explanation::new("no table 'evnets' – did you mean 'events'?").at("query", sql, 14..20).next("journeyql");
        assert_eq!(
            explained.text(false),
            "error: no table 'evnets'\n  --> query:2:6\n   |\n2  | from evnets\n   |      ^^^^^^\n\
             hint: did you mean 'events'?\n try: journeyql\n"
        );
    }

    #[test]
    fn messages_cannot_steer_the_terminal() {
        let explained = Explanation::new("bad line \x1b[2J").at("q", "a\x1bb\u{202e}c", 1..2).next("x\u{202e}y");
        assert!(!explained.text(false).contains(['\x1b', '\u{202e}']));
    }

    #[test]
    fn long_lines_are_shown_around_the_place() {
        let sql = format!("select {} evnets", "x,".repeat(300));
        let text = Explanation::new("no").at("query", &sql, sql.len() - 6..sql.len()).text(false);
        assert!(text.lines().all(|line| line.chars().count() < 110), "{text}");
        assert!(text.contains("evnets") && text.contains("^^^^^^"), "{text}");
    }

    #[test]
    fn any_range_is_survived() {
        for (start, end) in [(0, 0), (5, 90), (90, 95), (3, 1)] {
            let text = Explanation::new("x").at("q", "é\nab", start..end).text(false);
            assert!(text.contains('^') || !text.contains("-->"), "{text}");
        }
    }
}
