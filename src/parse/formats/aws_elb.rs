//! AWS Classic Load Balancer: its name, its source and sample lines that are tests.

use super::{FormatInfo, Reader, Sample};

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "aws_elb",
    aliases: &["elb"],
    title: "AWS Classic Load Balancer",
    url: "https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/access-log-collection.html",
    reader: Reader::Pattern {
        regex: concat!(
            r"(?-u)^(?<ts>\d{4}-\S+) (?<elb>\S+) (?<ip>\S+):(?<client_port>\d+) (?<backend>\S+)",
            r" (?<request_s>-?[\d.]+) (?<backend_s>-?[\d.]+) (?<response_s>-?[\d.]+)",
            r" (?<status>\d{3}|-) (?<backend_status>\d{3}|-) (?<received_bytes>\d+) (?<bytes>\d+)",
            r#" "(?<request>[^"]*)"(?: "(?<user_agent>[^"]*)" (?<ssl_cipher>\S+) (?<ssl_protocol>\S+))?$"#,
        ),
        time: None,
    },
    samples: &[
        Sample {
            text: r#"2026-01-05T10:04:31.250481Z my-balancer 192.0.2.7:51940 10.0.0.1:80 0.000086 0.001048 0.001337 200 200 0 512 "GET https://www.example.com:443/a?b=1 HTTP/1.1" "Mozilla/5.0" DHE-RSA-AES128-SHA TLSv1.2"#,
            says: &[
                ("ts", "2026-01-05T10:04:31.250481Z"),
                ("ip", "192.0.2.7"),
                ("method", "GET"),
                ("target", "https://www.example.com:443/a?b=1"),
                ("status", "200"),
                ("bytes", "512"),
                ("user_agent", "Mozilla/5.0"),
            ],
        },
        Sample {
            text: r#"2026-01-05T10:04:31.250481Z my-balancer 192.0.2.7:51940 - -1 -1 -1 408 - 1294336 0 "PUT https://www.example.com:443/v/x HTTP/1.1""#,
            says: &[
                ("ts", "2026-01-05T10:04:31.250481Z"),
                ("ip", "192.0.2.7"),
                ("method", "PUT"),
                ("target", "https://www.example.com:443/v/x"),
                ("status", "408"),
                ("bytes", "0"),
            ],
        },
    ],
};
