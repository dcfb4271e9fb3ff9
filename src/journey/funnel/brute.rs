//! Every rule against a search that has no idea of levels: attempt by attempt, order by order.
//!
//! The search and the product share the words of `funnel.rs` and nothing else.

use std::collections::HashSet;

use proptest::prelude::*;

use super::{Chains, Entry, Levels, Mode, Modes, Rules, Ties};

/// The slices of equal time stamps, or single events where the order counts.
fn groups(ts: &[i64], ties: Ties) -> Vec<std::ops::Range<usize>> {
    let mut out: Vec<std::ops::Range<usize>> = Vec::new();
    for at in 0..ts.len() {
        match out.last_mut() {
            Some(last) if ties == Ties::Any && ts[last.start] == ts[at] => last.end = at + 1,
            _ => out.push(at..at + 1),
        }
    }
    out
}

/// What one attempt can still be: its level and which events of the present tie it has seen.
type State = (usize, u64);

/// All levels an attempt may have after a tie, and the highest on the way. An event of the tie is consumed in any
/// order, and again if an event may fill several steps.
fn through(rules: &Rules, masks: &[u64], from: usize, in_time: bool) -> (HashSet<usize>, usize) {
    let has = |mode| rules.modes.has(mode);
    let meets = |event: usize, step: usize| step >= 1 && masks[event] >> (step - 1) & 1 == 1;
    let (mut after, mut best) = (HashSet::new(), from);
    let mut seen: HashSet<State> = HashSet::new();
    let mut open = vec![(from, 0_u64)];
    while let Some((level, consumed)) = open.pop() {
        if !seen.insert((level, consumed)) {
            continue;
        }
        best = best.max(level);
        if consumed == (1 << masks.len()) - 1 {
            after.insert(level);
        }
        for event in 0..masks.len() {
            let (fresh, now) = (consumed >> event & 1 == 0, consumed | 1 << event);
            let again = fresh || (!has(Mode::StrictOnce) && level > 0);
            let slow = !has(Mode::StrictIncrease) || level == from;
            if again && slow && in_time && level < rules.steps && meets(event, level + 1) {
                open.push((level + 1, now));
            }
            let repeat = (1..=level + 1).any(|step| meets(event, step));
            let exempt = has(Mode::AllowReentry) && meets(event, 1);
            let passes = level == 0
                || exempt
                || match (has(Mode::StrictOrder), has(Mode::StrictDeduplication)) {
                    (false, false) => true,
                    (true, false) => meets(event, level),
                    (false, true) => !repeat,
                    (true, true) => false,
                };
            if fresh && passes {
                open.push((level, now));
            }
        }
    }
    (after, best)
}

/// The longest chain by trying every entry, every order of every tie, every choice; and the latest entry of an attempt
/// that could go on.
fn brute(rules: &Rules, ts: &[i64], masks: &[u64]) -> (usize, Option<i64>) {
    if rules.modes.has(Mode::Unordered) {
        let last = ts.iter().zip(masks).rfind(|(_, mask)| **mask != 0).map(|(&t, _)| t);
        if rules.modes.has(Mode::StrictOnce) {
            return ((0..ts.len()).map(|from| any_order(rules, ts, masks, from).len()).max().unwrap_or(0), last);
        }
        let distinct = |from: usize| {
            let inside = ts[from..].iter().take_while(|&&t| t - ts[from] <= rules.window).count();
            masks[from..from + inside].iter().fold(0, |all, mask| all | mask).count_ones() as usize
        };
        return ((0..ts.len()).map(distinct).max().unwrap_or(0), last);
    }
    let groups = groups(ts, rules.ties);
    let (mut best, mut alive) = (0, None);
    for (at, first) in groups.iter().enumerate() {
        if !masks[first.clone()].iter().any(|mask| mask & 1 == 1) {
            continue;
        }
        let entry = ts[first.start];
        let mut levels = HashSet::from([0]);
        for (later, group) in groups[at..].iter().enumerate() {
            let mut next = HashSet::new();
            for &level in &levels {
                let (after, reached) =
                    through(rules, &masks[group.clone()], level, ts[group.start] - entry <= rules.window);
                best = best.max(reached);
                next.extend(after.into_iter().filter(|&level| later > 0 || level > 0));
            }
            levels = next;
        }
        alive = alive.max(levels.iter().any(|level| (1..rules.steps).contains(level)).then_some(entry));
        if rules.entry == Entry::First {
            break;
        }
    }
    (best, alive)
}

