//! How far a line that an expression does not match would have matched.
//!
//! The expression is a sequence; the longest front of it that matches the line tells the place where the line goes
//! wrong. A front is compiled when a refusal first asks for it, and the search doubles its step from the start: a line
//! of quite another format costs one or two short fronts, a clean log none.

use std::sync::OnceLock;

use regex::bytes::Regex;

/// Fronts at most: expressions of hundreds of parts are cut more coarsely.
const FRONTS: usize = 64;

/// The fronts of one expression.
#[derive(Debug)]
pub(super) struct Reach {
    expression: String,
    /// Where the expression is cut, shortest front first.
    cuts: Vec<usize>,
    /// The front of each cut; `None` where the cut is no expression of its own.
    fronts: Vec<OnceLock<Option<Regex>>>,
}

impl Reach {
    pub(super) fn new(expression: &str) -> Self {
        let cuts = cuts(expression);
        let step = cuts.len().div_ceil(FRONTS).max(1);
        let cuts: Vec<usize> = cuts.into_iter().step_by(step).collect();
        let fronts = cuts.iter().map(|_| OnceLock::new()).collect();
        Self { expression: expression.to_owned(), cuts, fronts }
    }

    /// Bytes of the line that the longest matching front covers.
    pub(super) fn furthest(&self, line: &[u8]) -> usize {
        // A longer front matches only where the shorter ones do.
        let (mut good, mut step) = (0, 1);
        while self.matches(good + step - 1, line) {
            good += step;
            step *= 2;
        }
        while step > 1 {
            step /= 2;
            if self.matches(good + step - 1, line) {
                good += step;
            }
        }
        let longest = (0..good).rev().find_map(|number| self.front(number));
        longest.and_then(|front| front.find(line)).map_or(0, |found| found.end())
    }

    /// Whether the line has the front; one that cannot be compiled says nothing and counts as matching.
    fn matches(&self, number: usize, line: &[u8]) -> bool {
        number < self.cuts.len() && self.front(number).is_none_or(|front| front.is_match(line))
    }

    fn front(&self, number: usize) -> Option<&Regex> {
        let compile = || Regex::new(self.expression.get(..*self.cuts.get(number)?)?).ok();
        self.fronts.get(number)?.get_or_init(compile).as_ref()
    }
}

/// Offsets at the top level (outside groups and classes) before which a new item begins.
fn cuts(expression: &str) -> Vec<usize> {
    let bytes = expression.as_bytes();
    let mut cuts = Vec::new();
    let (mut depth, mut in_class, mut at) = (0_usize, false, 0);
    while at < bytes.len() {
        let byte = bytes[at];
        let is_quantifier = matches!(byte, b'*' | b'+' | b'?' | b'{');
        if depth == 0 && !in_class && at > 0 && !is_quantifier && expression.is_char_boundary(at) {
            cuts.push(at);
        }
        match byte {
            b'\\' => at += 1,
            b'[' => in_class = true,
            b']' if in_class && bytes.get(at.wrapping_sub(1)) != Some(&b'[') => in_class = false,
            b'(' if !in_class => depth += 1,
            b')' if !in_class => depth = depth.saturating_sub(1),
            // Alternatives at the top have no common front.
            b'|' if !in_class && depth == 0 => return Vec::new(),
            b'{' if !in_class => at += bytes[at..].iter().position(|byte| *byte == b'}').unwrap_or(0),
            _ => {}
        }
        at += 1;
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_front_tells_the_place() {
        let reach = Reach::new(r#"^(?<ip>\S+) \[(?<ts>[^]]+)\] "(?<request>[^"]*)" (?<status>\d{3}) (?<bytes>\d+)$"#);
        for (line, bytes) in [
            ("192.0.2.7 [x] \"GET /\" abc 12", 22),
            ("192.0.2.7 [x] \"GET /", 20),
            ("192.0.2.7 [x] \"GET /\" 200 5 x", 27),
            ("192.0.2.7 x", 10),
            ("", 0),
        ] {
            assert_eq!(reach.furthest(line.as_bytes()), bytes, "{line}");
        }
        assert_eq!(Reach::new("^a|b$").furthest(b"ac"), 0);
        assert_eq!(Reach::new("^[]a(]+(?<ts>x)").furthest(b"a]q"), 2);
    }
}
