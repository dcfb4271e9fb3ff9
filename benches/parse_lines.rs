//! Generated lines, the same in every run.

use std::fmt::Write as _;

/// Lines of every text.
pub const LINES: u64 = 20_000;
const PAGES: [&str; 8] =
    ["/", "/search?q=shoes&page=2", "/product/48213", "/product/7/reviews", "/cart", "/checkout", "/blog/tag/31", "/"];
const AGENTS: [&str; 3] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.6778.131 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Edg/132.0.6834.132 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/134.0.6998.134 Safari/537.36",
];

/// A number that looks random, the same in every run.
fn mixed(seed: u64) -> usize {
    let mixed = (seed ^ (seed >> 13)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> 40).unwrap_or_default()
}

fn combined() -> String {
    let mut text = String::new();
    for line in 0..LINES {
        let (page, agent, user) = (PAGES[mixed(line) % 8], AGENTS[mixed(line + 1) % 3], mixed(line + 2) % 50_000);
        let (minute, second) = (line / 600 % 60, line / 10 % 60);
        let session = if line % 2 == 0 { format!(" \"sid={:016x}\"", user * 77) } else { String::new() };
        let _ = writeln!(
            text,
            "10.{}.{}.7 - u{user:06} [05/Jan/2026:10:{minute:02}:{second:02} +0000] \"GET {page} HTTP/1.1\" 200 {} \
             \"https://shop.example{page}\" \"{agent}\"{session}",
            user % 256,
            user / 256,
            200 + user
        );
    }
    text
}

fn ndjson() -> String {
    let mut text = String::new();
    for line in 0..LINES {
        let (page, user) = (PAGES[mixed(line) % 8], mixed(line + 2) % 50_000);
        let (minute, second) = (line / 600 % 60, line / 10 % 60);
        let _ = writeln!(
            text,
            "{{\"ts\":\"2026-01-05T10:{minute:02}:{second:02}.{:06}Z\",\"user_id\":\"u{user:06}\",\"session_id\":\
             \"{:016x}\",\"event\":\"view\",\"page\":\"{page}\",\"props\":{{\"v\":{},\"src\":\"mail\",\"price\":{}.25}}}}",
            mixed(line) % 1_000_000,
            user * 77,
            user % 17,
            user % 9_973
        );
    }
    text
}

fn csv() -> String {
    let mut text = "user_id,session_id,event,timestamp,platform\n".to_owned();
    for line in 0..LINES {
        let user = mixed(line) % 50_000;
        let _ = writeln!(text, "u{user:06},s{:05},product_view,2026-01-05 10:{:02}:31,desktop", user % 999, line % 60);
    }
    text
}

/// Name, format, text and configuration.
pub fn cases() -> Vec<(&'static str, &'static str, String, &'static str)> {
    vec![
        ("combined", "combined", combined(), ""),
        ("combined strict", "combined", combined(), "[parse]\nstrict = true"),
        ("ndjson", "ndjson", ndjson(), ""),
        ("csv", "csv", csv(), ""),
    ]
}
