//! `/j.js` in a real browser, headless: page → endpoint → `events` → dashboard.

use serde_json::json;

use super::client::Shop;
use crate::dashboard::browser;

#[test]
fn what_people_do_on_a_page_becomes_events_and_figures() {
    let shop = Shop::new();
    let args = ["--flush-interval", "100 milliseconds", "--refresh", "1", "--write-key", "k1"];
    let server = shop.serve(&args);
    let plan = json!({
        "journeyql": env!("CARGO_BIN_EXE_journeyql"), "store": shop.dir.path().join("store"),
        "server": format!("http://{}", server.address),
    });
    browser("tests/http/snippet.py", "the browser's check of the snippet", &plan);
}
