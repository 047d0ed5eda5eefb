//! Every mutant fails the suite, and the output says by which cases. The case that has caught it before is tried first: most of the suite
//! would be run in vain.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use metaxy_conformance::mutants::{self, Fault, Mutant};
use metaxy_conformance::{Embedded, StoreFactory, Suite};
use metaxy_store::Result;
use metaxy_store::sqlite::{SqliteConfig, Synchronous};

/// A mutant and the case that has caught it, a line each.
const CAUGHT_BY: &str = include_str!("mutants.txt");

/// Of the whole suite: those that run at the same time may be told as well.
const SHOWN: usize = 1;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = vec![Trial::test("without_a_fault", without_a_fault)];
    trials.extend(
        mutants::all()
            .into_iter()
            .map(|mutant| Trial::test(mutant.name, move || caught(mutant))),
    );
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Mutants and the cases that have caught them.
fn known() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = CAUGHT_BY.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' '))
}

/// A mutant that does as it should.
struct Faultless;

impl Fault for Faultless {}

/// The cases that catch mutants pass on one that does as it should.
fn without_a_fault() -> Result<(), Failed> {
    let mutant = Mutant::new("faultless", "does as it should", || Box::new(Faultless));
    let cases: Vec<&str> = known().map(|(_, case)| case).collect();
    let report = Suite::new(mutant.stores(sqlite()?)).with_only(&cases).run();
    match report.is_success() {
        true => Ok(()),
        false => Err(report.to_string().into()),
    }
}

/// The suite fails on the mutant; by which cases is printed.
fn caught(mutant: Mutant) -> Result<(), Failed> {
    // The laws would find most of them too, but shrink what they find first.
    let suite = Suite::new(mutant.stores(sqlite()?)).without(&["laws::"]);
    let known = known().find(|(name, _)| *name == mutant.name);
    if let Some((_, case)) = known
        && suite.clone().with_only(&[case]).run().failures().count() > 0
    {
        println!("{} is caught by {case}", mutant.name);
        return Ok(());
    }
    let report = suite.with_failures_at_most(SHOWN).run();
    let by: Vec<&str> = report.failures().map(|(name, _)| name).collect();
    if by.is_empty() {
        return Err(format!("nothing notices a backend that {}", mutant.rule).into());
    }
    println!(
        "{} is caught by {}, which `mutants.txt` does not say",
        mutant.name,
        by.join(", ")
    );
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
