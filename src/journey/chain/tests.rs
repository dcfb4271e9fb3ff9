//! Chains against walking them.

use proptest::prelude::*;

use super::*;

fn moves(sessions: &[(Vec<u32>, bool)]) -> Moves {
    let mut moves = Moves::default();
    for (before, reached) in sessions {
        moves.session(before.iter().copied(), *reached);
    }
    moves
}

/// Where everybody is after ever more moves from a step, without those who come to `removed`: the share that reaches the
/// goal and the mean number of moves of those. What still walks at the end is less than `1e-12` of them.
fn walked(chain: &Chain, from: usize, removed: Option<usize>) -> (f64, f64) {
    let mut here = vec![0.0; chain.rows.len()];
    here[from] = 1.0;
    let (mut reached, mut moved) = (0.0, 0.0);
    for number in 1..200_000 {
        let mut next = vec![0.0; here.len()];
        for (at, share) in here.iter().enumerate() {
            reached += share * chain.goal[at];
            moved += share * chain.goal[at] * f64::from(number);
            for &(to, moving) in chain.rows[at].iter().filter(|(to, _)| Some(*to as usize) != removed) {
                next[to as usize] += share * moving;
            }
        }
        here = next;
        if here.iter().sum::<f64>() < 1e-12 {
            break;
        }
    }
    (reached, moved / reached)
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-7 * b.abs().max(1.0)
}

fn check(chain: &Chain) -> Result<(), TestCaseError> {
    let chances = chain.chances(|| false).unwrap();
    for at in 0..chain.rows.len() {
        let (reached, moved) = walked(chain, at, None);
        prop_assert!(close(chances.score[at], reached), "{at}: {} {reached}", chances.score[at]);
        match chances.steps[at] {
            Some(steps) => prop_assert!(close(steps, moved), "{at}: {steps} {moved}"),
            None => prop_assert!(reached < 2.0 * LEAST),
        }
    }
    let (whole, _) = walked(chain, 0, None);
    for (at, effect) in (1..).zip(chain.removals(|| false).unwrap()) {
        let left = walked(chain, 0, Some(at)).0;
        let expected = if whole > 0.0 { 1.0 - left / whole } else { 0.0 };
        prop_assert!(close(effect, expected), "{at}: {effect} {expected}");
    }
    Ok(())
}

#[test]
fn a_chain_by_hand() {
    // START > a always; from a: b 2, EXIT 1, GOAL 1; from b: a 1, GOAL 1.
    let sessions = [(vec![1, 2, 1], false), (vec![1, 2], true), (vec![1], true)];
    let chain = Chain::new(&moves(&sessions));
    let chances = chain.chances(|| false).unwrap();
    // h(a) = 1/4 + h(b)/2, h(b) = 1/2 + h(a)/2.
    let (a, b) = (2.0 / 3.0, 5.0 / 6.0);
    for (found, expected) in chances.score.iter().zip([a, a, b]) {
        assert!(close(*found, expected), "{:?}", chances.score);
    }
    // m(a) = h(a) + m(b)/2, m(b) = h(b) + m(a)/2: 13/9 and 14/9.
    assert!(close(chances.steps[1].unwrap(), 13.0 / 9.0 / a) && close(chances.steps[2].unwrap(), 14.0 / 9.0 / b));
    // Without b a quarter of a reaches the goal.
    let removals = chain.removals(|| false).unwrap();
    assert!(close(removals[0], 1.0) && close(removals[1], 1.0 - 0.25 / a), "{removals:?}");
    assert_eq!((chain.visits(), chain.step(2), chain.step(9)), (&[3, 4, 2][..], Some(2), None));
}

#[test]
fn nobody_and_nowhere() {
    let chain = Chain::new(&Moves::default());
    assert_eq!(chain.chances(|| false).unwrap(), Chances { score: vec![0.0], steps: vec![None] });
    assert!(chain.removals(|| false).unwrap().is_empty());
    let chain = Chain::new(&moves(&[(vec![1, 2], false), (vec![], true)]));
    assert_eq!(chain.chances(|| false).unwrap().steps[1..], [None, None]);
}

#[test]
fn a_large_chain_is_iterated_to_the_same_answer() {
    // A way of steps that goes on, back or away.
    let long = u32::try_from(DENSE + 20).unwrap();
    let mut counted = Moves::default();
    for step in 1..=long {
        let back = step.saturating_sub(1);
        counted.0.insert((Place::Step(step), if step == long { Place::Goal } else { Place::Step(step + 1) }), 6);
        counted.0.insert((Place::Step(step), if back == 0 { Place::Exit } else { Place::Step(back) }), 3);
        *counted.0.entry((Place::Step(step), Place::Exit)).or_default() += u64::from(step % 40 == 0);
    }
    counted.0.insert((Place::Start, Place::Step(1)), 9);
    let chain = Chain::new(&counted);
    let chances = chain.chances(|| false).unwrap();
    let dense = chain.eliminated(&chain.goal).unwrap();
    for (iterated, dense) in chances.score.iter().zip(dense) {
        assert!(close(*iterated, dense));
    }
    let wide = Chain::new(&moves(&[((1..=1_000).collect(), true)]));
    assert_eq!(wide.removals(|| false), Err(Unsolved::TooMany(REMOVALS)));
    assert_eq!(chain.chances(|| true), Err(Unsolved::Stopped));
}

proptest! {
    #[test]
    fn what_is_solved_is_what_is_walked(
        sessions in prop::collection::vec((prop::collection::vec(1_u32..5, 0..6), any::<bool>()), 0..12),
        cut in 0_usize..12,
    ) {
        let whole = Chain::new(&moves(&sessions));
        check(&whole)?;
        let (one, other) = sessions.split_at(cut.min(sessions.len()));
        let mut parts = moves(one);
        parts.merge(&moves(other), |label| label);
        prop_assert_eq!(parts.0, moves(&sessions).0);
    }
}
