//! The longest chain where events close in time may stand in any order: `grace`, and any order of equal time stamps
//! beside windows of steps and excluded events.
//!
//! A chain is distinct events e1 … ek, ei meeting condition i, where for every i
//!
//! ```text
//! ts(ei+1) >= ts(ei) - grace       a next step may have happened up to `grace` before (equal time stamps: 0)
//! ts(ei+1) <= ts(ei) + the window of step i
//! ts(ei)   <= ts(e1) + window      an earlier event takes nothing of the window
//! ts(ei)   <= ts(x)                x the first excluded event later than e1
//! ```
//! so that what a chain needs of its entry is one number: the time by which all of it is done. For every step and event
//! the earliest such end is found from the last step to the first ([`Ends`]), with a front as in [`super::Search`].
//!
//! Time runs back only inside a *stretch*: events each at most `grace` after the one before. What a chain has used
//! matters in its stretch alone, and only where an event of it meets two steps; there the ways are tried one by one, each
//! set of used events once. Where no event meets two steps all of it is `O(events × steps)` a length; where they do but are
//! not scarce, `O(events × steps²)`; else it is bounded by [`limits::FUNNEL_CHOICES`], beyond which nothing is answered.
//!
//! Modes that look between the steps are not for here: between two events in any order is no place.

use std::collections::{HashMap, HashSet};

use super::rules::{Entry, Rules};
use super::ties::bits;
use crate::journey::front::Front;
use crate::limits;

/// Too many events that meet several steps lie too close together to try all orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undecided;

/// The longest chains of one unit.
#[derive(Debug)]
pub struct AnyOrder<'a> {
    events: Events<'a>,
    /// Of the chains of that length.
    ends: Ends,
}

impl<'a> AnyOrder<'a> {
    /// Looks at a unit; see [`super::Levels::run`] for the arguments. Bits beyond the steps may mark excluded events.
    ///
    /// # Errors
    /// There are too many ways to try.
    pub fn new(rules: &'a Rules, ts: &'a [i64], masks: &[u64]) -> Result<Self, Undecided> {
        let events = Events::new(rules, ts, masks);
        let met = events.masks.iter().fold(0, |met, mask| met | mask).trailing_ones() as usize;
        for length in (1..=met).rev() {
            let ends = Ends::new(&events, length, i64::MIN)?;
            if events.entries(&ends).next().is_some() {
                return Ok(Self { events, ends });
            }
        }
        Ok(Self { events, ends: Ends::default() })
    }

    /// The length of the longest chain.
    #[must_use]
    pub fn level(&self) -> usize {
        self.ends.steps.len()
    }

    /// Whether an excluded event came inside the window of an entry before the unit was through.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        let (events, window) = (&self.events, self.events.rules.window);
        let through = self.level() == events.rules.steps;
        let done = events.entries(&self.ends).map(|it| it.end).min().filter(|_| through).unwrap_or(i64::MAX);
        let entered = |&x: &i64| events.starts.partition_point(|&t| t < x).checked_sub(1);
        let inside = |x: &i64| entered(x).is_some_and(|at| x.saturating_sub(events.starts[at]) <= window);
        events.excluded.iter().take_while(|&&x| x < done).any(inside)
    }

    /// Whether an attempt that is not at the last step could still go on at `now`.
    ///
    /// # Errors
    /// There are too many ways to try.
    pub fn is_open(&self, now: i64) -> Result<bool, Undecided> {
        let (events, rules) = (&self.events, self.events.rules);
        let since = now.saturating_sub(rules.window).max(events.excluded.last().copied().unwrap_or(i64::MIN));
        // Without windows of steps, whatever lives does so with its first step alone.
        let longest = if rules.has_step_windows() { rules.steps } else { rules.steps.min(2) };
        for length in 1..longest {
            let ends = Ends::new(events, length, now.saturating_sub(rules.step_window(length)))?;
            if events.entries(&ends).any(|it| events.ts[it.at] >= since) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Appends the positions of the events of the reported chain to `out`, step by step: of the longest chains the one
    /// with the earliest entry, then each next step as early as possible.
    ///
    /// # Errors
    /// There are too many ways to try.
    pub fn chain(&mut self, out: &mut Vec<usize>) -> Result<(), Undecided> {
        let Self { events, ends } = self;
        let Some(first) = events.entries(ends).next() else { return Ok(()) };
        let (entry, limit) = (events.ts[first.at], events.limit(first.at));
        // Every way to be that early, as far as they differ in what is left.
        let starts = events.entries(ends).take_while(|it| events.ts[it.at] == entry);
        let mut ways = Ways::default();
        starts.for_each(|it| ways.add(events, ends.steps.len(), entry, &[], it.at));
        for step in 1..ends.steps.len() {
            let mut next = Ways::default();
            for chain in &ways.chains {
                next.go_on(events, ends, (step, limit), chain)?;
            }
            ways = next;
        }
        out.extend(ways.chains.first().into_iter().flatten());
        Ok(())
    }
}

/// Beginnings of chains whose last steps are at one time, the earliest seen.
#[derive(Debug, Default)]
struct Ways {
    chains: Vec<Vec<usize>>,
    time: Option<i64>,
    /// What they have used.
    seen: HashSet<Used>,
}

impl Ways {
    fn add(&mut self, events: &Events<'_>, length: usize, time: i64, chain: &[usize], at: usize) {
        if self.time.is_none_or(|known| time < known) {
            self.time = Some(time);
            self.chains.clear();
            self.seen.clear();
        }
        let chain = [chain, &[at]].concat();
        if self.seen.insert(events.used(events.tail(&chain), chain.len(), length)) {
            self.chains.push(chain);
        }
    }

    /// Adds the earliest events that take the next step and lead to the end before `limit`.
    fn go_on(
        &mut self,
        events: &Events<'_>,
        ends: &mut Ends,
        (step, limit): (usize, i64),
        chain: &[usize],
    ) -> Result<(), Undecided> {
        let Some(&last) = chain.last() else { return Ok(()) };
        let (t, length) = (events.ts[last], ends.steps.len());
        let from = ends.first_after(events, step, t);
        for no in from..ends.steps[step].len() {
            let at = ends.steps[step][no].at;
            let time = events.ts[at];
            if self.time.is_some_and(|known| time > known) || time.saturating_sub(t) > events.rules.step_window(step) {
                break;
            }
            let used = if at < events.stretches[last].end { events.tail(chain) } else { &[] };
            if !used.contains(&at) && ends.without(events, step + 1, no, used)? <= limit {
                self.add(events, length, time, chain, at);
            }
        }
        Ok(())
    }
}

/// Where the events lie that are close to an event.
#[derive(Debug, Clone, Copy, Default)]
struct Stretch {
    /// One past its last event.
    end: usize,
    /// Whether an event of it meets two steps.
    shared: bool,
}

/// A unit's events.
#[derive(Debug)]
struct Events<'a> {
    rules: &'a Rules,
    ts: &'a [i64],
    /// The steps that they may fill.
    masks: Vec<u64>,
    /// Per event that fills one.
    stretches: Vec<Stretch>,
    /// Times of the events that enter.
    starts: Vec<i64>,
    /// Times of the excluded events.
    excluded: Vec<i64>,
}

