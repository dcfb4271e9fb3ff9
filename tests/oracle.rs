//! Real logs against the answers of two other engines: every figure must be equal.
//!
//! The logs and the answers lie outside the repository (`$JOURNEYQL_SHARED`, else `../shared`); without them the
//! test says that it was not run.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// One log under one configuration, and the variant of the oracle that it must equal.
struct Case {
    log: &'static str,
    oracle: &'static str,
    variant: &'static str,
    config: &'static str,
}

const ACCESS: &str = "[identity]\nvisitor = \"ip\"\n";

const CASES: &[(&str, &str, &str, &str)] = &[
    (
        "all_raw",
        "[pages]\nids = false\nnormalize = false\n",
        "[steps]\nbots = true\nredirects = true\nassets = true\n",
        "",
    ),
    ("all_norm", "[pages]\nids = false\n", "[steps]\nbots = true\nredirects = true\nassets = true\n", ""),
    (
        "pages_norm",
        "[pages]\nids = false\n",
        "[steps]\nbots = true\nredirects = true\nmethods = [\"GET\"]\nwhere = \"status BETWEEN 200 AND 399\"\n",
        "assets = [\"gif\", \"jpg\", \"jpeg\", \"png\", \"ico\", \"bmp\", \"xbm\", \"svg\", \"webp\", \"css\", \"js\", \"woff\", \
         \"woff2\", \"ttf\", \"eot\", \"otf\", \"map\", \"swf\", \"mp3\", \"mp4\", \"mpg\", \"mpeg\", \"avi\", \"wav\"]\n",
    ),
];

fn shared() -> Option<PathBuf> {
    let fallback = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let dir = std::env::var_os("JOURNEYQL_SHARED").map_or_else(fallback, PathBuf::from);
    dir.join("oracle").is_dir().then_some(dir)
}

/// A store with one log in it, asked through the real binary.
struct Run {
    dir: tempfile::TempDir,
}

impl Run {
    fn ingest(log: &Path, config: &str) -> (Self, Value) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("rules.toml"), config).unwrap();
        let run = Self { dir };
        let report = run.json(&["ingest", log.to_str().unwrap(), "--json"]);
        (run, report)
    }

    fn json(&self, args: &[&str]) -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_journeyql"))
            .current_dir(self.dir.path())
            .args(["--store", "store", "--config", "rules.toml", "--quiet"])
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn rows(&self, sql: &str) -> Vec<Value> {
        self.json(&["sql", sql, "--format", "json"]).as_array().unwrap().clone()
    }

    fn one(&self, sql: &str) -> Value {
        self.rows(sql)[0].clone()
    }
}

/// Equal, numbers to nine digits as the oracle rounds them.
fn assert_same(what: &str, ours: &Value, theirs: &Value) {
    let same = match (ours.as_f64(), theirs.as_f64()) {
        (Some(ours), Some(theirs)) => (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0),
        _ => ours == theirs,
    };
    assert!(same, "{what}: {ours} here, {theirs} in the oracle");
}

/// Every row and key of the oracle's list, in its order.
fn assert_rows(what: &str, ours: &[Value], theirs: &Value) {
    let theirs = theirs.as_array().unwrap();
    assert_eq!(ours.len(), theirs.len(), "{what}: number of rows\n{ours:?}\n{theirs:?}");
    for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        for (key, value) in theirs.as_object().unwrap() {
            if let Some(mine) = ours.get(key) {
                assert_same(&format!("{what}[{at}].{key} of {ours}"), mine, value);
            }
        }
    }
}

fn check_counts(what: &str, run: &Run, counts: &Value) {
    let ours = run.one(
        "SELECT count(*) AS sessions, sum(events) AS events, count(DISTINCT user_id) AS users,
                sum(CAST(events = 1 AS BIGINT)) AS bounce_single_event, sum(CAST(is_bounce AS BIGINT)) AS bounce_single_page,
                sum(depth) AS steps, max(events) AS max_events_in_session, median(duration_s) AS median_session_seconds,
                sum(duration_s) AS total_session_seconds FROM sessions",
    );
    for (key, value) in ours.as_object().unwrap() {
        assert_same(&format!("{what} counts.{key}"), value, &counts[key]);
    }
    let ours = run.one(
        "SELECT (SELECT count(DISTINCT step) FROM steps) AS distinct_pages,
                sum(transitions) AS transitions, count(*) AS distinct_transitions
         FROM transitions WHERE from_step <> 'START' AND to_step <> 'EXIT'",
    );
    for (key, value) in ours.as_object().unwrap() {
        assert_same(&format!("{what} counts.{key}"), value, &counts[key]);
    }
}

