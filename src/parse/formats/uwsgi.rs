//! uWSGI request log: its name, its source and sample lines that are tests.

use super::{FormatInfo, Reader, Sample};

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "uwsgi",
    aliases: &[],
    title: "uWSGI request log",
    url: "https://uwsgi-docs.readthedocs.io/en/latest/LogFormat.html",
    reader: Reader::Pattern {
        regex: concat!(
            r"(?-u)^\[pid: (?<pid>\d+)\|app: (?<app>\S+)\|req: \S+\] (?<ip>\S*) \((?<user_id>[^)]*)\) \{[^}]*\}",
            r" \[(?<ts>[^\]]+)\] (?<method>[A-Z]+) (?<target>\S+) => generated (?<bytes>\d+) bytes",
            r" in (?<duration>\d+ \w+)(?: \((?<protocol>\S+) (?<status>\d{3})\).*)?$",
        ),
        time: Some("%a %b %e %H:%M:%S %Y"),
    },
    samples: &[Sample {
        text: "[pid: 88185|app: 0|req: 1/1] 192.0.2.7 (kim) {38 vars in 696 bytes} [Mon Jan  5 10:04:31 2026] POST /a?b=1 => generated 47 bytes in 129 msecs (HTTP/1.1 200) 9 headers in 378 bytes (1 switches on core 3)",
        says: &[
            ("ts", "2026-01-05T10:04:31Z"),
            ("ip", "192.0.2.7"),
            ("user_id", "kim"),
            ("method", "POST"),
            ("target", "/a?b=1"),
            ("status", "200"),
            ("bytes", "47"),
            ("properties", r#"{"pid":"88185","app":"0","duration":"129 msecs","protocol":"HTTP/1.1"}"#),
        ],
    }],
};
