//! Arguments, and names of what is not there.

use super::Case;

pub(super) fn cases() -> Vec<Case> {
    let fails = Case::new;
    // What the parser of arguments refuses.
    let refused = |args: &[&'static str], says: &[&'static str]| Case::new(args, says).with_code(2);
    vec![
        fails(
            &["read", "video/rew"],
            &[
                "`video/rew` is not in the graph",
                "did you mean `video/raw`?",
            ],
        ),
        fails(
            &["read", "Video Raw"],
            &["\"Video Raw\" is not a feature key"],
        ),
        fails(&["read", ""], &["\"\" is not a feature key: it is empty"]),
        fails(
            &["read", "video/raw", "--columns", "second"],
            &["no column \"second\"", "did you mean \"seconds\"?"],
        ),
        fails(
            &["read", "video/raw", "--feature-version", "123"],
            &["no version \"123\" of feature video/raw"],
        ),
        fails(
            &["read", "video/raw", "--output", "x.xml"],
            &["'x.xml' stands for no known format", "--format parquet|csv"],
        ),
        fails(
            &["read", "video/raw", "--output", "no/such/x.csv"],
            &["cannot write 'no/such/x.csv'", "the folder must exist"],
        ),
        fails(
            &[
                "read",
                "video/raw",
                "--output",
                "features",
                "--format",
                "csv",
            ],
            &["cannot write 'features'"],
        ),
        fails(
            &[
                "read",
                "video/raw",
                "--output",
                "x.csv",
                "--format",
                "plain",
            ],
            &["'x.csv' cannot be written as plain"],
        ),
        fails(
            &["write", "video/rew", "raw.ndjson"],
            &["did you mean `video/raw`?"],
        ),
        fails(&["resolve", "video/rew"], &["did you mean `video/raw`?"]),
        fails(
            &["resolve", "video/raw"],
            &["has no upstream", "--samples FILE"],
        ),
        fails(
            &["delete", "video/raw", "--all"],
            &["mark 2 samples of video/raw", "add --yes"],
        ),
        fails(
            &["delete", "video/raw", "--orphaned", "--yes"],
            &["--samples FILE"],
        ),
        fails(
            &["maintain", "video/rew", "--yes"],
            &["did you mean `video/raw`?"],
        ),
        fails(&["maintain", "--keep", "1"], &["add --yes"]),
        fails(
            &["push", "--tag", "metaxy=1"],
            &["the tag \"metaxy\"", "another name"],
        ),
        fails(&["init"], &["metaxy.toml' exists already"]),
        fails(
            &["init", "x", "--project", "my films"],
            &["\"my films\" contains ' '"],
        ),
        fails(&["init", "raw.ndjson"], &["raw.ndjson"]),
        fails(
            &["--store", "dev", "init", "x"],
            &["--store means nothing to it"],
        ),
        fails(
            &["demo", "none"],
            &["'none' does not exist", "metaxy demo DIR"],
        ),
        fails(&["demo", "metaxy.toml"], &["'metaxy.toml' is not a folder"]),
        fails(
            &["--store", "prd", "read", "video/raw"],
            &["store `prd` is not configured", "did you mean `prod`?"],
        ),
        fails(
            &["--config-file", "no.toml", "status"],
            &["no.toml", "check the path"],
        ),
        fails(
            &["--config-file", "features", "status"],
            &["features: Is a directory", "name a file"],
        ),
        fails(
            &["--project", "my films", "status"],
            &["\"my films\" contains ' '", "given by: argument"],
        ),
        fails(
            &["lock", "--output", "no/such/metaxy.lock"],
            &["no/such/metaxy.lock", "its folder must exist"],
        ),
        fails(&["man", "metaxy.toml"], &["'metaxy.toml'"]),
        fails(&["describe", "video/rew"], &["did you mean `video/raw`?"]),
        fails(
            &["describe", "graph", "zz"],
            &["no version \"zz\" of project films"],
        ),
        fails(&["explain", "video/raw"], &["--samples FILE"]),
        fails(&["status", "video/rew"], &["did you mean `video/raw`?"]),
        fails(
            &["status", "--preview", "1", "--format", "csv"],
            &["csv has no place for the rows"],
        ),
        fails(
            &[
                "metadata",
                "copy",
                "--from",
                "prd",
                "--all-features",
                "--yes",
            ],
            &["did you mean `prod`?"],
        ),
        fails(
            &[
                "metadata",
                "copy",
                "--from",
                "dev",
                "--to",
                "dev",
                "--all-features",
                "--yes",
            ],
            &["cannot be copied into itself"],
        ),
        fails(
            &["metadata", "rebase", "video/raw", "--from", "zz", "--yes"],
            &["no version \"zz\" of feature video/raw"],
        ),
        fails(
            &[
                "metadata",
                "drop",
                "metaxy-system/feature_versions",
                "--yes",
            ],
            &["a table of the system"],
        ),
        fails(
            &["metadata", "drop", "video/rew", "--yes"],
            &["did you mean `video/raw`?"],
        ),
        fails(
            &["metadata", "delete", "video/raw"],
            &["mark 2 samples of 1 feature", "add --yes"],
        ),
        refused(&["stats"], &["'stats'", "'status'"]),
        refused(
            &["status", "--asert-in-sync"],
            &["'--asert-in-sync'", "'--assert-in-sync'"],
        ),
        refused(
            &["status", "--format", "yaml"],
            &["'yaml'", "choose one of plain, "],
        ),
        refused(
            &["status", "--preview", "0"],
            &["'0' for '--preview <N>'", "1 or more"],
        ),
        refused(&["read"], &["<FEATURE>"]),
        refused(
            &["read", "video/raw", "--limit", "many"],
            &["'many'", "write a whole number"],
        ),
        refused(
            &["read", "video/raw", "--limit=-1"],
            &["'-1'", "write a whole number"],
        ),
        refused(
            &["read", "video/raw", "--as-of", "yesterday"],
            &["'yesterday'", "2024-01-31T12:00:00Z"],
        ),
        refused(
            &["resolve", "video/transcript", "--part", "old"],
            &["'old'", "new, stale, orphaned, all"],
        ),
        refused(
            &[
                "resolve",
                "video/transcript",
                "--count",
                "--output",
                "x.csv",
            ],
            &["'--count' cannot be used with '--output"],
        ),
        refused(
            &["resolve", "video/transcript", "--samples-format", "csv"],
            &["--samples <FILE>"],
        ),
        refused(
            &["write", "video/raw", "raw.ndjson", "--format", "ndjson"],
            &["'ndjson' for '--format"],
        ),
        refused(
            &[
                "write",
                "video/raw",
                "raw.ndjson",
                "--samples-format",
                "xml",
            ],
            &["choose one of parquet, "],
        ),
        refused(
            &["delete", "video/raw"],
            &["--filter <SQL>|--all|--orphaned"],
        ),
        refused(&["maintain", "--keep", "0"], &["1 or more"]),
        refused(
            &["maintain", "--older-than", "soon"],
            &["30d, 12h, 90m or 45s"],
        ),
        refused(
            &["maintain", "--keep", "1", "--older-than", "1d"],
            &["'--keep <N>' cannot be used with"],
        ),
        refused(&["push", "--tag", "x"], &["'x'", "write KEY=VALUE"]),
        refused(
            &["metadata", "copy", "--from", "prod"],
            &["<FEATURE|--all-features>"],
        ),
        refused(&["metadata", "copy", "--all-features"], &["--from <STORE>"]),
        refused(&["metadata", "rebase", "video/raw"], &["--from <VERSION>"]),
        refused(&["completions", "tcl"], &["'tcl'", "bash"]),
    ]
}
