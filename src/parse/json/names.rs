//! Which names stand for which field.
//!
//! ```text
//! [fields] of the configuration    rank 0         a dot reaches into an object: "request.uri"
//! the usual names, in order        rank 1, 2, …   the best-ranked present name counts
//! ```

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::config::Fields;
use crate::parse::row::{Records, Role};

/// Names for roles, best first.
pub(in crate::parse) type Usual = &'static [(Role, &'static [&'static str])];

/// The usual names of application events, for NDJSON, CSV and Parquet alike.
pub(in crate::parse) const EVENTS: Usual = &[
    (Role::Ts, &["ts", "timestamp", "time", "@timestamp", "event_time", "eventTime", "datetime", "created_at"]),
    (Role::UserId, &["user_id", "userId", "distinct_id", "user"]),
    (Role::AnonymousId, &["anonymous_id", "anonymousId", "device_id", "deviceId"]),
    (Role::SessionId, &["session_id", "sessionId", "source_session_id"]),
    (Role::EventId, &["event_id", "messageId", "insert_id", "eventId", "message_id", "$insert_id", "uuid"]),
    (Role::Event, &["event", "event_type", "name", "event_name", "eventType", "eventName"]),
    (Role::Target, &["page", "path", "url", "page_url", "uri"]),
    (Role::Properties, &["properties"]),
    (Role::Method, &["method"]),
    (Role::Status, &["status"]),
    (Role::Bytes, &["bytes"]),
    (Role::Referrer, &["referrer", "referer"]),
    (Role::UserAgent, &["user_agent", "userAgent"]),
    (Role::Ip, &["ip", "ip_address", "client_ip", "remote_addr"]),
];

/// What a name stands for: a role with its rank, the table of names inside its object, or neither.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::parse) struct Node {
    pub(in crate::parse) role: Option<(Role, u8)>,
    pub(in crate::parse) members: Option<usize>,
}

type Table = HashMap<Box<[u8]>, Node, FixedState>;

/// The names of one format. Table 0 is the top of the object, the others are insides of objects.
#[derive(Debug)]
pub(in crate::parse) struct Names {
    tables: Vec<Table>,
    records: Records,
}

impl Names {
    /// The configured names before the usual ones.
    pub(in crate::parse) fn new(records: Records, usual: Usual, fields: &Fields) -> Self {
        let configured = [
            (Role::UserId, &fields.user_id),
            (Role::Target, &fields.page),
            (Role::Event, &fields.event),
            (Role::Ts, &fields.ts),
            (Role::SessionId, &fields.session_id),
            (Role::AnonymousId, &fields.anonymous_id),
            (Role::EventId, &fields.event_id),
        ];
        let mut names = Self { tables: vec![Table::default()], records };
        for (role, name) in configured {
            if let Some(name) = name {
                names.add(name, role, 0);
            }
        }
        for (role, usual) in usual {
            for (rank, name) in (1..).zip(*usual) {
                names.add(name, *role, rank);
            }
        }
        names
    }

    pub(in crate::parse) fn records(&self) -> Records {
        self.records
    }

    /// Adds a name unless it is taken, as it stands and, with dots, as a way into objects.
    fn add(&mut self, name: &str, role: Role, rank: u8) {
        let top = self.tables[0].entry(name.as_bytes().into()).or_default();
        top.role = top.role.or(Some((role, rank)));
        if !name.contains('.') {
            return;
        }
        let mut table = 0;
        let mut parts = name.split('.').peekable();
        while let Some(part) = parts.next() {
            let next = self.tables.len();
            let node = self.tables[table].entry(part.as_bytes().into()).or_default();
            if parts.peek().is_none() {
                node.role = node.role.or(Some((role, rank)));
            } else {
                table = *node.members.get_or_insert(next);
                if table == next {
                    self.tables.push(Table::default());
                }
            }
        }
    }

    /// What a raw key at the top stands for.
    pub(in crate::parse) fn top(&self, key: &[u8], is_escaped: bool) -> Node {
        self.member(0, key, is_escaped)
    }

    /// The role of a column's name in any case, with blanks and hyphens for `_`.
    pub(in crate::parse) fn any_case(&self, name: &[u8]) -> Option<(Role, u8)> {
        let plain = |byte: &u8| if matches!(byte, b' ' | b'-') { b'_' } else { byte.to_ascii_lowercase() };
        let plain: Vec<u8> = name.iter().map(plain).collect();
        self.top(name, false).role.or_else(|| self.top(&plain, false).role)
    }

    /// What a raw key inside an object stands for.
    pub(in crate::parse) fn member(&self, table: usize, key: &[u8], is_escaped: bool) -> Node {
        let Some(table) = self.tables.get(table) else { return Node::default() };
        if !is_escaped {
            return table.get(key).copied().unwrap_or_default();
        }
        let mut plain = Vec::new();
        match super::strings::unescape(key, &mut plain) {
            Ok(()) => table.get(plain.as_slice()).copied().unwrap_or_default(),
            Err(_) => Node::default(),
        }
    }
}
