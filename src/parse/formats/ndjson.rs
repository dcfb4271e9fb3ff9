//! application events, one JSON object a line: its name, its source and sample lines that are tests.

use super::{FormatInfo, Reader, Sample};

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "ndjson",
    aliases: &["json", "jsonl", "json_lines"],
    title: "application events, one JSON object a line",
    url: "https://github.com/ndjson/ndjson-spec",
    reader: Reader::Events,
    samples: &[
        Sample {
            text: r#"{"ts":"2026-01-05T10:04:31.250Z","user_id":"u1","session_id":"s1","event":"signup","page":"/signup?x","plan":"pro"}"#,
            says: &[
                ("ts", "2026-01-05T10:04:31.250000Z"),
                ("user_id", "u1"),
                ("session_id", "s1"),
                ("event", "signup"),
                ("target", "/signup?x"),
                ("properties", r#"{"plan":"pro"}"#),
            ],
        },
        Sample {
            text: r#"{"messageId":"m-1","time":1767607471250,"anonymous_id":77,"user_id":null,"name":"caf\u00e9","properties":{"n":1.50}}"#,
            says: &[
                ("ts", "2026-01-05T10:04:31.250000Z"),
                ("anonymous_id", "77"),
                ("event_id", "m-1"),
                ("event", "café"),
                ("properties", r#"{"n":1.50}"#),
            ],
        },
    ],
};
