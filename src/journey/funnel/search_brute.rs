//! [`Search`] against the definition: every chain of events, tried one by one.

use proptest::prelude::*;

use super::{Entry, Levels, Mode, Modes, Rules, Search, Ties};

/// A funnel in the words of its definition.
#[derive(Debug, Clone)]
struct Asked {
    steps: usize,
    window: i64,
    step_windows: Option<Vec<i64>>,
    modes: Vec<Mode>,
    first: bool,
}

impl Asked {
    fn rules(&self) -> Rules {
        let modes = self.modes.iter().fold(Modes::default().with(Mode::StrictOnce), |all, &mode| all.with(mode));
        let rules = Rules::new(self.steps, self.window, modes).unwrap().ties(Ties::Order).exclude(1 << self.steps);
        let rules = rules.entry(if self.first { Entry::First } else { Entry::Any }).unwrap();
        match &self.step_windows {
            Some(windows) => rules.step_windows(windows.clone()).unwrap(),
            None => rules,
        }
    }

    fn meets(&self, mask: u64, step: usize) -> bool {
        mask >> (step - 1) & 1 == 1 && mask >> self.steps & 1 == 0
    }

    /// Whether an attempt on a level that is passed by an event goes on.
    fn passes(&self, mask: u64, level: usize) -> bool {
        let has = |mode| self.modes.contains(&mode);
        let repeat = (1..=(level + 1).min(self.steps)).any(|step| self.meets(mask, step));
        let kept = match (has(Mode::StrictOrder), has(Mode::StrictDeduplication)) {
            (true, true) => false,
            (true, false) => self.meets(mask, level),
            (false, true) => !repeat,
            (false, false) => true,
        };
        mask >> self.steps & 1 == 0 && (kept || (has(Mode::AllowReentry) && self.meets(mask, 1)))
    }

    fn within(&self, level: usize) -> i64 {
        self.step_windows.as_ref().map_or(i64::MAX, |windows| windows[level - 1])
    }

    /// Whether a chain can be followed by an event.
    fn follows(&self, ts: &[i64], masks: &[u64], chain: &[usize], next: usize) -> bool {
        let (last, level) = (chain[chain.len() - 1], chain.len());
        let slow = self.modes.contains(&Mode::StrictIncrease);
        self.meets(masks[next], level + 1)
            && (last + 1..next).all(|between| self.passes(masks[between], level))
            && ts[next] - ts[chain[0]] <= self.window
            && ts[next] - ts[last] <= self.within(level)
            && !(slow && ts[next] == ts[last])
    }

    /// Every chain, whole or not.
    fn chains(&self, ts: &[i64], masks: &[u64]) -> Vec<Vec<usize>> {
        let entries = (0..ts.len()).filter(|&at| self.meets(masks[at], 1)).take(if self.first { 1 } else { ts.len() });
        let (mut open, mut all): (Vec<Vec<usize>>, Vec<Vec<usize>>) =
            (entries.map(|at| vec![at]).collect(), Vec::new());
        while let Some(chain) = open.pop() {
            if chain.len() < self.steps {
                for next in chain[chain.len() - 1] + 1..ts.len() {
                    if self.follows(ts, masks, &chain, next) {
                        open.push([chain.as_slice(), &[next]].concat());
                    }
                }
            }
            all.push(chain);
        }
        all
    }

