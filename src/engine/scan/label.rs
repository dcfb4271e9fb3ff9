//! What a step is called: page or event name, by the rule of `[journey] label`.

use crate::config::Label;

use super::names::{NONE, Names};

/// Event names that say no more than "this page was seen" (SEMANTICS §3, label `auto`).
const PAGE_VIEWS: [&str; 8] =
    ["page", "pageview", "page_view", "$pageview", "view", "screen", "screen_view", "$screen"];

/// The event names that count as page views.
#[must_use]
pub fn page_view_names() -> &'static [&'static str] {
    &PAGE_VIEWS
}

/// Whether an event of this name is a page view, whose label is its page.
#[must_use]
pub fn is_page_view(event: &str) -> bool {
    PAGE_VIEWS.contains(&event)
}

/// The label rule over codes; remembers which codes are page-view names.
#[derive(Debug)]
pub(super) struct Labels {
    rule: Label,
    /// Per code: whether the text is a page-view name. Grows with the names.
    views: Vec<bool>,
}

impl Labels {
    pub(super) fn new(rule: Label) -> Self {
        Self { rule, views: vec![true] }
    }

    /// Appends one label code per row.
    pub(super) fn extend(&mut self, names: &Names, pages: &[u32], events: &[u32], out: &mut Vec<u32>) {
        let known = u32::try_from(self.views.len()).unwrap_or(u32::MAX);
        let all = u32::try_from(names.len()).unwrap_or(u32::MAX);
        self.views.extend((known..all).map(|code| is_page_view(names.text(code))));
        let pairs = pages.iter().zip(events);
        match self.rule {
            Label::Page => out.extend(pairs.map(|(&page, &event)| if page == NONE { event } else { page })),
            Label::Event => out.extend(pairs.map(|(&page, &event)| if event == NONE { page } else { event })),
            Label::Auto => out.extend(pairs.map(|(&page, &event)| {
                let viewed = self.views.get(event as usize).copied().unwrap_or(false);
                if event == NONE || (viewed && page != NONE) { page } else { event }
            })),
        }
    }
}
