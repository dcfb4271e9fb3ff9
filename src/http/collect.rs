//! `POST /v1/{track,page,screen,identify,alias,group,batch}` and `/j.js`: what products and pages send.
//!
//! Anybody may send, from any page; a write key keeps strangers out who do not know it (it stands in every page that
//! sends, so it is no secret). A 2xx means that the messages are on the disk.

use std::io::Read as _;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::Server;
use super::reply::{JSON, Refusal};
use super::sql::received;
use crate::database::{Asker, BodyError, Call, CollectError, Receipt};
use crate::limits;
use crate::time;

/// The snippet for pages.
const SNIPPET: &str = include_str!("j.js");
/// What pages of any site may do with the answers.
const OPEN: [(HeaderName, HeaderValue); 2] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin")),
];

/// Who asks or sends: set beside each request by `accept`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub IpAddr);

/// How messages are taken.
#[derive(Debug, Clone, Default)]
pub struct Collect {
    /// One of them comes with every request; any where there is none.
    pub write_keys: Vec<String>,
}

impl Server {
    /// The address of whoever asks or sends.
    fn asker(&self, peer: Option<Peer>, headers: &HeaderMap) -> Option<String> {
        address(self.behind_proxy, peer, headers)
    }

    /// Whoever asks, as the audit has them.
    pub(super) fn reader(&self, peer: Option<Peer>, headers: &HeaderMap) -> Asker {
        let asker = self.asker(peer, headers);
        let who = format!("http {}", asker.as_deref().unwrap_or("unknown"));
        Asker { reads: Arc::clone(self.queries.reads()), who }
    }
}

fn address(behind_proxy: bool, peer: Option<Peer>, headers: &HeaderMap) -> Option<String> {
    // Only the last one is what our own proxy saw; the others are what it was told.
    let told = headers.get_all("x-forwarded-for").iter().next_back().and_then(|list| list.to_str().ok());
    let told = told.and_then(|list| list.rsplit(',').next()).and_then(|last| last.trim().parse::<IpAddr>().ok());
    told.filter(|_| behind_proxy).or(peer.map(|peer| peer.0)).map(|address| address.to_string())
}

/// Whether a path takes messages from anywhere.
pub(super) fn is_open(path: &str) -> bool {
    path == "/j.js" || path.starts_with("/v1/")
}

/// Tells browsers that pages of other sites may use the answer.
pub(super) fn open(response: &mut Response<Body>) {
    for (name, value) in OPEN {
        response.headers_mut().insert(name, value);
    }
}

/// Messages of `POST /v1/…`.
///
/// # Errors
/// They are not taken: the key is wrong, the body has none or too many bytes, too much waits, or the disk fails.
pub(super) async fn take(
    server: Arc<Server>,
    call: Call,
    peer: Option<Peer>,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response<Body>, Refusal> {
    let Some(collector) = server.collector.clone() else {
        return Err(
            Refusal::new(StatusCode::NOT_FOUND, "this server collects nothing").hint("serve without --no-collect")
        );
    };
    let packed = received(sent, limits::BATCH_BYTES).await?;
    let bytes = plain(&headers, packed)?;
    if !server.collect.is_known(&headers, &bytes) {
        return Err(
            Refusal::new(StatusCode::UNAUTHORIZED, "the write key is wrong").hint("serve --write-key KEY names it")
        );
    }
    let receipt = Receipt {
        at: time::iso(time::now_micros()),
        address: server.asker(peer, &headers),
        user_agent: text(&headers, &header::USER_AGENT).map(str::to_owned),
    };
    let taken = tokio::task::spawn_blocking(move || collector.take(call, &bytes, &receipt)).await;
    let failed = |error: tokio::task::JoinError| {
        Refusal::inside(StatusCode::INTERNAL_SERVER_ERROR, "nothing was taken", error.to_string())
    };
    let shaped = taken.map_err(failed)??;
    let said = json!({ "success": true, "accepted": shaped.messages - shaped.refused, "refused": shaped.refused });
    let mut response = Response::new(Body::from(format!("{said}\n")));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// What a browser asks before it sends more than a text.
pub(super) fn may_send() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("authorization, content-encoding, content-type"),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}

/// `GET /j.js`
pub(super) fn snippet() -> Response<Body> {
    let mut response = Response::new(Body::from(SNIPPET));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}

impl Collect {
    /// Whether a key is given that is known, where one is needed: as the name of Basic authorization, or in the body.
    fn is_known(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Keyed {
            write_key: Option<String>,
        }
        if self.write_keys.is_empty() {
            return true;
        }
        let basic = text(headers, &header::AUTHORIZATION).and_then(|value| value.split_once(' ')).and_then(
            |(scheme, value)| {
                let pair =
                    BASE64_STANDARD.decode(value.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
                let pair = String::from_utf8(pair).ok()?;
                Some(pair.split(':').next().unwrap_or_default().to_owned())
            },
        );
        let inside = || serde_json::from_slice::<Keyed>(body).ok().and_then(|keyed| keyed.write_key);
        basic.or_else(inside).is_some_and(|key| self.write_keys.contains(&key))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The body as it was before it was packed.
fn plain(headers: &HeaderMap, packed: Vec<u8>) -> Result<Vec<u8>, Refusal> {
    let packing = text(headers, &header::CONTENT_ENCODING).unwrap_or("identity");
    if packing.eq_ignore_ascii_case("identity") {
        return Ok(packed);
    }
    if !packing.eq_ignore_ascii_case("gzip") {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body is packed in a way that is not read here",
        )
        .hint("content-encoding: gzip, or none"));
    }
    let mut bytes = Vec::new();
    let most = limits::BATCH_BYTES as u64 + 1;
    let read = flate2::read::MultiGzDecoder::new(packed.as_slice()).take(most).read_to_end(&mut bytes);
    if read.is_err() {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "the body is no gzip"));
    }
    if bytes.len() > limits::BATCH_BYTES {
        return Err(Refusal::too_long(limits::BATCH_BYTES));
    }
    Ok(bytes)
}

