//! The closest name to a mistyped one.

/// The candidate that `name` was probably meant to be: the smallest edit distance (transpositions count as one),
/// at most a third of the longer one's length and at least one, case ignored; or the one candidate that `name` begins.
/// Never `name` itself.
#[must_use]
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let length = wanted.chars().count();
    let mut best: Option<(usize, &str)> = None;
    let mut begun: Option<&str> = None;
    let mut begun_count = 0;
    for candidate in candidates.into_iter().filter(|candidate| *candidate != name) {
        let lower = candidate.to_lowercase();
        let allowed = (length.max(lower.chars().count()) / 3).max(1);
        let distance = strsim::damerau_levenshtein(&wanted, &lower);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
        if wanted.len() >= 3 && lower.starts_with(&wanted) {
            begun = Some(candidate);
            begun_count += 1;
        }
    }
    best.map(|(_, candidate)| candidate).or(begun.filter(|_| begun_count == 1))
}

/// `did you mean 'x'?`, or nothing where no candidate is close.
#[must_use]
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    closest(name, candidates).map(|found| format!("did you mean '{found}'?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_name_or_none() {
        let tables = ["events", "steps", "sessions", "transitions", "drop_offs"];
        assert_eq!(closest("evnets", tables), Some("events"));
        assert_eq!(closest("Session", tables), Some("sessions"));
        assert_eq!(closest("dropoffs", tables), Some("drop_offs"));
        assert_eq!(closest("trans", tables), Some("transitions"));
        assert_eq!(closest("revenue", tables), None);
        assert_eq!(closest("steps", ["steps", "stops"]), Some("stops"));
        assert_eq!(closest("", tables), None);
    }
}
