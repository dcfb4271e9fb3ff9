//! Pieces of a session's steps: what comes after a step, before it, between two, in place of one.
//!
//! A step is seen as the bits that it meets: bit 0 for the step that is asked about, bit 1 for the other one; for a
//! pattern its positions. Pieces of one session come in the order of their first step.

use std::ops::Range;

use super::path_match::Pattern;

/// Which pieces are cut out.
#[derive(Debug, Clone)]
pub enum Cut {
    /// A step and up to so many behind it.
    From(usize),
    /// A step and up to so many before it.
    To(usize),
    /// A step, the next one that meets the other bit, and what lies between.
    Between,
    /// The first step and up to so many behind it, of sessions in which the other one does not follow.
    Instead(usize),
    /// Every run of so many steps.
    Runs(usize),
    /// Matches of a pattern.
    Pattern(Pattern),
}

/// A piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub steps: Range<usize>,
    /// Whether it was to go on but the session begins here.
    pub starts: bool,
    /// Whether it was to go on but the session ends here.
    pub exits: bool,
}

impl Cut {
    /// Calls `visit` with the pieces of a session whose steps meet these bits: the first one, or with `every` all.
    /// Pieces between two steps and matches of a pattern do not overlap.
    pub fn each(&self, masks: &[u64], every: bool, mut visit: impl FnMut(Piece)) {
        let most = if every { usize::MAX } else { 1 };
        let count = masks.len();
        let is = |at: usize, bit: u32| masks[at] >> bit & 1 == 1;
        let asked = (0..count).filter(|&at| is(at, 0));
        let behind = |at: usize, steps: usize| {
            let end = at.saturating_add(steps).saturating_add(1);
            Piece { steps: at..end.min(count), starts: false, exits: end > count }
        };
        match self {
            Self::From(steps) => asked.take(most).for_each(|at| visit(behind(at, *steps))),
            Self::To(steps) => asked.take(most).for_each(|at| {
                visit(Piece { steps: at.saturating_sub(*steps)..at + 1, starts: *steps > at, exits: false });
            }),
            Self::Instead(steps) => {
                let first = asked.take(1).find(|&at| !(at + 1..count).any(|next| is(next, 1)));
                if let Some(at) = first {
                    visit(behind(at, *steps));
                }
            }
            Self::Runs(steps) => {
                for at in 0..(count + 1).saturating_sub(*steps) {
                    visit(Piece { steps: at..at + steps, starts: false, exits: false });
                }
            }
            Self::Between => {
                let mut from = 0;
                for _ in 0..most {
                    let at = (from..count).find(|&at| is(at, 0));
                    let Some((at, end)) = at.and_then(|at| Some((at, (at + 1..count).find(|&end| is(end, 1))?))) else {
                        return;
                    };
                    from = end + 1;
                    visit(Piece { steps: at..from, starts: false, exits: false });
                }
            }
            Self::Pattern(pattern) => {
                pattern.each(masks, most, |steps| visit(Piece { steps, starts: false, exits: false }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: u64 = 1;
    const B: u64 = 2;

    /// Pieces as text: `^` and `$` stand for a session's beginning and end.
    fn cut(cut: &Cut, masks: &[u64], every: bool) -> Vec<String> {
        let mut found = Vec::new();
        cut.each(masks, every, |piece| {
            let (start, exit) = (if piece.starts { "^" } else { "" }, if piece.exits { "$" } else { "" });
            found.push(format!("{start}{}..{}{exit}", piece.steps.start, piece.steps.end));
        });
        found
    }

    #[test]
    fn pieces_of_a_session() {
        let steps = [0, A, 0, A, B, 0, B];
        for (which, first, every) in [
            (Cut::From(2), vec!["1..4"], vec!["1..4", "3..6"]),
            (Cut::From(9), vec!["1..7$"], vec!["1..7$", "3..7$"]),
            (Cut::From(5), vec!["1..7"], vec!["1..7", "3..7$"]),
            (Cut::To(2), vec!["^0..2"], vec!["^0..2", "1..4"]),
            (Cut::To(1), vec!["0..2"], vec!["0..2", "2..4"]),
            (Cut::Between, vec!["1..5"], vec!["1..5"]),
            (Cut::Instead(1), vec![], vec![]),
            (Cut::Runs(6), vec!["0..6", "1..7"], vec!["0..6", "1..7"]),
            (Cut::Runs(8), vec![], vec![]),
        ] {
            assert_eq!(
                (cut(&which, &steps, false), cut(&which, &steps, true)),
                (to_text(&first), to_text(&every)),
                "{which:?}"
            );
        }
        assert_eq!(cut(&Cut::Instead(3), &[B, A, 0, A], false), ["1..4$"]);
        assert_eq!(cut(&Cut::Between, &[A | B, 0, A | B, A | B, A, B], true), ["0..3", "3..6"]);
    }

    fn to_text(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn matches_of_a_pattern_follow_each_other() {
        let pieces = |text: &str, every| {
            let pattern = Pattern::parse(text).unwrap();
            let masks: Vec<u64> = ["a", "b", "a", "a", "b"].iter().map(|step| pattern.mask(Some(step))).collect();
            cut(&Cut::Pattern(pattern), &masks, every)
        };
        assert_eq!(pieces("a -> b", true), ["0..2", "3..5"]);
        assert_eq!(pieces("a -> b", false), ["0..2"]);
        assert_eq!(pieces("^ a", true), ["0..1"]);
        assert_eq!(pieces("a -> .* -> b $", true), ["0..5"]);
    }
}
