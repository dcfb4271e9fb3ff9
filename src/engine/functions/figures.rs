//! Figures that functions share: shares, their intervals, quantiles.

use crate::time::SECOND;

/// `part` of `whole`; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "counts of units stay far below 2^52")]
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The 95 % Wilson score interval of `part` successes in `whole` trials.
#[expect(clippy::cast_precision_loss, reason = "counts of units stay far below 2^52")]
pub(super) fn wilson(part: u64, whole: u64) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
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
}
