//! A drawing of characters: boxes in layers with lines between them, or where these do not fit the width, a list.

use metaxy_store::spec::INITIAL_CODE_VERSION;

use super::canvas::{Canvas, Ink, Span, width};
use super::card::cut;
use super::layout::{Arrangement, Spacing, arrange, components, shelves};
use super::view::{Feature, View};
use super::wires::{Wire, route};
use crate::screen::{Style, short};

/// At most so many fields are shown in a box.
const FIELDS: usize = 10;
/// At most so many characters of a text in a box.
const TEXT: usize = 60;

/// More features than these are not squeezed into more layers: nobody could follow the lines.
const MANY: usize = 40;

/// The view in lines of at most `columns` characters.
pub(crate) fn drawing(view: &View, with_fields: bool, columns: usize, style: Style) -> String {
    let room = i64::try_from(columns).unwrap_or(i64::MAX);
    let several = view.several_projects();
    let boxes: Vec<TextBox> = view
        .features
        .iter()
        .map(|feature| TextBox::new(feature, several, with_fields, columns))
        .collect();
    let pairs = view.pairs();
    let mut parts = Vec::new();
    for nodes in components(boxes.len(), &pairs) {
        match Part::new(nodes, &pairs, &boxes, room) {
            Some(part) => parts.push(part),
            None => return super::list::list(view, with_fields, columns, style),
        }
    }
    parts.sort_by_key(|part| std::cmp::Reverse(part.nodes.len()));
    let sizes: Vec<(i64, i64)> = parts
        .iter()
        .map(|part| (part.found.width, part.height))
        .collect();
    let (corners, _) = shelves(&sizes, room, 2);
    let mut canvas = Canvas::default();
    for (part, corner) in parts.iter().zip(corners) {
        part.draw(&mut canvas, corner, &boxes);
    }
    canvas.render(style)
}

/// What a feature's box says.
struct TextBox {
    lines: Vec<Vec<Span>>,
    width: i64,
    height: i64,
}

impl TextBox {
    fn new(feature: &Feature, several_projects: bool, with_fields: bool, columns: usize) -> Self {
        let most = TEXT.min(columns.saturating_sub(4));
        let mut lines = vec![vec![(Ink::Bold, cut(feature.key.as_str(), most))]];
        lines.push(vec![(
            Ink::Dim,
            cut(&note(feature, several_projects), most),
        )]);
        let mut words: Vec<Span> = Vec::new();
        for (tone, word) in feature
            .standing
            .iter()
            .flat_map(super::view::Standing::words)
        {
            if !words.is_empty() {
                words.push((Ink::Dim, " · ".to_owned()));
            }
            words.push((Ink::Tone(tone), word));
        }
        if !words.is_empty() {
            lines.push(words);
        }
        if with_fields {
            lines.extend(fields(feature, most));
        }
        lines.retain(|line| line.iter().any(|(_, text)| !text.is_empty()));
        let of = |line: &Vec<Span>| line.iter().map(|(_, text)| width(text)).sum::<i64>();
        Self {
            width: lines.iter().map(of).max().unwrap_or_default() + 4,
            height: i64::try_from(lines.len()).unwrap_or_default() + 2,
            lines,
        }
    }

    fn draw(&self, canvas: &mut Canvas, owner: usize, (x, y): (i64, i64)) {
        let (right, bottom) = (x + self.width - 1, y + self.height - 1);
        canvas.along(owner, y, x, right);
        canvas.along(owner, bottom, x, right);
        canvas.down(owner, x, y, bottom);
        canvas.down(owner, right, y, bottom);
        for (line, y) in self.lines.iter().zip(y + 1..) {
            let mut x = x + 2;
            for (ink, text) in line {
                canvas.text(x, y, Some(*ink), text);
                x += width(text);
            }
        }
    }
}

