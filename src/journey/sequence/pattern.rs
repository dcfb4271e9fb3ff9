//! Reads a pattern: items, and what may lie between them.

use crate::limits;

/// What may lie between an item's event and the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    /// Nothing.
    Next,
    /// Any events; the times are so far apart.
    Within { least: i64, most: i64 },
}

/// One event of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    /// Bit of the condition that it meets; any event where there is none.
    pub test: Option<u32>,
    pub gap: Gap,
}

/// A pattern, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    pub(super) items: Vec<Item>,
    pub(super) whole: i64,
}

const PARTS: &str = "a pattern is made of (?1), ., .*, (?t<=10) and (?T<=10)";
const ANY: Gap = Gap::Within { least: 0, most: i64::MAX };

impl Pattern {
    /// Reads a pattern over so many conditions. A number in `(?t…)` counts `unit`s of the time stamps.
    ///
    /// # Errors
    /// The text says what is wrong with which part.
    pub fn parse(text: &str, conditions: usize, unit: i64) -> Result<Self, String> {
        let mut parser = Parser { gap: ANY, timed: None, pattern: Self { items: Vec::new(), whole: i64::MAX }, unit };
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            rest = if let Some(rest) = rest.strip_prefix(".*") {
                parser.skip(0, i64::MAX);
                rest
            } else if let Some(rest) = rest.strip_prefix('.') {
                parser.item(None)?;
                rest
            } else if let Some((inner, rest)) = rest.strip_prefix("(?").and_then(|rest| rest.split_once(')')) {
                parser.group(inner, conditions)?;
                rest
            } else {
                return Err(format!("'{rest}' is no part of a pattern – {PARTS}"));
            };
            rest = rest.trim_start();
        }
        match parser.timed {
            Some(time) => Err(format!("{time} needs an item behind it: it says how far away that one is")),
            None => Ok(parser.pattern),
        }
    }
}

struct Parser {
    /// What lies before the next item.
    gap: Gap,
    /// The time that waits for an item.
    timed: Option<String>,
    pattern: Pattern,
    unit: i64,
}

impl Parser {
    fn item(&mut self, test: Option<u32>) -> Result<(), String> {
        if self.pattern.items.len() == limits::PATTERN_ITEMS {
            return Err(format!("a pattern has at most {} items", limits::PATTERN_ITEMS));
        }
        self.pattern.items.push(Item { test, gap: self.gap });
        (self.gap, self.timed) = (Gap::Next, None);
        Ok(())
    }

    /// Any events, the times being so far apart.
    fn skip(&mut self, least: i64, most: i64) {
        self.gap = match self.gap {
            Gap::Next => Gap::Within { least, most },
            Gap::Within { least: a, most: b } => Gap::Within { least: a.max(least), most: b.min(most) },
        };
    }

    fn group(&mut self, inner: &str, conditions: usize) -> Result<(), String> {
        let shown = format!("(?{inner})");
        if let Some(time) = inner.strip_prefix('t') {
            let (least, most) = self.range(time, &shown)?;
            if self.pattern.items.is_empty() {
                return Err(format!("{shown} needs an item before it: it says how far away that one is"));
            }
            self.skip(least, most);
            self.timed = Some(shown);
            return Ok(());
        }
        if let Some(time) = inner.strip_prefix('T') {
            let (least, most) = self.range(time, &shown)?;
            if least > 0 {
                return Err(format!("{shown} – the whole match can be limited by <= or < only"));
            }
            self.pattern.whole = self.pattern.whole.min(most);
            return Ok(());
        }
        match inner.parse::<usize>() {
            Ok(number) if (1..=conditions).contains(&number) => self.item(u32::try_from(number - 1).ok()),
            Ok(_) => Err(format!("{shown} – there are {conditions} conditions, from (?1) on")),
            Err(_) => Err(format!("{shown} is no part of a pattern – {PARTS}")),
        }
    }

    /// The least and the largest distance that an operator and a number allow.
    fn range(&self, text: &str, shown: &str) -> Result<(i64, i64), String> {
        let split = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
        let (operator, number) = (text[..split].trim(), text[split..].trim());
        let number: i64 = number.parse().map_err(|_| format!("{shown} needs a whole number – {PARTS}"))?;
        let distance = number.saturating_mul(self.unit);
        match operator {
            "<=" => Ok((0, distance)),
            // Nothing is less than 0 apart.
            "<" => Ok((0, distance - 1)),
            ">=" => Ok((distance, i64::MAX)),
            ">" => Ok((distance.saturating_add(1), i64::MAX)),
            "==" | "=" => Ok((distance, distance)),
            other => Err(format!("{shown} – '{other}' is none of <=, <, >=, >, ==")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_pattern() {
        let pattern = Pattern::parse("(?1).*(?2)(?t>=2)(?t<5) . (?T<=9)", 2, 10).unwrap();
        let item = |test, gap| Item { test, gap };
        let within = |least, most| Gap::Within { least, most };
        let items = [item(Some(0), ANY), item(Some(1), ANY), item(None, within(20, 49))];
        assert_eq!(pattern, Pattern { items: items.to_vec(), whole: 90 });
        assert_eq!(Pattern::parse("", 1, 1).unwrap(), Pattern::parse(".*", 1, 1).unwrap());
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (text, why) in [
            ("(?3)", "there are 2 conditions"),
            ("(?0)", "there are 2 conditions"),
            ("(?x)", "(?x) is no part of a pattern – a pattern is made of"),
            ("(?1", "'(?1' is no part"),
            ("(?1)+", "'+' is no part"),
            ("(?t<5)(?1)", "needs an item before it"),
            ("(?1)(?t<5)", "needs an item behind it"),
            ("(?1)(?t<5).*", "needs an item behind it"),
            ("(?1)(?t!5)(?2)", "'!' is none of"),
            ("(?1)(?t<x)(?2)", "needs a whole number"),
            ("(?1)(?T>5)(?2)", "by <= or < only"),
        ] {
            let error = Pattern::parse(text, 2, 1).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(Pattern::parse(&"(?1)".repeat(65), 1, 1).unwrap_err().contains("at most 64"));
    }
}
