//! Trying a law on many histories, and shrinking one that breaks it.

use std::hash::{BuildHasher, RandomState};
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::generate::{History, history};
use crate::bed::TestBed;
use crate::outcome::{Outcome, Stop};

/// How many histories each law is tried on.
pub const CASES: &str = "METAXY_LAWS_CASES";
/// The number that the histories come from, decimal or `0x…`; `random` draws one.
pub const SEED: &str = "METAXY_LAWS_SEED";

/// How many, unless [`CASES`] says otherwise: some seconds for all laws.
const DEFAULT_CASES: u64 = 20;
// Among these histories are some that show each fault of `tests/suite/laws.rs`.
const DEFAULT_SEED: u64 = 0x6d65_7461_78a0;
/// How many smaller histories are tried at most.
const SHRINKS: usize = 400;
/// How long smaller histories are looked for: a slow backend shows a larger one rather than none.
const SHRINKING: Duration = Duration::from_secs(60);

/// What has to hold for any history, on a store of this name.
pub(super) type Law = for<'a> fn(&'a TestBed, &'a str, &'a History) -> BoxFuture<'a, Outcome>;

/// Fails with the smallest history found that breaks the law.
pub(super) async fn for_all_histories(bed: &TestBed, law: Law) -> Outcome {
    for_histories(bed, seeds()?, law).await
}

/// As [`for_all_histories`], for a quarter of them: a law that takes long.
pub(super) async fn for_few_histories(bed: &TestBed, law: Law) -> Outcome {
    for_histories(bed, seeds()?.step_by(4), law).await
}

async fn for_histories(
    bed: &TestBed,
    seeds: impl Iterator<Item = u64> + Send,
    law: Law,
) -> Outcome {
    for seed in seeds {
        let tree = drawn(seed)?;
        let name = format!("{seed:x}");
        match attempt(bed, law, &name, &tree.current()).await {
            Ok(()) => {}
            Err(stop @ (Stop::Ignored(_) | Stop::Missing(_))) => return Err(stop),
            Err(Stop::Failed(why)) => {
                let smallest = shrunk(bed, law, &name, tree, why).await;
                return Err(smallest.failure(seed));
            }
        }
    }
    Ok(())
}

/// The history that a seed stands for.
fn drawn(seed: u64) -> Outcome<Box<dyn ValueTree<Value = History> + Send>> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let tree = history().new_tree(&mut runner);
    let tree = tree.map_err(|why| Stop::failed(format!("no history can be drawn: {why}")))?;
    Ok(Box::new(tree))
}

struct Smallest {
    history: History,
    why: String,
    tried: usize,
}

async fn shrunk(
    bed: &TestBed,
    law: Law,
    name: &str,
    mut tree: Box<dyn ValueTree<Value = History> + Send>,
    why: String,
) -> Smallest {
    let mut smallest = Smallest {
        history: tree.current(),
        why,
        tried: 0,
    };
    let begun = Instant::now();
    let mut simpler = tree.simplify();
    while simpler && smallest.tried < SHRINKS && begun.elapsed() < SHRINKING {
        smallest.tried += 1;
        let history = tree.current();
        let name = format!("{name}-{}", smallest.tried);
        simpler = match attempt(bed, law, &name, &history).await {
            Err(Stop::Failed(why)) => {
                (smallest.history, smallest.why) = (history, why);
                tree.simplify()
            }
            _ => tree.complicate(),
        };
    }
    smallest
}

impl Smallest {
    fn failure(&self, seed: u64) -> Stop {
        Stop::failed(format!(
            "the law does not hold for the history of seed {seed:#x}\n\
             {}\n\
             what differs: {}\n\
             (shrunk by {} attempts; again with {SEED}={seed:#x} {CASES}=1)",
            self.history, self.why, self.tried
        ))
    }
}

/// Tries the law on stores of its own, which are gone afterwards. A panic breaks it.
async fn attempt(bed: &TestBed, law: Law, name: &str, history: &History) -> Outcome {
    let outcome = AssertUnwindSafe(law(bed, name, history))
        .catch_unwind()
        .await;
    for store in [name, &beside(name)] {
        bed.discard(store).await?;
    }
    outcome.unwrap_or_else(|_| Err(Stop::failed("a panic")))
}

/// The name of a second store for the same history.
pub(super) fn beside(name: &str) -> String {
    format!("{name}-beside")
}

/// What each case comes from.
pub(super) fn seeds() -> Outcome<impl Iterator<Item = u64> + Send> {
    let (cases, first) = (cases()?, seed()?);
    Ok((0..cases).map(move |i| first.wrapping_add(i)))
}

fn cases() -> Outcome<u64> {
    match std::env::var(CASES) {
        Ok(text) => text
            .parse()
            .map_err(|_| Stop::failed(format!("{CASES} is {text:?}, not a number"))),
        Err(_) => Ok(DEFAULT_CASES),
    }
}

fn seed() -> Outcome<u64> {
    let Ok(text) = std::env::var(SEED) else {
        return Ok(DEFAULT_SEED);
    };
    if text == "random" {
        let seed = RandomState::new().hash_one(0);
        eprintln!("{SEED}={seed:#x}");
        return Ok(seed);
    }
    let number = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    number.map_err(|_| {
        Stop::failed(format!(
            "{SEED} is {text:?}; it is a number, decimal or 0x…, or \"random\""
        ))
    })
}
