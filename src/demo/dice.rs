//! The generator's chance: splitmix64, so that a seed means the same bytes for ever and nothing is depended upon.

pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits: a Weyl sequence through an avalanche of two multiplications.
    pub(super) const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end` (0 where `end` is 0).
    pub(super) const fn below(&mut self, end: u64) -> u64 {
        let product = self.bits() as u128 * end as u128;
        (product >> 64) as u64
    }

    /// A number below `end`, small ones more often: what favourites and short pauses look like.
    pub(super) fn skewed(&mut self, end: u64) -> u64 {
        self.below(end).min(self.below(end))
    }

    /// True `per_mille` times in a thousand.
    pub(super) const fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// One of the items; the first where there is only one.
    pub(super) fn pick<T: Copy>(&mut self, first: T, others: &[T]) -> T {
        let at = self.below(others.len() as u64 + 1);
        usize::try_from(at).ok().and_then(|at| others.get(at.checked_sub(1)?)).copied().unwrap_or(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_never_changes() {
        let mut dice = Dice::new(1);
        assert_eq!([dice.bits(), dice.bits()], [0x910A_2DEC_8902_5CC1, 0xBEEB_8DA1_658E_EC67]);
        assert_eq!(dice.below(0), 0);
        assert!((0..1_000).all(|_| dice.below(7) < 7));
    }
}
