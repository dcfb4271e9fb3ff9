//! What comes some time after what: pairs of labels of a session, whatever lies between.

/// Finds the pairs of one session after the other, reusing its room.
#[derive(Debug, Default)]
pub struct Follows {
    /// By label: its place in `distinct`, from 1; 0 for none.
    places: Vec<u32>,
    /// Labels of the session: where each is first, and where it is next behind the step looked at.
    distinct: Vec<(u32, usize, Option<usize>)>,
}

impl Follows {
    /// Calls `visit(a, b, from, to)` once for every two labels of which `b` comes after the first `a`: `from` is that
    /// first step, `to` the first `b` behind it. `O(steps + pairs)`.
    ///
    /// # Errors
    /// What `visit` says.
    pub fn each<E>(
        &mut self,
        labels: &[u32],
        mut visit: impl FnMut(u32, u32, usize, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        self.distinct(labels);
        let Self { places, distinct } = self;
        for (at, &label) in labels.iter().enumerate().rev() {
            let place = places[label as usize] as usize - 1;
            if distinct[place].1 == at {
                for &(other, _, next) in distinct.iter() {
                    if let Some(next) = next {
                        visit(label, other, at, next)?;
                    }
                }
            }
            distinct[place].2 = Some(at);
        }
        Ok(())
    }

    /// How many different labels a session has.
    pub fn distinct(&mut self, labels: &[u32]) -> usize {
        let Self { places, distinct } = self;
        for (label, _, _) in distinct.drain(..) {
            places[label as usize] = 0;
        }
        for (at, &label) in labels.iter().enumerate() {
            if places.len() <= label as usize {
                places.resize(label as usize + 1, 0);
            }
            if places[label as usize] == 0 {
                distinct.push((label, at, None));
                places[label as usize] = u32::try_from(distinct.len()).unwrap_or(u32::MAX);
            }
        }
        distinct.len()
    }

    /// The labels of the session that was looked at last, each once.
    pub fn labels(&self) -> impl Iterator<Item = u32> {
        self.distinct.iter().map(|&(label, _, _)| label)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

        #[test]
        fn pairs_equal_the_definition(sessions in prop::collection::vec(prop::collection::vec(0_u32..5, 0..9), 1..4)) {
            let mut follows = Follows::default();
            for labels in sessions {
                let mut found = Vec::new();
                let Ok(()) = follows.each(&labels, |a, b, from, to| {
                    found.push((a, b, from, to));
                    Ok::<(), Infallible>(())
                });
                found.sort_unstable();
                let mut expected = Vec::new();
                for a in 0..5 {
                    let Some(from) = labels.iter().position(|&label| label == a) else { continue };
                    for b in 0..5 {
                        let next = (from + 1..labels.len()).find(|&at| labels[at] == b);
                        expected.extend(next.map(|to| (a, b, from, to)));
                    }
                }
                prop_assert_eq!(found, expected);
                let mut distinct: Vec<u32> = follows.labels().collect();
                distinct.sort_unstable();
                let mut all = labels;
                all.sort_unstable();
                all.dedup();
                prop_assert_eq!(distinct, all);
            }
        }
    }
}
