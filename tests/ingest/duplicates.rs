//! One row per event id, for ever, whatever the order of arrival.

use super::{Place, Tables};

fn event(id: &str, second: u32, page: &str) -> String {
    format!(
        "{{\"ts\":\"2026-01-05T10:00:{second:02}Z\",\"user_id\":\"u{second}\",\"page\":\"{page}\",\"event_id\":\"{id}\"}}\n"
    )
}

/// The tables after ingesting the files in batches.
fn after(batches: &[&[&str]]) -> Tables {
    let place = Place::new();
    for (batch, files) in batches.iter().enumerate() {
        let name = |at: usize| format!("{batch}-{at}.ndjson");
        let paths: Vec<_> = files.iter().enumerate().map(|(at, text)| place.file(&name(at), text)).collect();
        place.ingest(&paths.iter().map(std::path::PathBuf::as_path).collect::<Vec<_>>());
    }
    place.tables()
}

#[test]
fn a_copy_in_another_file_is_a_duplicate_of_the_smaller_line() {
    let one = [event("a", 1, "/x"), event("b", 2, "/y"), event("b", 2, "/y")].concat();
    let two = [event("c", 3, "/z"), event("a", 1, "/x")].concat();
    let expected = after(&[&[&one, &two]]);
    assert_eq!((expected.events.len(), expected.quarantine.len()), (3, 0));
    after(&[&[&two], &[&one]]).assert_same(&expected, "the other order");
    after(&[&[&one], &[&two]]).assert_same(&expected, "one by one");
    let sums: Vec<u64> = (1..6).map(|at| expected.sources.values().map(|counts| counts[at]).sum()).collect();
    assert_eq!(sums, [5, 3, 0, 0, 2]);
}

#[test]
fn conflicts_are_settled_by_content_not_by_arrival() {
    // One id with three contents, one of them three times, over three files.
    let one = [event("x", 0, "/first"), event("a", 1, "/one"), event("a", 1, "/two")].concat();
    let two = [event("y", 0, "/second"), event("a", 2, "/three"), event("a", 1, "/two")].concat();
    let three = [event("z", 0, "/third"), event("a", 1, "/two"), event("b", 9, "/b")].concat();
    let expected = after(&[&[&one, &two, &three]]);
    assert_eq!((expected.events.len(), expected.quarantine.len()), (5, 2));
    assert!(expected.quarantine.iter().all(|row| row.contains("conflicting_duplicate")));
    let (one, two, three) = (one.as_str(), two.as_str(), three.as_str());
    let orders: [&[&[&str]]; 6] = [
        &[&[one], &[two], &[three]],
        &[&[three], &[two], &[one]],
        &[&[two], &[one, three]],
        &[&[three, one], &[two]],
        &[&[two, three], &[one]],
        &[&[one], &[three], &[two], &[one, two, three]],
    ];
    for (at, order) in orders.into_iter().enumerate() {
        after(order).assert_same(&expected, &format!("order {at}"));
    }
}

#[test]
fn junk_is_no_event_id() {
    let text = [event("null", 1, "/x"), event("-", 1, "/x"), event("", 1, "/x"), event("undefined", 1, "/x")].concat();
    let tables = after(&[&[&text]]);
    assert_eq!(tables.events.len(), 4);
    assert!(tables.events.iter().all(|row| !row.contains("event_id=")));
}

#[test]
fn many_ids_over_many_runs() {
    let events = |range: std::ops::Range<u32>| -> String {
        range.map(|at| event(&format!("id-{}", at % 4_000), at % 60, &format!("/p{}", at % 4_000 % 60))).collect()
    };
    // Ids repeat after 4,000 lines, where `second` differs: copies and conflicts over several buffers.
    let (one, two) = (events(0..9_000), events(3_000..12_000));
    let build = |buffer: usize, order: [&str; 2]| {
        let mut place = Place::new();
        place.buffer_bytes = buffer;
        for (at, text) in order.into_iter().enumerate() {
            place.take(&format!("{at}.ndjson"), text);
        }
        place.tables()
    };
    let expected = build(64 << 20, [&one, &two]);
    assert_eq!(expected.events.len(), 4_000);
    build(1 << 18, [&one, &two]).assert_same(&expected, "small buffers");
    build(1 << 18, [&two, &one]).assert_same(&expected, "small buffers, other order");
}

#[test]
fn a_source_that_loses_rows_and_then_goes_on_in_one_commit_keeps_its_account() {
    let copies: String = (0..6_000).map(|at| event(&format!("e{at}"), at % 60, "/copy")).collect();
    // One of these names is larger than that of the copies, which win then.
    for first in ["p", "q", "r", "s"] {
        let own = |end: u32| -> String {
            let rows = (0..end).map(|at| event(&format!("e{at}"), at % 60, "/copy"));
            std::iter::once(event(first, 59, "/first")).chain(rows).collect()
        };
        let place = Place::new();
        place.take("own.ndjson", own(20));
        let (copies, own) = (place.file("copies.ndjson", &copies), place.file("own.ndjson", own(30)));
        place.ingest(&[&copies, &own]);
        let whole = Place::new();
        whole.ingest(&[&own, &copies]);
        place.tables().assert_same(&whole.tables(), first);
    }
}
