//! Figures that functions share: shares, their intervals, quantiles.

use crate::time::SECOND;

/// `part` of `whole`; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "counts of units stay far below 2^52")]
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The standard normal distribution's 97.5 % quantile.
const Z: f64 = 1.959_963_984_540_054;

/// The 95 % Wilson score interval of `part` successes in `whole` trials.
#[expect(clippy::cast_precision_loss, reason = "counts of units stay far below 2^52")]
pub(super) fn wilson(part: u64, whole: u64) -> (f64, f64) {
    if whole == 0 {
        return (0.0, 0.0);
    }
    let (trials, rate) = (whole as f64, share(part, whole));
    let spread = Z * Z / trials;
    let centre = (rate + spread / 2.0) / (1.0 + spread);
    let half = Z / (1.0 + spread) * (rate * (1.0 - rate) / trials + spread / (4.0 * trials)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

/// The difference of two shares, each `part` of `whole`, with its 95 % interval (Newcombe's hybrid score interval).
pub(super) fn newcombe(a: (u64, u64), b: (u64, u64)) -> (f64, f64, f64) {
    let ((p, q), (a, b)) = ((share(a.0, a.1), share(b.0, b.1)), (wilson(a.0, a.1), wilson(b.0, b.1)));
    let (below, above) = ((p - a.0).hypot(b.1 - q), (a.1 - p).hypot(q - b.0));
    (p - q, p - q - below, p - q + above)
}

/// The continuous quantile `part / whole` in seconds: between two neighbours it runs in a straight line.
#[expect(clippy::cast_precision_loss, reason = "ranks and µs stay far below 2^52")]
pub(super) fn quantile(values: &mut [i64], part: usize, whole: usize) -> f64 {
    let rank = (values.len() - 1) * part;
    let (below, rest) = (rank / whole, rank % whole);
    let (_, &mut low, above) = values.select_nth_unstable(below);
    let high = if rest == 0 { low } else { above.iter().copied().min().unwrap_or(low) };
    let between = (high - low) as f64 * (rest as f64 / whole as f64);
    (low as f64 + between) / SECOND as f64
}

/// How the odds of two groups differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Odds {
    pub ratio: f64,
    /// The 95 % interval of the ratio: Wald's of the log odds (Woolf).
    pub lo: f64,
    pub hi: f64,
    /// The two-sided p-value of the same statistic.
    pub p: f64,
    /// Whether a cell was 0, so that ½ was added to all (Haldane, Anscombe).
    pub corrected: bool,
}

/// The odds ratio of two groups, each `[successes, failures]`.
#[expect(clippy::cast_precision_loss, reason = "counts of units stay far below 2^52")]
pub(super) fn odds_ratio(cells: [[u64; 2]; 2]) -> Odds {
    let corrected = cells.as_flattened().contains(&0);
    let add = if corrected { 0.5 } else { 0.0 };
    let [[won, lost], [others_won, others_lost]] = cells.map(|group| group.map(|count| count as f64 + add));
    let log = (won * others_lost / (lost * others_won)).ln();
    let error = (1.0 / won + 1.0 / lost + 1.0 / others_won + 1.0 / others_lost).sqrt();
    let p = erfc(log.abs() / error / std::f64::consts::SQRT_2);
    Odds { ratio: log.exp(), lo: (log - Z * error).exp(), hi: (log + Z * error).exp(), p, corrected }
}

/// The complementary error function of what is not negative: the series near 0, the continued fraction beyond; correct to
/// nine digits at least.
fn erfc(x: f64) -> f64 {
    const SQRT_PI: f64 = 1.772_453_850_905_516;
    if x < 2.5 {
        let (mut term, mut sum) = (x, x);
        for n in 1..60 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return 1.0 - 2.0 / SQRT_PI * sum;
    }
    let fraction = (1..=80).rev().fold(0.0, |rest, k| f64::from(k) / 2.0 / (x + rest));
    (-x * x).exp() / SQRT_PI / (x + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_share() {
        let (lo, hi) = wilson(5, 10);
        assert!((lo - 0.236_593).abs() < 1e-6 && (hi - 0.763_407).abs() < 1e-6, "{lo} {hi}");
        assert!(wilson(0, 3).0.abs() < 1e-12 && (wilson(3, 3).1 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_interval_of_a_difference() {
        // Newcombe 1998, method 10, his first example: 56/70 - 48/80.
        let (difference, lo, hi) = newcombe((56, 70), (48, 80));
        assert!(
            (difference - 0.2).abs() < 1e-9 && (lo - 0.0524).abs() < 5e-5 && (hi - 0.3339).abs() < 5e-5,
            "{lo} {hi}"
        );
    }

    #[test]
    fn the_odds_of_two_groups() {
        // 10 of 15 and 5 of 25: ln 8 and the root of 1/10 + 1/5 + 1/5 + 1/20, by hand.
        let odds = odds_ratio([[10, 5], [5, 20]]);
        assert!((odds.ratio - 8.0).abs() < 1e-12 && !odds.corrected, "{odds:?}");
        let error = 0.55_f64.sqrt();
        assert!((odds.lo - (8_f64.ln() - Z * error).exp()).abs() < 1e-12, "{odds:?}");
        assert!((odds.hi / odds.ratio - odds.ratio / odds.lo).abs() < 1e-9, "{odds:?}");
        // z = 2.803_926: both tails of the normal distribution.
        assert!((odds.p - 0.005_048_5).abs() < 1e-6, "{odds:?}");
        // An empty cell: 3.5 * 4.5 / (0.5 * 1.5).
        let odds = odds_ratio([[3, 0], [1, 4]]);
        assert!((odds.ratio - 21.0).abs() < 1e-9 && odds.corrected && odds.lo < 21.0 && odds.hi > 21.0, "{odds:?}");
        let none = odds_ratio([[0, 0], [0, 0]]);
        assert!((none.ratio - 1.0).abs() < 1e-12 && (none.p - 1.0).abs() < 1e-12, "{none:?}");
    }

    #[test]
    fn the_error_function_at_known_points() {
        // Abramowitz and Stegun, table 7.1, and scipy beyond it.
        for (x, expected) in [
            (0.0, 1.0),
            (0.5, 0.479_500_122_186_953_5),
            (1.0, 0.157_299_207_050_285_13),
            (2.0, 0.004_677_734_981_047_266),
            (2.5, 4.069_520_174_449_589e-4),
            (3.0, 2.209_049_699_858_544e-5),
            (5.0, 1.537_459_794_428_035_1e-12),
        ] {
            assert!((erfc(x) / expected - 1.0).abs() < 1e-9, "{x}: {} {expected}", erfc(x));
        }
    }
}
