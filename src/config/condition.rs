//! A condition over one event as it was read: the small part of SQL that an ingest can decide line by line.
//!
//! ```text
//! condition = conjunction { OR conjunction }             comparison = field (= | != | <>) literal
//! conjunction = factor { AND factor }                                | field [NOT] IN ( literal {, literal} )
//! factor = NOT factor | ( condition ) | comparison                   | field IS [NOT] NULL
//! literal = 'text' | number | true | false               field = a name of FIELDS | properties.name{.name}
//! ```
//! A name with other characters than letters, digits, `_`, `$`, `@` and `-` is quoted: `properties."opt in"`. Key
//! words in any case; `''` is a quote inside a text.
//!
//! Deliberately not here: what an event's field holds (`privacy/`).

mod text;

use crate::error::did_you_mean;
use text::{Reader, Token};

/// Conditions inside conditions.
const DEPTH: usize = 32;

/// What a condition says.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// At least one holds.
    Any(Vec<Self>),
    /// All hold.
    All(Vec<Self>),
    Not(Box<Self>),
    IsNull(Field),
    /// The field is one of these.
    In(Field, Vec<Literal>),
}

/// A field of an event as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    Event,
    Path,
    Method,
    Status,
    Bytes,
    Referrer,
    UserAgent,
    Ip,
    UserId,
    AnonymousId,
    SessionId,
    EventId,
}

/// What a condition asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    Plain(Plain),
    /// The way into the properties.
    Property(Vec<String>),
}

/// A value to compare with.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    Text(String),
    /// As it was written, and its value.
    Number(String, f64),
    Bool(bool),
}

/// The names of fields: those that the columns have, and those that inputs use.
const FIELDS: [(&str, Plain); 14] = [
    ("event", Plain::Event),
    ("path", Plain::Path),
    ("method", Plain::Method),
    ("status", Plain::Status),
    ("bytes", Plain::Bytes),
    ("referrer", Plain::Referrer),
    ("user_agent", Plain::UserAgent),
    ("ip", Plain::Ip),
    ("user_id", Plain::UserId),
    ("raw_user_id", Plain::UserId),
    ("anonymous_id", Plain::AnonymousId),
    ("session_id", Plain::SessionId),
    ("source_session_id", Plain::SessionId),
    ("event_id", Plain::EventId),
];

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// What was expected, with the text and a mark at the place.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader::new(text);
        let condition = reader.any()?;
        match reader.peek()? {
            Token::End => Ok(condition),
            _ => Err(reader.expected("AND, OR or the end")),
        }
    }
}

impl Field {
    /// Reads a field by itself.
    ///
    /// # Errors
    /// What was expected, with the text and a mark at the place.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader::new(text);
        let field = reader.field()?;
        match reader.peek()? {
            Token::End => Ok(field),
            _ => Err(reader.expected("the end")),
        }
    }
}

impl Reader<'_> {
    fn any(&mut self) -> Result<Condition, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.wrong("too many conditions inside conditions"));
        }
        let mut all = vec![self.all()?];
        while self.takes("or")? {
            all.push(self.all()?);
        }
        self.depth -= 1;
        Ok(if all.len() > 1 { Condition::Any(all) } else { all.remove(0) })
    }

    fn all(&mut self) -> Result<Condition, String> {
        let mut all = vec![self.factor()?];
        while self.takes("and")? {
            all.push(self.factor()?);
        }
        Ok(if all.len() > 1 { Condition::All(all) } else { all.remove(0) })
    }

    fn factor(&mut self) -> Result<Condition, String> {
        let mut negated = false;
        while self.takes("not")? {
            negated = !negated;
        }
        let condition = if self.takes("(")? {
            let inner = self.any()?;
            self.needs(")")?;
            inner
        } else {
            self.comparison()?
        };
        Ok(negate(condition, negated))
    }

    fn comparison(&mut self) -> Result<Condition, String> {
        let field = self.field()?;
        if self.takes("is")? {
            let negated = self.takes("not")?;
            self.needs("null")?;
            return Ok(negate(Condition::IsNull(field), negated));
        }
        let negated = self.takes("not")?;
        if self.takes("in")? {
            self.needs("(")?;
            let mut values = vec![self.literal()?];
            while self.takes(",")? {
                values.push(self.literal()?);
            }
            self.needs(")")?;
            return Ok(negate(Condition::In(field, values), negated));
        }
        if negated {
            return Err(self.expected("IN"));
        }
        let differs = self.takes("!=")? || self.takes("<>")?;
        if !differs && !self.takes("=")? {
            return Err(self.expected("=, !=, IN or IS"));
        }
        Ok(negate(Condition::In(field, vec![self.literal()?]), differs))
    }

    fn field(&mut self) -> Result<Field, String> {
        let start = self.skip_blank();
        let (first, quoted) = match self.next()? {
            Token::Word(word) => (word, false),
            Token::Quoted(name) => (name, true),
            _ => return Err(self.expected_at(start, "a field")),
        };
        let mut names = Vec::new();
        while self.takes(".")? {
            let at = self.skip_blank();
            match self.next()? {
                Token::Word(name) | Token::Quoted(name) => names.push(name.to_owned()),
                _ => return Err(self.expected_at(at, "a name")),
            }
        }
        let plain = FIELDS.iter().find(|(name, _)| !quoted && name.eq_ignore_ascii_case(first));
        if let (Some((_, plain)), true) = (plain, names.is_empty()) {
            return Ok(Field::Plain(*plain));
        }
        if first.eq_ignore_ascii_case("properties") && !names.is_empty() {
            return Ok(Field::Property(names));
        }
        let known = FIELDS.iter().map(|(name, _)| *name).chain(["properties"]);
        let hint = match first {
            // It is derived from the path, after the masks.
            "page" => "use path, or a field of properties".to_owned(),
            "properties" => "name one of them, such as properties.consent".to_owned(),
            first => did_you_mean(first, known)
                .unwrap_or_else(|| format!("what is no column is one of the properties: properties.{first}")),
        };
        let what = format!("no field '{}'", self.text[start..self.at].trim());
        Err(format!("{} – {hint}", self.mark(start, &what)))
    }

    fn literal(&mut self) -> Result<Literal, String> {
        let start = self.skip_blank();
        match self.next()? {
            Token::Text(text) => Ok(Literal::Text(text)),
            Token::Number(text) => match text.parse() {
                Ok(value) => Ok(Literal::Number(text.to_owned(), value)),
                Err(_) => Err(self.mark(start, &format!("'{text}' is no number"))),
            },
            Token::Word(word) if word.eq_ignore_ascii_case("true") => Ok(Literal::Bool(true)),
            Token::Word(word) if word.eq_ignore_ascii_case("false") => Ok(Literal::Bool(false)),
            Token::Word(word) if word.eq_ignore_ascii_case("null") => {
                Err(format!("{} – write IS NULL or IS NOT NULL", self.mark(start, "nothing equals NULL")))
            }
            Token::Word(word) => Err(self.expected_at(start, &format!("a value; a text stands in quotes: '{word}'"))),
            _ => Err(self.expected_at(start, "a value: 'text', a number, true or false")),
        }
    }
}

