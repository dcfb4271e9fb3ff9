//! More days than parts may be open, and reports over a few of them.

use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use journeyql::engine::Engine;

use crate::native::{Hit, Rules, naive, native, sorted, stage};
use crate::stage::{Stage, rows, wait};

const DAY: u32 = 1_440;
const DAYS: u32 = 90;

fn byte(number: u32) -> u8 {
    u8::try_from(number).unwrap()
}

/// Ninety days: one person who never rests, and others who come now and then, also about midnight.
fn hits() -> Vec<Hit> {
    let mut hits: Vec<Hit> = (0..DAYS * DAY / 25).map(|at| (at * 25, 0, byte(at % 3), 0)).collect();
    let mut seed = 7_u32;
    for person in 1..12 {
        let mut minute = 0;
        while minute < DAYS * DAY {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (label, session) = (byte(seed >> 20 & 255) % 5, byte(seed >> 9 & 3));
            hits.push((minute, person, label, session));
            minute += if seed >> 28 < 12 { seed >> 8 & 31 } else { seed >> 8 & 2_047 };
        }
    }
    hits
}

fn store(honour: bool) -> (Stage, Rules) {
    let rules = Rules { gap_minutes: 30, collapse: true, honour, end_events: true };
    // Ten of the days come in two parts.
    let (early, late): (Vec<Hit>, Vec<Hit>) =
        hits().into_iter().partition(|hit| hit.0 % 7 < 5 || !(hit.0 / DAY).is_multiple_of(9));
    (stage(rules, &[&early, &late]), rules)
}

#[test]
fn more_days_than_open_parts_give_the_same_steps() {
    for honour in [true, false] {
        let (stage, rules) = store(honour);
        let engine = stage.engine();
        assert!(engine.source().parts().len() > journeyql::limits::OPEN_PARTS);
        assert_eq!(native(&engine), naive(&engine, rules));
    }
}

fn select(engine: &Engine, sql: &str) -> Vec<Vec<String>> {
    sorted(wait(rows(engine, sql)).unwrap_or_else(|error| panic!("{sql}\n{error}")))
}

/// What a report over a range must be: the whole, cut by the start of sessions.
fn check_range(engine: &Engine, whole: &[Vec<String>], from: &str, to: &str) {
    let sql = "SELECT started_at AS begun, * FROM sessions";
    wait(rows(engine, &format!("SET journeyql.from = '{from}'; SET journeyql.to = '{to}'"))).unwrap();
    let wanted: Vec<_> = whole.iter().filter(|row| row[0].as_str() >= from && row[0].as_str() < to).cloned().collect();
    assert!(select(engine, sql) == wanted, "sessions from {from} to {to}");
    let units = |sql: &str| select(engine, sql)[0][0].parse::<usize>().unwrap();
    let sessions = "SELECT units FROM funnel(ts IS NOT NULL, unit => 'session') LIMIT 1";
    assert_eq!(units(sessions), wanted.len(), "funnel from {from} to {to}");
    wait(rows(engine, "RESET journeyql.from; RESET journeyql.to")).unwrap();
    let filtered = format!("{sql} WHERE started_at >= TIMESTAMP '{from}' AND started_at < TIMESTAMP '{to}'");
    assert!(select(engine, &filtered) == wanted, "{filtered}");
}

/// A session that begins in the range is whole, however far it runs on; days that nobody runs into are not read.
#[test]
fn a_range_is_the_whole_cut_by_the_start_of_sessions() {
    for honour in [true, false] {
        let (stage, _) = store(honour);
        let engine = stage.engine();
        let whole = select(&engine, "SELECT started_at AS begun, * FROM sessions");
        for (from, to) in [
            ("2025-10-01", "2025-10-02"),
            ("2025-10-03", "2025-10-03T23:50:00Z"),
            ("2025-10-20T12:00:00Z", "2025-11-20"),
            ("2025-12-20", "2026-03-01"),
            ("2025-01-01", "2025-02-01"),
        ] {
            check_range(&engine, &whole, from, to);
        }
    }
}

#[test]
fn a_range_reads_no_day_beyond_what_its_sessions_need() {
    let (stage, _) = store(false);
    let plan = |sets: &str| {
        let engine = stage.engine();
        wait(rows(&engine, &format!("{sets}; EXPLAIN SELECT count(*) FROM steps"))).unwrap().concat().join("\n")
    };
    let (all, range) =
        (plan("SET journeyql.from = ''"), "SET journeyql.from = '2025-10-03'; SET journeyql.to = '2025-10-05'");
    assert!(!all.contains("later_parts"), "{all}");
    assert!(plan(range).contains("parts=3, later_parts="), "{}", plan(range));
    // Judged from before the end of the data, what is open depends on what comes after: everything is read.
    let past = plan(&format!("{range}; SET journeyql.now = '2025-10-05'"));
    assert!(!past.contains("later_parts"), "{past}");
}

/// Each law of `invariants` read the tables that it compares anew, 25 passes at a time, and `verify` of ten million events
/// ran out of memory.
#[test]
fn invariants_read_each_table_once() {
    fn leaves(plan: &Arc<dyn ExecutionPlan>) -> usize {
        plan.children().into_iter().map(leaves).sum::<usize>().max(1)
    }
    let (stage, _) = store(true);
    let plan = wait(stage.engine().physical_plan("SELECT * FROM invariants")).unwrap();
    assert_eq!(leaves(&plan), 14, "sessions, steps, sources, five views, four of step_matrix, two functions");
}
