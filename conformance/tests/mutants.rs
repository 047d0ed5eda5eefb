//! Every mutant fails the suite, and the output says by which cases.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use metaxy_conformance::mutants::{self, Mutant};
use metaxy_conformance::{Embedded, StoreFactory, Suite};
use metaxy_store::Result;
use metaxy_store::sqlite::{SqliteConfig, Synchronous};

/// How many of the cases that catch a mutant are waited for: those that run at the same time may be told as well.
const SHOWN: usize = 1;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = vec![Trial::test("without_a_fault", || {
        let report = Suite::new(sqlite()?).run();
        report
            .is_success()
            .then_some(())
            .ok_or_else(|| report.to_string().into())
    })];
    trials.extend(
        mutants::all()
            .into_iter()
            .map(|mutant| Trial::test(mutant.name, move || caught(mutant))),
    );
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The suite fails on the mutant; by which cases is printed.
fn caught(mutant: Mutant) -> Result<(), Failed> {
    // The laws would find most of them too, but shrink what they find first.
    let suite = Suite::new(mutant.stores(sqlite()?)).without(&["laws::"]);
    let suite = suite.with_failures_at_most(SHOWN);
    let report = suite.run();
    let by: Vec<&str> = report.failures().map(|(name, _)| name).collect();
    if by.is_empty() {
        return Err(format!("nothing notices a backend that {}", mutant.rule).into());
    }
    println!("{} is caught by {}", mutant.name, by.join(", "));
    Ok(())
}

fn sqlite() -> Result<Arc<dyn StoreFactory>> {
    let stores = Embedded::new("sqlite", |directory, request| {
        let config = SqliteConfig::new(directory.join("store.db"));
        let config = config.with_synchronous(Synchronous::Normal);
        Ok(Arc::new(config.open(request.access)))
    })?;
    Ok(Arc::new(stores.with_settings("sqlite", |directory| {
        format!("database = '{}'", directory.join("store.db").display())
    })))
}