fn negate(condition: Condition, negated: bool) -> Condition {
    if negated { Condition::Not(Box::new(condition)) } else { condition }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(name: &str) -> Field {
        Field::Property(vec![name.to_owned()])
    }

    #[test]
    fn what_is_understood() {
        let consent = Condition::In(property("consent"), vec![Literal::Bool(true)]);
        for text in ["properties.consent = true", "(properties.\"consent\"=TRUE)", "NOT NOT properties.consent = true"]
        {
            assert_eq!(Condition::parse(text).unwrap(), consent, "{text}");
        }
        let text = Condition::In(Field::Plain(Plain::Event), vec![Literal::Text("it's".to_owned())]);
        assert_eq!(Condition::parse("event = 'it''s'").unwrap(), text);
        let differs = Condition::Not(Box::new(text));
        assert_eq!(Condition::parse("event <> 'it''s'").unwrap(), differs);
        assert_eq!(Condition::parse("event != 'it''s'").unwrap(), differs);
        assert_eq!(Condition::parse("event NOT IN ('it''s')").unwrap(), differs);
        let numbers = vec![Literal::Number("1".to_owned(), 1.0), Literal::Number("-2.5e1".to_owned(), -25.0)];
        assert_eq!(
            Condition::parse("properties.a.b-c IN (1, -2.5e1)").unwrap(),
            Condition::In(Field::Property(vec!["a".to_owned(), "b-c".to_owned()]), numbers)
        );
        let Condition::Any(either) = Condition::parse("ip IS NULL OR ip IS NOT NULL AND (status = 200)").unwrap()
        else {
            panic!("AND binds stronger than OR");
        };
        assert!(matches!(&either[..], [Condition::IsNull(_), Condition::All(_)]));
    }

    #[test]
    fn errors_point_at_the_token() {
        for (text, said) in [
            (
                "propertis.consent = true",
                "no field 'propertis.consent': ⟨here⟩propertis.consent = true – did you mean 'properties'?",
            ),
            ("consent = true", "⟨here⟩consent = true – what is no column is one of the properties: properties.consent"),
            ("properties = 1", "⟨here⟩properties = 1 – name one of them, such as properties.consent"),
            ("page = '/'", "⟨here⟩page = '/' – use path, or a field of properties"),
            ("ip = yes", "a text stands in quotes: 'yes': ip = ⟨here⟩yes"),
            ("ip = NULL", "nothing equals NULL: ip = ⟨here⟩NULL – write IS NULL or IS NOT NULL"),
            ("ip = 'x", "a text without its end: ip = ⟨here⟩'x"),
            ("ip = 'x' ip", "expected AND, OR or the end: ip = 'x' ⟨here⟩ip"),
            ("ip > 'x'", "'>' has no place here: ip ⟨here⟩> 'x'"),
            ("ip", "expected =, !=, IN or IS: ip⟨here⟩"),
            ("ip IS nul", "expected NULL: ip IS ⟨here⟩nul"),
            ("(ip = 'x'", "expected ): (ip = 'x'⟨here⟩"),
            ("status IN ()", "expected a value: 'text', a number, true or false: status IN (⟨here⟩)"),
            ("status = 1x", "'1x' is no number: status = ⟨here⟩1x"),
            ("", "expected a field: ⟨here⟩"),
        ] {
            let error = Condition::parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        assert!(Condition::parse(&"(".repeat(100)).unwrap_err().contains("too many"));
    }
}
