//! Cloudflare Logpush, HTTP requests: its name, its source and sample lines that are tests.

use super::{FormatInfo, Reader, Sample};
use crate::parse::row::Role;

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "cloudflare",
    aliases: &["cloudflare_json"],
    title: "Cloudflare Logpush, HTTP requests",
    url: "https://developers.cloudflare.com/logs/reference/log-fields/zone/http_requests/",
    reader: Reader::Requests(&[
        (Role::Ts, &["EdgeStartTimestamp", "EdgeEndTimestamp"]),
        (Role::Ip, &["ClientIP"]),
        (Role::Method, &["ClientRequestMethod"]),
        (Role::Target, &["ClientRequestURI", "ClientRequestPath"]),
        (Role::Status, &["EdgeResponseStatus", "OriginResponseStatus"]),
        (Role::Bytes, &["EdgeResponseBytes"]),
        (Role::Referrer, &["ClientRequestReferer"]),
        (Role::UserAgent, &["ClientRequestUserAgent"]),
    ]),
    samples: &[
        Sample {
            text: r#"{"ClientIP":"192.0.2.7","ClientRequestHost":"www.example.com","ClientRequestMethod":"GET","ClientRequestURI":"/a?b=1","ClientRequestUserAgent":"Mozilla/5.0","ClientRequestReferer":"","EdgeEndTimestamp":1767607471273000000,"EdgeResponseBytes":512,"EdgeResponseStatus":200,"EdgeStartTimestamp":1767607471250000000,"RayID":"87a1b2c3d4e5f001"}"#,
            says: &[
                ("ts", "2026-01-05T10:04:31.250000Z"),
                ("ip", "192.0.2.7"),
                ("method", "GET"),
                ("target", "/a?b=1"),
                ("status", "200"),
                ("bytes", "512"),
                ("user_agent", "Mozilla/5.0"),
            ],
        },
        Sample {
            text: r#"{"ClientIP":"192.0.2.7","ClientRequestMethod":"GET","ClientRequestURI":"/","EdgeResponseStatus":404,"EdgeStartTimestamp":"2026-01-05T10:04:31Z"}"#,
            says: &[
                ("ts", "2026-01-05T10:04:31Z"),
                ("ip", "192.0.2.7"),
                ("method", "GET"),
                ("target", "/"),
                ("status", "404"),
            ],
        },
    ],
};
