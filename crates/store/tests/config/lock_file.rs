//! The text of lock files: whatever it is, it is read or refused.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use metaxy_store::system::LockFile;

const GOOD: &str = r#"
[features."up/a".data]
feature_class_path = "up.A"
feature_schema = "{\"type\":\"object\"}"
project = "up"

[features."up/a".data.spec]
deps = []
id_columns = ["id"]
key = "up/a"
[[features."up/a".data.spec.fields]]
code_version = "1"
deps = []
key = "value"

[features."up/a".data.spec.metadata]
big = 1180591620717411303424
hex = 0x1f
at = 2024-01-01T00:00:00Z

[features."up/a".info]
definition_version = "d"
version = "v"

[features."up/a".info.version_by_field]
value = "f"
"#;

#[test]
fn a_file_is_read_and_written_alike() {
    let file = LockFile::parse(GOOD).unwrap();
    let (key, locked) = file.features.first_key_value().unwrap();
    assert_eq!(key.as_str(), "up/a");
    assert_eq!((&*locked.version, &*locked.definition_version), ("v", "d"));
    let metadata = locked.definition.spec.metadata();
    assert_eq!(metadata["big"].to_compact(), "1180591620717411303424");
    assert_eq!(metadata["hex"].to_compact(), "31");
    assert_eq!(metadata["at"].as_str(), Some("2024-01-01T00:00:00Z"));
    assert_eq!(LockFile::parse(&file.render()).unwrap(), file);
}

#[test]
fn every_line_is_needed_or_known() {
    for (line, other) in [
        ("project = \"up\"\n", ""),
        ("project = \"up\"", "project = \"\""),
        ("project = \"up\"", "project = 1"),
        ("version = \"v\"\n", ""),
        ("key = \"up/a\"", "key = \"up/b\""),
        ("key = \"up/a\"", "key = \"Up\""),
        ("\\\"object\\\"", "\\\"object"),
        ("value = \"f\"", "value = 1"),
        (
            "[features.\"up/a\".info]",
            "[features.\"up/a\".info]\nmore = 1",
        ),
        ("project = \"up\"", "project = \"up\"\nmore = 1"),
        ("0x1f", "nan"),
        ("0x1f", "1e999"),
    ] {
        assert!(GOOD.contains(line));
        let text = GOOD.replace(line, other);
        let error = LockFile::parse(&text).expect_err(other);
        assert!(
            error.to_string().starts_with("not a lock file: "),
            "{error}"
        );
        assert!(error.hint().is_some());
    }
}

#[test]
fn deep_nesting_is_refused() {
    let many = 200_000;
    let before = "[features]\n";
    for text in [
        format!("{before}a = {}", "[".repeat(many)),
        format!("{before}a = {}1{}", "[".repeat(many), "]".repeat(many)),
        format!("{before}a = {}", "{a=".repeat(many)),
        format!("[features{}]\n", ".a".repeat(many)),
        format!("features{} = 1\n", ".a".repeat(many)),
        format!("[[features{}]]\n", ".a".repeat(many)),
        GOOD.replace("{\\\"type", &format!("{}{{\\\"type", "[".repeat(many))),
    ] {
        assert!(LockFile::parse(&text).is_err());
    }
}

#[test]
fn damage_never_panics() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let pieces = [
        "[", "]", "\"", "=", "\n", "{", "}", ".", "'''", "0x", "é", "\\u", "null", "-",
    ];
    let (mut read, mut refused) = (0, 0);
    for _ in 0..4000 {
        let mut text: Vec<char> = GOOD.chars().collect();
        for _ in 0..=random(3) {
            let at = random(text.len());
            if random(2) == 0 {
                text.remove(at);
            } else {
                let piece: Vec<char> = pieces[random(pieces.len())].chars().collect();
                text.splice(at..at, piece);
            }
        }
        match LockFile::parse(&text.into_iter().collect::<String>()) {
            Ok(file) => {
                read += 1;
                assert_eq!(LockFile::parse(&file.render()).unwrap(), file);
            }
            Err(_) => refused += 1,
        }
    }
    assert!(read > 100 && refused > 100, "{read} {refused}");
}
