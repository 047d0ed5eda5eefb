//! Filters from SQL text.
//!
//! The `sqlparser` crate cuts the text into tokens; the grammar is small, and parsing it here keeps messages about
//! filters, long chains flat and the recursion bounded.

use sqlparser::dialect::Dialect;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};

use super::{CompareOp, Decimal, Expr, Operand, Pattern, Value};
use crate::error::{Error, ErrorKind, Result};

/// How deeply parentheses and NOT may be nested.
const MAX_DEPTH: usize = 100;
/// How many parts a column's name may have, as in the reference.
const MAX_NAME_PARTS: usize = 4;

impl Expr {
    /// Parses a filter of the language described at [the module](super).
    ///
    /// Names are case-sensitive, and double quotes quote them; `a.b` and `"a"."b"` are the column `a.b`. Text stands in
    /// single quotes, where `''` is a quote and a backslash nothing special; a [`Pattern`] after LIKE and ILIKE as well. `!` is NOT, `==` is `=`, and `x ISNULL`,
    /// `x NOTNULL` and `x NOT NULL` are accepted. One `;` may end the filter. Numbers with an exponent are floating-point.
    ///
    /// ```
    /// use metaxy_core::expr::{Expr, col};
    /// assert_eq!(Expr::parse("size = NULL")?, col("size").is_null());
    /// assert!(Expr::parse("size BETWEEN 1 AND 3").is_err());
    /// # Ok::<(), metaxy_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFilter`] with the place in the text: for anything outside the language, for conditions nested
    /// more than 100 levels deep, and for a filter that looks at no column.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parser = Parser::new(text)?;
        let filter = parser.whole().map_err(|error| error.with_hint(LANGUAGE))?;
        if filter.columns().is_empty() {
            return Err(no_column(&filter).with_context("filter", shortened(text)));
        }
        Ok(filter)
    }
}

