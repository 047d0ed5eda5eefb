//! Where things of a layered drawing go: Sugiyama's method, for graphs without cycles.
//!
//! 1. [`layers`]: each node gets a layer after those of its upstreams.
//! 2. Lines that pass through layers get a place in each of them. The lines of one node share a place as long as they run
//!    together, which keeps a drawing calm in which much depends on one feature.
//! 3. [`order`]: the places of a layer are put in an order with few crossings.
//! 4. [`place`]: they get coordinates that keep lines straight (Brandes and Köpf).
//!
//! Layers follow each other along the *main* axis; coordinates here are those along the other axis, the *cross* axis. All
//! are whole numbers, so that a drawing is the same everywhere, and one of characters is no special case.

mod layers;
mod order;
mod place;

use std::collections::{BTreeMap, HashMap};

/// What room things need along the cross axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spacing {
    /// Between two nodes.
    pub(crate) nodes: i64,
    /// Between lines, and between a line and a node.
    pub(crate) lines: i64,
    /// How wide a layer may be before the next node goes to a later one, as far as that is possible.
    pub(crate) room: Option<i64>,
    /// How many places lines may have in the layers between their ends. Beyond that the longest go straight to their ends, beneath whatever
    /// is on the way: nobody follows them by eye in a drawing of that size.
    pub(crate) places: usize,
}

/// A drawing's places, layer by layer.
#[derive(Debug)]
pub(crate) struct Arrangement {
    /// The nodes first, under their own numbers, then the places of lines that pass.
    pub(crate) places: Vec<Place>,
    /// Each layer's places, in order.
    pub(crate) layers: Vec<Vec<usize>>,
    /// Of each edge the places it goes through, from its first node to its last: one for each layer, or only those two.
    pub(crate) routes: Vec<Vec<usize>>,
    /// How wide it all is.
    pub(crate) width: i64,
}

/// A node, or a line that passes through a layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// The node; of a line the one that it comes from.
    pub(crate) node: usize,
    /// Whether it is only a line.
    pub(crate) is_line: bool,
    pub(crate) layer: usize,
    /// Where it starts.
    pub(crate) start: i64,
    /// How much of the cross axis it takes.
    pub(crate) size: i64,
    /// Where lines meet it: the same in all places that a straight line joins.
    pub(crate) middle: i64,
}

/// Arranges nodes of these sizes along the cross axis; edges lead from upstream to dependent and make no cycle.
pub(crate) fn arrange(sizes: &[i64], edges: &[(usize, usize)], spacing: Spacing) -> Arrangement {
    let (mut net, routes) = Net::new(sizes, edges, spacing);
    order::reduce_crossings(&mut net);
    let middles = place::middles(&net, spacing);
    let starts: Vec<i64> = (0..net.sizes.len())
        .map(|v| (middles[v] - net.sizes[v]).div_euclid(2))
        .collect();
    let least = starts.iter().copied().min().unwrap_or_default();
    let places: Vec<Place> = (0..net.sizes.len())
        .map(|v| Place {
            node: net.nodes[v],
            is_line: net.is_line(v),
            layer: net.layer_of[v],
            start: starts[v] - least,
            size: net.sizes[v],
            middle: (middles[v] - 1).div_euclid(2) - least,
        })
        .collect();
    let width = places.iter().map(|place| place.start + place.size).max();
    Arrangement {
        places,
        layers: net.layers,
        routes,
        width: width.unwrap_or_default(),
    }
}

/// The layers with what connects neighbouring ones.
#[derive(Debug)]
struct Net {
    /// How many of the vertices are nodes; the others are lines.
    real: usize,
    /// Of each vertex its node, or the one that its line comes from.
    nodes: Vec<usize>,
    sizes: Vec<i64>,
    layer_of: Vec<usize>,
    layers: Vec<Vec<usize>>,
    /// Of each vertex its neighbours in the layer before.
    up: Vec<Vec<usize>>,
    /// Of each vertex its neighbours in the layer after.
    down: Vec<Vec<usize>>,
}