fn check_reports(what: &str, run: &Run, variant: &Value) {
    let top = "SELECT from_step AS a, to_step AS b, transitions AS n FROM transitions
               WHERE from_step <> 'START' AND to_step <> 'EXIT' ORDER BY n DESC, a, b LIMIT 10";
    assert_rows(&format!("{what} top_transitions"), &run.rows(top), &variant["top_transitions"]);
    let uncollapsed = format!("SET journeyql.collapse = false; {top}");
    assert_rows(
        &format!("{what} top_transitions_uncollapsed"),
        &run.rows(&uncollapsed),
        &variant["top_transitions_uncollapsed"],
    );
    let paths = "SELECT array_to_string(pages, ' > ') AS path, count(*) AS n FROM journeys GROUP BY 1 ORDER BY n DESC, 1 LIMIT 10";
    assert_rows(&format!("{what} top_paths"), &run.rows(paths), &variant["top_paths"]);
    let drop_offs =
        "SELECT page, views, exits, entries, bounces, round(exit_rate_views, 9) AS dropoff_rate FROM drop_offs
                     ORDER BY views DESC, page LIMIT 10";
    assert_rows(&format!("{what} dropoff"), &run.rows(drop_offs), &variant["dropoff"]);
    let dwell = "SELECT d.page, n, median_s, n * mean_s AS sum_s FROM dwell d
                 JOIN (SELECT page FROM drop_offs ORDER BY views DESC, page LIMIT 10) t ON t.page = d.page
                 WHERE n > 0 ORDER BY n DESC, d.page";
    assert_rows(&format!("{what} dwell"), &run.rows(dwell), &variant["dwell"]);
    let days = "SET journeyql.collapse = false;
                SELECT CAST(CAST(ts AS DATE) AS VARCHAR) AS day, count(*) AS events, count(DISTINCT user_id) AS users
                FROM steps GROUP BY 1 ORDER BY 1";
    assert_rows(&format!("{what} per_utc_day"), &run.rows(days), &variant["per_utc_day"]);
}

fn quoted(steps: &Value) -> Vec<String> {
    steps.as_array().unwrap().iter().map(|step| format!("'{}'", step.as_str().unwrap().replace('\'', "''"))).collect()
}

fn check_funnels(what: &str, run: &Run, variant: &Value) {
    for funnel in variant["funnels"].as_array().unwrap() {
        let steps = quoted(&funnel["steps"]).join(", ");
        let rows = run.rows(&format!("SELECT step_no, units FROM funnel({steps}, unit => 'session') ORDER BY step_no"));
        for (row, reached) in rows.iter().zip(["reached_1", "reached_2", "reached_3"]) {
            assert_same(&format!("{what} funnel {steps} {reached}"), &row["units"], &funnel[reached]);
        }
        assert_eq!(rows.len(), 3);
    }
    let none = Vec::new();
    for funnel in variant.get("window_funnel_users").and_then(Value::as_array).unwrap_or(&none) {
        let window = &funnel["window_s"];
        let conditions: Vec<String> =
            quoted(&funnel["steps"]).iter().map(|step| format!("coalesce(page, event) = {step}")).collect();
        for mode in ["default", "strict_once"] {
            let modes = if mode == "default" { String::new() } else { format!("'{mode}', ") };
            let sql = format!(
                "WITH levels AS (SELECT user_id, window_funnel(INTERVAL '{window} seconds', {modes}ts, {}) AS level
                                 FROM events WHERE is_step GROUP BY user_id)
                 SELECT sum(CAST(level >= 1 AS BIGINT)) AS a, sum(CAST(level >= 2 AS BIGINT)) AS b,
                        sum(CAST(level >= 3 AS BIGINT)) AS c FROM levels",
                conditions.join(", ")
            );
            let ours = run.one(&sql);
            assert_eq!(
                json!([ours["a"], ours["b"], ours["c"]]),
                funnel[mode],
                "{what} window_funnel {mode} {conditions:?}"
            );
        }
    }
}

