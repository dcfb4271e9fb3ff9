//! The table function over events on disk.

use proptest::prelude::*;

use super::super::fixture::{Events, Hit, run, stage};
use crate::engine::settings::Settings;
use crate::time::{HOUR, SECOND};

const MINUTE: i64 = 60 * SECOND;

fn at(hours: i64, minutes: i64) -> i64 {
    20_000 * 24 * HOUR + hours * HOUR + minutes * MINUTE
}

/// The units per step, as `3 2 1`.
fn units(hits: &[Hit], call: &str) -> String {
    column(hits, &Settings::default(), "units", call)
}

fn column(hits: &[Hit], settings: &Settings, column: &str, call: &str) -> String {
    let stage = stage(Events::new(hits), settings.clone());
    let table =
        run(&stage.context, &format!("SELECT {column} FROM {call}")).unwrap_or_else(|error| panic!("{call}: {error}"));
    let cells: Vec<&str> = table.lines().filter(|line| line.starts_with('|')).skip(1).collect();
    cells.iter().map(|line| line.trim_matches(['|', ' '])).collect::<Vec<_>>().join(" ")
}

fn error(call: &str) -> String {
    let stage = stage(Events::new(&[]), Settings::default());
    run(&stage.context, &format!("SELECT * FROM {call}")).unwrap_err()
}

fn v14() -> Vec<Hit> {
    [(1, 0, "A"), (1, 30, "A"), (1, 45, "B"), (2, 15, "C")].map(|(h, m, page)| Hit::page("u", at(h, m), page)).into()
}

#[test]
fn v14_every_entry_is_tried_unless_only_the_first_is_asked_for() {
    assert_eq!(units(&v14(), "funnel('A', 'B', 'C', window => INTERVAL '60 minutes')"), "1 1 1");
    let first = "funnel('A', 'B', 'C', window => INTERVAL '60 minutes', entry => 'first')";
    assert_eq!(units(&v14(), first), "1 1 0");
    let every = Settings::default();
    assert_eq!(column(&v14(), &every, "ttc_median_s", "funnel('A', 'B', 'C', window => '1 hour')"), " 900.0 1800.0");
    let total = "funnel('A', 'B', 'C', window => '1 hour', ttc => 'entry')";
    assert_eq!(column(&v14(), &every, "ttc_median_s", total), " 900.0 2700.0");
}

#[test]
fn v15_a_step_never_seen_and_no_events_at_all() {
    let hits = v14();
    assert_eq!(units(&hits, "funnel('A', 'Z')"), "1 0");
    let warning = column(&hits, &Settings::default(), "coalesce(warning, '-')", "funnel('A', 'Z')");
    assert_eq!(warning, "- no event meets this step – did you mean 'A'?");
    assert_eq!(units(&[], "funnel('A', 'B', 'C')"), "0 0 0");
    assert_eq!(
        column(&[], &Settings::default(), "conversion_prev + drop_off_rate + lo + hi", "funnel('A', 'B')"),
        "0.0 0.0"
    );
}

#[test]
fn v19_one_event_fills_one_step() {
    let hits = [Hit::page("u", at(1, 0), "A")];
    assert_eq!(units(&hits, "funnel(page = 'A', page LIKE 'A%')"), "1 0");
}

#[test]
fn v20_an_event_exactly_at_the_end_of_the_window_counts() {
    let late = |extra| [Hit::page("u", at(0, 0), "A"), Hit::page("u", at(1, 0) + extra, "B")];
    assert_eq!(units(&late(0), "funnel('A', 'B', window => INTERVAL '1 hour')"), "1 1");
    assert_eq!(units(&late(1), "funnel('A', 'B', window => INTERVAL '1 hour')"), "1 0");
    assert_eq!(units(&late(0), "funnel('A', 'B', window => 3600)"), "1 1");
}

#[test]
fn equal_times_keep_file_order_unless_any_order_counts() {
    let hits = [Hit::page("u", at(1, 0), "B"), Hit::page("u", at(1, 0), "A")];
    assert_eq!(units(&hits, "funnel('A', 'B')"), "1 0");
    assert_eq!(units(&hits, "funnel('A', 'B', ties => 'any')"), "1 1");
}

