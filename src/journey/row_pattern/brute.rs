//! The oracle: every way through a pattern in the order of preference, straight from its definition.

use std::ops::Range;

use proptest::prelude::*;

use super::{Matcher, Pattern, Program, Rows, Skip, SoFar};

/// The variable that stands for a letter: `a` is 0.
pub(super) fn variable(letter: char) -> Pattern {
    Pattern::Variable(letter as u16 - 'a' as u16)
}

/// Rows that are letters; each can be the variable of its letter, `*` any.
pub(super) struct Letters<'a> {
    text: &'a [u8],
    pub found: Vec<String>,
}

impl<'a> Letters<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text: text.as_bytes(), found: Vec::new() }
    }
}

fn spelled(found: SoFar<'_>) -> String {
    let letters = found.variables.iter().map(|&it| char::from(b'a' + u8::try_from(it).unwrap()));
    format!("{}:{}", found.start, letters.collect::<String>())
}

impl Rows for Letters<'_> {
    type Error = ();

    fn begin(&mut self, _: usize) -> Result<(), ()> {
        Ok(())
    }

    fn holds(&mut self, variable: u16, row: usize, _: SoFar<'_>) -> Result<bool, ()> {
        Ok(self.text[row] == b'*' || u16::from(self.text[row] - b'a') == variable)
    }

    fn take(&mut self, found: SoFar<'_>) -> Result<(), ()> {
        self.found.push(spelled(found));
        Ok(())
    }
}

/// Rows whose conditions can depend on what was matched.
struct Table<'a> {
    holds: &'a dyn Fn(u16, usize, &[u16]) -> bool,
    found: Vec<String>,
}

impl Rows for Table<'_> {
    type Error = ();

    fn begin(&mut self, _: usize) -> Result<(), ()> {
        Ok(())
    }

    fn holds(&mut self, variable: u16, row: usize, so_far: SoFar<'_>) -> Result<bool, ()> {
        let before = so_far.variables.split_last().map_or(&[][..], |(_, before)| before);
        Ok((self.holds)(variable, row, before))
    }

    fn take(&mut self, found: SoFar<'_>) -> Result<(), ()> {
        self.found.push(spelled(found));
        Ok(())
    }
}

/// A match in the making.
struct Search<'a> {
    rows: Range<usize>,
    start: usize,
    variables: Vec<u16>,
    holds: &'a dyn Fn(u16, usize, &[u16]) -> bool,
}

type Then<'t, 'a> = &'t mut dyn FnMut(&mut Search<'a>) -> bool;

impl<'a> Search<'a> {
    fn row(&self) -> usize {
        self.start + self.variables.len()
    }

    /// Whether there is a way through the pattern behind which `then` agrees; the preferred one stays.
    fn through(&mut self, pattern: &Pattern, then: Then<'_, 'a>) -> bool {
        match pattern {
            Pattern::Variable(variable) => {
                let row = self.row();
                if row == self.rows.end || !(self.holds)(*variable, row, &self.variables) {
                    return false;
                }
                self.variables.push(*variable);
                then(self) || {
                    self.variables.pop();
                    false
                }
            }
            Pattern::Start => self.row() == self.rows.start && then(self),
            Pattern::End => self.row() == self.rows.end && then(self),
            Pattern::Sequence(parts) => match parts.split_first() {
                None => then(self),
                Some((first, rest)) => {
                    let rest = Pattern::Sequence(rest.to_vec());
                    self.through(first, &mut |search| search.through(&rest, then))
                }
            },
            Pattern::Choice(ways) => ways.iter().any(|way| self.through(way, then)),
            Pattern::Repeat { inner, least, most, greedy } => self.repeated(inner, (*least, *most), *greedy, 0, then),
        }
    }

    fn repeated(
        &mut self,
        inner: &Pattern,
        (least, most): (u32, Option<u32>),
        greedy: bool,
        rounds: u32,
        then: Then<'_, 'a>,
    ) -> bool {
        let more = most.is_none_or(|most| rounds < most);
        let needed = rounds < least;
        if !needed && !more {
            return then(self);
        }
        if !needed && !greedy && then(self) {
            return true;
        }
        let from = self.row();
        let round = self.through(inner, &mut |search| {
            if most.is_none() && rounds + 1 >= least && search.row() == from {
                return then(search);
            }
            search.repeated(inner, (least, most), greedy, rounds + 1, then)
        });
        round || (!needed && greedy && then(self))
    }
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let leaf = prop_oneof![
        8 => (0..3_u16).prop_map(Pattern::Variable),
        1 => Just(Pattern::Start),
        1 => Just(Pattern::End),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let times = (0..3_u32, prop::option::of(0..3_u32), any::<bool>());
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Pattern::Sequence),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Pattern::Choice),
            (inner, times).prop_map(|(inner, (least, more, greedy))| {
                let most = more.map(|more| least + more);
                Pattern::Repeat { inner: Box::new(inner), least, most, greedy }
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_match_is_the_preferred_one(
        pattern in pattern(),
        table in prop::collection::vec(0..8_u8, 1..7),
        by_match in any::<bool>(),
    ) {
        // By match: a row is only met behind an even number of rows of the next variable.
        let holds = |variable: u16, row: usize, so_far: &[u16]| {
            let met = table[row] >> variable & 1 == 1;
            met && (!by_match || so_far.iter().filter(|&&it| it == (variable + 1) % 3).count() % 2 == 0)
        };
        let rows = 0..table.len();
        let mut expected = Vec::new();
        for start in rows.clone() {
            let mut search = Search { rows: rows.clone(), start, variables: Vec::new(), holds: &holds };
            if search.through(&pattern, &mut |_| true) {
                expected.push(spelled(SoFar { start, variables: &search.variables }));
            }
        }
        let program = Program::new(&pattern, 100_000, 1_000_000).unwrap();
        for by_row in [false, true] {
            if by_row && by_match {
                continue;
            }
            let mut found = Table { holds: &holds, found: Vec::new() };
            Matcher::new(&program, by_row).each(rows.clone(), Skip::ToNext, &mut found).unwrap();
            prop_assert_eq!(&found.found, &expected, "{:?}", pattern);
        }
    }
}
