//! Cursors: DECLARE begins a query, FETCH takes rows of it, forwards only.

use super::command::Words;

/// FETCH or MOVE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fetch {
    pub(super) cursor: String,
    /// How many rows; the rest where there is none.
    pub(super) count: Option<usize>,
    /// MOVE: they are not sent.
    pub(super) silent: bool,
    /// Where it would go back.
    pub(super) backward: bool,
}

impl Fetch {
    /// `[direction] [FROM | IN] name`
    pub(super) fn read(words: &mut Words<'_>, silent: bool) -> Option<Self> {
        let mut all: Vec<&str> = std::iter::from_fn(|| words.next()).collect();
        let cursor = super::command::unquoted(all.pop()?);
        if all.last().is_some_and(|word| word.eq_ignore_ascii_case("from") || word.eq_ignore_ascii_case("in")) {
            all.pop();
        }
        let way = all.iter().map(|word| word.to_ascii_uppercase()).collect::<Vec<_>>();
        let way: Vec<&str> = way.iter().map(String::as_str).collect();
        let (count, backward) = match way.as_slice() {
            [] | ["NEXT" | "FORWARD"] => (Some(1), false),
            ["ALL"] | ["FORWARD", "ALL"] => (None, false),
            [number] | ["FORWARD" | "RELATIVE", number] if number.parse::<usize>().is_ok() => {
                (number.parse().ok(), false)
            }
            _ => (Some(0), true),
        };
        Some(Self { cursor, count, silent, backward })
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::Command;

    #[test]
    fn directions_are_read() {
        for (sql, count, backward) in [
            ("FETCH c", Some(1), false),
            ("FETCH FORWARD 100 FROM \"c\"", Some(100), false),
            ("FETCH 5 IN c", Some(5), false),
            ("FETCH ALL FROM c", None, false),
            ("FETCH FORWARD ALL FROM c", None, false),
            ("FETCH PRIOR FROM c", Some(0), true),
            ("FETCH ABSOLUTE 3 FROM c", Some(0), true),
            ("FETCH -1 FROM c", Some(0), true),
        ] {
            let Command::Fetch(fetch) = Command::read(sql) else { panic!("{sql}") };
            assert_eq!((fetch.cursor.as_str(), fetch.count, fetch.backward), ("c", count, backward), "{sql}");
        }
    }
}
