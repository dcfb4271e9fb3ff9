//! The physical order of stored rows: by day, and within a day by `(distinct_id, ts, source_id, source_offset)`.
//!
//! ```text
//! distinct ids ranked once ─► key = rank << 37 | µs of the day ─► (key, place in line order) per day
//!                             dealt out by rank ─► each person's few rows sorted
//! ```
//!
//! Invariants: the order is total and a function of the rows alone, never of their arrival.
//!
//! Deliberately not here: what happens to the rows (`encode.rs`).

use super::rows::buffer::RowBuffer;
use super::rows::interner::{Code, Interner};
use super::rows::row::Row;
use crate::time::{DAY, Day};

/// Bits of the microseconds of a day: 86.4e9 < 2^37. The other 27 bits of a key rank the distinct ids of a buffer,
/// whose budget ends long before 134 million.
const DAY_BITS: u32 = 37;

/// The rows of one day in stored order, as indices into the buffer's rows.
#[derive(Debug)]
pub struct DayRows {
    pub day: Day,
    /// Key and index.
    pub rows: Vec<(u64, u32)>,
}

/// The rows of each day in stored order; days ascending, none empty.
///
/// `sources[n]` is the `source_id` of source number n.
pub fn by_day(buffer: &RowBuffer, sources: &[String]) -> Vec<DayRows> {
    let (rows, ranks) = (buffer.rows.as_slice(), ranks(&buffer.texts.distinct));
    let lines = line_order(rows, sources);
    let row_at = |place: u32| lines.as_ref().map_or(place, |lines| lines[place as usize]);
    let mut days: Vec<(Day, Vec<(u64, u32)>)> =
        days(rows).into_iter().map(|(day, count)| (day, Vec::with_capacity(count))).collect();
    let first = days.first().map_or(0, |(day, _)| day.0);
    for place in places(rows) {
        let row = &rows[row_at(place) as usize];
        let key =
            u64::from(ranks[buffer.who_of(row).distinct as usize]) << DAY_BITS | row.ts.rem_euclid(DAY).unsigned_abs();
        let slot = usize::try_from(Day::of(row.ts).0 - first).unwrap_or_default();
        days[slot].1.push((key, place));
    }
    days.into_iter()
        .filter(|(_, keys)| !keys.is_empty())
        .map(|(day, keys)| {
            let mut rows = sorted(keys, ranks.len());
            if lines.is_some() {
                for (_, place) in &mut rows {
                    *place = row_at(*place);
                }
            }
            DayRows { day, rows }
        })
        .collect()
}

/// Sorts keys of ranks below `ranks`: counted and dealt out by rank, which costs no comparison, and then within each
/// person, whose rows mostly come in order of time.
fn sorted(mut keys: Vec<(u64, u32)>, ranks: usize) -> Vec<(u64, u32)> {
    if keys.len() < ranks / 4 {
        // A thin day of a long log: counting the ranks would cost more than comparing.
        keys.sort_unstable();
        return keys;
    }
    let rank = |key: &(u64, u32)| usize::try_from(key.0 >> DAY_BITS).unwrap_or_default();
    let mut starts = vec![0; ranks + 1];
    for key in &keys {
        starts[rank(key) + 1] += 1;
    }
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let mut dealt = vec![(0, 0); keys.len()];
    for key in &keys {
        let next: &mut usize = &mut starts[rank(key)];
        dealt[*next] = *key;
        *next += 1;
    }
    for person in dealt.chunk_by_mut(|left, right| rank(left) == rank(right)) {
        if !person.is_sorted() {
            person.sort_unstable();
        }
    }
    dealt
}

fn places(rows: &[Row]) -> std::ops::Range<u32> {
    // A buffer's budget holds far fewer rows than 2^32.
    0..u32::try_from(rows.len()).unwrap_or(u32::MAX)
}

/// The days from the first to the last with the number of their rows, 0 in gaps. Accepted times span some eleven
/// thousand days, so the gaps cost little.
pub fn days(rows: &[Row]) -> Vec<(Day, usize)> {
    let Some(first) = rows.iter().map(|row| row.ts).min().map(Day::of) else { return Vec::new() };
    let mut counts: Vec<usize> = Vec::new();
    for row in rows {
        let slot = usize::try_from(Day::of(row.ts).0 - first.0).unwrap_or_default();
        if slot >= counts.len() {
            counts.resize(slot + 1, 0);
        }
        counts[slot] += 1;
    }
    (first.0..).map(Day).zip(counts).collect()
}