/// The version, and the project where there are several.
pub(super) fn note(feature: &Feature, several_projects: bool) -> String {
    let Some(definition) = &feature.definition else {
        return "not in this graph".to_owned();
    };
    let version = feature.version.as_deref().map(short).unwrap_or_default();
    let mut notes = vec![version];
    if several_projects || definition.is_external() {
        notes.push(&definition.project);
    }
    if definition.is_external() {
        notes.push("external");
    }
    notes.retain(|note| !note.is_empty());
    notes.join(" · ")
}

fn fields(feature: &Feature, most: usize) -> Vec<Vec<Span>> {
    let shown = match feature.fields.len() {
        all if all <= FIELDS + 1 => all,
        _ => FIELDS,
    };
    let fields = feature.fields[..shown].iter();
    let mut lines: Vec<Vec<Span>> = fields
        .map(|field| {
            let mut line = vec![
                (Ink::Dim, "• ".to_owned()),
                (Ink::Plain, cut(&field.key, most.saturating_sub(18).max(8))),
            ];
            if field.code_version != INITIAL_CODE_VERSION {
                line.push((Ink::Dim, format!("  code {}", cut(&field.code_version, 10))));
            }
            line
        })
        .collect();
    let more = feature.fields.len() - shown;
    if more > 0 {
        lines.push(vec![(Ink::Dim, format!("  {more} more"))]);
    }
    lines
}

/// Features that hang together.
struct Part {
    nodes: Vec<usize>,
    found: Arrangement,
    /// The row that each layer starts in, and how many it takes.
    layers: Vec<(i64, i64)>,
    /// The lines below each layer but the last.
    wires: Vec<Vec<Wire>>,
    height: i64,
}

impl Part {
    /// `None` if it is wider than `room` however it is arranged.
    fn new(
        nodes: Vec<usize>,
        pairs: &[(usize, usize)],
        boxes: &[TextBox],
        room: i64,
    ) -> Option<Self> {
        let own = |node: &usize| nodes.binary_search(node).ok();
        let edges: Vec<(usize, usize)> = pairs
            .iter()
            .filter_map(|(from, to)| Some((own(from)?, own(to)?)))
            .collect();
        let widths: Vec<i64> = nodes.iter().map(|&node| boxes[node].width).collect();
        // Room for lines beside the boxes is tried for as well.
        let rooms = match nodes.len() <= MANY {
            true => &[None, Some(room), Some(room * 3 / 4), Some(room / 2)][..],
            false => &[None],
        };
        let found = rooms.iter().find_map(|&limit| {
            let spacing = Spacing {
                nodes: 2,
                lines: 1,
                room: limit,
                places: usize::MAX,
            };
            let found = arrange(&widths, &edges, spacing);
            (found.width <= room).then_some(found)
        })?;
        let mut part = Self {
            layers: Vec::new(),
            wires: Vec::new(),
            height: 0,
            nodes,
            found,
        };
        part.stack(boxes, &edges);
        Some(part)
    }

    /// Puts the layers below each other, with the rows that the lines between them need.
    fn stack(&mut self, boxes: &[TextBox], edges: &[(usize, usize)]) {
        let mut y = 0;
        for layer in 0..self.found.layers.len() {
            let places = self.found.layers[layer].iter();
            let nodes = places.filter(|&&place| !self.found.places[place].is_line);
            let height = nodes.map(|&node| boxes[self.nodes[node]].height).max();
            let height = height.unwrap_or_default();
            self.layers.push((y, height));
            y += height;
            if layer + 1 < self.found.layers.len() {
                let mut wires = self.wires_below(layer, edges);
                y += route(&mut wires);
                self.wires.push(wires);
            }
        }
        self.height = y;
    }

    fn wires_below(&self, layer: usize, edges: &[(usize, usize)]) -> Vec<Wire> {
        let mut links: Vec<(usize, usize)> = Vec::new();
        for (route, (from, _)) in self.found.routes.iter().zip(edges) {
            let first = self.found.places[*from].layer;
            let at = layer.checked_sub(first).filter(|at| at + 1 < route.len());
            if let Some(at) = at {
                links.push((route[at], route[at + 1]));
            }
        }
        links.sort_unstable();
        links.dedup();
        let mut wires: Vec<Wire> = Vec::new();
        for &place in &self.found.layers[layer] {
            let to: Vec<i64> = links
                .iter()
                .filter(|link| link.0 == place)
                .map(|&(_, below)| self.port(place, below, &links))
                .collect();
            if !to.is_empty() {
                let place = &self.found.places[place];
                wires.push(Wire::new(place.node, place.middle, to));
            }
        }
        wires
    }

