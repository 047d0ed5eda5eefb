//! JSON text as values whose numbers are still what was written.

use std::borrow::Cow;
use std::fmt;

/// How deep values may nest.
const DEPTH: usize = 128;

/// A value of a JSON text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    /// The digits as they were written.
    Number(Cow<'a, str>),
    String(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    Object(Members<'a>),
}

/// The members of an object, in their order. No name occurs twice.
pub(crate) type Members<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

/// Cut to what a message bears.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Null => "null",
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::Number(digits) => digits,
            Self::String(text) => {
                let mut shown = String::new();
                super::write::push_text(&mut shown, text);
                return f.write_str(&cut(&shown));
            }
            Self::Array(_) => "a list",
            Self::Object(_) => "an object",
        };
        f.write_str(&cut(text))
    }
}

/// The start of a text.
pub(crate) fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(40) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// Why a text is no JSON value.
#[derive(Debug, PartialEq)]
pub(crate) struct Broken {
    pub(crate) message: String,
    pub(crate) hint: Option<&'static str>,
    /// Where, in bytes.
    pub(crate) at: usize,
}

/// The one value that a text is.
pub(crate) fn parse(text: &str) -> Result<Value<'_>, Broken> {
    let mut parser = Parser { text, at: 0 };
    parser.space();
    let value = parser.value(0)?;
    parser.space();
    match parser.peek() {
        None => Ok(value),
        Some(_) => Err(parser.broken("text follows the value")),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn broken(&self, message: impl Into<String>) -> Broken {
        Broken {
            message: message.into(),
            hint: None,
            at: self.at,
        }
    }

    /// What is not expected here: the end, or a character.
    fn unexpected(&self, wanted: &str) -> Broken {
        match self
            .text
            .get(self.at..)
            .and_then(|rest| rest.chars().next())
        {
            None => self.broken(format!("the text breaks off where {wanted} should be")),
            Some(other) => self.broken(format!("{other:?} stands where {wanted} should be")),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, Broken> {
        if depth > DEPTH {
            return Err(self.broken(format!(
                "values nest deeper than {DEPTH}, which is the limit of recursion"
            )));
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => match self.no_number() {
                Some(broken) => Err(broken),
                None => Err(self.unexpected("a value")),
            },
        }
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, Broken> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(value);
        }
        Err(self
            .no_number()
            .unwrap_or_else(|| self.unexpected("a value")))
    }

    /// The words that Python and others write for floats that are no finite number.
    fn no_number(&self) -> Option<Broken> {
        let rest = &self.text[self.at..];
        let word = ["NaN", "nan", "Infinity", "-Infinity", "inf", "-inf"]
            .into_iter()
            .find(|word| rest.starts_with(word))?;
        let mut broken = self.broken(format!("{word} is no JSON value"));
        broken.hint = Some("write such a number as text, \"NaN\", \"inf\" or \"-inf\", or as null");
        Some(broken)
    }

    fn object(&mut self, depth: usize) -> Result<Value<'a>, Broken> {
        self.at += 1;
        let mut members: Members<'a> = Vec::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key"));
            }
            let start = self.at;
            let key = self.string()?;
            // Few members are looked through more quickly than they are hashed.
            if members.len() < 32 && members.iter().any(|(known, _)| *known == key) {
                self.at = start;
                return Err(self.broken(format!("the key {key:?} occurs twice in one object")));
            }
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("a colon"));
            }
            self.at += 1;
            self.space();
            let value = self.value(depth + 1)?;
            members.push((key, value));
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.unexpected("a comma or a closing brace")),
            }
        }
        self.at += 1;
        if members.len() >= 32 {
            let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_ref()).collect();
            names.sort_unstable();
            if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(
                    self.broken(format!("the key {:?} occurs twice in one object", pair[0]))
                );
            }
        }
        Ok(Value::Object(members))
    }

    fn array(&mut self, depth: usize) -> Result<Value<'a>, Broken> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            self.space();
            items.push(self.value(depth + 1)?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.unexpected("a comma or a closing bracket")),
            }
        }
        self.at += 1;
        Ok(Value::Array(items))
    }

    fn number(&mut self) -> Result<Value<'a>, Broken> {
        if let Some(broken) = self.no_number() {
            return Err(broken);
        }
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.unexpected("a digit")),
        }
        if matches!(self.peek(), Some(b'0'..=b'9')) {
            let mut broken = self.broken("a number begins with a zero");
            broken.hint = Some("put labels such as \"007\" into quotes");
            return Err(broken);
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(Value::Number(Cow::Borrowed(&self.text[start..self.at])))
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), Broken> {
        let start = self.at;
        self.digits();
        match self.at > start {
            true => Ok(()),
            false => Err(self.unexpected("a digit")),
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Broken> {
        self.at += 1;
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut owned: Option<String> = None;
        let mut from = start;
        loop {
            match bytes.get(self.at) {
                Some(b'"') => {
                    let rest = &self.text[from..self.at];
                    self.at += 1;
                    return Ok(match owned {
                        None => Cow::Borrowed(rest),
                        Some(mut text) => {
                            text.push_str(rest);
                            Cow::Owned(text)
                        }
                    });
                }
                Some(b'\\') => {
                    let text = owned.get_or_insert_default();
                    text.push_str(&self.text[from..self.at]);
                    let character = self.escape()?;
                    owned.get_or_insert_default().push(character);
                    from = self.at;
                }
                Some(0..=0x1f) => {
                    return Err(
                        self.broken("a control character stands in a text without being escaped")
                    );
                }
                Some(_) => self.at += 1,
                None => return Err(self.unexpected("the end of a text")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Broken> {
        self.at += 1;
        let letter = self.peek();
        let plain = match letter {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.unexpected("an escaped character")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// The character of `uXXXX`, or of two of them that are one.
    fn unicode(&mut self) -> Result<char, Broken> {
        let start = self.at;
        let lone = |parser: &mut Self| {
            parser.at = start;
            parser.broken("half of a surrogate pair is no character")
        };
        let first = self.hex()?;
        let code = match first {
            0xd800..=0xdbff => {
                if !self.text[self.at..].starts_with("\\u") {
                    return Err(lone(self));
                }
                self.at += 1;
                let second = self.hex()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(lone(self));
                }
                0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            code => code,
        };
        char::from_u32(code).ok_or_else(|| lone(self))
    }

    fn hex(&mut self) -> Result<u32, Broken> {
        let digits = self.text.get(self.at + 1..self.at + 5);
        let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(code) => {
                self.at += 5;
                Ok(code)
            }
            None => Err(self.broken("\\u needs four hexadecimal digits")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_was_written() {
        let text = r#" {"a": [1.10, -0, 18446744073709551617], "b\u00e4\ud83d\ude00": "x\n", "c": {}, "d": null, "e": true} "#;
        let Value::Object(members) = parse(text).unwrap() else {
            panic!("no object");
        };
        let numbers = ["1.10", "-0", "18446744073709551617"].map(|n| Value::Number(n.into()));
        assert_eq!(members[0].1, Value::Array(numbers.into()));
        assert_eq!(members[1].0, "bä😀");
        assert_eq!(members[1].1, Value::String("x\n".into()));
        // What serde_json reads is read, and what it refuses is refused.
        for text in [
            "1",
            "\"\"",
            "[]",
            "[ ]",
            "{}",
            "-1e5",
            "1.0E+7",
            "\"\\/\"",
            " null ",
            "",
            "{",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "tru",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\t\"",
            "{\"a\":1,}",
            "[1]]",
            "'a'",
            "\"\\u12g4\"",
        ] {
            let serde = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert_eq!(parse(text).is_ok(), serde, "{text}");
        }
        assert!(
            parse(r#"{"a":1,"a":2}"#)
                .unwrap_err()
                .message
                .contains("twice")
        );
        let many: Vec<String> = (0..40).map(|i| format!("\"k{}\":1", i % 39)).collect();
        assert!(
            parse(&format!("{{{}}}", many.join(",")))
                .unwrap_err()
                .message
                .contains("twice")
        );
        assert!(parse("[NaN]").unwrap_err().hint.is_some());
        assert!(parse("-Infinity").unwrap_err().hint.is_some());
        assert!(
            parse(&"[".repeat(100_000))
                .unwrap_err()
                .message
                .contains("recursion")
        );
    }
}
