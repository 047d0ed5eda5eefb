//! Random filters and damaged texts.

use metaxy_core::expr::{Decimal, Expr, Operand, Pattern, Value, col, lit};

use crate::table::batch;

#[test]
fn printed_filters_parse_to_the_same() {
    let mut random = Random(7);
    for _ in 0..3000 {
        // A column for the parser, which wants one.
        let filter = random.condition(4).and(col("z").is_null());
        let text = filter.to_string();
        let parsed = Expr::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(parsed, filter, "{text}");
    }
}

#[test]
fn no_text_makes_it_panic() {
    let path = format!(
        "{}/../../conformance/golden/filters.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let golden: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let texts: Vec<Vec<char>> = golden["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| case["filter"].as_str().unwrap().chars().collect())
        .collect();
    let batch = batch();
    let mut random = Random(11);
    let mut parsed = 0;
    let mut try_out = |characters: &[char]| {
        let text: String = characters.iter().collect();
        let Ok(filter) = Expr::parse(&text) else {
            return;
        };
        parsed += 1;
        assert_eq!(Expr::parse(&filter.to_string()).unwrap(), filter, "{text}");
        // Column names of the batch in place of the golden ones, so that binding has something to do.
        let columns = ["i", "f", "s", "b", "price", "at", "day", "tiny"];
        let mut next = 0;
        let filter = filter.map_columns(|_| {
            next += 1;
            columns[next % columns.len()].to_owned()
        });
        if let Ok(bound) = filter.bind(&batch.schema()) {
            bound.evaluate(&batch).unwrap();
        }
    };
    let noise: Vec<char> = "'\"()!=<>-+.,;*/\\ \n\u{a0}\0aeENx0159$@#:?[]{}|&~%^`é日\u{200b}🦀"
        .chars()
        .collect();
    for text in &texts {
        for end in 0..=text.len() {
            try_out(&text[..end]);
        }
        for _ in 0..60 {
            let mut text = text.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(text.len() + 1);
                match random.below(4) {
                    0 if at < text.len() => drop(text.remove(at)),
                    1 if at < text.len() => text[at] = noise[random.below(noise.len())],
                    2 => {
                        let other = &texts[random.below(texts.len())];
                        let from = random.below(other.len() + 1);
                        text.splice(at..at, other[from..].iter().copied());
                    }
                    _ => text.insert(at, noise[random.below(noise.len())]),
                }
            }
            try_out(&text);
        }
    }
    assert!(parsed > 1000, "{parsed} texts parsed");
}

/// A small generator: the same filters on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 33)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn flip(&mut self) -> bool {
        self.below(2) == 0
    }

    fn condition(&mut self, depth: usize) -> Expr {
        let inner = if depth == 0 { 4 } else { 7 };
        let (value, negated) = (self.flip(), self.flip());
        match self.below(inner) {
            0 => Expr::Operand(self.operand()),
            1 => {
                let (left, right) = (self.operand(), self.operand());
                match self.below(6) {
                    0 => left.eq(right),
                    1 => left.ne(right),
                    2 => left.lt(right),
                    3 => left.le(right),
                    4 => left.gt(right),
                    _ => left.ge(right),
                }
            }
            3 if self.flip() => {
                let pattern = self.pattern();
                Expr::Like {
                    operand: self.column(),
                    pattern,
                    negated,
                }
            }
            2 if self.flip() => Expr::IsNull {
                operand: self.operand(),
                negated,
            },
            2 => Expr::IsBool {
                operand: self.operand(),
                value,
                negated,
            },
            3 => {
                let list = (0..self.below(4)).map(|_| self.value()).collect();
                Expr::In {
                    operand: self.column(),
                    list,
                    negated,
                }
            }
            4 => !self.condition(depth - 1),
            5 => Expr::And(
                (0..2 + self.below(3))
                    .map(|_| self.condition(depth - 1))
                    .collect(),
            ),
            _ => Expr::Or(
                (0..2 + self.below(3))
                    .map(|_| self.condition(depth - 1))
                    .collect(),
            ),
        }
    }

    fn operand(&mut self) -> Operand {
        if self.flip() {
            self.column()
        } else {
            lit(self.value())
        }
    }

    fn column(&mut self) -> Operand {
        let names = [
            "a", "A_1", "a.b", "a b", "x\"y", "true", "Select", "merge", "é", "1a", "a$", "--",
            "'", "/*",
        ];
        col(names[self.below(names.len())])
    }

    fn pattern(&mut self) -> Pattern {
        let texts = [
            "", "%", "a_%", "it's", "\\%", "!%!!", "a\nb", "日%", "--", "ESCAPE",
        ];
        let pattern = Pattern::new(texts[self.below(texts.len())]);
        let pattern = match pattern
            .clone()
            .with_escape(['!', '\'', '日'][self.below(3)])
        {
            Ok(escaped) if self.flip() => escaped,
            _ => pattern,
        };
        match self.flip() {
            true => pattern.ignoring_case(),
            false => pattern,
        }
    }

    fn value(&mut self) -> Value {
        match self.below(7) {
            0 => Value::Null,
            1 => self.flip().into(),
            2 => (self.next() as i64 >> self.below(63)).into(),
            3 => Value::Int((i128::from(self.next() as i64) << 64) | i128::from(self.next())),
            4 => {
                let unscaled = i128::from(self.next() as i64 >> self.below(63));
                Decimal::new(unscaled, self.below(39) as u8).unwrap().into()
            }
            5 => loop {
                let float = f64::from_bits(self.next());
                if float.is_finite() {
                    break float.into();
                }
            },
            _ => {
                let texts = [
                    "",
                    "a",
                    "it's",
                    "''",
                    "\"",
                    "\\",
                    "日本",
                    "a\nb",
                    "-- x",
                    "/*",
                    "2024-01-31",
                ];
                texts[self.below(texts.len())].into()
            }
        }
    }
}
