//! NCSA combined access log (Apache, nginx): its name, its source and sample lines that are tests.

use super::{FormatInfo, Reader, Sample};
use crate::parse::ncsa::Shape;

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "combined",
    aliases: &["ncsa_combined", "apache_combined", "nginx", "apache"],
    title: "NCSA combined access log (Apache, nginx)",
    url: "https://httpd.apache.org/docs/current/logs.html#combined",
    reader: Reader::Ncsa(Shape::Combined),
    samples: &[
        Sample {
            text: r#"192.0.2.7 - frank [05/Jan/2026:10:04:31 +0100] "GET /a?b=1 HTTP/1.1" 200 512 "https://www.example.com/" "Mozilla/5.0 (X11)""#,
            says: &[
                ("ts", "2026-01-05T09:04:31Z"),
                ("ip", "192.0.2.7"),
                ("user_id", "frank"),
                ("method", "GET"),
                ("target", "/a?b=1"),
                ("status", "200"),
                ("bytes", "512"),
                ("referrer", "https://www.example.com/"),
                ("user_agent", "Mozilla/5.0 (X11)"),
            ],
        },
        Sample {
            text: r#"host.example.net - - [05/Jan/2026:10:04:31 +0000] "GET /a HTTP/1.1" 200 512 "-" "Agent \"q\"" "sid=0f3a91""#,
            says: &[
                ("ts", "2026-01-05T10:04:31Z"),
                ("ip", "host.example.net"),
                ("session_id", "0f3a91"),
                ("method", "GET"),
                ("target", "/a"),
                ("status", "200"),
                ("bytes", "512"),
                ("user_agent", "Agent \"q\""),
            ],
        },
        Sample {
            text: r#"10.0.0.2, 10.0.0.1, 198.51.100.35 - - [05/Jan/2026:10:04:31 +0000] "-" 408 0 "-" "-""#,
            says: &[
                ("ts", "2026-01-05T10:04:31Z"),
                ("ip", "198.51.100.35"),
                ("status", "408"),
                ("bytes", "0"),
                ("nameless", "true"),
            ],
        },
    ],
};
