//! Coordinates along the cross axis: U. Brandes and B. Köpf, "Fast and Simple Horizontal Coordinate Assignment", 2001.

use std::collections::HashSet;

use super::{Net, Spacing};

/// The middle of each vertex, doubled, so that it is a whole number for odd sizes as well.
///
/// Vertices are put into straight blocks in four ways (from the first or the last layer on, leaning left or right). Each is
/// packed tightly; the mean of the two middle values keeps all distances and leans nowhere.
pub(super) fn middles(net: &Net, spacing: Spacing) -> Vec<i64> {
    let crossing = crossing_long_lines(net);
    let mut results: Vec<Vec<i64>> = Vec::with_capacity(4);
    for from_last in [false, true] {
        for leaning_right in [false, true] {
            let view = View::new(net, from_last, leaning_right);
            let blocks = blocks(&view, &crossing);
            let mut found = pack(&view, &blocks, net, spacing);
            if leaning_right {
                found.iter_mut().for_each(|middle| *middle = -*middle);
            }
            results.push(found);
        }
    }
    align(&mut results, net);
    (0..net.sizes.len())
        .map(|vertex| {
            let mut four: Vec<i64> = results.iter().map(|result| result[vertex]).collect();
            four.sort_unstable();
            (four[1] + four[2]).div_euclid(2)
        })
        .collect()
}

/// The net as seen from one of its corners.
struct View<'a> {
    layers: Vec<Vec<usize>>,
    /// Neighbours in the layer that comes before in this view.
    before: &'a [Vec<usize>],
    positions: Vec<usize>,
}

impl<'a> View<'a> {
    fn new(net: &'a Net, from_last: bool, mirrored: bool) -> Self {
        let mut layers = net.layers.clone();
        if from_last {
            layers.reverse();
        }
        let mut positions = vec![0; net.sizes.len()];
        for layer in &mut layers {
            if mirrored {
                layer.reverse();
            }
            for (position, &vertex) in layer.iter().enumerate() {
                positions[vertex] = position;
            }
        }
        Self {
            layers,
            before: if from_last { &net.down } else { &net.up },
            positions,
        }
    }
}

/// The pairs that cross a line which passes through both of their layers: such a line is to be straight, so these cannot be.
fn crossing_long_lines(net: &Net) -> HashSet<(usize, usize)> {
    let positions = net.positions();
    let mut found = HashSet::new();
    for window in net.layers.windows(2) {
        let (above, below) = (&window[0], &window[1]);
        // Everything up to here is between the last long line and the next one.
        let (mut left, mut next) = (0, 0);
        for (at, &vertex) in below.iter().enumerate() {
            let long = net.up[vertex]
                .iter()
                .find(|&&up| net.is_line(vertex) && net.is_line(up));
            if long.is_none() && at + 1 < below.len() {
                continue;
            }
            let right = long.map_or(above.len(), |&up| positions[up]);
            for &passed in &below[next..=at] {
                for &up in &net.up[passed] {
                    let is_long = net.is_line(up) && net.is_line(passed);
                    if !is_long && (positions[up] < left || positions[up] > right) {
                        found.insert((up.min(passed), up.max(passed)));
                    }
                }
            }
            (left, next) = (right, at + 1);
        }
    }
    found
}

/// For each vertex the first one of its block: the vertices that get one coordinate, from layer to layer.
fn blocks(view: &View<'_>, crossing: &HashSet<(usize, usize)>) -> Vec<usize> {
    let count = view.positions.len();
    let mut root: Vec<usize> = (0..count).collect();
    let mut taken = vec![false; count];
    for layer in &view.layers {
        // Blocks must not cross, so each goes right of the one before.
        let mut reached: Option<usize> = None;
        for &vertex in layer {
            let mut near = view.before[vertex].clone();
            near.sort_by_key(|&v| view.positions[v]);
            let Some(last) = near.len().checked_sub(1) else {
                continue;
            };
            for &middle in &near[last / 2..=last.div_ceil(2)] {
                let position = view.positions[middle];
                let free = !taken[middle] && reached.is_none_or(|reached| reached < position);
                if free && !crossing.contains(&(vertex.min(middle), vertex.max(middle))) {
                    root[vertex] = root[middle];
                    taken[middle] = true;
                    reached = Some(position);
                    break;
                }
            }
        }
    }
    root
}

/// Puts the blocks as far left as they go; then those with room on their right as far right as they go without moving
/// others, which brings them near to what they belong to.
fn pack(view: &View<'_>, root: &[usize], net: &Net, spacing: Spacing) -> Vec<i64> {
    let count = root.len();
    let (mut right_of, mut left_of) = (vec![Vec::new(); count], vec![Vec::new(); count]);
    for layer in &view.layers {
        for pair in layer.windows(2) {
            let gap = match net.is_line(pair[0]) || net.is_line(pair[1]) {
                true => spacing.lines,
                false => spacing.nodes,
            };
            // Doubled, as all middles are.
            let distance = net.sizes[pair[0]] + net.sizes[pair[1]] + 2 * gap;
            let (left, right) = (root[pair[0]], root[pair[1]]);
            right_of[left].push((right, distance));
            left_of[right].push((left, distance));
        }
    }
    let sorted = from_the_left(root, &left_of, &right_of);
    let mut middles = vec![0_i64; count];
    for &block in &sorted {
        let least = left_of[block]
            .iter()
            .map(|&(left, distance)| middles[left] + distance);
        middles[block] = least.max().unwrap_or_default();
    }
    for &block in sorted.iter().rev() {
        let most = right_of[block]
            .iter()
            .map(|&(right, distance)| middles[right] - distance);
        if let Some(most) = most.min() {
            middles[block] = middles[block].max(most);
        }
    }
    (0..count).map(|vertex| middles[root[vertex]]).collect()
}

/// The blocks, each after all that are left of it.
fn from_the_left(
    root: &[usize],
    left_of: &[Vec<(usize, i64)>],
    right_of: &[Vec<(usize, i64)>],
) -> Vec<usize> {
    let mut missing: Vec<usize> = left_of.iter().map(Vec::len).collect();
    let mut ready: Vec<usize> = (0..root.len())
        .filter(|&v| root[v] == v && missing[v] == 0)
        .collect();
    let mut sorted = Vec::with_capacity(root.len());
    while let Some(block) = ready.pop() {
        sorted.push(block);
        for &(right, _) in &right_of[block] {
            missing[right] -= 1;
            if missing[right] == 0 {
                ready.push(right);
            }
        }
    }
    sorted
}

/// Moves the results onto the narrowest one: those that lean left at its left end, the others at its right end.
fn align(results: &mut [Vec<i64>], net: &Net) {
    let ends = |result: &[i64]| {
        let left = (0..result.len()).map(|v| result[v] - net.sizes[v]).min();
        let right = (0..result.len()).map(|v| result[v] + net.sizes[v]).max();
        (left.unwrap_or_default(), right.unwrap_or_default())
    };
    let all: Vec<(i64, i64)> = results.iter().map(|result| ends(result)).collect();
    let Some(narrowest) = all.iter().min_by_key(|(left, right)| right - left) else {
        return;
    };
    for (at, result) in results.iter_mut().enumerate() {
        let move_by = match at % 2 {
            0 => narrowest.0 - all[at].0,
            _ => narrowest.1 - all[at].1,
        };
        result.iter_mut().for_each(|middle| *middle += move_by);
    }
}
