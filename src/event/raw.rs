//! One parsed line before any decision: slices of the input, absent where the input says nothing.

use std::borrow::Cow;

/// What a parser read from one record. All text is raw bytes of the input (or of the parser's scratch where an
/// escape had to be undone); it may be invalid UTF-8, which becomes U+FFFD when it is stored.
///
/// `-` and the empty string are already `None` for access logs; junk ids (SEMANTICS §1) are still there.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct RawEvent<'a> {
    /// Microseconds since 1970-01-01 UTC.
    pub ts: i64,
    /// The user id as given (authuser of an access log).
    pub user_id: Option<&'a [u8]>,
    pub anonymous_id: Option<&'a [u8]>,
    /// The session id as given.
    pub session_id: Option<&'a [u8]>,
    /// `messageId`, `insert_id`, `uuid`.
    pub event_id: Option<&'a [u8]>,
    /// The event's name; `None` for a request of an access log.
    pub event: Option<&'a [u8]>,
    /// The request target or page as written: path, absolute URL or screen name.
    pub target: Option<&'a [u8]>,
    pub method: Option<&'a [u8]>,
    pub status: Option<i16>,
    /// Response size in bytes.
    pub bytes: Option<i64>,
    pub referrer: Option<&'a [u8]>,
    pub user_agent: Option<&'a [u8]>,
    /// The client's host as written: an address or a name.
    pub ip: Option<&'a [u8]>,
    /// A JSON object with what no other column holds.
    pub properties: Option<&'a [u8]>,
    /// The object that the line itself calls `properties`, where it has one; `properties` may hold more.
    pub own_properties: Option<&'a [u8]>,
    /// The format knows texts alone, so that a number or a boolean is known by how it is written.
    pub is_untyped: bool,
}

impl RawEvent<'_> {
    /// Whether it says neither where nor what: a request that is no `METHOD target PROTOCOL`, or an application's event
    /// without page and name. It is an event and no step (SEMANTICS §1).
    #[must_use]
    pub const fn is_nameless(&self) -> bool {
        self.target.is_none() && self.event.is_none()
    }
}

/// Why a line was refused and how far it was understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reject {
    pub reason: RejectReason,
    /// Bytes of the line that matched before it went wrong.
    pub matched: u32,
}

/// The reasons a line is quarantined; [`RejectReason::name`] begins the text of the `reason` column ([`Refused::text`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectReason {
    /// The line is not of the format.
    Malformed,
    /// A quoted field is not closed.
    UnclosedQuote,
    /// The time is missing or unreadable.
    Time,
    /// The time is before 1995 or more than 24 h after receipt.
    Clock,
    /// The request is no `METHOD target PROTOCOL` and `[parse] strict` is set.
    Request,
    /// No user, anonymous id, session id or address: nobody did it.
    NoIdentity,
    /// Not valid JSON, or not an object.
    Json,
    /// The line is longer than the limit.
    TooLong,
    /// The same event id with different content (SEMANTICS §1).
    ConflictingDuplicate,
    /// The properties are not those of `[schema.EVENT]`; what is wrong with them follows the name.
    Schema,
    /// A member of a batch that is no message: no object, or of an unknown type.
    NoMessage,
    /// A `track` message that names no event.
    NoEvent,
    /// A message of a batch that is longer than the limit.
    MessageTooLong,
}

/// A refused event: the reason, and what exactly where the reason alone does not say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub reason: RejectReason,
    pub detail: Option<String>,
}

impl From<RejectReason> for Refused {
    fn from(reason: RejectReason) -> Self {
        Self { reason, detail: None }
    }
}

impl Refused {
    /// The text of the `reason` column: the reason's name, a colon and the detail where there is one.
    #[must_use]
    pub fn text(&self) -> Cow<'static, str> {
        match &self.detail {
            None => Cow::Borrowed(self.reason.name()),
            Some(detail) => Cow::Owned(format!("{}: {detail}", self.reason.name())),
        }
    }
}

impl RejectReason {
    /// Every reason.
    pub const ALL: [Self; 13] = [
        Self::Malformed,
        Self::UnclosedQuote,
        Self::Time,
        Self::Clock,
        Self::Request,
        Self::NoIdentity,
        Self::Json,
        Self::TooLong,
        Self::ConflictingDuplicate,
        Self::Schema,
        Self::NoMessage,
        Self::NoEvent,
        Self::MessageTooLong,
    ];

    /// The reason that the text of a `reason` column begins with.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let name = text.split(':').next().unwrap_or(text);
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// The stable name that the `quarantine` table shows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnclosedQuote => "unclosed_quote",
            Self::Time => "time",
            Self::Clock => "clock",
            Self::Request => "request",
            Self::NoIdentity => "no_identity",
            Self::Json => "json",
            Self::TooLong => "too_long",
            Self::ConflictingDuplicate => "conflicting_duplicate",
            Self::Schema => "schema",
            Self::NoMessage => "no_message",
            Self::NoEvent => "no_event",
            Self::MessageTooLong => "message_too_long",
        }
    }
}
