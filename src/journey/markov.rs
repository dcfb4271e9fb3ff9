//! What comes next by the last `k` steps, and which `k` tells it best of sessions that were not looked at.
//!
//! ```text
//! session   a  b  a  c       behind the steps before it, each step from the second on is one to tell
//! order 0   nothing          counts of all such steps
//! order 1   the last step    a ► b, c;  b ► a
//! order 2   the last two     a b ► a;   b a ► c
//! ```
//!
//! - The most likely: those that most often followed the longest part of the last `k` steps that was ever followed, one
//!   step at least (order 0 looks at none); equal ones in the order of their labels. So do `predict_next` and
//!   [`super::predict`].
//! - How likely (for the log-loss): Witten and Bell. A context that was followed `n` times, by `t` different steps,
//!   gives `n / (n + t)` of the whole to what followed it and the rest to the context that is one step shorter; below
//!   order 0 every step is as likely as any other, one that was never seen included. So every chance is above 0, and
//!   they sum to 1.
//!
//! Invariants: labels are numbered so that a lower number sorts first; nothing depends on the order of hash tables.

use std::cmp::Reverse;

use hashbrown::HashMap;

/// Steps of the longest context, at most.
pub const ORDERS: usize = 5;

/// A context is a number: its last steps but the first one's, and that first one's label.
type Contexts = HashMap<(u32, u32), u32>;

/// What followed a context: labels and how often, the most frequent first, equal ones by label.
pub type Followers = [(u32, u32)];

/// The context of no steps.
const EMPTY: u32 = 0;
/// Followers of a context that are looked through one by one.
const FEW: usize = 32;

/// What followed which steps.
#[derive(Debug, Clone)]
pub struct Markov {
    contexts: Contexts,
    /// What followed: label and how often, context by context, the most frequent first, equal ones by label.
    ranked: Vec<(u32, u32)>,
    /// Where the followers of each context end, and how often it was followed.
    ends: Vec<(usize, u64)>,
    /// The places of followers among those of a context with more than a few.
    places: HashMap<(u32, u32), usize>,
    /// Labels there are.
    labels: usize,
}

/// How well steps were told.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Accuracy {
    /// Steps to tell.
    pub steps: u64,
    /// Those behind a context that was known.
    pub known: u64,
    /// Those that were among the 1, 3 and 5 most likely.
    pub hits: [u64; 3],
    /// The sum of `-ln` of their chances.
    pub loss: f64,
}

/// Ranks that count as hits.
pub const RANKS: [usize; 3] = [1, 3, 5];

impl Markov {
    /// Learns from sessions of labels below `labels`, with contexts of up to `order` steps. `O(steps × order)`; `account`
    /// is told of the bytes held whenever they change.
    ///
    /// # Errors
    /// `account` says so.
    pub fn learn<'a, E>(
        sessions: impl IntoIterator<Item = &'a [u32]>,
        order: usize,
        labels: usize,
        mut account: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<Self, E> {
        let (mut counts, mut contexts, mut held) = (HashMap::<(u32, u32), u32>::new(), Contexts::new(), 0);
        for session in sessions {
            for (at, &next) in session.iter().enumerate().skip(1) {
                let mut context = EMPTY;
                *counts.entry((EMPTY, next)).or_default() += 1;
                for &label in session[..at].iter().rev().take(order) {
                    let new = u32::try_from(contexts.len() + 1).unwrap_or(u32::MAX);
                    context = *contexts.entry((context, label)).or_insert(new);
                    *counts.entry((context, next)).or_default() += 1;
                }
            }
            // The tables, and what becomes of them.
            let now = counts.capacity() * 36 + contexts.capacity() * 36;
            if now != held {
                held = now;
                account(held)?;
            }
        }
        Ok(Self::ranked(counts, contexts, labels))
    }

    fn ranked(counts: HashMap<(u32, u32), u32>, contexts: Contexts, labels: usize) -> Self {
        let mut rows: Vec<(u32, Reverse<u32>, u32)> =
            counts.into_iter().map(|((context, label), count)| (context, Reverse(count), label)).collect();
        rows.sort_unstable();
        let mut model = Self {
            ranked: rows.iter().map(|&(_, Reverse(count), label)| (label, count)).collect(),
            ends: vec![(0, 0); contexts.len() + 1],
            contexts,
            places: HashMap::new(),
            labels,
        };
        let mut end = 0;
        for of_one in rows.chunk_by(|a, b| a.0 == b.0) {
            end += of_one.len();
            let total = of_one.iter().map(|row| u64::from(row.1.0)).sum();
            model.ends[of_one[0].0 as usize] = (end, total);
            if of_one.len() > FEW {
                model.places.extend(of_one.iter().enumerate().map(|(place, row)| ((row.0, row.2), place)));
            }
        }
        model
    }

