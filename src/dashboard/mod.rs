//! The page: figures as pictures, from a server or embedded in one file.
//!
//! ```text
//! index.html ─ dashboard.css ─ vendor/ (d3-array, d3-path, d3-shape, d3-sankey) ─ dom.js words, numbers, tables
//!   source.js the address and the data ─ export.js CSV, PNG ─ panel.js the frame ─ sankey.js charts.js funnel.js replay.js
//!   dashboard.js which panels there are
//! ```
//! Plain scripts in this order, no bundler. With data everything stands in one file that asks nobody for anything; without,
//! the page names its files, since a server forbids scripts inside a page.
//!
//! Invariants: text of a log reaches the page by text nodes and attributes only; data is embedded so that no value can
//! end its element; the page never asks another host.
//!
//! Deliberately not here: numbers (`database::panel`), HTTP.

use std::borrow::Cow;
use std::fmt::Write as _;

const PAGE: &str = include_str!("index.html");
const STYLE: &str = include_str!("dashboard.css");
const LICENCES: &str = include_str!("vendor/LICENSE.txt");

/// The scripts in the order in which they run.
const SCRIPTS: [(&str, &str); 13] = [
    ("vendor/d3-array.min.js", include_str!("vendor/d3-array.min.js")),
    ("vendor/d3-path.min.js", include_str!("vendor/d3-path.min.js")),
    ("vendor/d3-shape.min.js", include_str!("vendor/d3-shape.min.js")),
    ("vendor/d3-sankey.min.js", include_str!("vendor/d3-sankey.min.js")),
    ("dom.js", include_str!("dom.js")),
    ("source.js", include_str!("source.js")),
    ("export.js", include_str!("export.js")),
    ("panel.js", include_str!("panel.js")),
    ("sankey.js", include_str!("sankey.js")),
    ("charts.js", include_str!("charts.js")),
    ("funnel.js", include_str!("funnel.js")),
    ("replay.js", include_str!("replay.js")),
    ("dashboard.js", include_str!("dashboard.js")),
];

/// A page in one file may run what is in it and show pictures that it made; nothing else, from nowhere else.
const ALONE: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; \
                     base-uri 'none'; form-action 'none'";

/// The page. With the answers of the routes as JSON (an object by path, their SQL in `sql`) it is one self-contained
/// file; without, it fetches them from its server and its scripts from `/assets/`.
#[must_use]
pub fn page(data: Option<&str>) -> String {
    let (head, scripts) = match data {
        Some(data) => (inline_head(), inline_scripts(data)),
        None => (linked_head(), linked_scripts()),
    };
    // One after the other from the left, so that nothing that was put in is taken for a place to put something.
    let (start, rest) = PAGE.split_once("<!--head-->").unwrap_or((PAGE, ""));
    let (middle, end) = rest.split_once("<!--scripts-->").unwrap_or((rest, ""));
    [start, &head, middle, &scripts, end].concat()
}

/// A file of the page by its path below `/assets/`: content type and bytes.
#[must_use]
pub fn asset(path: &str) -> Option<(&'static str, &'static [u8])> {
    let script = SCRIPTS.iter().find(|(name, _)| *name == path);
    match path {
        "dashboard.css" => Some(("text/css; charset=utf-8", STYLE.as_bytes())),
        "vendor/LICENSE.txt" => Some(("text/plain; charset=utf-8", LICENCES.as_bytes())),
        _ => script.map(|(_, text)| ("text/javascript; charset=utf-8", text.as_bytes())),
    }
}

fn linked_head() -> String {
    "<link rel=\"stylesheet\" href=\"/assets/dashboard.css\">".to_owned()
}

fn linked_scripts() -> String {
    SCRIPTS.iter().fold(String::new(), |mut text, (name, _)| {
        // Writing to a String never fails.
        _ = writeln!(text, "<script defer src=\"/assets/{name}\"></script>");
        text
    })
}

fn inline_head() -> String {
    format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{ALONE}\">\n<style>\n{STYLE}</style>")
}

fn inline_scripts(data: &str) -> String {
    let data = harmless(data);
    let mut text = format!("<script type=\"application/json\" id=\"data\">{data}</script>\n<!--\n{LICENCES}-->\n");
    for (_, script) in SCRIPTS {
        _ = writeln!(text, "<script>\n{script}</script>");
    }
    text
}

/// JSON that can stand in a page: what could end its element or begin another is spelled as an escape, which is the
/// same JSON, since these characters only occur in its strings.
fn harmless(json: &str) -> Cow<'_, str> {
    if !json.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + json.len() / 16);
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => _ = write!(text, "\\u{:04x}", u32::from(c)),
            c => text.push(c),
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_leave_its_element() {
        let data = r#"{"a":"</script><script>alert(1)</script><!--scripts--><!--head-->"}"#;
        let page = page(Some(data));
        let (_, rest) = page.split_once("id=\"data\">").unwrap();
        let (embedded, _) = rest.split_once("</script>").unwrap();
        let read: serde_json::Value = serde_json::from_str(embedded).unwrap();
        assert_eq!(read, serde_json::from_str::<serde_json::Value>(data).unwrap());
        assert!(!page.contains("alert(1)</script>"), "it ended its element");
    }

    #[test]
    fn a_page_of_a_server_has_nothing_inline() {
        let page = page(None);
        assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains("<script>"), "{page}");
        let named = page.split("\"/assets/").skip(1).map(|rest| rest.split('"').next().unwrap());
        let missing: Vec<&str> = named.filter(|path| asset(path).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
        assert!(asset("../mod.rs").is_none());
    }

    #[test]
    fn scripts_can_stand_inside_a_page_and_ask_no_other_host() {
        for (name, script) in SCRIPTS {
            assert!(!script.contains("</script") && !script.contains("<!--"), "{name}");
            assert!(!script.contains("innerHTML") && !script.contains("eval("), "{name}");
        }
        let hosts = |text: &str| text.matches("url(http").count() + text.matches("@import").count();
        assert_eq!((hosts(STYLE), hosts(PAGE)), (0, 0));
    }

    #[test]
    fn the_page_is_small() {
        use flate2::{Compression, write::GzEncoder};
        use std::io::Write as _;
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(page(Some("{}")).as_bytes()).unwrap();
        let size = packed.finish().unwrap().len();
        assert!(size <= 200 << 10, "{size} bytes packed");
    }
}
