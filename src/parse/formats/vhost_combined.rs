//! NCSA combined with the virtual host first (Apache): its name, its source and sample lines that are tests.

use super::{FormatInfo, Reader, Sample};
use crate::parse::ncsa::Shape;

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "vhost_combined",
    aliases: &["vhost"],
    title: "NCSA combined with the virtual host first (Apache)",
    url: "https://httpd.apache.org/docs/current/logs.html#virtualhost",
    reader: Reader::Ncsa(Shape::VhostCombined),
    samples: &[
        Sample {
            text: r#"www.example.com:443 192.0.2.7 - frank [05/Jan/2026:10:04:31 +0100] "GET /a HTTP/1.1" 200 512 "-" "Mozilla/5.0""#,
            says: &[
                ("ts", "2026-01-05T09:04:31Z"),
                ("ip", "192.0.2.7"),
                ("user_id", "frank"),
                ("method", "GET"),
                ("target", "/a"),
                ("status", "200"),
                ("bytes", "512"),
                ("user_agent", "Mozilla/5.0"),
                ("properties", r#"{"vhost":"www.example.com:443"}"#),
            ],
        },
        Sample {
            text: r#"www.example.com 2001:db8::7 - - [05/Jan/2026:10:04:31 +0000] "POST /b?c=1 HTTP/2.0" 302 - "https://www.example.com/a" "Mozilla/5.0""#,
            says: &[
                ("ts", "2026-01-05T10:04:31Z"),
                ("ip", "2001:db8::7"),
                ("method", "POST"),
                ("target", "/b?c=1"),
                ("status", "302"),
                ("referrer", "https://www.example.com/a"),
                ("user_agent", "Mozilla/5.0"),
            ],
        },
    ],
};
