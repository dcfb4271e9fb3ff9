//! W3C extended log with #Fields (IIS, CloudFront): its name, its source and sample lines that are tests.

use super::{FormatInfo, Reader, Sample};

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "w3c",
    aliases: &["iis", "w3c_extended", "elf"],
    title: "W3C extended log with #Fields (IIS, CloudFront)",
    url: "https://www.w3.org/TR/WD-logfile.html",
    reader: Reader::W3c,
    samples: &[
        Sample {
            text: "#Software: Microsoft Internet Information Services 10.0\n#Fields: date time c-ip cs-username cs-method cs-uri-stem cs-uri-query sc-status sc-bytes cs(User-Agent) cs(Referer)\n2026-01-05 10:04:31 192.0.2.7 - GET /a.aspx b=1 200 512 Mozilla/5.0+(X11) -",
            says: &[
                ("ts", "2026-01-05T10:04:31Z"),
                ("ip", "192.0.2.7"),
                ("method", "GET"),
                ("target", "/a.aspx?b=1"),
                ("status", "200"),
                ("bytes", "512"),
                ("user_agent", "Mozilla/5.0+(X11)"),
            ],
        },
        Sample {
            text: "#Date: 2026-01-05 10:00:00\n#Fields: time c-ip cs-method cs-uri-stem sc-status\n10:04:31 192.0.2.7 GET /a 200",
            says: &[
                ("ts", "2026-01-05T10:04:31Z"),
                ("ip", "192.0.2.7"),
                ("method", "GET"),
                ("target", "/a"),
                ("status", "200"),
            ],
        },
    ],
};
