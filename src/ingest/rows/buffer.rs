//! The row buffer: rows, the texts of each column, and what is known of each text.
//!
//! Everything that depends on one text alone (its page, whether it is an asset, a bot, a junk id) is asked once per
//! distinct text and remembered beside its code. Masks are on before a text gets its code; only the keys of
//! [`Whos`], which never leave the memory, know a visit as its lines have it.

use std::collections::HashMap;

use super::interner::{Code, Interner};
use super::refusals::Refusals;
use super::row::{Extra, NO_BYTES, NO_STATUS, Row, WIDE_BYTES};
use super::rules::Rules;
use super::texts::{Texts, code, text};
use super::who::{Who, Whos};
use crate::event::{RawEvent, Refused, RejectReason};
use crate::identity;
use crate::privacy::{self, CONSENT, ERASED, Privacy};

/// What is known of one distinct target.
#[derive(Debug, Clone, Copy, Default)]
struct Target {
    page: Code,
    asset: bool,
}

/// What became of an event that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Stored,
    /// By this rule.
    Dropped(&'static str),
}

/// Rows between parsing and sorting.
#[derive(Debug)]
pub struct RowBuffer {
    pub rows: Vec<Row>,
    pub extras: Vec<Extra>,
    pub texts: Texts,
    pub refusals: Refusals,
    whos: Whos,
    /// By path code.
    targets: Vec<Target>,
    /// By method code: counts as a step.
    methods: Vec<bool>,
    scratch: Vec<u8>,
    masked: privacy::Texts,
    /// By distinct id, where anybody was erased: the times that count.
    forgotten: HashMap<Code, Vec<(i64, i64)>>,
}

impl RowBuffer {
    /// An empty buffer for rows under `rules`.
    pub fn new(rules: &Rules) -> Self {
        Self {
            rows: Vec::new(),
            extras: vec![Extra::default()],
            texts: Texts::default(),
            refusals: Refusals::default(),
            whos: Whos::default(),
            targets: vec![Target::default()],
            methods: vec![rules.steps.method_counts(None)],
            scratch: Vec::new(),
            masked: privacy::Texts::default(),
            forgotten: HashMap::new(),
        }
    }

    /// Adds one parsed event of `source` at `offset`.
    ///
    /// # Errors
    /// The time is out of range, nobody did it, or its properties are not those of its schema.
    #[inline]
    pub fn push(&mut self, raw: &RawEvent<'_>, source: u16, offset: u64, rules: &Rules) -> Result<Taken, Refused> {
        if let Some(privacy) = &rules.privacy {
            return self.push_masked(raw, (source, offset), rules, privacy);
        }
        let who = self.who(raw, rules)?;
        if self.is_forgotten(who, raw.ts, rules) {
            return Ok(Taken::Dropped(ERASED));
        }
        if let Some(schemas) = &rules.schemas {
            schemas.check(raw)?;
        }
        self.place(who, raw, (source, offset), rules);
        Ok(Taken::Stored)
    }

    fn push_masked(
        &mut self,
        raw: &RawEvent<'_>,
        line: (u16, u64),
        rules: &Rules,
        privacy: &Privacy,
    ) -> Result<Taken, Refused> {
        if !privacy.consents(raw) {
            return Ok(Taken::Dropped(CONSENT));
        }
        let who = self.who(raw, rules)?;
        if self.is_forgotten(who, raw.ts, rules) {
            return Ok(Taken::Dropped(ERASED));
        }
        if let Some(schemas) = &rules.schemas {
            schemas.check(raw)?;
        }
        let mut texts = std::mem::take(&mut self.masked);
        self.place(who, &privacy.what(raw, &mut texts), line, rules);
        self.masked = texts;
        Ok(Taken::Stored)
    }

    /// The visit that an event belongs to.
    #[inline]
    fn who(&mut self, raw: &RawEvent<'_>, rules: &Rules) -> Result<Code, RejectReason> {
        if raw.ts < rules.earliest_ts || raw.ts > rules.latest_ts {
            return Err(RejectReason::Clock);
        }
        let who = self.whos.code(raw, &mut self.texts, rules);
        if self.whos.is_nobody(who) { Err(RejectReason::NoIdentity) } else { Ok(who) }
    }

    /// Whether the event is of somebody who was erased.
    #[inline]
    fn is_forgotten(&mut self, who: Code, ts: i64, rules: &Rules) -> bool {
        let Some(forgotten) = &rules.forgotten else { return false };
        let distinct = self.whos.get(who).distinct;
        let times = self
            .forgotten
            .entry(distinct)
            .or_insert_with(|| forgotten.times(text(&self.texts.distinct, distinct).unwrap_or_default()).to_vec());
        times.iter().any(|&(from, to)| (from..to).contains(&ts))
    }