/// What is told of held-out sessions by nothing, by the last step, and by the last two.
fn check_predictions(what: &str, run: &Run, variant: &Value) {
    let ours = run.rows("SELECT * FROM markov_accuracy(orders => 2)");
    let theirs = &variant["markov"];
    for (order, column, key) in [
        (1, "train_sessions", "train_sessions"),
        (1, "test_sessions", "test_sessions"),
        (1, "steps", "test_transitions"),
        (1, "known", "state_seen"),
        (0, "hits_1", "global_most_popular_top1_hits"),
        (1, "hits_1", "order1_top1_hits"),
        (1, "hits_3", "order1_top3_hits"),
        (2, "hits_1", "order2_backoff_top1_hits"),
        (2, "hits_3", "order2_backoff_top3_hits"),
    ] {
        assert_same(&format!("{what} markov {key}"), &ours[order][column], &theirs[key]);
    }
}

fn check(shared: &Path, case: &Case) {
    let oracle = std::fs::read(shared.join("oracle").join(case.oracle)).unwrap();
    let oracle: Value = serde_json::from_slice(&oracle).unwrap();
    let (run, report) = Run::ingest(&shared.join("data").join(case.log), case.config);
    let what = format!("{} {}", case.oracle, case.variant);
    if let Some(parse) = oracle.get("parse") {
        let source = &report["sources"][0];
        assert_same(&format!("{what} lines"), &source["lines"], &parse["lines"]);
        assert_same(&format!("{what} malformed"), &source["quarantined"], &parse["malformed"]);
        let ours = run.one(
            "SELECT count(*) AS parseable, count(DISTINCT ip) AS distinct_hosts, sum(bytes) AS bytes_sum FROM events",
        );
        for key in ["parseable", "distinct_hosts", "bytes_sum"] {
            assert_same(&format!("{what} parse.{key}"), &ours[key], &parse[key]);
        }
    }
    let variant = &oracle["variants"][case.variant];
    check_counts(&what, &run, &variant["counts"]);
    check_reports(&what, &run, variant);
    check_funnels(&what, &run, variant);
    check_predictions(&what, &run, variant);
    let broken = run.rows("SELECT * FROM invariants WHERE NOT ok");
    assert!(broken.is_empty(), "{what}: broken invariants {broken:?}");
}

fn run_cases(log: &'static str, oracle: &'static str, configs: &[(&'static str, String)]) {
    let Some(shared) = shared() else {
        println!("not run: no ../shared with logs and answers, see $JOURNEYQL_SHARED");
        return;
    };
    for (variant, config) in configs {
        check(&shared, &Case { log, oracle, variant, config: config.clone().leak() });
    }
}

fn access_configs() -> Vec<(&'static str, String)> {
    CASES.iter().map(|(variant, pages, steps, assets)| (*variant, format!("{ACCESS}{pages}{steps}{assets}"))).collect()
}

#[test]
fn a_small_access_log_gives_the_oracles_answers() {
    run_cases("access/hackers_combined.log.gz", "hackers_combined.json", &access_configs());
}

#[test]
fn a_real_access_log_gives_the_oracles_answers() {
    run_cases("access/semicomplete_combined_10k.log.gz", "semicomplete_combined_10k.json", &access_configs());
}

#[test]
fn wikipedia_edits_give_the_oracles_answers() {
    let config = |page: &str| {
        format!("[fields]\nuser_id = \"user\"\nts = \"time\"\npage = \"{page}\"\n[pages]\nnormalize = false\n")
    };
    let configs = [("page=page", config("page")), ("page=namespace", config("namespace"))];
    run_cases("events/wikiticker_2015-09-12.json.gz", "wikiticker.json", &configs);
}

#[test]
fn a_shops_events_give_the_oracles_answers() {
    run_cases(
        "events/retentioneering_ecom_SYNTHETIC.csv.gz",
        "retentioneering_ecom.json",
        &[("events", String::new())],
    );
}
