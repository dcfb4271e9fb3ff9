//! The bundled sample: a small shop's web log and its app's events, made from a seed.
//!
//! ```text
//! dice ─► shop (who arrives, where they go, when they leave) ─► web   access.log     NCSA combined
//!                                                             └► app   events.ndjson  one JSON object a line
//! ```
//! What is in it, because a parser and a report must cope with it: visits that end everywhere, loops between product,
//! cart and search, pauses that split a session, returning visitors, bounces, robots, assets, redirects, errors,
//! lines that are cut, garbled or no log lines at all, lines that were written late, events that were sent twice and
//! events from a clock that was never set.
//!
//! Invariants: the same number of lines, days and seed give the same bytes on every machine (integers only, no
//! clock); memory grows with the visits under way, not with the lines, so that a file of any size can be made.
//!
//! Deliberately not here: disk. The caller brings the sink.

mod app;
mod dice;
mod late;
mod shop;
mod web;

use std::io::{self, Write};

/// Lines of the bundled `access.log`; `events.ndjson` has half as many.
pub const SAMPLE_LINES: u64 = 3_000;

/// What to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Lines of the access log. The event file gets half as many.
    pub lines: u64,
    /// Days that the visits are spread over.
    pub days: u32,
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self { lines: SAMPLE_LINES, days: 7, seed: 1 }
    }
}

/// Writes the access log: `plan.lines` lines in NCSA combined format.
///
/// # Errors
/// The sink refuses.
pub fn access_log(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    web::write(plan, out)
}

/// Writes the app's events: half of `plan.lines` lines of NDJSON.
///
/// # Errors
/// The sink refuses.
pub fn app_events(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    app::write(plan, out)
}

/// The page beside the two files that says what they are.
#[must_use]
pub fn readme(plan: &Plan) -> String {
    format!(
        "# Sample data\n\n\
         Made by `journeyql demo --generate {lines} --days {days} --seed {seed} --out data`; a test holds these files to that \
         command's bytes.\nNo person, host or shop in them exists.\n\n\
         | file | what | lines |\n|---|---|---:|\n\
         | `access.log` | the web site of a small shop, NCSA combined | {lines} |\n\
         | `events.ndjson` | the events of its app, one JSON object a line | {events} |\n\n\
         Both walk the same funnel, `/` → `/product/<n>` → `/cart` → `/checkout` → `/thanks`, with loops, pauses, \
         bounces and returns. The web log\nalso has robots, assets, redirects and errors. About one line in a hundred \
         of each was written late, so the files are not quite in\norder; a few lines are malformed on purpose; some \
         events were sent twice under one `event_id`, and some come from a clock\nthat was never set. None of that \
         may get lost: `journeyql status` accounts for every line.\n",
        lines = plan.lines,
        days = plan.days,
        seed = plan.seed,
        events = plan.lines / 2,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(plan: &Plan) -> (String, String) {
        let (mut web, mut app) = (Vec::new(), Vec::new());
        access_log(plan, &mut web).unwrap();
        app_events(plan, &mut app).unwrap();
        (String::from_utf8(web).unwrap(), String::from_utf8(app).unwrap())
    }

    #[test]
    fn the_same_plan_gives_the_same_bytes_and_another_seed_does_not() {
        let plan = Plan::default();
        assert_eq!(both(&plan), both(&plan));
        assert_ne!(both(&plan), both(&Plan { seed: 2, ..plan }));
    }

    #[test]
    fn files_have_as_many_lines_as_asked_for() {
        for lines in [0, 1, 2, 7, 3_000] {
            let (web, app) = both(&Plan { lines, ..Plan::default() });
            assert_eq!(web.lines().count() as u64, lines);
            assert_eq!(app.lines().count() as u64, lines / 2);
        }
    }

    #[test]
    fn everything_that_is_promised_is_there() {
        // Long enough that the rarest kind of broken line is met.
        let (web, app) = both(&Plan { lines: 20_000, ..Plan::default() });
        for wanted in
            ["/checkout", "/thanks", "/search?q=", "bot", ".css", " 302 ", " 404 ", " 500 ", "\\x16\\x03", "2001:db8:"]
        {
            assert!(web.contains(wanted), "access.log has no {wanted}");
        }
        for wanted in ["\"purchase\"", "\"add_to_cart\"", "\"anonymous_id\"", "\"1970-01-01", "/thanks"] {
            assert!(app.contains(wanted), "events.ndjson has no {wanted}");
        }
        let ids: Vec<&str> =
            app.lines().filter_map(|line| line.split("\"event_id\":\"").nth(1)?.split('"').next()).collect();
        let distinct: std::collections::HashSet<&&str> = ids.iter().collect();
        assert!(distinct.len() < ids.len(), "no event was sent twice");
    }

    #[test]
    fn the_committed_sample_is_what_the_generator_writes() {
        let plan = Plan::default();
        let (web, app) = both(&plan);
        let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
        let read = |name: &str| std::fs::read_to_string(data.join(name)).unwrap();
        let again = "run: journeyql demo --generate 3000 --out data";
        assert!(read("access.log") == web, "data/access.log differs – {again}");
        assert!(read("events.ndjson") == app, "data/events.ndjson differs – {again}");
        assert!(read("README.md") == readme(&plan), "data/README.md differs – {again}");
        assert!(web.len() + app.len() <= 1 << 20, "the sample is above 1 MB");
    }
}