impl std::str::FromStr for Expr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// The error for a filter that is the same for every row.
pub(super) fn no_column(filter: &Expr) -> Error {
    Error::new(
        ErrorKind::InvalidFilter,
        format!("the filter `{}` names no column", shortened(&filter.to_string())),
    )
    .with_hint("leave the filter out to take every row; text stands in single quotes, names in double quotes")
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<TokenWithSpan>,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self> {
        let tokens = Tokenizer::new(&FilterLanguage, text)
            .tokenize_with_location()
            .map_err(|error| {
                Error::new(
                    ErrorKind::InvalidFilter,
                    format!(
                        "the filter cannot be read: {} (line {}, column {})",
                        error.message.trim_end_matches('.'),
                        error.location.line,
                        error.location.column
                    ),
                )
                .with_hint("close every quote and comment; a quote inside text is written twice")
                .with_context("filter", shortened(text))
            })?;
        let tokens = tokens
            .into_iter()
            .filter(|token| !matches!(token.token, Token::Whitespace(_)))
            .collect();
        Ok(Self {
            text,
            tokens,
            at: 0,
            depth: 0,
        })
    }

    fn whole(&mut self) -> Result<Expr> {
        if *self.peek() == Token::EOF {
            return Err(self
                .error("the filter is empty")
                .with_hint("leave the filter out to take every row"));
        }
        let filter = self.condition()?;
        if self.take(&Token::SemiColon) && *self.peek() != Token::EOF {
            return Err(self.unexpected("the end after `;`"));
        }
        if *self.peek() != Token::EOF {
            return Err(self.unexpected("AND, OR or the end"));
        }
        Ok(filter)
    }

    fn condition(&mut self) -> Result<Expr> {
        let first = self.conjunction()?;
        let mut list = vec![first];
        while self.take_word("OR") {
            list.push(self.conjunction()?);
        }
        Ok(one_or(list, Expr::Or))
    }

    fn conjunction(&mut self) -> Result<Expr> {
        let first = self.negation()?;
        let mut list = vec![first];
        while self.take_word("AND") {
            list.push(self.negation()?);
        }
        Ok(one_or(list, Expr::And))
    }

    fn negation(&mut self) -> Result<Expr> {
        let Some(times) = self.negations() else {
            return self.predicate();
        };
        self.at += 1;
        // As many levels as there are when the filter is shown, which has to parse again: `NOT a = 1` as `NOT (a = 1)`.
        let shown = self.negations().is_none() && *self.peek() != Token::LParen;
        let levels = times + usize::from(shown);
        for _ in 0..levels {
            self.enter()?;
        }
        let mut inner = self.negation()?;
        self.depth -= levels;
        for _ in 0..times {
            inner = !inner;
        }
        Ok(inner)
    }

    /// How often the next token negates, if it does.
    fn negations(&self) -> Option<usize> {
        match self.peek() {
            Token::ExclamationMark => Some(1),
            Token::DoubleExclamationMark => Some(2),
            _ if self.is_word("NOT") => Some(1),
            _ => None,
        }
    }

    /// A condition without AND, OR and NOT outside parentheses.
    fn predicate(&mut self) -> Result<Expr> {
        if *self.peek() != Token::LParen {
            let operand = self.operand()?;
            return self.test(operand);
        }
        self.at += 1;
        self.enter()?;
        let inner = self.condition()?;
        self.depth -= 1;
        self.close()?;
        match inner {
            // `(size) > 3`
            Expr::Operand(operand) => self.test(operand),
            condition => {
                self.check_end()?;
                Ok(condition)
            }
        }
    }

    /// What is asked of an operand that has been read.
    fn test(&mut self, operand: Operand) -> Result<Expr> {
        let condition = if let Some(op) = comparison(self.peek()) {
            self.at += 1;
            let right = self.operand()?;
            operand.compare(op, right)
        } else if self.take_word("IS") {
            let negated = self.take_word("NOT");
            self.is(operand, negated)?
        } else if self.take_word("ISNULL") {
            operand.is_null()
        } else if self.take_word("NOTNULL") {
            operand.is_not_null()
        } else if self.take_word("IN") {
            self.is_in(operand, false)?
        } else if self.is_word("NOT") && self.is_word_at(self.at + 1, "IN") {
            self.at += 2;
            self.is_in(operand, true)?
        } else if let Some(word) = self.like_word(self.at) {
            self.at += 1;
            self.like(operand, word, false)?
        } else if self.is_word("NOT")
            && let Some(word) = self.like_word(self.at + 1)
        {
            self.at += 2;
            self.like(operand, word, true)?
        } else if self.is_word("NOT") && self.is_word_at(self.at + 1, "NULL") {
            self.at += 2;
            operand.is_not_null()
        } else {
            Expr::Operand(operand)
        };
        self.check_end()?;
        Ok(condition)
    }

    /// What follows IS or IS NOT.
    fn is(&mut self, operand: Operand, negated: bool) -> Result<Expr> {
        if self.take_word("NULL") {
            return Ok(Expr::IsNull { operand, negated });
        }
        for (word, value) in [("TRUE", true), ("FALSE", false)] {
            if self.take_word(word) {
                return Ok(Expr::IsBool {
                    operand,
                    value,
                    negated,
                });
            }
        }
        Err(self
            .unexpected("NULL, TRUE or FALSE after IS")
            .with_hint("use `=` or `<>` to compare with another value or with a column"))
    }

    /// What follows IN or NOT IN.
    fn is_in(&mut self, operand: Operand, negated: bool) -> Result<Expr> {
        if operand.column().is_none() {
            return Err(self.error(&format!(
                "IN asks whether a column is in a list, and {operand} is a literal"
            )));
        }
        if !self.take(&Token::LParen) {
            return Err(self
                .unexpected("a list after IN")
                .with_hint("write the list in parentheses, as in `x IN (1, 2)`"));
        }
        let mut list = Vec::new();
        if !self.take(&Token::RParen) {
            loop {
                if self.is_word("SELECT") || self.is_word("WITH") || self.is_word("VALUES") {
                    return Err(self
                        .unexpected("a literal")
                        .with_hint("filters have no subqueries: list the values"));
                }
                match self.operand()? {
                    Operand::Literal(value) => list.push(value),
                    column @ Operand::Column(_) => {
                        return Err(self
                            .error(&format!(
                                "a list after IN holds literals, and {column} is a column"
                            ))
                            .with_hint("text stands in single quotes; compare columns with `=`"));
                    }
                }
                if !self.take(&Token::Comma) {
                    break;
                }
            }
            self.close()?;
        }
        Ok(Expr::In {
            operand,
            list,
            negated,
        })
    }

    /// LIKE or ILIKE, if it is the token there.
    fn like_word(&self, at: usize) -> Option<&'static str> {
        ["LIKE", "ILIKE"]
            .into_iter()
            .find(|word| self.is_word_at(at, word))
    }

    /// What follows LIKE or ILIKE.
    fn like(&mut self, operand: Operand, word: &str, negated: bool) -> Result<Expr> {
        if operand.column().is_none() {
            return Err(self
                .error(&format!(
                    "{word} asks whether a column is like a pattern, and {operand} is a literal"
                ))
                .with_hint("put the column on the left"));
        }
        let mut pattern = Pattern::new(self.text_after(word, "path LIKE '%.mp4'")?);
        if word == "ILIKE" {
            pattern = pattern.ignoring_case();
        }
        if self.take_word("ESCAPE") {
            let text = self.text_after("ESCAPE", "note LIKE '100!%' ESCAPE '!'")?;
            let mut characters = text.chars();
            let (Some(escape), None) = (characters.next(), characters.next()) else {
                return Err(self
                    .error(&format!(
                        "ESCAPE takes one character, and {} is not one",
                        Value::Text(text)
                    ))
                    .with_hint("write it as in `note LIKE '100!%' ESCAPE '!'`"));
            };
            pattern = pattern
                .with_escape(escape)
                .map_err(|error| error.with_context("filter", shortened(self.text)))?;
        }
        Ok(Expr::Like {
            operand,
            pattern,
            negated,
        })
    }

    fn text_after(&mut self, word: &str, example: &str) -> Result<String> {
        let Token::SingleQuotedString(text) = self.peek() else {
            return Err(self
                .unexpected(&format!("text in single quotes after {word}"))
                .with_hint(format!("write it as in `{example}`")));
        };
        let text = text.clone();
        self.at += 1;
        Ok(text)
    }

    /// A column or a literal, perhaps in parentheses.
    fn operand(&mut self) -> Result<Operand> {
        match self.peek() {
            Token::Word(word) => {
                let word = word.clone();
                self.word(word)
            }
            Token::Number(..) | Token::Plus | Token::Minus => self.number(),
            Token::SingleQuotedString(text) => {
                let text = text.clone();
                self.at += 1;
                Ok(Operand::Literal(Value::Text(text)))
            }
            Token::LParen => {
                self.at += 1;
                self.enter()?;
                let inner = self.operand()?;
                self.depth -= 1;
                self.close()?;
                Ok(inner)
            }
            Token::Placeholder(_) | Token::Colon | Token::AtSign => Err(self
                .unexpected("a column or a literal")
                .with_hint("filters have no parameters: write the value")),
            _ => Err(self.unexpected("a column or a literal")),
        }
    }

    /// TRUE, FALSE, NULL, or a column's name.
    fn word(&mut self, first: Word) -> Result<Operand> {
        if first.quote_style.is_none() {
            let word = first.value.to_ascii_uppercase();
            let literal = match word.as_str() {
                "TRUE" => Some(Value::Bool(true)),
                "FALSE" => Some(Value::Bool(false)),
                "NULL" => Some(Value::Null),
                _ => None,
            };
            if let Some(literal) = literal {
                self.at += 1;
                return Ok(Operand::Literal(literal));
            }
            if let Some((_, hint)) = REFUSED.iter().find(|(refused, _)| *refused == word) {
                return Err(self
                    .unexpected("a column or a literal")
                    .with_hint(hint.replace("{}", &first.value)));
            }
        }
        let mut parts = vec![self.name_part(first)?];
        while self.take(&Token::Period) {
            match self.peek() {
                Token::Word(word) => {
                    let word = word.clone();
                    parts.push(self.name_part(word)?);
                }
                _ => return Err(self.unexpected("a name after `.`")),
            }
        }
        let name = parts.join(".");
        if parts.len() > MAX_NAME_PARTS {
            return Err(self
                .error(&format!(
                    "the column name {name} has more than {MAX_NAME_PARTS} parts"
                ))
                .with_hint("put the whole name in double quotes"));
        }
        if *self.peek() == Token::LParen {
            return Err(self
                .error(&format!(
                    "filters have no functions, and {name} is called like one"
                ))
                .with_hint("compare columns with literals or with other columns"));
        }
        Ok(Operand::Column(name))
    }

    fn name_part(&mut self, word: Word) -> Result<String> {
        if word.value.is_empty() {
            return Err(self.error("a column's name is empty"));
        }
        self.at += 1;
        Ok(word.value)
    }

    /// A number with any signs before it, in any parentheses after a sign: `-(-5)`.
    fn number(&mut self) -> Result<Operand> {
        let mut negative = false;
        let mut parentheses = 0;
        loop {
            match self.peek() {
                Token::Plus => {}
                Token::Minus => negative = !negative,
                Token::LParen => parentheses += 1,
                _ => break,
            }
            self.at += 1;
        }
        let Token::Number(digits, false) = self.peek() else {
            return Err(self
                .unexpected("a number")
                .with_hint("filters do not calculate: a sign stands before a number only"));
        };
        let Some(value) = number(digits, negative) else {
            return Err(self.error(&format!(
                "the number {digits} is beyond what a floating-point number holds"
            )));
        };
        self.at += 1;
        for _ in 0..parentheses {
            self.close()?;
        }
        Ok(Operand::Literal(value))
    }

    fn close(&mut self) -> Result<()> {
        match self.peek() {
            Token::RParen => {
                self.at += 1;
                Ok(())
            }
            Token::EOF => Err(self.error("a parenthesis is not closed")),
            _ => Err(self.unexpected("`)`")),
        }
    }

    /// Refuses what no condition may be followed by, and says why.
    fn check_end(&self) -> Result<()> {
        let next = self.peek();
        let hint = match next {
            Token::EOF | Token::SemiColon | Token::RParen => return Ok(()),
            _ if self.is_word("AND") || self.is_word("OR") => return Ok(()),
            Token::Comma => "filters have no lists except after IN",
            Token::SingleQuotedString(_) => {
                "dates and times are written as plain text, and text in one pair of quotes"
            }
            Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::Mod
            | Token::StringConcat => {
                "filters do not calculate: compare columns with literals or with other columns"
            }
            Token::DoubleColon => {
                "filters do not cast: a literal takes the type of the column beside it"
            }
            Token::Overlap => "write AND",
            _ if comparison(next).is_some()
                || ["IS", "IN", "LIKE", "ILIKE"]
                    .iter()
                    .any(|word| self.is_word(word)) =>
            {
                "a condition cannot be compared: join conditions with AND or OR"
            }
            _ if self.is_word("NOT") && !self.is_word_at(self.at + 1, "BETWEEN") => {
                "filters know NOT IN, NOT LIKE and IS NOT, and NOT before a condition"
            }
            _ if self.is_word("BETWEEN") || self.is_word("NOT") => "write `x >= low AND x <= high`",
            _ if PATTERNS.iter().any(|word| self.is_word(word)) => {
                "filters have no regular expressions: use LIKE or ILIKE, where % stands for any characters and _ for one"
            }
            _ => "join conditions with AND or OR; names with spaces stand in double quotes",
        };
        Err(self
            .unexpected("AND, OR or the end of the condition")
            .with_hint(hint))
    }

    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self
                .error(&format!(
                    "parentheses and NOT are nested more than {MAX_DEPTH} levels deep"
                ))
                .with_hint("chains of AND or OR need no parentheses"));
        }
        Ok(())
    }

    fn peek(&self) -> &Token {
        self.tokens
            .get(self.at)
            .map_or(&Token::EOF, |token| &token.token)
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == token;
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    fn is_word(&self, word: &str) -> bool {
        self.is_word_at(self.at, word)
    }

    fn is_word_at(&self, at: usize, word: &str) -> bool {
        matches!(
            self.tokens.get(at).map(|token| &token.token),
            Some(Token::Word(found)) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word)
        )
    }

    fn unexpected(&self, expected: &str) -> Error {
        let found = match self.peek() {
            Token::EOF => "it ends".to_owned(),
            token => format!("there is `{}`", shortened(&token.to_string())),
        };
        self.error(&format!("expected {expected}, but {found}"))
    }

    fn error(&self, what: &str) -> Error {
        let place = match self.tokens.get(self.at) {
            Some(token) => {
                let start = token.span.start;
                format!(" (line {}, column {})", start.line, start.column)
            }
            None => String::new(),
        };
        Error::new(
            ErrorKind::InvalidFilter,
            format!("the filter cannot be parsed: {what}{place}"),
        )
        .with_context("filter", shortened(self.text))
    }
}

