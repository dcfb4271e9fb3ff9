//! Where one record ends and the next begins.
//!
//! Lines end at `\n`; a `\r` before it belongs to the terminator. A CSV record goes on over newlines inside quotes:
//! a quote opens at the start of a field and closes at the next quote that is not doubled. A quote that is not closed
//! within [`CSV_RECORD_BYTES`] is taken as belonging to its line alone, so that one stray quote does not swallow a
//! file.
//!
//! Invariants: the cut is a function of the text from the record's start on, never of how the reads were cut.

use memchr::{memchr, memchr_iter, memchr2, memrchr};

use crate::parse::Framing;

/// The longest CSV record that spans lines.
pub const CSV_RECORD_BYTES: usize = 1 << 20;

/// One record of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Bytes from the start of the chunk.
    pub start: usize,
    /// The record without its terminator.
    pub bytes: &'a [u8],
    /// It ended with a newline; only the last record of a text may not.
    pub terminated: bool,
}

impl Record<'_> {
    /// The physical lines that it spans.
    #[inline]
    pub fn lines(&self, framing: Framing) -> u64 {
        match framing {
            Framing::Lines => 1,
            Framing::Csv => 1 + memchr_iter(b'\n', self.bytes).count() as u64,
        }
    }
}

/// The records of a chunk that begins with a record.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    framing: Framing,
    bytes: &'a [u8],
    at: usize,
    /// The text ends with this chunk.
    last: bool,
}

impl<'a> Records<'a> {
    /// `bytes` are whole records; where the text ends here (`last`), the last one may lack its newline.
    pub fn new(framing: Framing, bytes: &'a [u8], last: bool) -> Self {
        Self { framing, bytes, at: 0, last }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() {
            return None;
        }
        let newline = match self.framing {
            Framing::Lines => memchr(b'\n', rest),
            Framing::Csv => csv_newline(rest, self.last).or_else(|| if self.last { None } else { memchr(b'\n', rest) }),
        };
        let start = self.at;
        let (mut bytes, terminated) = newline.map_or((rest, false), |newline| (&rest[..newline], true));
        self.at += bytes.len() + usize::from(terminated);
        if let [line @ .., b'\r'] = bytes {
            bytes = line;
        }
        Some(Record { start, bytes, terminated })
    }
}

/// The end of the last whole record of `bytes`, its newline included; 0 where there is none yet.
pub fn last_end(framing: Framing, bytes: &[u8]) -> usize {
    match framing {
        Framing::Lines => memrchr(b'\n', bytes).map_or(0, |newline| newline + 1),
        Framing::Csv => {
            let mut end = 0;
            while let Some(newline) = csv_newline(&bytes[end..], true) {
                end += newline + 1;
            }
            end
        }
    }
}

/// The newline that ends the CSV record at the start of `bytes`. `None`: more bytes are needed to tell. `open`: bytes
/// may follow or the text ends, so an open quote waits; else it belongs to its line.
fn csv_newline(bytes: &[u8], open: bool) -> Option<usize> {
    let mut at = 0;
    loop {
        let found = at + memchr2(b'"', b'\n', &bytes[at..])?;
        if bytes[found] == b'\n' {
            return Some(found);
        }
        let opens = found == 0 || matches!(bytes[found - 1], b',' | b';' | b'\t' | b'|');
        if !opens {
            at = found + 1;
            continue;
        }
        match closing_quote(bytes, found + 1) {
            Some(close) => at = close + 1,
            None if bytes.len() < CSV_RECORD_BYTES && open => return None,
            None => return memchr(b'\n', bytes),
        }
    }
}

/// The quote that closes the field whose text begins at `from`, within the limit of a record.
fn closing_quote(bytes: &[u8], from: usize) -> Option<usize> {
    let limit = bytes.len().min(CSV_RECORD_BYTES);
    let mut at = from;
    while at < limit {
        let quote = at + memchr(b'"', &bytes[at..limit])?;
        if bytes.get(quote + 1) != Some(&b'"') {
            return Some(quote);
        }
        at = quote + 2;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(framing: Framing, text: &[u8]) -> Vec<(usize, String, bool)> {
        Records::new(framing, text, true)
            .map(|record| (record.start, String::from_utf8_lossy(record.bytes).into_owned(), record.terminated))
            .collect()
    }

    fn rows(expected: &[(usize, &str, bool)]) -> Vec<(usize, String, bool)> {
        expected.iter().map(|(start, text, ended)| (*start, (*text).to_owned(), *ended)).collect()
    }

    #[test]
    fn lines() {
        let text = b"a\r\n\nb\0c\nlast\r";
        assert_eq!(
            split(Framing::Lines, text),
            rows(&[(0, "a", true), (3, "", true), (4, "b\0c", true), (8, "last", false)])
        );
        assert_eq!(last_end(Framing::Lines, text), 8);
        assert_eq!(last_end(Framing::Lines, b"none"), 0);
    }

    #[test]
    fn csv_records_span_lines_inside_quotes() {
        let text = b"a,\"x\ny \"\"q\"\"\",b\r\nc,5\" pipe,d\n\"half\nopen";
        assert_eq!(
            split(Framing::Csv, text),
            rows(&[(0, "a,\"x\ny \"\"q\"\"\",b", true), (17, "c,5\" pipe,d", true), (29, "\"half\nopen", false)])
        );
        assert_eq!(last_end(Framing::Csv, text), 29);
    }

    #[test]
    fn a_stray_quote_does_not_swallow_the_file() {
        let mut text = b"a,\"stray\n".to_vec();
        while text.len() < CSV_RECORD_BYTES + 10 {
            text.extend_from_slice(b"u,v\n");
        }
        let end = last_end(Framing::Csv, &text);
        assert_eq!(end, text.len());
        let whole: Vec<_> = split(Framing::Csv, &text);
        assert_eq!((whole[0].1.as_str(), whole[1].1.as_str()), ("a,\"stray", "u,v"));
        // Cut right behind the stray line, as a chunk may be.
        let mut part = Records::new(Framing::Csv, &text[..13], false);
        assert_eq!(part.next().unwrap().bytes, b"a,\"stray");
        assert_eq!(part.next().unwrap().bytes, b"u,v");
    }
}
