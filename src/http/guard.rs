//! Who may ask, and what browsers are told about the answers.
//!
//! A page of another site can send requests here: it must not be able to read by a name that it points at this machine
//! (Host), nor to post (Origin), except messages, which come from pages of any site (`collect`). Where a token is asked for, it comes as `Authorization: Bearer`, or from a browser as
//! the cookie that `/?token=` sets.

use std::net::IpAddr;

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::uri::Authority;
use axum::http::{Method, Request, Response, StatusCode};
use axum::middleware::Next;
use axum::response::IntoResponse;

use super::collect;
use super::reply::Refusal;

const COOKIE: &str = "journeyql_token";
/// What every answer tells the browser.
const TOLD: [(HeaderName, HeaderValue); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
             connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), microphone=(), geolocation=()"),
    ),
];

/// What is asked of a request.
#[derive(Debug)]
pub(super) struct Guard {
    address: IpAddr,
    hosts: Vec<String>,
    /// Hashes are compared, in constant time.
    token: Option<blake3::Hash>,
}

impl Guard {
    pub(super) fn new(address: IpAddr, hosts: &[String], token: Option<&str>) -> Self {
        let hosts = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        Self { address, hosts, token: token.map(|token| blake3::hash(token.as_bytes())) }
    }

    /// Refuses a request that does not come from where it may.
    fn check(&self, request: &Request<Body>) -> Result<(), Refusal> {
        let headers = request.headers();
        let host = one(headers, &header::HOST).or_else(|| request.uri().authority().map(Authority::as_str));
        let Some(host) = host.filter(|host| self.is_ours(host)) else {
            let refusal = Refusal::new(StatusCode::MISDIRECTED_REQUEST, "this is no host of this server");
            return Err(refusal.hint("use localhost or the address; serve --host NAME adds a name"));
        };
        if collect::is_open(request.uri().path()) {
            return Ok(());
        }
        if let Some(origin) = headers.get(header::ORIGIN) {
            let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
            if !authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) {
                return Err(Refusal::new(StatusCode::FORBIDDEN, "requests of pages of other sites are refused"));
            }
        }
        if !self.is_known(headers) && request.uri().path() != "/healthz" {
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, "a token is needed")
                .hint("send Authorization: Bearer TOKEN, or open /?token=TOKEN in a browser"));
        }
        Ok(())
    }

    /// Whether a Host is this server: localhost, its address, or a name that it was given.
    fn is_ours(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let name = name.to_ascii_lowercase();
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match address {
            // A name is what can be made to point elsewhere; on all addresses any address is one of ours.
            Ok(address) => address.is_loopback() || address == self.address || self.address.is_unspecified(),
            Err(_) => name == "localhost" || self.hosts.contains(&name),
        }
    }

    /// Whether the token is given, where one is needed.
    fn is_known(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let bearer = one(headers, &header::AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|list| list.to_str().ok());
        let cookie = cookies
            .flat_map(|list| list.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .find_map(|(name, value)| (name == COOKIE).then_some(value));
        let cookie = cookie.map(|value| percent_encoding::percent_decode_str(value).collect::<Vec<u8>>());
        [bearer.map(|token| token.as_bytes().to_vec()), cookie]
            .into_iter()
            .flatten()
            .any(|given| blake3::hash(&given) == *token)
    }

    /// What a browser that opens `/?token=…` is answered: the cookie, and the page without the token in its address.
    fn login(&self, request: &Request<Body>) -> Option<Response<Body>> {
        let token = self.token.as_ref()?;
        if request.uri().path() != "/" || request.method() != Method::GET {
            return None;
        }
        let mut pairs = form_urlencoded::parse(request.uri().query()?.as_bytes());
        let (_, given) = pairs.find(|(name, _)| name == "token")?;
        if blake3::hash(given.as_bytes()) != *token {
            return Some(Refusal::new(StatusCode::UNAUTHORIZED, "this is not the token").into_response());
        }
        let value = percent_encoding::utf8_percent_encode(&given, percent_encoding::NON_ALPHANUMERIC);
        let cookie = format!("{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age=2592000");
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SEE_OTHER;
        response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/"));
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.headers_mut().insert(header::SET_COOKIE, HeaderValue::from_str(&cookie).ok()?);
        Some(response)
    }
}

