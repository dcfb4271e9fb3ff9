//! What goes back: errors as JSON, answers with their tag, age and SQL.

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::database::panel::{PanelError, Wrong};
use crate::database::{Error, Fault, log};
use crate::engine::QueryErrorKind;

/// A question that has no answer.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub status: StatusCode,
    /// Told to the operator on stderr, never to whoever asked.
    pub inside: Option<String>,
    told: Told,
}

#[derive(Debug, Clone, Default, Serialize)]
struct Told {
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'static str>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, inside: None, told: Told { message: message.into(), ..Told::default() } }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.told.hint = Some(hint.into());
        self
    }

    /// A limit was reached.
    pub(super) fn limit(status: StatusCode, limit: &'static str, message: impl Into<String>) -> Self {
        let mut refusal = Self::new(status, message);
        refusal.told.limit = Some(limit);
        refusal
    }

    /// A body has more bytes than are taken.
    pub(super) fn too_long(most: usize) -> Self {
        Self::limit(StatusCode::PAYLOAD_TOO_LARGE, "body", format!("the body has more than {most} bytes"))
    }

    /// Whether it is about this parameter.
    pub(super) fn is_about(&self, parameter: &str) -> bool {
        self.told.parameter.as_deref() == Some(parameter)
    }

    /// The limit that was reached.
    pub(super) const fn which_limit(&self) -> Option<&'static str> {
        self.told.limit
    }

    /// Something that is not the request's fault.
    pub(super) fn inside(status: StatusCode, message: &str, inside: impl Into<String>) -> Self {
        Self { inside: Some(inside.into()), ..Self::new(status, message) }
    }
}

impl From<Wrong> for Refusal {
    fn from(wrong: Wrong) -> Self {
        let told = Told { parameter: Some(wrong.parameter), limit: None, message: wrong.message, hint: wrong.hint };
        Self { status: StatusCode::BAD_REQUEST, inside: None, told }
    }
}

impl From<PanelError> for Refusal {
    fn from(error: PanelError) -> Self {
        match error {
            PanelError::Wrong(wrong) => wrong.into(),
            PanelError::Database(error) => error.into(),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let said = error.to_string();
        match (&error, error.fault()) {
            (_, Fault::Damaged) => {
                Self::inside(StatusCode::SERVICE_UNAVAILABLE, "the store is damaged", said).hint("journeyql verify")
            }
            (Error::Query(query), _) if query.kind == QueryErrorKind::Memory => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let refusal = Self::limit(status, "memory", "the query needs more memory than it may use");
                Self { inside: Some(said), ..refusal }.hint("narrow it: fewer days, columns or groups")
            }
            (Error::Query(query), _) if !error.is_inside() => {
                let place = query.at.map(|at| format!(" – line {}, column {}", at.line, at.column)).unwrap_or_default();
                let refusal = Self::new(StatusCode::BAD_REQUEST, format!("{}{place}", query.message));
                query.hint.iter().fold(refusal, |refusal, hint| refusal.hint(hint.clone()))
            }
            _ => Self::inside(StatusCode::INTERNAL_SERVER_ERROR, "the query failed inside", said),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        #[derive(Serialize)]
        struct Outer {
            error: Told,
        }
        if let Some(inside) = &self.inside {
            log(inside);
        }
        let body = serde_json::to_vec(&Outer { error: self.told }).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, JSON);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const CSV: HeaderValue = HeaderValue::from_static("text/csv; charset=utf-8");

/// An answer as text.
#[derive(Debug)]
pub(super) struct Answered<'a> {
    pub body: Body,
    pub csv: bool,
    pub tag: &'a str,
    pub sql: &'a str,
    pub snapshot: i64,
    pub age_s: u64,
}

impl Answered<'_> {
    pub(super) fn response(self) -> Response<Body> {
        let mut response = Response::new(self.body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, if self.csv { CSV } else { JSON });
        // A long text is left out: servers and browsers have limits of their own for heads.
        if self.sql.len() <= MOST_SQL {
            let sql = utf8_percent_encode(self.sql, PLAIN).to_string();
            insert(headers, "x-journeyql-sql", &sql);
        }
        insert(headers, "x-journeyql-age-s", &self.age_s.to_string());
        tagged(headers, self.tag, self.snapshot);
        response
    }
}

/// Bytes of SQL that go into a head.
const MOST_SQL: usize = 4096;
/// What stays readable in a percent-encoded text.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b' ')
    .remove(b'_')
    .remove(b'-')
    .remove(b'.')
    .remove(b'*')
    .remove(b'/')
    .remove(b'(')
    .remove(b')')
    .remove(b',')
    .remove(b'=')
    .remove(b';')
    .remove(b'\'');

/// The answer is the one that is known already.
pub(super) fn unchanged(tag: &str, snapshot: i64) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    tagged(response.headers_mut(), tag, snapshot);
    response
}

fn tagged(headers: &mut HeaderMap, tag: &str, snapshot: i64) {
    insert(headers, "etag", tag);
    insert(headers, "x-journeyql-snapshot", &snapshot.to_string());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("accept, authorization, cookie"));
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    // Every value is made of visible ASCII.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Whether If-None-Match names the tag.
pub(super) fn knows(headers: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let lists = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|known| opaque(known) == opaque(tag) || known.trim() == "*")
}

/// Whether CSV is asked for rather than JSON.
pub(super) fn wants_csv(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|list| list.to_str().ok());
    let (mut csv, mut json) = (0.0_f32, 0.0_f32);
    for range in accept.flat_map(|list| list.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(|part| part.strip_prefix("q=")).and_then(|q| q.parse().ok()).unwrap_or(1.0);
        match kind.as_str() {
            "text/csv" => csv = quality,
            "application/json" => json = quality,
            _ => {}
        }
    }
    csv > json
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn csv_is_for_those_who_ask_for_it() {
        for (accept, csv) in [
            ("text/csv", true),
            ("*/*", false),
            ("application/json, text/csv", false),
            ("text/csv, application/json;q=0.5", true),
            ("TEXT/CSV;q=0.1", true),
            ("text/csv;q=0", false),
        ] {
            assert_eq!(wants_csv(&heads(header::ACCEPT, accept)), csv, "{accept}");
        }
    }

    #[test]
    fn a_known_tag_is_known() {
        for (list, known) in [("W/\"a\"", true), ("\"b\", \"a\"", true), ("*", true), ("\"b\"", false)] {
            assert_eq!(knows(&heads(header::IF_NONE_MATCH, list), "W/\"a\""), known, "{list}");
        }
    }
}
