//! A view as a page: one file with the drawing, what is known of each feature, and what a person needs to look around.

use super::document::document;
use super::scene::{Direction, Scene};
use super::svg::{STYLES, drawing, escaped, tip};
use super::view::View;
use crate::screen::count;

const FRAME: &str = include_str!("page/page.html");
const PAGE_STYLES: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// Up to so many features, the page starts with their fields on the cards.
const FEW: usize = 30;

/// The view as a page.
pub(crate) fn page(view: &View, with_fields: bool, direction: Direction) -> String {
    let with_fields = with_fields && view.features.len() <= FEW;
    let wide = Scene::new(view, true, direction);
    let slim = Scene::new(view, false, direction);
    let hidden = |hidden: bool| if hidden { " hidden" } else { "" }.to_owned();
    let filled = |name: &str| match name {
        "title" => escaped(&view.title()),
        "about" => about(view),
        "styles" => format!("{STYLES}{PAGE_STYLES}"),
        "tip" => tip("tip") + &tip("tip-on"),
        "wide" => drawing(view, &wide, "tip"),
        "wide.width" => wide.width.to_string(),
        "wide.height" => wide.height.to_string(),
        "wide.hidden" => hidden(!with_fields),
        "slim" => drawing(view, &slim, "tip"),
        "slim.width" => slim.width.to_string(),
        "slim.height" => slim.height.to_string(),
        "slim.hidden" => hidden(with_fields),
        "data" => data(view),
        "script" => SCRIPT.to_owned(),
        _ => String::new(),
    };
    fill(FRAME, filled)
}

/// The frame with each `{{name}}` replaced. What is put in is not looked at again.
fn fill(frame: &str, filled: impl Fn(&str) -> String) -> String {
    let mut page = String::with_capacity(frame.len());
    let mut rest = frame;
    while let Some((before, after)) = rest.split_once("{{") {
        page.push_str(before);
        let Some((name, after)) = after.split_once("}}") else {
            rest = after;
            break;
        };
        page.push_str(&filled(name));
        rest = after;
    }
    page.push_str(rest);
    page
}

/// What the page shows, beside its title.
fn about(view: &View) -> String {
    let features = count(view.features.len() as u64, "feature");
    let mut about = format!("{features} · {}", escaped(&view.what));
    if let Some(version) = &view.version {
        about.push_str(&format!(" · <code>{}</code>", escaped(version)));
    }
    if let Some(store) = &view.store {
        about.push_str(&format!(" · store {}", escaped(store)));
    }
    about
}

/// The document as it may stand in a script element: no text in it can end that.
fn data(view: &View) -> String {
    let text = document(view).to_string();
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                safe.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_not_looked_at_again() {
        let page = fill("<{{a}}|{{b}}>", |name| match name {
            "a" => "{{b}}".to_owned(),
            other => other.to_uppercase(),
        });
        assert_eq!(page, "<{{b}}|B>");
    }
}
