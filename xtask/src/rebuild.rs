//! Running this program again in another build: optimised, or with stores that this one lacks.

use std::process::Command;

use crate::root;

/// What a build has to have.
pub(crate) struct Build<'a> {
    /// Whether it is optimised; if not, it may be.
    pub(crate) release: bool,
    /// Stores, by the Cargo features that bring them. Names that are no such feature ask for nothing.
    pub(crate) stores: &'a [&'a str],
}

/// The stores that a Cargo feature brings, and whether this build has them.
const FEATURES: &[(&str, bool)] = &[
    ("sqlite", cfg!(feature = "sqlite")),
    ("duckdb", cfg!(feature = "duckdb")),
    ("delta", cfg!(feature = "delta")),
    ("postgres", cfg!(feature = "postgres")),
];

/// The stores that a Cargo feature brings.
pub(crate) fn stores() -> impl Iterator<Item = &'static str> {
    FEATURES.iter().map(|(name, _)| *name)
}

/// Set for the program that is run again, which must not do so once more.
const MARK: &str = "METAXY_XTASK_REBUILT";

impl Build<'_> {
    /// Whether this build has all of it.
    #[cfg(feature = "library")]
    pub(crate) fn is_this(&self) -> bool {
        !self.lacks_optimisation() && self.lacking().is_empty()
    }

    /// Builds what is asked for, and runs it with the arguments of this process; says whether it succeeded.
    ///
    /// # Errors
    /// If this process is already the result of such a build, and if cargo cannot be started.
    pub(crate) fn run_again(&self) -> Result<bool, String> {
        if std::env::var_os(MARK).is_some() {
            return Err(match self.lacking().as_slice() {
                [] => "the build that was made for this is not optimised".to_owned(),
                stores => format!(
                    "the build that was made for this lacks {}",
                    stores.join(", ")
                ),
            });
        }
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .arg("run")
            .args(self.options())
            .arg("--manifest-path")
            .arg(root().join("Cargo.toml"))
            .arg("--")
            .args(std::env::args_os().skip(1));
        // A build that had no stores at all could not know which were wanted.
        if cfg!(feature = "library") {
            command.env(MARK, "1");
        }
        let status = command.status();
        let status = status.map_err(|e| format!("cargo cannot be started: {e}"))?;
        Ok(status.success())
    }

    /// The options of `cargo run`. A release build takes long enough to be told of.
    fn options(&self) -> Vec<String> {
        let mut options = vec!["--package".to_owned(), "xtask".to_owned()];
        options.push(if self.release { "--release" } else { "--quiet" }.to_owned());
        let present = FEATURES.iter().filter(|(_, present)| *present);
        let mut features: Vec<&str> = present.map(|(name, _)| *name).collect();
        features.extend(self.lacking());
        if !features.is_empty() {
            options.extend(["--features".to_owned(), features.join(",")]);
        }
        options
    }

    #[cfg(feature = "library")]
    fn lacks_optimisation(&self) -> bool {
        self.release && cfg!(debug_assertions)
    }

    fn lacking(&self) -> Vec<&'static str> {
        let lacking = FEATURES.iter().filter(|(_, present)| !present);
        let lacking = lacking.map(|(name, _)| *name);
        lacking.filter(|name| self.stores.contains(name)).collect()
    }
}

#[cfg(all(test, feature = "library"))]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_wishes_is_this_one() {
        let build = Build {
            release: false,
            stores: &["a store that nobody knows"],
        };
        assert!(build.is_this());
        assert!(build.options().contains(&"--quiet".to_owned()));
    }

    #[test]
    fn an_optimised_build_keeps_the_stores_of_this_one() {
        let build = Build {
            release: true,
            stores: &[],
        };
        assert_eq!(build.is_this(), !cfg!(debug_assertions));
        let options = build.options();
        assert!(options.contains(&"--release".to_owned()));
        let features = options.last().unwrap();
        assert_eq!(features.contains("sqlite"), cfg!(feature = "sqlite"));
    }
}
