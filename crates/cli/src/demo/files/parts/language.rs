//! What marks a comment, a text and a definition in a file, by its extension.

use std::path::Path;

/// The marks of a family of languages.
#[derive(Debug)]
pub(in super::super) struct Language {
    pub(super) kind: Kind,
    /// What starts a comment that ends with its line.
    pub(in super::super) line: &'static [&'static str],
    /// What starts and ends a comment.
    pub(in super::super) block: &'static [(&'static str, &'static str)],
    /// What starts and ends a text within a line.
    pub(super) quotes: &'static [char],
    /// What starts and ends a text that may go over lines.
    pub(super) long: &'static [(&'static str, &'static str)],
    /// Whether a long text that starts its line is documentation.
    pub(super) docstrings: bool,
    /// Whether `name(…) {` defines a function without a keyword.
    pub(super) bare_functions: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// Code with comments.
    Code,
    /// Settings: sections and top-level keys are the outline.
    Settings,
    /// Running text: all of it is prose but code blocks.
    Prose,
    /// Lines of data without comments.
    Data,
}

impl Language {
    /// A comment line that holds `text`, or for running text a paragraph. `None` where there are no comments.
    pub(in super::super) fn comment(&self, text: &str) -> Option<String> {
        if self.kind == Kind::Prose {
            return Some(format!("\n{text}"));
        }
        match (self.line.first(), self.block.first()) {
            (Some(mark), _) => Some(format!("{mark} {text}")),
            (None, Some((open, close))) => Some(format!("{open} {text} {close}")),
            (None, None) => None,
        }
    }

    /// Whether this is code, where definitions have names.
    pub(in super::super) fn is_code(&self) -> bool {
        self.kind == Kind::Code
    }
}

/// The language of a file.
pub(in super::super) fn language(path: &Path) -> &'static Language {
    let extension = super::extension(path);
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("");
    match extension.as_str() {
        "rs" => &RUST,
        "c" | "h" | "cc" | "cpp" | "cxx" | "hpp" | "hh" | "cu" | "java" | "cs" | "m" | "mm"
        | "dart" | "groovy" => &C,
        "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" | "go" | "php" | "kt" | "kts" | "swift"
        | "scala" | "zig" | "proto" | "gradle" | "sol" => &SCRIPT,
        "css" | "scss" | "less" => &STYLE,
        "py" | "pyi" | "pyx" => &PYTHON,
        "sh" | "bash" | "zsh" | "fish" | "rb" | "r" | "pl" | "pm" | "ex" | "exs" | "jl" | "nim"
        | "cmake" | "mk" | "nix" | "tf" | "ps1" => &HASH,
        "toml" | "yaml" | "yml" | "ini" | "cfg" | "conf" | "properties" | "env"
        | "editorconfig" => &SETTINGS,
        "sql" | "lua" | "hs" | "elm" | "adb" | "ads" => &DASHES,
        "lisp" | "clj" | "cljs" | "el" | "scm" | "asm" | "s" => &SEMICOLON,
        "tex" | "erl" | "sty" => &PERCENT,
        "html" | "htm" | "xml" | "svg" | "vue" | "xhtml" => &MARKUP,
        "md" | "markdown" | "rst" | "txt" | "adoc" | "org" => &PROSE,
        "json" | "jsonl" | "ndjson" | "csv" | "tsv" | "lock" | "map" => &DATA,
        _ => match name {
            "Makefile" | "makefile" | "GNUmakefile" | "Dockerfile" | "Justfile" | "justfile"
            | "Rakefile" | "Gemfile" => &HASH,
            "LICENSE" | "README" | "NOTICE" | "AUTHORS" | "CHANGELOG" | "COPYING" => &PROSE,
            _ => &DATA,
        },
    }
}

const NONE: Language = Language {
    kind: Kind::Code,
    line: &[],
    block: &[],
    quotes: &['"'],
    long: &[],
    docstrings: false,
    bare_functions: false,
};

static RUST: Language = Language {
    line: &["//"],
    block: &[("/*", "*/")],
    // A quote may start a lifetime; a text may go over lines.
    quotes: &[],
    long: &[("r#\"", "\"#"), ("\"", "\"")],
    ..NONE
};
static C: Language = Language {
    line: &["//"],
    block: &[("/*", "*/")],
    quotes: &['"', '\''],
    bare_functions: true,
    ..NONE
};
static SCRIPT: Language = Language {
    line: &["//"],
    block: &[("/*", "*/")],
    quotes: &['"', '\''],
    long: &[("`", "`")],
    bare_functions: true,
    ..NONE
};
static STYLE: Language = Language {
    block: &[("/*", "*/")],
    ..NONE
};
static PYTHON: Language = Language {
    line: &["#"],
    quotes: &['"', '\''],
    long: &[("\"\"\"", "\"\"\""), ("'''", "'''")],
    docstrings: true,
    ..NONE
};
static HASH: Language = Language {
    line: &["#"],
    quotes: &['"', '\''],
    ..NONE
};
static SETTINGS: Language = Language {
    kind: Kind::Settings,
    line: &["#"],
    quotes: &['"', '\''],
    ..NONE
};
static DASHES: Language = Language {
    line: &["--"],
    block: &[("/*", "*/")],
    quotes: &['"', '\''],
    ..NONE
};
static SEMICOLON: Language = Language {
    line: &[";"],
    ..NONE
};
static PERCENT: Language = Language {
    line: &["%"],
    ..NONE
};
static MARKUP: Language = Language {
    block: &[("<!--", "-->")],
    quotes: &[],
    ..NONE
};
static PROSE: Language = Language {
    kind: Kind::Prose,
    quotes: &[],
    ..NONE
};
static DATA: Language = Language {
    kind: Kind::Data,
    quotes: &[],
    ..NONE
};
