//! The geometry of a drawing in pixels: a card for each feature, a curve for each dependency.

use std::fmt::Write as _;

use super::card::Card;
use super::layout::{Arrangement, Spacing, arrange, components, shelves};
use super::view::View;

/// Between layers, and how much more where lines have a long way to go across.
const LAYER_GAP: i64 = 72;
const MORE_GAP: i64 = 120;
/// Between parts that do not hang together.
const PART_GAP: i64 = 44;
/// A drawing that needs more of them is thousands of pixels high and wide.
const PLACES: usize = 50_000;
const WITH_FIELDS: Spacing = Spacing {
    nodes: 22,
    lines: 14,
    room: None,
    places: PLACES,
};
const SLIM: Spacing = Spacing {
    nodes: 12,
    lines: 9,
    room: None,
    places: PLACES,
};

/// Where layers follow each other to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Direction {
    /// From left to right.
    #[value(alias = "LR")]
    Lr,
    /// From top to bottom.
    #[value(alias = "TB")]
    Tb,
}

/// Where everything of a view goes.
#[derive(Debug)]
pub(crate) struct Scene {
    /// Of each feature.
    pub(crate) cards: Vec<Card>,
    /// Of each feature: where its card is.
    pub(crate) boxes: Vec<Rect>,
    /// Of each edge its curve, as the data of an SVG path.
    pub(crate) curves: Vec<String>,
    pub(crate) width: i64,
    pub(crate) height: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rect {
    pub(crate) x: i64,
    pub(crate) y: i64,
    pub(crate) width: i64,
    pub(crate) height: i64,
}

impl Scene {
    pub(crate) fn new(view: &View, with_fields: bool, direction: Direction) -> Self {
        let cards = Card::all(view, with_fields);
        let pairs = view.pairs();
        let spacing = if with_fields { WITH_FIELDS } else { SLIM };
        let groups = components(cards.len(), &pairs);
        let mut group_of = vec![0; cards.len()];
        for (group, nodes) in groups.iter().enumerate() {
            nodes.iter().for_each(|&node| group_of[node] = group);
        }
        let mut edges = vec![Vec::new(); groups.len()];
        for (edge, &(from, to)) in pairs.iter().enumerate() {
            edges[group_of[from]].push((edge, (from, to)));
        }
        let mut parts: Vec<Part> = groups
            .into_iter()
            .zip(edges)
            .map(|(nodes, edges)| Part::new(nodes, edges, &cards, spacing, direction))
            .collect();
        // Large parts first; features that hang on nothing end up side by side.
        parts.sort_by_key(|part| std::cmp::Reverse(part.nodes.len()));
        let sizes: Vec<(i64, i64)> = parts.iter().map(|part| (part.width, part.height)).collect();
        let (corners, (width, height)) = shelves(&sizes, sheet(&sizes), PART_GAP);
        let nowhere = Rect {
            x: 0,
            y: 0,
            width: 0,
            height: 0,
        };
        let mut boxes = vec![nowhere; cards.len()];
        let mut curves = vec![String::new(); pairs.len()];
        for (part, (x, y)) in parts.iter().zip(corners) {
            for (&node, place) in part.nodes.iter().zip(&part.boxes) {
                boxes[node] = Rect {
                    x: place.x + x,
                    y: place.y + y,
                    ..*place
                };
            }
            for (edge, points) in &part.lines {
                curves[*edge] = curve(points, (x, y), direction);
            }
        }
        Self {
            cards,
            boxes,
            curves,
            width,
            height,
        }
    }
}

/// How wide a sheet for parts of these sizes is: as the widest, or somewhat wider than high.
fn sheet(sizes: &[(i64, i64)]) -> i64 {
    let widest = sizes.iter().map(|size| size.0).max().unwrap_or_default();
    let area: i64 = sizes
        .iter()
        .map(|(w, h)| (w + PART_GAP) * (h + PART_GAP))
        .sum();
    widest.max(
        (area * 2)
            .unsigned_abs()
            .isqrt()
            .try_into()
            .unwrap_or(i64::MAX),
    )
}

/// Features that hang together, drawn by themselves.
struct Part {
    nodes: Vec<usize>,
    /// Of each of the nodes.
    boxes: Vec<Rect>,
    /// Edges, and the points of each: along the main axis first. From each point with an even position to the next the line goes
    /// straight, then in a curve.
    lines: Vec<(usize, Vec<(i64, i64)>)>,
    width: i64,
    height: i64,
}

impl Part {
    fn new(
        nodes: Vec<usize>,
        edges: Vec<(usize, (usize, usize))>,
        cards: &[Card],
        spacing: Spacing,
        direction: Direction,
    ) -> Self {
        let sizes = |node: usize| match direction {
            Direction::Lr => (cards[node].width, cards[node].height),
            Direction::Tb => (cards[node].height, cards[node].width),
        };
        let own = |node: usize| nodes.partition_point(|&other| other < node);
        let edges: Vec<(usize, (usize, usize))> = edges
            .into_iter()
            .map(|(edge, (from, to))| (edge, (own(from), own(to))))
            .collect();
        let ends: Vec<(usize, usize)> = edges.iter().map(|(_, ends)| *ends).collect();
        let across: Vec<i64> = nodes.iter().map(|&node| sizes(node).1).collect();
        let found = arrange(&across, &ends, spacing);
        let layers = Layers::new(&found, |node| sizes(nodes[node]).0);
        let boxes = (0..nodes.len()).map(|node| {
            let place = found.places[node];
            let (start, end) = layers.spans[place.layer];
            let along = match direction {
                // A layer's cards are of one width, which makes it a column.
                Direction::Lr => end - start,
                Direction::Tb => sizes(nodes[node]).0,
            };
            match direction {
                Direction::Lr => Rect {
                    x: start,
                    y: place.start,
                    width: along,
                    height: place.size,
                },
                Direction::Tb => Rect {
                    x: place.start,
                    y: start,
                    width: place.size,
                    height: along,
                },
            }
        });
        let boxes: Vec<Rect> = boxes.collect();
        let lines = edges.iter().zip(&found.routes).map(|((edge, _), route)| {
            let source = boxes[route[0]];
            let leaves = match direction {
                Direction::Lr => source.x + source.width,
                Direction::Tb => source.y + source.height,
            };
            (*edge, layers.points(&found, route, leaves))
        });
        let lines = lines.collect();
        let (width, height) = match direction {
            Direction::Lr => (layers.length, found.width),
            Direction::Tb => (found.width, layers.length),
        };
        Self {
            nodes,
            boxes,
            lines,
            width,
            height,
        }
    }
}

/// Where layers start and end along the main axis.
struct Layers {
    spans: Vec<(i64, i64)>,
    length: i64,
}

impl Layers {
    fn new(found: &Arrangement, size: impl Fn(usize) -> i64) -> Self {
        let (mut spans, mut at) = (Vec::with_capacity(found.layers.len()), 0);
        let gaps = gaps(found);
        for (layer, gap) in found.layers.iter().zip(gaps) {
            let nodes = layer.iter().filter(|&&place| !found.places[place].is_line);
            let size = nodes.map(|&node| size(node)).max().unwrap_or_default();
            spans.push((at, at + size));
            at += size + gap;
        }
        Self {
            length: spans.last().map_or(0, |(_, end)| *end),
            spans,
        }
    }