impl<'a> Events<'a> {
    fn new(rules: &'a Rules, ts: &'a [i64], masks: &[u64]) -> Self {
        let fills = |&mask: &u64| if mask & rules.exclude == 0 { mask & rules.conditions() } else { 0 };
        let excluded = ts.iter().zip(masks).filter(|(_, mask)| *mask & rules.exclude != 0).map(|(&t, _)| t).collect();
        let masks: Vec<u64> = masks.iter().map(fills).collect();
        let mut stretches = vec![Stretch::default(); masks.len()];
        let mut stretch = Stretch::default();
        let mut next = i64::MAX;
        for at in (0..masks.len()).rev().filter(|&at| masks[at] != 0) {
            if stretch.end == 0 || next.saturating_sub(ts[at]) > rules.slack() {
                stretch = Stretch { end: at + 1, shared: false };
            }
            stretch.shared |= masks[at].count_ones() > 1;
            stretches[at] = stretch;
            next = ts[at];
        }
        // Upwards, what the first of a stretch knows holds for all of it.
        for at in 1..masks.len() {
            if stretches[at - 1].end > at {
                stretches[at] = stretches[at - 1];
            }
        }
        let enters = ts.iter().zip(&masks).filter(|(_, mask)| *mask & 1 == 1).map(|(&t, _)| t);
        let starts = enters.take(if rules.entry == Entry::First { 1 } else { usize::MAX }).collect();
        Self { rules, ts, masks, stretches, starts, excluded }
    }

    /// The time by which a chain that enters here must be done.
    fn limit(&self, at: usize) -> i64 {
        let t = self.ts[at];
        let excluded = self.excluded.get(self.excluded.partition_point(|&x| x <= t)).copied().unwrap_or(i64::MAX);
        excluded.min(t.saturating_add(self.rules.window))
    }

    /// The entries that come through, times not falling.
    fn entries(&self, ends: &Ends) -> impl Iterator<Item = Open> {
        let of_first = |it: &&Open| self.rules.entry == Entry::Any || self.starts.first() == Some(&self.ts[it.at]);
        let all = ends.steps.first().into_iter().flatten();
        all.filter(of_first).filter(|it| it.end <= self.limit(it.at)).copied()
    }

    /// The events of a chain that are in the stretch of its last.
    fn tail<'b>(&self, chain: &'b [usize]) -> &'b [usize] {
        let end = |&at: &usize| self.stretches[at].end;
        let last = chain.last().map(end);
        &chain[chain.iter().position(|at| Some(end(at)) == last).unwrap_or(0)..]
    }

    /// What of some used events matters to a chain of `step` steps on the way to `length`: those that could fill a
    /// further one. Events that are alike are one another's.
    fn used(&self, used: &[usize], step: usize, length: usize) -> Used {
        let further = bits(step, length);
        let known = used.iter().map(|&at| (self.ts[at], self.masks[at] & further));
        let mut used: Used = known.filter(|(_, mask)| *mask != 0).collect();
        used.sort_unstable();
        used
    }
}

