//! `cargo xtask reference`: the references of the configuration and of feature files, from what the code says of its options and keys.

mod features;

use std::fmt::Write as _;
use std::fs;

use clap::Args;
use metaxy_store::backend::registry::{Descriptor, Registry};
use metaxy_store::config::{CommonStoreOptions, OptionDoc, SETTINGS};

use crate::root;

/// What is generated of a page.
type Generate = fn() -> Result<String, String>;

/// Where the references stand, from the root of the workspace, and what makes them.
const PAGES: [(&str, Generate); 2] = [
    ("crates/store/guide/configuration.md", configuration),
    ("crates/store/guide/feature-files.md", || {
        Ok(features::chapter())
    }),
];
/// Between these two lines it is generated; what is around them is written by hand.
const START: &str = "<!-- generated: `cargo xtask reference` -->\n";
const END: &str = "<!-- end -->\n";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Write the pages anew, instead of checking that they are up to date.
    #[arg(long)]
    update: bool,
}

/// Checks the pages, or writes them, and says whether all is well.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let mut good = true;
    for (page, generate) in PAGES {
        good &= of_page(page, &generate()?, arguments.update)?;
    }
    Ok(good)
}

/// Checks a page, or writes it, and says whether all is well.
fn of_page(page: &str, generated: &str, update: bool) -> Result<bool, String> {
    let path = root().join(page);
    let failed = |e| format!("{}: {e}", path.display());
    let text = fs::read_to_string(&path).map_err(failed)?;
    let (before, rest) = text
        .split_once(START)
        .ok_or_else(|| format!("{} has no line {START:?}", path.display()))?;
    let (_, after) = rest
        .split_once(END)
        .ok_or_else(|| format!("{} has no line {END:?}", path.display()))?;
    let wanted = format!("{before}{START}\n{generated}{END}{after}");
    if wanted == text {
        println!("{page} is up to date");
        return Ok(true);
    }
    if update {
        fs::write(&path, wanted).map_err(failed)?;
        println!("{page} is written anew");
        return Ok(true);
    }
    println!("{page} is not what the code says: `xtask reference --update` writes it anew");
    Ok(false)
}

/// The settings and the options of every store.
fn configuration() -> Result<String, String> {
    let registry = Registry::linked().map_err(|e| e.to_string())?;
    let absent: Vec<&str> = registry.absent().map(|known| known.name).collect();
    if !absent.is_empty() {
        return Err(format!(
            "this build lacks {}: run it with every store, `cargo xtask test --only reference`",
            absent.join(", ")
        ));
    }
    let mut generated = String::new();
    section(&mut generated, "Settings", SETTINGS);
    section(&mut generated, "Every store", CommonStoreOptions::DOCS);
    for backend in registry.iter() {
        of_backend(&mut generated, backend);
    }
    Ok(generated)
}

fn of_backend(page: &mut String, backend: &Descriptor) {
    section(
        page,
        &format!("`type = \"{}\"`", backend.name),
        backend.options,
    );
    let mut names = vec![backend.type_path];
    names.extend(backend.aliases);
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let _ = writeln!(page, "Its type is also {}.\n", names.join(", "));
}

fn section(page: &mut String, title: &str, options: &[OptionDoc]) {
    let _ = writeln!(page, "## {title}\n");
    let _ = writeln!(page, "| name | value | default | |\n|---|---|---|---|");
    for option in options {
        let default = match option.default {
            "" => String::new(),
            // What would be written, or words.
            default if default.contains(' ') || default == "required" => default.to_owned(),
            default => format!("`{default}`"),
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {default} | {} |",
            option.name, option.kind, option.summary
        );
    }
    page.push('\n');
}
