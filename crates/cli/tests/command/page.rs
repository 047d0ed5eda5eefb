//! The page of `metaxy graph render --format html`, opened from a file in a browser.

use std::path::PathBuf;

use serde_json::json;

use crate::browser::{dump, evaluate};
use crate::support::Folder;

/// The example with samples to compute, and a feature that depends on both others.
fn folder() -> Folder {
    let folder = Folder::with_raw();
    folder.write(
        "features/index.toml",
        r#"
[[feature]]
key = "search/index"
id_columns = ["video_id"]
description = "What people search in."
metadata = { owner = "the search team" }
deps = [
    { feature = "video/raw", select = ["seconds"], rename = { seconds = "duration" }, filters = ["duration > 3"] },
    { feature = "video/transcript", select = [], optional = true },
]
[feature.fields]
words = { code_version = "7", deps = [{ feature = "video/transcript", fields = ["text"] }] }
pictures = { deps = [{ feature = "video/raw", fields = ["frames"] }] }
"#
        .replace("select = [\"seconds\"]", "select = [\"duration\"]")
        .as_str(),
    );
    folder
}

fn page(folder: &Folder, args: &[&str]) -> PathBuf {
    folder.ok(&[&["graph", "render", "-o", "graph.html"], args].concat());
    folder.join("graph.html")
}

/// What scripts of tests use.
const TOOLS: &str = "
const all = selector => [...document.querySelectorAll(selector)];
const shown = all('.drawing').find(drawing => !drawing.hasAttribute('hidden'));
const data = JSON.parse(document.getElementById('data').textContent);
const card = key => shown.querySelector(`.feature[data-feature=\"${data.features.findIndex(f => f.feature === key)}\"]`);
const bright = () => data.features.map(f => f.feature).filter(key => !card(key).classList.contains('dim'));
const panel = document.getElementById('panel'), search = document.getElementById('search');
const type = text => { search.value = text; search.dispatchEvent(new Event('input', { bubbles: true })); };
const click = element => element.dispatchEvent(new MouseEvent('click', { bubbles: true }));
const press = (key, target = document.body) => target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
const button = text => all('button').find(button => button.textContent === text);
";

fn in_page(page: &std::path::Path, fragment: &str, script: &str) -> serde_json::Value {
    evaluate(page, fragment, &format!("{TOOLS}{script}"))
}

