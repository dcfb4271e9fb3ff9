//! Moves rows from one buffer to another: the newest day of a log stays behind when a full buffer is written, so that
//! a log in time order gives one run a day.

use super::buffer::RowBuffer;
use super::interner::{Code, Interner};
use super::row::{Extra, Row};
use super::rules::Rules;

/// The codes of one column in another buffer; 0 until asked.
struct Recode(Vec<Code>);

impl Recode {
    fn new(texts: &Interner) -> Self {
        Self(vec![0; texts.len()])
    }

    fn code(&mut self, code: Code, from: &Interner, to: &mut Interner) -> Code {
        let known = &mut self.0[code as usize];
        if *known == 0 && code != 0 {
            *known = to.intern(from.bytes(code));
        }
        *known
    }
}

/// Moves the rows at or after `ts` from `full` to the empty buffer `next`.
pub fn carry(full: &mut RowBuffer, next: &mut RowBuffer, ts: i64, rules: &Rules) {
    let from = &full.texts;
    let all = [
        &from.distinct,
        &from.event,
        &from.path,
        &from.method,
        &from.referrer,
        &from.agent,
        &from.ip,
        &from.user,
        &from.session,
        &from.anonymous,
        &from.event_id,
        &from.properties,
    ];
    let [
        mut distinct,
        mut event,
        mut path,
        mut method,
        mut referrer,
        mut agent,
        mut ip,
        mut user,
        mut session,
        mut anonymous,
        mut event_id,
        mut properties,
    ] = all.map(Recode::new);
    for row in full.rows.iter().filter(|row| row.ts >= ts) {
        let to = &mut next.texts;
        let extra = full.extras[row.extra as usize];
        let extra = Extra {
            anonymous: anonymous.code(extra.anonymous, &from.anonymous, &mut to.anonymous),
            event_id: event_id.code(extra.event_id, &from.event_id, &mut to.event_id),
            properties: properties.code(extra.properties, &from.properties, &mut to.properties),
            ..extra
        };
        let moved = Row {
            distinct: distinct.code(row.distinct, &from.distinct, &mut to.distinct),
            path: path.code(row.path, &from.path, &mut to.path),
            event: event.code(row.event, &from.event, &mut to.event),
            referrer: referrer.code(row.referrer, &from.referrer, &mut to.referrer),
            agent: agent.code(row.agent, &from.agent, &mut to.agent),
            ip: ip.code(row.ip, &from.ip, &mut to.ip),
            user: user.code(row.user, &from.user, &mut to.user),
            session: session.code(row.session, &from.session, &mut to.session),
            method: method.code(row.method, &from.method, &mut to.method),
            extra: 0,
            ..*row
        };
        next.admit(moved, (row.extra != 0).then_some(extra), rules);
    }
    full.rows.retain(|row| row.ts < ts);
}
