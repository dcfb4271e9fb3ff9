//! Steps of one session: consecutive equal labels become one (SEMANTICS §3), and how long each was looked at.

/// Writes the first event of each step to the beginning of `steps`, which has room for all, as `base + n` for event `n`
/// of the session; how many there are.
///
/// `labels` are the session's label codes in order; with `collapse` off every event is a step.
pub fn collapse(labels: &[u32], collapse: bool, base: u32, steps: &mut [u32]) -> usize {
    let Some(&first) = labels.first() else { return 0 };
    let (mut last, mut count) = (!first, 0);
    for (at, &label) in (base..).zip(labels) {
        // No processor foresees who stays: every event is written, and what is none is written over.
        steps[count] = at;
        count += usize::from(!collapse || label != last);
        last = label;
    }
    count
}

/// The dwell of a step that has none: the last of its session, or an event among page views.
pub const UNKNOWN: i64 = -1;

/// Appends the dwell of each step of one session in µs, [`UNKNOWN`] where there is none (SEMANTICS §4).
///
/// `ts` are the steps' times, `views` whether each is a page view. In a session with page views dwell runs from view
/// to view and what is none has no dwell; a session without any counts every step. `counted` receives whether the
/// step is one that dwell is about.
pub fn dwell(ts: &[i64], views: impl Fn(usize) -> bool, out: &mut Vec<i64>, counted: &mut Vec<bool>) {
    let any = (0..ts.len()).any(&views);
    let from = out.len();
    out.resize(from + ts.len(), UNKNOWN);
    let mut last: Option<usize> = None;
    for at in 0..ts.len() {
        let counts = !any || views(at);
        counted.push(counts);
        if counts {
            if let Some(last) = last {
                out[from + last] = ts[at].saturating_sub(ts[last]);
            }
            last = Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v5_repeats_become_one_step() {
        let steps = |labels: &[u32], on, base| {
            let mut steps = vec![0; labels.len()];
            let count = collapse(labels, on, base, &mut steps);
            steps.truncate(count);
            steps
        };
        assert_eq!(steps(&[1, 1, 2], true, 10), [10, 12]);
        assert_eq!(steps(&[1, 1], false, 0), [0, 1]);
        assert_eq!(steps(&[u32::MAX, u32::MAX, 0, 0, u32::MAX], true, 0), [0, 2, 4]);
        assert!(steps(&[], true, 0).is_empty());
    }

    #[test]
    fn v5_dwell_runs_to_the_next_step_and_the_last_is_unknown() {
        let (mut out, mut counted) = (Vec::new(), Vec::new());
        dwell(&[0, 9], |_| true, &mut out, &mut counted);
        assert_eq!(out, [9, UNKNOWN]);
    }

    #[test]
    fn events_among_page_views_have_no_dwell() {
        let (mut out, mut counted) = (Vec::new(), Vec::new());
        dwell(&[0, 4, 9], |at| at != 1, &mut out, &mut counted);
        assert_eq!((out, counted), (vec![9, UNKNOWN, UNKNOWN], vec![true, false, true]));
    }

    #[test]
    fn a_session_without_page_views_counts_its_events() {
        let (mut out, mut counted) = (Vec::new(), Vec::new());
        dwell(&[0, 4, 9], |_| false, &mut out, &mut counted);
        assert_eq!((out, counted), (vec![4, 5, UNKNOWN], vec![true; 3]));
    }
}
