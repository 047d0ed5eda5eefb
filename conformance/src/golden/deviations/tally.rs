//! Which deviations a replay met.

use std::collections::{BTreeMap, BTreeSet};

use super::Deviation;
use crate::golden::report::Report;

/// How often each deviation was met, and whether it made a difference.
#[derive(Debug, Default)]
pub(in crate::golden) struct Tally {
    met: BTreeMap<&'static str, Met>,
}

#[derive(Debug)]
struct Met {
    reason: &'static str,
    /// Cases in which it made a difference.
    differed: BTreeSet<String>,
}

impl Tally {
    /// A case shows a deviation; `differed`: it is not as in the reference.
    pub(in crate::golden) fn met(
        &mut self,
        deviation: &'static Deviation,
        case: &str,
        differed: bool,
    ) {
        let met = self.met.entry(deviation.name).or_insert_with(|| Met {
            reason: deviation.reason,
            differed: BTreeSet::new(),
        });
        if differed {
            met.differed.insert(case.to_owned());
        }
    }

    /// Puts the summary into the report; an entry that made no difference anywhere fails.
    pub(in crate::golden) fn settle(self, report: &mut Report) {
        for (name, met) in self.met {
            if met.differed.is_empty() {
                let why =
                    "stale entry: it was met, but everything is as in the reference".to_owned();
                report.fail(format!("deviations/{name}"), vec![why]);
            }
            report
                .deviations
                .push((name, met.differed.len(), met.reason));
        }
    }
}