    /// The column in which the line from `above` reaches `below`.
    fn port(&self, above: usize, below: usize, links: &[(usize, usize)]) -> i64 {
        let (place, source) = (&self.found.places[below], &self.found.places[above]);
        if place.is_line {
            return place.start;
        }
        let mut others: Vec<usize> = links
            .iter()
            .filter(|link| link.1 == below)
            .map(|link| link.0)
            .collect();
        let (left, right) = (place.start + 2, place.start + place.size - 3);
        if let [_] = others[..] {
            // Straight down, if that meets the box.
            return match (left..=right).contains(&source.middle) {
                true => source.middle,
                false => place.middle,
            };
        }
        others.sort_by_key(|&other| self.found.places[other].middle);
        let at = others.iter().position(|&other| other == above);
        let (at, count) = (at.unwrap_or_default(), others.len());
        let [at, count] = [at, count].map(|n| i64::try_from(n).unwrap_or_default());
        let step = ((place.size - 4) / count).clamp(1, 6);
        let port = place.middle + (2 * at - (count - 1)) * step / 2;
        port.clamp(left.min(right), right.max(left))
    }

    fn draw(&self, canvas: &mut Canvas, (x, y): (i64, i64), boxes: &[TextBox]) {
        for place in &self.found.places {
            let (top, height) = self.layers[place.layer];
            let (top, owner) = (y + top, self.nodes[place.node]);
            let is_last = place.layer + 1 == self.found.layers.len();
            match place.is_line {
                true => canvas.down(owner, x + place.start, top - 1, top + height),
                false => {
                    let own = &boxes[owner];
                    own.draw(canvas, owner, (x + place.start, top));
                    if !is_last && self.leaves(place.node, place.layer) {
                        let bottom = top + own.height - 1;
                        canvas.down(owner, x + place.middle, bottom, top + height);
                    }
                }
            }
        }
        for (layer, wires) in self.wires.iter().enumerate() {
            let top = y + self.layers[layer].0 + self.layers[layer].1;
            let bottom = y + self.layers[layer + 1].0;
            for wire in wires {
                let owner = self.nodes[wire.owner];
                let row = wire.row.map_or(top, |row| top + row);
                canvas.down(owner, x + wire.from, top, row);
                let (left, right) = wire.span();
                canvas.along(owner, row, x + left, x + right);
                for to in &wire.to {
                    canvas.down(owner, x + to, row, bottom);
                }
            }
        }
        self.draw_tips(canvas, (x, y));
    }

    /// Whether lines of the node go on below its layer.
    fn leaves(&self, node: usize, layer: usize) -> bool {
        let own = |wire: &Wire| wire.owner == node && self.found.places[node].layer == layer;
        self.wires
            .get(layer)
            .is_some_and(|wires| wires.iter().any(own))
    }

    /// An arrow where a line meets a box.
    fn draw_tips(&self, canvas: &mut Canvas, (x, y): (i64, i64)) {
        for (layer, wires) in self.wires.iter().enumerate() {
            let places = &self.found.layers[layer + 1];
            let nodes = places.iter().map(|&place| &self.found.places[place]);
            let nodes: Vec<_> = nodes.filter(|place| !place.is_line).collect();
            for to in wires.iter().flat_map(|wire| &wire.to) {
                let meets = |place: &&super::layout::Place| {
                    (place.start..place.start + place.size).contains(to)
                };
                if nodes.iter().copied().any(|place| meets(&place)) {
                    canvas.text(x + to, y + self.layers[layer + 1].0, None, "▼");
                }
            }
        }
    }
}
