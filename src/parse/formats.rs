//! The built-in formats as people see them: name, title, where the format is defined, sample lines.

/// A line of a format and what it says, for `journeyql formats` and for the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    pub line: &'static str,
    /// What the line is about, in a few words.
    pub about: &'static str,
}

/// A built-in format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatInfo {
    /// What `--format` takes.
    pub name: &'static str,
    pub title: &'static str,
    /// Where the format is defined.
    pub url: &'static str,
    pub samples: &'static [Sample],
}

/// Every built-in format, the most telling first.
#[must_use]
pub fn formats() -> &'static [FormatInfo] {
    FORMATS
}

const FORMATS: &[FormatInfo] = &[
    FormatInfo {
        name: "vhost_combined",
        title: "NCSA combined with the virtual host first (Apache vhost_combined)",
        url: "https://httpd.apache.org/docs/current/mod/mod_log_config.html",
        samples: &[Sample {
            line: r#"www.example.com:443 192.0.2.7 - frank [05/Jan/2026:10:04:31 +0100] "GET /a HTTP/1.1" 200 512 "-" "Mozilla/5.0""#,
            about: "Apache's vhost_combined",
        }],
    },
    FormatInfo {
        name: "combined",
        title: "NCSA combined access log (Apache, nginx)",
        url: "https://httpd.apache.org/docs/current/logs.html#combined",
        samples: &[
            Sample {
                line: r#"192.0.2.7 - frank [05/Jan/2026:10:04:31 +0100] "GET /a?b=1 HTTP/1.1" 200 512 "https://www.example.com/" "Mozilla/5.0 (X11)""#,
                about: "a request with referrer and user agent",
            },
            Sample {
                line: r#"192.0.2.7 - - [05/Jan/2026:10:04:31 +0100] "GET /a HTTP/1.1" 200 512 "-" "Mozilla/5.0" "sid=0f3a91""#,
                about: "a session id in an extra field",
            },
        ],
    },
    FormatInfo {
        name: "common",
        title: "NCSA common access log (Apache, nginx)",
        url: "https://httpd.apache.org/docs/current/logs.html#common",
        samples: &[Sample {
            line: r#"192.0.2.7 - frank [05/Jan/2026:10:04:31 +0100] "GET /a HTTP/1.1" 200 512"#,
            about: "without referrer and user agent",
        }],
    },
    FormatInfo {
        name: "ndjson",
        title: "application events, one JSON object a line",
        url: "https://github.com/ndjson/ndjson-spec",
        samples: &[Sample {
            line: r#"{"ts":"2026-01-05T10:04:31Z","user_id":"u1","event":"signup","page":"/signup","plan":"pro"}"#,
            about: "usual names; what no field takes becomes properties",
        }],
    },
];
