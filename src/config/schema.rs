//! `[schema.EVENT]`: what the properties of an event must be. What is another is refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a property may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Text,
    /// A number without a fraction.
    Integer,
    Number,
    Boolean,
    /// A text that is an ISO-8601 day or time.
    Timestamp,
    List,
    Object,
    /// Anything but nothing.
    Any,
}

impl Kind {
    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Timestamp => "timestamp",
            Self::List => "list",
            Self::Object => "object",
            Self::Any => "any",
        }
    }
}

/// What is declared of a property: its type, or the texts that it may be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(
    untagged,
    expecting = "a property is \"text\", \"integer\", \"number\", \"boolean\", \"timestamp\", \"list\", \"object\", \
                 \"any\", or a list of the texts that it may be, such as [\"free\", \"pro\"]"
)]
pub enum Declared {
    Kind(Kind),
    Values(Vec<String>),
}

/// `[schema.EVENT]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schema {
    /// What each is where it is there; a dot reaches into an object.
    pub properties: BTreeMap<String, Declared>,
    /// Those that must be there.
    pub required: Vec<String>,
    /// Whether there may be others.
    pub additional: bool,
}

impl Default for Schema {
    fn default() -> Self {
        Self { properties: BTreeMap::new(), required: Vec::new(), additional: true }
    }
}

impl Schema {
    /// Whether it can be met.
    ///
    /// # Errors
    /// The key that is wrong, and why; `event` is what it is the schema of.
    pub fn check(&self, event: &str) -> Result<(), String> {
        if let Some(name) = self.required.iter().find(|name| !self.properties.contains_key(*name)) {
            return Err(format!(
                "[schema.{event:?}] required: '{name}' is not among its properties – declare it: {name:?} = \"any\""
            ));
        }
        let is_empty = |declared: &Declared| matches!(declared, Declared::Values(values) if values.is_empty());
        match self.properties.iter().find(|(_, declared)| is_empty(declared)) {
            Some((name, _)) => Err(format!("[schema.{event:?}] properties: '{name}' may be none of no texts")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    #[test]
    fn what_is_wrong_with_a_schema_is_told_with_its_key() {
        for (text, said) in [
            ("[schema.buy]\nrequired = [\"total\"]", "[schema.\"buy\"] required: 'total' is not among its properties"),
            ("[schema.buy.properties]\ntotal = \"float\"", "total = \"float\""),
            ("[schema.buy.properties]\ntotal = \"float\"", "a property is \"text\", \"integer\""),
            ("[schema.buy.properties]\nplan = []", "[schema.\"buy\"] properties: 'plan' may be none of no texts"),
            ("[schema.buy]\nmissing = 1", "unknown field `missing`"),
            ("[schema.buy]\nadditional = \"no\"", "additional = \"no\""),
        ] {
            let error = Config::parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_schema_is_a_rule_that_reads_a_line() {
        let rules = |text: &str| Config::parse(text).unwrap().rules_fingerprint();
        let declared = rules("[schema.buy.properties]\ntotal = \"number\"");
        assert_ne!(declared, rules(""));
        assert_ne!(declared, rules("[schema.buy.properties]\ntotal = \"integer\""));
    }
}
