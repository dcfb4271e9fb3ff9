//! Amazon CloudFront standard log without its header (with it: w3c): its name, its source and sample lines that are tests.

use super::{FormatInfo, Reader, Sample};

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "cloudfront",
    aliases: &["aws_cloudfront"],
    title: "Amazon CloudFront standard log without its header (with it: w3c)",
    url: "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/AccessLogs.html",
    reader: Reader::Pattern {
        regex: concat!(
            r"(?-u)^(?<ts>\d{4}-\d{2}-\d{2}\t\d{2}:\d{2}:\d{2})\t(?<edge>[^\t]*)\t(?<bytes>\d+|-)\t(?<ip>[^\t]*)",
            r"\t(?<method>[^\t]*)\t(?<host>[^\t]*)\t(?<target>[^\t]*)\t(?<status>\d{3}|-)\t(?<referrer>[^\t]*)",
            r"\t(?<user_agent>[^\t]*)\t(?<query>[^\t]*)\t[^\t]*\t(?<edge_result>[^\t]*)(?:\t.*)?$",
        ),
        time: Some("%Y-%m-%d\t%H:%M:%S"),
    },
    samples: &[Sample {
        text: "2026-01-05\t10:04:31\tLAX1\t512\t192.0.2.7\tGET\td111111abcdef8.cloudfront.net\t/a.html\t200\t-\tMozilla/5.0%20(X11)\tb=1\t-\tHit\tSOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ==\td111111abcdef8.cloudfront.net\thttps\t23\t0.001",
        says: &[
            ("ts", "2026-01-05T10:04:31Z"),
            ("ip", "192.0.2.7"),
            ("method", "GET"),
            ("target", "/a.html?b=1"),
            ("status", "200"),
            ("bytes", "512"),
            ("user_agent", "Mozilla/5.0%20(X11)"),
            ("properties", r#"{"edge":"LAX1","host":"d111111abcdef8.cloudfront.net","edge_result":"Hit"}"#),
        ],
    }],
};
