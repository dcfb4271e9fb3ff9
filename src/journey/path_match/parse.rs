//! Reads a pattern into its positions.

use regex::RegexBuilder;

use super::{Pattern, Test};
use crate::limits;

const PARTS: &str = "a pattern is made of names, ., [a b], [^a b], ~\"regex\", ->, |, ( ), *, +, ?, {2,5}, ^ and $";
/// What ends a name that stands without quotes.
const SPECIAL: &[char] = &['(', ')', '[', ']', '{', '}', '|', '*', '+', '?', '^', '"', '\'', ','];
const ARROW: &str = "->";
/// What a regular expression may take when it is made, in bytes.
const REGEX_BYTES: usize = 1 << 20;

/// A part of a pattern.
enum Node {
    Step(Test),
    Chain(Vec<Node>),
    Either(Vec<Node>),
    Repeat { node: Box<Node>, least: usize, most: Option<usize> },
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The text says what is wrong with which part.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let anchored = text.strip_prefix('^').map(|rest| rest.trim_start().trim_start_matches(ARROW));
        let from_start = anchored.is_some();
        let inner = anchored.unwrap_or(text).trim();
        let ended = inner.strip_suffix('$').map(|rest| rest.trim_end().trim_end_matches(ARROW));
        let to_end = ended.is_some();
        let mut parser = Parser { rest: ended.unwrap_or(inner).trim(), depth: 0 };
        if parser.rest.is_empty() {
            return Err(format!("'{text}' names no step – {PARTS}"));
        }
        let node = parser.either()?;
        if !parser.rest.is_empty() {
            return Err(parser.wrong());
        }
        if (from_start || to_end) && matches!(node, Node::Either(_)) {
            return Err("^ and $ hold for the whole pattern – put its alternatives into parentheses".to_owned());
        }
        let mut made = Self {
            tests: Vec::new(),
            first: 0,
            last: 0,
            follow: Vec::new(),
            precede: Vec::new(),
            empty: false,
            from_start,
            to_end,
        };
        let whole = made.add(&node)?;
        (made.first, made.last, made.empty) = (whole.first, whole.last, whole.empty);
        made.precede = (0..made.follow.len())
            .map(|at| (0..).zip(&made.follow).fold(0, |all, (before, after)| all | (after >> at & 1) << before))
            .collect();
        Ok(made)
    }

    /// Adds the positions of a part.
    fn add(&mut self, node: &Node) -> Result<Piece, String> {
        match node {
            Node::Step(test) => self.step(test),
            Node::Chain(nodes) => nodes.iter().try_fold(Piece::NOTHING, |piece, node| {
                let next = self.add(node)?;
                Ok(self.join(piece, next))
            }),
            Node::Either(nodes) => {
                let mut all = Piece { empty: false, ..Piece::NOTHING };
                for node in nodes {
                    let piece = self.add(node)?;
                    all = Piece {
                        empty: all.empty || piece.empty,
                        first: all.first | piece.first,
                        last: all.last | piece.last,
                    };
                }
                Ok(all)
            }
            Node::Repeat { node, least, most } => self.repeat(node, *least, *most),
        }
    }

    fn step(&mut self, test: &Test) -> Result<Piece, String> {
        let at = self.follow.len();
        if at == limits::PATTERN_ITEMS {
            return Err(format!("a pattern has at most {} steps, repetitions counted", limits::PATTERN_ITEMS));
        }
        self.follow.push(0);
        let position = 1 << at;
        let same = |known: &&mut (Test, u64)| match (&known.0, test) {
            (Test::Any, Test::Any) => true,
            (Test::Name(a), Test::Name(b)) => a == b,
            _ => false,
        };
        match self.tests.iter_mut().find(same) {
            Some(known) => known.1 |= position,
            None => self.tests.push((test.clone(), position)),
        }
        Ok(Piece { empty: false, first: position, last: position })
    }

    fn repeat(&mut self, node: &Node, least: usize, most: Option<usize>) -> Result<Piece, String> {
        let mut whole = Piece::NOTHING;
        // Without a most, the last one that must be there is the one that goes on.
        for no in 1..=most.unwrap_or(least.max(1)) {
            let mut piece = self.add(node)?;
            if most.is_none() && no == least.max(1) {
                self.lead(piece.last, piece.first);
            }
            piece.empty |= no > least;
            whole = self.join(whole, piece);
        }
        Ok(whole)
    }

    /// One piece and then the other.
    fn join(&mut self, a: Piece, b: Piece) -> Piece {
        self.lead(a.last, b.first);
        Piece {
            empty: a.empty && b.empty,
            first: a.first | if a.empty { b.first } else { 0 },
            last: b.last | if b.empty { a.last } else { 0 },
        }
    }

    /// From each of some positions to each of others.
    fn lead(&mut self, from: u64, to: u64) {
        for (at, follow) in self.follow.iter_mut().enumerate() {
            if from >> at & 1 == 1 {
                *follow |= to;
            }
        }
    }
}

/// Positions of a part of the pattern: where it begins and ends, and whether it can be left out.
#[derive(Clone, Copy)]
struct Piece {
    empty: bool,
    first: u64,
    last: u64,
}

impl Piece {
    const NOTHING: Self = Self { empty: true, first: 0, last: 0 };
}

struct Parser<'a> {
    rest: &'a str,
    /// Groups that are open.
    depth: usize,
}

