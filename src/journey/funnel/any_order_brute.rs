//! [`AnyOrder`] against the definition: every chain of distinct events, tried one by one.

use proptest::prelude::*;

use super::{AnyOrder, Chains, Entry, Levels, Mode, Modes, Rules, Search, Ties};

/// A funnel in the words of its definition.
#[derive(Debug, Clone)]
struct Asked {
    steps: usize,
    window: i64,
    step_windows: Option<Vec<i64>>,
    /// How much earlier a next step may be; -1: it has to be later.
    slack: i64,
    first: bool,
    excludes: bool,
}

impl Asked {
    fn rules(&self) -> Rules {
        let modes = Modes::default().with(Mode::StrictOnce);
        let modes = if self.slack < 0 { modes.with(Mode::StrictIncrease) } else { modes };
        let rules = Rules::new(self.steps, self.window, modes).unwrap().exclude(self.excluded());
        let rules = rules.grace(self.slack.max(0)).unwrap();
        let rules = rules.entry(if self.first { Entry::First } else { Entry::Any }).unwrap();
        match &self.step_windows {
            Some(windows) => rules.step_windows(windows.clone()).unwrap(),
            None => rules,
        }
    }

    fn excluded(&self) -> u64 {
        if self.excludes { 1 << self.steps } else { 0 }
    }

    fn meets(&self, mask: u64, step: usize) -> bool {
        mask >> (step - 1) & 1 == 1 && mask & self.excluded() == 0
    }

    fn within(&self, level: usize) -> i64 {
        self.step_windows.as_ref().map_or(i64::MAX, |windows| windows[level - 1])
    }

    /// Times of excluded events.
    fn ends<'a>(&'a self, ts: &'a [i64], masks: &'a [u64]) -> impl Iterator<Item = i64> + 'a {
        ts.iter().zip(masks).filter(|(_, mask)| *mask & self.excluded() != 0).map(|(&t, _)| t)
    }

    fn follows(&self, ts: &[i64], masks: &[u64], chain: &[usize], next: usize) -> bool {
        let (first, last, level) = (ts[chain[0]], ts[chain[chain.len() - 1]], chain.len());
        let t = ts[next];
        self.meets(masks[next], level + 1)
            && !chain.contains(&next)
            && t >= last - self.slack
            && t - last <= self.within(level)
            && t - first <= self.window
            && !self.ends(ts, masks).any(|x| first < x && x < t)
    }

    fn entries(&self, ts: &[i64], masks: &[u64]) -> Vec<usize> {
        let mut entries: Vec<usize> = (0..ts.len()).filter(|&at| self.meets(masks[at], 1)).collect();
        if self.first {
            let first = entries.first().map(|&at| ts[at]);
            entries.retain(|&at| Some(ts[at]) == first);
        }
        entries
    }

    /// Every chain, whole or not.
    fn chains(&self, ts: &[i64], masks: &[u64]) -> Vec<Vec<usize>> {
        let mut open: Vec<Vec<usize>> = self.entries(ts, masks).into_iter().map(|at| vec![at]).collect();
        let mut all = Vec::new();
        while let Some(chain) = open.pop() {
            if chain.len() < self.steps {
                let next = (0..ts.len()).filter(|&next| self.follows(ts, masks, &chain, next));
                open.extend(next.map(|next| [chain.as_slice(), &[next]].concat()));
            }
            all.push(chain);
        }
        all
    }

    fn lives(&self, ts: &[i64], masks: &[u64], chain: &[usize], now: i64) -> bool {
        let (first, last, level) = (ts[chain[0]], ts[chain[chain.len() - 1]], chain.len());
        level < self.steps
            && now - first <= self.window
            && now - last <= self.within(level)
            && !self.ends(ts, masks).any(|x| x > first)
    }

    /// Whether an excluded event came after an entry, in its window, before the unit was through.
    fn removed(&self, ts: &[i64], masks: &[u64], chains: &[Vec<usize>]) -> bool {
        let whole = chains.iter().filter(|chain| chain.len() == self.steps);
        let through = whole.filter_map(|chain| chain.iter().map(|&at| ts[at]).max()).min().unwrap_or(i64::MAX);
        let entries = self.entries(ts, masks);
        let entered = |x: i64| entries.iter().any(|&at| ts[at] < x && x - ts[at] <= self.window);
        self.ends(ts, masks).any(|x| x < through && entered(x))
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    (1_usize..=4, 0_i64..=6, any::<bool>(), -1_i64..=3, any::<bool>(), any::<bool>()).prop_flat_map(
        |(steps, window, stepped, slack, first, excludes)| {
            proptest::collection::vec(0_i64..4, steps - 1).prop_map(move |windows| Asked {
                steps,
                window,
                // A single window would stand for all.
                step_windows: (stepped && windows.len() != 1).then_some(windows),
                slack,
                first,
                excludes,
            })
        },
    )
}

