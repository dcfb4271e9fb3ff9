//! Who may ask: hosts, origins, tokens, and what browsers are told.

use std::fs;

use super::client::Shop;

const TOKEN: &str = "correct horse+battery/staple=";

#[test]
fn others_need_a_token() {
    let shop = Shop::new();
    for args in [["serve", "--http", "0.0.0.0:0"], ["serve", "--http", "[::]:0"]] {
        let refused = shop.command(&args).output().unwrap();
        assert_eq!(refused.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("--token-file"));
    }
    let short = shop.dir.path().join("short");
    fs::write(&short, "guess\n").unwrap();
    let refused = shop.command(&["serve", "--http", "127.0.0.1:0", "--token-file"]).arg(short).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_token_opens_the_door() {
    let shop = Shop::new();
    let file = shop.dir.path().join("token");
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let server = shop.serve(&["--token-file", file.to_str().unwrap()]);
    for path in ["/api/stats", "/metrics", "/openapi.json", "/", "/nothing"] {
        let refused = server.get(path);
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")), "{path}");
    }
    assert_eq!(server.request("POST", "/api/sql", &[], "SELECT 1").status, 401);
    assert_eq!(server.get("/healthz").status, 200);
    let bearer =
        |token: &str| server.request("GET", "/api/stats", &[("authorization", &format!("Bearer {token}"))], "").status;
    assert_eq!((bearer(TOKEN), bearer("correct horse"), bearer("")), (200, 401, 401));

    // A browser gets a cookie for it, and an address without it.
    let login = server.get("/?token=correct+horse%2Bbattery%2Fstaple%3D");
    assert_eq!((login.status, login.header("location")), (303, Some("/")));
    let cookie = login.header("set-cookie").unwrap().to_owned();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(server.request("GET", "/api/stats", &[("cookie", cookie)], "").status, 200);
    assert_eq!(server.get("/?token=wrong").status, 401);
}

#[test]
fn other_hosts_and_pages_of_other_sites_are_refused() {
    let shop = Shop::new();
    let server = shop.serve(&["--host", "stats.example"]);
    let with = |method, path, headers: &[(&str, &str)]| server.request(method, path, headers, "SELECT 1").status;
    for (host, status) in [
        ("localhost", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8080", 200),
        ("stats.example", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
    ] {
        assert_eq!(with("GET", "/api/stats", &[("host", host)]), status, "{host}");
    }
    let address = server.address.to_string();
    let own = format!("http://{address}");
    for (origin, status) in
        [(own.as_str(), 200), ("http://evil.example", 403), ("null", 403), ("http://localhost:1", 403)]
    {
        assert_eq!(with("POST", "/api/sql", &[("origin", origin)]), status, "{origin}");
    }
    let nameless = server.raw(b"GET /api/stats HTTP/1.1\r\nconnection: close\r\n\r\n").unwrap();
    assert!([400, 421].contains(&nameless.status), "{}", nameless.head);
}

#[test]
fn browsers_are_told_what_they_may_do() {
    let shop = Shop::new();
    let server = shop.serve(&[]);
    assert_eq!(server.get("/assets/../Cargo.toml").status, 404);
    let page = server.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let files = page.body.split("=\"/assets/").skip(1).map(|rest| rest.split('"').next().unwrap());
    for file in files.clone() {
        assert_eq!(server.get(&format!("/assets/{file}")).status, 200, "{file}");
    }
    assert!(files.count() > 2 && !page.body.contains("<script>") && !page.body.contains("style="), "{}", page.body);
    for path in ["/api/stats", "/api/paths?top=x", "/nothing", "/"] {
        let answer = server.get(path);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
    }
}
