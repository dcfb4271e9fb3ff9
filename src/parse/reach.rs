//! How far a line that an expression does not match would have matched.
//!
//! The expression is a sequence; the longest front of it that matches the line tells the place where the line goes
//! wrong. Fronts are compiled on the first refusal, so that clean logs pay nothing.

use std::sync::OnceLock;

use regex::bytes::Regex;

/// Fronts that are compiled at most: expressions of hundreds of parts are cut more coarsely.
const FRONTS: usize = 64;

/// The fronts of one expression.
#[derive(Debug)]
pub(super) struct Reach {
    expression: String,
    fronts: OnceLock<Vec<Regex>>,
}

impl Reach {
    pub(super) fn new(expression: &str) -> Self {
        Self { expression: expression.to_owned(), fronts: OnceLock::new() }
    }

    /// Bytes of the line that the longest matching front covers.
    pub(super) fn furthest(&self, line: &[u8]) -> usize {
        let fronts = self.fronts.get_or_init(|| fronts(&self.expression));
        // A longer front matches only where the shorter ones do.
        let matching = fronts.partition_point(|front| front.is_match(line));
        let longest = matching.checked_sub(1).and_then(|last| fronts.get(last));
        longest.and_then(|front| front.find(line)).map_or(0, |found| found.end())
    }
}

/// The fronts of an expression, shortest first: cut wherever what stands before is an expression of its own.
fn fronts(expression: &str) -> Vec<Regex> {
    let cuts: Vec<usize> = cuts(expression);
    let step = cuts.len().div_ceil(FRONTS).max(1);
    cuts.iter().step_by(step).filter_map(|cut| Regex::new(expression.get(..*cut)?).ok()).collect()
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
        for (line, bytes) in
            [("192.0.2.7 [x] \"GET /\" abc 12", 22), ("192.0.2.7 [x] \"GET /", 20), ("192.0.2.7 x", 10), ("", 0)]
        {
            assert_eq!(reach.furthest(line.as_bytes()), bytes, "{line}");
        }
        assert_eq!(Reach::new("^a|b$").furthest(b"ac"), 0);
        assert_eq!(Reach::new("^[]a(]+(?<ts>x)").furthest(b"a]q"), 2);
    }
}
