//! What was seen on devices: there may be very many of them, hence few pieces of memory.

use std::fmt;

use super::ANONYMOUS;
use super::timeline::Run;

/// Devices and their runs.
#[derive(Clone, Default)]
pub struct Devices {
    /// Ids of devices and users, row by row.
    text: String,
    rows: Vec<Row>,
}

/// A run of a device: where in the text its id begins, which its user follows, and how long they are; and the run's times.
#[derive(Clone, Copy)]
struct Row {
    start: usize,
    id: u32,
    user: u32,
    first: i64,
    last: i64,
}

impl Devices {
    /// With room for so many runs.
    #[must_use]
    pub fn with_capacity(runs: usize) -> Self {
        Self { text: String::with_capacity(runs.saturating_mul(64)), rows: Vec::with_capacity(runs) }
    }

    /// Adds a run of a device, whose anonymous id is without `anon:`.
    pub fn push(&mut self, device: &str, run: Run<&str>) {
        let start = self.text.len();
        self.text.push_str(ANONYMOUS);
        self.text.push_str(device);
        self.text.push_str(run.user);
        // No line is as long as 4 GiB, and no id longer than its line.
        let len = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let (id, user) = (len(ANONYMOUS.len() + device.len()), len(run.user.len()));
        self.rows.push(Row { start, id, user, first: run.first, last: run.last });
    }

    /// Brings the runs into the order of ids and times, in which all else expects them.
    pub fn sort(&mut self) {
        let text = self.text.as_str();
        self.rows.sort_by(|a, b| a.id(text).cmp(b.id(text)).then_with(|| a.run(text).cmp(&b.run(text))));
    }

    /// The devices by `distinct_id`, each with its runs in order of time.
    pub fn by_id(&self) -> impl Iterator<Item = (&str, impl ExactSizeIterator<Item = Run<&str>> + Clone)> {
        let text = self.text.as_str();
        let devices = self.rows.chunk_by(move |a, b| a.id(text) == b.id(text));
        devices.map(move |rows| (rows[0].id(text), rows.iter().map(move |row| row.run(text))))
    }

    /// All runs.
    #[must_use]
    pub fn runs(&self) -> impl ExactSizeIterator<Item = Run<&str>> {
        self.rows.iter().map(|row| row.run(&self.text))
    }

    /// The runs of a device in order of time, by `distinct_id`.
    #[must_use]
    pub fn runs_of(&self, id: &str) -> impl ExactSizeIterator<Item = Run<&str>> + Clone {
        let text = self.text.as_str();
        let from = self.rows.partition_point(|row| row.id(text) < id);
        let rows = &self.rows[from..];
        rows[..rows.partition_point(|row| row.id(text) == id)].iter().map(move |row| row.run(text))
    }

    /// Bytes of all ids and users.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Whether nothing was seen on any device.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Row {
    fn id<'a>(&self, text: &'a str) -> &'a str {
        &text[self.start..self.start + self.id as usize]
    }

    fn run<'a>(&self, text: &'a str) -> Run<&'a str> {
        let start = self.start + self.id as usize;
        let user = &text[start..start + self.user as usize];
        Run { first: self.first, out: user.is_empty(), user, last: self.last }
    }
}

impl PartialEq for Devices {
    fn eq(&self, other: &Self) -> bool {
        let same =
            |(a, b): (&Row, &Row)| a.id(&self.text) == b.id(&other.text) && a.run(&self.text) == b.run(&other.text);
        self.rows.len() == other.rows.len() && self.rows.iter().zip(&other.rows).all(same)
    }
}

impl Eq for Devices {}

impl fmt::Debug for Devices {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_map().entries(self.by_id().map(|(id, runs)| (id, runs.collect::<Vec<_>>()))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_come_by_device_and_time_however_they_were_added() {
        let run = |user, first| Run { first, out: str::is_empty(user), user, last: first + 1 };
        let rows = [("b", run("u2", 5)), ("a", run("", 7)), ("ab", run("u1", 1)), ("a", run("u1", 3))];
        let made = |order: [usize; 4]| {
            let mut devices = Devices::default();
            for at in order {
                devices.push(rows[at].0, rows[at].1);
            }
            devices.sort();
            devices
        };
        let devices = made([0, 1, 2, 3]);
        let all: Vec<(&str, Vec<Run<&str>>)> = devices.by_id().map(|(id, runs)| (id, runs.collect())).collect();
        let of_a = vec![rows[3].1, rows[1].1];
        assert_eq!(all, [("anon:a", of_a), ("anon:ab", vec![rows[2].1]), ("anon:b", vec![rows[0].1])]);
        assert_eq!(devices, made([3, 1, 0, 2]));
        assert_ne!(devices, Devices::default());
    }
}