impl From<CollectError> for Refusal {
    fn from(error: CollectError) -> Self {
        let said = error.to_string();
        match error {
            CollectError::Body(BodyError::TooLong { .. }) => {
                Self::limit(StatusCode::PAYLOAD_TOO_LARGE, "message", said)
            }
            CollectError::Body(_) => Self::new(StatusCode::BAD_REQUEST, said),
            CollectError::Full { .. } => Self::limit(StatusCode::SERVICE_UNAVAILABLE, "inbox", said),
            CollectError::Store(_) => {
                Self::inside(StatusCode::SERVICE_UNAVAILABLE, "nothing was taken: the disk fails", said)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_write_key_comes_as_the_name_of_basic_authorization_or_in_the_body() {
        let keyed = Collect { write_keys: vec!["k1".to_owned()] };
        // k1: and k2:
        assert!(keyed.is_known(&heads(&[("authorization", "Basic azE6")]), b"{}"));
        assert!(!keyed.is_known(&heads(&[("authorization", "Basic azI6")]), b"{\"writeKey\":\"k1\"}"));
        assert!(keyed.is_known(&heads(&[]), b"{\"writeKey\":\"k1\"}"));
        assert!(!keyed.is_known(&heads(&[]), b"{\"writeKey\":null}"));
        assert!(!keyed.is_known(&heads(&[("authorization", "Bearer k1")]), b"{}"));
        assert!(Collect::default().is_known(&heads(&[]), b"{}"));
    }

    #[test]
    fn a_proxy_says_who_sends_only_where_there_is_one() {
        let peer = Some(Peer("10.0.0.1".parse().unwrap()));
        let told = heads(&[("x-forwarded-for", "1.1.1.1, 192.0.2.7")]);
        let sender = |behind_proxy, headers| address(behind_proxy, peer, headers);
        assert_eq!(sender(true, &told).as_deref(), Some("192.0.2.7"));
        assert_eq!(sender(false, &told).as_deref(), Some("10.0.0.1"));
        assert_eq!(sender(true, &heads(&[("x-forwarded-for", "x")])).as_deref(), Some("10.0.0.1"));
    }

    #[test]
    fn a_bomb_is_left_packed() {
        use std::io::Write as _;
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        bomb.write_all(&vec![b' '; 4 << 20]).unwrap();
        let refused = plain(&heads(&[("content-encoding", "gzip")]), bomb.finish().unwrap()).unwrap_err();
        assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(plain(&heads(&[]), b"a".to_vec()).unwrap(), b"a");
        assert_eq!(plain(&heads(&[("content-encoding", "gzip")]), b"a".to_vec()).unwrap_err().status, 400);
        assert_eq!(plain(&heads(&[("content-encoding", "br")]), b"a".to_vec()).unwrap_err().status, 415);
    }
}
