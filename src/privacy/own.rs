//! An event's own ids and host in its other texts.

use super::{GONE, HASHED, OWN_BYTES, Privacy};
use crate::config::IpMask;
use crate::event::{RawEvent, is_junk};

impl Privacy {
    /// Those of an event that a mask hides.
    pub(super) fn own<'a>(&self, event: &RawEvent<'a>) -> Own<'a> {
        let long = |id: Option<&'a [u8]>, on: bool| {
            id.filter(|id| on && id.len() >= OWN_BYTES && !is_junk(id) && !id.starts_with(HASHED))
        };
        let ids = [
            long(event.user_id, self.user),
            long(event.anonymous_id, self.anonymous),
            long(event.session_id, self.session),
        ];
        // A network is shown already.
        let is_network = |host: &[u8]| {
            matches!(host, [.., b'.', b'0'] | [.., b':']) && self.shown_host(host).as_deref() == Some(host)
        };
        let host =
            long(event.ip, self.ip != IpMask::Keep).filter(|host| self.ip != IpMask::Truncate || !is_network(host));
        let encoded = ids.into_iter().chain([host]).flatten().flat_map(encoded).flatten().collect();
        Own { ids, host, encoded }
    }
}

/// The ids and the host of an event that its other texts must not tell.
#[derive(Debug)]
pub(super) struct Own<'a> {
    ids: [Option<&'a [u8]>; 3],
    host: Option<&'a [u8]>,
    /// Those that a link spells in another way.
    encoded: Vec<Vec<u8>>,
}

impl<'a> Own<'a> {
    /// The id that the text is.
    pub(super) fn id(&self, text: &[u8]) -> Option<&'a [u8]> {
        self.ids.into_iter().flatten().find(|id| *id == text)
    }

    /// The text without them where they stand alone; `None` where they do not.
    pub(super) fn cut(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut cut: Option<Vec<u8>> = None;
        let plain = self.ids.into_iter().chain([self.host]).flatten();
        for own in plain.chain(self.encoded.iter().map(Vec::as_slice)) {
            cut = cut_one(cut.as_deref().unwrap_or(text), own).or(cut);
        }
        cut
    }
}

/// A text percent-encoded, with capitals and without, where that is another.
fn encoded(text: &[u8]) -> [Option<Vec<u8>>; 2] {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    if text.iter().all(is_plain) {
        return [None, None];
    }
    let digit = |digits: &[u8; 16], value: u8| digits[usize::from(value & 15)];
    let spelled = |digits: &[u8; 16]| {
        text.iter().fold(Vec::new(), |mut out, byte| {
            match byte {
                byte if is_plain(byte) => out.push(*byte),
                byte => out.extend([b'%', digit(digits, byte >> 4), digit(digits, *byte)]),
            }
            out
        })
    };
    let (upper, lower) = (spelled(b"0123456789ABCDEF"), spelled(b"0123456789abcdef"));
    let lower = (lower != upper).then_some(lower);
    [Some(upper), lower]
}

fn cut_one(text: &[u8], own: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(text, own)?;
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let (mut kept, mut copied) = (Vec::new(), 0);
    for at in memchr::memmem::find_iter(text, own) {
        let end = at + own.len();
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        if !is_word(before) && !is_word(text.get(end)) {
            kept.extend_from_slice(&text[copied..at]);
            kept.extend_from_slice(GONE);
            copied = end;
        }
    }
    kept.extend_from_slice(&text[copied..]);
    (copied > 0).then_some(kept)
}