    /// Whether a chain that has not come to the end could go on at `now`.
    fn lives(&self, ts: &[i64], masks: &[u64], chain: &[usize], now: i64) -> bool {
        let (last, level) = (chain[chain.len() - 1], chain.len());
        level < self.steps
            && (last + 1..ts.len()).all(|between| self.passes(masks[between], level))
            && now - ts[chain[0]] <= self.window
            && now - ts[last] <= self.within(level)
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    let modes = [Mode::StrictIncrease, Mode::StrictDeduplication, Mode::StrictOrder, Mode::AllowReentry].to_vec();
    (1_usize..=4, 0_i64..=6, any::<bool>(), proptest::sample::subsequence(modes, 0..=4), any::<bool>()).prop_flat_map(
        |(steps, window, stepped, modes, first)| {
            let order = modes.contains(&Mode::StrictOrder);
            let modes: Vec<Mode> = modes.into_iter().filter(|&mode| order || mode != Mode::AllowReentry).collect();
            proptest::collection::vec(0_i64..4, steps - 1).prop_map(move |windows| Asked {
                steps,
                window,
                // A single window would stand for all.
                step_windows: (stepped && windows.len() != 1).then_some(windows),
                modes: modes.clone(),
                first,
            })
        },
    )
}

fn person() -> impl Strategy<Value = (Asked, Vec<i64>, Vec<u64>)> {
    let events = proptest::collection::vec((0_i64..8, 0_u64..64, any::<bool>()), 0..=9);
    (asked(), events).prop_map(|(asked, mut events)| {
        events.sort_by_key(|event| event.0);
        let all = (2 << asked.steps) - 1;
        let event = |(t, mask, thin): (i64, u64, bool)| (t, all & if thin { mask & mask >> 1 } else { mask });
        let (ts, masks) = events.into_iter().map(event).unzip();
        (asked, ts, masks)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) })]

    #[test]
    fn every_option_equals_the_definition((asked, ts, masks) in person(), later in 0_i64..5) {
        let mut search = Search::new(asked.rules());
        let chains = asked.chains(&ts, &masks);
        let longest = chains.iter().map(Vec::len).max().unwrap_or(0);
        prop_assert_eq!(search.run(&ts, &masks), longest, "{:?} {:?} {:?}", asked, ts, masks);
        let now = ts.last().copied().unwrap_or(0) + later;
        if longest < asked.steps {
            let open = chains.iter().any(|chain| asked.lives(&ts, &masks, chain, now));
            prop_assert_eq!(search.is_open(now), open, "{:?} {:?} {:?} {}", asked, ts, masks, now);
        }
        let mut found = Vec::new();
        search.chain(&ts, &masks, longest, asked.first, &mut found);
        let times = |chain: &Vec<usize>| chain.iter().map(|&at| ts[at]).collect::<Vec<_>>();
        let best = chains.iter().filter(|chain| chain.len() == longest).map(times).min().unwrap_or_default();
        prop_assert_eq!(times(&found), best, "{:?} {:?} {:?}", asked, ts, masks);
        prop_assert!(found.is_empty() || chains.contains(&found));
    }

    #[test]
    fn an_attempt_is_the_first_entry_with_all_that_can_belong_to_it((asked, ts, masks) in person()) {
        let asked = Asked { first: true, ..asked };
        let mut search = Search::new(asked.rules());
        let chains = asked.chains(&ts, &masks);
        let attempt = search.attempt(&ts, &masks);
        prop_assert_eq!(attempt.is_some(), !chains.is_empty());
        let Some(attempt) = attempt else { return Ok(()) };
        let longest = chains.iter().map(Vec::len).max().unwrap_or(0);
        prop_assert_eq!(attempt.start, chains[0][0]);
        let inside = search.run(&ts[attempt.clone()], &masks[attempt.clone()]);
        prop_assert_eq!(inside, longest, "{:?} {:?} {:?} {:?}", asked, ts, masks, attempt);
        if longest == asked.steps {
            let end = chains.iter().filter(|chain| chain.len() == longest).map(|chain| chain[longest - 1]).min();
            prop_assert_eq!(Some(attempt.end - 1), end);
        } else if attempt.end < ts.len() {
            // Nothing that was alive before the event after the attempt is alive behind it.
            let upto = attempt.end + 1;
            let alive = |chain: &Vec<usize>| asked.lives(&ts[..upto], &masks[..upto], chain, ts[attempt.end]);
            prop_assert!(!chains.iter().filter(|chain| chain[chain.len() - 1] < upto).any(alive), "{:?} {:?} {:?}", asked, ts, masks);
        }
    }

    #[test]
    fn plain_rules_agree_with_the_levels((asked, ts, masks) in person()) {
        let mut asked = Asked { step_windows: None, ..asked };
        // `strict_increase` keeps any order for the levels, which matters where one looks between the steps.
        if asked.modes.len() > 1 {
            asked.modes.retain(|&mode| mode != Mode::StrictIncrease);
        }
        let masks: Vec<u64> = masks.iter().map(|mask| mask & !(1 << asked.steps)).collect();
        let rules = asked.rules().exclude(0);
        prop_assert_eq!(Search::new(rules.clone()).run(&ts, &masks), Levels::new(rules).run(&ts, &masks));
    }
}

#[test]
fn a_million_attempts_of_one_step_window_are_no_trap() {
    let ts: Vec<i64> = (0..1_000_000).collect();
    let masks: Vec<u64> = ts.iter().map(|at| 1 << (at % 3)).collect();
    let rules = Rules::new(4, i64::MAX, Modes::default()).unwrap().step_windows(vec![1_000_000, 5, 5]).unwrap();
    assert_eq!(Search::new(rules).run(&ts, &masks), 3);
}
