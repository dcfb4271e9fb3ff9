//! Which events are steps of a journey.

use super::bots;
use crate::config::{Assets, Steps};

/// File extensions that pages load by themselves.
const ASSETS: &[&str] = &[
    "gif",
    "jpg",
    "jpeg",
    "png",
    "ico",
    "bmp",
    "xbm",
    "svg",
    "webp",
    "avif",
    "apng",
    "tif",
    "tiff",
    "cur",
    "css",
    "js",
    "mjs",
    "map",
    "wasm",
    "woff",
    "woff2",
    "ttf",
    "eot",
    "otf",
    "swf",
    "mp3",
    "mp4",
    "m4a",
    "m4v",
    "mpg",
    "mpeg",
    "avi",
    "wav",
    "ogg",
    "ogv",
    "webm",
    "mov",
    "flac",
    "vtt",
    "webmanifest",
];

/// The rules of `[steps]` that are stored with an event; `where` is applied when it is read.
///
/// An event is a step if it names a page or an event, its method and status count, its page is no asset and its user
/// agent no bot. What an event does not say otherwise (an application's event has no status) never rules it out.
#[derive(Debug, Clone)]
pub struct StepRules {
    /// Lower-case extensions.
    assets: Vec<String>,
    bots: bool,
    redirects: bool,
    methods: Vec<String>,
}

impl StepRules {
    #[must_use]
    pub fn new(steps: &Steps) -> Self {
        let assets = match &steps.assets {
            Assets::AreSteps(true) => Vec::new(),
            Assets::AreSteps(false) => ASSETS.iter().map(|extension| (*extension).to_owned()).collect(),
            Assets::Extensions(extensions) => {
                extensions.iter().map(|extension| extension.trim_start_matches('.').to_ascii_lowercase()).collect()
            }
        };
        Self { assets, bots: steps.bots, redirects: steps.redirects, methods: steps.methods.clone() }
    }

    /// Whether an event counts: `named` where it names a page or an event, `loaded` where it is a request for an asset,
    /// and what the other questions below say of its texts.
    #[inline]
    #[must_use]
    pub fn is_step(
        &self,
        named: bool,
        loaded: bool,
        (by_bot, method_counts): (bool, bool),
        status: Option<i16>,
    ) -> bool {
        named && !loaded && !by_bot && method_counts && self.status_counts(status)
    }

    /// Whether the last segment of a page ends in an asset's extension, in any case.
    #[must_use]
    pub fn is_asset(&self, page: &[u8]) -> bool {
        let path = page.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
        let segment = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let Some(dot) = segment.iter().rposition(|byte| *byte == b'.') else { return false };
        let extension = segment.get(dot + 1..).unwrap_or_default();
        self.assets.iter().any(|asset| asset.as_bytes().eq_ignore_ascii_case(extension))
    }

    /// Whether a user agent names itself as a robot; never where `bots = true`.
    #[must_use]
    pub fn is_bot(&self, user_agent: &[u8]) -> bool {
        !self.bots && bots::is_bot(user_agent)
    }

    #[must_use]
    pub fn method_counts(&self, method: Option<&[u8]>) -> bool {
        let Some(method) = method else { return true };
        self.methods.is_empty() || self.methods.iter().any(|counted| counted.as_bytes().eq_ignore_ascii_case(method))
    }

    /// Every status but a redirection; 304 is the page the visitor has already.
    #[must_use]
    pub fn status_counts(&self, status: Option<i16>) -> bool {
        self.redirects || !matches!(status, Some(300..=303 | 305..=399))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets() {
        let rules = StepRules::new(&Steps::default());
        for page in ["/a/logo.PNG", "/app.js", "/favicon.ico", "/a.css?v=1"] {
            assert!(rules.is_asset(page.as_bytes()), "{page}");
        }
        for page in ["/", "/a.css/b", "/readme.html", "/png", "/file.pdf", "/v1.2", "/x?file=a.png"] {
            assert!(!rules.is_asset(page.as_bytes()), "{page}");
        }
        let none = StepRules::new(&Steps { assets: Assets::AreSteps(true), ..Steps::default() });
        assert!(!none.is_asset(b"/a.png"));
        let own = StepRules::new(&Steps { assets: Assets::Extensions(vec![".PDF".to_owned()]), ..Steps::default() });
        assert!(own.is_asset(b"/a.pdf") && !own.is_asset(b"/a.png"));
    }

    #[test]
    fn bots() {
        let rules = StepRules::new(&Steps::default());
        for agent in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)",
            "facebookexternalhit/1.1",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/117.0 Safari/537.36",
            "kube-probe/1.28",
        ] {
            assert!(rules.is_bot(agent.as_bytes()), "{agent}");
        }
        for agent in [
            "",
            "curl/8.5.0",
            "Mozilla/5.0 (X11; Linux x86_64; rv:124.0) Gecko/20100101 Firefox/124.0",
            "Mozilla/5.0 (Linux; Android 10; CUBOT X30) AppleWebKit/537.36 Chrome/124.0 Mobile Safari/537.36",
        ] {
            assert!(!rules.is_bot(agent.as_bytes()), "{agent}");
        }
        assert!(!StepRules::new(&Steps { bots: true, ..Steps::default() }).is_bot(b"Googlebot"));
    }

    #[test]
    fn methods_and_statuses() {
        let rules = StepRules::new(&Steps::default());
        assert!(rules.method_counts(Some(b"POST")) && rules.method_counts(None));
        for (status, counts) in [(200, true), (301, false), (302, false), (304, true), (404, true), (500, true)] {
            assert_eq!(rules.status_counts(Some(status)), counts, "{status}");
        }
        assert!(rules.status_counts(None));
        let rules = StepRules::new(&Steps { redirects: true, methods: vec!["GET".to_owned()], ..Steps::default() });
        assert!(rules.status_counts(Some(302)));
        assert!(rules.method_counts(Some(b"GET")) && !rules.method_counts(Some(b"POST")) && rules.method_counts(None));
    }
}
