//! Who did it: what the lines of one visit have in common, looked up at once and kept once.
//!
//! ```text
//! agent's code, user, address, session, anonymous id ─► one key ─► Who: the code of each, and of the distinct id
//! ```
//!
//! Invariants: a `Who` is a function of its texts as they are stored; code 0 is nobody in particular.

use std::hash::Hasher;

use super::interner::{Code, Interner, same};
use super::rules::Rules;
use super::texts::{Texts, code, text};
use crate::event::RawEvent;
use crate::identity;

/// The texts of a visit by their codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Who {
    /// 0: nobody, such lines are refused.
    pub distinct: Code,
    pub user: Code,
    pub ip: Code,
    pub agent: Code,
    pub session: Code,
    pub anonymous: Code,
}

/// What a visit is looked up by.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    agent: Code,
    texts: [Option<&'a [u8]>; 4],
}

/// Bytes of a key before its texts: the agent's code and the length of each text, in three words.
const HEAD: usize = 24;

impl<'a> Key<'a> {
    /// The key of an event, whose agent has the code `agent`.
    #[inline]
    pub fn new(raw: &RawEvent<'a>, agent: Code) -> Self {
        Self { agent, texts: [raw.user_id, raw.ip, raw.session_id, raw.anonymous_id] }
    }

    #[inline]
    fn head(&self) -> [u64; 3] {
        // The lengths keep neighbours apart; a record is far shorter than 4 GiB.
        let len = |at: usize| self.texts[at].map_or(u64::MAX >> 32, |text| text.len() as u64);
        [len(0) << 32 | len(1), len(2) << 32 | len(3), u64::from(self.agent)]
    }

    #[inline]
    fn texts(&self) -> impl Iterator<Item = &'a [u8]> {
        self.texts.into_iter().flatten()
    }
}

/// The visits of a buffer, and what the rules say of them.
#[derive(Debug)]
pub struct Whos {
    met: Vec<Who>,
    /// Code of a key = index of its visit.
    keys: Interner,
    /// By agent code: a known bot.
    bots: Vec<bool>,
    /// By user code: the distinct id of a user who was met, else 0.
    persons: Vec<Code>,
    scratch: Vec<u8>,
    /// There is a visit of nobody. Mostly there is none, and nobody has to look.
    has_nobody: bool,
}

impl Default for Whos {
    fn default() -> Self {
        Self {
            met: vec![Who::default()],
            keys: Interner::default(),
            bots: vec![false],
            persons: Vec::new(),
            scratch: Vec::new(),
            has_nobody: false,
        }
    }
}

impl Whos {
    /// The code of an event's visit.
    #[inline]
    pub fn code(&mut self, raw: &RawEvent<'_>, texts: &mut Texts, rules: &Rules) -> Code {
        let agent = code(&mut texts.agent, raw.user_agent);
        let key = Key::new(raw, agent);
        let head = key.head();
        let len = HEAD + key.texts().map(<[u8]>::len).sum::<usize>();
        let tag = self.keys.tag_by(|hasher| {
            for word in head {
                hasher.write_u64(word);
            }
            for text in key.texts() {
                hasher.write(text);
            }
        });
        let found = self.keys.find_by(tag, len, |stored| {
            let Some((stored_head, mut rest)) = stored.split_first_chunk::<HEAD>() else { return false };
            let mut words = stored_head.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
            // Equal heads have equal lengths, so every split is within the key.
            head.into_iter().all(|word| words.next() == Some(word))
                && key.texts().all(|text| {
                    let (stored, later) = rest.split_at(text.len());
                    rest = later;
                    same(stored, text)
                })
        });
        found.unwrap_or_else(|slot| {
            let who = self.meet(raw, agent, texts, rules);
            self.has_nobody |= who.distinct == 0;
            self.met.push(who);
            self.scratch.clear();
            self.scratch.extend(head.into_iter().flat_map(u64::to_le_bytes));
            for text in key.texts() {
                self.scratch.extend_from_slice(text);
            }
            self.keys.add(tag, slot, &self.scratch)
        })
    }

