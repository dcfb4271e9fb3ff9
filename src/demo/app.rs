//! The shop's app: events as NDJSON, sent in batches by phones, some of them twice.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::Plan;
use super::dice::Dice;
use super::late::Late;
use super::shop::{Hit, Place, Shop};
use crate::time;

pub(super) fn write(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let plan = Plan { lines: plan.lines / 2, ..*plan };
    let mut dice = Dice::new(plan.seed ^ 0x0061_7070);
    let mut out = Late::new(out, plan.lines);
    let mut sent = 0;
    for hit in Shop::new(&plan, plan.seed ^ 0x5eed, 4).filter(|hit| !hit.robot) {
        if out.is_full() {
            break;
        }
        for (name, offset) in events(&hit) {
            sent += 1;
            let mut line = event(&hit, name, hit.ts + offset, sent, &mut dice);
            if dice.chance(5) {
                line = broken(&line, &mut dice);
            }
            out.line(line.as_bytes(), &mut dice)?;
            if dice.chance(4) {
                out.line(line.as_bytes(), &mut dice)?;
            }
        }
    }
    out.finish()
}

/// What the app reports at a place: `screen_view`, and a named event where something was done.
fn events(hit: &Hit) -> Vec<(&'static str, i64)> {
    let view = ("screen_view", 0);
    match (hit.from, hit.place) {
        (Some(Place::Product(_)), Place::Cart) => vec![("add_to_cart", -400_000), view],
        (_, Place::Thanks) => vec![("purchase", -120_000), view],
        _ => vec![view],
    }
}

fn event(hit: &Hit, name: &str, ts: i64, sent: u64, dice: &mut Dice) -> String {
    // A clock that was never set.
    let ts = if dice.chance(4) { 1_000 * (sent % 900).cast_signed() } else { ts / 1_000 * 1_000 };
    let mut line = format!("{{\"ts\":\"{}\"", time::iso(ts));
    // Half of the visitors have an account, the others are known by their device only.
    let known = hit.visitor.is_multiple_of(2);
    // Writing to a String cannot fail.
    if known {
        _ = write!(line, ",\"user_id\":\"u{:05}\"", hit.visitor);
    }
    _ = write!(line, ",\"anonymous_id\":\"phone-{:06x}\"", hit.visitor * 7_919 + 0xa11);
    _ = write!(line, ",\"event\":\"{name}\"");
    if name == "screen_view" {
        _ = write!(line, ",\"page\":\"{}\"", hit.place.path());
    }
    _ = write!(line, ",\"event_id\":\"e{:04x}-{sent:06}\"", hit.visit);
    match name {
        "purchase" => {
            let cents = 990 + dice.skewed(20_000);
            _ = write!(line, ",\"properties\":{{\"amount\":{}.{:02},\"currency\":\"EUR\"}}", cents / 100, cents % 100);
        }
        "add_to_cart" => _ = write!(line, ",\"properties\":{{\"quantity\":{}}}", 1 + dice.skewed(3)),
        _ => {}
    }
    line.push('}');
    line
}

/// A line as it must not be: cut, without a time, without anybody, no object.
fn broken(line: &str, dice: &mut Dice) -> String {
    match dice.below(4) {
        0 => line[..line.len() / 2].to_owned(),
        1 => line.replacen("\"ts\"", "\"sent\"", 1),
        2 => line.replace("user_id", "nobody").replace("anonymous_id", "nothing"),
        _ => "[\"flush\",\"ok\"]".to_owned(),
    }
}
