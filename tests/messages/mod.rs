//! What is refused, and how: every kind of wrong argument of every function that can have it. The error names the
//! function and the argument, is the asker's fault (exit code 2), and speaks of types as people do.

mod cases;

use journeyql::database::{Database, Fault};

use crate::functions::sample;
use crate::stage::wait;
use cases::{PLACES, TYPES};

/// The refusals of calls, each with what it must say.
fn hold(database: &Database, cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (sql, expected) in cases {
        let sql = match sql.split('(').next() {
            Some(name) if !sql.to_uppercase().starts_with("SELECT") && name.len() < sql.len() => {
                format!("SELECT * FROM {sql}")
            }
            _ => (*sql).to_owned(),
        };
        let answer = wait(async { database.session().query(&sql).await?.collect().await });
        match answer {
            Ok(_) => wrong.push(format!("{sql}\n  is answered")),
            Err(error) => {
                let said = error.to_string();
                let raw =
                    ["Utf8", "Int64", "Dictionary", "Error during", "xecution error", "No function matches", "nternal"];
                if !said.contains(expected) || error.fault() != Fault::Usage || raw.iter().any(|raw| said.contains(raw))
                {
                    wrong.push(format!("{sql}\n  says     {said}\n  expected {expected} ({:?})", error.fault()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// DataFusion would drop it in silence, in whatever place it stands.
#[test]
fn a_subquery_is_refused_in_every_argument() {
    let (_dir, database) = sample();
    let calls: Vec<(String, String)> = PLACES
        .iter()
        .map(|(call, what)| {
            (call.replace('$', "(SELECT min(page) FROM events)"), format!("{what}: a subquery cannot stand here"))
        })
        .collect();
    hold(&database, &calls.iter().map(|(call, what)| (call.as_str(), what.as_str())).collect::<Vec<_>>());
    let rows = "(SELECT count(*) FROM sessions)";
    let word = "(SELECT min(page) FROM events)";
    let calls = [
        (format!("SELECT window_funnel({rows}, ts, page = '/') FROM events"), "window_funnel: argument 1 (window)"),
        (format!("SELECT window_funnel(5, {word}, ts, page = '/') FROM events"), "window_funnel: argument 2 (mode)"),
        (
            format!("SELECT window_funnel_events({rows} + 1, ts, page = '/') FROM events"),
            "window_funnel_events: argument 1",
        ),
        (format!("SELECT sequence_match({word}, ts, page = '/') FROM events"), "sequence_match: argument 1 (pattern)"),
        (format!("SELECT sequence_count({word}, ts, page = '/') FROM events"), "sequence_count: argument 1 (pattern)"),
        (
            format!("SELECT sequence_next_node({word}, 'head', ts, page, NULL, page = '/') FROM events"),
            "sequence_next_node: argument 1 (direction)",
        ),
        (format!("SELECT path_agg(page, ts, {word}) FROM events"), "path_agg: argument 3"),
        (
            format!("SELECT sessionize(ts, {rows}) OVER (PARTITION BY user_id) FROM events"),
            "sessionize: argument 2 (gap)",
        ),
        (
            "SELECT window_funnel(5, ts, page IN (SELECT page FROM steps)) FROM events".to_owned(),
            "IN (SELECT …) and EXISTS cannot stand inside an argument of a function",
        ),
        (
            "SELECT retention(EXISTS (SELECT 1 FROM events e WHERE e.page = s.page)) FROM steps s".to_owned(),
            "IN (SELECT …) and EXISTS cannot stand inside an argument of a function",
        ),
    ];
    hold(&database, &calls.iter().map(|(call, what)| (call.as_str(), *what)).collect::<Vec<_>>());
}

#[test]
fn an_argument_of_another_type_is_named() {
    let (_dir, database) = sample();
    hold(&database, TYPES);
}

#[test]
fn months_and_negative_lengths_are_named() {
    let (_dir, database) = sample();
    let mut cases = Vec::new();
    for (value, why) in [
        ("INTERVAL '1 month'", "months and years have no fixed length"),
        ("INTERVAL '-1 day'", "a negative length of time has no meaning"),
        ("-5", "a negative length of time has no meaning"),
    ] {
        for (call, what) in [
            ("funnel('/', '/cart', window => $)", "funnel: option 'window'"),
            ("funnel('/', '/cart', step_windows => [$])", "funnel: option 'step_windows'"),
            ("funnel_users('/', '/cart', window => $)", "funnel_users: option 'window'"),
            ("funnel_trend('/', '/cart', window => $)", "funnel_trend: option 'window'"),
            ("explain_funnel('u', '/', window => $)", "explain_funnel: option 'window'"),
            ("ttc_histogram('/', '/cart', bucket => $)", "ttc_histogram: option 'bucket'"),
            ("timeout_sweep($, 10)", "timeout_sweep: argument 1 (min)"),
            ("timeout_sweep(1, $)", "timeout_sweep: argument 2 (max)"),
            ("timeout_sweep(1, 10, $)", "timeout_sweep: argument 3 (step)"),
            ("SELECT window_funnel($, ts, page = '/') FROM events", "window_funnel: argument 1 (window)"),
            ("SELECT window_funnel_events($, ts, page = '/') FROM events", "window_funnel_events: argument 1 (window)"),
            ("SELECT sessionize(ts, $) OVER () FROM events", "sessionize: argument 2 (gap)"),
        ] {
            cases.push((call.replace('$', value), format!("{what}: {why}")));
        }
    }
    hold(&database, &cases.iter().map(|(call, what)| (call.as_str(), what.as_str())).collect::<Vec<_>>());
}

#[test]
fn unknown_words_are_named_with_those_there_are() {
    let (_dir, database) = sample();
    hold(
        &database,
        &[
            (
                "funnel('/', '/cart', mode => 'strict_ordr')",
                "funnel: option 'mode': unknown mode 'strict_ordr' – did you mean 'strict_order'?",
            ),
            ("funnel('/', '/cart', mode => 5)", "funnel: option 'mode': unknown mode '5'"),
            (
                "funnel('/', '/cart', unit => 'usr')",
                "funnel: option 'unit' is 'user', 'session' or 'attempt', not 'usr' – did you mean 'user'?",
            ),
            ("funnel('/', '/cart', ttc => 'x')", "funnel: option 'ttc' is 'previous' or 'entry', not 'x'"),
            ("funnel('/', '/cart', entry => 5)", "funnel: option 'entry' is 'any' or 'first', not 5"),
            ("funnel('/', '/cart', ties => 'x')", "funnel: option 'ties' is 'order' or 'any', not 'x'"),
            (
                "funnel('/', '/cart', breakdown => page, attribution => 'x')",
                "funnel: option 'attribution' is 'first_touch'",
            ),
            ("funnel('/', '/cart', windw => 5)", "funnel: unknown option 'windw' – did you mean 'window'?"),
            ("funnel('/', '/cart', segment => 'nobody')", "funnel: option 'segment': no segment 'nobody'"),
            ("paths_from('/', segment => 'nobody')", "paths_from: option 'segment': no segment 'nobody'"),
            ("follows(segment => 'nobody')", "follows: option 'segment': no segment 'nobody'"),
            (
                "funnel_trend('/', '/cart', period => 'dya')",
                "funnel_trend: option 'period' is 'day', 'week' or 'month', not 'dya' – did you mean 'day'?",
            ),
            ("lifecycle(period => 'x')", "lifecycle: option 'period' is 'day', 'week' or 'month', not 'x'"),
            ("stickiness(period => 'day')", "stickiness: option 'period' is 'week' or 'month', not 'day'"),
            (
                "retention_cohorts(period => 'x')",
                "retention_cohorts: option 'period' is 'day', 'week' or 'month', not 'x'",
            ),
            ("retention_cohorts(count => 'x')", "retention_cohorts: option 'count' is 'on' or 'on_or_after', not 'x'"),
            (
                "retention_cohorts(cohort => 'x')",
                "retention_cohorts: option 'cohort' is 'first_time' or 'recurring', not 'x'",
            ),
            ("predict_next('/', rows => 2)", "predict_next: unknown option 'rows'"),
            ("replay('u', lst => 2)", "replay: unknown option 'lst' – did you mean 'last'?"),
            ("timeout_sweep(mn => 2)", "timeout_sweep: unknown option 'mn'"),
            (
                "diff_transitions(true, sgment => 'x')",
                "diff_transitions: unknown option 'sgment' – did you mean 'segment'?",
            ),
            (
                "SELECT window_funnel(5, 'strct_order', ts, page = '/') FROM events",
                "window_funnel: argument 2 (mode): unknown mode 'strct_order' – did you mean 'strict_order'?",
            ),
            ("SELECT sequence_match('(?3)', ts, page = '/') FROM events", "sequence_match: argument 1 (pattern): (?3)"),
            (
                "SELECT sequence_next_node('forwrd', 'head', ts, page, NULL, true) FROM events",
                "sequence_next_node: argument 1 (direction) is unknown: 'forwrd' – did you mean 'forward'?",
            ),
            (
                "SELECT sequence_next_node('forward', 'x', ts, page, NULL, true) FROM events",
                "sequence_next_node: argument 2 (base) is unknown: 'x' – it is 'head', 'tail', 'first_match' or 'last_match'",
            ),
            ("SELECT path_agg(page, ts, 'repeat') FROM events", "path_agg: argument 3: unknown option 'repeat'"),
            ("SELECT path_match('a -> []', pages) FROM journeys", "path_match: argument 1 (pattern): [] names no step"),
            ("path_match('[^]')", "path_match: argument 1 (pattern): [^] leaves out no step"),
            (
                "SELECT setting('sesion_gap')",
                "setting: argument 1 (name): no setting journeyql.sesion_gap – did you mean",
            ),
            ("SET journeyql.segment = 'nobody'", "no segment 'nobody'"),
        ],
    );
}

#[test]
fn too_many_and_too_few_arguments_are_counted() {
    let (_dir, database) = sample();
    let many = |item: &str| vec![item; 65].join(", ");
    let (labels, conditions) = (many("'/'"), many("true"));
    let cases = [
        (format!("funnel({labels})"), "funnel: 65 steps – a funnel has at most 64"),
        (format!("funnel_users({labels})"), "funnel_users: 65 steps"),
        (format!("explain_funnel('u', {labels})"), "explain_funnel: 65 steps"),
        (format!("funnel('/', exclude => [{labels}])"), "funnel: steps and excluded events together are at most 64"),
        (format!("predict_next([{labels}])"), "predict_next takes a step, or a list of at most 64 steps"),
        (
            format!("SELECT window_funnel(5, ts, {conditions}) FROM events"),
            "window_funnel: 65 conditions – at most 64 are possible",
        ),
        (
            format!("SELECT sequence_match('(?1)', ts, {conditions}) FROM events"),
            "sequence_match: 65 conditions – at most 64 are possible",
        ),
        (
            format!("SELECT sequence_next_node('forward', 'head', ts, page, NULL, {conditions}) FROM events"),
            "sequence_next_node: 65 conditions – at most 63",
        ),
        (format!("SELECT retention({conditions}) FROM events"), "retention: 65 conditions – at most 64 are possible"),
        ("funnel()".to_owned(), "funnel: a funnel needs at least one step"),
        ("explain_funnel()".to_owned(), "explain_funnel: the person is missing"),
        ("ttc_histogram('/')".to_owned(), "ttc_histogram needs at least two steps"),
        ("paths_from()".to_owned(), "paths_from takes other arguments – write paths_from('/cart', 3)"),
        ("paths_between('/')".to_owned(), "paths_between takes other arguments"),
        ("path_ngrams(2, 3)".to_owned(), "path_ngrams takes other arguments"),
        ("path_match()".to_owned(), "path_match takes other arguments"),
        ("predict_next()".to_owned(), "predict_next takes a step"),
        ("replay()".to_owned(), "replay takes one person"),
        ("timeout_sweep(5)".to_owned(), "timeout_sweep takes min, max and step"),
        (
            "retention_cohorts('/', '/', '/')".to_owned(),
            "retention_cohorts takes a start and a return condition, not 3",
        ),
        ("lifecycle('/', '/')".to_owned(), "lifecycle takes one condition, not 2"),
        ("stickiness('/', '/')".to_owned(), "stickiness takes one condition, not 2"),
        ("diff_transitions()".to_owned(), "diff_transitions takes one or two segments"),
        (
            "SELECT window_funnel() FROM events".to_owned(),
            "window_funnel needs a window, a time stamp and at least one condition",
        ),
        (
            "SELECT window_funnel(5, ts) FROM events".to_owned(),
            "window_funnel: the conditions are missing – write window_funnel(window, ts, c1, …)",
        ),
        ("SELECT sequence_match('x') FROM events".to_owned(), "sequence_match: the time stamp is missing"),
        (
            "SELECT sequence_next_node('forward') FROM events".to_owned(),
            "sequence_next_node: write sequence_next_node(",
        ),
        (
            "SELECT retention() FROM events".to_owned(),
            "retention: the conditions are missing – write retention(c1, c2, …)",
        ),
        ("SELECT path_agg(page) FROM events".to_owned(), "path_agg needs a label and a time stamp"),
        ("SELECT path_match('a') FROM journeys".to_owned(), "path_match takes a pattern and a path"),
        ("SELECT sessionize(ts) OVER () FROM events".to_owned(), "sessionize takes a time stamp and a gap"),
        ("SELECT setting()".to_owned(), "'setting' does not support zero arguments"),
        (
            "SELECT sessionize(ts, 5) FROM events".to_owned(),
            "it is a window function: write SELECT sessionize(ts, gap) OVER",
        ),
        ("SELECT funnel('/')".to_owned(), "it is a table function: write SELECT … FROM funnel("),
        ("window_funnel(5)".to_owned(), "it is an aggregate: write SELECT window_funnel("),
    ];
    hold(&database, &cases.iter().map(|(call, what)| (call.as_str(), *what)).collect::<Vec<_>>());
}

/// An answer without rows is no answer about people who did nothing.
#[test]
fn a_step_that_no_event_has_is_a_warning() {
    let (_dir, database) = sample();
    for (sql, expected) in [
        ("funnel('/', '/crat')", Some("funnel: no event meets '/crat' – did you mean '/cart'?")),
        ("funnel_users('/crat')", Some("funnel_users: no event meets '/crat' – did you mean '/cart'?")),
        ("funnel_trend('/crat')", Some("funnel_trend: no event meets '/crat' – did you mean '/cart'?")),
        ("ttc_histogram('/', '/crat')", Some("ttc_histogram: no event meets '/crat' – did you mean '/cart'?")),
        ("paths_from('/crat', 2)", Some("paths_from: no event meets '/crat' – did you mean '/cart'?")),
        ("paths_to('/crat')", Some("paths_to: no event meets '/crat' – did you mean '/cart'?")),
        ("paths_between('/', '/crat')", Some("paths_between: no event meets '/crat' – did you mean '/cart'?")),
        ("paths_instead('/crat', '/')", Some("paths_instead: no event meets '/crat' – did you mean '/cart'?")),
        ("path_match('/ -> /crat')", Some("path_match: no event meets '/crat' – did you mean '/cart'?")),
        ("predict_next('/crat')", Some("predict_next: no event meets '/crat' – did you mean '/cart'?")),
        (
            "predict_next(['START', 'nothing like it at all'])",
            Some("predict_next: no event meets 'nothing like it at all'"),
        ),
        ("retention_cohorts('/crat')", Some("retention_cohorts: no event meets '/crat' – did you mean '/cart'?")),
        ("lifecycle('/crat')", Some("lifecycle: no event meets '/crat' – did you mean '/cart'?")),
        ("stickiness('/crat')", Some("stickiness: no event meets '/crat' – did you mean '/cart'?")),
        ("paths_from('/cart', 2)", None),
        ("path_match('/cart -> .* -> /checkout')", None),
        ("predict_next(['START', '/'])", None),
        ("lifecycle('/cart')", None),
        ("explain_funnel('u00010', '/crat')", None),
    ] {
        let notices = wait(async {
            let mut answer = database.session().query(&format!("SELECT * FROM {sql}")).await.unwrap();
            while answer.next().await.is_some() {}
            answer.notices()
        });
        assert_eq!(notices, expected.map(str::to_owned).into_iter().collect::<Vec<_>>(), "{sql}");
    }
}
