//! NCSA common access log, also mixed with combined lines: its name, its source and sample lines that are tests.

use super::{FormatInfo, Reader, Sample};
use crate::parse::ncsa::Shape;

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "common",
    aliases: &["ncsa", "clf"],
    title: "NCSA common access log, also mixed with combined lines",
    url: "https://httpd.apache.org/docs/current/logs.html#common",
    reader: Reader::Ncsa(Shape::Common),
    samples: &[
        Sample {
            text: r#"192.0.2.7 - Frank N Furter [05/Jan/2026:10:04:31 +0100] "GET /a HTTP/1.1" 200 512"#,
            says: &[
                ("ts", "2026-01-05T09:04:31Z"),
                ("ip", "192.0.2.7"),
                ("user_id", "Frank N Furter"),
                ("method", "GET"),
                ("target", "/a"),
                ("status", "200"),
                ("bytes", "512"),
            ],
        },
        Sample {
            text: r#"::1 - - [05/Jan/2026:10:04:31 +0000] "CONNECT example.com:443 HTTP/1.1" - -"#,
            says: &[
                ("ts", "2026-01-05T10:04:31Z"),
                ("ip", "::1"),
                ("method", "CONNECT"),
                ("target", "example.com:443"),
            ],
        },
    ],
};
