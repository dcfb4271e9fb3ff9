//! Look-ups ahead of their time.
//!
//! The tables of a busy day are larger than the second-level cache, and a look-up mostly waits for memory. The look-ups
//! of some dozen events wait at a time where all that they will read is read before the first of them.
//!
//! ```text
//! event ─► tags (hashes) ─┐
//! event ─► tags           ├─ touch: table places, then texts ─► push, push, push: everything is in the cache
//! event ─► tags          ─┘
//! ```

use std::hint::black_box;

use super::buffer::RowBuffer;
use super::interner::{Code, Interner, Tag};
use super::texts::code;
use super::who::Key;
use crate::event::RawEvent;

/// What is looked up of an event, ahead of the look-ups: its agent's code and the tags of the other texts.
#[derive(Debug, Clone, Copy)]
pub struct Tags {
    pub agent: Code,
    pub who: Tag,
    pub path: Tag,
    pub referrer: Tag,
    pub properties: Tag,
}

impl RowBuffer {
    /// What [`RowBuffer::push`] asks for.
    #[inline]
    pub fn tags(&mut self, raw: &RawEvent<'_>) -> Tags {
        let texts = &mut self.texts;
        let agent = code(&mut texts.agent, raw.user_agent);
        let tag = |interner: &Interner, text: Option<&[u8]>| text.map_or(0, |text| interner.tag(text));
        Tags {
            agent,
            who: self.whos.tag(&Key::new(raw, agent)),
            path: tag(&texts.path, raw.target),
            referrer: tag(&texts.referrer, raw.referrer),
            properties: tag(&texts.properties, raw.properties),
        }
    }

    /// Brings what the look-ups of many events will read into the cache, all of it at a time.
    pub fn touch<'a>(&self, events: impl Iterator<Item = (&'a RawEvent<'a>, &'a Tags)> + Clone) {
        let (whos, texts) = (&self.whos, &self.texts);
        let tag = |interner: &Interner, text: Option<&[u8]>| text.map_or(0, |text| interner.tag(text));
        // What was read is of no use, reading it is.
        let mut read = (0, 0);
        for (_, tags) in events.clone() {
            read.0 ^= whos.touch_slot(tags.who)
                ^ texts.path.touch_slot(tags.path)
                ^ texts.referrer.touch_slot(tags.referrer)
                ^ texts.properties.touch_slot(tags.properties);
        }
        let mut met = Vec::new();
        for (raw, tags) in events {
            read.1 ^= whos.touch_text(tags.who)
                ^ texts.path.touch_text(tags.path)
                ^ texts.referrer.touch_text(tags.referrer)
                ^ texts.properties.touch_text(tags.properties);
            if whos.is_new(tags.who) {
                let user = tag(&texts.user, raw.user_id);
                met.push((user, tag(&texts.ip, raw.ip), tag(&texts.session, raw.session_id)));
            }
        }
        for (user, ip, session) in &met {
            read.0 ^= texts.user.touch_slot(*user) ^ texts.ip.touch_slot(*ip) ^ texts.session.touch_slot(*session);
        }
        for (user, ip, session) in &met {
            read.1 ^= texts.user.touch_text(*user) ^ texts.ip.touch_text(*ip) ^ texts.session.touch_text(*session);
        }
        black_box(read);
    }
}
