//! The rules of a funnel: what people may ask for, checked once.

use crate::error::did_you_mean;
use crate::limits;

/// What the order of events with equal time stamps means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ties {
    /// Any order of them counts.
    Any,
    /// The order in which they are given counts.
    Order,
}

/// Which events that meet the first condition start an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Every one; the longest chain counts.
    Any,
    /// The person's first only.
    First,
}

/// The modes of `window_funnel`, under the names that ClickHouse gave them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    StrictOnce = 1,
    StrictIncrease = 2,
    StrictDeduplication = 4,
    StrictOrder = 8,
    AllowReentry = 16,
    Unordered = 32,
}

impl Mode {
    const NAMES: [(&'static str, Self); 7] = [
        ("strict_once", Self::StrictOnce),
        ("strict_increase", Self::StrictIncrease),
        ("strict_deduplication", Self::StrictDeduplication),
        ("strict", Self::StrictDeduplication),
        ("strict_order", Self::StrictOrder),
        ("allow_reentry", Self::AllowReentry),
        ("unordered", Self::Unordered),
    ];

    /// The mode of that name.
    ///
    /// # Errors
    /// There is none; the text proposes the nearest and lists all.
    pub fn parse(name: &str) -> Result<Self, String> {
        let wanted = name.trim().to_ascii_lowercase();
        if let Some((_, mode)) = Self::NAMES.iter().find(|(known, _)| *known == wanted) {
            return Ok(*mode);
        }
        let all: Vec<&str> = Self::NAMES.iter().map(|(known, _)| *known).collect();
        let hint = did_you_mean(&wanted, all.iter().copied());
        let hint = hint.unwrap_or_else(|| format!("the modes are {}", all.join(", ")));
        Err(format!("unknown mode '{name}' – {hint}"))
    }
}

/// A set of modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Modes(u8);

impl Modes {
    /// The set with `mode` in it.
    #[must_use]
    pub fn with(self, mode: Mode) -> Self {
        Self(self.0 | mode as u8)
    }

    /// Whether `mode` is in the set.
    #[must_use]
    pub fn has(self, mode: Mode) -> bool {
        self.0 & mode as u8 != 0
    }

    /// Whether what lies between two matched steps can end an attempt.
    #[must_use]
    pub fn strict_between(self) -> bool {
        self.has(Mode::StrictOrder) || self.has(Mode::StrictDeduplication)
    }
}

/// What counts as a chain. Valid by construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    pub(super) steps: usize,
    pub(super) window: i64,
    pub(super) ties: Ties,
    /// How long before a step the next one may have happened.
    grace: i64,
    pub(super) entry: Entry,
    pub(super) modes: Modes,
    /// From step `i + 1` to the next at most; none where empty.
    step_windows: Vec<i64>,
    /// Bits of events that end an attempt.
    pub(super) exclude: u64,
}

impl Rules {
    /// The rules of a funnel of `steps` conditions (1–64) whose last event lies at most `window` after its first, in
    /// the unit of the time stamps (`i64::MAX`: no limit).
    ///
    /// # Errors
    /// No condition or too many, a negative window, or modes that exclude each other.
    pub fn new(steps: usize, window: i64, modes: Modes) -> Result<Self, String> {
        if steps == 0 {
            return Err("a funnel needs at least one step".to_owned());
        }
        if steps > limits::FUNNEL_STEPS {
            return Err(format!("{steps} steps – a funnel has at most {}", limits::FUNNEL_STEPS));
        }
        if window < 0 {
            return Err("the window is negative".to_owned());
        }
        if modes.has(Mode::AllowReentry) && !modes.has(Mode::StrictOrder) {
            return Err("mode 'allow_reentry' needs 'strict_order': otherwise nothing forbids a re-entry".to_owned());
        }
        let unordered = Modes::default().with(Mode::Unordered);
        if modes.has(Mode::Unordered) && modes != unordered && modes != unordered.with(Mode::StrictOnce) {
            return Err("mode 'unordered' takes no other mode beside it but 'strict_once'".to_owned());
        }
        let (ties, entry) = (Ties::Any, Entry::Any);
        Ok(Self { steps, window, ties, grace: 0, entry, modes, step_windows: Vec::new(), exclude: 0 })
    }

    /// The same rules with a longest time from each step to the next: one for all, or one for each (`i64::MAX`: none).
    ///
    /// # Errors
    /// Another number of them, or a negative one.
    pub fn step_windows(mut self, windows: Vec<i64>) -> Result<Self, String> {
        let needed = self.steps - 1;
        if windows.iter().any(|&window| window < 0) {
            return Err("a step's window is negative".to_owned());
        }
        self.step_windows = match windows.as_slice() {
            [one] => vec![*one; needed],
            many if many.len() == needed => windows,
            many => {
                let given = many.len();
                return Err(format!("{given} step windows – {} steps need {needed}, or one for all", self.steps));
            }
        };
        Ok(self)
    }

    /// The same rules with events that end an attempt: those that have one of these bits. They fill no step.
    #[must_use]
    pub fn exclude(mut self, bits: u64) -> Self {
        self.exclude = bits;
        self
    }