impl Net {
    fn new(sizes: &[i64], edges: &[(usize, usize)], spacing: Spacing) -> (Self, Vec<Vec<usize>>) {
        let layer_of = layers::assign(sizes, edges, spacing);
        let mut net = Self {
            real: sizes.len(),
            nodes: (0..sizes.len()).collect(),
            sizes: sizes.to_vec(),
            layers: vec![Vec::new(); layer_of.iter().max().map_or(0, |last| last + 1)],
            up: vec![Vec::new(); sizes.len()],
            down: vec![Vec::new(); sizes.len()],
            layer_of,
        };
        let longest = longest(edges, &net.layer_of, spacing.places);
        let mut lines: HashMap<(usize, usize), usize> = HashMap::new();
        let mut routes = Vec::with_capacity(edges.len());
        for &(from, to) in edges {
            if net.layer_of[to] - net.layer_of[from] > longest {
                routes.push(vec![from, to]);
                continue;
            }
            let mut route = vec![from];
            for layer in net.layer_of[from] + 1..net.layer_of[to] {
                let line = *lines
                    .entry((from, layer))
                    .or_insert_with(|| net.add_line(from, layer));
                net.connect(route[route.len() - 1], line);
                route.push(line);
            }
            net.connect(route[route.len() - 1], to);
            route.push(to);
            routes.push(route);
        }
        net.fill_layers();
        (net, routes)
    }

    fn is_line(&self, vertex: usize) -> bool {
        vertex >= self.real
    }

    fn add_line(&mut self, from: usize, layer: usize) -> usize {
        self.nodes.push(from);
        self.sizes.push(1);
        self.layer_of.push(layer);
        self.up.push(Vec::new());
        self.down.push(Vec::new());
        self.sizes.len() - 1
    }

    fn connect(&mut self, above: usize, below: usize) {
        if !self.down[above].contains(&below) {
            self.down[above].push(below);
            self.up[below].push(above);
        }
    }

    /// Puts every vertex into its layer, in the order in which a walk along the lines meets them.
    fn fill_layers(&mut self) {
        let mut seen = vec![false; self.sizes.len()];
        for start in 0..self.real {
            if !self.up[start].is_empty() {
                continue;
            }
            let mut pending = vec![start];
            while let Some(vertex) = pending.pop() {
                if std::mem::replace(&mut seen[vertex], true) {
                    continue;
                }
                self.layers[self.layer_of[vertex]].push(vertex);
                pending.extend(self.down[vertex].iter().rev());
            }
        }
    }

    /// The position of each vertex in its layer.
    fn positions(&self) -> Vec<usize> {
        let mut positions = vec![0; self.sizes.len()];
        for layer in &self.layers {
            for (position, &vertex) in layer.iter().enumerate() {
                positions[vertex] = position;
            }
        }
        positions
    }
}

/// Over how many layers lines may go for all their places to be no more than `places`.
fn longest(edges: &[(usize, usize)], layer_of: &[usize], places: usize) -> usize {
    let length = |&(from, to): &(usize, usize)| layer_of[to] - layer_of[from];
    let mut longest = edges.iter().map(length).max().unwrap_or_default();
    while longest > 1 {
        let mut passed = vec![0; layer_of.len()];
        for edge in edges.iter().filter(|edge| length(edge) <= longest) {
            passed[edge.0] = passed[edge.0].max(length(edge) - 1);
        }
        if passed.iter().sum::<usize>() <= places {
            break;
        }
        longest /= 2;
    }
    longest
}

/// The nodes that hang together, each group in order, the one with the first node first.
pub(crate) fn components(nodes: usize, edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut root: Vec<usize> = (0..nodes).collect();
    fn find(root: &mut [usize], mut node: usize) -> usize {
        while root[node] != node {
            root[node] = root[root[node]];
            node = root[node];
        }
        node
    }
    for &(from, to) in edges {
        let (a, b) = (find(&mut root, from), find(&mut root, to));
        root[a.max(b)] = a.min(b);
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for node in 0..nodes {
        groups.entry(find(&mut root, node)).or_default().push(node);
    }
    groups.into_values().collect()
}

/// Where rectangles of these widths and heights go so that none lies on another: the left upper corner of each, in rows of at
/// most `width`, in the order given. And how wide and high all of them are.
pub(crate) fn shelves(sizes: &[(i64, i64)], width: i64, gap: i64) -> (Vec<(i64, i64)>, (i64, i64)) {
    let (mut corners, mut total) = (Vec::with_capacity(sizes.len()), (0, 0));
    let (mut x, mut y, mut row) = (0, 0, 0);
    for &(w, h) in sizes {
        if x > 0 && x + w > width {
            (x, y, row) = (0, y + row + gap, 0);
        }
        corners.push((x, y));
        total = (total.0.max(x + w), total.1.max(y + h));
        x += w + gap;
        row = row.max(h);
    }
    (corners, total)
}

#[cfg(test)]
mod tests;
