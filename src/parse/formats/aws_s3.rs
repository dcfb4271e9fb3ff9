//! Amazon S3 server access log: its name, its source and sample lines that are tests.

use super::{FormatInfo, Reader, Sample};

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "aws_s3",
    aliases: &["s3"],
    title: "Amazon S3 server access log",
    url: "https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html",
    reader: Reader::Pattern {
        regex: concat!(
            r"(?-u)^(?<owner>\S+) (?<bucket>\S+) \[(?<ts>[^\]]+)\] (?<ip>\S+) (?<user_id>\S+) (?<request_id>\S+)",
            r#" (?<operation>[A-Z0-9]+\.\S+) (?<key>\S+) (?:"(?<request>[^"]*)"|-) (?<status>\d{3}|-) (?<error>\S+)"#,
            r" (?<bytes>\d+|-) (?<object_bytes>\d+|-) (?<total_ms>\d+|-) (?<turn_around_ms>\d+|-)",
            r#" (?:"(?<referrer>[^"]*)"|-) (?:"(?<user_agent>[^"]*)"|-)(?: (?<version_id>\S+).*)?$"#,
        ),
        time: Some("%d/%b/%Y:%H:%M:%S %z"),
    },
    samples: &[
        Sample {
            text: r#"79a59df900b949e55d96 bucket1 [05/Jan/2026:10:04:31 +0000] 192.0.2.7 arn:aws:iam::123456:user/kim A1206F460 REST.GET.OBJECT a.html "GET /bucket1/a.html?x HTTP/1.1" 200 - 512 512 38 12 "https://www.example.com/" "Mozilla/5.0" - BNaBs SigV2 ECDHE AuthHeader bucket1.s3.amazonaws.com TLSV1.1"#,
            says: &[
                ("ts", "2026-01-05T10:04:31Z"),
                ("ip", "192.0.2.7"),
                ("user_id", "arn:aws:iam::123456:user/kim"),
                ("method", "GET"),
                ("target", "/bucket1/a.html?x"),
                ("status", "200"),
                ("bytes", "512"),
                ("referrer", "https://www.example.com/"),
                ("user_agent", "Mozilla/5.0"),
            ],
        },
        Sample {
            text: r#"79a59df900b949e55d96 bucket1 [05/Jan/2026:10:04:31 +0000] - svc A1206F461 S3.EXPIRE.OBJECT a.html - - - - 512 - - "-" "-" -"#,
            says: &[("ts", "2026-01-05T10:04:31Z"), ("user_id", "svc"), ("nameless", "true")],
        },
    ],
};
