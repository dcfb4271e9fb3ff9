//! What differs between two texts, as `diff -u` shows it.

use std::fmt::Write as _;

/// Lines of context around a change.
const CONTEXT: usize = 3;
/// Cells of the table of common lines, at most; beyond it the middle is shown as replaced.
const CELLS: usize = 4_000_000;

/// A line of one of the texts or of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Both,
    Old,
    New,
}

/// The hunks; empty where the texts are equal.
pub(super) fn unified(old: &[String], new: &[String]) -> String {
    let script = script(old, new);
    let changes: Vec<usize> = (0..script.len()).filter(|&at| script[at] != Line::Both).collect();
    let mut text = String::new();
    for hunk in changes.chunk_by(|a, b| b - a <= 2 * CONTEXT) {
        let (from, to) = (hunk[0].saturating_sub(CONTEXT), (hunk[hunk.len() - 1] + CONTEXT + 1).min(script.len()));
        let count = |part: &[Line], other: Line| part.iter().filter(|line| **line != other).count();
        let (before, inside) = (&script[..from], &script[from..to]);
        let (mut at, mut into) = (count(before, Line::New), count(before, Line::Old));
        let range = |start: usize, count: usize| format!("{},{count}", start + usize::from(count > 0));
        let (was, is) = (range(at, count(inside, Line::New)), range(into, count(inside, Line::Old)));
        // Writing to a String cannot fail.
        _ = writeln!(text, "@@ -{was} +{is} @@");
        for line in inside {
            let (mark, shown) = match line {
                Line::Both => (' ', &old[at]),
                Line::Old => ('-', &old[at]),
                Line::New => ('+', &new[into]),
            };
            _ = writeln!(text, "{mark}{shown}");
            at += usize::from(*line != Line::New);
            into += usize::from(*line != Line::Old);
        }
    }
    text
}

/// The lines of both texts in one row.
fn script(old: &[String], new: &[String]) -> Vec<Line> {
    let same = |(a, b): &(&String, &String)| a == b;
    let start = old.iter().zip(new).take_while(same).count();
    let (old, new) = (&old[start..], &new[start..]);
    let end = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    let mut script = vec![Line::Both; start];
    script.extend(middle(&old[..old.len() - end], &new[..new.len() - end]));
    script.extend(vec![Line::Both; end]);
    script
}

/// The longest common lines of two texts, and what is between them.
fn middle(old: &[String], new: &[String]) -> Vec<Line> {
    let (mut script, mut at, mut into) = (Vec::with_capacity(old.len() + new.len()), 0, 0);
    let width = new.len() + 1;
    if (old.len() + 1).saturating_mul(width) <= CELLS {
        // Common lines behind a place in each.
        let mut common = vec![0_u32; (old.len() + 1) * width];
        for a in (0..old.len()).rev() {
            for b in (0..new.len()).rev() {
                let (below, beside) = (common[(a + 1) * width + b], common[a * width + b + 1]);
                let both = common[(a + 1) * width + b + 1] + 1;
                common[a * width + b] = if old[a] == new[b] { both } else { below.max(beside) };
            }
        }
        while at < old.len() && into < new.len() {
            let line = if old[at] == new[into] {
                Line::Both
            } else if common[(at + 1) * width + into] >= common[at * width + into + 1] {
                Line::Old
            } else {
                Line::New
            };
            script.push(line);
            at += usize::from(line != Line::New);
            into += usize::from(line != Line::Old);
        }
    }
    script.extend(vec![Line::Old; old.len() - at]);
    script.extend(vec![Line::New; new.len() - into]);
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn changes_stand_among_their_neighbours() {
        assert_eq!(unified(&lines("a b"), &lines("a b")), "");
        let shown = unified(&lines("0 1 2 3 4 5 6 7 8 9 10 11 12 13"), &lines("0 1 2 3 x 5 6 7 8 9 10 11 12 13 14"));
        assert_eq!(shown, "@@ -2,7 +2,7 @@\n 1\n 2\n 3\n-4\n+x\n 5\n 6\n 7\n@@ -12,3 +12,4 @@\n 11\n 12\n 13\n+14\n");
        assert_eq!(unified(&[], &lines("a")), "@@ -0,0 +1,1 @@\n+a\n");
        assert_eq!(unified(&lines("a b c"), &lines("b")), "@@ -1,3 +1,1 @@\n-a\n b\n-c\n");
    }
}
