//! Messages of Segment's HTTP API as lines of NDJSON, which an ordinary ingest reads.
//!
//! ```text
//! {"batch":[{"type":"page","anonymousId":"a","properties":{"url":"/x"}},…],"context":{…}}
//!    └─ each ─► {"type":"page","timestamp":…,"anonymousId":"a","page":"/x",…,"properties":{"url":"/x"}}
//! ```
//!
//! | message | line |
//! |---|---|
//! | `track` | `event`; `page` from `properties.url`, `properties.path` or `context.page` |
//! | `page`, `screen` | `page` from there, else the name; for `screen` the name comes first |
//! | `identify`, `group` | neither page nor event: no step. A user id beside an anonymous one links them |
//! | `alias` | the previous id as the anonymous one |
//! | a `track` without event, anything else, more than [`limits::MESSAGE_BYTES`] | `no_event: `, `no_message: ` or `message_too_long: ` and its text as a JSON string, which no ingest takes for an event: it ends in the quarantine for that reason |
//!
//! Invariants: a line for each message; values are the bytes that came, with blanks for line breaks; a message says the
//! same whenever it comes, but for what it leaves to the receiver (the time, the address, the user agent) and where its
//! clock is wrong by a minute or more (`skew.rs`). `sentAt` and `receivedAt` differ from try to try and are left out.
//!
//! Source: Segment's HTTP tracking API and its common fields.

mod skew;

use super::value::{self, Kind, Value};
use crate::event::RejectReason;
use crate::limits;
use skew::Time;

/// What was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Track,
    Page,
    Screen,
    Identify,
    Alias,
    Group,
    /// Many messages, each of which says what it is.
    Batch,
}

impl Call {
    /// Every call.
    pub const ALL: [Self; 7] =
        [Self::Track, Self::Page, Self::Screen, Self::Identify, Self::Alias, Self::Group, Self::Batch];

    /// Its name, also the last part of its path.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::Page => "page",
            Self::Screen => "screen",
            Self::Identify => "identify",
            Self::Alias => "alias",
            Self::Group => "group",
            Self::Batch => "batch",
        }
    }

    fn of_message(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|call| *call != Self::Batch && call.name().as_bytes() == name)
    }
}

/// What the receiver knows and a message may leave out.
#[derive(Debug, Clone, Default)]
pub struct Receipt {
    /// When it came, as ISO text.
    pub at: String,
    pub address: Option<String>,
    pub user_agent: Option<String>,
}

/// What became of a body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shaped {
    /// Messages, a line each.
    pub messages: usize,
    /// Those of them that no ingest will take for an event.
    pub refused: usize,
}

/// Why a body has no messages at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body is no JSON object: byte {at} fits none")]
    Json { at: usize },
    #[error("the body has no list 'batch' of messages")]
    NoBatch,
    #[error("a message has {bytes} bytes, {} are taken", limits::MESSAGE_BYTES)]
    TooLong { bytes: usize },
}

/// Appends a line for each message of a body.
///
/// # Errors
/// It is not what the call takes; nothing was appended.
pub fn shape(call: Call, body: &[u8], receipt: &Receipt, out: &mut Vec<u8>) -> Result<Shaped, BodyError> {
    let start = value::skip_blank(body, 0);
    let (whole, end) = Fields::read(body, start).map_err(|at| BodyError::Json { at })?;
    if value::skip_blank(body, end) < body.len() {
        return Err(BodyError::Json { at: end });
    }
    if call != Call::Batch {
        if end - start > limits::MESSAGE_BYTES {
            return Err(BodyError::TooLong { bytes: end - start });
        }
        let refused = message(Some(call), &whole, &whole, receipt, out).err();
        if let Some(reason) = refused {
            refuse(reason, &body[start..end], out);
        }
        return Ok(Shaped { messages: 1, refused: usize::from(refused.is_some()) });
    }
    let list = whole.get(b"batch").filter(|list| list.kind == Kind::List).ok_or(BodyError::NoBatch)?;
    let mut shaped = Shaped::default();
    for raw in items(body, list) {
        let fields = Fields::read(raw, 0).map_err(|_| RejectReason::NoMessage);
        let fits = if raw.len() > limits::MESSAGE_BYTES { Err(RejectReason::MessageTooLong) } else { fields };
        let taken = fits.and_then(|(fields, _)| message(None, &fields, &whole, receipt, out));
        if let Err(reason) = taken {
            refuse(reason, raw, out);
        }
        shaped.messages += 1;
        shaped.refused += usize::from(taken.is_err());
    }
    Ok(shaped)
}

/// The members of an object.
#[derive(Debug, Default)]
struct Fields<'a> {
    text: &'a [u8],
    /// Key between its quotes, value.
    all: Vec<(&'a [u8], Value)>,
}

