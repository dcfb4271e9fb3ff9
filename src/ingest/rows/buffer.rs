//! The row buffer: rows, the texts of each column, and what is known of each text.
//!
//! Everything that depends on one text alone (its page, whether it is an asset, a bot, a junk id) is asked once per
//! distinct text and remembered beside its code.

use super::interner::{Code, Interner};
use super::refusals::Refusals;
use super::row::{Extra, NO_BYTES, NO_STATUS, Row, WIDE_BYTES};
use super::rules::Rules;
use crate::event::{RawEvent, RejectReason};
use crate::identity;

/// The texts of each column.
#[derive(Debug, Default)]
pub struct Texts {
    pub distinct: Interner,
    pub event: Interner,
    pub page: Interner,
    pub path: Interner,
    pub method: Interner,
    pub referrer: Interner,
    pub agent: Interner,
    pub ip: Interner,
    pub user: Interner,
    pub session: Interner,
    pub anonymous: Interner,
    pub event_id: Interner,
    pub properties: Interner,
}

impl Texts {
    fn all(&mut self) -> [&mut Interner; 13] {
        [
            &mut self.distinct,
            &mut self.event,
            &mut self.page,
            &mut self.path,
            &mut self.method,
            &mut self.referrer,
            &mut self.agent,
            &mut self.ip,
            &mut self.user,
            &mut self.session,
            &mut self.anonymous,
            &mut self.event_id,
            &mut self.properties,
        ]
    }

    fn memory_bytes(&self) -> usize {
        [
            &self.distinct,
            &self.event,
            &self.page,
            &self.path,
            &self.method,
            &self.referrer,
            &self.agent,
            &self.ip,
            &self.user,
            &self.session,
            &self.anonymous,
            &self.event_id,
            &self.properties,
        ]
        .iter()
        .map(|interner| interner.memory_bytes())
        .sum()
    }
}

/// What is known of one distinct target.
#[derive(Debug, Clone, Copy, Default)]
struct Target {
    page: Code,
    asset: bool,
}

/// What is known of an id before it was asked, and of a junk id.
const UNKNOWN: Code = 0;
const JUNK: Code = Code::MAX;
/// Places of the visitor cache, a power of two.
const VISITORS: usize = 1 << 14;

/// Rows between parsing and sorting.
#[derive(Debug)]
pub struct RowBuffer {
    pub rows: Vec<Row>,
    pub extras: Vec<Extra>,
    pub texts: Texts,
    pub refusals: Refusals,
    /// By path code.
    targets: Vec<Target>,
    /// By agent code: a known bot.
    bots: Vec<bool>,
    /// By method code: counts as a step.
    methods: Vec<bool>,
    /// By user code: the distinct id, or unknown, or junk.
    persons: Vec<Code>,
    /// (address and agent codes, distinct id): the last visitors seen, replaced on collision.
    visitors: Vec<(u64, Code)>,
    scratch: Vec<u8>,
}

impl RowBuffer {
    /// An empty buffer for rows under `rules`.
    pub fn new(rules: &Rules) -> Self {
        Self {
            rows: Vec::new(),
            extras: vec![Extra::default()],
            texts: Texts::default(),
            refusals: Refusals::default(),
            targets: vec![Target::default()],
            bots: vec![false],
            methods: vec![rules.steps.method_counts(None)],
            persons: vec![UNKNOWN],
            visitors: vec![(0, UNKNOWN); VISITORS],
            scratch: Vec::new(),
        }
    }

    /// Adds one parsed event of `source` at `offset`.
    ///
    /// # Errors
    /// The time is out of range, or nobody did it.
    pub fn push(&mut self, raw: &RawEvent<'_>, source: u16, offset: u64, rules: &Rules) -> Result<(), RejectReason> {
        if raw.ts < rules.earliest_ts || raw.ts > rules.latest_ts {
            return Err(RejectReason::Clock);
        }
        let texts = &mut self.texts;
        let user = code(&mut texts.user, raw.user_id);
        let ip = code(&mut texts.ip, raw.ip);
        let agent = code(&mut texts.agent, raw.user_agent);
        let path = code(&mut texts.path, raw.target);
        let event = code(&mut texts.event, raw.event);
        let method = code(&mut texts.method, raw.method);
        let referrer = code(&mut texts.referrer, raw.referrer);
        let session = match raw.session_id {
            Some(id) if !identity::is_junk(id) => texts.session.intern(id),
            _ => 0,
        };
        // Before anything can be refused: a new code must be known from its first sight on.
        self.learn(path, agent, method, rules);
        let distinct = self.distinct(raw, user, ip, agent, rules).ok_or(RejectReason::NoIdentity)?;
        let bytes = narrow(raw.bytes);
        let extra = self.extra(raw, bytes);
        let status = raw.status.unwrap_or(NO_STATUS);
        let ts = raw.ts;
        self.rows.push(Row {
            ts,
            offset,
            distinct,
            path,
            event,
            referrer,
            agent,
            ip,
            user,
            session,
            extra,
            bytes,
            method,
            status,
            source,
        });
        Ok(())
    }

    /// Adds a row whose codes are this buffer's already, each new text with its row.
    pub fn admit(&mut self, row: Row, extra: Option<Extra>, rules: &Rules) {
        self.learn(row.path, row.agent, row.method, rules);
        if row.user as usize == self.persons.len() {
            self.persons.push(UNKNOWN);
        }
        let extra = extra.map_or(0, |extra| self.push_extra(extra));
        self.rows.push(Row { extra, ..row });
    }

    /// Bytes held, an estimate that is never far below the truth.
    pub fn memory_bytes(&self) -> usize {
        self.rows.len() * size_of::<Row>()
            + self.extras.len() * size_of::<Extra>()
            + self.texts.memory_bytes()
            + self.refusals.memory_bytes()
    }

