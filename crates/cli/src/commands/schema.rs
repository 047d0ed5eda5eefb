//! `metaxy schema`.

use std::path::Path;

use metaxy_frames::write_whole;
use metaxy_store::backend::registry::Registry;
use metaxy_store::{Result, config, toml_features};

use crate::args::{Schema, SchemaOf};
use crate::screen::Screen;

pub(super) fn run(args: &Schema, screen: &Screen) -> Result<()> {
    let text = text(args.of)?;
    let file = args.output.as_deref();
    let Some(file) = file.filter(|file| *file != Path::new("-")) else {
        return screen.text(&text);
    };
    write_whole(file, text.as_bytes())?;
    screen.line(format_args!(
        "{}: the schema of {}. An editor reads it where the first line of a file names it, as in: #:schema ./{}",
        file.display(),
        match args.of {
            SchemaOf::Features => "feature files",
            SchemaOf::Config => "metaxy.toml",
        },
        file.file_name().unwrap_or_default().display()
    ))
}

/// The schema as a file has it.
pub(super) fn text(of: SchemaOf) -> Result<String> {
    let schema = match of {
        SchemaOf::Features => toml_features::json_schema(),
        SchemaOf::Config => config::json_schema(Registry::linked()?),
    };
    Ok(format!("{schema:#}\n"))
}