impl<'a> Fields<'a> {
    /// Of the object at `at`, and the offset after it.
    fn read(text: &'a [u8], at: usize) -> Result<(Self, usize), usize> {
        if text.get(at) != Some(&b'{') {
            return Err(at);
        }
        let mut fields = Self { text, all: Vec::new() };
        let mut at = value::skip_blank(text, at + 1);
        if text.get(at) == Some(&b'}') {
            return Ok((fields, at + 1));
        }
        loop {
            let (key, end) = value::string(text, at)?;
            at = value::skip_colon(text, end)?;
            let (value, end) = value::value(text, at)?;
            fields.all.push((&text[key.from..key.to], value));
            at = value::skip_blank(text, end);
            match text.get(at) {
                Some(b',') => at = value::skip_blank(text, at + 1),
                Some(b'}') => return Ok((fields, at + 1)),
                _ => return Err(at),
            }
        }
    }

    /// The last value of a key that is not null.
    fn get(&self, key: &[u8]) -> Option<Value> {
        let found = self.all.iter().rev().find(|(own, _)| *own == key);
        found.map(|(_, value)| *value).filter(|value| value.kind != Kind::Null)
    }

    /// The bytes of a text or number that is not empty.
    fn scalar(&self, key: &[u8]) -> Option<&'a [u8]> {
        let value = self.get(key)?;
        let kept = match value.kind {
            Kind::Plain | Kind::Escaped => value.to > value.from,
            Kind::Number => true,
            _ => false,
        };
        kept.then(|| self.raw(value))
    }

    /// An object inside; an empty one where there is none.
    fn inside(&self, key: &[u8]) -> Self {
        let object = self.get(key).filter(|value| value.kind == Kind::Object);
        object.and_then(|object| Self::read(self.text, object.from).ok()).unwrap_or_default().0
    }

    fn raw(&self, value: Value) -> &'a [u8] {
        let (from, to) = value.raw();
        &self.text[from..to]
    }

    /// Writes the object without some of its keys; nothing where nothing is left.
    fn write_without(&self, key: &str, left_out: &[&[u8]], more: Option<(&str, &Self, &[&[u8]])>, out: &mut Line) {
        let mut inner = Line::default();
        for (own, value) in &self.all {
            let is_more = more.is_some_and(|(key, ..)| key.as_bytes() == *own);
            if !is_more && !left_out.contains(own) {
                inner.field_raw(own, self.raw(*value));
            }
        }
        if let Some((key, fields, left_out)) = more {
            fields.write_without(key, left_out, None, &mut inner);
        }
        if !inner.text.is_empty() {
            out.field_raw(key.as_bytes(), &inner.object());
        }
    }
}

/// Members of an object that is being written.
#[derive(Debug, Default)]
struct Line {
    text: Vec<u8>,
}

impl Line {
    /// A key as it stands between quotes, and a JSON value.
    fn field_raw(&mut self, key: &[u8], value: &[u8]) {
        self.text.extend_from_slice(if self.text.is_empty() { b"\"" } else { b",\"" });
        self.text.extend_from_slice(key);
        self.text.extend_from_slice(b"\":");
        // Between values a line break is a blank, and inside of strings there can be none.
        self.text.extend(value.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    }

    fn field(&mut self, key: &str, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.field_raw(key.as_bytes(), value);
        }
    }

    fn text_field(&mut self, key: &str, text: &str) {
        self.field_raw(key.as_bytes(), serde_json::Value::from(text).to_string().as_bytes());
    }

    fn object(mut self) -> Vec<u8> {
        self.text.insert(0, b'{');
        self.text.push(b'}');
        self.text
    }
}

/// What is no member of the line under its own name: it is said in another way, or differs from try to try.
const SAID: [&[u8]; 17] = [
    b"type",
    b"messageId",
    b"timestamp",
    b"originalTimestamp",
    b"sentAt",
    b"receivedAt",
    b"writeKey",
    b"userId",
    b"anonymousId",
    b"event",
    b"properties",
    b"context",
    b"integrations",
    b"_metadata",
    b"batch",
    b"traits",
    b"previousId",
];

