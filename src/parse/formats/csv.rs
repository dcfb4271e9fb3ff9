//! application events as CSV with a header (separator , ; tab or |): its name, its source and sample lines that are tests.

use super::{FormatInfo, Reader, Sample};

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "csv",
    aliases: &["tsv"],
    title: "application events as CSV with a header (separator , ; tab or |)",
    url: "https://www.rfc-editor.org/rfc/rfc4180",
    reader: Reader::Csv,
    samples: &[
        Sample {
            text: "user_id,session_id,event,timestamp,platform\nu1,s1,add_to_cart,2026-01-05 10:04:31,desktop",
            says: &[
                ("ts", "2026-01-05T10:04:31Z"),
                ("user_id", "u1"),
                ("session_id", "s1"),
                ("event", "add_to_cart"),
                ("properties", r#"{"platform":"desktop"}"#),
            ],
        },
        Sample {
            text: "User ID;Event;Page;Time;Note\nu1;view;/a;1767607471;\"says \"\"no\"\"; twice\"",
            says: &[
                ("ts", "2026-01-05T10:04:31Z"),
                ("user_id", "u1"),
                ("event", "view"),
                ("target", "/a"),
                ("properties", r#"{"Note":"says \"no\"; twice"}"#),
            ],
        },
    ],
};
