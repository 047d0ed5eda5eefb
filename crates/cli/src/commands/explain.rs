//! `metaxy explain`.

use metaxy_store::backend::Explanation;
use metaxy_store::{Access, Result};
use serde_json::json;

use super::resolve::asked;
use crate::args::{Explain, View};
use crate::project::Project;
use crate::screen::Screen;

pub(super) async fn run(project: &Project, args: Explain, screen: &Screen) -> Result<()> {
    let store = project.open(Access::Read).await?;
    let (feature, increment) = asked(&store, &args.question).await?;
    let plan = increment.plan().relation().to_string();
    let explained = increment.explain().await?;
    match args.format.view {
        View::Json => screen.document(&json!({
            "feature": feature.as_str(),
            "store": store.name(),
            "plan": plan,
            "engine": explained.engine,
            "statements": explained.statements,
            "engine_plan": explained.engine_plan,
            "notes": explained.notes,
        })),
        View::Plain => show(&plan, &explained, screen),
    }
}

fn show(plan: &str, explained: &Explanation, screen: &Screen) -> Result<()> {
    screen.heading("The plan")?;
    screen.line(plan)?;
    let engine = &explained.engine;
    for statement in &explained.statements {
        screen.blank()?;
        screen.heading(format_args!("What {engine} is given"))?;
        screen.line(statement)?;
    }
    if let Some(plan) = &explained.engine_plan {
        screen.blank()?;
        screen.heading(format_args!("How {engine} runs it"))?;
        screen.line(plan)?;
    }
    if explained.statements.is_empty() && explained.engine_plan.is_none() {
        screen.blank()?;
        screen.note(format_args!("{engine} does not say what becomes of it."))?;
    }
    explained
        .notes
        .iter()
        .try_for_each(|note| screen.note(note))
}
