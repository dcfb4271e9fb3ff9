//! The values of a group, for the aggregates that need them all.

use crate::engine::functions::percentile;

use super::accumulate::Kind;

/// Values of a group beyond which more go into a new piece.
const PIECE: usize = 1 << 16;

/// All values of one group, in pieces: what is there stays where it is, and no half of a grown list lies empty.
#[derive(Debug, Default)]
pub(super) struct Values {
    full: Vec<Vec<f64>>,
    last: Vec<f64>,
}

impl Values {
    /// Adds a value.
    pub(super) fn push(&mut self, value: f64) {
        if self.last.len() >= PIECE {
            self.full.push(std::mem::replace(&mut self.last, Vec::with_capacity(PIECE)));
        }
        self.last.push(value);
    }

    /// Adds another reader's values of the group.
    pub(super) fn adopt(&mut self, mut other: Self) {
        self.full.append(&mut other.full);
        if self.last.is_empty() {
            self.last = other.last;
        } else if !other.last.is_empty() {
            self.full.push(other.last);
        }
    }

    /// The values in one piece.
    fn whole(&mut self) -> &mut [f64] {
        if !self.full.is_empty() {
            let mut all = Vec::with_capacity(self.full.iter().map(Vec::len).sum::<usize>() + self.last.len());
            self.full.drain(..).for_each(|piece| all.extend(piece));
            all.append(&mut self.last);
            self.last = all;
        }
        &mut self.last
    }

    /// The value asked for; reorders them.
    pub(super) fn quantile(&mut self, kind: Kind) -> Option<f64> {
        quantile(self.whole(), kind)
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + (self.full.iter().map(Vec::capacity).sum::<usize>() + self.last.capacity()) * 8
    }
}

/// The value asked for; reorders the list.
fn quantile(list: &mut [f64], kind: Kind) -> Option<f64> {
    match kind {
        Kind::Quantile(share) => percentile(list, share),
        _ if list.is_empty() => None,
        _ => {
            let even = list.len().is_multiple_of(2);
            let (below, &mut upper, _) = list.select_nth_unstable_by(list.len() / 2, f64::total_cmp);
            let lower = below.iter().copied().max_by(f64::total_cmp).filter(|_| even);
            Some(lower.map_or(upper, |lower| f64::midpoint(lower, upper)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v11_the_median_is_the_mean_of_the_two_middle_values() {
        assert_eq!(quantile(&mut [4.0, 1.0, 3.0, 2.0], Kind::Median), Some(2.5));
        assert_eq!(quantile(&mut [3.0, 1.0, 2.0], Kind::Median), Some(2.0));
        assert_eq!(quantile(&mut [], Kind::Median), None);
        assert_eq!(quantile(&mut [1.0, 2.0, 3.0, 4.0], Kind::Quantile(0.25)), Some(1.75));
        assert_eq!(quantile(&mut [7.0], Kind::Quantile(0.9)), Some(7.0));
    }

    #[test]
    fn values_in_pieces_are_all_there() {
        let (mut one, mut other) = (Values::default(), Values::default());
        let many = u32::try_from(3 * PIECE).unwrap();
        for at in 0..many {
            (if at % 2 == 0 { &mut one } else { &mut other }).push(f64::from(at));
        }
        one.adopt(other);
        let mut whole = one.whole().to_vec();
        whole.sort_by(f64::total_cmp);
        assert_eq!(whole, (0..many).map(f64::from).collect::<Vec<_>>());
        assert_eq!(one.whole().len(), 3 * PIECE);
    }
}
