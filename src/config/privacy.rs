//! `[privacy]`: what of a line never reaches the store.

use serde::{Deserialize, Serialize};

use super::condition::Condition;

/// What the column `ip` shows of the client's host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IpMask {
    #[default]
    Keep,
    /// The network: an IPv4 address to 24 bits, an IPv6 address to 48; nothing of a host name.
    Truncate,
    /// A keyed hash.
    Hash,
    /// Nothing.
    Drop,
}

/// What the columns and the `distinct_id` show of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IdMask {
    #[default]
    Keep,
    /// A keyed hash.
    Hash,
}

/// Whose values are replaced in queries and properties: nobody's (`false`), those of the usual names (`true`), or
/// those of these names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged, expecting = "scrub_query is true, false, or a list of names such as [\"token\", \"email\"]")]
pub enum Scrub {
    Usual(bool),
    Names(Vec<String>),
}

/// The names that `scrub_query = true` stands for. Case, `_` and `-` do not matter.
const USUAL: &str = "access_key access_token api_key api_secret auth auth_token authorization bearer card_number \
    client_secret code credential credentials csrf csrf_token cvv e_mail email iban id_token jsessionid jwt mail otp \
    pass passwd password phone phpsessid pin private_key pwd refresh_token reset_token secret session session_id \
    session_token sid sig signature ssn token";

impl Scrub {
    /// The names whose values are replaced.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Usual(false) => Vec::new(),
            Self::Usual(true) => USUAL.split_whitespace().collect(),
            Self::Names(names) => names.iter().map(String::as_str).collect(),
        }
    }
}

/// `[privacy]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Privacy {
    pub ip: IpMask,
    pub user_id: IdMask,
    pub anonymous_id: IdMask,
    pub session_id: IdMask,
    pub scrub_query: Scrub,
    /// A condition over the event as it was read ([`Condition`]); events that do not meet it are dropped by the rule
    /// `consent`. Empty: no consent is asked for.
    pub require_consent: String,
}

impl Default for Privacy {
    fn default() -> Self {
        Self {
            ip: IpMask::Keep,
            user_id: IdMask::Keep,
            anonymous_id: IdMask::Keep,
            session_id: IdMask::Keep,
            scrub_query: Scrub::Usual(false),
            require_consent: String::new(),
        }
    }
}

impl Privacy {
    /// Any of the rules does something.
    #[must_use]
    pub fn is_on(&self) -> bool {
        let ids = [self.user_id, self.anonymous_id, self.session_id];
        self.ip != IpMask::Keep
            || ids.contains(&IdMask::Hash)
            || !self.scrub_query.names().is_empty()
            || !self.require_consent.trim().is_empty()
    }

    /// The condition of `require_consent`, where there is one.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn consent(&self) -> Result<Option<Condition>, String> {
        if self.require_consent.trim().is_empty() {
            return Ok(None);
        }
        let condition = Condition::parse(&self.require_consent);
        condition.map(Some).map_err(|error| format!("[privacy] require_consent: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn privacy(text: &str) -> Result<Privacy, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn only_a_rule_that_does_something_is_on() {
        for off in ["", "ip = \"keep\"", "scrub_query = false", "scrub_query = []", "require_consent = \" \""] {
            assert!(!privacy(off).unwrap().is_on(), "{off}");
        }
        for on in ["ip = \"drop\"", "session_id = \"hash\"", "scrub_query = [\"x\"]", "require_consent = \"ip = ''\""] {
            assert!(privacy(on).unwrap().is_on(), "{on}");
        }
        assert!(privacy("scrub_query = true").unwrap().scrub_query.names().contains(&"token"));
    }

    #[test]
    fn the_readme_lists_the_usual_names() {
        let readme = include_str!("../../README.md");
        let listed = readme.split("is called: ").nth(1).and_then(|rest| rest.split('.').next()).unwrap();
        let listed: Vec<&str> = listed.split([',', '\n', ' ']).filter(|name| !name.is_empty()).collect();
        assert_eq!(listed, Scrub::Usual(true).names());
    }

    #[test]
    fn a_wrong_value_is_named_with_the_right_ones() {
        let message = privacy("ip = \"trunc\"").unwrap_err().to_string();
        assert!(message.contains("`trunc`") && message.contains("`truncate`"), "{message}");
        let message = privacy("scrub_query = 3").unwrap_err().to_string();
        assert!(message.contains("true, false, or a list"), "{message}");
    }
}