#[test]
fn a_session_is_a_unit_and_its_own_window() {
    let hits = [(0, 0, "A"), (0, 20, "B"), (2, 0, "A"), (3, 0, "B"), (5, 0, "A")]
        .map(|(h, m, page)| Hit::page("u", at(h, m), page));
    assert_eq!(units(&hits, "funnel('A', 'B', unit => 'session')"), "3 1");
    assert_eq!(units(&hits, "funnel('A', 'B', unit => session, window => INTERVAL '5 minutes')"), "3 0");
    // Only the last session may still go on, and it has not been to B.
    assert_eq!(column(&hits, &Settings::default(), "in_progress", "funnel('A', 'B', unit => 'session')"), "0 1");
}

#[test]
fn units_inside_their_window_are_in_progress() {
    let hits = [
        Hit::page("a", at(0, 0), "A"),
        Hit::page("b", at(40, 0), "A"),
        Hit::page("b", at(41, 0), "B"),
        Hit::page("c", at(48, 0), "X"),
    ];
    let call = "funnel('A', 'B', 'C', window => INTERVAL '10 hours')";
    assert_eq!(column(&hits, &Settings::default(), "in_progress", call), "0 0 1");
    let later = Settings { now: Some(at(50, 1)), ..Settings::default() };
    assert_eq!(column(&hits, &later, "in_progress", call), "0 0 0");
}

#[test]
fn settings_are_obeyed_when_the_table_is_read() {
    let mut hits = v14();
    hits.push(Hit::page("v", at(30, 0), "A"));
    let call = "funnel('A', 'B')";
    assert_eq!(units(&hits, call), "2 1");
    let only =
        |from, to, user: Option<&str>| Settings { from, to, user: user.map(str::to_owned), ..Settings::default() };
    assert_eq!(column(&hits, &only(None, None, Some("v")), "units", call), "1 0");
    assert_eq!(column(&hits, &only(Some(at(24, 0)), None, None), "units", call), "1 0");
    // The session from 1:00 ends before 1:30, so that B's session (1:30–2:15) begins inside the range and A's first does not.
    assert_eq!(column(&hits, &only(Some(at(1, 10)), Some(at(2, 0)), None), "units", call), "0 0");
}

#[test]
fn conditions_of_every_kind_mean_the_same() {
    let hits = v14();
    for steps in [
        "'A', 'B', 'C'",
        "['A', 'B', 'C']",
        "page = 'A', page IN ('B', 'X'), page LIKE 'C%'",
        "step = 'A', steps.step = 'B', page = 'C' AND status < 400",
        "step = 'A' AND user_id = 'u', coalesce(event, page) = 'B', page = 'C' OR method = 'PUT'",
    ] {
        assert_eq!(units(&hits, &format!("funnel({steps})")), "1 1 1", "{steps}");
    }
    assert_eq!(
        column(&hits, &Settings::default(), "step", "funnel('A', page = 'B' AND status < 400)"),
        "A page = 'B' AND status < 400"
    );
}

#[test]
fn what_is_refused_and_how() {
    for (call, why) in [
        ("funnel()", "at least one step"),
        ("funnel('A', windw => INTERVAL '1 day')", "unknown option 'windw' – did you mean 'window'?"),
        ("funnel('A', window => INTERVAL '1 month')", "no fixed length"),
        ("funnel('A', window => INTERVAL '-1 day')", "negative"),
        ("funnel('A', unit => 'visit')", "option 'unit' is 'user', 'session' or 'attempt', not 'visit'"),
        ("funnel('A', mode => ['unordered', 'strict_order'])", "no other mode beside it but 'strict_once'"),
        ("funnel('A', mode => 'strikt')", "unknown mode"),
        ("funnel('A', (SELECT 'B'))", "subquery"),
        ("funnel('A', page IN (SELECT 'B'))", "subquery"),
        ("funnel('A', count(*) > 1)", "aggregate"),
        ("funnel('A', 5)", "step 2 must be a label in quotes or a condition"),
        ("funnel('A', pge = 'B')", "pge"),
        ("funnel('A', unit => 'user', unit => 'user')", "given twice"),
    ] {
        let message = error(call);
        assert!(message.contains(why), "{call}: {message}");
    }
    let many = vec!["'A'"; 65].join(", ");
    assert!(error(&format!("funnel({many})")).contains("at most 64"));
}

