//! The options of the funnel, and the functions around it, over events on disk.

use proptest::prelude::*;

use super::super::fixture::{Events, Hit, run, stage};
use crate::engine::settings::Settings;
use crate::time::{HOUR, SECOND};

const MINUTE: i64 = 60 * SECOND;

fn at(minutes: i64) -> i64 {
    20_000 * 24 * HOUR + minutes * MINUTE
}

/// One person's pages, a minute apart; a blank is a minute without one.
fn visits(user: &str, pages: &str) -> Vec<Hit> {
    let hit = |(minute, page): (i64, char)| Hit::page(user, at(minute), &page.to_string());
    (0..).zip(pages.chars()).filter(|(_, page)| *page != ' ').map(hit).collect()
}

fn rows(hits: &[Hit], settings: &Settings, sql: &str) -> String {
    let stage = stage(Events::new(hits), settings.clone());
    let table = run(&stage.context, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let lines = table.lines().filter(|line| line.starts_with('|')).skip(1);
    let cells = lines.map(|line| line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>());
    cells.map(|cells| cells.join(" ")).collect::<Vec<_>>().join("; ")
}

fn units(hits: &[Hit], call: &str) -> String {
    rows(hits, &Settings::default(), &format!("SELECT units FROM {call}"))
}

#[test]
fn a_window_for_each_step() {
    let hits = [visits("u", "A   B C"), visits("v", "AB    C")].concat();
    assert_eq!(units(&hits, "funnel('A', 'B', 'C', step_windows => '4 minutes')"), "2; 2; 1");
    assert_eq!(units(&hits, "funnel('A', 'B', 'C', step_windows => ['3 minutes', NULL])"), "2; 1; 1");
    assert_eq!(
        units(&hits, "funnel('A', 'B', 'C', step_windows => [INTERVAL '1 day', INTERVAL '2 minutes'])"),
        "2; 2; 1"
    );
    // The later B is the one from which C is near enough, and the later A the one from which that B is.
    let hits = visits("u", "AB A  B  C");
    assert_eq!(units(&hits, "funnel('A', 'B', 'C', step_windows => '3 minutes')"), "1; 1; 1");
}

#[test]
fn an_excluded_event_ends_the_attempt_or_takes_the_unit_out() {
    let hits = [visits("u", "AXB"), visits("v", "AXAB"), visits("w", "ABX"), visits("x", "XAB")].concat();
    assert_eq!(units(&hits, "funnel('A', 'B', exclude => 'X')"), "4; 3");
    assert_eq!(units(&hits, "funnel('A', 'B', exclude => 'X', remove => true)"), "2; 2");
    assert_eq!(units(&hits, "funnel('A', 'B', exclude => ('Y', page = 'X'), window => 60)"), "4; 3");
    // Nobody is taken out by what comes after the window.
    assert_eq!(units(&visits("u", "A   X"), "funnel('A', 'B', exclude => 'X', remove => true, window => 60)"), "1; 0");
}

#[test]
fn any_order_of_a_moment_beside_a_mode_that_looks_between() {
    let hits = [(0, "A"), (1, "C"), (1, "B")].map(|(minute, page)| Hit::page("u", at(minute), page));
    assert_eq!(units(&hits, "funnel('A', 'B', 'C', mode => 'strict_order')"), "1; 0; 0");
    assert_eq!(units(&hits, "funnel('A', 'B', 'C', mode => 'strict_order', ties => 'any')"), "1; 1; 1");
    let hold = "funnel('A', 'B', 'C', mode => 'strict_order', ties => 'any', hold => user_id, breakdown => user_id)";
    assert_eq!(units(&hits, hold), "1; 1; 1");
    let early = [(0, "A"), (1, "B"), (1, "D")].map(|(minute, page)| Hit::page("u", at(minute), page));
    assert_eq!(units(&early, "funnel('A', 'B', 'C', mode => 'strict_order', ties => 'any')"), "1; 1; 0");
    let open = "SELECT in_progress FROM funnel('A', 'B', 'C', mode => 'strict_order', ties => 'any')";
    assert_eq!(rows(&hits[..1], &Settings::default(), open), "0; 1; 1");
    assert_eq!(rows(&early, &Settings::default(), open), "0; 0; 0");
}

#[test]
fn any_order_of_a_moment_beside_step_windows_and_excluded_events() {
    let hits =
        [(0, "A"), (2, "B"), (2, "X"), (2, "A"), (9, "C")].map(|(minute, page)| Hit::page("u", at(minute), page));
    assert_eq!(units(&hits, "funnel('A', 'B', step_windows => '1 minute')"), "1; 0");
    assert_eq!(units(&hits, "funnel('A', 'B', step_windows => '1 minute', ties => 'any')"), "1; 1");
    assert_eq!(units(&hits[..3], "funnel('A', 'B', exclude => 'X', ties => 'any')"), "1; 1");
    assert_eq!(units(&hits, "funnel('B', 'A', exclude => 'X', ties => 'any', remove => true)"), "1; 1");
    assert_eq!(units(&hits, "funnel('A', 'C', exclude => 'X')"), "1; 1");
    let gone: Vec<Hit> = [0, 2, 4].map(|at| hits[at].clone()).to_vec();
    assert_eq!(units(&gone, "funnel('A', 'C', exclude => 'X', ties => 'any')"), "1; 0");
    assert_eq!(units(&gone, "funnel('A', 'C', exclude => 'X', ties => 'any', remove => true)"), "0; 0");
}

#[test]
fn every_excluded_event_counts_beside_a_value_that_is_held() {
    // The first excluded event behind A is of its moment and so may be before it; the next one is not.
    let hits = [(0, "A"), (0, "X"), (1, "X"), (2, "B")].map(|(minute, page)| Hit::page("u", at(minute), page));
    let hits = with_carts(hits.to_vec(), "1  1");
    for options in ["", ", hold => source_session_id", ", breakdown => source_session_id, attribution => 'all'"] {
        let call = format!("funnel('A', 'B', exclude => 'X', ties => 'any'{options})");
        assert_eq!(units(&hits, &call), "1; 0", "{call}");
    }
}

#[test]
fn in_grace_a_step_may_have_happened_before_the_one_before_it() {
    let seconds = |user: &str, pages: &[(i64, &str)]| -> Vec<Hit> {
        pages.iter().map(|&(second, page)| Hit::page(user, at(0) + second * SECOND, page)).collect()
    };
    let hits = [
        seconds("u", &[(0, "B"), (2, "A"), (9, "C")]),
        seconds("v", &[(0, "B"), (3, "A"), (9, "C")]),
        seconds("w", &[(0, "A"), (5, "C"), (6, "B")]),
    ]
    .concat();
    assert_eq!(units(&hits, "funnel('A', 'B', 'C')"), "3; 1; 0");
    assert_eq!(units(&hits, "funnel('A', 'B', 'C', grace => '2 seconds')"), "3; 2; 2");
    assert_eq!(units(&hits, "funnel('A', 'B', 'C', grace => 2, window => 7)"), "3; 2; 2");
    assert_eq!(units(&hits, "funnel('A', 'B', 'C', grace => 2, window => 6)"), "3; 2; 1");
    let times = "SELECT duration_s, steps_at[1] <= steps_at[2] AS rises FROM funnel_users('A', 'B', grace => 2)";
    assert_eq!(rows(&hits, &Settings::default(), times), "0.0 false; 0.0; 6.0 true");
    let means = "SELECT ttc_mean_s, total_mean_s FROM funnel('A', 'B', 'C', grace => 2) WHERE step_no > 1";
    assert_eq!(rows(&hits, &Settings::default(), means), "3.0 3.0; 4.5 6.0");
    let histogram = "SELECT from_s, units FROM ttc_histogram('A', 'B', grace => 2, bucket => 6)";
    assert_eq!(rows(&hits, &Settings::default(), histogram), "0.0 1; 6.0 1");
}

#[test]
fn too_many_orders_are_no_answer() {
    // Nobody can tell soon that twenty events, each of which fills any step but its own, cannot fill 21 steps.
    let pages: String = ('a'..='u').collect();
    let steps: Vec<String> = pages.chars().map(|own| format!("page NOT IN ('z', '{own}')")).collect();
    let call = format!("funnel({}, page = 'z', grace => '1 hour')", steps[..20].join(", "));
    let stage = stage(Events::new(&visits("u", &format!("z{}", &pages[..18]))), Settings::default());
    let message = run(&stage.context, &format!("SELECT * FROM {call}")).unwrap_err();
    assert!(
        message.contains("funnel: too many events of 'u' that may stand in any order meet several steps"),
        "{message}"
    );
}

#[test]
fn steps_in_any_order_each_filled_by_an_event_of_its_own() {
    let hits = [visits("u", "BA"), visits("v", "C   A"), visits("w", "CBA"), visits("x", "X")].concat();
    let call = "funnel('A', 'B', 'C', mode => 'unordered', window => '2 minutes')";
    assert_eq!(units(&hits, call), "3; 2; 1");
    let shown = format!("SELECT step, in_progress, total_median_s FROM {call}");
    assert_eq!(rows(&hits, &Settings::default(), &shown), "any 1 of 3 0; any 2 of 3 1 60.0; any 3 of 3 1 120.0");
    let once = "funnel(page IN ('A', 'B'), page IN ('A', 'C'), mode => 'unordered')";
    assert_eq!(units(&visits("u", "A"), once), "1; 0");
    assert_eq!(units(&visits("u", "AA"), once), "1; 1");
    assert_eq!(units(&visits("u", "BB"), once), "1; 0");
    let parted = "SELECT units, breakdown FROM funnel('A', 'B', mode => 'unordered', breakdown => user_id)";
    assert_eq!(rows(&hits, &Settings::default(), &format!("{parted} ORDER BY 2, 1")), "1 u; 1 u; 0 v; 1 v; 1 w; 1 w");
    let between = |options: &str| {
        units(&visits("u", "BXAC"), &format!("funnel('A', 'B', 'C', mode => 'unordered', exclude => 'X'{options})"))
    };
    assert_eq!(between(""), "1; 1; 0");
    assert_eq!(between(", remove => true"), "0; 0; 0");
    let attempts = "funnel('A', 'B', 'C', mode => 'unordered', unit => 'attempt', window => '3 minutes'";
    assert_eq!(units(&visits("u", "BCAACXB  B"), &format!("{attempts})")), "3; 2; 2");
    assert_eq!(units(&visits("u", "BCAACXB  B"), &format!("{attempts}, exclude => 'X')")), "3; 2; 1");
    let missing = "SELECT warning FROM funnel('A', 'nowhere', mode => 'unordered') WHERE step_no = 2";
    assert_eq!(rows(&hits, &Settings::default(), missing), "no event meets 'nowhere'");
}

#[test]
fn modes_that_look_between_the_steps() {
    let hits = [visits("u", "AABBC"), visits("v", "ADBC"), visits("w", "ABAC")].concat();
    assert_eq!(units(&hits, "funnel('A', 'B', 'C', mode => 'strict_order')"), "3; 2; 1");
    assert_eq!(units(&hits, "funnel('A', 'B', 'C', mode => strict_deduplication)"), "3; 3; 1");
    assert_eq!(units(&hits, "funnel('A', 'B', 'C', mode => ['strict_order', 'allow_reentry'])"), "3; 2; 2");
}

#[test]
fn attempts_follow_one_another() {
    let hits = [visits("u", "ABAAB A"), visits("v", "A     AB")].concat();
    assert_eq!(units(&hits, "funnel('A', 'B', unit => 'attempt', window => '3 minutes')"), "5; 3");
    assert_eq!(units(&hits, "funnel('A', 'B', unit => 'attempt')"), "4; 3");
    assert_eq!(units(&visits("u", "AAXAB"), "funnel('A', 'B', unit => 'attempt', exclude => 'X')"), "2; 1");
    let listed = "SELECT reached, (entered_at - arrow_cast(0, 'Timestamp(Microsecond, Some(\"UTC\"))')) IS NOT NULL AS it \
                  FROM funnel_users('A', 'B', unit => 'attempt')";
    assert_eq!(rows(&hits, &Settings::default(), listed), "2 true; 2 true; 1 true; 2 true");
}

/// The carts of a person's events, as the source session, which sessions ignore here.
fn with_carts(hits: Vec<Hit>, carts: &str) -> Vec<Hit> {
    let cart = |cart: char| (cart != ' ').then(|| cart.to_string());
    hits.into_iter().zip(carts.chars()).map(|(hit, it)| Hit { session: cart(it), ..hit }).collect()
}

#[test]
fn a_value_that_is_held() {
    let hits = with_carts(visits("u", "AABCC"), "12112");
    assert_eq!(units(&hits, "funnel('A', 'B', 'C', hold => source_session_id)"), "1; 1; 1");
    let times = "SELECT duration_s FROM funnel_users('A', 'B', 'C', hold => source_session_id)";
    assert_eq!(rows(&hits, &Settings::default(), times), "180.0");
    assert_eq!(
        units(&with_carts(visits("u", "ABC"), "112"), "funnel('A', 'B', 'C', hold => source_session_id)"),
        "1; 1; 0"
    );
    assert_eq!(units(&with_carts(visits("u", "AB"), "  "), "funnel('A', 'B', hold => source_session_id)"), "0; 0");
    let carts = with_carts(visits("u", "AABXC"), "1211 ");
    assert_eq!(units(&carts, "funnel('A', 'B', hold => source_session_id, unit => 'attempt', exclude => 'X')"), "2; 1");
}

#[test]
fn units_are_parted_by_the_value_of_one_of_their_events() {
    let hits = [with_carts(visits("u", "ABC"), " 12"), with_carts(visits("v", "AB"), "22"), visits("w", "A")].concat();
    let of = |attribution: &str| {
        let call = format!("funnel('A', 'B', breakdown => source_session_id, attribution => '{attribution}')");
        rows(&hits, &Settings::default(), &format!("SELECT coalesce(breakdown, '-') AS b, units FROM {call}"))
    };
    assert_eq!(of("first_touch"), "1 1; 1 1; 2 1; 2 1; - 1; - 0");
    assert_eq!(of("last_touch"), "1 1; 1 1; 2 1; 2 1; - 1; - 0");
    assert_eq!(of("step:2"), "1 1; 1 1; 2 1; 2 1; - 1; - 0");
    assert_eq!(of("step:1"), "2 1; 2 1; - 2; - 1");
    assert_eq!(of("all"), "2 1; 2 1");
    assert_eq!(
        units(&hits, "funnel('A', 'B', breakdown => source_session_id, attribution => 'all') WHERE breakdown = '1'"),
        ""
    );
    let of_pages = "SELECT breakdown, units FROM funnel('A', 'B', breakdown => upper(user_id) || step)";
    assert_eq!(rows(&hits, &Settings::default(), of_pages), "UA 1; UA 1; VA 1; VA 1; WA 1; WA 0");
}

#[test]
fn only_units_whose_window_has_ended() {
    let hits =
        [visits("u", "AB"), visits("v", "A"), visits("w", "          AB         ."), visits("x", "             A")]
            .concat();
    let call = "funnel('A', 'B', window => '10 minutes', complete_only => true)";
    assert_eq!(units(&hits, call), "3; 2");
    assert_eq!(units(&hits, &call.replace("true", "false")), "4; 2");
    let later = Settings { now: Some(at(60)), ..Settings::default() };
    assert_eq!(rows(&hits, &later, &format!("SELECT units FROM {call}")), "4; 2");
}

#[test]
fn a_range_of_its_own() {
    let hits = [visits("u", "AB"), vec![Hit::page("v", at(3 * 24 * 60), "A")]].concat();
    assert_eq!(units(&hits, "funnel('A', 'B', from => '2024-10-05')"), "1; 0");
    assert_eq!(units(&hits, "funnel('A', 'B', to => DATE '2024-10-05')"), "1; 1");
}

#[test]
fn a_trend_and_a_histogram_are_the_funnel_in_pieces() {
    let hits = [visits("u", "A  B"), visits("v", "A B"), vec![Hit::page("w", at(24 * 60), "A")]].concat();
    let trend = "SELECT period, complete, step_no, units FROM funnel_trend('A', 'B', window => '1 hour')";
    assert_eq!(
        rows(&hits, &Settings::default(), trend),
        "2024-10-04 true 1 2; 2024-10-04 true 2 2; 2024-10-05 false 1 1; 2024-10-05 false 2 0"
    );
    let histogram = "SELECT from_s, to_s, units, cumulative FROM ttc_histogram('A', 'B', bucket => '1 minute')";
    let expected = "0.0 60.0 0 0.0; 60.0 120.0 0 0.0; 120.0 180.0 1 0.5; 180.0 240.0 1 1.0";
    assert_eq!(rows(&hits, &Settings::default(), histogram), expected);
}

#[test]
fn why_somebody_did_not_come_through() {
    let why = |pages: &str, options: &str| {
        let sql = format!(
            "SELECT step_no, coalesce(event, '-') AS e, counted FROM explain_funnel('u', 'A', 'B', 'C', window => '5 minutes'{options})"
        );
        let reason = sql.replace("step_no, coalesce(event, '-') AS e, counted", "reason") + " WHERE reason IS NOT NULL";
        let (hits, every) = (visits("u", pages), Settings::default());
        (rows(&hits, &every, &sql), rows(&hits, &every, &reason))
    };
    let (steps, reason) = why("AB     C", "");
    assert_eq!(steps, "1 A true; 2 B true; 3 - true");
    assert_eq!(
        reason,
        "too late: 'C' at 2024-10-04T00:07:00Z is 7 minutes after the first step, the window is 5 minutes"
    );
    assert_eq!(why("ABXC", ", exclude => 'X'").1, "ended by the excluded event 'X' at 2024-10-04T00:02:00Z");
    assert_eq!(why("ABXC", ", exclude => 'X', remove => true").0, "1 A false; 2 B false; 3 - false");
    assert_eq!(why("AB", "").1, "not yet: the window is open until 2024-10-04T00:05:00Z");
    assert_eq!(why("CB", "").1, "no event meets this step");
    assert_eq!(why("CA......", "").1, "no event meets this step");
    assert_eq!(why("BA.......", "").1, "only met before the step before it: 'B' at 2024-10-04T00:00:00Z");
    assert_eq!(
        why("ABDC", ", mode => 'strict_order'").1.split(',').next(),
        Some("ended by 'D' at 2024-10-04T00:02:00Z")
    );
    assert_eq!(why("A......A", "").1, "not yet: an attempt that began later is open");
    let (steps, reason) = why("CA.......", ", mode => 'unordered'");
    assert_eq!(steps, "1 C true; 2 A true; 3 - true");
    assert_eq!(reason, "no event in the window is left for 'B'");
    assert_eq!(
        why("CA..", ", mode => 'unordered'").1,
        "not yet: the window is open until 2024-10-04T00:05:00Z; missing: 'B'"
    );
    assert_eq!(
        why("CXAX", ", mode => 'unordered', exclude => 'X'").1,
        "ended by the excluded event 'X' at 2024-10-04T00:01:00Z; missing: 'A', 'B'"
    );
    assert_eq!(why("....", ", mode => 'unordered'").1, "no event meets any of 'A', 'B', 'C'");
    assert_eq!(
        rows(&[], &Settings::default(), "SELECT reason FROM explain_funnel('u', 'A')"),
        "this person has no step events here"
    );
}

#[test]
fn what_is_refused_and_how() {
    let stage = stage(Events::new(&[]), Settings::default());
    for (call, why) in [
        ("funnel('A', 'B', step_windows => ['1 day', '1 day'])", "2 step windows – 2 steps need 1, or one for all"),
        ("funnel('A', 'B', step_windows => '-1 day')", "option 'step_windows'"),
        ("funnel('A', 'B', remove => true)", "option 'remove' needs 'exclude'"),
        ("funnel('A', 'B', remove => 'x', exclude => 'X')", "option 'remove' is true or false, not 'x'"),
        (
            "funnel('A', 'B', ties => 'any', exclude => 'X', mode => 'strict_order')",
            "does not go with step_windows or exclude beside a mode that looks between the steps",
        ),
        ("funnel('A', 'B', mode => 'unordered', grace => 2)", "grace do not go with mode 'unordered'"),
        ("funnel('A', 'B', mode => 'unordered', step_windows => 5)", "do not go with mode 'unordered'"),
        ("funnel('A', 'B', mode => 'unordered', entry => 'first')", "entry 'first' has no meaning"),
        ("funnel('A', 'B', ties => 'any', unit => 'attempt')", "does not go with unit 'attempt'"),
        (
            "explain_funnel('u', 'A', 'B', ties => 'any', mode => 'strict_order')",
            "of equal time stamps none is the event that stopped it",
        ),
        ("funnel('A', 'B', unit => 'attempt', entry => 'first')", "option 'entry' has no meaning with unit 'attempt'"),
        ("funnel('A', 'B', hold => 'x')", "option 'hold' must be a column or an expression over columns"),
        ("funnel('A', 'B', attribution => 'all')", "option 'attribution' needs 'breakdown'"),
        ("funnel('A', 'B', breakdown => page, attribution => 'step:3')", "'step:1' to 'step:2', not 'step:3'"),
        ("funnel('A', 'B', breakdown => pge)", "pge"),
        ("funnel('A', 'B', brekdown => page)", "unknown option 'brekdown' – did you mean 'breakdown'?"),
        ("funnel('A', 'B', from => 'yesterday')", "option 'from' is a day or time such as"),
        ("funnel('A', 'B', period => 'day')", "unknown option 'period'"),
        ("funnel_trend('A', 'B', period => 'hour')", "option 'period' is 'day', 'week' or 'month', not 'hour'"),
        ("ttc_histogram('A', 'B', step => 1)", "option 'step' is a step from 2 to 2, not 1"),
        ("ttc_histogram('A')", "at least two steps"),
        ("ttc_histogram('A', 'B', bucket => 0)", "a bucket of no length"),
        ("ttc_histogram('A', 'B', bucket => 60, buckets => 3)", "exclude each other"),
        ("explain_funnel()", "the person is missing"),
        ("explain_funnel('u')", "at least one step"),
        ("explain_funnel(u, 'A')", "write it in quotes: 'u'"),
        ("funnel('A', 'B', mode => 'allow_reentry')", "needs 'strict_order'"),
    ] {
        let message = run(&stage.context, &format!("SELECT * FROM {call}")).unwrap_err();
        assert!(message.contains(why), "{call}: {message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    #[test]
    fn every_function_counts_what_the_funnel_counts(
        hits in proptest::collection::vec((0_u8..4, 0_i64..600, 0_usize..5, 0_u8..3), 0..60),
        options in proptest::sample::subsequence(vec![
            ", window => '40 minutes'",
            ", step_windows => '25 minutes'",
            ", exclude => 'X'",
            ", hold => source_session_id",
            ", complete_only => true",
        ], 0..4),
        order in proptest::sample::select(vec!["", ", mode => 'strict_deduplication'", ", ties => 'any'", ", grace => '6 minutes'", ", mode => 'unordered'"]),
        unit in proptest::sample::select(vec!["user", "session", "attempt"]),
        breakdown in any::<bool>(),
    ) {
        let hits: Vec<Hit> = hits
            .into_iter()
            .map(|(user, minute, page, cart)| Hit {
                user: format!("u{user}"),
                ts: at(minute * 5),
                page: Some(["A", "B", "C", "X", "D"][page].to_owned()),
                event: None,
                session: (cart > 0).then(|| cart.to_string()),
            })
            .collect();
        let stepped = options.iter().any(|option| option.contains("step_windows"));
        let refused = if order.contains("unordered") { stepped } else { unit == "attempt" && !order.contains("mode") };
        let order = if refused { "" } else { order };
        let ask = format!("'A', 'B', 'C', unit => '{unit}'{order}{}", options.concat());
        let every = Settings { source_ids: crate::config::SourceIds::Ignore, ..Settings::default() };
        let numbers = |sql: &str| rows(&hits, &every, sql);
        let funnel = numbers(&format!("SELECT units FROM funnel({ask})"));
        let of_users = |step: i32| format!("SELECT count(*) AS n FROM funnel_users({ask}) WHERE reached >= {step}");
        prop_assert_eq!(&funnel, &[1, 2, 3].map(|step| numbers(&of_users(step))).join("; "), "{}", ask);
        let sums = |table: String| numbers(&format!(
            "SELECT coalesce(sum(units), 0) AS n FROM (VALUES (1), (2), (3)) AS s(no) LEFT JOIN {table} AS t ON t.step_no = s.no \
             GROUP BY s.no ORDER BY s.no"));
        prop_assert_eq!(&funnel, &sums(format!("funnel_trend({ask})")), "{}", ask);
        if breakdown {
            let parted = format!("funnel({ask}, breakdown => source_session_id, attribution => 'last_touch')");
            prop_assert_eq!(&funnel, &sums(parted), "{}", ask);
        }
        let last = funnel.rsplit(' ').next().map(str::to_owned);
        let histogram = format!("SELECT coalesce(sum(units), 0) AS n FROM ttc_histogram({ask}, buckets => 3)");
        prop_assert_eq!(last, Some(numbers(&histogram)), "{}", ask);
    }
}
