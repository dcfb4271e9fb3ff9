//! The functions over pieces of sessions against a naive program over the paths of `journeys`, and against the views
//! that count the same.

use std::collections::{BTreeMap, BTreeSet};

use journeyql::engine::Engine;
use proptest::prelude::*;

use crate::native::{Hit, Rules, hits, rules, sorted, stage};
use crate::stage::{cases, rows, wait};

/// A session: whose it is, and its steps.
type Path = (String, Vec<String>);

fn paths(engine: &Engine) -> Vec<Path> {
    let found = wait(rows(engine, "SELECT user_id, array_to_string(pages, '|') FROM journeys")).unwrap();
    let steps = |text: &str| text.split('|').map(str::to_owned).collect();
    found.into_iter().map(|row| (row[0].clone(), steps(&row[1]))).collect()
}

/// Pieces as they are spelled, of one session: all, of which the first counts unless every one does.
type Cut = Box<dyn Fn(&[String]) -> Vec<Vec<String>>>;

fn places<'a>(steps: &'a [String], page: &'a str) -> impl Iterator<Item = usize> + 'a {
    (0..steps.len()).filter(move |&at| steps[at] == page)
}

fn from(steps: &[String], at: usize, n: usize) -> Vec<String> {
    let exit = (at + n + 1 > steps.len()).then(|| "EXIT".to_owned());
    steps[at..].iter().take(n + 1).cloned().chain(exit).collect()
}

/// A call, whether `every` is an option of it, and what it cuts.
fn calls() -> Vec<(&'static str, bool, Cut)> {
    let between = |steps: &[String]| {
        let (mut found, mut at) = (Vec::new(), 0);
        while let Some(first) = (at..steps.len()).find(|&at| steps[at] == "/a") {
            let Some(last) = (first + 1..steps.len()).find(|&at| steps[at] == "/b") else { break };
            found.push(steps[first..=last].to_vec());
            at = last + 1;
        }
        found
    };
    let to = |steps: &[String]| {
        let start = |at: usize| (at < 2).then(|| "START".to_owned());
        let piece = |at: usize| start(at).into_iter().chain(steps[at.saturating_sub(2)..=at].iter().cloned()).collect();
        places(steps, "/b").map(piece).collect()
    };
    let instead = |steps: &[String]| {
        let first = places(steps, "/a").next().filter(|&at| !steps[at + 1..].contains(&"/b".to_owned()));
        first.map(|at| from(steps, at, 2)).into_iter().collect()
    };
    vec![
        ("paths_from('/a', 1", true, Box::new(|steps| places(steps, "/a").map(|at| from(steps, at, 1)).collect())),
        (
            "paths_from(page = '/a', 3",
            true,
            Box::new(|steps| places(steps, "/a").map(|at| from(steps, at, 3)).collect()),
        ),
        ("paths_to('/b', 2", true, Box::new(to)),
        ("paths_between('/a', '/b'", true, Box::new(between)),
        ("path_match('/a -> [^/b]* -> /b'", true, Box::new(between)),
        ("paths_instead('/a', '/b', 2", false, Box::new(instead)),
    ]
}

/// Path, sessions, users, occurrences.
fn counted(paths: &[Path], cut: &Cut, every: bool) -> Vec<Vec<String>> {
    let mut all = BTreeMap::<String, (BTreeSet<usize>, BTreeSet<&str>, usize)>::new();
    for (session, (user, steps)) in paths.iter().enumerate() {
        for piece in cut(steps).into_iter().take(if every { usize::MAX } else { 1 }) {
            let count = all.entry(piece.join(" > ")).or_default();
            count.0.insert(session);
            count.1.insert(user);
            count.2 += 1;
        }
    }
    let row = |(path, count): (String, (BTreeSet<usize>, BTreeSet<&str>, usize))| {
        vec![path, count.0.len().to_string(), count.1.len().to_string(), count.2.to_string()]
    };
    sorted(all.into_iter().map(row).collect())
}

fn check(engine: &Engine) {
    let paths = paths(engine);
    for (call, has_every, cut) in calls() {
        for every in [false, true].into_iter().take(if has_every { 2 } else { 1 }) {
            let option = if every { ", every => true" } else { "" };
            let sql = format!("SELECT path, sessions, users, occurrences FROM {call}{option})");
            assert_eq!(sorted(wait(rows(engine, &sql)).unwrap()), counted(&paths, &cut, every), "{sql}");
        }
    }
    for (one, other) in [
        (
            "SELECT path, occurrences, sessions, users, median_duration_s FROM path_ngrams(2)",
            "SELECT from_step || ' > ' || to_step, transitions, sessions, users, median_s FROM transitions
                WHERE from_step <> 'START' AND to_step <> 'EXIT'",
        ),
        (
            "SELECT from_step, to_step, transitions_a, transitions_b, probability_a FROM diff_transitions(true, false)",
            "SELECT from_step, to_step, transitions, 0, probability FROM transitions",
        ),
        (
            "SELECT sum(transitions_a), sum(transitions_b) FROM diff_transitions(depth > 2)",
            "SELECT coalesce(sum(depth + 1) FILTER (WHERE depth > 2), 0), coalesce(sum(depth + 1) FILTER (WHERE depth <= 2), 0) FROM sessions",
        ),
        (
            "SELECT from_step, to_step, sessions, users FROM follows()",
            "SELECT a.step, b.step, count(DISTINCT a.session), count(DISTINCT a.user)
                FROM placed AS a JOIN placed AS b ON a.session = b.session AND a.step_index < b.step_index GROUP BY 1, 2",
        ),
        (
            "SELECT position, sum(sessions), sum(share) FROM step_matrix GROUP BY position",
            "SELECT DISTINCT step_index, (SELECT count(*) FROM sessions), 1 FROM steps WHERE step_index <= 6",
        ),
    ] {
        // As text: joins mix batches, whose codes say nothing to each other.
        let placed = "WITH placed AS (SELECT CAST(session_id AS VARCHAR) AS session, CAST(user_id AS VARCHAR) AS user, step_index, CAST(step AS VARCHAR) AS step FROM steps)";
        let answer = |sql: &str| {
            let sql = format!("{placed} {sql}");
            sorted(wait(rows(engine, &sql)).unwrap_or_else(|error| panic!("{sql}\n{error}")))
        };
        assert_eq!(answer(one), answer(other), "{one}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(12)) })]

    #[test]
    fn ways_equal_their_definitions(hits in hits(), rules in rules()) {
        check(&stage(rules, &[&hits]).engine());
    }
}

/// Several readers, each with codes of its own.
#[test]
fn many_readers_count_ways_like_one() {
    let mut hits: Vec<Hit> = Vec::new();
    for number in 0..70_000_u32 {
        let byte = |shift: u32| u8::try_from(number.wrapping_mul(2_654_435_761) >> shift & 0xff).unwrap();
        hits.push((u32::from(byte(3)) + u32::from(byte(11)), byte(20), byte(7), byte(15) % 3));
    }
    let rules = Rules { gap_minutes: 1, collapse: true, honour: true, end_events: true };
    check(&stage(rules, &[&hits]).engine());
}
