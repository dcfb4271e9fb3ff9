//! AWS Application Load Balancer: its name, its source and sample lines that are tests.

use super::{FormatInfo, Reader, Sample};

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "aws_alb",
    aliases: &["alb", "aws_elbv2", "elbv2"],
    title: "AWS Application Load Balancer",
    url: "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html",
    reader: Reader::Pattern {
        regex: concat!(
            r"(?-u)^(?<type>https?|h2|grpcs?|wss?) (?<ts>\d{4}-\S+) (?<elb>\S+) (?<ip>\S+):(?<client_port>\d+)",
            r" (?<target_ip>\S+) (?<request_s>-?[\d.]+) (?<target_s>-?[\d.]+) (?<response_s>-?[\d.]+)",
            r" (?<status>\d{3}|-) (?<target_status>\d{3}|-) (?<received_bytes>\d+) (?<bytes>\d+)",
            r#" "(?<request>[^"]*)" "(?<user_agent>[^"]*)" (?<ssl_cipher>\S+) (?<ssl_protocol>\S+) (?<target_group>\S+)"#,
            r#"(?: "(?<trace_id>[^"]*)"(?: "(?<domain>[^"]*)".*)?)?$"#,
        ),
        time: None,
    },
    samples: &[
        Sample {
            text: r#"h2 2026-01-05T10:04:31.250481Z app/my-balancer/50dc6c495c0c9188 192.0.2.7:51940 10.0.1.1:80 0.000 0.002 0.000 200 200 34 512 "GET https://www.example.com:443/a?b=1 HTTP/2.0" "Mozilla/5.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337327-72bd00b0343d75b906739c42" "www.example.com" "arn:aws:acm:us-east-2:123456789012:certificate/1" 1 2026-01-05T10:04:31.248000Z "forward" "-" "-" "10.0.1.1:80" "200" "-" "-""#,
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
            text: r#"http 2026-01-05T10:04:31Z app/my-balancer/50dc6c495c0c9188 192.0.2.7:51940 - -1 -1 -1 400 - 0 272 "- http://www.example.com:80- -" "-" - - -"#,
            says: &[
                ("ts", "2026-01-05T10:04:31Z"),
                ("ip", "192.0.2.7"),
                ("status", "400"),
                ("bytes", "272"),
                ("nameless", "true"),
            ],
        },
    ],
};