    /// Adds the rows of another buffer that are `wanted`, as they are.
    pub fn adopt(&mut self, from: &Self, wanted: impl Fn(&Row) -> bool, rules: &Rules) {
        let mut whos = vec![0; from.whos.len()];
        for row in from.rows.iter().filter(|row| wanted(row)) {
            let who = &mut whos[row.who as usize];
            if *who == 0 {
                *who = self.whos.adopt(from.who_of(row), &from.texts, &mut self.texts, rules);
            }
            let who = *who;
            self.place(who, &from.raw(row), (row.source, row.offset), rules);
        }
    }

    /// Adds a row of the visit `who`.
    #[inline]
    fn place(&mut self, who: Code, raw: &RawEvent<'_>, (source, offset): (u16, u64), rules: &Rules) {
        let texts = &mut self.texts;
        let path = code(&mut texts.path, raw.target);
        let referrer = code(&mut texts.referrer, raw.referrer);
        let properties = code(&mut texts.properties, raw.properties);
        let event = code(&mut texts.event, raw.event);
        let method = code(&mut texts.method, raw.method);
        self.learn(path, method, rules);
        let bytes = narrow(raw.bytes);
        let extra = self.extra(raw, bytes);
        let status = raw.status.unwrap_or(NO_STATUS);
        let ts = raw.ts;
        self.rows.push(Row {
            ts,
            offset,
            who,
            path,
            event,
            referrer,
            properties,
            extra,
            bytes,
            method,
            status,
            source,
        });
    }

    /// A row as the line that it came from, up to texts that were no UTF-8.
    pub fn raw(&self, row: &Row) -> RawEvent<'_> {
        let (who, extra) = (self.who_of(row), &self.extras[row.extra as usize]);
        let texts = &self.texts;
        RawEvent {
            ts: row.ts,
            user_id: text(&texts.user, who.user),
            anonymous_id: text(&texts.anonymous, who.anonymous),
            session_id: text(&texts.session, who.session),
            event_id: text(&texts.event_id, extra.event_id),
            event: text(&texts.event, row.event),
            target: text(&texts.path, row.path),
            method: text(&texts.method, row.method),
            status: (row.status != NO_STATUS).then_some(row.status),
            bytes: self.bytes(row),
            referrer: text(&texts.referrer, row.referrer),
            user_agent: text(&texts.agent, who.agent),
            ip: text(&texts.ip, who.ip),
            properties: text(&texts.properties, row.properties),
            own_properties: None,
            is_untyped: false,
        }
    }

    /// Bytes held, an estimate that is never far below the truth.
    pub fn memory_bytes(&self) -> usize {
        self.rows.len() * size_of::<Row>()
            + self.extras.len() * size_of::<Extra>()
            + self.whos.memory_bytes()
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
        self.methods.truncate(1);
        self.whos.clear();
        self.forgotten.clear();
    }

    /// Who did a row.
    #[inline]
    pub fn who_of(&self, row: &Row) -> Who {
        self.whos.get(row.who)
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
        let loaded = row.method != 0 && self.targets[row.path as usize].asset;
        let asked = (self.whos.is_bot(self.who_of(row).agent), self.methods[row.method as usize]);
        rules.steps.is_step(row.path != 0 || row.event != 0, loaded, asked, status)
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

    /// Asks the rules about texts that are seen for the first time.
    #[inline]
    fn learn(&mut self, path: Code, method: Code, rules: &Rules) {
        if path as usize == self.targets.len() {
            self.scratch.clear();
            rules.pages.page(self.texts.path.bytes(path), &mut self.scratch);
            let asset = rules.steps.is_asset(&self.scratch);
            self.targets.push(Target { page: self.texts.page.intern(&self.scratch), asset });
        }
        if method as usize == self.methods.len() {
            self.methods.push(rules.steps.method_counts(Some(self.texts.method.bytes(method))));
        }
    }

    #[inline]
    fn extra(&mut self, raw: &RawEvent<'_>, bytes: u32) -> u32 {
        if raw.event_id.is_none() && bytes != WIDE_BYTES {
            return 0;
        }
        let extra = Extra {
            event_id: code(&mut self.texts.event_id, raw.event_id.filter(|id| !identity::is_junk(id))),
            bytes: raw.bytes.unwrap_or_default(),
        };
        self.extras.push(extra);
        // The budget ends long before 2^32 rows.
        u32::try_from(self.extras.len() - 1).unwrap_or_default()
    }
}

#[inline]
fn narrow(bytes: Option<i64>) -> u32 {
    match bytes {
        None => NO_BYTES,
        Some(bytes) => u32::try_from(bytes).ok().filter(|bytes| *bytes < WIDE_BYTES).unwrap_or(WIDE_BYTES),
    }
}
