//! When a message happened, by a clock that may be wrong.
//!
//! Segment's rule is `timestamp = receivedAt − (sentAt − originalTimestamp)`: what the sender's clock shows when it sends
//! tells how wrong it is. As it stands, every try to send a message gives it another time, and a message that comes twice
//! would be two that contradict each other. So the clock is set right by whole minutes, and what is less than one is left:
//! a clock that is right gives the same message at each try, whatever the way took, and one that is wrong does, but
//! where two tries fall on both sides of a full minute. Then too the event counts once.
//!
//! A message that has passed another collector (it has `receivedAt`, or both times) keeps the time that it has: between
//! `sentAt` and now lies how long it was there.

use super::{Fields, Receipt};
use crate::parse::clock;
use crate::time::{self, HOUR, SECOND};

const MINUTE: i64 = 60 * SECOND;

/// A time as a JSON value, or as text.
pub(super) enum Time<'a> {
    Given(&'a [u8]),
    Known(String),
}

/// The time of the message `own` in the body `whole`.
pub(super) fn time<'a>(own: &Fields<'a>, whole: &Fields<'a>, receipt: &Receipt) -> Time<'a> {
    let (stated, original) = (own.scalar(b"timestamp"), own.scalar(b"originalTimestamp"));
    let Some(given) = stated.or(original) else { return Time::Known(receipt.at.clone()) };
    let is_forwarded = own.get(b"receivedAt").is_some() || stated.and(original).is_some();
    let sent = own.scalar(b"sentAt").or_else(|| whole.scalar(b"sentAt")).filter(|_| !is_forwarded);
    let known = sent.and_then(|sent| Some((micros(given)?, micros(sent)?, time::parse_iso(receipt.at.as_bytes(), 0)?)));
    match known.map(|(at, sent, received)| (at, received.saturating_sub(sent) / MINUTE)) {
        Some((at, minutes)) if minutes != 0 => Time::Known(time::iso(at.saturating_add(minutes * MINUTE))),
        _ => Time::Given(given),
    }
}

/// The instant of a JSON value; `None` where it is none, or says no zone.
fn micros(value: &[u8]) -> Option<i64> {
    let Some(text) = value.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")) else {
        return clock::epoch(value);
    };
    let at = |zone| time::parse_iso(text, zone);
    at(0).filter(|micros| at(HOUR) == Some(*micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The time of a message that comes at ten.
    fn told(message: &str, around: &str) -> String {
        let receipt = Receipt { at: "2026-01-05T10:00:00Z".to_owned(), ..Receipt::default() };
        let read = |text| Fields::read(text, 0).unwrap().0;
        match time(&read(message.as_bytes()), &read(around.as_bytes()), &receipt) {
            Time::Given(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Time::Known(text) => text,
        }
    }

    #[test]
    fn a_clock_that_is_wrong_is_set_right_by_whole_minutes() {
        let at = |sent: &str| told(r#"{"timestamp":"2026-01-05T09:59:50.5Z"}"#, &format!("{{\"sentAt\":{sent}}}"));
        for right in
            [r#""2026-01-05T09:59:59Z""#, r#""2026-01-05T10:00:59.9Z""#, r#""2026-01-05T09:59:00.1Z""#, "1767607200"]
        {
            assert_eq!(at(right), r#""2026-01-05T09:59:50.5Z""#, "{right}");
        }
        assert_eq!(at(r#""2026-01-05T08:59:58Z""#), "2026-01-05T10:59:50.500000Z");
        assert_eq!(at(r#""2026-01-05T12:00:30+01:00""#), "2026-01-05T08:59:50.500000Z");
        assert_eq!(at(r#""2026-01-05T08:00:00""#), r#""2026-01-05T09:59:50.5Z""#, "of no zone");
        assert_eq!(at("\"soon\""), r#""2026-01-05T09:59:50.5Z""#);
        let own = r#"{"originalTimestamp":1767520800,"sentAt":1767520803}"#;
        assert_eq!(told(own, "{}"), "2026-01-05T09:59:00Z");
    }

    #[test]
    fn each_try_says_the_same_time() {
        let tries = ["08:59:58", "08:59:40", "08:59:01"].map(|sent| {
            told(r#"{"timestamp":"2026-01-05T08:00:00Z"}"#, &format!("{{\"sentAt\":\"2026-01-05T{sent}Z\"}}"))
        });
        assert_eq!(tries, ["2026-01-05T09:00:00Z"; 3]);
    }

    #[test]
    fn what_another_collector_has_received_keeps_its_time() {
        let around = r#"{"sentAt":"2026-01-05T06:00:00Z"}"#;
        for passed in [
            r#"{"timestamp":"2026-01-05T08:00:00Z","receivedAt":"2026-01-05T08:00:01Z"}"#,
            r#"{"timestamp":"2026-01-05T08:00:00Z","originalTimestamp":"2026-01-05T07:00:00Z"}"#,
        ] {
            assert_eq!(told(passed, around), r#""2026-01-05T08:00:00Z""#, "{passed}");
        }
        assert_eq!(told("{}", around), "2026-01-05T10:00:00Z");
    }
}
