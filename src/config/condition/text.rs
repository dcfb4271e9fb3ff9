//! The text of a condition: its pieces, and errors that point at them.

/// A piece of the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'t> {
    /// A name or a key word.
    Word(&'t str),
    /// `"a name"`
    Quoted(&'t str),
    Text(String),
    Number(&'t str),
    Sign(&'t str),
    End,
}

pub(super) struct Reader<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
    /// Conditions that the place is inside of.
    pub(super) depth: usize,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// Takes the next token if it is this sign or key word.
    pub(super) fn takes(&mut self, wanted: &str) -> Result<bool, String> {
        let before = self.at;
        let found = match self.next()? {
            Token::Sign(sign) => sign == wanted,
            Token::Word(word) => word.eq_ignore_ascii_case(wanted),
            _ => false,
        };
        if !found {
            self.at = before;
        }
        Ok(found)
    }

    pub(super) fn needs(&mut self, wanted: &str) -> Result<(), String> {
        if self.takes(wanted)? { Ok(()) } else { Err(self.expected(&wanted.to_uppercase())) }
    }

    pub(super) fn peek(&mut self) -> Result<Token<'t>, String> {
        let before = self.at;
        let token = self.next();
        self.at = before;
        token
    }

    pub(super) fn next(&mut self) -> Result<Token<'t>, String> {
        let start = self.skip_blank();
        let rest = &self.text[start..];
        let Some(first) = rest.chars().next() else { return Ok(Token::End) };
        let while_ = |is_part: fn(char) -> bool| rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (token, len) = match first {
            '\'' => return self.quoted_text(start),
            '"' => {
                let Some(end) = rest[1..].find('"') else { return Err(self.mark(start, "a name without its end")) };
                (Token::Quoted(&rest[1..=end]), end + 2)
            }
            c if c.is_ascii_digit() || c == '-' || c == '+' => {
                let len =
                    1 + rest[1..].find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len() - 1);
                (Token::Number(&rest[..len]), len)
            }
            c if is_name(c) => {
                let len = while_(is_name);
                (Token::Word(&rest[..len]), len)
            }
            _ if rest.starts_with("!=") || rest.starts_with("<>") => (Token::Sign(&rest[..2]), 2),
            '=' | '(' | ')' | ',' | '.' => (Token::Sign(&rest[..1]), 1),
            _ => return Err(self.mark(start, &format!("'{first}' has no place here"))),
        };
        self.at = start + len;
        Ok(token)
    }

    fn quoted_text(&mut self, start: usize) -> Result<Token<'t>, String> {
        let mut text = String::new();
        let mut at = start + 1;
        while let Some(len) = self.text[at..].find('\'') {
            text.push_str(&self.text[at..at + len]);
            at += len + 1;
            if !self.text[at..].starts_with('\'') {
                self.at = at;
                return Ok(Token::Text(text));
            }
            text.push('\'');
            at += 1;
        }
        Err(self.mark(start, "a text without its end"))
    }

    pub(super) fn skip_blank(&mut self) -> usize {
        self.at = self.text.len() - self.text[self.at..].trim_start().len();
        self.at
    }

    pub(super) fn expected(&mut self, what: &str) -> String {
        let at = self.skip_blank();
        self.expected_at(at, what)
    }

    pub(super) fn expected_at(&self, at: usize, what: &str) -> String {
        self.mark(at, &format!("expected {what}"))
    }

    pub(super) fn wrong(&mut self, what: &str) -> String {
        let at = self.skip_blank();
        self.mark(at, what)
    }

    /// The text with a mark at the token.
    pub(super) fn mark(&self, at: usize, what: &str) -> String {
        let (good, bad) = self.text.split_at(at);
        format!("{what}: {}⟨here⟩{}", good.replace('\n', " "), bad.replace('\n', " "))
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '@' | '-')
}