    /// Whether [`super::Levels`] can follow these rules: nothing is excluded and only the window limits the times.
    #[must_use]
    pub fn is_of_levels(&self) -> bool {
        self.step_windows.is_empty() && self.exclude == 0 && self.grace == 0
    }

    /// Whether the time from a step to the next is limited.
    #[must_use]
    pub fn has_step_windows(&self) -> bool {
        !self.step_windows.is_empty()
    }

    /// Whether moreover nothing between two steps matters.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.is_of_levels() && !self.modes.strict_between()
    }

    /// The longest time from step `level` (from 1) to the next.
    #[must_use]
    pub fn step_window(&self, level: usize) -> i64 {
        level.checked_sub(1).and_then(|at| self.step_windows.get(at)).copied().unwrap_or(i64::MAX)
    }

    /// Whether an event ends the attempts that stand on level `level`, unless it takes them further.
    #[must_use]
    pub fn breaks(&self, level: usize, mask: u64) -> bool {
        let has = |mode| self.modes.has(mode);
        if level == 0 || !self.modes.strict_between() || (has(Mode::AllowReentry) && mask & 1 == 1) {
            return false;
        }
        let upto = if level >= 63 { u64::MAX } else { (2 << level) - 1 };
        match (has(Mode::StrictOrder), has(Mode::StrictDeduplication)) {
            (true, true) => true,
            (true, false) => mask >> (level - 1) & 1 == 0,
            _ => mask & upto & self.conditions() != 0,
        }
    }

    /// The bits of the conditions.
    #[must_use]
    pub fn conditions(&self) -> u64 {
        if self.steps >= 64 { u64::MAX } else { (1 << self.steps) - 1 }
    }

    /// The same rules with another meaning of equal time stamps. `strict_increase` never looks inside a tie, so it
    /// keeps [`Ties::Any`].
    #[must_use]
    pub fn ties(mut self, ties: Ties) -> Self {
        self.ties = if self.modes.has(Mode::StrictIncrease) { Ties::Any } else { ties };
        self
    }

    /// The same rules where a next step may have happened up to `grace` before; equal time stamps are in any order.
    ///
    /// # Errors
    /// A negative one, or a mode to which the order matters.
    pub fn grace(mut self, grace: i64) -> Result<Self, String> {
        if grace < 0 {
            return Err("a negative grace has no meaning".to_owned());
        }
        if grace > 0 && self.modes.has(Mode::StrictIncrease) {
            return Err("grace does not go with mode 'strict_increase': time cannot rise and run back".to_owned());
        }
        if grace > 0 && self.modes.strict_between() {
            return Err("grace does not go with a mode that looks between the steps: events in any order have no \
                        place between"
                .to_owned());
        }
        (self.ties, self.grace) = (Ties::Any, grace);
        Ok(self)
    }

    /// How much earlier than a step the next one may be: negative where it has to be later.
    #[must_use]
    pub fn slack(&self) -> i64 {
        if self.modes.has(Mode::StrictIncrease) { -1 } else { self.grace }
    }

    /// The same rules with another choice of entries.
    ///
    /// # Errors
    /// `unordered` has no first step.
    pub fn entry(mut self, entry: Entry) -> Result<Self, String> {
        if entry == Entry::First && self.modes.has(Mode::Unordered) {
            return Err("entry 'first' has no meaning with mode 'unordered': no step is the first".to_owned());
        }
        self.entry = entry;
        Ok(self)
    }

    /// How many conditions there are.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Which entries count.
    #[must_use]
    pub fn enters(&self) -> Entry {
        self.entry
    }

    /// Bits of the events that end an attempt.
    #[must_use]
    pub fn excluded(&self) -> u64 {
        self.exclude
    }

    /// The modes.
    #[must_use]
    pub fn modes(&self) -> Modes {
        self.modes
    }

    /// The window in the unit of the time stamps.
    #[must_use]
    pub fn window(&self) -> i64 {
        self.window
    }

    /// Whether events that meet no condition can change the answer.
    #[must_use]
    pub fn needs_unmatched(&self) -> bool {
        self.modes.has(Mode::StrictOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_by_name() {
        assert_eq!(Mode::parse("STRICT"), Ok(Mode::StrictDeduplication));
        assert_eq!(
            Mode::parse("strict_ordr").unwrap_err(),
            "unknown mode 'strict_ordr' – did you mean 'strict_order'?"
        );
        assert!(Mode::parse("sloppy").unwrap_err().contains("the modes are"));
    }

    #[test]
    fn what_excludes_each_other() {
        let none = Modes::default();
        assert!(Rules::new(0, 1, none).is_err());
        assert!(Rules::new(64, 1, none).is_ok());
        assert!(Rules::new(65, 1, none).unwrap_err().contains("at most 64"));
        assert!(Rules::new(2, -1, none).is_err());
        assert!(Rules::new(2, 1, none.with(Mode::AllowReentry)).is_err());
        assert!(Rules::new(2, 1, none.with(Mode::Unordered).with(Mode::StrictOnce)).is_ok());
        assert!(Rules::new(2, 1, none.with(Mode::Unordered).with(Mode::StrictOrder)).is_err());
    }
}