/// Appends the line of a message; `whole` is the body around it.
fn message(
    call: Option<Call>,
    own: &Fields<'_>,
    whole: &Fields<'_>,
    receipt: &Receipt,
    out: &mut Vec<u8>,
) -> Result<(), RejectReason> {
    let named = own.get(b"type").and_then(|it| Call::of_message(&own.text[it.from..it.to]));
    let call = call.or(named).ok_or(RejectReason::NoMessage)?;
    let (properties, context) = (own.inside(b"properties"), own.inside(b"context"));
    let context = if context.all.is_empty() { whole.inside(b"context") } else { context };
    let seen = context.inside(b"page");
    let event = own.scalar(b"event");
    if call == Call::Track && event.is_none() {
        return Err(RejectReason::NoEvent);
    }
    let mut line = Line::default();
    line.text_field("type", call.name());
    line.field("messageId", own.scalar(b"messageId"));
    match skew::time(own, whole, receipt) {
        Time::Given(at) => line.field_raw(b"timestamp", at),
        Time::Known(at) => line.text_field("timestamp", &at),
    }
    line.field("userId", own.scalar(b"userId"));
    let previous = own.scalar(b"previousId").filter(|_| call == Call::Alias);
    line.field("anonymousId", own.scalar(b"anonymousId").or(previous));
    line.field("event", event.filter(|_| call == Call::Track));
    line.field("page", page(call, own, &properties, &seen));
    line.field("referrer", properties.scalar(b"referrer").or_else(|| seen.scalar(b"referrer")));
    match (context.scalar(b"userAgent"), &receipt.user_agent) {
        (None, Some(agent)) => line.text_field("user_agent", agent),
        (given, _) => line.field("user_agent", given),
    }
    match (context.scalar(b"ip"), &receipt.address) {
        (None, Some(address)) => line.text_field("ip", address),
        (given, _) => line.field("ip", given),
    }
    // An event has properties, if none: what stands around them is not of them.
    let none = (call == Call::Track).then_some(&b"{}"[..]);
    line.field("properties", own.get(b"properties").map(|it| own.raw(it)).or(none));
    line.field("traits", own.get(b"traits").map(|it| own.raw(it)));
    line.field("previousId", own.get(b"previousId").map(|it| own.raw(it)));
    // What has become a column stays in no other place, where no mask would find it.
    let lifted: [&[u8]; 4] = [b"url", b"path", b"referrer", b"search"];
    context.write_without("context", &[b"ip", b"userAgent"], Some(("page", &seen, &lifted)), &mut line);
    own.write_without("message", &SAID, None, &mut line);
    out.extend(line.object());
    out.push(b'\n');
    Ok(())
}

/// Where it happened.
fn page<'a>(call: Call, own: &Fields<'a>, properties: &Fields<'a>, seen: &Fields<'a>) -> Option<&'a [u8]> {
    let name = own.scalar(b"name").or_else(|| properties.scalar(b"name"));
    let place = [properties, seen].into_iter().find_map(|it| it.scalar(b"url").or_else(|| it.scalar(b"path")));
    match call {
        Call::Track => place,
        Call::Page => place.or(name),
        Call::Screen => name.or(place),
        _ => None,
    }
}

/// The raw items of a list.
fn items(text: &[u8], list: Value) -> impl Iterator<Item = &[u8]> {
    let mut at = value::skip_blank(text, list.from + 1);
    std::iter::from_fn(move || {
        // The grammar was checked when the list was stepped over.
        let (item, end) = value::value(text, at).ok()?;
        at = value::skip_blank(text, end);
        if text.get(at) == Some(&b',') {
            at = value::skip_blank(text, at + 1);
        }
        let (from, to) = item.raw();
        text.get(from..to)
    })
}

/// Appends the text of what is no message, as far as a message may be long, behind the reason.
fn refuse(reason: RejectReason, raw: &[u8], out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(&raw[..raw.len().min(limits::MESSAGE_BYTES)]);
    let text = format!("{}: {text}", reason.name());
    out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
    out.push(b'\n');
}

