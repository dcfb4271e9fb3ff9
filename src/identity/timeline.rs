//! A device's time: who was logged in on it, and whose its anonymous events are (SEMANTICS §7.2).
//!
//! ```text
//! facts    ── u1 ── u1 ──── out ─────────── u2 ── u2 ──────      an event of a user on the device, or a log-out
//! runs     [u1    u1]      [out]           [u2   u2]             what lies between two facts of one run is of one mind
//! spans    ◄─────── u1 ───────►◄──────────────── u2 ─────►      anonymous events before a login are of who logs in next
//! ```
//!
//! Invariants: runs and spans are functions of the facts' times, never of their arrival; at one time a login comes
//! before a log-out, and users come in order of their ids.

/// A stretch of a device's time in which nothing but one user, or nothing but log-outs, was seen on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run<S = String> {
    /// Time of the first fact, µs.
    pub first: i64,
    /// A log-out; `user` is empty then.
    pub out: bool,
    pub user: S,
    /// Time of the last fact, µs.
    pub last: i64,
}

impl<S: PartialEq> Run<S> {
    fn same(&self, other: &Self) -> bool {
        (self.out, &self.user) == (other.out, &other.user)
    }
}

/// Appends a run that comes after all of `runs`.
pub fn append(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        Some(before) if before.same(&run) => before.last = before.last.max(run.last),
        _ => runs.push(run),
    }
}

/// The runs of both together; `None` where facts of one lie between facts of a run of the other, so that only all
/// facts can tell.
#[must_use]
pub fn join(mut runs: Vec<Run>) -> Option<Vec<Run>> {
    runs.sort_unstable();
    let mut joined: Vec<Run> = Vec::with_capacity(runs.len());
    for run in runs {
        // Facts of one time are in order too: logins by user, then log-outs.
        let ends_before = |before: &Run| (before.last, before.out, &before.user) < (run.first, run.out, &run.user);
        if joined.last().is_some_and(|before| !before.same(&run) && !ends_before(before)) {
            return None;
        }
        append(&mut joined, run);
    }
    Some(joined)
}

/// Whose the anonymous events of a device are in `from <= ts < to`, µs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span<'a> {
    pub from: i64,
    pub to: i64,
    pub user: &'a str,
    /// When the user was first seen on it in this span, µs.
    pub since: i64,
}

/// Adds the spans of a device, ascending; what lies in none stays anonymous.
pub fn spans<'a>(runs: impl IntoIterator<Item = Run<&'a str>>, spans: &mut Vec<Span<'a>>) {
    let (before, mut from) = (spans.len(), i64::MIN);
    let mut push = |span: Span<'a>| match spans[before..].last_mut() {
        Some(last) if last.user == span.user && last.to == span.from => last.to = span.to,
        _ if span.from < span.to => spans.push(span),
        _ => {}
    };
    let mut open: Option<Span<'a>> = None;
    for run in runs {
        match open {
            Some(span) if run.out => {
                from = run.first.saturating_add(1);
                push(Span { to: from, ..span });
                open = None;
            }
            Some(span) if span.user != run.user => {
                push(Span { to: run.first, ..span });
                open = Some(Span { from: run.first, to: i64::MAX, user: run.user, since: run.first });
            }
            None if !run.out => open = Some(Span { from, to: i64::MAX, user: run.user, since: run.first }),
            _ => {}
        }
    }
    if let Some(span) = open {
        push(span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(user: &str, first: i64, last: i64) -> Run {
        Run { first, out: user.is_empty(), user: user.to_owned(), last }
    }

    fn told(runs: &[Run]) -> Vec<(i64, i64, &str)> {
        // What is there of another device stays as it is.
        let other = Span { from: 0, to: i64::MIN, user: "u1", since: 0 };
        let mut all = vec![other];
        spans(
            runs.iter().map(|run| Run { first: run.first, out: run.out, user: &*run.user, last: run.last }),
            &mut all,
        );
        assert_eq!(all.remove(0), other);
        all.into_iter().map(|span| (span.from, span.to, span.user)).collect()
    }

    #[test]
    fn one_user_owns_the_whole_device() {
        assert_eq!(told(&[run("u1", 5, 9)]), [(i64::MIN, i64::MAX, "u1")]);
        assert_eq!(told(&[]), []);
    }

    #[test]
    fn after_a_log_out_the_next_user_counts() {
        let runs = [run("u1", 5, 9), run("", 10, 12), run("u2", 20, 20)];
        assert_eq!(told(&runs), [(i64::MIN, 11, "u1"), (11, i64::MAX, "u2")]);
        assert_eq!(told(&runs[..2]), [(i64::MIN, 11, "u1")], "nobody logs in again");
        assert_eq!(told(&runs[1..]), [(i64::MIN, i64::MAX, "u2")], "a log-out of nobody");
        let again = [run("u1", 5, 9), run("", 10, 12), run("u1", 20, 20)];
        assert_eq!(told(&again), [(i64::MIN, i64::MAX, "u1")]);
    }

    #[test]
    fn without_a_log_out_the_latest_user_counts() {
        let runs = [run("u1", 5, 9), run("u2", 20, 20), run("u1", 30, 30)];
        assert_eq!(told(&runs), [(i64::MIN, 20, "u1"), (20, 30, "u2"), (30, i64::MAX, "u1")]);
    }

    #[test]
    fn runs_join_unless_they_interleave() {
        assert_eq!(join(vec![run("u1", 5, 9), run("u1", 1, 3)]), Some(vec![run("u1", 1, 9)]));
        assert_eq!(join(vec![run("u2", 10, 11), run("u1", 5, 9)]), Some(vec![run("u1", 5, 9), run("u2", 10, 11)]));
        assert_eq!(join(vec![run("u1", 5, 9), run("u2", 7, 7)]), None);
        let leaves = vec![run("u1", 5, 9), run("", 9, 9)];
        assert_eq!(join(leaves.clone()), Some(leaves), "a log-out of a user is a login before it");
        assert_eq!(join(vec![run("u2", 5, 9), run("u1", 9, 9)]), None, "u1 comes between two facts of u2");
    }
}