    /// Who an event's texts say did it.
    #[cold]
    fn meet(&mut self, raw: &RawEvent<'_>, agent: Code, texts: &mut Texts, rules: &Rules) -> Who {
        self.learn_agents(texts, rules);
        let Some(privacy) = &rules.privacy else { return self.meet_as(raw, raw.ip, agent, texts, rules) };
        let who = privacy.who(raw);
        let masked = RawEvent {
            user_id: who.user_id.as_deref(),
            anonymous_id: who.anonymous_id.as_deref(),
            session_id: who.session_id.as_deref(),
            ip: who.ip.as_deref(),
            ..*raw
        };
        self.meet_as(&masked, who.visitor.as_deref(), agent, texts, rules)
    }

    /// [`Whos::meet`] with the texts as they are stored; `host` is what a visitor is told apart by.
    fn meet_as(
        &mut self,
        raw: &RawEvent<'_>,
        host: Option<&[u8]>,
        agent: Code,
        texts: &mut Texts,
        rules: &Rules,
    ) -> Who {
        let real = |id: &&[u8]| !identity::is_junk(id);
        let mut who = Who {
            user: code(&mut texts.user, raw.user_id),
            ip: code(&mut texts.ip, raw.ip),
            session: code(&mut texts.session, raw.session_id.filter(real)),
            anonymous: code(&mut texts.anonymous, raw.anonymous_id.filter(real)),
            agent,
            distinct: 0,
        };
        if let Some(known) = self.persons.get(who.user as usize).filter(|known| **known != 0) {
            who.distinct = *known;
            return who;
        }
        // Of the texts as they are stored: bytes that are no UTF-8 tell nobody apart.
        let (user_agent, stored) = (text(&texts.agent, agent), text(&texts.ip, who.ip));
        let ip = if host == raw.ip { stored } else { host };
        self.scratch.clear();
        let event = RawEvent { user_agent, ip, ..*raw };
        if identity::distinct_id(&event, rules.visitor, rules.source_ids, &mut self.scratch) {
            who.distinct = texts.distinct.intern(&self.scratch);
        }
        // A user's id tells alone, unless it is junk.
        self.persons.resize(texts.user.len(), 0);
        if raw.user_id.as_ref().is_some_and(real) {
            self.persons[who.user as usize] = who.distinct;
        }
        who
    }

    /// A visit of another buffer, as it is; its own lines find it no more, and meet it anew.
    pub fn adopt(&mut self, who: Who, from: &Texts, texts: &mut Texts, rules: &Rules) -> Code {
        let moved = |of: &Interner, to: &mut Interner, it: Code| code(to, text(of, it));
        let who = Who {
            distinct: moved(&from.distinct, &mut texts.distinct, who.distinct),
            user: moved(&from.user, &mut texts.user, who.user),
            ip: moved(&from.ip, &mut texts.ip, who.ip),
            agent: moved(&from.agent, &mut texts.agent, who.agent),
            session: moved(&from.session, &mut texts.session, who.session),
            anonymous: moved(&from.anonymous, &mut texts.anonymous, who.anonymous),
        };
        self.learn_agents(texts, rules);
        // A key that no line has: shorter than any, and told apart by its number.
        let key = self.met.len().to_string();
        self.met.push(who);
        self.keys.intern(key.as_bytes())
    }

    /// Asks about agents that are seen for the first time, those of refused events among them.
    fn learn_agents(&mut self, texts: &Texts, rules: &Rules) {
        for text in texts.agent.texts().skip(self.bots.len() - 1) {
            self.bots.push(rules.steps.is_bot(text));
        }
    }

    /// How many visits there are, nobody's included: codes are `0..len()`.
    pub fn len(&self) -> usize {
        self.met.len()
    }

    /// Whether an agent that did something is a known bot.
    #[inline]
    pub fn is_bot(&self, agent: Code) -> bool {
        self.bots[agent as usize]
    }

    /// Whether a visit's texts tell of nobody.
    #[inline]
    pub fn is_nobody(&self, code: Code) -> bool {
        self.has_nobody && self.get(code).distinct == 0
    }

    #[inline]
    pub fn get(&self, code: Code) -> Who {
        self.met[code as usize]
    }

    pub fn memory_bytes(&self) -> usize {
        self.met.len() * size_of::<Who>() + self.keys.memory_bytes()
    }

    /// Forgets everybody and keeps the memory.
    pub fn clear(&mut self) {
        self.met.truncate(1);
        self.keys.clear();
        self.bots.truncate(1);
        self.persons.clear();
        self.has_nobody = false;
    }
}
