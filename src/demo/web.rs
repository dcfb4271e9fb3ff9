//! The shop's web log in NCSA combined format.

use std::io::{self, Write};

use super::Plan;
use super::dice::Dice;
use super::late::Late;
use super::shop::{Hit, Place, Shop};
use crate::time::{Day, SECOND};

const BROWSERS: [&str; 5] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_7) AppleWebKit/605.1 (KHTML, like Gecko) Version/18.1 Safari/605.1",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1 Version/18.1 Mobile Safari/604.1",
    "Mozilla/5.0 (Android 15; Mobile; rv:133.0) Gecko/133.0 Firefox/133.0",
];
const ROBOTS: [&str; 3] = [
    "ShelfBot/2.1 (+https://shelfbot.example/about)",
    "PriceSpider/0.9 (+https://prices.example/spider)",
    "ArchiveCrawler/4.0 (+https://archive.example)",
];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const SITE: &str = "https://shop.example";

pub(super) fn write(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let mut dice = Dice::new(plan.seed ^ 0x0077_6562);
    let mut out = Late::new(out, plan.lines);
    for hit in Shop::new(plan, plan.seed, 6) {
        if out.is_full() {
            break;
        }
        if dice.chance(6) {
            out.line(&broken(&hit, &mut dice), &mut dice)?;
        }
        write_hit(&hit, &mut out, &mut dice)?;
    }
    out.finish()
}

/// A visit's page and what loads with it.
fn write_hit(hit: &Hit, out: &mut Late<'_>, dice: &mut Dice) -> io::Result<()> {
    let page = page_target(hit, dice);
    let (method, status) = outcome(hit, dice);
    out.line(line(hit, 0, method, &page, status, &referrer(hit, dice), dice).as_bytes(), dice)?;
    if hit.robot {
        return Ok(());
    }
    let loaded = format!("{SITE}{}", hit.place.path());
    if hit.from.is_none() || dice.chance(150) {
        out.line(line(hit, 0, "GET", "/assets/site.css", 200, &loaded, dice).as_bytes(), dice)?;
        if dice.chance(400) {
            out.line(line(hit, 1, "GET", "/assets/logo.svg", 304, &loaded, dice).as_bytes(), dice)?;
        }
    }
    if dice.chance(12) {
        out.line(line(hit, 1, "GET", "/account", 302, &loaded, dice).as_bytes(), dice)?;
        out.line(line(hit, 1, "GET", "/login?next=%2Faccount", 200, &loaded, dice).as_bytes(), dice)?;
    }
    Ok(())
}

fn page_target(hit: &Hit, dice: &mut Dice) -> String {
    let path = hit.place.path();
    match hit.place {
        Place::Home if hit.from.is_none() && dice.chance(200) => {
            format!("{path}?utm_source=newsletter&utm_campaign=spring")
        }
        Place::Product(_) if dice.chance(60) => format!("{path}/"),
        Place::Blog(_) if dice.chance(50) => "/blog/moved-long-ago".to_owned(),
        _ => path,
    }
}

fn outcome(hit: &Hit, dice: &mut Dice) -> (&'static str, u16) {
    match hit.place {
        Place::Checkout if hit.from == Some(Place::Checkout) => ("POST", 500),
        Place::Checkout if dice.chance(300) => ("POST", 200),
        Place::Blog(_) if dice.chance(60) => ("GET", 404),
        _ => ("GET", 200),
    }
}

fn referrer(hit: &Hit, dice: &mut Dice) -> String {
    match hit.from {
        Some(from) => format!("{SITE}{}", from.path()),
        None if hit.robot => "-".to_owned(),
        None => dice.pick("-", &["https://search.example/", "https://social.example/feed", "-"]).to_owned(),
    }
}

/// `host - user [time] "request" status bytes "referrer" "user agent"`, the time `after` seconds later.
fn line(hit: &Hit, after: i64, method: &str, target: &str, status: u16, referrer: &str, dice: &mut Dice) -> String {
    let bytes = if status == 304 { "-".to_owned() } else { (320 + dice.skewed(24_000)).to_string() };
    format!(
        "{} - {} [{}] \"{method} {target} HTTP/1.1\" {status} {bytes} \"{referrer}\" \"{}\"",
        host(hit),
        user(hit),
        clock(hit.ts + after * SECOND),
        agent(hit),
    )
}

/// Every fifth visitor has an IPv6 address; all are from the ranges set aside for documents and benchmarks.
fn host(hit: &Hit) -> String {
    let n = hit.visitor;
    match n % 5 {
        _ if hit.robot => format!("203.0.113.{}", 10 + n % 240),
        4 => format!("2001:db8:{:x}::{:x}", n >> 16, n & 0xffff),
        _ => format!("198.{}.{}.{}", 18 + (n >> 16) % 2, (n >> 8) % 256, n % 256),
    }
}

/// One visitor in six is logged in.
fn user(hit: &Hit) -> String {
    if !hit.robot && hit.visitor.is_multiple_of(6) { format!("member{}", hit.visitor / 6 + 1) } else { "-".to_owned() }
}

fn agent(hit: &Hit) -> &'static str {
    let agents: &[&'static str] = if hit.robot { &ROBOTS } else { &BROWSERS };
    usize::try_from(hit.visitor % agents.len() as u64).ok().and_then(|at| agents.get(at)).copied().unwrap_or("-")
}

/// `05/Jan/2026:10:00:00 +0000`
fn clock(ts: i64) -> String {
    let day = Day::of(ts);
    let (year, month, date) = day.civil();
    let second = (ts - day.start()) / SECOND;
    let month = MONTHS.get(usize::from(month).wrapping_sub(1)).unwrap_or(&"");
    format!("{date:02}/{month}/{year:04}:{:02}:{:02}:{:02} +0000", second / 3_600, second / 60 % 60, second % 60)
}

/// A line as it must not be: cut, garbled, no request, no log line.
fn broken(hit: &Hit, dice: &mut Dice) -> Vec<u8> {
    let whole = line(hit, 0, "GET", &hit.place.path(), 200, "-", dice);
    let text = match dice.below(6) {
        // The disk was full: the user agent has no closing quote.
        0 => whole[..whole.len() - 9].to_owned(),
        1 => whole[..whole.find('"').unwrap_or(0)].to_owned(),
        2 => format!("[{}] [error] worker 7 exited on signal 9", clock(hit.ts)),
        3 => format!("{} - - [{}] \"-\" 408 - \"-\" \"-\"", host(hit), clock(hit.ts)),
        4 => format!("{} - - [{}] \"\\x16\\x03\\x01\\x02\" 400 226 \"-\" \"-\"", host(hit), clock(hit.ts)),
        _ => whole.replacen(" +0000]", "]", 1),
    };
    text.into_bytes()
}
