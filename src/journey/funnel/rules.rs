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
    pub(super) entry: Entry,
    pub(super) modes: Modes,
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
        if modes.has(Mode::Unordered) && modes != Modes::default().with(Mode::Unordered) {
            return Err("mode 'unordered' takes no other mode beside it".to_owned());
        }
        Ok(Self { steps, window, ties: Ties::Any, entry: Entry::Any, modes })
    }

    /// The same rules with another meaning of equal time stamps. `strict_increase` never looks inside a tie, so it
    /// keeps [`Ties::Any`].
    #[must_use]
    pub fn ties(mut self, ties: Ties) -> Self {
        self.ties = if self.modes.has(Mode::StrictIncrease) { Ties::Any } else { ties };
        self
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
        assert!(Rules::new(2, 1, none.with(Mode::Unordered).with(Mode::StrictOnce)).is_err());
    }
}
