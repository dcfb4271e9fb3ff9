//! Chains that wait for their next event: of those that may go on, the one with the highest value.
//!
//! A chain is its last event's time and a value. One with a later time and no lower value beats another for good, so a
//! front keeps the others only: from front to back times rise and values fall. Each chain comes in and goes once.

use std::collections::VecDeque;

/// Chains by rising time of their last event.
#[derive(Debug, Default, Clone)]
pub struct Front {
    /// Too young to go on when they came.
    waiting: VecDeque<(i64, i64)>,
    alive: VecDeque<(i64, i64)>,
}

impl Front {
    /// Nobody waits any more.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.alive.clear();
    }

    /// Adds a chain; times never fall. `least` is how old it must be to go on, the same for all of a front.
    pub fn push(&mut self, time: i64, value: i64, least: i64) {
        if least > 0 {
            self.waiting.push_back((time, value));
        } else {
            self.rise(time, value);
        }
    }

    fn rise(&mut self, time: i64, value: i64) {
        while self.alive.back().is_some_and(|&(_, other)| other <= value) {
            self.alive.pop_back();
        }
        self.alive.push_back((time, value));
    }

    /// The highest value of a chain that is between `least` and `most` old at `t`. `t` never falls: what is older now is
    /// dropped.
    pub fn best(&mut self, t: i64, least: i64, most: i64) -> Option<i64> {
        while let Some(&(time, value)) = self.waiting.front().filter(|&&(time, _)| t.saturating_sub(time) >= least) {
            self.waiting.pop_front();
            self.rise(time, value);
        }
        while self.alive.front().is_some_and(|&(time, _)| t.saturating_sub(time) > most) {
            self.alive.pop_front();
        }
        self.alive.front().map(|&(_, value)| value)
    }

    /// The highest value of a chain at most so old at `t`, those included that are too young to go on.
    pub fn youngest(&mut self, t: i64, least: i64, most: i64) -> Option<i64> {
        let best = self.best(t, least, most);
        let young = self.waiting.iter().filter(|&&(time, _)| t.saturating_sub(time) <= most).map(|&(_, value)| value);
        best.max(young.max())
    }
}
