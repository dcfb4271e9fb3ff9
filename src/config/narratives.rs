//! `[narratives]`: regular expressions that say what the steps of a story are.

use regex::Regex;
use serde::{Deserialize, Serialize};

/// `[narratives]`; each is met by a step in whose name it has a match.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Narratives {
    /// Steps that lead somebody new in.
    pub onboarding: String,
    /// A single product.
    pub product: String,
    /// Something goes to the cart, or the cart is looked at.
    pub cart: String,
    pub checkout: String,
    pub payment: String,
    /// What was begun is through: thanks, a confirmation.
    pub done: String,
}

impl Default for Narratives {
    fn default() -> Self {
        Self {
            onboarding: "(?i)onboarding|sign[-_ ]?up|register|welcome|get[-_ ]?started".to_owned(),
            product: "(?i)/(products?|items?)/.|product[-_ ]?view|view[-_ ]?(item|product)".to_owned(),
            cart: "(?i)add(ed)?[-_ ]?to[-_ ]?(cart|basket|bag)|/(cart|basket|bag)(/|$)".to_owned(),
            checkout: "(?i)check[-_ ]?out".to_owned(),
            payment: "(?i)payment|billing|/pay(/|$)".to_owned(),
            done: "(?i)thank|confirm|success|complete|purchase$".to_owned(),
        }
    }
}

impl Narratives {
    /// The expressions by name.
    #[must_use]
    pub fn all(&self) -> [(&'static str, &str); 6] {
        [
            ("onboarding", &self.onboarding),
            ("product", &self.product),
            ("cart", &self.cart),
            ("checkout", &self.checkout),
            ("payment", &self.payment),
            ("done", &self.done),
        ]
    }

    /// Puts another expression under a name.
    ///
    /// # Errors
    /// It is no regular expression, or there is no such name.
    pub fn put(&mut self, name: &str, text: &str) -> Result<(), String> {
        let place = match name {
            "onboarding" => &mut self.onboarding,
            "product" => &mut self.product,
            "cart" => &mut self.cart,
            "checkout" => &mut self.checkout,
            "payment" => &mut self.payment,
            "done" => &mut self.done,
            other => return Err(format!("there is no narrative step '{other}'")),
        };
        check(text)?;
        text.clone_into(place);
        Ok(())
    }

    /// Whether every one is a regular expression.
    ///
    /// # Errors
    /// Which one is none, and why.
    pub fn check(&self) -> Result<(), String> {
        self.all()
            .into_iter()
            .try_for_each(|(name, text)| check(text).map_err(|why| format!("[narratives] {name}: {why}")))
    }
}

fn check(text: &str) -> Result<(), String> {
    let why = |error: regex::Error| error.to_string().lines().last().unwrap_or_default().to_owned();
    Regex::new(text).map(|_| ()).map_err(|error| format!("'{text}' is no regular expression: {}", why(error)))
}
