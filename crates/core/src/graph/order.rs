//! Walks over the graph. None recurses: chains may be thousands of features long.

use std::collections::{HashMap, HashSet};

use crate::error::Result;
use crate::graph::{Inner, invalid};
use crate::key::FeatureKey;

/// At most this many features of a cycle are listed in its error.
const SHOWN: usize = 12;

impl Inner {
    /// Positions of all features: depth-first, post-order, alphabetical.
    pub(super) fn topological(&self) -> Vec<usize> {
        let mut starts: Vec<usize> = (0..self.entries.len()).collect();
        self.alphabetical(&mut starts);
        self.post_order(starts, |position| {
            let mut deps = self.deps(position);
            self.alphabetical(&mut deps);
            deps
        })
    }

    /// Positions of what depends on `sources`, upstreams first.
    pub(super) fn downstream(&self, sources: &[FeatureKey]) -> Vec<usize> {
        let mut order = Vec::new();
        let mut seen = HashSet::new();
        for source in sources {
            // A source need not be in the graph; the walk starts from those that name it.
            let starts = match self.entries.get_index_of(source) {
                Some(position) => vec![position],
                None => self.dependents(source.as_str()),
            };
            self.walk(starts, &mut seen, &mut order, |position| {
                match self.entries.get_index(position) {
                    Some((key, _)) => self.dependents(key.as_str()),
                    None => Vec::new(),
                }
            });
        }
        order.reverse();
        let sources: HashSet<_> = sources
            .iter()
            .filter_map(|key| self.entries.get_index_of(key))
            .collect();
        order.retain(|position| !sources.contains(position));
        order
    }

    /// Positions of what `targets` depend on, upstreams first.
    pub(super) fn upstream(&self, targets: &[FeatureKey]) -> Vec<usize> {
        let targets: Vec<usize> = targets
            .iter()
            .filter_map(|key| self.entries.get_index_of(key))
            .collect();
        let above: HashSet<usize> = self
            .post_order(targets.clone(), |position| self.deps(position))
            .into_iter()
            .collect();
        let mut order = self.topological();
        order.retain(|position| above.contains(position) && !targets.contains(position));
        order
    }

    /// Positions of the features that name `key` as a dependency, in graph order.
    pub(super) fn dependents(&self, key: &str) -> Vec<usize> {
        let named = self.dependents.get(key).into_iter().flatten();
        let mut positions: Vec<usize> = named
            .filter_map(|key| self.entries.get_index_of(key))
            .collect();
        positions.sort_unstable();
        positions
    }

    /// Whether features depend on each other in a circle.
    pub(super) fn has_circle(&self) -> bool {
        let order = self.topological();
        let mut place = vec![0; order.len()];
        for (at, position) in order.iter().enumerate() {
            place[*position] = at;
        }
        let comes_late = |below: usize| {
            self.deps(below)
                .iter()
                .any(|&above| place[above] >= place[below])
        };
        order.iter().any(|&below| comes_late(below))
    }

    /// Whether `key`, which was just put in, closes a cycle.
    pub(super) fn check_cycle(&self, key: &FeatureKey) -> Result<()> {
        // Nothing leads back to a feature that nobody depends on, which is the usual case.
        let Some(start) = self
            .entries
            .get_index_of(key)
            .filter(|_| !self.dependents(key.as_str()).is_empty())
        else {
            return Ok(());
        };
        let mut reached_from: HashMap<usize, usize> = HashMap::new();
        let mut open = vec![start];
        while let Some(position) = open.pop() {
            for dep in self.deps(position) {
                if dep == start {
                    return Err(self.cycle(start, position, &reached_from));
                }
                reached_from.entry(dep).or_insert_with(|| {
                    open.push(dep);
                    position
                });
            }
        }
        Ok(())
    }

    fn cycle(
        &self,
        start: usize,
        last: usize,
        reached_from: &HashMap<usize, usize>,
    ) -> crate::error::Error {
        let name = |position: usize| {
            self.entries
                .get_index(position)
                .map_or("", |(key, _)| key.as_str())
        };
        let mut path = vec![name(start)];
        let mut at = last;
        while at != start {
            path.push(name(at));
            match reached_from.get(&at) {
                Some(from) => at = *from,
                None => break,
            }
        }
        if path.len() > SHOWN {
            path.splice(SHOWN / 2..path.len() - SHOWN / 2, ["…"]);
        }
        path.push(name(start));
        invalid(format!(
            "features depend on each other in a circle: `{}`",
            path.join("` ← `")
        ))
        .with_hint("remove one of these dependencies")
    }

    /// Positions of the dependencies of the feature at `position` that are in the graph, in spec order.
    fn deps(&self, position: usize) -> Vec<usize> {
        let deps = self
            .entries
            .get_index(position)
            .map_or(&[][..], |(_, entry)| entry.definition.spec.deps());
        deps.iter()
            .filter_map(|dep| self.entries.get_index_of(&dep.feature))
            .collect()
    }

    /// By lower-cased key; keys have no upper case.
    fn alphabetical(&self, positions: &mut [usize]) {
        positions.sort_by_key(|position| {
            self.entries
                .get_index(*position)
                .map(|(key, _)| key.as_str())
        });
    }

    fn post_order(&self, starts: Vec<usize>, next: impl Fn(usize) -> Vec<usize>) -> Vec<usize> {
        let mut order = Vec::new();
        self.walk(starts, &mut HashSet::new(), &mut order, next);
        order
    }

    /// Appends what can be reached from `starts` to `order`, each after all that it leads to.
    fn walk(
        &self,
        starts: Vec<usize>,
        seen: &mut HashSet<usize>,
        order: &mut Vec<usize>,
        next: impl Fn(usize) -> Vec<usize>,
    ) {
        for start in starts {
            if !seen.insert(start) {
                continue;
            }
            let mut stack = vec![(start, next(start).into_iter())];
            while let Some((position, rest)) = stack.last_mut() {
                match rest.find(|position| seen.insert(*position)) {
                    Some(position) => stack.push((position, next(position).into_iter())),
                    None => {
                        order.push(*position);
                        stack.pop();
                    }
                }
            }
        }
    }
}
