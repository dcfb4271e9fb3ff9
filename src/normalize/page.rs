//! The page normaliser.

use regex::bytes::Regex;

use crate::config::{Pages, Query};

/// What stands in a page for a path segment that names one thing of many.
const ID: &[u8] = b"<id>";
/// A segment of this many hex digits, letters and numbers among them, is an id.
const HEX_BYTES: usize = 8;

/// Turns targets into pages by the rules of `[pages]`: scheme and authority cut, query and fragment stripped, trailing
/// slashes cut, segments that are ids replaced, then the user's rules, each replacing its first match.
#[derive(Debug, Clone)]
pub struct PageNormalizer {
    normalize: bool,
    ids: bool,
    query: Query,
    rules: Vec<(Regex, String)>,
}

impl PageNormalizer {
    /// Compiles the rules.
    ///
    /// # Errors
    /// The text of a rule that is no regular expression.
    pub fn new(pages: &Pages) -> Result<Self, String> {
        let mut rules = Vec::with_capacity(pages.rules.len());
        for rule in &pages.rules {
            let regex = Regex::new(&rule.r#match)
                .map_err(|error| format!("[pages] rules: '{}' is no regular expression: {error}", rule.r#match))?;
            rules.push((regex, rule.page.clone()));
        }
        Ok(Self { normalize: pages.normalize, ids: pages.ids, query: pages.query.clone(), rules })
    }

    /// Appends the page of `target` to `out`.
    pub fn page(&self, target: &[u8], out: &mut Vec<u8>) {
        if !self.normalize {
            out.extend_from_slice(target);
            return;
        }
        let start = out.len();
        let (path, query) = split(target);
        let path = trim_slashes(without_authority(path));
        if path.is_empty() {
            out.push(b'/');
        } else if self.ids {
            push_with_ids(path, out);
        } else {
            out.extend_from_slice(path);
        }
        self.push_query(query, out);
        for (regex, page) in &self.rules {
            if let std::borrow::Cow::Owned(replaced) =
                regex.replacen(out.get(start..).unwrap_or_default(), 1, page.as_bytes())
            {
                out.truncate(start);
                out.extend_from_slice(&replaced);
            }
        }
    }

    fn push_query(&self, query: &[u8], out: &mut Vec<u8>) {
        let is_kept = |parameter: &&[u8]| match &self.query {
            Query::Strip => false,
            Query::Keep => true,
            Query::Only(names) => {
                let name = parameter.split(|byte| *byte == b'=').next().unwrap_or_default();
                names.iter().any(|kept| kept.as_bytes() == name)
            }
        };
        if query.is_empty() || self.query == Query::Strip {
            return;
        }
        let mut mark = b'?';
        for parameter in query.split(|byte| *byte == b'&').filter(is_kept) {
            out.push(mark);
            out.extend_from_slice(parameter);
            mark = b'&';
        }
    }
}

/// Path and query (without `?`), the fragment cut.
fn split(target: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr2(b'?', b'#', target).unwrap_or(target.len());
    let (path, rest) = target.split_at(end);
    let query = rest.strip_prefix(b"?").unwrap_or_default();
    (path, query.get(..memchr::memchr(b'#', query).unwrap_or(query.len())).unwrap_or_default())
}

/// `http://host/path` without scheme and host; `host:443` stays.
fn without_authority(path: &[u8]) -> &[u8] {
    let scheme_len =
        path.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')).count();
    let Some(rest) = path.get(scheme_len..).and_then(|rest| rest.strip_prefix(b"://")) else { return path };
    if !path.first().is_some_and(u8::is_ascii_alphabetic) {
        return path;
    }
    rest.get(memchr::memchr(b'/', rest).unwrap_or(rest.len())..).unwrap_or_default()
}

fn trim_slashes(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    path.get(..end).unwrap_or_default()
}

fn push_with_ids(path: &[u8], out: &mut Vec<u8>) {
    for (at, segment) in path.split(|byte| *byte == b'/').enumerate() {
        if at > 0 {
            out.push(b'/');
        }
        // A path without a leading slash starts with a name (a screen, a host), not with an id.
        out.extend_from_slice(if at > 0 && is_id(segment) { ID } else { segment });
    }
}

/// A number, a UUID, a date `2026-01-05`, or at least eight hex digits with letters and numbers among them.
fn is_id(segment: &[u8]) -> bool {
    if segment.is_empty() {
        return false;
    }
    let digits = segment.iter().filter(|byte| byte.is_ascii_digit()).count();
    if digits == segment.len() {
        return true;
    }
    if segment.contains(&b'-') {
        return is_grouped(segment, &[8, 4, 4, 4, 12], u8::is_ascii_hexdigit)
            || is_grouped(segment, &[4, 2, 2], u8::is_ascii_digit);
    }
    digits > 0 && segment.len() >= HEX_BYTES && segment.iter().all(u8::is_ascii_hexdigit)
}

/// Groups of these lengths with `-` between them.
fn is_grouped(segment: &[u8], lengths: &[usize], is_member: fn(&u8) -> bool) -> bool {
    let mut groups = segment.split(|byte| *byte == b'-');
    lengths
        .iter()
        .all(|length| groups.next().is_some_and(|group| group.len() == *length && group.iter().all(is_member)))
        && groups.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PageRule;

    fn page(pages: &Pages, target: &str) -> String {
        let mut out = b"kept ".to_vec();
        PageNormalizer::new(pages).unwrap().page(target.as_bytes(), &mut out);
        String::from_utf8(out).unwrap().strip_prefix("kept ").unwrap().to_owned()
    }

    #[test]
    fn the_default_rules() {
        for (target, expected) in [
            ("/", "/"),
            ("", "/"),
            ("//", "/"),
            ("?a=1", "/"),
            ("/a/b//", "/a/b"),
            ("/a//b", "/a//b"),
            ("/A/b.html?x=/1#y", "/A/b.html"),
            ("/a#top?x", "/a"),
            ("http://www.example.com:80", "/"),
            ("https://www.example.com/a/?q=http://x/", "/a"),
            ("/go/http://www.example.com/x", "/go/http://www.example.com/x"),
            ("example.com:443", "example.com:443"),
            ("*", "*"),
            ("Talk:Oswald Tilghman", "Talk:Oswald Tilghman"),
            ("/product/123", "/product/<id>"),
            ("/product/123/reviews/", "/product/<id>/reviews"),
            ("/v2/users/42", "/v2/users/<id>"),
            ("/u/123e4567-E89B-12d3-a456-426614174000/x", "/u/<id>/x"),
            ("/commit/9f86d081/diff", "/commit/<id>/diff"),
            ("/facade", "/facade"),
            ("/deadbeef", "/deadbeef"),
            ("/day/2026-01-05", "/day/<id>"),
            ("/a-1-b", "/a-1-b"),
            ("/x/<id>", "/x/<id>"),
            ("/caf%C3%A9", "/caf%C3%A9"),
        ] {
            assert_eq!(page(&Pages::default(), target), expected, "{target}");
            assert_eq!(page(&Pages::default(), expected), expected, "{target} again");
        }
    }

    #[test]
    fn queries_ids_and_rules() {
        let keep = Pages { query: Query::Keep, ..Pages::default() };
        assert_eq!(page(&keep, "/a/?x=1&y=2#z"), "/a?x=1&y=2");
        let only = Pages { query: Query::Only(vec!["tab".to_owned(), "q".to_owned()]), ..Pages::default() };
        assert_eq!(page(&only, "/a?x=1&tab=2&q"), "/a?tab=2&q");
        assert_eq!(page(&only, "/a?x=1"), "/a");
        let plain = Pages { ids: false, ..Pages::default() };
        assert_eq!(page(&plain, "/product/123/?x"), "/product/123");
        let raw = Pages { normalize: false, ..Pages::default() };
        assert_eq!(page(&raw, "/a/?x#y"), "/a/?x#y");
        let rules = Pages {
            rules: vec![PageRule { r#match: "^/user/[^/]+".to_owned(), page: "/user/<name>".to_owned() }],
            ..Pages::default()
        };
        assert_eq!(page(&rules, "/user/kim/posts/7"), "/user/<name>/posts/<id>");
        let broken =
            Pages { rules: vec![PageRule { r#match: "(".to_owned(), page: String::new() }], ..Pages::default() };
        assert!(PageNormalizer::new(&broken).unwrap_err().contains("no regular expression"));
    }
}