/// A funnel, and a person whose events meet one step each, several, or many.
fn person() -> impl Strategy<Value = (Asked, Vec<i64>, Vec<u64>)> {
    let events = proptest::collection::vec((0_i64..10, 0_u64..64, any::<bool>()), 0..=8);
    (asked(), events, 0_u8..3).prop_map(|(asked, mut events, kind)| {
        events.sort_by_key(|event| event.0);
        let all = (2 << asked.steps) - 1;
        let event = |(t, mask, thin): (i64, u64, bool)| {
            let one = 1 << (mask % (asked.steps as u64 + 1));
            let mask = all & if thin { mask & mask >> 1 } else { mask };
            (t, if kind == 0 || (kind == 1 && thin) { one } else { mask })
        };
        let (ts, masks) = events.into_iter().map(event).unzip();
        (asked, ts, masks)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) })]

    #[test]
    fn every_option_equals_the_definition((asked, ts, masks) in person(), later in 0_i64..5) {
        let case = format!("{asked:?} {ts:?} {masks:?} {later}");
        let rules = asked.rules();
        let mut unit = AnyOrder::new(&rules, &ts, &masks).unwrap();
        let chains = asked.chains(&ts, &masks);
        let longest = chains.iter().map(Vec::len).max().unwrap_or(0);
        prop_assert_eq!(unit.level(), longest, "{}", case);
        prop_assert_eq!(unit.is_removed(), asked.removed(&ts, &masks, &chains), "{}", case);
        let now = ts.last().copied().unwrap_or(0) + later;
        if longest < asked.steps {
            let open = chains.iter().any(|chain| asked.lives(&ts, &masks, chain, now));
            prop_assert_eq!(unit.is_open(now).unwrap(), open, "{}", case);
        }
        let mut found = Vec::new();
        unit.chain(&mut found).unwrap();
        let times = |chain: &Vec<usize>| chain.iter().map(|&at| ts[at]).collect::<Vec<_>>();
        let best = chains.iter().filter(|chain| chain.len() == longest).map(times).min().unwrap_or_default();
        prop_assert_eq!(times(&found), best, "{}", case);
        prop_assert!(found.is_empty() || chains.contains(&found), "{}", case);
    }

    #[test]
    fn no_grace_is_any_order_of_equal_time_stamps((asked, ts, masks) in person()) {
        let asked = Asked { slack: asked.slack.min(0), step_windows: None, excludes: false, ..asked };
        let masks: Vec<u64> = masks.iter().map(|mask| mask & !(1 << asked.steps)).collect();
        let rules = asked.rules();
        let mut unit = AnyOrder::new(&rules, &ts, &masks).unwrap();
        prop_assert_eq!(unit.level(), Levels::new(rules.clone()).run(&ts, &masks));
        let (mut found, mut expected) = (Vec::new(), Vec::new());
        unit.chain(&mut found).unwrap();
        Chains::new(rules.clone()).find(&ts, &masks, unit.level(), &mut expected);
        let times = |chain: &[usize]| chain.iter().map(|&at| ts[at]).collect::<Vec<_>>();
        prop_assert_eq!(times(&found), times(&expected));
    }

    #[test]
    fn where_no_two_time_stamps_are_equal_nothing_is_any_order((asked, ts, masks) in person()) {
        let asked = Asked { slack: 0, ..asked };
        let ts: Vec<i64> = (0..).zip(&ts).map(|(at, t)| at + t).collect();
        let rules = asked.rules();
        let unit = AnyOrder::new(&rules, &ts, &masks).unwrap();
        let mut search = Search::new(rules.clone().ties(Ties::Order));
        prop_assert_eq!(unit.level(), search.run(&ts, &masks));
        prop_assert_eq!(unit.is_removed(), search.is_removed());
    }
}

fn level(steps: usize, grace: i64, ts: &[i64], masks: &[u64]) -> Result<usize, super::Undecided> {
    let rules = Rules::new(steps, i64::MAX, Modes::default()).unwrap().grace(grace).unwrap();
    let mut unit = AnyOrder::new(&rules, ts, masks)?;
    let mut chain = Vec::new();
    unit.chain(&mut chain)?;
    assert_eq!(chain.len(), unit.level());
    Ok(unit.level())
}

#[test]
fn many_events_in_one_stretch_are_no_trap() {
    let ts: Vec<i64> = (0..20_000).collect();
    let single: Vec<u64> = ts.iter().map(|at| 1 << (at % 3)).collect();
    assert_eq!(level(4, i64::MAX, &ts, &single), Ok(3));
    // The same condition four times, a first step that is rare, and a last step that nobody takes in time.
    let all = vec![0b1111; ts.len()];
    assert_eq!(level(4, 5, &ts, &all), Ok(4));
    assert_eq!(level(4, 5, &vec![0; ts.len()], &all), Ok(4));
    let rare: Vec<u64> = ts.iter().map(|&at| if at == 9_000 { 1 } else { 0b1110 }).collect();
    assert_eq!(level(4, 5, &ts, &rare), Ok(4));
    let early: Vec<u64> = ts.iter().map(|&at| if at == 3 { 0b1000 } else { 0b0111 }).collect();
    assert_eq!(level(4, 5, &ts, &early), Ok(4));
    let scarce: Vec<u64> = ts.iter().map(|&at| if at < 19_998 { 1 } else { 0b1110 }).collect();
    assert_eq!(level(4, 5, &ts, &scarce), Ok(3));
}

#[test]
fn too_many_ways_are_refused() {
    // Twenty steps that any of eighteen different events could fill, and one that no other can.
    let ts: Vec<i64> = (0..19).collect();
    let masks: Vec<u64> = (0..19).map(|at| if at == 0 { 1 << 20 } else { 0xF_FFFF & !(1 << at) }).collect();
    assert_eq!(level(21, 100, &ts, &masks), Err(super::Undecided));
}
