//! The shop: who arrives, where they go next, and when they leave.
//!
//! ```text
//!            ┌────────┐      ┌──► search ◄──┐
//! entry ──► home ──► product ◄──► product   │        every page also has a way out
//!            └─► blog   └──► cart ──► checkout ──► thanks
//!                             ◄──┘  ◄──┘
//! ```
//! Visits are kept in a queue by the time of their next step, so that hits come out in order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Plan;
use super::dice::Dice;
use crate::time::{DAY, Day, SECOND, civil_day};

/// Visits that a visitor makes on average.
const VISITS_A_VISITOR: u64 = 4;

/// Where somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Home,
    Search(u8),
    Product(u16),
    Cart,
    Checkout,
    Thanks,
    Blog(u8),
}

/// One look at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    /// Microseconds since 1970, UTC.
    pub ts: i64,
    /// Who: a number from 0.
    pub visitor: u64,
    pub place: Place,
    /// Where they came from inside this visit.
    pub from: Option<Place>,
    pub robot: bool,
    /// The visitor's visits are numbered over all visitors.
    pub visit: u64,
}

/// All hits of a plan in order of time. Endless: the caller stops when the file is full.
pub(super) struct Shop {
    dice: Dice,
    under_way: BinaryHeap<Reverse<Hit>>,
    next_arrival: i64,
    /// The average time between two arrivals, µs.
    spacing: u64,
    visitors: u64,
    visits: u64,
}

impl Shop {
    /// `lines_a_visit`: how many lines a visit leaves on average, which fixes how many visits fill the file.
    pub(super) fn new(plan: &Plan, seed: u64, lines_a_visit: u64) -> Self {
        let start = civil_day(2025, 3, 3).map_or(0, Day::start);
        let visits = (plan.lines / lines_a_visit).max(1);
        let span = u64::from(plan.days.max(1)) * DAY.unsigned_abs();
        Self {
            dice: Dice::new(seed),
            under_way: BinaryHeap::new(),
            next_arrival: start,
            spacing: (span / visits).max(1),
            visitors: (visits / VISITS_A_VISITOR).max(1),
            visits: 0,
        }
    }

    fn arrive(&mut self) {
        let dice = &mut self.dice;
        let robot = dice.chance(40);
        let visitor = if robot { dice.below(3) } else { dice.skewed(self.visitors) };
        let place = match dice.below(100) {
            _ if robot => Place::Product(product(dice)),
            0..55 => Place::Home,
            55..75 => Place::Product(product(dice)),
            75..85 => Place::Search(word(dice)),
            _ => Place::Blog(post(dice)),
        };
        let hit = Hit { ts: self.next_arrival, visitor, place, from: None, robot, visit: self.visits };
        self.visits += 1;
        self.next_arrival += wait(dice, 2 * self.spacing);
        self.under_way.push(Reverse(hit));
    }

    /// The hit after `hit`, if the visitor stays.
    fn onward(&mut self, hit: Hit) -> Option<Hit> {
        let dice = &mut self.dice;
        let place =
            if hit.robot { dice.chance(800).then(|| Place::Product(product(dice)))? } else { next(hit.place, dice)? };
        let pause = match dice.below(1_000) {
            _ if hit.robot => SECOND + wait(dice, 4_000_000),
            // A phone call, lunch: the session ends, the visit goes on.
            0..25 => 31 * 60 * SECOND + wait(dice, 4 * 3_600_000_000),
            _ => 2 * SECOND + dice.skewed(180_000_000).cast_signed(),
        };
        Some(Hit { ts: hit.ts + pause, place, from: Some(hit.place), ..hit })
    }
}

impl Iterator for Shop {
    type Item = Hit;

    fn next(&mut self) -> Option<Hit> {
        while self.under_way.peek().is_none_or(|Reverse(first)| first.ts >= self.next_arrival) {
            self.arrive();
        }
        let Reverse(hit) = self.under_way.pop()?;
        if let Some(onward) = self.onward(hit) {
            self.under_way.push(Reverse(onward));
        }
        Some(hit)
    }
}

/// Where somebody goes from a place; `None`: away.
fn next(place: Place, dice: &mut Dice) -> Option<Place> {
    let roll = dice.below(100);
    Some(match place {
        Place::Home => match roll {
            0..45 => Place::Product(product(dice)),
            45..63 => Place::Search(word(dice)),
            63..72 => Place::Blog(post(dice)),
            72..75 => Place::Home,
            _ => return None,
        },
        Place::Search(_) => match roll {
            0..55 => Place::Product(product(dice)),
            55..75 => Place::Search(word(dice)),
            _ => return None,
        },
        Place::Product(_) => match roll {
            0..24 => Place::Cart,
            24..48 => Place::Product(product(dice)),
            48..64 => Place::Search(word(dice)),
            64..72 => Place::Home,
            _ => return None,
        },
        Place::Cart => match roll {
            0..52 => Place::Checkout,
            52..72 => Place::Product(product(dice)),
            _ => return None,
        },
        Place::Checkout => match roll {
            0..62 => Place::Thanks,
            62..74 => Place::Cart,
            74..82 => Place::Checkout,
            _ => return None,
        },
        Place::Thanks => match roll {
            0..10 => Place::Home,
            _ => return None,
        },
        Place::Blog(_) => match roll {
            0..30 => Place::Blog(post(dice)),
            30..50 => Place::Home,
            _ => return None,
        },
    })
}

fn wait(dice: &mut Dice, end: u64) -> i64 {
    dice.below(end).cast_signed()
}

fn product(dice: &mut Dice) -> u16 {
    1 + u16::try_from(dice.skewed(120)).unwrap_or(0)
}

fn word(dice: &mut Dice) -> u8 {
    u8::try_from(dice.skewed(WORDS.len() as u64)).unwrap_or(0)
}

fn post(dice: &mut Dice) -> u8 {
    u8::try_from(dice.skewed(POSTS.len() as u64)).unwrap_or(0)
}

const WORDS: [&str; 6] = ["kettle", "blue+lamp", "chair", "gift", "w%C3%A4rmflasche", "desk"];
const POSTS: [&str; 5] = ["how-we-pack", "summer-range", "care-for-wood", "new-shop-in-town", "meet-the-makers"];

impl Place {
    /// The page's path, with the query that a search has.
    pub(super) fn path(self) -> String {
        match self {
            Self::Home => "/".to_owned(),
            Self::Search(word) => format!("/search?q={}", WORDS.get(usize::from(word)).unwrap_or(&"")),
            Self::Product(number) => format!("/product/{number}"),
            Self::Cart => "/cart".to_owned(),
            Self::Checkout => "/checkout".to_owned(),
            Self::Thanks => "/thanks".to_owned(),
            Self::Blog(post) => format!("/blog/{}", POSTS.get(usize::from(post)).unwrap_or(&"")),
        }
    }
}
