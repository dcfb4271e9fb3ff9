//! Property: the tables are a function of the set of lines, not of files' order, batches, cuts or the buffer's size.

use proptest::prelude::*;

use super::{Place, Tables, line, log};
use crate::stage::cases;

/// A line that may be good, malformed, blank, out of range or about nobody; `at` makes it nearly unique.
fn any_line(kind: u8, at: u64) -> String {
    match kind {
        0 => format!("garbage {at}\n"),
        1 => "\n".to_owned(),
        2 => line(at).replace("/2026:", "/1990:"),
        3 => line(at).replace("10.0.0.", "- 10.0.0."),
        4 => line(at).replace("\"GET ", "\""),
        5 => line(at).replace("\" 200", " 200"),
        _ => line(at),
    }
}

fn build(files: &[Vec<u8>], order: &[usize], batch: usize, buffer_bytes: usize) -> Tables {
    let mut place = Place::new();
    place.buffer_bytes = buffer_bytes;
    for batch in order.chunks(batch) {
        let paths: Vec<_> = batch.iter().map(|at| place.file(&format!("{at}.log"), &files[*at])).collect();
        let paths: Vec<_> = paths.iter().map(std::path::PathBuf::as_path).collect();
        place.try_ingest(&paths, "combined").unwrap();
    }
    place.tables()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(24), ..ProptestConfig::default() })]

    #[test]
    fn files_in_any_order_and_batch(
        kinds in prop::collection::vec(prop::collection::vec(0u8..30, 1..60), 1..5),
        order in Just(()).prop_perturb(|(), mut random| random.next_u64()),
        batch in 1usize..4,
    ) {
        let files: Vec<Vec<u8>> = kinds
            .iter()
            .enumerate()
            .map(|(file, kinds)| {
                // The first line names the source; independent files have different ones.
                let lines = kinds.iter().enumerate().map(|(at, kind)| any_line(*kind, (file * 1_000 + at + 1) as u64));
                line((file * 1_000) as u64).into_bytes().into_iter().chain(lines.flat_map(String::into_bytes)).collect()
            })
            .collect();
        let straight: Vec<usize> = (0..files.len()).collect();
        let mut shuffled = straight.clone();
        shuffled.sort_by_key(|at| (order >> (at * 7)) & 0x7f);
        let expected = build(&files, &straight, files.len(), 64 << 20);
        build(&files, &shuffled, batch, 1 << 17).assert_same(&expected, "another order");
    }

    #[test]
    fn one_file_cut_anywhere(cuts in prop::collection::vec(0.0f64..1.0, 0..4)) {
        let text = log(0..300);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a small text")]
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| (cut * text.len() as f64) as usize).filter(|cut| *cut > 0).collect();
        cuts.sort_unstable();
        cuts.push(text.len());
        let place = Place::new();
        for cut in cuts {
            let path = place.file("access.log", &text[..cut]);
            place.try_ingest(&[&path], "combined").unwrap();
        }
        let whole = build(&[text], &[0], 1, 64 << 20);
        place.tables().assert_same(&whole, "cut");
    }
}