/// Used events, by time and by the steps that they could fill still.
type Used = Vec<(i64, u64)>;

/// An event that can fill a step on the way to the end.
#[derive(Debug, Clone, Copy)]
struct Open {
    at: usize,
    /// The earliest time by which the rest, with it, is done.
    end: i64,
    /// The earliest `end` of this and all later events that can fill the same step.
    least: i64,
    /// When the rest after it is done at the earliest if it leaves the stretch.
    far: i64,
}

/// For every step the events that lead to the end, times not falling.
#[derive(Debug, Default)]
struct Ends {
    steps: Vec<Vec<Open>>,
    /// Ends without the events that are used, by step, event and those.
    known: HashMap<(usize, usize, Used), i64>,
    /// How many more may be looked for.
    left: usize,
}

impl Ends {
    /// Of the chains of `length` steps whose last event is not before `since`.
    fn new(events: &Events<'_>, length: usize, since: i64) -> Result<Self, Undecided> {
        let (ts, slack) = (events.ts, events.rules.slack());
        // Where there are events enough, each is tried once for every step behind it.
        let left = (ts.len() * length * length).saturating_add(limits::FUNNEL_CHOICES);
        let mut ends = Self { steps: vec![Vec::new(); length], left, ..Self::default() };
        for step in (1..=length).rev() {
            let (mut open, mut front): (Vec<Open>, Front) = (Vec::new(), Front::default());
            let mut ahead = ends.steps.get(step).map_or(0, Vec::len);
            for at in (0..ts.len()).rev().filter(|&at| events.masks[at] >> (step - 1) & 1 == 1) {
                let (t, stretch) = (ts[at], events.stretches[at]);
                let reaches =
                    |it: &Open| ts[it.at] >= t.saturating_sub(slack) && (!stretch.shared || it.at >= stretch.end);
                while let Some(it) = ahead.checked_sub(1).map(|no| ends.steps[step][no]).filter(reaches) {
                    front.push(ts[it.at].saturating_neg(), it.end.saturating_neg(), 0);
                    ahead -= 1;
                }
                let far = front.best(t.saturating_neg(), 0, events.rules.step_window(step));
                let far = far.map_or(i64::MAX, i64::saturating_neg);
                let end = match (step == length, stretch.shared) {
                    (true, _) if t < since => i64::MAX,
                    (true, _) => t,
                    (false, true) => {
                        ends.known.clear();
                        ends.near(events, step, (at, far), &[])?
                    }
                    (false, false) => far.max(t),
                };
                if end < i64::MAX {
                    let least = open.last().map_or(end, |later: &Open| later.least.min(end));
                    open.push(Open { at, end, least, far });
                }
            }
            open.reverse();
            ends.steps[step - 1] = open;
        }
        Ok(ends)
    }

    /// The first of the events for the step after `step` that may follow an event of time `t`.
    fn first_after(&self, events: &Events<'_>, step: usize, t: i64) -> usize {
        self.steps[step].partition_point(|it| events.ts[it.at] < t.saturating_sub(events.rules.slack()))
    }

    /// The earliest end behind the event that fills `step`, by events of its stretch that are not used or by `far`.
    fn near(
        &mut self,
        events: &Events<'_>,
        step: usize,
        (at, far): (usize, i64),
        used: &[usize],
    ) -> Result<i64, Undecided> {
        let (t, within) = (events.ts[at], events.rules.step_window(step));
        let used = [used, &[at]].concat();
        let mut best = far;
        for no in self.first_after(events, step, t)..self.steps[step].len() {
            let next = self.steps[step][no];
            let beyond = next.at >= events.stretches[at].end || events.ts[next.at].saturating_sub(t) > within;
            if beyond || best <= t || next.least >= best {
                break;
            }
            if next.end < best && !used.contains(&next.at) {
                best = best.min(self.without(events, step + 1, no, &used)?);
            }
        }
        Ok(best.max(t))
    }

    /// The earliest end by event `no` of those for `step`, where some events of its stretch are used before.
    fn without(&mut self, events: &Events<'_>, step: usize, no: usize, used: &[usize]) -> Result<i64, Undecided> {
        let Open { at, end, far, .. } = self.steps[step - 1][no];
        let key = (step, at, events.used(used, step, self.steps.len()));
        if key.2.is_empty() {
            return Ok(end);
        }
        if let Some(&end) = self.known.get(&key) {
            return Ok(end);
        }
        self.left = self.left.checked_sub(1).ok_or(Undecided)?;
        let end = self.near(events, step, (at, far), used)?;
        if self.known.len() < limits::FUNNEL_CHOICES {
            self.known.insert(key, end);
        }
        Ok(end)
    }
}