fn one_or(mut list: Vec<Expr>, many: fn(Vec<Expr>) -> Expr) -> Expr {
    match list.pop() {
        Some(only) if list.is_empty() => only,
        last => {
            list.extend(last);
            many(list)
        }
    }
}

fn comparison(token: &Token) -> Option<CompareOp> {
    Some(match token {
        Token::Eq | Token::DoubleEq => CompareOp::Eq,
        Token::Neq => CompareOp::Ne,
        Token::Lt => CompareOp::Lt,
        Token::LtEq => CompareOp::Le,
        Token::Gt => CompareOp::Gt,
        Token::GtEq => CompareOp::Ge,
        _ => return None,
    })
}

/// The value of unsigned digits with an optional point and exponent. `None` if it overflows, or is zero by rounding only.
pub(super) fn number(digits: &str, negative: bool) -> Option<Value> {
    let sign = if negative { "-" } else { "" };
    if !digits.contains(['e', 'E']) {
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if let (Ok(unscaled), Ok(scale)) = (
            format!("{sign}{whole}{fraction}").parse(),
            u8::try_from(fraction.len()),
        ) {
            if !digits.contains('.') {
                return Some(Value::Int(unscaled));
            }
            if let Some(decimal) = Decimal::new(unscaled, scale) {
                return Some(Value::Decimal(decimal));
            }
        }
    }
    let float: f64 = format!("{sign}{digits}").parse().ok()?;
    let mantissa = digits.split(['e', 'E']).next().unwrap_or_default();
    let rounded_to_zero = float == 0.0 && mantissa.contains(|c: char| ('1'..='9').contains(&c));
    (float.is_finite() && !rounded_to_zero).then_some(Value::Float(float))
}

