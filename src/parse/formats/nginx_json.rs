//! access log as JSON with nginx's variable names: its name, its source and sample lines that are tests.

use super::{FormatInfo, Reader, Sample};
use crate::parse::row::Role;

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "nginx_json",
    aliases: &["json_access"],
    title: "access log as JSON with nginx's variable names",
    url: "https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format",
    reader: Reader::Requests(&[
        (Role::Ts, &["time_iso8601", "@timestamp", "timestamp", "time_local", "msec", "time", "ts"]),
        (Role::Ip, &["remote_addr", "client_ip", "clientip", "ip"]),
        (Role::UserId, &["remote_user", "user_id"]),
        (Role::SessionId, &["session_id"]),
        (Role::Request, &["request"]),
        (Role::Method, &["request_method", "method"]),
        (Role::Target, &["request_uri", "uri", "url", "path"]),
        (Role::Query, &["args", "query_string"]),
        (Role::Status, &["status", "status_code", "response"]),
        (Role::Bytes, &["body_bytes_sent", "bytes_sent", "bytes"]),
        (Role::Referrer, &["http_referrer", "http_referer", "referrer", "referer"]),
        (Role::UserAgent, &["http_user_agent", "user_agent", "agent"]),
    ]),
    samples: &[
        Sample {
            text: r#"{"time_iso8601":"2026-01-05T11:04:31+01:00","remote_addr":"192.0.2.7","remote_user":"-","request":"GET /a?b=1 HTTP/1.1","status":"200","body_bytes_sent":"512","http_referrer":"","http_user_agent":"Mozilla/5.0","request_time":"0.012"}"#,
            says: &[
                ("ts", "2026-01-05T10:04:31Z"),
                ("ip", "192.0.2.7"),
                ("method", "GET"),
                ("target", "/a?b=1"),
                ("status", "200"),
                ("bytes", "512"),
                ("user_agent", "Mozilla/5.0"),
                ("properties", r#"{"request_time":"0.012"}"#),
            ],
        },
        Sample {
            text: r#"{"msec":"1767607471.250","remote_addr":"192.0.2.7","remote_user":"frank","request_method":"POST","request_uri":"/b","status":201,"bytes_sent":64}"#,
            says: &[
                ("ts", "2026-01-05T10:04:31.250000Z"),
                ("ip", "192.0.2.7"),
                ("user_id", "frank"),
                ("method", "POST"),
                ("target", "/b"),
                ("status", "201"),
                ("bytes", "64"),
            ],
        },
    ],
};
