//! Conditions in SQL.

use super::Case;

pub(super) fn cases() -> Vec<Case> {
    let filter = |sql: &'static str, says: &[&'static str]| {
        Case::new(&["read", "video/raw", "--filter", sql], says)
    };
    vec![
        filter(
            "seconds >",
            &["the filter cannot be parsed", "but it ends", "seconds >"],
        ),
        filter(
            "second > 3",
            &[
                "\"second\", which does not exist",
                "did you mean \"seconds\"?",
            ],
        ),
        filter(
            "seconds > 'x'",
            &[
                "\"seconds\", which holds integers",
                "compare it with a number",
            ],
        ),
        filter(
            "seconds",
            &["\"seconds\" holds integers", "seconds IS NOT NULL"],
        ),
        filter(
            "seconds IN (SELECT 1)",
            &["`SELECT`", "filters have no subqueries"],
        ),
        filter("", &["the filter is empty", "leave the filter out"]),
        filter("foo(seconds) > 3", &["foo is called like one"]),
        filter(
            "video_id = 'v1",
            &["Unterminated string literal", "close every quote"],
        ),
        filter(
            "metaxy_provenance_by_field = 'x'",
            &["\"metaxy_provenance_by_field\"", "IS NULL"],
        ),
        filter("1=1; DROP TABLE x", &["`DROP`"]),
        filter("seconds = 1e999", &["seconds"]),
        filter(
            "seconds LIKE '1%'",
            &[
                "\"seconds\", which holds integers",
                "pattern '1%'",
                "compare numbers",
            ],
        ),
        filter(
            "video_id LIKE seconds",
            &["text in single quotes", "LIKE '%.mp4'"],
        ),
        filter("video_id SIMILAR TO 'v%'", &["use LIKE or ILIKE"]),
        filter(
            "video_id = \"v1\"",
            &["\"v1\", which does not exist", "single quotes"],
        ),
        filter("((seconds > 1)", &["the filter cannot be parsed"]),
        Case::new(
            &["resolve", "video/transcript", "--stale-if", "seconds =="],
            &["the filter cannot be parsed"],
        ),
        Case::new(
            &["status", "--filter", "nothing = 1"],
            &["\"nothing\", which does not exist", "video/raw"],
        ),
        Case::new(
            &["delete", "video/raw", "--filter", "second = 1", "--yes"],
            &["did you mean \"seconds\"?"],
        ),
        Case::new(
            &[
                "metadata",
                "delete",
                "video/raw",
                "--filter",
                "second = 1",
                "--yes",
            ],
            &["did you mean \"seconds\"?"],
        ),
        Case::new(
            &[
                "metadata",
                "copy",
                "video/raw",
                "--from",
                "dev",
                "--to",
                "prod",
                "--filter",
                "second > 1",
                "--yes",
            ],
            &["did you mean \"seconds\"?"],
        ),
        Case::new(
            &["explain", "video/transcript", "--filter", "x =="],
            &["the filter cannot be parsed"],
        ),
    ]
}
