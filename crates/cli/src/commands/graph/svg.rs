//! A drawing as SVG: for itself, and as part of the page.

use std::fmt::Write as _;

use super::card::{Card, FIRST_LINE, LINE, PADDING, RULE};
use super::scene::{Direction, Rect, Scene};
use super::view::{Feature, Tone, View};

/// The styles of every drawing.
pub(crate) const STYLES: &str = include_str!("page/drawing.css");
/// Around the drawing.
const MARGIN: i64 = 28;

/// The view as a picture of its own.
pub(crate) fn picture(view: &View, with_fields: bool, direction: Direction) -> String {
    let scene = Scene::new(view, with_fields, direction);
    let (width, height) = (scene.width + 2 * MARGIN, scene.height + 2 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"mx\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\">\n<title>{}</title>\n<style>\n{}.mx{{background:var(--paper)}}\n</style>\n{}",
        escaped(&view.title()),
        STYLES,
        tip("tip"),
    );
    let _ = writeln!(svg, "<g transform=\"translate({MARGIN} {MARGIN})\">");
    svg.push_str(&drawing(view, &scene, "tip"));
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// The definition of the tips of lines.
pub(crate) fn tip(id: &str) -> String {
    format!(
        "<defs><marker id=\"{id}\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path class=\"tip\" d=\"M0 .8L7.2 4L0 7.2z\"/></marker></defs>\n"
    )
}

/// Lines and cards. Attributes say which feature and which edge each is, by their positions in the view.
pub(crate) fn drawing(view: &View, scene: &Scene, tip: &str) -> String {
    let mut svg = String::from("<g class=\"edges\">\n");
    for (edge, data) in view.edges.iter().zip(&scene.curves) {
        let class = if edge.optional {
            "edge optional"
        } else {
            "edge"
        };
        let (from, to) = (edge.from, edge.to);
        let _ = writeln!(
            svg,
            "<path class=\"{class}\" data-from=\"{from}\" data-to=\"{to}\" d=\"{data}\" marker-end=\"url(#{tip})\"/>"
        );
    }
    svg.push_str("</g>\n<g class=\"cards\">\n");
    for (at, feature) in view.features.iter().enumerate() {
        card(&mut svg, at, feature, &scene.cards[at], scene.boxes[at]);
    }
    svg.push_str("</g>\n");
    svg
}

fn card(svg: &mut String, at: usize, feature: &Feature, card: &Card, place: Rect) {
    let tone = feature.tone();
    let elsewhere = if feature.is_elsewhere() {
        " elsewhere"
    } else {
        ""
    };
    let (width, height) = (place.width, place.height);
    let _ = write!(
        svg,
        "<g class=\"feature {}{elsewhere}\" data-feature=\"{at}\" transform=\"translate({} {})\"><title>{}</title>\
         <rect class=\"card\" width=\"{width}\" height=\"{height}\" rx=\"9\"/>",
        tone.as_str(),
        place.x,
        place.y,
        escaped(&hover(feature)),
    );
    if tone != Tone::Plain {
        let end = height - 18;
        let _ = write!(
            svg,
            "<path class=\"bar\" d=\"M9 0A9 9 0 0 0 0 9v{end}a9 9 0 0 0 9 9a5 5 0 0 1-5-5V5a5 5 0 0 1 5-5z\"/>"
        );
    }
    let (path, name) = &card.key;
    let mut y = FIRST_LINE;
    let _ = write!(svg, "<text class=\"key\" x=\"{PADDING}\" y=\"{y}\">");
    if !path.is_empty() {
        let _ = write!(svg, "<tspan class=\"path\">{}</tspan>", escaped(path));
    }
    let _ = write!(svg, "<tspan>{}</tspan></text>", escaped(name));
    y += LINE;
    let note = escaped(&card.note);
    let _ = write!(
        svg,
        "<text class=\"note\" x=\"{PADDING}\" y=\"{y}\">{note}</text>"
    );
    if !card.words.is_empty() {
        y += LINE;
        let _ = write!(svg, "<text x=\"{PADDING}\" y=\"{y}\">");
        for (at, (tone, word)) in card.words.iter().enumerate() {
            let dot = if at > 0 {
                "<tspan class=\"plain word\"> · </tspan>"
            } else {
                ""
            };
            let (tone, word) = (tone.as_str(), escaped(word));
            let _ = write!(svg, "{dot}<tspan class=\"{tone} word\">{word}</tspan>");
        }
        svg.push_str("</text>");
    }
    fields(svg, card, width, y);
    svg.push_str("</g>\n");
}

fn fields(svg: &mut String, card: &Card, width: i64, mut y: i64) {
    if card.fields.is_empty() {
        return;
    }
    let right = width - PADDING;
    let rule = y + RULE - 3;
    let _ = write!(
        svg,
        "<path class=\"rule\" d=\"M{PADDING} {rule}.5H{right}\"/>"
    );
    y += RULE;
    for (field, code) in &card.fields {
        y += LINE;
        let (field, code) = (escaped(field), escaped(code));
        let _ = write!(
            svg,
            "<text class=\"field\" x=\"{PADDING}\" y=\"{y}\">{field}</text>"
        );
        if !code.is_empty() {
            let _ = write!(
                svg,
                "<text class=\"code\" x=\"{right}\" y=\"{y}\">{code}</text>"
            );
        }
    }
    if card.more > 0 {
        y += LINE;
        let more = card.more;
        let _ = write!(
            svg,
            "<text class=\"more\" x=\"{PADDING}\" y=\"{y}\">{more} more</text>"
        );
    }
}

/// What is shown when the pointer rests on a card.
fn hover(feature: &Feature) -> String {
    let description = feature
        .definition
        .as_ref()
        .and_then(|d| d.spec.description());
    match description {
        Some(description) => format!("{}: {description}", feature.key),
        None => feature.key.to_string(),
    }
}

/// Text as XML and HTML can hold it, in an element or an attribute in double quotes.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(' '),
            // XML has no way to write these.
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}