/// The value of a header that is given once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

/// Lets a request through, or not, and tells the browser what it may do with the answer.
pub(super) async fn guard(server: std::sync::Arc<super::Server>, request: Request<Body>, next: Next) -> Response<Body> {
    let guard = &server.guard;
    let host = one(request.headers(), &header::HOST);
    let is_open = collect::is_open(request.uri().path());
    let login = host.filter(|host| guard.is_ours(host)).and_then(|_| guard.login(&request));
    let mut response = match (login, guard.check(&request)) {
        (Some(response), _) => response,
        (None, Err(refusal)) => refusal.into_response(),
        (None, Ok(())) => next.run(request).await,
    };
    response.headers_mut().extend(TOLD);
    if is_open {
        collect::open(&mut response);
    }
    server.counters.answered(response.status());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(HeaderName, &str)]) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        for (name, value) in headers {
            request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        request
    }

    fn status(guard: &Guard, headers: &[(HeaderName, &str)]) -> u16 {
        guard.check(&request(headers)).map_or_else(|refusal| refusal.status.as_u16(), |()| 200)
    }

    #[test]
    fn a_host_is_ours_or_not() {
        let loopback = Guard::new("127.0.0.1".parse().unwrap(), &["Stats.example".to_owned()], None);
        for (host, code) in [
            ("localhost", 200),
            ("LOCALHOST:8080", 200),
            ("127.0.0.1:8080", 200),
            ("[::1]:8080", 200),
            ("stats.example", 200),
            ("10.0.0.5", 421),
            ("evil.example", 421),
            ("localhost.evil.example", 421),
            ("127.0.0.1.evil.example", 421),
            ("", 421),
        ] {
            assert_eq!(status(&loopback, &[(header::HOST, host)]), code, "{host}");
        }
        assert_eq!(status(&loopback, &[]), 421);
        assert_eq!(status(&loopback, &[(header::HOST, "localhost"), (header::HOST, "evil.example")]), 421);
        let everywhere = Guard::new("0.0.0.0".parse().unwrap(), &[], None);
        assert_eq!(status(&everywhere, &[(header::HOST, "10.0.0.5:80")]), 200);
        assert_eq!(status(&everywhere, &[(header::HOST, "evil.example")]), 421);
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let guard = Guard::new("127.0.0.1".parse().unwrap(), &[], None);
        for (origin, code) in [
            ("http://localhost:8080", 200),
            ("http://localhost:9000", 403),
            ("https://evil.example", 403),
            ("null", 403),
        ] {
            let headers = [(header::HOST, "localhost:8080"), (header::ORIGIN, origin)];
            assert_eq!(status(&guard, &headers), code, "{origin}");
        }
    }

    #[test]
    fn a_token_comes_in_a_header_or_a_cookie() {
        let guard = Guard::new("127.0.0.1".parse().unwrap(), &[], Some("s3cret+/="));
        let with = |name, value| status(&guard, &[(header::HOST, "localhost"), (name, value)]);
        assert_eq!(with(header::AUTHORIZATION, "Bearer s3cret+/="), 200);
        assert_eq!(with(header::AUTHORIZATION, "bearer s3cret+/="), 200);
        assert_eq!(with(header::COOKIE, "a=b; journeyql_token=s3cret%2B%2F%3D"), 200);
        assert_eq!(with(header::AUTHORIZATION, "Bearer s3cret"), 401);
        assert_eq!(with(header::AUTHORIZATION, "Basic s3cret+/="), 401);
        assert_eq!(with(header::COOKIE, "journeyql_token="), 401);
    }
}