/// The times of the most events of the window from `from` on that fill a condition each, every way tried; of those the
/// earliest.
fn any_order(rules: &Rules, ts: &[i64], masks: &[u64], from: usize) -> Vec<i64> {
    fn fill(ts: &[i64], masks: &[u64], free: u64) -> Vec<i64> {
        let Some((mask, rest)) = masks.split_first() else { return Vec::new() };
        let mut best = fill(&ts[1..], rest, free);
        for step in (0..64).filter(|step| mask & free & 1 << step != 0) {
            let with = [vec![ts[0]], fill(&ts[1..], rest, free & !(1 << step))].concat();
            if with.len() > best.len() || (with.len() == best.len() && with < best) {
                best = with;
            }
        }
        best
    }
    let inside = ts[from..].iter().take_while(|&&t| t - ts[from] <= rules.window).count();
    fill(&ts[from..from + inside], &masks[from..from + inside], rules.conditions())
}

/// Whether an event may stand at the end of a chain, apart from its condition.
fn follows(rules: &Rules, ts: &[i64], chain: &[usize], event: usize) -> bool {
    let in_order = chain.last().is_none_or(|&last| match rules.ties {
        _ if rules.modes.has(Mode::StrictIncrease) => ts[event] > ts[last],
        Ties::Any => ts[event] >= ts[last],
        Ties::Order => event >= last,
    });
    let distinct = !rules.modes.has(Mode::StrictOnce) || !chain.contains(&event);
    let in_time = chain.first().is_none_or(|&first| ts[event] - ts[first] <= rules.window);
    in_order && distinct && in_time
}

/// The longest chain straight from its definition, for the modes that do not look between the steps: events that meet
/// the conditions with time stamps that do not decrease.
fn by_definition(rules: &Rules, ts: &[i64], masks: &[u64]) -> usize {
    fn extend(rules: &Rules, ts: &[i64], masks: &[u64], chain: &mut Vec<usize>) -> usize {
        let mut best = chain.len();
        if best == rules.steps {
            return best;
        }
        for event in 0..ts.len() {
            if follows(rules, ts, chain, event) && masks[event] >> chain.len() & 1 == 1 {
                chain.push(event);
                best = best.max(extend(rules, ts, masks, chain));
                chain.pop();
            }
        }
        best
    }
    extend(rules, ts, masks, &mut Vec::new())
}

/// Every chain of this length that enters at group `at` or goes on there, as the time stamps of its steps.
fn every_chain(rules: &Rules, ts: &[i64], masks: &[u64], length: usize) -> Vec<Vec<i64>> {
    fn extend(
        (rules, ts, masks): (&Rules, &[i64], &[u64]),
        groups: &[std::ops::Range<usize>],
        chain: &[i64],
        length: usize,
        out: &mut Vec<Vec<i64>>,
    ) {
        let Some((group, rest)) = groups.split_first() else { return };
        let t = ts[group.start];
        let in_time = chain.first().is_none_or(|&entry| t - entry <= rules.window);
        let (after, reached) = through(rules, &masks[group.clone()], chain.len(), in_time);
        let to = |level: usize| [chain, &vec![t; level - chain.len()]].concat();
        if reached >= length {
            out.push(to(length));
        }
        for level in after.into_iter().filter(|&level| level > 0 && level < length) {
            extend((rules, ts, masks), rest, &to(level), length, out);
        }
    }
    let groups = groups(ts, rules.ties);
    let enters = |group: &std::ops::Range<usize>| masks[group.clone()].iter().any(|mask| mask & 1 == 1);
    let tried = if rules.entry == Entry::First { 1 } else { groups.len() };
    let mut out = Vec::new();
    for at in (0..groups.len()).filter(|&at| enters(&groups[at])).take(tried) {
        extend((rules, ts, masks), &groups[at..], &[], length, &mut out);
    }
    out
}

