//! Patterns against the definition: every choice of events, tried one by one.

use proptest::prelude::*;

use super::{Pattern, Sequences};

/// One part of a pattern: an item, any events, or a time (operator, number).
#[derive(Debug, Clone)]
enum Part {
    Condition(usize),
    Any,
    Star,
    Time(&'static str, i64),
}

impl Part {
    fn text(&self) -> String {
        match self {
            Self::Condition(number) => format!("(?{number})"),
            Self::Any => ".".to_owned(),
            Self::Star => ".*".to_owned(),
            Self::Time(operator, number) => format!("(?t{operator}{number})"),
        }
    }
}

fn holds(distance: i64, operator: &str, number: i64) -> bool {
    match operator {
        "<=" => distance <= number,
        "<" => distance < number,
        ">=" => distance >= number,
        ">" => distance > number,
        _ => distance == number,
    }
}

/// Every match of the parts from `chain` on: the events of its items, and for each whether it is a `(?N)`.
fn matches(parts: &[Part], ts: &[i64], masks: &[u64], chain: &[(usize, bool)], out: &mut Vec<Vec<(usize, bool)>>) {
    let between = parts.iter().take_while(|part| matches!(part, Part::Star | Part::Time(..))).count();
    let (gap, rest) = parts.split_at(between);
    let Some((item, rest)) = rest.split_first() else {
        out.push(chain.to_vec());
        return;
    };
    let last = chain.last().map(|last| last.0);
    for next in last.map_or(0, |last| last + 1)..ts.len() {
        let in_time = gap.iter().all(|part| match (part, last) {
            (Part::Time(operator, number), Some(last)) => holds(ts[next] - ts[last], operator, *number),
            _ => true,
        });
        let in_place = !gap.is_empty() || last.is_none_or(|last| next == last + 1);
        let test = if let Part::Condition(number) = item { Some(number - 1) } else { None };
        if in_time && in_place && test.is_none_or(|bit| masks[next] >> bit & 1 == 1) {
            matches(rest, ts, masks, &[chain, &[(next, test.is_some())]].concat(), out);
        }
    }
}

fn pattern() -> impl Strategy<Value = (Vec<Part>, Option<i64>)> {
    let operators = proptest::sample::select(vec!["<=", "<", ">=", ">", "=="]);
    let item = prop_oneof![3 => (1_usize..=3).prop_map(Part::Condition), 1 => Just(Part::Any)];
    let gap = prop_oneof![
        2 => Just(Vec::new()),
        1 => Just(vec![Part::Star]),
        2 => (operators.clone(), 0_i64..5).prop_map(|(operator, number)| vec![Part::Time(operator, number)]),
        1 => (operators, 0_i64..5, 0_i64..5).prop_map(|(operator, a, b)| vec![Part::Time(operator, a), Part::Time("<=", b)]),
    ];
    let more = proptest::collection::vec((gap, item.clone()), 0..4);
    (item, more, proptest::option::of(0_i64..8)).prop_map(|(first, more, whole)| {
        let mut parts = vec![first];
        for (mut gap, item) in more {
            parts.append(&mut gap);
            parts.push(item);
        }
        (parts, whole)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]

    #[test]
    fn every_pattern_equals_the_definition(
        (parts, whole) in pattern(),
        mut events in proptest::collection::vec((0_i64..10, 1_u64..8), 0..9),
    ) {
        events.sort_unstable();
        let (ts, masks): (Vec<i64>, Vec<u64>) = events.into_iter().unzip();
        let text = parts.iter().map(Part::text).collect::<String>() + &whole.map_or(String::new(), |n| format!("(?T<={n})"));
        let mut found = Sequences::new(Pattern::parse(&text, 3, 1).unwrap());
        let mut all = Vec::new();
        matches(&parts, &ts, &masks, &[], &mut all);
        all.retain(|chain| whole.is_none_or(|most| ts[chain[chain.len() - 1].0] - ts[chain[0].0] <= most));
        let first = all.iter().min().map(|chain| chain.iter().filter(|it| it.1).map(|it| it.0).collect::<Vec<_>>());
        let mut positions = Vec::new();
        found.find(&ts, &masks, &mut positions);
        prop_assert_eq!(&positions, &first.unwrap_or_default(), "{} {:?} {:?}", text, ts, masks);
        prop_assert_eq!(found.count(&ts, &masks, 1) == 1, !all.is_empty(), "{} {:?} {:?}", text, ts, masks);
        let (mut count, mut from) = (0, 0);
        while let Some(end) = all.iter().filter(|it| it[0].0 >= from).map(|it| it[it.len() - 1].0).min() {
            (count, from) = (count + 1, end + 1);
        }
        prop_assert_eq!(found.count(&ts, &masks, usize::MAX), count, "{} {:?} {:?}", text, ts, masks);
    }
}

fn met(pattern: &str, events: &[(i64, u64)]) -> bool {
    let (ts, masks): (Vec<i64>, Vec<u64>) = events.iter().copied().unzip();
    Sequences::new(Pattern::parse(pattern, 3, 1).unwrap()).count(&ts, &masks, 1) == 1
}

#[test]
fn v21_the_next_event_that_meets_a_condition_is_the_next_item() {
    let events = [(0, 1), (5, 2), (100, 2), (101, 4)];
    assert!(!met("(?1)(?t<=10)(?2)(?3)", &events));
    assert!(met("(?1)(?t<=10)(?2).*(?3)", &events));
    assert!(!met("(?1)(?t<=10)(?2).*(?3)(?T<=100)", &events));
    assert!(met("(?1)(?t<=10)(?2).*(?3)(?T<=101)", &events));
}

#[test]
fn a_million_events_are_no_trap() {
    let ts: Vec<i64> = (0..1_000_000).collect();
    let masks = vec![1; ts.len()];
    let mut found = Sequences::new(Pattern::parse("(?1).*(?1).*(?1)(?t>=5)(?1).*(?2)", 2, 1).unwrap());
    assert_eq!(found.count(&ts, &masks, usize::MAX), 0);
    found.find(&ts, &masks, &mut Vec::new());
}