#[test]
fn it_shows_the_graph_and_answers_a_search_and_a_click() {
    let folder = folder();
    let page = page(&folder, &["--status"]);
    let seen = in_page(
        &page,
        "",
        "
        const start = { ready: document.body.dataset.ready, cards: shown.querySelectorAll('.feature').length,
            lines: shown.querySelectorAll('.edge').length, bright: bright(), panel: panel.hidden };
        const rects = [...shown.querySelectorAll('.card')].map(card => card.getBoundingClientRect());
        start.visible = rects.every(r => r.width > 20 && r.height > 10 && r.left >= 0 && r.top >= 0 && r.right <= innerWidth && r.bottom <= innerHeight);
        start.apart = rects.every((a, i) => rects.every((b, j) => i === j || a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top));
        type('search TEAM');
        const searched = { bright: bright(), found: document.getElementById('found').textContent, hash: location.hash };
        press('Enter', search);
        const entered = panel.dataset.feature;
        press('Escape', search);
        click(card('video/transcript').querySelector('.key'));
        const clicked = { feature: panel.dataset.feature, hidden: panel.hidden, text: panel.innerText, bright: bright(), hash: location.hash,
            chosen: card('video/transcript').classList.contains('chosen') };
        return { start, searched, entered, clicked, loaded: performance.getEntriesByType('resource').map(r => r.name) };
        ",
    );
    assert_eq!(
        seen["start"],
        json!({
            "ready": "yes", "cards": 3, "lines": 3, "bright": ["video/raw", "video/transcript", "search/index"], "panel": true,
            "visible": true, "apart": true,
        })
    );
    assert_eq!(
        seen["searched"],
        json!({ "bright": ["search/index"], "found": "1 of 3", "hash": "#q=search+TEAM" })
    );
    assert_eq!(seen["entered"], "search/index");
    let clicked = &seen["clicked"];
    assert_eq!(
        (&clicked["feature"], &clicked["hidden"]),
        (&"video/transcript".into(), &false.into())
    );
    assert_eq!(
        (&clicked["chosen"], &clicked["hash"]),
        (&true.into(), &"#f=video%2Ftranscript".into())
    );
    let text = clicked["text"].as_str().unwrap();
    for part in [
        "What is said in a video.",
        "Never written",
        "text",
        "code 1",
        "video/raw",
        "audio",
        "search/index",
        "video_id",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(seen["loaded"], json!([]), "it needs no network");
}

#[test]
fn the_panel_tells_all_of_a_feature() {
    let folder = folder();
    let seen = in_page(
        &page(&folder, &["--status"]),
        "#f=search/index",
        "
        const text = panel.innerText, versions = data.features.find(f => f.feature === 'search/index');
        click(button('video/raw'));
        return { text, version: versions.version, then: panel.dataset.feature };
        ",
    );
    let text = seen["text"].as_str().unwrap();
    for part in [
        "What people search in.",
        "the search team",
        "seconds → duration",
        "duration > 3",
        "optional",
        "words",
        "code 7",
        seen["version"].as_str().unwrap(),
        "Never written",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(seen["then"], "video/raw");
}

#[test]
fn keys_and_buttons_work() {
    let folder = folder();
    let seen = in_page(
        &page(&folder, &[]),
        "",
        "
        const steps = [];
        const step = () => steps.push(panel.hidden ? '' : panel.dataset.feature);
        press('ArrowRight'); step();
        press('ArrowRight'); step();
        press('ArrowRight'); step();
        press('ArrowLeft'); step();
        press('Escape'); step();
        press('/');
        const focused = document.activeElement === search;
        const drawing = () => all('.drawing').find(drawing => !drawing.hasAttribute('hidden')).dataset.fields;
        const fields = [drawing()];
        press('f'); fields.push(drawing());
        click(document.getElementById('fields')); fields.push(drawing());
        const transform = () => document.getElementById('view').getAttribute('transform');
        const zooms = [transform()];
        press('+'); zooms.push(transform());
        press('0'); zooms.push(transform());
        press('?');
        const help = !document.getElementById('keys').hidden;
        return { steps, focused, fields, zoomed: zooms[0] !== zooms[1], fitted: zooms[0] === zooms[2], help };
        ",
    );
    assert_eq!(
        seen,
        json!({
            "steps": ["video/raw", "video/transcript", "search/index", "video/transcript", ""],
            "focused": true, "fields": ["yes", "no", "yes"], "zoomed": true, "fitted": true, "help": true,
        })
    );
}

#[test]
fn a_link_shows_what_was_searched_and_chosen() {
    let folder = folder();
    let page = page(&folder, &["--status"]);
    let dom = dump(&page, "#q=transcript&f=video/transcript");
    let panel = dom
        .split_once("<aside id=\"panel\"")
        .unwrap()
        .1
        .split_once("</aside>")
        .unwrap()
        .0;
    assert!(
        panel.contains("data-feature=\"video/transcript\"")
            && panel.contains("What is said in a video."),
        "{panel}"
    );
    assert!(
        dom.contains("data-found=\"1\""),
        "the description of the index does not say transcript"
    );

    let seen = in_page(
        &page,
        "#f=search/index&field=words",
        "return { bright: bright(), parts: [...shown.querySelectorAll('.part')].map(text => text.textContent) };",
    );
    assert_eq!(
        seen,
        json!({ "bright": ["video/raw", "video/transcript", "search/index"], "parts": ["audio", "text", "words"] })
    );
    let seen = in_page(&page, "#tone=missing", "return bright();");
    assert_eq!(seen, json!(["video/transcript", "search/index"]));
    let seen = in_page(
        &page,
        "#f=nothing/of-the-kind&q=%22",
        "return [panel.hidden, document.getElementById('found').textContent];",
    );
    assert_eq!(seen, json!([true, "0 of 3"]));
}

#[test]
fn no_name_breaks_it() {
    let folder = Folder::project();
    let nasty = r#"</script><script>window.broken = 1</script><img src=x onerror="window.broken = 2">&amp;"'`{{data}}\u0022"#;
    folder.write(
        "features/nasty.toml",
        &format!(
            "[[feature]]\nkey = \"a\"\nid_columns = [\"id\", '''{nasty}''']\ndescription = '''{nasty}'''\n\
             metadata = {{ '{{{{title}}}}<b>' = '''{nasty}''' }}\n[feature.fields]\nf = {{ code_version = '''{nasty}''' }}\n"
        ),
    );
    let seen = in_page(
        &page(&folder, &[]),
        "#f=a",
        "
        await new Promise(done => setTimeout(done, 100));
        return { broken: window.broken === undefined, text: panel.innerText, inside: panel.querySelectorAll('script, img, b').length, cards: shown.querySelectorAll('.feature').length };
        ",
    );
    assert_eq!(
        (&seen["broken"], &seen["inside"], &seen["cards"]),
        (&true.into(), &0.into(), &3.into()),
        "{seen}"
    );
    let text = seen["text"].as_str().unwrap();
    assert_eq!(text.matches(nasty).count(), 4, "{text}");
    assert!(text.contains("{{title}}<b>"), "{text}");
}

#[test]
fn one_feature_and_five_hundred_are_shown() {
    let folder = Folder::empty();
    folder.write(
        "metaxy.toml",
        "project = \"many\"\nfeatures = [\"a.toml\"]\n",
    );
    let mut features = String::new();
    for n in 0..500 {
        let deps = match n {
            0..9 => String::new(),
            n => format!(
                "deps = [{{ feature = \"many/n{}\", select = [] }}, {{ feature = \"many/n{}\", select = [] }}]\n",
                n / 2,
                n / 3
            ),
        };
        features.push_str(&format!(
            "[[feature]]\nkey = \"many/n{n}\"\nid_columns = [\"id\"]\n{deps}\n"
        ));
    }
    for (text, count) in [
        (
            &features[..features.find("[[feature]]\nkey = \"many/n1\"").unwrap()],
            1,
        ),
        (&features, 500),
    ] {
        folder.write("a.toml", text);
        let seen = in_page(
            &page(&folder, &[]),
            "#q=many/n0",
            "return [document.body.dataset.ready, shown.querySelectorAll('.feature').length, document.getElementById('found').textContent];",
        );
        assert_eq!(seen, json!(["yes", count, format!("1 of {count}")]));
    }
}
