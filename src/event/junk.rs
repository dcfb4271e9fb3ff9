//! Ids that are none.

/// Ids that programs write when they have none, in lower case.
const JUNK: [&[u8]; 9] =
    [b"", b"-", b"null", b"none", b"undefined", b"anonymous", b"0", b"unknown", b"[object object]"];

/// Whether an id says that there is no id; case and blanks around it do not matter.
#[must_use]
pub fn is_junk(id: &[u8]) -> bool {
    let id = id.trim_ascii();
    id.len() <= 15 && JUNK.iter().any(|junk| junk.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junk() {
        for junk in ["", " ", "-", "NULL", "None", "undefined", "Anonymous", "0", "unknown", "[object Object]"] {
            assert!(is_junk(junk.as_bytes()), "{junk}");
        }
        for real in ["00", "1", "nullable", "u-1", "[object Objects]"] {
            assert!(!is_junk(real.as_bytes()), "{real}");
        }
    }
}
