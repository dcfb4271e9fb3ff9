//! The names to follow: what was typed, looked up again and again.
//!
//! What is not there yet is waited for, and said once.

use crate::ingest::error::IngestError;
use crate::ingest::input::expand::{Input, expand};
use crate::ingest::report::{Progress, Skipped};

/// One word of the command line.
#[derive(Debug)]
struct Typed {
    text: String,
    found: bool,
    /// Why there is nothing.
    missing: Option<String>,
}

/// What was typed.
#[derive(Debug)]
pub struct Watch {
    typed: Vec<Typed>,
}

impl Watch {
    /// # Errors
    /// Nothing was typed.
    pub fn new(typed: &[String]) -> Result<Self, IngestError> {
        if typed.is_empty() {
            return Err(IngestError::NothingNamed);
        }
        let typed = typed.iter().map(|text| Typed { text: text.clone(), found: false, missing: None }).collect();
        Ok(Self { typed })
    }

    /// Everything that has one of the names now.
    ///
    /// # Errors
    /// A pattern that is none.
    pub fn list(&mut self, progress: &mut dyn Progress) -> Result<Vec<Input>, IngestError> {
        let mut inputs = Vec::new();
        for typed in &mut self.typed {
            match expand(std::slice::from_ref(&typed.text)) {
                Ok(found) => {
                    inputs.extend(found);
                    typed.found = true;
                    typed.missing = None;
                }
                Err(error @ IngestError::Pattern { .. }) => return Err(error),
                Err(error) => {
                    // Between a rename and the new file there is nothing either.
                    if !typed.found && typed.missing.is_none() {
                        progress.remark(&format!("{error}\nwaiting for it"));
                    }
                    typed.missing = Some(error.to_string());
                }
            }
        }
        Ok(inputs)
    }

    /// Whether no file can appear.
    pub fn is_only_streams(&self) -> bool {
        self.typed.iter().all(|typed| typed.text == "-")
    }

    /// What was never there.
    pub fn missing(&self) -> impl Iterator<Item = Skipped> {
        let missing = |typed: &Typed| {
            let why = typed.missing.clone().filter(|_| !typed.found)?;
            Some(Skipped { name: typed.text.clone(), why, failed: false })
        };
        self.typed.iter().filter_map(missing)
    }
}