/// At most 80 characters, for messages.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// How the text is cut into tokens.
#[derive(Debug)]
struct FilterLanguage;

impl Dialect for FilterLanguage {
    fn is_identifier_start(&self, c: char) -> bool {
        c.is_alphabetic() || c == '_'
    }

    fn is_identifier_part(&self, c: char) -> bool {
        c.is_alphanumeric() || c == '_' || c == '$'
    }

    fn is_delimited_identifier_start(&self, c: char) -> bool {
        c == '"'
    }

    fn supports_nested_comments(&self) -> bool {
        true
    }
}

/// The hint where there is no better one.
const LANGUAGE: &str = "a filter is made of comparisons, IS NULL, IS TRUE, IN and LIKE, joined with AND, OR, NOT and parentheses";
const QUOTE_IT: &str = "if it is a column's name, write \"{}\" in double quotes";
const NO_CLOCK: &str =
    "filters have no functions: write the date or time as text, as in '2024-01-31'";

/// Words that stand for something else than a column unless they are quoted, and what to do about it.
const REFUSED: &[(&str, &str)] = &[
    ("AND", QUOTE_IT),
    ("OR", QUOTE_IT),
    ("NOT", QUOTE_IT),
    ("IS", QUOTE_IT),
    ("IN", QUOTE_IT),
    ("CASE", QUOTE_IT),
    ("EXISTS", "filters have no subqueries"),
    ("SELECT", "a filter is a condition, not a query"),
    ("WHERE", "write only the condition, without WHERE"),
    ("CURRENT_DATE", NO_CLOCK),
    ("CURRENT_TIME", NO_CLOCK),
    ("CURRENT_TIMESTAMP", NO_CLOCK),
    ("LOCALTIME", NO_CLOCK),
    ("LOCALTIMESTAMP", NO_CLOCK),
];

/// Words of other languages for patterns of text.
const PATTERNS: &[&str] = &["SIMILAR", "REGEXP", "RLIKE", "GLOB", "MATCH"];
