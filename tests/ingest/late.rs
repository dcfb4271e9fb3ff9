//! The ledger of late events, against sessions that are built from every row anew.

use std::collections::BTreeMap;

use journeyql::store::Late;
use proptest::prelude::*;

use super::Place;
use crate::stage::cases;

const GAP: i64 = 30 * 60;
/// 2026-01-05, in seconds.
const MONDAY: i64 = 1_767_571_200;

/// An event: seconds since Monday, visitor, session id (0: none), whether it is a step.
type Event = (i64, u8, u8, bool);

fn text((at, who, session, is_step): Event) -> String {
    let ts = journeyql::time::iso((MONDAY + at) * 1_000_000);
    let session = if session == 0 { String::new() } else { format!(",\"session_id\":\"s{session}\"") };
    let page = if is_step { ",\"page\":\"/p\"" } else { "" };
    format!("{{\"ts\":\"{ts}\",\"user_id\":\"u{who}\"{session}{page}}}\n")
}

fn rows(place: &Place) -> Vec<Late> {
    place.store.late_ledger().unwrap().into_iter().map(|row| row.late).collect()
}

/// Sessions of step times: for each the times that are in it.
fn sessions(events: &[Event]) -> Vec<Vec<(u8, u8, i64)>> {
    let mut lines: BTreeMap<(u8, u8), Vec<i64>> = BTreeMap::new();
    for (at, who, session, _) in events.iter().filter(|event| event.3) {
        lines.entry((*who, *session)).or_default().push(*at);
    }
    let mut found = Vec::new();
    for ((who, session), mut times) in lines {
        times.sort_unstable();
        for run in times.chunk_by(|left, right| right - left <= GAP) {
            found.push(run.iter().map(|at| (who, session, *at)).collect());
        }
    }
    found
}

/// What the ledger must say of these late events after those stored ones.
fn expected(stored: &[Event], fresh: &[Event]) -> Option<Late> {
    let before = stored.iter().map(|event| event.0).max()?;
    let late: Vec<Event> = fresh.iter().copied().filter(|event| event.0 < before).collect();
    let mut by: Vec<i64> = late.iter().map(|event| (before - event.0) * 1_000_000).collect();
    by.sort_unstable();
    let max = *by.last()?;
    #[expect(clippy::cast_precision_loss, reason = "a few weeks")]
    let median = (by[(by.len() - 1) / 2] + by[by.len() / 2]) as f64 / 2.0;
    let visitors: std::collections::BTreeSet<u8> = late.iter().map(|event| event.1).collect();
    let mut change =
        Late { events: late.len() as u64, visitors: visitors.len() as u64, max, median, ..Late::default() };
    let (old, all) = (sessions(stored), [stored, &late].concat());
    for after in sessions(&all) {
        let held = old.iter().filter(|session| session.iter().any(|step| after.contains(step))).count() as u64;
        let has_late = late.iter().any(|(at, who, session, step)| *step && after.contains(&(*who, *session, *at)));
        match held {
            _ if !has_late => {}
            0 => change.created += 1,
            1 => change.extended += 1,
            held => change.merged += held - 1,
        }
    }
    assert_eq!(sessions(&all).len() as u64, old.len() as u64 + change.created - change.merged);
    Some(change)
}

fn put(place: &Place, name: &str, events: &[Event]) {
    place.take(name, events.iter().map(|event| text(*event)).collect::<String>());
}

#[test]
fn v12_a_late_event_between_two_sessions_joins_them() {
    let place = Place::new();
    put(&place, "a", &[(36_000, 1, 0, true), (38_700, 1, 0, true), (40_000, 2, 0, true)]);
    assert!(rows(&place).is_empty(), "nothing was there before");
    put(&place, "b", &[(37_200, 1, 0, true), (90_000, 1, 0, true)]);
    let at = (40_000 - 37_200) * 1_000_000;
    let joined = Late { events: 1, visitors: 1, max: at, median: 2.8e9, merged: 1, ..Late::default() };
    assert_eq!(rows(&place), std::slice::from_ref(&joined));
    // In time, and the same again: no row.
    put(&place, "c", &[(90_000, 3, 0, true), (91_000, 1, 0, true)]);
    put(&place, "d", &[(90_000, 3, 0, true), (91_000, 1, 0, true)]);
    assert_eq!(rows(&place), [joined]);
    // One visitor anew, one whose session grows, one event that is no step.
    put(&place, "e", &[(1_000, 4, 0, true), (89_000, 1, 0, true), (2_000, 1, 0, false)]);
    let row = &rows(&place)[1];
    assert_eq!((row.events, row.visitors, row.created, row.extended, row.merged), (3, 2, 1, 1, 0));
    assert_eq!((row.max, row.median), (90_000_000_000, 89_000_000_000.0));
}

#[test]
fn a_session_that_goes_on_for_days_is_one() {
    let place = Place::new();
    // Every twenty minutes for five days, and late events at its first and its last.
    let restless: Vec<Event> = (0..360).map(|at| (at * 1_200, 1, 0, true)).collect();
    put(&place, "a", &restless);
    let fresh = [(100, 1, 0, true), (359 * 1_200 - 100, 1, 0, true)];
    put(&place, "b", &fresh);
    assert_eq!(rows(&place), [expected(&restless, &fresh).unwrap()]);
    assert_eq!(rows(&place)[0].extended, 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(48), ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_is_what_sessions_from_scratch_say(
        batches in prop::collection::vec(
            prop::collection::vec((0..400i64, 0..3u8, 0..2u8, prop::bool::weighted(0.9)), 1..40),
            2..5,
        ),
        step in prop::sample::select(vec![60i64, 700, 1_800, 4_000]),
    ) {
        let place = Place::new();
        let (mut stored, mut wanted): (Vec<Event>, Vec<Late>) = (Vec::new(), Vec::new());
        for (number, batch) in batches.into_iter().enumerate() {
            // The first line names the source: no two files are one.
            let first = (i64::try_from(number).unwrap() + 1, 9, 0, false);
            let fresh: Vec<Event> =
                std::iter::once(first).chain(batch.into_iter().map(|(at, who, session, is)| (at * step, who, session, is))).collect();
            put(&place, &format!("{number}.ndjson"), &fresh);
            wanted.extend(expected(&stored, &fresh));
            stored.extend(fresh);
        }
        prop_assert_eq!(rows(&place), wanted);
    }
}
