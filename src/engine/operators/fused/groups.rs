//! Groups as numbers: one code per key column becomes one group per distinct combination.

use hashbrown::HashMap;

/// Cells of a two-column table above which pairs are hashed instead.
const CELLS: usize = 1 << 20;
const UNUSED: u32 = u32::MAX;

/// Pairs of numbers as numbers, in order of appearance.
#[derive(Debug, Default)]
struct Pairs {
    /// `cells[left * width + right]`, while both sides are small.
    cells: Vec<u32>,
    width: usize,
    hashed: Option<HashMap<u64, u32, foldhash::fast::RandomState>>,
    /// The pair behind each number.
    parts: Vec<(u32, u32)>,
}

impl Pairs {
    fn number(&mut self, left: u32, right: u32) -> u32 {
        if let Some(hashed) = &mut self.hashed {
            return *hashed.entry(u64::from(left) << 32 | u64::from(right)).or_insert_with(|| {
                self.parts.push((left, right));
                last(&self.parts)
            });
        }
        let (row, column) = (left as usize, right as usize);
        if column >= self.width || row * self.width + column >= self.cells.len() {
            self.grow(row, column);
            return self.number(left, right);
        }
        let cell = &mut self.cells[row * self.width + column];
        if *cell == UNUSED {
            self.parts.push((left, right));
            *cell = last(&self.parts);
        }
        *cell
    }

    fn grow(&mut self, row: usize, column: usize) {
        let width = (column + 1).next_power_of_two().max(self.width).max(8);
        let rows = (row + 1).next_power_of_two().max(self.cells.len() / self.width.max(1)).max(8);
        if width.saturating_mul(rows) > CELLS {
            let known = (0..)
                .zip(&self.parts)
                .map(|(number, &(left, right))| (u64::from(left) << 32 | u64::from(right), number));
            self.hashed = Some(known.collect());
            self.cells = Vec::new();
            return;
        }
        self.width = width;
        self.cells.clear();
        self.cells.resize(width * rows, UNUSED);
        for (number, &(left, right)) in (0..).zip(&self.parts) {
            self.cells[left as usize * width + right as usize] = number;
        }
    }

    fn size(&self) -> usize {
        self.cells.capacity() * 4
            + self.parts.capacity() * 8
            + self.hashed.as_ref().map_or(0, |hashed| hashed.capacity() * 17)
    }
}

fn last(parts: &[(u32, u32)]) -> u32 {
    u32::try_from(parts.len() - 1).unwrap_or(UNUSED)
}

/// The groups of some key columns. Without a key there is one group.
#[derive(Debug)]
pub(super) struct Groups {
    /// Group of each code of the first key.
    first: Vec<u32>,
    /// Code of each group by the first key alone.
    first_codes: Vec<u32>,
    /// One step for each further key: (group so far, code).
    further: Vec<Pairs>,
    keys: usize,
}

impl Groups {
    pub(super) fn new(keys: usize) -> Self {
        let further = (1..keys).map(|_| Pairs::default()).collect();
        Self { first: Vec::new(), first_codes: Vec::new(), further, keys }
    }

    /// Number of groups.
    pub(super) fn len(&self) -> usize {
        match self.further.last() {
            Some(pairs) => pairs.parts.len(),
            None if self.keys == 0 => 1,
            None => self.first_codes.len(),
        }
    }

    /// The group of every row; `codes` holds one column of codes per key.
    pub(super) fn assign(&mut self, codes: &[Vec<u32>], rows: usize, out: &mut Vec<u32>) {
        out.clear();
        let Some((first, rest)) = codes.split_first() else {
            out.resize(rows, 0);
            return;
        };
        let most = first.iter().fold(0, |most, &code| most.max(code as usize + 1));
        if most > self.first.len() {
            self.first.resize(most.next_power_of_two(), UNUSED);
        }
        for &code in first {
            let group = &mut self.first[code as usize];
            if *group == UNUSED {
                *group = u32::try_from(self.first_codes.len()).unwrap_or(UNUSED);
                self.first_codes.push(code);
            }
            out.push(*group);
        }
        for (pairs, codes) in self.further.iter_mut().zip(rest) {
            for (group, &code) in out.iter_mut().zip(codes) {
                *group = pairs.number(*group, code);
            }
        }
    }

    /// The codes of every group, a column per key.
    pub(super) fn codes(&self) -> Vec<Vec<u32>> {
        if self.keys == 0 {
            return Vec::new();
        }
        let mut columns = vec![Vec::new(); self.keys];
        let mut groups: Vec<u32> = (0..u32::try_from(self.len()).unwrap_or(UNUSED)).collect();
        for (key, pairs) in self.further.iter().enumerate().rev() {
            columns[key + 1] = groups.iter().map(|&group| pairs.parts[group as usize].1).collect();
            for group in &mut groups {
                *group = pairs.parts[*group as usize].0;
            }
        }
        columns[0] = groups.iter().map(|&group| self.first_codes[group as usize]).collect();
        columns
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        (self.first.capacity() + self.first_codes.capacity()) * 4 + self.further.iter().map(Pairs::size).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_codes_share_a_group_and_codes_come_back() {
        let mut groups = Groups::new(3);
        let mut out = Vec::new();
        groups.assign(&[vec![5, 5, 7, 5], vec![1, 1, 1, 2], vec![0, 0, 9, 0]], 4, &mut out);
        assert_eq!(out, [0, 0, 1, 2]);
        assert_eq!(groups.codes(), [vec![5, 7, 5], vec![1, 1, 2], vec![0, 9, 0]]);
    }

    #[test]
    fn many_pairs_are_hashed_and_stay_the_same() {
        let mut groups = Groups::new(2);
        let mut out = Vec::new();
        let left: Vec<u32> = (0..5_000).collect();
        let right: Vec<u32> = (0..5_000).rev().collect();
        groups.assign(&[left.clone(), right.clone()], 5_000, &mut out);
        let before = out.clone();
        groups.assign(&[left.clone(), right.clone()], 5_000, &mut out);
        assert_eq!(before, out);
        assert_eq!((groups.len(), groups.codes()), (5_000, vec![left, right]));
    }

    #[test]
    fn without_a_key_there_is_one_group() {
        let mut groups = Groups::new(0);
        let mut out = Vec::new();
        groups.assign(&[], 3, &mut out);
        assert_eq!((out, groups.len()), (vec![0, 0, 0], 1));
    }
}
