//! The built-in formats, one file each: name, title, where it is defined, how it is read, and sample lines with what
//! they say. The table's order is how telling a format is: `auto` takes the first of those that fit about as well.
//!
//! ```text
//! vhost_combined combined common                 ncsa/
//! caddy traefik cloudflare nginx_json ndjson     json/         a table of names each
//! w3c csv parquet                                w3c.rs csv.rs columns.rs
//! aws_alb aws_elb aws_s3 cloudfront haproxy uwsgi              pattern.rs    an expression each
//! ```

mod aws_alb;
mod aws_elb;
mod aws_s3;
mod caddy;
mod cloudflare;
mod cloudfront;
mod combined;
mod common;
mod csv;
mod haproxy;
mod ndjson;
mod nginx_json;
mod parquet;
mod traefik;
mod uwsgi;
mod vhost_combined;
mod w3c;

use super::json::Usual;
use super::ncsa::Shape;

/// Records of a format and what the last of them says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// One record, or several lines where a header comes first.
    pub text: &'static str,
    /// Fields of the last record by the names of the `events` columns, `target` for the path as written; `ts` as ISO
    /// text. What is not listed is absent, but for properties.
    pub says: &'static [(&'static str, &'static str)],
}

/// A built-in format.
#[derive(Debug, Clone, Copy)]
pub struct FormatInfo {
    /// What `--format` takes.
    pub name: &'static str,
    /// Other names that `--format` takes.
    pub aliases: &'static [&'static str],
    pub title: &'static str,
    /// Where the format is defined.
    pub url: &'static str,
    pub samples: &'static [Sample],
    pub(super) reader: Reader,
}

/// How a format is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reader {
    Ncsa(Shape),
    /// NDJSON with the names of application events.
    Events,
    /// JSON access logs with these names.
    Requests(Usual),
    W3c,
    Csv,
    Parquet,
    /// An expression and the layout of its time.
    Pattern {
        regex: &'static str,
        time: Option<&'static str>,
    },
}

/// Every built-in format, the most telling first.
#[must_use]
pub fn formats() -> &'static [FormatInfo] {
    const FORMATS: &[FormatInfo] = &[
        vhost_combined::FORMAT,
        combined::FORMAT,
        common::FORMAT,
        caddy::FORMAT,
        traefik::FORMAT,
        cloudflare::FORMAT,
        nginx_json::FORMAT,
        ndjson::FORMAT,
        w3c::FORMAT,
        aws_alb::FORMAT,
        aws_elb::FORMAT,
        aws_s3::FORMAT,
        cloudfront::FORMAT,
        haproxy::FORMAT,
        uwsgi::FORMAT,
        csv::FORMAT,
        parquet::FORMAT,
    ];
    FORMATS
}

/// The format of a name or alias, in any case, with `-` for `_`.
pub(super) fn format(name: &str) -> Option<&'static FormatInfo> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    formats().iter().find(|format| format.name == name || format.aliases.contains(&name.as_str()))
}

#[cfg(test)]
mod tests;
