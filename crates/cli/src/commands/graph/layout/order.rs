//! The order of places in their layers.

use super::Net;

/// At most so many times the layers are gone through.
const SWEEPS: usize = 24;
/// So many times without fewer crossings, and it is enough.
const PATIENCE: usize = 6;

/// Orders the places of each layer by the means of where their neighbours are, down and up in turns, exchanges neighbours where
/// that helps, and keeps the order with the fewest crossings.
pub(super) fn reduce_crossings(net: &mut Net) {
    let mut best = (crossings(net), net.layers.clone());
    let mut positions = net.positions();
    let mut since = 0;
    for sweep in 0..SWEEPS {
        if best.0 == 0 || since >= PATIENCE {
            break;
        }
        let mut by_means = |net: &mut Net, layer| sort_by_means(net, layer, sweep, &mut positions);
        match sweep % 2 {
            0 => (1..net.layers.len()).for_each(|layer| by_means(net, layer)),
            _ => (0..net.layers.len().saturating_sub(1))
                .rev()
                .for_each(|layer| by_means(net, layer)),
        }
        exchange_neighbours(net, &mut positions);
        let found = crossings(net);
        since += 1;
        if found < best.0 {
            best = (found, net.layers.clone());
            since = 0;
        }
    }
    net.layers = best.1;
}

/// Sorts a layer by where its places' neighbours are in the layer that the sweep comes from. Places without neighbours stay
/// where they are.
fn sort_by_means(net: &mut Net, layer: usize, sweep: usize, positions: &mut [usize]) {
    let neighbours = if sweep.is_multiple_of(2) {
        &net.up
    } else {
        &net.down
    };
    let mean = |vertex: usize| {
        let near = &neighbours[vertex];
        let sum: usize = near.iter().map(|&v| positions[v]).sum();
        // Finer than any two means of the lines that one place has in practice.
        (!near.is_empty()).then(|| sum * 100_000 / near.len())
    };
    let mut movable: Vec<(usize, usize)> = net.layers[layer]
        .iter()
        .filter_map(|&vertex| Some((mean(vertex)?, vertex)))
        .collect();
    // Equals change places in every other pair of sweeps, which leads to orders that are not found otherwise.
    if (sweep / 2) % 2 == 1 {
        movable.reverse();
    }
    movable.sort_by_key(|(mean, _)| *mean);
    let mut sorted = movable.into_iter().map(|(_, vertex)| vertex);
    for (position, place) in net.layers[layer].iter_mut().enumerate() {
        if !neighbours[*place].is_empty()
            && let Some(next) = sorted.next()
        {
            *place = next;
        }
        positions[*place] = position;
    }
}

/// Exchanges two places beside each other as long as that makes fewer crossings.
fn exchange_neighbours(net: &mut Net, positions: &mut [usize]) {
    // A layer is looked at again where it or one beside it has changed.
    let mut changed = vec![true; net.layers.len()];
    for _ in 0..SWEEPS {
        let before = std::mem::replace(&mut changed, vec![false; net.layers.len()]);
        for layer in 0..net.layers.len() {
            let near = layer.saturating_sub(1)..(layer + 2).min(net.layers.len());
            let as_it_was = near.clone().all(|near| !before[near] && !changed[near]);
            if as_it_was {
                continue;
            }
            for &vertex in &net.layers[layer] {
                net.up[vertex].sort_unstable_by_key(|&v| positions[v]);
                net.down[vertex].sort_unstable_by_key(|&v| positions[v]);
            }
            for at in 1..net.layers[layer].len() {
                let (left, right) = (net.layers[layer][at - 1], net.layers[layer][at]);
                let [now, then] = [(left, right), (right, left)].map(|(first, second)| {
                    between(&net.up[first], &net.up[second], positions)
                        + between(&net.down[first], &net.down[second], positions)
                });
                if then < now {
                    net.layers[layer].swap(at - 1, at);
                    positions.swap(left, right);
                    changed[layer] = true;
                }
            }
        }
        if !changed.contains(&true) {
            return;
        }
    }
}

/// How many lines cross if the place with the neighbours `first` comes before the one with `second`; both from left to right.
fn between(first: &[usize], second: &[usize], positions: &[usize]) -> usize {
    let (mut crossed, mut left_of) = (0, 0);
    for &a in first {
        while left_of < second.len() && positions[second[left_of]] < positions[a] {
            left_of += 1;
        }
        crossed += left_of;
    }
    crossed
}

/// How many pairs of lines cross.
pub(super) fn crossings(net: &Net) -> usize {
    let positions = net.positions();
    let mut total = 0;
    for layer in &net.layers {
        let mut ends: Vec<(usize, usize)> = Vec::new();
        for &vertex in layer {
            let of = |&down: &usize| (positions[vertex], positions[down]);
            ends.extend(net.down[vertex].iter().map(of));
        }
        ends.sort_unstable();
        let most = ends.iter().map(|end| end.1 + 1).max().unwrap_or_default();
        // Of the lines that start further left, how many end further right: counted in a binary indexed tree.
        let mut tree = vec![0_usize; most + 1];
        for (met, (_, end)) in ends.iter().enumerate() {
            let (mut at, mut not_right) = (end + 1, 0);
            while at > 0 {
                not_right += tree[at];
                at &= at - 1;
            }
            total += met - not_right;
            let mut at = end + 1;
            while at <= most {
                tree[at] += 1;
                at += at & at.wrapping_neg();
            }
        }
    }
    total
}
