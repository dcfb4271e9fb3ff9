//! The panels there are. A `$name` in a text is the value of that parameter, spelled by its kind.

use super::parameter::{Kind, Parameter};
use super::{Panel, Shape};

/// Rows at most.
const MOST_ROWS: u32 = 10_000;
/// Columns of `steps` whose values part people or sessions.
const BREAKDOWNS: &[&str] =
    &["event", "method", "page", "referrer", "source_session_id", "status", "step", "user_agent"];

const fn filter(name: &'static str, kind: Kind, setting: &'static str, what: &'static str) -> Parameter {
    Parameter { name, kind, default: None, required: false, what, setting: Some(setting) }
}

const fn option(name: &'static str, kind: Kind, default: Option<&'static str>, what: &'static str) -> Parameter {
    Parameter { name, kind, default, required: false, what, setting: None }
}

const fn required(name: &'static str, kind: Kind, what: &'static str) -> Parameter {
    Parameter { name, kind, default: None, required: true, what, setting: None }
}

const fn top(default: &'static str) -> Parameter {
    option("top", Kind::Count(MOST_ROWS), Some(default), "so many rows at most")
}

/// Who and when: what every journey is taken from.
const FILTERS: &[Parameter] = &[
    filter("from", Kind::Moment, "from", "sessions that begin at this day or time or later"),
    filter("to", Kind::Moment, "to", "sessions that begin before this day or time"),
    filter("segment", Kind::Segment, "segment", "only people of this saved group"),
    filter("user", Kind::Text, "user", "only this person"),
    filter("with_step", Kind::Text, "with_step", "only sessions that have this step"),
    filter("gap", Kind::Length, "session_gap", "the idle time after which a session ends"),
];
const TOP_100: &[Parameter] = &[top("100")];
const TOP_1000: &[Parameter] = &[top("1000")];
const TOP_ALL: &[Parameter] = &[top("10000")];
const FLOWS: &[Parameter] = &[
    Parameter {
        setting: Some("max_steps"),
        ..option("positions", Kind::Count(50), Some("6"), "so many steps of every session")
    },
    Parameter {
        setting: Some("top_n"),
        ..option("nodes", Kind::Count(100), Some("8"), "so many steps of a position, the rest is Other")
    },
];
const FUNNEL: &[Parameter] = &[
    required("step", Kind::Labels, "a step, in order, given several times; steps=/a,/b is short for it"),
    option("window", Kind::Length, Some("7 days"), "the longest time from the first step to the last"),
    option("unit", Kind::Choice(&["user", "session", "attempt"]), Some("user"), "what is counted"),
    option("breakdown", Kind::Column(BREAKDOWNS), None, "a column whose values part the funnel"),
];
const RETENTION: &[Parameter] = &[
    option("period", Kind::Choice(&["day", "week", "month"]), Some("week"), "how long a period is"),
    option("n", Kind::Count(366), Some("8"), "so many periods, the first one included"),
];
const REPLAY: &[Parameter] = &[
    required("id", Kind::Text, "the person"),
    option("last", Kind::Count(1_000), Some("5"), "so many of the latest sessions"),
];
const VIEW: &[Parameter] = &[required("name", Kind::Relation, "the table or view")];

const fn rows(
    path: &'static str,
    what: &'static str,
    groups: &'static [&'static [Parameter]],
    text: &'static str,
) -> Panel {
    Panel { path, what, shape: Shape::Rows, groups, text }
}

/// Every panel, in the order of the page.
pub(super) const PANELS: &[Panel] = &[
    Panel { shape: Shape::Stats, ..rows("/api/stats", "The whole in one row", &[FILTERS], "SELECT * FROM stats") },
    Panel {
        shape: Shape::Flows,
        ..rows("/api/flows", "The first steps of all sessions as a river", &[FILTERS, FLOWS], "SELECT * FROM flows")
    },
    rows("/api/paths", "Whole sessions as paths", &[FILTERS, TOP_100], "SELECT * FROM top_paths LIMIT $top"),
    rows("/api/dropoffs", "Where people leave", &[FILTERS, TOP_1000], "SELECT * FROM drop_offs LIMIT $top"),
    rows("/api/dwell", "How long people stay", &[FILTERS, TOP_1000], "SELECT * FROM dwell LIMIT $top"),
    rows("/api/transitions", "How people move", &[FILTERS, TOP_1000], "SELECT * FROM transitions LIMIT $top"),
    rows("/api/daily", "Sessions by the day they began", &[FILTERS, TOP_ALL], "SELECT * FROM daily LIMIT $top"),
    rows(
        "/api/steps",
        "What steps are called, the most seen first",
        &[FILTERS, TOP_1000],
        "SELECT page, sessions FROM drop_offs ORDER BY sessions DESC, page LIMIT $top",
    ),
    rows(
        "/api/funnel",
        "How many come how far through a series of steps",
        &[FILTERS, FUNNEL],
        "SELECT * FROM funnel($step, window => $window, unit => $unit$breakdown)",
    ),
    rows(
        "/api/retention",
        "Who comes back when",
        &[FILTERS, RETENTION],
        "SELECT * FROM retention_cohorts(period => $period, periods => $n)",
    ),
    rows("/api/goals", "Who reaches the goals", &[FILTERS, TOP_1000], "SELECT * FROM journey_completion LIMIT $top"),
    rows(
        "/api/goals/time",
        "How long it takes to reach the goals",
        &[FILTERS, TOP_1000],
        "SELECT * FROM time_to_conversion LIMIT $top",
    ),
    rows(
        "/api/goals/velocity",
        "How fast people go towards the goals",
        &[FILTERS, TOP_1000],
        "SELECT * FROM journey_velocity LIMIT $top",
    ),
    rows(
        "/api/journeys",
        "Sessions with their paths, the latest first",
        &[FILTERS, TOP_100],
        "SELECT * FROM journeys ORDER BY started_at DESC, session_id LIMIT $top",
    ),
    rows(
        "/api/user/{id}/replay",
        "What a person did in the latest sessions",
        &[FILTERS, REPLAY],
        "SELECT * FROM replay($id, last => $last)",
    ),
    rows("/api/segments", "The saved groups of people", &[TOP_1000], "SELECT * FROM segments ORDER BY name LIMIT $top"),
    rows("/api/invariants", "The laws that all figures keep", &[FILTERS], "SELECT * FROM invariants"),
    rows("/api/sources", "Every input and where its lines went", &[TOP_1000], "SELECT * FROM sources LIMIT $top"),
    rows("/api/views/{name}", "Any table or view", &[FILTERS, VIEW, TOP_1000], "SELECT * FROM $name LIMIT $top"),
];
