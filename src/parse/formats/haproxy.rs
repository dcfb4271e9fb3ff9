//! HAProxy HTTP log, with or without a syslog prefix: its name, its source and sample lines that are tests.

use super::{FormatInfo, Reader, Sample};

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "haproxy",
    aliases: &["haproxy_http"],
    title: "HAProxy HTTP log, with or without a syslog prefix",
    url: "https://docs.haproxy.org/dev/configuration.html#8.2.3",
    reader: Reader::Pattern {
        regex: concat!(
            r"(?-u)^(?:.*?\]: )?(?<ip>\S+):(?<client_port>\d+) \[(?<ts>[^\]]+)\] (?<frontend>\S+)",
            r" (?<backend>[^/\s]+)/(?<server>\S+) (?:-?\d+/){4}\+?(?<total_ms>-?\d+) (?<status>\d{3}|-1) \+?(?<bytes>\d+)",
            r" \S+ \S+ (?<termination>\S{2,4}) \S+ \S+(?: \{(?<request_headers>[^}]*)\})?",
            r#"(?: \{(?<response_headers>[^}]*)\})? "(?<request>[^"]*)"$"#,
        ),
        time: Some("%d/%b/%Y:%H:%M:%S%.f"),
    },
    samples: &[
        Sample {
            text: r#"Jan  5 10:04:31 192.0.2.1 haproxy[7]: 192.0.2.7:53332 [05/Jan/2026:10:04:31.250] http_in~ app/nginx_1 0/0/7/1457/1487 200 512 - - ---- 2/1/0/0/0 0/0 {Mozilla/5.0 (X11)} {} "GET /a?b=1 HTTP/1.1""#,
            says: &[
                ("ts", "2026-01-05T10:04:31.250000Z"),
                ("ip", "192.0.2.7"),
                ("method", "GET"),
                ("target", "/a?b=1"),
                ("status", "200"),
                ("bytes", "512"),
            ],
        },
        Sample {
            text: r#"192.0.2.7:51940 [05/Jan/2026:10:04:31.250] http_in app/<NOSRV> -1/-1/-1/-1/6001 408 212 - - cR-- 100/89/0/0/0 0/0 "<BADREQ>""#,
            says: &[
                ("ts", "2026-01-05T10:04:31.250000Z"),
                ("ip", "192.0.2.7"),
                ("status", "408"),
                ("bytes", "212"),
                ("nameless", "true"),
            ],
        },
    ],
};
