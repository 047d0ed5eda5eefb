//! `features`: what the builds of the tests have that an installed build lacks.
//!
//! Cargo unifies the features of all that is built together. So a test of the whole workspace can pass because another package has asked
//! for a feature that the command by itself does not have. Two things see to it that this hides nothing: the tests of the command run on
//! builds as they are installed, and every feature of a dependency that such a build lacks stands in `features.toml` with a reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::root;
use crate::stages::cargo;

/// A build of the command as somebody installs it.
pub(crate) struct Installed {
    pub(crate) name: &'static str,
    /// What cargo is told.
    pub(crate) options: &'static str,
}

/// The default build, and each store alone.
pub(crate) const INSTALLED: &[Installed] = &[
    Installed {
        name: "default",
        options: "",
    },
    Installed {
        name: "duckdb",
        options: "--no-default-features --features duckdb",
    },
    Installed {
        name: "delta",
        options: "--no-default-features --features delta",
    },
    Installed {
        name: "postgres",
        options: "--no-default-features --features postgres",
    },
];

/// Where the reasons stand.
const REASONS: &str = "xtask/features.toml";

/// The features of each package, by its name and version.
type Features = BTreeMap<String, BTreeSet<String>>;

/// Compares, prints what is left with its reason, and says whether each difference has one and each reason a difference.
pub(crate) fn run() -> Result<bool, String> {
    let reasons = reasons()?;
    let tested = features(&[
        "--workspace",
        "--all-features",
        "--edges",
        "normal,build,dev",
    ])?;
    let mut used = BTreeSet::new();
    let mut without = 0;
    for build in INSTALLED {
        let mut words = vec!["--package", "metaxy-cli", "--edges", "normal"];
        words.extend(build.options.split_whitespace());
        let installed = features(&words)?;
        println!("{} ({} packages) lacks", build.name, installed.len());
        let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for key in lacking(&installed, &tested) {
            let (package, feature) = &key;
            let word = reasons.get(&key).map(|reason| reason.word.as_str());
            without += usize::from(word.is_none());
            let word = word.unwrap_or("WITHOUT A REASON");
            let list = by_reason.entry(word).or_default();
            list.push(format!("{package}/{feature}"));
            used.insert(key);
        }
        for (word, list) in by_reason {
            println!("  {word}: {}", list.join(", "));
        }
    }
    let mut told = BTreeSet::new();
    for Reason { word, text } in reasons.values() {
        if told.insert(word) {
            println!("{word}: {text}");
        }
    }
    let stale: Vec<_> = reasons.keys().filter(|key| !used.contains(*key)).collect();
    for (package, feature) in &stale {
        println!("{REASONS}: {package} lacks {feature} nowhere any more");
    }
    Ok(without == 0 && stale.is_empty())
}

/// The features of dependencies, by package and name, that one build has less than another.
fn lacking(installed: &Features, tested: &Features) -> BTreeSet<(String, String)> {
    let mut lacking = BTreeSet::new();
    for (package, features) in installed {
        let name = package.split(' ').next().unwrap_or_default();
        if name.starts_with("metaxy-") {
            continue;
        }
        let more = tested.get(package).into_iter().flatten();
        // `default` is no more than the features that it stands for.
        let more = more.filter(|feature| !features.contains(*feature) && *feature != "default");
        lacking.extend(more.map(|feature| (name.to_owned(), feature.clone())));
    }
    lacking
}

/// The features that cargo gives each package of a build.
fn features(words: &[&str]) -> Result<Features, String> {
    let mut command = cargo();
    command.args([
        "tree", "--locked", "--prefix", "none", "--format", "{p}|{f}",
    ]);
    let output = command.args(words).output();
    let output = output.map_err(|e| format!("cargo cannot be started: {e}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(read(&String::from_utf8_lossy(&output.stdout)))
}

/// Lines such as `arrow v59.3.2|csv,json (*)`; a package may have several, as for a build script.
fn read(tree: &str) -> Features {
    let mut all = Features::new();
    for line in tree.lines() {
        let Some((package, features)) = line.trim_end_matches(" (*)").split_once('|') else {
            continue;
        };
        let words: Vec<&str> = package.split(' ').take(2).collect();
        let features = features.split(',').filter(|feature| !feature.is_empty());
        all.entry(words.join(" "))
            .or_default()
            .extend(features.map(str::to_owned));
    }
    all
}

/// Why it is no harm that a build lacks something.
struct Reason {
    /// What the reason is called.
    word: String,
    text: String,
}

/// Reasons by package and feature.
type Reasons = BTreeMap<(String, String), Reason>;

/// Reads tables named by the reason's word, each with the `reason` and what it holds for.
fn reasons() -> Result<Reasons, String> {
    let path = root().join(REASONS);
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    parse(&text).map_err(|why| format!("{}: {why}", path.display()))
}

fn parse(text: &str) -> Result<Reasons, String> {
    let table: toml::Table = text.parse().map_err(|e| format!("{e}"))?;
    let mut all = BTreeMap::new();
    for (word, group) in &table {
        let reason = group.get("reason").and_then(toml::Value::as_str);
        let reason = reason.ok_or_else(|| format!("[{word}] has no reason"))?;
        let lacks = group.get("lacks").and_then(toml::Value::as_table);
        for (package, features) in lacks.ok_or_else(|| format!("[{word}] lacks nothing"))? {
            for feature in features.as_array().into_iter().flatten() {
                let feature = feature.as_str().unwrap_or_default().to_owned();
                let key = (package.clone(), feature);
                let reason = Reason {
                    word: word.clone(),
                    text: reason.to_owned(),
                };
                if let Some(other) = all.insert(key, reason) {
                    return Err(format!("{package} stands in [{word}] and [{}]", other.word));
                }
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_read() {
        let tree = "arrow v59.3.2|csv,json\narrow v59.3.2|ipc (*)\nxtask v0.1.0 (/x/xtask)|\n";
        let features = read(tree);
        let arrow: Vec<&str> = features["arrow v59.3.2"]
            .iter()
            .map(String::as_str)
            .collect();
        assert_eq!(arrow, ["csv", "ipc", "json"]);
        assert!(features["xtask v0.1.0"].is_empty());
    }

    #[test]
    fn a_reason_stands_once() {
        let group = "reason = 'r'\nlacks = { arrow = ['ipc'] }\n";
        let reasons = parse(&format!("[a]\n{group}")).unwrap();
        assert_eq!(reasons[&("arrow".to_owned(), "ipc".to_owned())].text, "r");
        assert!(parse(&format!("[a]\n{group}[b]\n{group}")).is_err());
        assert!(parse("[a]\nlacks = {}").is_err());
    }
}
