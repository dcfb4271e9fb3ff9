//! The native relations against two other ways to the same numbers: plain SQL windows over `events`, and a naive
//! program. Random events with equal times, midnights, session ids and closing events.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use journeyql::engine::Engine;
use proptest::prelude::*;

use crate::stage::{Stage, cases, rows, wait};

/// Minutes after 2025-10-01T22:00Z, person, label, session id.
pub type Hit = (u32, u8, u8, u8);

const LABELS: [&str; 5] = ["/a", "/b", "/c", "logout", "view"];

fn lines(hits: &[Hit]) -> String {
    let mut text = String::new();
    for &(minute, person, label, session) in hits {
        let ts = 1_759_356_000 + i64::from(minute) * 60;
        let _ = write!(text, r#"{{"ts":{ts},"user_id":"u{person}""#);
        match LABELS[usize::from(label) % LABELS.len()] {
            "view" => text.push_str(r#","event":"page_view","page":"/v""#),
            page if page.starts_with('/') => {
                let _ = write!(text, r#","page":"{page}""#);
            }
            event => {
                let _ = write!(text, r#","event":"{event}","page":"/x""#);
            }
        }
        if session > 1 {
            let _ = write!(text, r#","session_id":"s{session}""#);
        }
        text.push_str("}\n");
    }
    text
}

/// What decides sessions and steps.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub gap_minutes: i64,
    pub collapse: bool,
    pub honour: bool,
    pub end_events: bool,
}

/// (person, session start, step index, label, ts, last ts, repeats) as text.
pub type Step = Vec<String>;

pub fn native(engine: &Engine) -> Vec<Step> {
    let sql = "SELECT user_id, session_start, step_index, step, ts, last_ts, repeats FROM steps";
    sorted(wait(rows(engine, sql)).unwrap())
}

pub fn sorted(mut steps: Vec<Step>) -> Vec<Step> {
    steps.sort();
    steps
}

/// The definition in plain SQL: LAG for the gaps, COUNT for the numbers, the same again for repeats.
fn plain(engine: &Engine, rules: Rules) -> Vec<Step> {
    let who = if rules.honour { "user_id, source_session_id" } else { "user_id" };
    let order = "ts, source_id, source_offset, event_id";
    let closes = if rules.end_events { "lag(label) OVER w = 'logout'" } else { "false" };
    let repeats = if rules.collapse { "lag(label) OVER s IS DISTINCT FROM label" } else { "true" };
    let gap = rules.gap_minutes;
    let sql = format!(
        "WITH labelled AS (
            SELECT *, CASE WHEN event IS NULL OR event = 'page_view' THEN page ELSE event END AS label
            FROM events WHERE is_step
        ),
        marked AS (
            SELECT *, coalesce(ts - lag(ts) OVER w > INTERVAL '{gap} minutes', true) OR coalesce({closes}, false) AS begins
            FROM labelled WINDOW w AS (PARTITION BY {who} ORDER BY {order})
        ),
        numbered AS (
            SELECT *, count(CASE WHEN begins THEN 1 END) OVER (PARTITION BY {who} ORDER BY {order}) AS session
            FROM marked
        ),
        stepped AS (
            SELECT *, min(ts) OVER (PARTITION BY {who}, session) AS session_start,
                CASE WHEN lag(ts) OVER s IS NULL OR {repeats} THEN 1 END AS is_step_start
            FROM numbered WINDOW s AS (PARTITION BY {who}, session ORDER BY {order})
        ),
        counted AS (
            SELECT *, count(is_step_start) OVER (PARTITION BY {who}, session ORDER BY {order}) AS step_index FROM stepped
        )
        SELECT user_id, session_start, step_index, min(label), min(ts), max(ts), count(*)
        FROM counted GROUP BY {who}, session, session_start, step_index"
    );
    sorted(wait(rows(engine, &sql)).unwrap())
}

/// The definition as a program: a list per person and session id, walked once.
pub fn naive(engine: &Engine, rules: Rules) -> Vec<Step> {
    let sql = "SELECT user_id, source_session_id, CAST(extract(epoch FROM ts) AS BIGINT) / 60, ts,
            CASE WHEN event IS NULL OR event = 'page_view' THEN page ELSE event END
        FROM events WHERE is_step ORDER BY user_id, ts, source_id, source_offset";
    // Minute, time and label of the hits, by person and session id.
    let mut streams = BTreeMap::<_, Vec<_>>::new();
    for row in wait(rows(engine, sql)).unwrap() {
        let [user, session, minute, ts, label] = <[String; 5]>::try_from(row).unwrap();
        let session = if rules.honour { session } else { String::new() };
        streams.entry((user, session)).or_default().push((minute.parse().unwrap(), ts, label));
    }
    let mut steps: Vec<Step> = Vec::new();
    for ((user, _), hits) in streams {
        let mut last: Option<(i64, String)> = None;
        let (mut start, mut index) = (String::new(), 0);
        for (minute, ts, label) in hits {
            let begins = last.as_ref().is_none_or(|(before, text)| {
                minute - before > rules.gap_minutes || (rules.end_events && text == "logout")
            });
            if begins {
                (start, index) = (ts.clone(), 0);
            }
            let repeats = !begins && rules.collapse && last.as_ref().is_some_and(|(_, text)| *text == label);
            if repeats {
                let step = steps.last_mut().unwrap();
                step[5].clone_from(&ts);
                step[6] = (step[6].parse::<u32>().unwrap() + 1).to_string();
            } else {
                index += 1;
                let text = index.to_string();
                steps.push(vec![user.clone(), start.clone(), text, label.clone(), ts.clone(), ts, "1".to_owned()]);
            }
            last = Some((minute, label));
        }
    }
    sorted(steps)
}

pub fn stage(rules: Rules, files: &[&[Hit]]) -> Stage {
    let ends = if rules.end_events { r#"["logout"]"# } else { "[]" };
    let source = if rules.honour { "honour" } else { "ignore" };
    let (gap, collapse) = (rules.gap_minutes, rules.collapse);
    let config = format!(
        "[session]\ngap = \"{gap} minutes\"\nend_events = {ends}\nsource_ids = \"{source}\"\n[journey]\ncollapse = {collapse}"
    );
    let texts: Vec<String> = files.iter().map(|hits| lines(hits)).filter(|text| !text.is_empty()).collect();
    Stage::new(&config, &texts.iter().map(String::as_str).collect::<Vec<_>>())
}

pub fn hits() -> impl Strategy<Value = Vec<Hit>> {
    // Few people, labels and minutes: equal times, equal gaps, repeats and midnights are common.
    prop::collection::vec((0u32..400, 0u8..3, 0u8..5, 0u8..4), 1..60)
}

pub fn rules() -> impl Strategy<Value = Rules> {
    (prop::sample::select(vec![0i64, 1, 30, 90]), any::<bool>(), any::<bool>(), any::<bool>())
        .prop_map(|(gap_minutes, collapse, honour, end_events)| Rules { gap_minutes, collapse, honour, end_events })
}

/// Aggregates that the rule knows, and some that it leaves alone.
const AGGREGATES: &[&str] = &[
    "SELECT from_step, to_step, count(*), count(DISTINCT session_id), count(DISTINCT user_id), median(gap_s), percentile_cont(gap_s, 0.95) FROM edges GROUP BY 1, 2",
    "SELECT step, count(*), count(dwell_s), sum(repeats), avg(dwell_s), min(dwell_s), max(ts), count(*) FILTER (WHERE is_exit), median(dwell_s) FILTER (WHERE repeats > 1) FROM steps WHERE step_index < 4 GROUP BY step",
    "SELECT path, count(*), count(DISTINCT user_id), sum(duration_s) FROM journeys GROUP BY path",
    "SELECT path_id, path, path_steps, truncated, count(*) FROM journeys WHERE steps > 1 GROUP BY 1, 2, 3, 4",
    "SELECT upper(path), count(*) FROM journeys WHERE path LIKE '/a%' GROUP BY 1",
    "SELECT count(*), sum(events), count(DISTINCT user_id), min(started_at), max(ended_at), median(duration_s) FROM sessions",
    "SELECT count(*), sum(events), min(started_at) FROM sessions WHERE depth > 1000",
    "SELECT is_bounce, depth, state, count(*), avg(duration_s) FROM sessions WHERE user_id <> 'u1' GROUP BY 1, 2, 3",
    "SELECT user_id, count(*), count(DISTINCT session_id) FROM steps GROUP BY user_id",
    "SELECT date_trunc('hour', ts), page, event, count(*) FROM steps GROUP BY 1, 2, 3",
    "SELECT coalesce(page, event), CASE WHEN is_entry THEN 1 END, count(*) FROM steps GROUP BY 1, 2",
    "SELECT step, count(DISTINCT session_id) FROM steps GROUP BY step",
    "SELECT step FROM steps GROUP BY step HAVING count(*) > 1",
    "SELECT step, count(DISTINCT prev_step), stddev(dwell_s) FROM steps GROUP BY step",
    "SELECT user_id, window_funnel(INTERVAL '1 hour', ts, step = '/a', step = '/b') AS a, window_funnel_events(INTERVAL '1 day', 'strict_order', ts, step = '/b', step <> '/b') AS b, avg(dwell_s) FROM steps GROUP BY user_id",
    "SELECT sequence_match('(?1).*(?2)', ts, step = '/a', step LIKE '%b') AS a, sequence_count('(?1)(?2)', ts, page = '/a', page IS NULL), sequence_match_events('(?2)', ts, is_exit, is_entry), count(*) FROM steps WHERE step > '/' GROUP BY session_id",
    "SELECT session_id, upper(step), max(step) FILTER (WHERE regexp_like(step, 'b$')), count(*) FILTER (WHERE is_exit OR page = '/a') FROM steps GROUP BY session_id, upper(step)",
    "SELECT user_id, session_start, page, sum(repeats), min(ts), count(prev_page) FROM steps WHERE coalesce(prev_page, '') <> '/b' GROUP BY 1, 2, 3",
    "SELECT user_id, state, count(*), sum(events) FROM sessions GROUP BY user_id, state",
    "SELECT DISTINCT user_id FROM edges WHERE to_step = 'EXIT'",
    "SELECT * FROM loops",
    "SELECT * FROM abandoned_at_payment",
    "SELECT * FROM transitions",
    "SELECT * FROM top_paths",
    "SELECT * FROM drop_offs",
    "SELECT * FROM dwell",
    "SELECT * FROM flows",
    "SELECT * FROM stats",
];

fn both_ways(engine: &Engine, sql: &str) {
    let native = sorted(wait(rows(engine, sql)).unwrap_or_else(|error| panic!("{sql}\n{error}")));
    wait(rows(engine, "SET journeyql.native_aggregates = false")).unwrap();
    let theirs = sorted(wait(rows(engine, sql)).unwrap_or_else(|error| panic!("{sql}\n{error}")));
    wait(rows(engine, "RESET journeyql.native_aggregates")).unwrap();
    assert_eq!(native, theirs, "{sql}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(12), ..ProptestConfig::default() })]

    #[test]
    fn native_steps_are_what_sql_and_a_naive_program_say(hits in hits(), more in hits(), rules in rules()) {
        let stage = stage(rules, &[&hits, &more]);
        let engine = stage.engine();
        let native = native(&engine);
        prop_assert_eq!(&native, &naive(&engine, rules), "naive");
        prop_assert_eq!(&native, &plain(&engine, rules), "plain SQL");
        let broken = wait(rows(&engine, "SELECT name, expected, actual FROM invariants WHERE NOT ok")).unwrap();
        prop_assert_eq!(broken, Vec::<Vec<String>>::new());
    }

    #[test]
    fn aggregates_inside_the_pass_are_those_outside(hits in hits(), rules in rules(), path_steps in 0u8..4) {
        let stage = stage(rules, &[&hits]);
        let engine = stage.engine();
        wait(rows(&engine, &format!("SET journeyql.path_steps = {path_steps}"))).unwrap();
        for sql in AGGREGATES {
            both_ways(&engine, sql);
        }
    }
}

/// A table of many people: several readers, several batches, several parts of one day.
#[test]
fn many_readers_agree_with_one() {
    let mut hits: Vec<Hit> = Vec::new();
    for number in 0..40_000u32 {
        let byte = |shift: u32| u8::try_from(number.wrapping_mul(2_654_435_761) >> shift & 0xff).unwrap();
        hits.push((u32::from(byte(3)) + u32::from(byte(11)), byte(20), byte(7), byte(15) % 3));
    }
    let rules = Rules { gap_minutes: 30, collapse: true, honour: true, end_events: false };
    let (one, other) = hits.split_at(25_000);
    let stage = stage(rules, &[one, other]);
    let engine = stage.engine();
    assert_eq!(native(&engine), naive(&engine, rules));
    for sql in AGGREGATES {
        both_ways(&engine, sql);
    }
}

#[test]
fn the_plan_says_what_runs_inside_the_pass() {
    let stage = Stage::new("", &[&lines(&[(0, 0, 0, 0)])]);
    let engine = stage.engine();
    let plan = |sql: &str| {
        let rows = wait(rows(&engine, &format!("EXPLAIN {sql}"))).unwrap();
        rows.concat().join("\n")
    };
    for sql in &AGGREGATES[..4] {
        assert!(plan(sql).contains("FusedAggregateExec"), "{}", plan(sql));
    }
    for sql in ["SELECT user_id, window_funnel(9, ts, step = '/') FROM steps GROUP BY 1", "SELECT * FROM loops"] {
        assert!(plan(sql).contains("PersonAggregateExec"), "{}", plan(sql));
    }
    assert!(plan("SELECT path, count(*) FROM journeys GROUP BY path").contains("#path"));
    assert!(plan("SELECT count(DISTINCT prev_step) FROM steps").contains("AggregateExec: mode"));
    assert!(plan("SELECT upper(path), count(*) FROM journeys GROUP BY 1").contains("FusedAggregateExec"));
}
