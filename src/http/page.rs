//! `/` and `/assets/…`: the page, which asks the routes of `/api/`.

use axum::body::Body;
use axum::extract::RawPathParams;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::http::{Response, StatusCode};

use super::reply::Refusal;
use crate::dashboard;

/// `GET /`
pub(super) fn page() -> Response<Body> {
    of("text/html; charset=utf-8", dashboard::page(None).into())
}

/// `GET /assets/…`
pub(super) fn asset(path: &RawPathParams) -> Result<Response<Body>, Refusal> {
    let path = path.iter().map(|(_, value)| value).next().unwrap_or_default();
    match dashboard::asset(path) {
        Some((kind, bytes)) => Ok(of(kind, bytes.into())),
        None => Err(Refusal::new(StatusCode::NOT_FOUND, "there is no such file")),
    }
}

fn of(kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
