//! The texts of a buffer, an interner a column.

use super::interner::{Code, Interner};

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
    /// Every column.
    pub fn all(&mut self) -> [&mut Interner; 13] {
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

    pub fn memory_bytes(&self) -> usize {
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

/// The code of a text that may be absent.
#[inline]
pub fn code(interner: &mut Interner, text: Option<&[u8]>) -> Code {
    text.map_or(0, |text| interner.intern(text))
}

/// The text of a code that may be "absent".
pub fn text(texts: &Interner, code: Code) -> Option<&[u8]> {
    (code != 0).then(|| texts.bytes(code))
}
