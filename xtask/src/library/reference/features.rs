//! The chapter on feature files, from the table that the parser has of their keys.

use std::fmt::Write as _;

use metaxy_store::config::REQUIRED;
use metaxy_store::toml_features::{KeyDoc, KeyTable, TABLES, UPSTREAM};

/// What is generated of the chapter.
pub(super) fn chapter() -> String {
    let mut page = String::new();
    let _ = writeln!(
        page,
        "Every example below is a whole file together with these features, which it may depend on:\n\n```toml\n{UPSTREAM}```\n"
    );
    for table in TABLES {
        of_table(&mut page, table);
    }
    page
}

fn of_table(page: &mut String, table: &KeyTable) {
    let _ = writeln!(page, "## {}\n\n{}\n", table.title, table.summary);
    for key in table.keys {
        of_key(page, key);
    }
}

fn of_key(page: &mut String, key: &KeyDoc) {
    let _ = writeln!(page, "### `{}`\n", key.name);
    let default = match key.default {
        "" => String::new(),
        REQUIRED => ", required".to_owned(),
        // What would be written, or words.
        words if words.contains(' ') => format!(", by default {words}"),
        written => format!(", by default `{written}`"),
    };
    let _ = writeln!(page, "*{}*{default}. {}\n", key.form, key.summary);
    let _ = writeln!(page, "```toml\n{}```\n", key.example);
}
