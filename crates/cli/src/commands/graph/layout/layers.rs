//! Which layer each node is in.

use super::Spacing;

/// A layer after those of all upstreams, as early as the room allows; then nodes that more lines leave than enter move towards
/// what they lead to, so that lines are short.
pub(super) fn assign(sizes: &[i64], edges: &[(usize, usize)], spacing: Spacing) -> Vec<usize> {
    let (mut above, mut below) = (vec![Vec::new(); sizes.len()], vec![Vec::new(); sizes.len()]);
    for &(from, to) in edges {
        above[to].push(from);
        below[from].push(to);
    }
    let sorted = topological(&above, &below);
    let mut layers = vec![0; sizes.len()];
    let mut used: Vec<i64> = Vec::new();
    let mut fits = |layer: usize, size: i64| {
        used.resize(used.len().max(layer + 1), 0);
        let needed = used[layer] + size;
        let fits = used[layer] == 0 || spacing.room.is_none_or(|room| needed <= room);
        if fits {
            used[layer] = needed + spacing.nodes;
        }
        fits
    };
    for &node in &sorted {
        let after = above[node].iter().map(|&up| layers[up] + 1).max();
        let mut layer = after.unwrap_or(0);
        while !fits(layer, sizes[node]) {
            layer += 1;
        }
        layers[node] = layer;
    }
    if spacing.room.is_none() {
        for &node in sorted.iter().rev() {
            let before = below[node].iter().map(|&down| layers[down]).min();
            if let Some(before) = before
                && below[node].len() > above[node].len()
            {
                layers[node] = before.saturating_sub(1);
            }
        }
    }
    layers
}

/// Every node after those above it; of several that could be next the one with the least number.
fn topological(above: &[Vec<usize>], below: &[Vec<usize>]) -> Vec<usize> {
    let mut missing: Vec<usize> = above.iter().map(Vec::len).collect();
    let mut ready: std::collections::BTreeSet<usize> = (0..above.len())
        .filter(|&node| missing[node] == 0)
        .collect();
    let mut sorted = Vec::with_capacity(above.len());
    while let Some(node) = ready.pop_first() {
        sorted.push(node);
        for &down in &below[node] {
            missing[down] -= 1;
            if missing[down] == 0 {
                ready.insert(down);
            }
        }
    }
    sorted
}