    /// Makes room for the rows that `bytes` hold, so that they are not copied while they grow. Memory that is never
    /// touched costs nothing.
    pub fn reserve(&mut self, bytes: usize) {
        self.rows.reserve((bytes / size_of::<Row>()).saturating_sub(self.rows.len()));
    }

    /// Nothing to write.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.refusals.items.is_empty()
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.extras.truncate(1);
        self.texts.all().into_iter().for_each(Interner::clear);
        self.refusals.clear();
        self.targets.truncate(1);
        self.bots.truncate(1);
        self.methods.truncate(1);
        self.persons.truncate(1);
        self.visitors.fill((0, UNKNOWN));
    }

    /// The page of a row's target; 0 where it has none.
    #[inline]
    pub fn page(&self, row: &Row) -> Code {
        self.targets[row.path as usize].page
    }

    /// Whether the row is a step by the stored rules (SEMANTICS §1).
    #[inline]
    pub fn is_step(&self, row: &Row, rules: &Rules) -> bool {
        let status = (row.status != NO_STATUS).then_some(row.status);
        // Only a request fetches an asset: an app event's page may be called anything, `User:Me/common.js` too.
        (row.method == 0 || !self.targets[row.path as usize].asset)
            && !self.bots[row.agent as usize]
            && self.methods[row.method as usize]
            && rules.steps.status_counts(status)
            && !self.extras[row.extra as usize].odd
    }

    /// The response size of a row.
    #[inline]
    pub fn bytes(&self, row: &Row) -> Option<i64> {
        match row.bytes {
            NO_BYTES => None,
            WIDE_BYTES => Some(self.extras[row.extra as usize].bytes),
            bytes => Some(i64::from(bytes)),
        }
    }

    /// The distinct id of an event: the user's, else what `identity` derives; `None` for nobody.
    #[inline]
    fn distinct(&mut self, raw: &RawEvent<'_>, user: Code, ip: Code, agent: Code, rules: &Rules) -> Option<Code> {
        if user as usize == self.persons.len() {
            self.persons.push(UNKNOWN);
        }
        match self.persons[user as usize] {
            UNKNOWN | JUNK => self.derive(raw, user, ip, agent, rules),
            distinct => Some(distinct),
        }
    }

    fn derive(&mut self, raw: &RawEvent<'_>, user: Code, ip: Code, agent: Code, rules: &Rules) -> Option<Code> {
        let known_junk = user == 0 || self.persons[user as usize] == JUNK;
        let visitor = known_junk && raw.anonymous_id.is_none() && raw.session_id.is_none();
        let key = u64::from(ip) << 32 | u64::from(agent);
        let place = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize & (VISITORS - 1);
        if visitor && self.visitors[place].0 == key && self.visitors[place].1 != UNKNOWN {
            return Some(self.visitors[place].1);
        }
        self.scratch.clear();
        if !identity::distinct_id(raw, rules.visitor, &mut self.scratch) {
            return None;
        }
        let distinct = self.texts.distinct.intern(&self.scratch);
        if visitor {
            self.visitors[place] = (key, distinct);
        } else if user != 0 && self.persons[user as usize] == UNKNOWN {
            let junk = raw.user_id.is_none_or(identity::is_junk);
            self.persons[user as usize] = if junk { JUNK } else { distinct };
        }
        Some(distinct)
    }

    /// Asks the rules about texts that are seen for the first time.
    #[inline]
    fn learn(&mut self, path: Code, agent: Code, method: Code, rules: &Rules) {
        if path as usize == self.targets.len() {
            self.scratch.clear();
            rules.pages.page(self.texts.path.bytes(path), &mut self.scratch);
            let asset = rules.steps.is_asset(&self.scratch);
            self.targets.push(Target { page: self.texts.page.intern(&self.scratch), asset });
        }
        if agent as usize == self.bots.len() {
            self.bots.push(rules.steps.is_bot(self.texts.agent.bytes(agent)));
        }
        if method as usize == self.methods.len() {
            self.methods.push(rules.steps.method_counts(Some(self.texts.method.bytes(method))));
        }
    }

    #[inline]
    fn extra(&mut self, raw: &RawEvent<'_>, bytes: u32) -> u32 {
        if raw.anonymous_id.is_none()
            && raw.event_id.is_none()
            && raw.properties.is_none()
            && !raw.odd_request
            && bytes != WIDE_BYTES
        {
            return 0;
        }
        let real = |id: &&[u8]| !identity::is_junk(id);
        let extra = Extra {
            anonymous: code(&mut self.texts.anonymous, raw.anonymous_id.filter(real)),
            event_id: code(&mut self.texts.event_id, raw.event_id.filter(real)),
            properties: code(&mut self.texts.properties, raw.properties),
            odd: raw.odd_request,
            bytes: raw.bytes.unwrap_or_default(),
        };
        self.push_extra(extra)
    }

    fn push_extra(&mut self, extra: Extra) -> u32 {
        self.extras.push(extra);
        // The budget ends long before 2^32 rows.
        u32::try_from(self.extras.len() - 1).unwrap_or_default()
    }
}

#[inline]
fn code(interner: &mut Interner, text: Option<&[u8]>) -> Code {
    text.map_or(0, |text| interner.intern(text))
}

#[inline]
fn narrow(bytes: Option<i64>) -> u32 {
    match bytes {
        None => NO_BYTES,
        Some(bytes) => u32::try_from(bytes).ok().filter(|bytes| *bytes < WIDE_BYTES).unwrap_or(WIDE_BYTES),
    }
}
