//! The table of routes. What is here is what `/openapi.json` describes.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{DefaultBodyLimit, Extension, RawPathParams};
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use axum::http::{Request, Response, StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use axum::routing::{get, post};

use super::collect::{self, Peer};
use super::reply::{JSON, Refusal};
use super::{Server, guard, health, openapi, page, panels, sql};
use crate::database::Call;
use crate::database::panel::panels as all_panels;

/// The routes, guarded.
pub(super) fn router(server: &Arc<Server>) -> Router {
    let mut router = Router::new();
    for panel in all_panels() {
        let server = Arc::clone(server);
        let handler = move |peer: Option<Extension<Peer>>,
                            path: Result<RawPathParams, RawPathParamsRejection>,
                            uri: Uri,
                            headers: HeaderMap| {
            let server = Arc::clone(&server);
            async move {
                let given = given(path, &uri)?;
                told(&server, panels::answer(&server, panel, given, (peer.map(|Extension(peer)| peer), &headers)).await)
            }
        };
        router = router.route(panel.path, get(handler));
    }
    for call in Call::ALL {
        let server = Arc::clone(server);
        let handler = move |peer: Option<Extension<Peer>>, headers: HeaderMap, body: Body| async move {
            let peer = peer.map(|Extension(peer)| peer);
            told(&server, collect::take(Arc::clone(&server), call, peer, headers, body).await)
        };
        let path = format!("/v1/{}", call.name());
        router = router.route(&path, post(handler).options(|| async { collect::may_send() }));
    }
    let (asked, healthy, counted, known) =
        (Arc::clone(server), Arc::clone(server), Arc::clone(server), Arc::clone(server));
    let guarded = Arc::clone(server);
    router
        .route(
            "/api/sql",
            post(move |peer: Option<Extension<Peer>>, headers: HeaderMap, body: Body| async move {
                let peer = peer.map(|Extension(peer)| peer);
                told(&asked, sql::answer(&asked, (peer, &headers), body).await)
            }),
        )
        .route("/", get(|| async { page::page() }))
        .route("/assets/{*path}", get(|path: RawPathParams| async move { page::asset(&path) }))
        .route("/j.js", get(|| async { collect::snippet() }))
        .route("/healthz", get(move || health::healthz(healthy.clone())))
        .route("/metrics", get(move || async move { health::metrics(&counted) }))
        .route("/openapi.json", get(move || async move { json(openapi::document(&known)) }))
        .fallback(|| async {
            Refusal::new(StatusCode::NOT_FOUND, "there is nothing here").hint("/openapi.json lists the routes")
        })
        .method_not_allowed_fallback(|| async {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this is not asked so").hint("/openapi.json lists the routes")
        })
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(move |request: Request<Body>, next: Next| guard::guard(Arc::clone(&guarded), request, next)))
}

/// The parameters of path and query.
fn given(path: Result<RawPathParams, RawPathParamsRejection>, uri: &Uri) -> Result<Vec<(String, String)>, Refusal> {
    let path = path.map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "the path is no UTF-8 text"))?;
    let named = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned();
    Ok(named.chain(query).collect())
}

/// Counts the limits that were reached.
fn told(server: &Server, answer: Result<Response<Body>, Refusal>) -> Result<Response<Body>, Refusal> {
    answer.inspect_err(|refusal| {
        if let Some(limit) = refusal.which_limit() {
            server.counters.refused(limit);
        }
    })
}

fn json(text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}