#[test]
fn a_funnel_is_a_table_like_any_other() {
    let hits = v14();
    let joined = "(SELECT a.units FROM funnel('A', 'B') AS a JOIN funnel('A', 'Z') AS b ON a.step_no = b.step_no \
                  WHERE b.units = 0) AS j";
    assert_eq!(units(&hits, joined), "1");
}

/// Every session of every person by a plain loop: the longest chain of steps in file order.
fn naive(hits: &[Hit], steps: &[&str], window: i64, by_session: bool) -> Vec<usize> {
    let mut users: Vec<&str> = hits.iter().map(|hit| hit.user.as_str()).collect();
    users.sort_unstable();
    users.dedup();
    let mut reached = vec![0; steps.len()];
    for user in users {
        let mut of_user: Vec<(usize, &Hit)> = hits.iter().enumerate().filter(|(_, hit)| hit.user == user).collect();
        of_user.sort_by_key(|(no, hit)| (hit.ts, *no));
        let mut units: Vec<Vec<&Hit>> = vec![Vec::new()];
        let mut last: std::collections::HashMap<Option<&String>, (i64, usize)> = std::collections::HashMap::new();
        for (_, hit) in of_user {
            if !by_session {
                units[0].push(hit);
                continue;
            }
            let session = match last.get(&hit.session.as_ref()) {
                Some((ts, session)) if hit.ts - ts <= 30 * MINUTE => *session,
                _ => units.len(),
            };
            if session == units.len() {
                units.push(Vec::new());
            }
            units[session].push(hit);
            last.insert(hit.session.as_ref(), (hit.ts, session));
        }
        for unit in units {
            let best = (0..unit.len()).map(|from| greedy(&unit[from..], steps, window)).max().unwrap_or(0);
            reached.iter_mut().take(best).for_each(|count| *count += 1);
        }
    }
    reached
}

fn greedy(unit: &[&Hit], steps: &[&str], window: i64) -> usize {
    let mut level = 0;
    for hit in unit {
        if hit.ts - unit[0].ts <= window && steps.get(level) == hit.page.as_deref().as_ref() {
            level += 1;
        } else if level == 0 {
            return 0;
        }
    }
    level
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn the_pass_equals_a_plain_loop(
        hits in proptest::collection::vec((0_u8..4, 0_i64..300, 0_usize..4, 0_u8..3), 0..60),
        window in 0_i64..200,
    ) {
        let hits: Vec<Hit> = hits
            .into_iter()
            .map(|(user, minute, page, session)| Hit {
                user: format!("u{user}"),
                // Across midnight, so that several days are merged.
                ts: at(22, minute * 2),
                page: Some(["A", "B", "C", "D"][page].to_owned()),
                event: None,
                session: (session > 0).then(|| session.to_string()),
            })
            .collect();
        let text = |counts: Vec<usize>| counts.iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
        let (steps, minutes) = (["A", "B", "C"], window * 2);
        let call = format!("funnel('A', page = 'B', 'C', window => INTERVAL '{minutes} minutes')");
        prop_assert_eq!(units(&hits, &call), text(naive(&hits, &steps, minutes * MINUTE, false)));
        let call = format!("funnel('A', page = 'B', 'C', unit => 'session', window => INTERVAL '{minutes} minutes')");
        prop_assert_eq!(units(&hits, &call), text(naive(&hits, &steps, minutes * MINUTE, true)));
        // A range that holds everything takes the way over sessions and comes to the same.
        let all = Settings { from: Some(0), ..Settings::default() };
        let call = format!("funnel('A', page = 'B', 'C', window => INTERVAL '{minutes} minutes')");
        prop_assert_eq!(column(&hits, &all, "units", &call), text(naive(&hits, &steps, minutes * MINUTE, false)));
    }
}