impl Parser<'_> {
    fn wrong(&self) -> String {
        format!("'{}' is no step – {PARTS}", self.rest)
    }

    fn skip(&mut self, part: &str) -> bool {
        let rest = self.rest.strip_prefix(part);
        self.rest = rest.unwrap_or(self.rest).trim_start();
        rest.is_some()
    }

    fn either(&mut self) -> Result<Node, String> {
        let mut all = vec![self.chain()?];
        while self.skip("|") {
            all.push(self.chain()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Node::Either(all) })
    }

    fn chain(&mut self) -> Result<Node, String> {
        let mut all = vec![self.item()?];
        while self.skip(ARROW) {
            all.push(self.item()?);
        }
        let ends = self.rest.is_empty() || self.rest.starts_with(['|', ')']);
        if !ends && !self.rest.starts_with(SPECIAL) {
            return Err(format!("'{}' – write -> between steps, or a name with spaces in quotes", self.rest));
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Node::Chain(all) })
    }

    fn item(&mut self) -> Result<Node, String> {
        let node = if self.skip("(") {
            self.depth += 1;
            if self.depth > limits::SQL_NESTING {
                return Err(format!("more than {} groups inside each other", limits::SQL_NESTING));
            }
            let group = self.either()?;
            if !self.skip(")") {
                return Err("a group is not closed: ) is missing".to_owned());
            }
            self.depth -= 1;
            // So that alternatives in parentheses are not taken for those of the whole pattern.
            Node::Chain(vec![group])
        } else if self.skip("[") {
            let not = self.skip("^");
            let mut tests = Vec::new();
            while !self.skip("]") {
                if self.rest.is_empty() {
                    return Err("a choice of steps is not closed: ] is missing".to_owned());
                }
                tests.push(self.test()?);
                self.skip(",");
            }
            if tests.is_empty() {
                return Err(if not {
                    "[^] leaves out no step – write . for any step".to_owned()
                } else {
                    "[] names no step – write [a b] for one of several".to_owned()
                });
            }
            Node::Step(Test::Of { not, tests })
        } else {
            Node::Step(self.test()?)
        };
        self.quantified(node)
    }

    fn test(&mut self) -> Result<Test, String> {
        if self.rest.starts_with('~') {
            self.skip("~");
            let text = self.quoted()?.ok_or("~ needs a regular expression in quotes: ~\"^/product/\"")?;
            let why = |error: regex::Error| error.to_string().lines().last().unwrap_or_default().to_owned();
            return RegexBuilder::new(&text)
                .size_limit(REGEX_BYTES)
                .build()
                .map(Test::Regex)
                .map_err(|error| format!("~\"{text}\": {}", why(error)));
        }
        if let Some(name) = self.quoted()? {
            return Ok(Test::Name(name));
        }
        let stop = |at: &usize| {
            let rest = &self.rest[*at..];
            rest.starts_with(char::is_whitespace)
                || rest.starts_with(SPECIAL)
                || rest.starts_with(ARROW)
                || *at > 0 && rest.starts_with('$')
        };
        let end = self.rest.char_indices().map(|(at, _)| at).find(stop).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() {
            return Err(self.wrong());
        }
        if name == "$" || rest.starts_with(['$', '^']) {
            return Err(format!("'{}' – ^ stands at the beginning of a pattern and $ at its end", self.rest));
        }
        self.rest = rest.trim_start();
        Ok(if name == "." { Test::Any } else { Test::Name(name.to_owned()) })
    }

    /// What stands in quotes here; two quotes inside are one.
    fn quoted(&mut self) -> Result<Option<String>, String> {
        let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else { return Ok(None) };
        let (mut text, mut rest) = (String::new(), &self.rest[1..]);
        loop {
            let Some((part, after)) = rest.split_once(quote) else {
                return Err(format!("{} – the quote is not closed", self.rest));
            };
            text.push_str(part);
            let Some(more) = after.strip_prefix(quote) else {
                self.rest = after.trim_start();
                return Ok(Some(text));
            };
            text.push(quote);
            rest = more;
        }
    }

    fn quantified(&mut self, node: Node) -> Result<Node, String> {
        let shown = self.rest;
        let (least, most) = if self.skip("*") {
            (0, None)
        } else if self.skip("+") {
            (1, None)
        } else if self.skip("?") {
            (0, Some(1))
        } else if self.skip("{") {
            let wrong = || format!("'{shown}' – write {{2}}, {{2,}} or {{2,5}}, the last number at least 1");
            let (inside, rest) = self.rest.split_once('}').ok_or_else(wrong)?;
            self.rest = rest.trim_start();
            let number = |text: &str| text.trim().parse::<usize>().map_err(|_| wrong());
            let (least, most) = match inside.split_once(',') {
                None => (number(inside)?, Some(number(inside)?)),
                Some((least, most)) if most.trim().is_empty() => (number(least)?, None),
                Some((least, most)) => (number(least)?, Some(number(most)?)),
            };
            if most.is_some_and(|most| most == 0 || most < least) {
                return Err(wrong());
            }
            (least, most)
        } else {
            return Ok(node);
        };
        if self.rest.starts_with(['*', '+', '?', '{']) {
            return Err(format!("'{shown}' – one repetition, or a group around the first"));
        }
        Ok(Node::Repeat { node: Box::new(node), least, most })
    }
}
