//! Traefik's JSON access log: its name, its source and sample lines that are tests.

use super::{FormatInfo, Reader, Sample};
use crate::parse::row::Role;

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "traefik",
    aliases: &["traefik_json"],
    title: "Traefik's JSON access log",
    url: "https://doc.traefik.io/traefik/observability/access-logs/",
    reader: Reader::Requests(&[
        (Role::Ts, &["StartUTC", "StartLocal", "time"]),
        (Role::Ip, &["ClientHost"]),
        (Role::UserId, &["ClientUsername"]),
        (Role::Method, &["RequestMethod"]),
        (Role::Target, &["RequestPath"]),
        (Role::Status, &["DownstreamStatus", "OriginStatus"]),
        (Role::Bytes, &["DownstreamContentSize", "OriginContentSize"]),
        (Role::Referrer, &["request_Referer"]),
        (Role::UserAgent, &["request_User-Agent"]),
    ]),
    samples: &[Sample {
        text: r#"{"ClientHost":"192.0.2.7","ClientUsername":"-","DownstreamContentSize":512,"DownstreamStatus":200,"Duration":1204578,"RequestHost":"www.example.com","RequestMethod":"GET","RequestPath":"/a?b=1","RequestProtocol":"HTTP/1.1","StartUTC":"2026-01-05T10:04:31.250481Z","level":"info","request_User-Agent":"Mozilla/5.0","time":"2026-01-05T10:04:32Z"}"#,
        says: &[
            ("ts", "2026-01-05T10:04:31.250481Z"),
            ("ip", "192.0.2.7"),
            ("method", "GET"),
            ("target", "/a?b=1"),
            ("status", "200"),
            ("bytes", "512"),
            ("user_agent", "Mozilla/5.0"),
        ],
    }],
};