/// The reported chain by trying all: longest, earliest entry, then each next step earliest.
fn brute_chain(rules: &Rules, ts: &[i64], masks: &[u64], length: usize) -> Vec<i64> {
    if !rules.modes.has(Mode::Unordered) {
        return every_chain(rules, ts, masks, length).into_iter().min().unwrap_or_default();
    }
    if rules.modes.has(Mode::StrictOnce) {
        let windows = (0..ts.len()).map(|from| any_order(rules, ts, masks, from));
        return windows.into_iter().find(|times| times.len() == length).unwrap_or_default();
    }
    let firsts = |from: usize| {
        let first = |step: usize| {
            let inside = (from..ts.len()).take_while(|&at| ts[at] - ts[from] <= rules.window);
            inside.filter(|at| masks[*at] >> step & 1 == 1).map(|at| ts[at]).next()
        };
        let mut firsts: Vec<i64> = (0..rules.steps).filter_map(first).collect();
        firsts.sort_unstable();
        firsts
    };
    (0..ts.len()).map(firsts).find(|firsts| firsts.len() == length).unwrap_or_default()
}

/// All sets of modes that may stand together.
fn mode_sets() -> Vec<Modes> {
    let modes =
        [Mode::StrictOnce, Mode::StrictIncrease, Mode::StrictDeduplication, Mode::StrictOrder, Mode::AllowReentry];
    let subsets = (0..32_u32).map(|set| {
        modes.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1).fold(Modes::default(), |all, (_, &m)| all.with(m))
    });
    let alone = Modes::default().with(Mode::Unordered);
    subsets.chain([alone, alone.with(Mode::StrictOnce)]).filter(|&modes| Rules::new(1, 0, modes).is_ok()).collect()
}

fn person(steps: usize, most: usize) -> impl Strategy<Value = (Vec<i64>, Vec<u64>)> {
    let event = (0_i64..6, 0_u64..1 << steps, any::<bool>());
    proptest::collection::vec(event, 0..=most).prop_map(move |mut events| {
        events.sort_by_key(|event| event.0);
        // Half of the masks thinned, so that long chains are not the rule.
        events.into_iter().map(|(t, mask, thin)| (t, if thin { mask & mask >> 1 } else { mask })).unzip()
    })
}

fn every_rule(steps: usize, window: i64) -> impl Iterator<Item = Rules> {
    mode_sets().into_iter().flat_map(move |modes| {
        let rules = Rules::new(steps, window, modes).unwrap();
        let orders = [rules.clone().ties(Ties::Any), rules.ties(Ties::Order)];
        orders.into_iter().flat_map(|rules| {
            [Entry::Any, Entry::First].into_iter().filter_map(move |entry| rules.clone().entry(entry).ok())
        })
    })
}

fn assert_every_mode(steps: usize, window: i64, ts: &[i64], masks: &[u64]) {
    for rules in every_rule(steps, window) {
        let mut levels = Levels::new(rules.clone());
        let found = levels.run(ts, masks);
        let (longest, alive) = brute(&rules, ts, masks);
        assert_eq!(found, longest, "{rules:?} over {ts:?} {masks:?}");
        // What was over before now is told by whoever knows the watermark.
        let open = |entry: &i64| ts.last().is_some_and(|&now| now - entry <= rules.window);
        if found < steps {
            let told = levels.latest_entry().filter(open);
            assert_eq!(told, alive.filter(open), "{rules:?} over {ts:?} {masks:?}");
        }
        let plain = !rules.modes.strict_between() && !rules.modes.has(Mode::Unordered);
        if plain && rules.entry == Entry::Any {
            assert_eq!(found, by_definition(&rules, ts, masks), "{rules:?}");
        }
    }
}