/// The reason that [`refuse`] gave a line.
#[cold]
pub(super) fn refused(line: &[u8]) -> Option<RejectReason> {
    let text = line.strip_prefix(b"\"")?;
    [RejectReason::NoMessage, RejectReason::NoEvent, RejectReason::MessageTooLong]
        .into_iter()
        .find(|reason| text.strip_prefix(reason.name().as_bytes()).is_some_and(|rest| rest.starts_with(b": ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shaped(call: Call, body: &str) -> (Shaped, Vec<String>) {
        let receipt = Receipt {
            at: "2026-01-05T10:00:00Z".to_owned(),
            address: Some("192.0.2.7".to_owned()),
            user_agent: Some("A\"b".to_owned()),
        };
        let mut out = Vec::new();
        let shaped = shape(call, body.as_bytes(), &receipt, &mut out).unwrap();
        (shaped, String::from_utf8(out).unwrap().lines().map(str::to_owned).collect())
    }

    fn one(call: Call, body: &str) -> String {
        let (what, mut lines) = shaped(call, body);
        assert_eq!((what.messages, lines.len()), (1, 1), "{body}");
        lines.remove(0)
    }

    #[test]
    fn each_call_says_what_an_ingest_reads() {
        let rest = r#""user_agent":"A\"b","ip":"192.0.2.7""#;
        let track = r#"{"userId":"u","event":"Order \"Done\"","messageId":"m","timestamp":"2026-01-05T09:00:00Z",
            "sentAt":"x","properties":{"total":1.50,
            "url":"https://a/b?c"}}"#;
        let said = format!(
            r#"{{"type":"track","messageId":"m","timestamp":"2026-01-05T09:00:00Z","userId":"u","event":"Order \"Done\"","page":"https://a/b?c",{rest},"properties":{{"total":1.50,             "url":"https://a/b?c"}}}}"#
        );
        assert_eq!(one(Call::Track, track), said);
        let page = r#"{"anonymousId":"a","name":"Home","context":{"ip":"::1","userAgent":"B","locale":"de","page":{"path":"/x","title":"T","referrer":"/r"}}}"#;
        let said = r#"{"type":"page","timestamp":"2026-01-05T10:00:00Z","anonymousId":"a","page":"/x","referrer":"/r","user_agent":"B","ip":"::1","context":{"locale":"de","page":{"title":"T"}},"message":{"name":"Home"}}"#;
        assert_eq!(one(Call::Page, page), said);
        let said = format!(
            r#"{{"type":"screen","timestamp":"2026-01-05T10:00:00Z","userId":7,"page":"Cart",{rest},"message":{{"name":"Cart"}}}}"#
        );
        assert_eq!(one(Call::Screen, r#"{"userId":7,"name":"Cart"}"#), said);
        let said = format!(
            r#"{{"type":"identify","timestamp":1,"userId":"u","anonymousId":"a",{rest},"traits":{{"plan":"pro"}}}}"#
        );
        let identify = r#"{"userId":"u","anonymousId":"a","timestamp":1,"traits":{"plan":"pro"},"context":{}}"#;
        assert_eq!(one(Call::Identify, identify), said);
        let said =
            format!(r#"{{"type":"alias","timestamp":1,"userId":"u","anonymousId":"a",{rest},"previousId":"a"}}"#);
        assert_eq!(one(Call::Alias, r#"{"userId":"u","previousId":"a","timestamp":1}"#), said);
    }

    #[test]
    fn a_batch_gives_a_line_for_each_and_the_bad_ones_are_texts() {
        let long = format!(r#"{{"type":"track","event":"{}"}}"#, "x".repeat(limits::MESSAGE_BYTES));
        let body = format!(
            r#" {{"batch" : [ {{"type":"page","userId":"u"}} , 5, "t", {{"type":"odd"}}, {{"type":"track"}}, {long}, {{"type":"track","event":"e"}}],"context":{{"ip":"::9"}}}} "#
        );
        let (what, lines) = shaped(Call::Batch, &body);
        assert_eq!(what, Shaped { messages: 7, refused: 5 });
        assert_eq!(lines.len(), 7);
        assert!(lines[0].contains(r#""ip":"::9""#) && lines[6].contains(r#""event":"e""#), "{lines:?}");
        assert_eq!((lines[1].as_str(), lines[2].as_str()), ("\"no_message: 5\"", "\"no_message: \\\"t\\\"\""));
        assert!(lines[3].starts_with("\"no_message: {") && lines[4].starts_with("\"no_event: {"), "{lines:?}");
        assert!(lines[5].starts_with("\"message_too_long: {"), "{}", &lines[5][..40]);
        let reasons: Vec<_> = lines[1..6].iter().filter_map(|line| refused(line.as_bytes())).collect();
        assert_eq!(reasons.len(), 5);
        assert_eq!(refused(b"\"no_event\""), None);
        assert_eq!(shaped(Call::Batch, r#"{"batch":[]}"#).0, Shaped::default());
    }

    #[test]
    fn bodies_that_are_none_are_told_where() {
        let why = |call, body: &str| shape(call, body.as_bytes(), &Receipt::default(), &mut Vec::new()).unwrap_err();
        assert_eq!(why(Call::Track, "[]"), BodyError::Json { at: 0 });
        assert_eq!(why(Call::Track, r#"{"a":}"#), BodyError::Json { at: 5 });
        assert_eq!(why(Call::Track, r#"{"event":"e"} x"#), BodyError::Json { at: 13 });
        assert_eq!(why(Call::Batch, r#"{"batch":{}}"#), BodyError::NoBatch);
        let long = format!(r#"{{"event":"{}"}}"#, "x".repeat(limits::MESSAGE_BYTES));
        assert!(matches!(why(Call::Track, &long), BodyError::TooLong { .. }));
    }
}