/// The place of each text among all texts in byte order, by code.
fn ranks(texts: &Interner) -> Vec<u32> {
    // The first eight bytes decide most comparisons without touching the arena.
    let mut order: Vec<(u64, Code)> = (0..texts.len())
        .map(|code| {
            let code = u32::try_from(code).unwrap_or(u32::MAX);
            (head(texts.bytes(code)), code)
        })
        .collect();
    order.sort_unstable_by(|left, right| {
        left.0.cmp(&right.0).then_with(|| texts.bytes(left.1).cmp(texts.bytes(right.1)))
    });
    let mut ranks = vec![0; order.len()];
    for (rank, (_, code)) in (0u32..).zip(order) {
        ranks[code as usize] = rank;
    }
    ranks
}

/// The first eight bytes as a number that orders like the bytes; shorter texts are padded with zeros.
fn head(text: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let len = text.len().min(8);
    bytes[..len].copy_from_slice(&text[..len]);
    u64::from_be_bytes(bytes)
}

/// The rows in order of (source id, offset), or `None` where they already lie so.
fn line_order(rows: &[Row], sources: &[String]) -> Option<Vec<u32>> {
    let mut by_id: Vec<usize> = (0..sources.len()).collect();
    by_id.sort_unstable_by_key(|number| &sources[*number]);
    let mut rank = vec![0u32; sources.len()];
    for (at, number) in (0u32..).zip(by_id) {
        rank[number] = at;
    }
    let key = |row: &Row| (rank[usize::from(row.source)], row.offset);
    if rows.is_sorted_by_key(key) {
        return None;
    }
    let mut order: Vec<u32> = places(rows).collect();
    order.sort_unstable_by_key(|place| key(&rows[*place as usize]));
    Some(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::event::RawEvent;
    use crate::ingest::rows::rules::Rules;

    #[test]
    fn ranks_follow_the_bytes() {
        let mut texts = Interner::default();
        for text in ["b", "a", "abcdefgh", "abcdefgha", "abcdefg", "", "a\0"] {
            texts.intern(text.as_bytes());
        }
        let ranks = ranks(&texts);
        for left in 1..texts.len() {
            for right in 1..texts.len() {
                let (left, right) = (u32::try_from(left).unwrap(), u32::try_from(right).unwrap());
                let by_rank = ranks[left as usize].cmp(&ranks[right as usize]);
                assert_eq!(by_rank, texts.bytes(left).cmp(texts.bytes(right)));
            }
        }
    }

    #[test]
    fn dealing_by_rank_sorts() {
        let mixed = |at: u64| (at ^ 0x5bd1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        for (rows, ranks) in [(0, 0), (1, 1), (5_000, 300), (5_000, 100_000)] {
            let key = |at| (((mixed(at) % ranks) << DAY_BITS) | (mixed(at + 7) % 3), u32::try_from(at).unwrap());
            let keys: Vec<(u64, u32)> = (0..rows).map(key).collect();
            let mut expected = keys.clone();
            expected.sort_unstable();
            assert_eq!(sorted(keys, usize::try_from(ranks).unwrap()), expected);
        }
    }

    #[test]
    fn the_order_is_total_and_split_by_day() {
        let rules = Rules::new(&Config::default(), 3 * DAY, None).unwrap();
        let rules = Rules { earliest_ts: 0, ..rules };
        let mut buffer = RowBuffer::new(&rules);
        let sources = ["ff".to_owned(), "aa".to_owned()];
        for (ts, user, source, offset) in [
            (DAY + 5, "zoe", 0, 0),
            (5, "zoe", 0, 10),
            (5, "ann", 0, 20),
            (5, "ann", 1, 30),
            (4, "zoe", 0, 5),
            (5, "ann", 1, 7),
        ] {
            let raw = RawEvent { ts, user_id: Some(user.as_bytes()), ..RawEvent::default() };
            buffer.push(&raw, source, offset, &rules).unwrap();
        }
        let seen: Vec<(i32, Vec<u32>)> = by_day(&buffer, &sources)
            .into_iter()
            .map(|day| (day.day.0, day.rows.into_iter().map(|(_, row)| row).collect()))
            .collect();
        assert_eq!(seen, vec![(0, vec![5, 3, 2, 4, 1]), (1, vec![0])]);
        buffer.clear();
        assert!(by_day(&buffer, &sources).is_empty());
    }
}
