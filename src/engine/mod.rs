//! (being built)

pub mod functions;
pub mod operators;
pub mod predicate;
pub mod prune;
pub mod relations;
pub mod scan;
pub mod settings;
pub mod source;
pub mod tables;

/// The name that is most like what was typed, if one is near enough to be meant.
#[must_use]
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .filter(|name| *name != typed)
        .map(|name| (strsim::damerau_levenshtein(&typed.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= (name.len().max(typed.len()) / 3).max(1))
        .min()
        .map(|(_, name)| name)
}