#[test]
fn a_repeat_in_the_entrys_own_microsecond() {
    assert_every_mode(3, 1, &[1, 1, 1, 2], &[1, 2, 2, 4]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn every_mode_equals_the_search(
        (steps, window, (ts, masks)) in (1_usize..=4, 0_i64..=5).prop_flat_map(|(k, w)| (Just(k), Just(w), person(k, 7)))
    ) {
        assert_every_mode(steps, window, &ts, &masks);
    }

    #[test]
    fn the_reported_chain_is_the_earliest_of_the_longest(
        (steps, window, (ts, masks)) in (1_usize..=4, 0_i64..=5).prop_flat_map(|(k, w)| (Just(k), Just(w), person(k, 7)))
    ) {
        for rules in every_rule(steps, window) {
            let length = Levels::new(rules.clone()).run(&ts, &masks);
            let mut found = Vec::new();
            Chains::new(rules.clone()).find(&ts, &masks, length, &mut found);
            prop_assert_eq!(found.len(), length);
            let found: Vec<i64> = found.into_iter().map(|at| ts[at]).collect();
            if length > 0 {
                prop_assert_eq!(&found, &brute_chain(&rules, &ts, &masks, length), "{:?} {:?} {:?}", rules, ts, masks);
            }
        }
    }
}

fn funnel(modes: &[Mode], steps: usize, window: i64, events: &[(i64, u64)]) -> usize {
    let modes = modes.iter().fold(Modes::default(), |all, &mode| all.with(mode));
    let (ts, masks): (Vec<i64>, Vec<u64>) = events.iter().copied().unzip();
    Levels::new(Rules::new(steps, window, modes).unwrap()).run(&ts, &masks)
}

/// Letters as events one time unit apart: `A` meets the first condition, `D` none.
fn letters(text: &str) -> Vec<(i64, u64)> {
    let mask = |letter| match letter {
        'A' => 1,
        'B' => 2,
        'C' => 4,
        _ => 0,
    };
    text.chars().enumerate().map(|(at, letter)| (i64::try_from(at).unwrap(), mask(letter))).collect()
}

#[test]
fn v14_the_longest_chain_of_all_entries() {
    let minute = |h: i64, m: i64| h * 60 + m;
    let events = [(minute(1, 0), 1), (minute(1, 30), 1), (minute(1, 45), 2), (minute(2, 15), 4)];
    let (ts, masks): (Vec<i64>, Vec<u64>) = events.into_iter().unzip();
    let rules = Rules::new(3, 60, Modes::default()).unwrap();
    assert_eq!(Levels::new(rules.clone()).run(&ts, &masks), 3);
    assert_eq!(Levels::new(rules.clone().entry(Entry::First).unwrap()).run(&ts, &masks), 2);
    let mut chain = Vec::new();
    Chains::new(rules).find(&ts, &masks, 3, &mut chain);
    assert_eq!(chain, [1, 2, 3]);
}

#[test]
fn v16_strict_increase_skips_an_equal_time_stamp() {
    assert_eq!(funnel(&[Mode::StrictIncrease], 3, 10, &[(0, 1), (1, 2), (2, 2), (2, 4)]), 3);
}

#[test]
fn v17_strict_order() {
    let day = 86_400;
    let longest = |text| funnel(&[Mode::StrictOrder], 3, day, &letters(text));
    assert_eq!(["ABC", "ADBC", "AABBCC", "AAAABBCC", "AABBDCC", "BBCCAA"].map(longest), [3, 1, 3, 3, 2, 1]);
}

#[test]
fn v18_strict_order_counts_a_later_attempt() {
    assert_eq!(funnel(&[Mode::StrictOrder], 3, 100, &letters("ABDABC")), 3);
}

#[test]
fn v19_one_event_that_meets_two_conditions() {
    assert_eq!(funnel(&[], 2, 10, &[(0, 3)]), 2);
    assert_eq!(funnel(&[Mode::StrictOnce], 2, 10, &[(0, 3)]), 1);
}

#[test]
fn v20_the_window_is_inclusive() {
    assert_eq!(funnel(&[], 2, 10, &[(0, 1), (10, 2)]), 2);
    assert_eq!(funnel(&[], 2, 10, &[(0, 1), (11, 2)]), 1);
}

#[test]
fn a_large_tie_is_no_trap() {
    let events: Vec<(i64, u64)> = (0..20_000).map(|at| (0, 1 << (at % 8))).collect();
    for modes in [&[Mode::StrictOnce][..], &[Mode::StrictOrder], &[Mode::StrictDeduplication]] {
        assert_eq!(funnel(modes, 8, 10, &events), 8);
    }
}

#[test]
fn sixty_four_conditions() {
    let events: Vec<(i64, u64)> = (0..64).map(|at| (at, 1 << at)).collect();
    for modes in [&[][..], &[Mode::StrictOnce], &[Mode::StrictIncrease], &[Mode::StrictOrder], &[Mode::Unordered]] {
        assert_eq!(funnel(modes, 64, 63, &events), 64);
    }
    assert_eq!(funnel(&[], 64, 62, &events), 63);
}
