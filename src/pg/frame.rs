//! Messages as bytes: where one ends, and whether it is one. What is none does not come to the protocol's decoder.

use bytes::BytesMut;

use crate::limits;

/// The longest message before a client is known.
const LONGEST_GREETING: usize = 10_000;

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    TooLong,
    Shape,
    /// A text that is no UTF-8.
    Text,
}

/// Which messages may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first ones have no letter.
    Greeting,
    /// The first answer to the question for a password.
    FirstPassword,
    Any,
}

/// Cuts the next message off what has come; nothing where it is not whole yet.
///
/// # Errors
/// It is none.
pub(super) fn cut(bytes: &mut BytesMut, kind: Kind) -> Result<Option<BytesMut>, Bad> {
    let letter = usize::from(kind != Kind::Greeting);
    let Some(head) = bytes.get(letter..letter + 4).and_then(|head| head.try_into().ok()) else { return Ok(None) };
    let (least, most) = if letter == 0 { (8, LONGEST_GREETING) } else { (4, limits::PG_MESSAGE_BYTES) };
    let long = usize::try_from(u32::from_be_bytes(head)).map_err(|_| Bad::TooLong)?;
    if long < least {
        return Err(Bad::Shape);
    }
    if long > most {
        return Err(if letter == 0 { Bad::Shape } else { Bad::TooLong });
    }
    if bytes.len() < letter + long {
        return Ok(None);
    }
    let message = bytes.split_to(letter + long);
    if letter == 1 {
        let mut body = Body(&message[5..]);
        body.is_of(message[0], kind == Kind::FirstPassword)?;
        body.is_empty()?;
    }
    Ok(Some(message))
}

/// What is left of a message's body.
struct Body<'a>(&'a [u8]);

impl Body<'_> {
    /// Takes what a message of this letter consists of.
    fn is_of(&mut self, letter: u8, is_first_password: bool) -> Result<(), Bad> {
        match letter {
            b'Q' | b'f' => self.text(),
            b'P' => {
                self.text()?;
                self.text()?;
                self.numbers(4)
            }
            b'B' => {
                self.text()?;
                self.text()?;
                self.numbers(2)?;
                for _ in 0..self.number(2)? {
                    self.value()?;
                }
                self.numbers(2)
            }
            b'E' => {
                self.text()?;
                self.skip(4)
            }
            b'D' | b'C' => {
                self.skip(1)?;
                self.text()
            }
            b'p' if is_first_password => {
                self.text()?;
                self.value()
            }
            b'p' | b'd' => self.skip(self.0.len()),
            b'H' | b'S' | b'X' | b'c' => Ok(()),
            _ => Err(Bad::Shape),
        }
    }

    fn skip(&mut self, count: usize) -> Result<(), Bad> {
        self.0 = self.0.get(count..).ok_or(Bad::Shape)?;
        Ok(())
    }

    fn is_empty(&self) -> Result<(), Bad> {
        if self.0.is_empty() { Ok(()) } else { Err(Bad::Shape) }
    }

    /// A text with the zero behind it.
    fn text(&mut self) -> Result<(), Bad> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(Bad::Shape)?;
        std::str::from_utf8(&self.0[..end]).map_err(|_| Bad::Text)?;
        self.skip(end + 1)
    }

    /// A number of so many bytes.
    fn number(&mut self, bytes: usize) -> Result<usize, Bad> {
        let head = self.0.get(..bytes).ok_or(Bad::Shape)?;
        let number = head.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
        self.skip(bytes)?;
        Ok(number)
    }

    /// How many there are, and as many of so many bytes each.
    fn numbers(&mut self, each: usize) -> Result<(), Bad> {
        let count = self.number(2)?;
        self.skip(count * each)
    }

    /// How long it is, and as many bytes; −1 is nothing.
    fn value(&mut self) -> Result<(), Bad> {
        match self.number(4)? {
            0xffff_ffff => Ok(()),
            long => self.skip(long),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_of(bytes: &[u8], kind: Kind) -> Result<Option<usize>, Bad> {
        cut(&mut BytesMut::from(bytes), kind).map(|message| message.map(|message| message.len()))
    }

    #[test]
    fn messages_are_cut_where_they_end() {
        assert_eq!(cut_of(b"Q\0\0\0\x06x\0S\0\0\0\x04", Kind::Any), Ok(Some(7)));
        assert_eq!(cut_of(b"Q\0\0\0\x06x", Kind::Any), Ok(None));
        assert_eq!(cut_of(b"\0\0\0\x08\x04\xd2\x16\x2f more", Kind::Greeting), Ok(Some(8)));
        assert_eq!(cut_of(b"B\0\0\0\x14\0\0\0\0\0\x02\xff\xff\xff\xff\0\0\0\0\0\0", Kind::Any), Ok(Some(21)));
        assert_eq!(cut_of(b"p\0\0\0\x0bX\0\0\0\0\x01y", Kind::FirstPassword), Ok(Some(12)));
    }

    #[test]
    fn what_is_no_message_is_found() {
        for (bytes, kind, bad) in [
            (&b"Q\0\0\0\x03"[..], Kind::Any, Bad::Shape),
            (b"Q\0\0\0\x05x", Kind::Any, Bad::Shape),
            (b"Q\0\0\0\x07x\0y", Kind::Any, Bad::Shape),
            (b"Q\0\0\0\x06\xff\0", Kind::Any, Bad::Text),
            (b"Q\x7f\xff\xff\xff", Kind::Any, Bad::TooLong),
            (b"\xff\xff\xff\xff", Kind::Greeting, Bad::Shape),
            (b"B\0\0\0\x0c\0\0\xff\xff\xff\xff\xff\xff", Kind::Any, Bad::Shape),
            (b"E\0\0\0\x05\0", Kind::Any, Bad::Shape),
            (b"D\0\0\0\x04", Kind::Any, Bad::Shape),
            (b"P\0\0\0\x08\0x\0\0", Kind::Any, Bad::Shape),
            (b"p\0\0\0\x0aX\0\0\0\0\xff", Kind::FirstPassword, Bad::Shape),
            (b"\x01\0\0\0\x04", Kind::Any, Bad::Shape),
        ] {
            assert_eq!(cut_of(bytes, kind), Err(bad), "{bytes:?}");
        }
    }
}
