//! Caddy's JSON access log: its name, its source and sample lines that are tests.

use super::{FormatInfo, Reader, Sample};
use crate::parse::row::Role;

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "caddy",
    aliases: &["caddy_json"],
    title: "Caddy's JSON access log",
    url: "https://caddyserver.com/docs/logging",
    reader: Reader::Requests(&[
        (Role::Ts, &["ts"]),
        (Role::Ip, &["request.client_ip", "request.remote_ip", "request.remote_addr"]),
        (Role::UserId, &["user_id"]),
        (Role::Method, &["request.method"]),
        (Role::Target, &["request.uri"]),
        (Role::Status, &["status"]),
        (Role::Bytes, &["size"]),
        (Role::Referrer, &["request.headers.Referer"]),
        (Role::UserAgent, &["request.headers.User-Agent"]),
    ]),
    samples: &[Sample {
        text: r#"{"level":"info","ts":1767607471.2504813,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"10.5.1.1","client_ip":"192.0.2.7","proto":"HTTP/2.0","method":"GET","host":"www.example.com","uri":"/a?b=1","headers":{"User-Agent":["Mozilla/5.0"],"Referer":["https://www.example.com/"]}},"user_id":"","duration":0.0175,"size":512,"status":200}"#,
        says: &[
            ("ts", "2026-01-05T10:04:31.250481Z"),
            ("ip", "192.0.2.7"),
            ("method", "GET"),
            ("target", "/a?b=1"),
            ("status", "200"),
            ("bytes", "512"),
            ("referrer", "https://www.example.com/"),
            ("user_agent", "Mozilla/5.0"),
        ],
    }],
};
