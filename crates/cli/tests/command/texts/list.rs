//! What holds which block to the truth.

use std::fmt;

use Held::{AlsoIn, By, Config, Features, Json, NotRun, Printed, Saved, Typed};

use super::blocks::Block;
use super::session::Session;

/// How a block is held to the truth.
#[derive(Debug, Clone, Copy)]
pub(super) enum Held {
    /// It is a `metaxy.toml`. Each of its stores opens, or is refused by the words that name the Cargo feature which this build lacks.
    Config,
    /// It defines features. `metaxy list features` lists them.
    Features,
    /// It is typed into a shell.
    Typed(&'static Session),
    /// It becomes a file of the shell's folder, and its features are listed.
    Saved(&'static str, &'static Session),
    /// The shell prints it, with other numbers.
    Printed(&'static Session),
    /// Its lines stand in this file, one after the other, and are run or at least compiled there.
    AlsoIn(&'static str),
    /// A test in this file holds it. These words show that it still does.
    By(&'static str, &'static [&'static str]),
    /// It is JSON. Another test compares it with what its command prints.
    Json,
    /// It cannot be run, and why.
    NotRun(&'static str),
}

/// Blocks of a page that are held in one way.
struct Text {
    /// How the path of the page ends.
    page: &'static str,
    which: Which,
    held: Held,
}

enum Which {
    /// The one block with these words.
    With(&'static str),
    /// All blocks in this language.
    In(&'static str),
}

const IN_RUST: &str = "crates/store/tests/store/readme.rs";

/// The test that compares quotes with the example.
const QUOTES: Held = By(
    "conformance/tests/suite/guide.rs",
    &[
        "fn quotes_are_code()",
        "write-a-backend.md",
        "(\"rust,ignore\", &source)",
        "(\"toml\", &manifest)",
    ],
);

#[rustfmt::skip] // a table
const TEXTS: &[Text] = &[
    one("README.md", "-p metaxy-cli -- demo", Typed(&DEMO)),
    one("README.md", "computed after", Printed(&DEMO)),
    one("README.md", "metaxy init my-project", Typed(&WALK)),
    one("README.md", "key = \"video/transcript\"", Saved("features/example.toml", &WALK)),
    one("README.md", "> videos.ndjson", Typed(&WALK)),
    one("README.md", "FeatureGraph::new()", AlsoIn(IN_RUST)),
    one("README.md", "type = \"duckdb\"", Config),
    one("README.md", "type = \"delta\"", Config),
    one("README.md", "type = \"postgres\"", Config),
    one("README.md", "into_polars()", AlsoIn("crates/polars/src/frames.rs")),
    one("README.md", "fallback_stores", Config),
    one("README.md", "Suite::main", AlsoIn(IN_RUST)),
    one("README.md", "cargo test --test conformance", By(IN_RUST, &["fn a_backend_of_your_own_passes()"])),
    all("a-first-pipeline.md", "console", NotRun("the crate has to be in the registry")),
    all("a-first-pipeline.md", "", DOC_TEST),
    all("a-first-pipeline.md", "no_run", DOC_TEST),
    all("concepts.md", "toml", Features),
    all("configuration.md", "toml", Config),
    one("failed-samples.md", "cat failed.ndjson", Typed(&FAILED)),
    one("failed-samples.md", "\"text\": null", Typed(&FAILED)),
    one("failed-samples.md", "--stale-if", Typed(&FAILED)),
    all("failed-samples.md", "toml", Features),
    one("failed-samples.md", "--max-share", Typed(&FAILED)),
    all("feature-files.md", "toml", By("crates/core/tests/model/feature_reference.rs", &["fn the_chapter_shows_every_example()"])),
    all("moving-stores.md", "toml", Config),
    all("moving-stores.md", "console", Typed(&MOVE)),
    all("pandas-and-polars.md", "console", DATA_FRAMES),
    all("pandas-and-polars.md", "python", DATA_FRAMES),
    all("parallel-workers.md", "console", Typed(&PARALLEL)),
    one("pipelines.md", "--output todo.ndjson", Typed(&FILES)),
    one("pipelines.md", "| ./transcribe |", Typed(&PIPE)),
    all("stores.md", "toml", Config),
    all("write-a-backend.md", "toml", QUOTES),
    all("write-a-backend.md", "rust,ignore", QUOTES),
    all("write-a-backend.md", "console", NotRun("it builds the example; the stage `third party` of `cargo xtask test` runs its suite")),
    all("command.md", "json", Json),
];

const DOC_TEST: Held = By(
    "crates/store/src/guide.rs",
    &["doc = include_str!(\"../guide/a-first-pipeline.md\")"],
);

const DATA_FRAMES: Held = By(
    "crates/cli/tests/command/data_frames.rs",
    &["fn the_steps_of_the_chapter_run()"],
);

const fn one(page: &'static str, words: &'static str, held: Held) -> Text {
    let which = Which::With(words);
    Text { page, which, held }
}

const fn all(page: &'static str, language: &'static str, held: Held) -> Text {
    let which = Which::In(language);
    Text { page, which, held }
}

/// The demonstration, on a folder of four files instead of this checkout.
const DEMO: Session = Session {
    name: "demo",
    before: r#"for i in 1 2 3 4; do
    printf '//! Tables of rows and more rows.\n\n/// A table.\nstruct Table%s;\n' $i > m$i.rs
done
cargo() {
    test "$1 $2 $3 $4" = "run -p metaxy-cli --" && shift 4 && metaxy "$@"
}"#,
    after: "true",
    left_out: &[("cargo xtask test", "it is what runs this test")],
};

/// The README's walk through the command.
const WALK: Session = Session {
    name: "walk",
    before: "true",
    after: "true",
    left_out: &[(
        "cargo install ",
        "it builds the command once more; the built one is on the path",
    )],
};

/// Three videos, of which one has no sound.
const FAILED: Session = Session {
    name: "failed",
    before: r#"metaxy init --project films &&
for v in v1 v2 v3; do
    echo "{\"video_id\": \"$v\", \"metaxy_provenance_by_field\": {\"audio\": \"a-$v\", \"frames\": \"f-$v\"}}"
done | metaxy write video/raw - &&
cat > transcribe <<'END' && chmod +x transcribe
#!/bin/sh
while read -r row; do
    case $row in
        *'"v2"'*) echo '{"video_id":"v2","error":"no sound"}' >> failed.ndjson ;;
        *) echo "$row" | sed 's/}$/, "text": "Good evening."}/' ;;
    esac
done
END"#,
    after: "metaxy status --assert-in-sync",
    left_out: &[],
};

/// Eight videos in two buckets, of which transcripts and faces are made.
const PARALLEL: Session = Session {
    name: "parallel",
    before: r#"metaxy init --project films &&
cat >> features/example.toml <<'END' &&

[[feature]]
key = "video/faces"
id_columns = ["video_id"]
deps = ["video/raw"]
END
for v in 1 2 3 4 5 6 7 8; do
    echo "{\"video_id\": \"v$v\", \"bucket\": $((v % 2)), \"metaxy_provenance_by_field\": {\"audio\": \"a$v\", \"frames\": \"f$v\"}}"
done > videos.ndjson &&
metaxy write video/raw videos.ndjson &&
printf '#!/bin/sh\nsed "s/}\$/, \\"text\\": \\"Good evening.\\"}/"\n' > transcribe &&
chmod +x transcribe"#,
    after: r#"test "$(cat done-part*.ndjson | wc -l)" -eq 8"#,
    left_out: &[],
};

/// A project with a second store of the same kind, which is called `team` and is empty.
const MOVE: Session = Session {
    name: "move",
    before: r#"metaxy init --project films &&
sed -n '/^\[stores.dev\]/,$p' metaxy.toml > store &&
sed 's/stores.dev/stores.team/; s/metaxy\/dev/metaxy\/team/; s/schema = .*/schema = "${METAXY_STORES__DEV__SCHEMA}_team"/' store >> metaxy.toml &&
for v in v1 v2 v3; do
    echo "{\"video_id\": \"$v\", \"metaxy_provenance_by_field\": {\"audio\": \"a-$v\", \"frames\": \"f-$v\"}}"
done > videos.ndjson &&
metaxy write video/raw videos.ndjson &&
metaxy resolve video/transcript --output todo.ndjson &&
metaxy write video/transcript todo.ndjson &&
metaxy push"#,
    after: "metaxy --store team history | grep first",
    left_out: &[],
};

const FILES: Session = pipeline("files");
const PIPE: Session = pipeline("pipe");

/// A pipeline with one video to transcribe. All is transcribed in the end.
const fn pipeline(name: &'static str) -> Session {
    Session {
        name,
        before: r#"metaxy init --project films &&
echo '{"video_id": "v1", "metaxy_provenance_by_field": {"audio": "a1", "frames": "f1"}}' | metaxy write video/raw - &&
printf '#!/bin/sh\nsed "s/}\$/, \\"text\\": \\"Good evening.\\"}/"\n' > transcribe &&
chmod +x transcribe"#,
        after: r#"metaxy status --assert-in-sync && metaxy read video/transcript | grep '"text":"Good evening."'"#,
        left_out: &[],
    }
}

impl Text {
    fn is_about(&self, block: &Block) -> bool {
        let here = block.page.rsplit('/').next() == Some(self.page);
        here && match self.which {
            Which::With(words) => block.text.contains(words),
            Which::In(language) => block.language == language,
        }
    }
}

/// Every block, and how it is held.
pub(super) fn held_blocks() -> Vec<(Block, Held)> {
    let blocks = Block::all();
    for text in TEXTS {
        let found = blocks.iter().filter(|block| text.is_about(block)).count();
        let (what, right) = match text.which {
            Which::With(words) => (words, found == 1),
            Which::In(language) => (language, found > 0),
        };
        assert!(right, "{}: {found} blocks are {what:?}", text.page);
    }
    let with_held = blocks.into_iter().map(|block| {
        let mut texts = TEXTS.iter().filter(|text| text.is_about(&block));
        match (texts.next(), texts.next()) {
            (Some(text), None) => (block, text.held),
            (None, _) => panic!("nothing holds {block}: add it to TEXTS\n{}", block.text),
            (Some(_), Some(_)) => panic!("{block} is twice in TEXTS"),
        }
    });
    with_held.collect()
}

/// In words.
impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Config => f.write_str("its stores are opened"),
            Features => f.write_str("its features are listed"),
            Typed(session) => write!(f, "typed into the shell {}", session.name),
            Saved(path, session) => {
                write!(
                    f,
                    "saved as {path} in the shell {}, its features are listed",
                    session.name
                )
            }
            Printed(session) => write!(
                f,
                "printed by the shell {}, with other numbers",
                session.name
            ),
            AlsoIn(file) => write!(f, "compiled or run as a part of {file}"),
            By(file, _) => write!(f, "held by {file}"),
            Json => f.write_str("parsed, and compared with what the command prints"),
            NotRun(why) => write!(f, "not run: {why}"),
        }
    }
}
