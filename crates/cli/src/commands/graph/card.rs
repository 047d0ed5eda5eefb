//! What a feature's card says, and how large it is.

use metaxy_store::spec::INITIAL_CODE_VERSION;

use super::view::{Feature, Tone, View};
use crate::screen::short;

/// At most so many fields are shown on a card.
const FIELDS: usize = 8;
/// At most so many characters of a key, and of a field's or its code version's.
const KEY: usize = 42;
const FIELD: usize = 30;
const CODE: usize = 14;

/// The space around a card's text.
pub(crate) const PADDING: i64 = 14;
/// Where the first line of text stands.
pub(crate) const FIRST_LINE: i64 = 23;
/// The height of a line under the key, and of a field.
pub(crate) const LINE: i64 = 17;
/// Between the lines and the fields.
pub(crate) const RULE: i64 = 12;
const NARROWEST: i64 = 136;

/// A feature as a picture shows it.
#[derive(Debug)]
pub(crate) struct Card {
    /// The key without its last part, and that.
    pub(crate) key: (String, String),
    /// The version, and what else there is to say in small letters.
    pub(crate) note: String,
    /// How it stands.
    pub(crate) words: Vec<(Tone, String)>,
    /// Each field and its code version.
    pub(crate) fields: Vec<(String, String)>,
    /// How many fields are not shown.
    pub(crate) more: usize,
    pub(crate) width: i64,
    pub(crate) height: i64,
}

impl Card {
    pub(crate) fn all(view: &View, with_fields: bool) -> Vec<Self> {
        let several = view.several_projects();
        let cards = view.features.iter();
        cards
            .map(|feature| Self::new(feature, several, with_fields))
            .collect()
    }

    fn new(feature: &Feature, several_projects: bool, with_fields: bool) -> Self {
        let key = cut(feature.key.as_str(), KEY);
        let key = match key.rfind('/') {
            Some(at) => (key[..=at].to_owned(), key[at + 1..].to_owned()),
            None => (String::new(), key),
        };
        let shown = match (with_fields, feature.fields.len()) {
            (false, _) => 0,
            // One line is as good as a line that says that there is one more.
            (true, all) if all <= FIELDS + 1 => all,
            _ => FIELDS,
        };
        let fields = feature.fields[..shown].iter();
        let fields = fields.map(|field| {
            let code = match field.code_version.as_str() {
                INITIAL_CODE_VERSION => String::new(),
                code => format!("code {}", cut(code, CODE)),
            };
            (cut(&field.key, FIELD), code)
        });
        let mut card = Self {
            key,
            note: note(feature, several_projects, with_fields),
            words: feature
                .standing
                .iter()
                .flat_map(super::view::Standing::words)
                .collect(),
            fields: fields.collect(),
            more: if with_fields {
                feature.fields.len() - shown
            } else {
                0
            },
            width: 0,
            height: 0,
        };
        (card.width, card.height) = card.size();
        card
    }

    fn size(&self) -> (i64, i64) {
        let words: Vec<&str> = self.words.iter().map(|(_, word)| word.as_str()).collect();
        let texts = [
            sans(&self.key.0, 13) + sans(&self.key.1, 14),
            mono(&self.note, 11),
            sans(&words.join(" · "), 12),
        ];
        let fields = self.fields.iter().map(|(field, code)| {
            let gap = if code.is_empty() { 0 } else { 18 };
            mono(field, 12) + gap + mono(code, 11)
        });
        let text = texts.into_iter().chain(fields).max().unwrap_or_default();
        let mut height = FIRST_LINE + LINE;
        if !self.words.is_empty() {
            height += LINE;
        }
        let rows = self.fields.len() + usize::from(self.more > 0);
        if rows > 0 {
            height += RULE + LINE * i64::try_from(rows).unwrap_or_default();
        }
        ((text + 2 * PADDING).max(NARROWEST), height + 10)
    }
}

fn note(feature: &Feature, several_projects: bool, with_fields: bool) -> String {
    let Some(definition) = &feature.definition else {
        return "not in this graph".to_owned();
    };
    let mut notes = Vec::new();
    notes.extend(
        feature
            .version
            .as_deref()
            .map(|version| short(version).to_owned()),
    );
    if definition.is_external() || several_projects {
        notes.push(cut(&definition.project, FIELD));
    }
    if definition.is_external() {
        notes.push("external".to_owned());
    }
    if !with_fields {
        let fields = feature.fields.len();
        notes.push(crate::screen::count(fields as u64, "field"));
    }
    notes.join(" · ")
}

/// Text of at most so many characters: the middle of a longer one is left out.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let head = most / 2;
    let tail = most - head - 1;
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(length - tail).collect();
    format!("{start}…{end}")
}

/// About how many pixels the text takes in a font that is not known, rather too many than too few.
fn sans(text: &str, size: i64) -> i64 {
    let of = |c: char| match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | '\'' | '|' => 34,
        'f' | 't' | 'r' | '/' | '-' | ' ' | '·' => 42,
        'm' | 'w' | 'M' | 'W' | '…' => 98,
        c if c.is_ascii_uppercase() => 74,
        c if c.is_ascii() => 65,
        // Letters of other scripts may be as wide as they are high.
        _ => 100,
    };
    text.chars().map(of).sum::<i64>() * size / 100
}

fn mono(text: &str, size: i64) -> i64 {
    let of = |c: char| {
        if c.is_ascii() || c == '·' || c == '…' {
            61
        } else {
            100
        }
    };
    text.chars().map(of).sum::<i64>() * size / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_long_text_is_left_out() {
        assert_eq!(cut("video/raw", 9), "video/raw");
        assert_eq!(cut("video/raw/frames", 9), "vide…ames");
        assert_eq!(cut("ééééé", 4), "éé…é");
    }
}
