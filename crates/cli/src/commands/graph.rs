//! `metaxy graph`.

mod canvas;
mod card;
mod document;
mod dot;
mod html;
mod layout;
mod list;
mod mermaid;
mod scene;
mod svg;
mod text;
pub(crate) mod view;
mod wires;

use std::path::Path;

use metaxy_store::store::{MetadataStore, StatusOptions};
use metaxy_store::{Access, Error, ErrorKind, FeatureKey, Result};

pub(crate) use canvas::Ink;
pub(crate) use document::{parents, plain};
pub(crate) use scene::Direction;
use view::{Focus, Standing, View};

use super::pushed;
use crate::args::{Graph, GraphCommand, GraphRender, Picture};
use crate::project::Project;
use crate::screen::{Screen, Style, count};
use metaxy_frames::write_whole;

/// How wide a drawing is that no terminal limits.
const COLUMNS: usize = 100;

pub(super) async fn run(project: &Project, args: &Graph, screen: &Screen) -> Result<()> {
    match &args.command {
        GraphCommand::Render(args) => render(project, args, screen).await,
    }
}

async fn render(project: &Project, args: &GraphRender, screen: &Screen) -> Result<()> {
    let (graph, store, what) = match &args.snapshot {
        Some(word) => {
            let store = project.open_bare(Access::Read)?;
            let found = pushed::find(&store, project.config.project(), word).await?;
            let graph = pushed::graph(&store, &found).await?;
            let what = format!("pushed {}", pushed::minute(found.recorded_at));
            (graph.clone(), Some(store.with_graph(graph)), what)
        }
        None if args.status => {
            let store = project.open(Access::Read).await?;
            (store.graph().clone(), Some(store), "current".to_owned())
        }
        // A graph that files define needs no store.
        None => {
            let graph = match project.locked_graph()? {
                Some(graph) => graph,
                None => project.open(Access::Read).await?.graph().clone(),
            };
            (graph, None, "current".to_owned())
        }
    };
    let keys = args.features.iter().map(FeatureKey::new);
    let focus = Focus {
        features: keys.collect::<Result<_>>()?,
        upstream: args.upstream,
        downstream: args.downstream,
    };
    let mut view = View::new(&graph, &focus, what)?;
    if let Some(store) = store.filter(|_| args.status) {
        add_status(&mut view, &store).await?;
    }
    show(&view, &args.drawing, screen)
}

async fn add_status(view: &mut View, store: &MetadataStore) -> Result<()> {
    view.store = Some(store.name().to_owned());
    let mut survey = store.survey([], StatusOptions::default());
    for feature in &mut view.features {
        if feature.definition.is_none() {
            continue;
        }
        match survey.status_or_failure(&feature.key).await {
            Ok(status) => feature.standing = Some(Standing::Status(status)),
            // The others can be drawn all the same.
            Err(error) if is_of_the_definition(&error) => {
                tracing::warn!(feature = %feature.key, "it has no status: {error}");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_of_the_definition(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::FeatureNotFound | ErrorKind::InvalidDefinition
    )
}

/// Draws the view as it was asked for.
pub(crate) fn show(view: &View, args: &crate::args::Drawing, screen: &Screen) -> Result<()> {
    let picture = args.picture();
    let file = args
        .output
        .as_deref()
        .filter(|file| *file != Path::new("-"));
    let (columns, style) = match file {
        Some(_) => (None, Style::new(false)),
        None => (screen.width, screen.style),
    };
    let columns = args.width.or(columns).unwrap_or(COLUMNS).max(24);
    let fields = !args.no_fields;
    let across = args.direction.unwrap_or(Direction::Lr);
    let content = match picture {
        Picture::Terminal => text::drawing(view, fields, columns, style),
        Picture::Mermaid => mermaid::flowchart(view, fields, across),
        Picture::Dot => dot::digraph(view, fields, across),
        Picture::Svg => svg::picture(view, fields, across),
        Picture::Html => html::page(view, fields, across),
        Picture::Json => format!("{:#}\n", document::document(view)),
    };
    let Some(file) = file else {
        return screen.text(&content);
    };
    write_whole(file, content.as_bytes())?;
    let features = count(view.features.len() as u64, "feature");
    screen.line(format_args!("{}: {features}", file.display()))
}