    /// The followers of a context, and how often it was followed.
    fn followers(&self, context: u32) -> (&Followers, u64) {
        let at = context as usize;
        let (end, total) = self.ends[at];
        // Every context was followed, as it is made when it is; only the empty one of no sessions was not.
        let start = if at == 0 { 0 } else { self.ends[at - 1].0 };
        (&self.ranked[start..end], total)
    }

    /// The place of a step among the followers of a context.
    fn place(&self, context: u32, followers: &Followers, label: u32) -> Option<usize> {
        if followers.len() > FEW {
            return self.places.get(&(context, label)).copied();
        }
        followers.iter().position(|row| row.0 == label)
    }

    /// The known contexts that end in the last `order` steps, the empty one first.
    fn behind<'a>(&'a self, before: &'a [u32], order: usize) -> impl Iterator<Item = u32> + 'a {
        let mut context = EMPTY;
        let longer = before.iter().rev().take(order).map_while(move |&label| {
            context = *self.contexts.get(&(context, label))?;
            Some(context)
        });
        [EMPTY].into_iter().chain(longer)
    }

    /// How well contexts of up to `order` steps tell the steps of a session from the second on.
    pub fn tell(&self, session: &[u32], order: usize, accuracy: &mut Accuracy) {
        for (at, &next) in session.iter().enumerate().skip(1) {
            #[expect(clippy::cast_precision_loss, reason = "labels and counts stay far below 2^52")]
            let mut likely = 1.0 / (self.labels + 1) as f64;
            let (mut best, mut length) = (None, 0);
            for (steps, context) in self.behind(&session[..at], order).enumerate() {
                let (followers, total) = self.followers(context);
                if total == 0 {
                    break;
                }
                let place = self.place(context, followers, next);
                let times = place.map_or(0, |place| followers[place].1);
                #[expect(clippy::cast_precision_loss, reason = "labels and counts stay far below 2^52")]
                let [total, different] = [total as f64, followers.len() as f64];
                likely = (f64::from(times) + different * likely) / (total + different);
                (best, length) = (Some(place), steps);
            }
            accuracy.steps += 1;
            accuracy.loss -= likely.ln();
            // A step that nothing ever followed tells nothing, whatever is frequent elsewhere.
            if let Some(place) = best.filter(|_| length > 0 || order == 0) {
                accuracy.known += 1;
                let hit = |rank: usize| u64::from(place.is_some_and(|place| place < rank));
                accuracy.hits.iter_mut().zip(RANKS).for_each(|(hits, rank)| *hits += hit(rank));
            }
        }
    }

    /// Every context, its oldest step first, with what followed it and how often.
    #[must_use]
    pub fn contexts(&self) -> Vec<(Vec<u32>, &Followers)> {
        let mut paths: Vec<Vec<u32>> = vec![Vec::new(); self.ends.len()];
        let mut longer: Vec<(u32, u32, u32)> =
            self.contexts.iter().map(|(&(of, label), &it)| (it, of, label)).collect();
        // A context is numbered after the one that it makes longer.
        longer.sort_unstable();
        for (context, of, label) in longer {
            paths[context as usize] = [&[label], paths[of as usize].as_slice()].concat();
        }
        (0..).zip(paths).map(|(context, path)| (path, self.followers(context).0)).collect()
    }