    /// The points of a line that leaves its card at `leaves`.
    fn points(&self, found: &Arrangement, route: &[usize], leaves: i64) -> Vec<(i64, i64)> {
        let mut points: Vec<(i64, i64)> = Vec::new();
        for (at, &place) in route.iter().enumerate() {
            let place = found.places[place];
            let (start, end) = self.spans[place.layer];
            let is_last = at + 1 == route.len();
            let until = if is_last { start } else { end };
            match points.last_mut() {
                // It goes on straight: many layers make no more points than one.
                Some(last) if last.1 == place.middle => last.0 = until,
                Some(_) if is_last => points.push((start, place.middle)),
                Some(_) => points.extend([(start, place.middle), (end, place.middle)]),
                None => points.extend([(leaves, place.middle), (until, place.middle)]),
            }
        }
        points
    }
}

/// The gap below each layer: wider where lines lead far away, so that they do not stand up straight.
fn gaps(found: &Arrangement) -> Vec<i64> {
    let mut far = vec![0; found.layers.len()];
    for way in found.routes.iter().flat_map(|route| route.windows(2)) {
        let (from, to) = (found.places[way[0]], found.places[way[1]]);
        far[from.layer] = far[from.layer].max((from.middle - to.middle).abs());
    }
    far.into_iter()
        .map(|far| LAYER_GAP + (far / 10).min(MORE_GAP))
        .collect()
}

fn curve(points: &[(i64, i64)], (x, y): (i64, i64), direction: Direction) -> String {
    let point = |(along, across): (i64, i64)| match direction {
        Direction::Lr => format!("{} {}", along + x, across + y),
        Direction::Tb => format!("{} {}", across + x, along + y),
    };
    let mut data = String::new();
    for (at, &here) in points.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| points[at]);
        // Writing to a text cannot fail.
        let _ = match before {
            None => write!(data, "M{}", point(here)),
            Some(before) if before == here => Ok(()),
            Some(before) if at % 2 == 1 || before.1 == here.1 => write!(data, "L{}", point(here)),
            Some(before) => {
                let middle = (before.0 + here.0) / 2;
                let (first, second) = ((middle, before.1), (middle, here.1));
                write!(data, "C{} {} {}", point(first), point(second), point(here))
            }
        };
    }
    data
}