    /// All followers of all contexts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranked.len()
    }

    /// Whether nothing was learned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranked.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn learn<'a>(sessions: impl IntoIterator<Item = &'a [u32]>, order: usize, labels: usize) -> Markov {
        Markov::learn(sessions, order, labels, |_| Ok::<(), ()>(())).unwrap()
    }

    /// Looks at all that was learned from, for every single step.
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    fn naive(learned: &[Vec<u32>], session: &[u32], order: usize, labels: usize) -> Accuracy {
        let mut accuracy = Accuracy::default();
        for at in 1..session.len() {
            let counts = |steps: usize| {
                let mut counts = vec![0_u64; labels];
                for one in learned {
                    for end in steps.max(1)..one.len() {
                        counts[one[end] as usize] += u64::from(one[end - steps..end] == session[at - steps..at]);
                    }
                }
                counts
            };
            let mut likely = 1.0 / (labels as f64 + 1.0);
            let mut best = None;
            for steps in 0..=order.min(at) {
                let counts = counts(steps);
                let (total, different) = (counts.iter().sum::<u64>(), counts.iter().filter(|it| **it > 0).count());
                if total > 0 {
                    let times = counts[session[at] as usize] as f64;
                    likely = (times + different as f64 * likely) / (total as f64 + different as f64);
                    best = Some((steps, counts)).filter(|_| steps > 0 || order == 0).or(best);
                }
            }
            accuracy.steps += 1;
            accuracy.loss -= likely.ln();
            if let Some((_, counts)) = best {
                accuracy.known += 1;
                let mine = counts[session[at] as usize];
                let better =
                    (0_u32..).zip(&counts).filter(|&(label, &it)| it > mine || it == mine && label < session[at]);
                let rank = better.count();
                for (hits, most) in accuracy.hits.iter_mut().zip(RANKS) {
                    *hits += u64::from(mine > 0 && rank < most);
                }
            }
        }
        accuracy
    }

    proptest! {
        #[test]
        fn every_step_is_told_as_by_counting_all_again(
            learned in prop::collection::vec(prop::collection::vec(0_u32..4, 0..7), 0..8),
            session in prop::collection::vec(0_u32..5, 0..7),
            order in 0_usize..4,
        ) {
            let model = learn(learned.iter().map(Vec::as_slice), 3, 5);
            let mut found = Accuracy::default();
            model.tell(&session, order, &mut found);
            let expected = naive(&learned, &session, order, 5);
            prop_assert_eq!((found.steps, found.known, found.hits), (expected.steps, expected.known, expected.hits));
            prop_assert!((found.loss - expected.loss).abs() < 1e-9, "{} {}", found.loss, expected.loss);
        }

        #[test]
        fn chances_sum_to_one(
            learned in prop::collection::vec(prop::collection::vec(0_u32..4, 0..7), 0..8),
            before in prop::collection::vec(0_u32..5, 1..5),
        ) {
            let model = learn(learned.iter().map(Vec::as_slice), 3, 4);
            // Four labels and the one that was never seen.
            let sum: f64 = (0..5).map(|next| {
                let mut accuracy = [Accuracy::default(); 2];
                model.tell(&[&before[..], &[next]].concat(), 3, &mut accuracy[0]);
                model.tell(&before, 3, &mut accuracy[1]);
                (accuracy[1].loss - accuracy[0].loss).exp()
            }).sum();
            prop_assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        }
    }

    #[test]
    fn contexts_and_what_followed_them() {
        let sessions: [&[u32]; 2] = [&[0, 1, 0, 2], &[0, 1]];
        let model = learn(sessions, 2, 3);
        let mut found = model.contexts();
        found.sort();
        let expected: [(Vec<u32>, &Followers); 5] = [
            (vec![], &[(1, 2), (0, 1), (2, 1)]),
            (vec![0], &[(1, 2), (2, 1)]),
            (vec![0, 1], &[(0, 1)]),
            (vec![1], &[(0, 1)]),
            (vec![1, 0], &[(2, 1)]),
        ];
        assert_eq!((found, model.len()), (expected.to_vec(), 8));
    }

    #[test]
    fn many_followers_are_found_by_their_place() {
        let sessions: Vec<[u32; 2]> = (1..100).map(|label| [0, label]).collect();
        let model = learn(sessions.iter().map(<[u32; 2]>::as_slice).chain([&[0, 40][..]]), 1, 100);
        let mut accuracy = Accuracy::default();
        model.tell(&[0, 40], 1, &mut accuracy);
        model.tell(&[0, 2], 1, &mut accuracy);
        model.tell(&[0, 4], 1, &mut accuracy);
        model.tell(&[0, 90], 1, &mut accuracy);
        assert_eq!((accuracy.steps, accuracy.known, accuracy.hits), (4, 4, [1, 2, 3]));
    }
}
