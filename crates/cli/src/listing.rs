//! Lists that people read as a table and scripts as a frame.

use std::fmt::Display;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, ListArray, ListBuilder, RecordBatch, StringArray,
    StringBuilder, UInt64Array,
};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table};
use metaxy_store::Result;
use unicode_width::UnicodeWidthStr;

use crate::screen::{Screen, Style};
use metaxy_frames::{Format, FrameWriter};

/// Columns of equal length.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    name: String,
    values: Values,
    seen_by: SeenBy,
}

#[derive(Debug)]
enum Values {
    Text(Vec<Option<String>>),
    Number(Vec<Option<u64>>),
    Percent(Vec<Option<f64>>),
    /// People read `yes` or nothing.
    Flag(Vec<bool>),
    /// People, and formats without lists, read one text with commas.
    List(Vec<Vec<String>>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum SeenBy {
    All,
    People,
    Scripts,
}

impl Listing {
    pub(crate) fn text<T: Into<String>>(
        self,
        name: &str,
        values: impl IntoIterator<Item = T>,
    ) -> Self {
        self.maybe_text(name, values.into_iter().map(Some))
    }

    pub(crate) fn maybe_text<T: Into<String>>(
        self,
        name: &str,
        values: impl IntoIterator<Item = Option<T>>,
    ) -> Self {
        let values = values.into_iter().map(|value| value.map(Into::into));
        self.with(name, Values::Text(values.collect()))
    }

    pub(crate) fn number(
        self,
        name: &str,
        values: impl IntoIterator<Item = impl Into<Option<u64>>>,
    ) -> Self {
        self.with(
            name,
            Values::Number(values.into_iter().map(Into::into).collect()),
        )
    }

    pub(crate) fn flag(self, name: &str, values: impl IntoIterator<Item = bool>) -> Self {
        self.with(name, Values::Flag(values.into_iter().collect()))
    }

    pub(crate) fn list<T: Into<String>>(
        self,
        name: &str,
        values: impl IntoIterator<Item = impl IntoIterator<Item = T>>,
    ) -> Self {
        let lists = values.into_iter();
        let lists = lists.map(|list| list.into_iter().map(Into::into).collect());
        self.with(name, Values::List(lists.collect()))
    }

    /// Parts of a hundred.
    pub(crate) fn percent(self, name: &str, values: impl IntoIterator<Item = Option<f64>>) -> Self {
        self.with(name, Values::Percent(values.into_iter().collect()))
    }

    /// The last column is for people only.
    pub(crate) fn for_people(self) -> Self {
        self.seen_by(SeenBy::People)
    }

    /// The last column is for scripts only.
    pub(crate) fn for_scripts(self) -> Self {
        self.seen_by(SeenBy::Scripts)
    }

    /// Shows a table, or with a format writes a frame to standard output.
    pub(crate) fn show(&self, screen: &Screen, format: Option<Format>) -> Result<()> {
        let Some(format) = format else {
            return screen.text(&self.table().render(screen));
        };
        let frame = self.frame(format)?;
        let mut writer = FrameWriter::create("-", Some(format), frame.schema())?;
        writer.write(&frame)?;
        writer.finish().map(drop)
    }

    fn with(mut self, name: &str, values: Values) -> Self {
        self.columns.push(Column {
            name: name.to_owned(),
            values,
            seen_by: SeenBy::All,
        });
        self
    }

    fn seen_by(mut self, seen_by: SeenBy) -> Self {
        if let Some(last) = self.columns.last_mut() {
            last.seen_by = seen_by;
        }
        self
    }

    fn table(&self) -> Grid {
        let columns = || self.columns.iter().filter(|c| c.seen_by != SeenBy::Scripts);
        let mut grid = Grid::default();
        for column in columns() {
            match &column.values {
                Values::Number(_) | Values::Percent(_) => grid.number_column(&column.name),
                Values::Text(_) | Values::Flag(_) | Values::List(_) => {
                    grid.text_column(&column.name);
                }
            }
        }
        let rows = columns().map(|c| c.values.len()).max().unwrap_or(0);
        for row in 0..rows {
            grid.row(columns().map(|c| c.values.cell(row)));
        }
        grid
    }

    /// What scripts get.
    pub(crate) fn frame(&self, format: Format) -> Result<RecordBatch> {
        let lists = !matches!(format, Format::Csv | Format::Tsv);
        let columns = self
            .columns
            .iter()
            .filter(|c| c.seen_by != SeenBy::People)
            .map(|column| {
                let array: ArrayRef = match &column.values {
                    Values::Text(values) => Arc::new(StringArray::from_iter(values)),
                    Values::Number(values) => Arc::new(UInt64Array::from_iter(values)),
                    Values::Percent(values) => Arc::new(Float64Array::from_iter(values)),
                    Values::Flag(values) => Arc::new(BooleanArray::from(values.clone())),
                    Values::List(values) if lists => Arc::new(list_array(values)),
                    Values::List(values) => Arc::new(StringArray::from_iter_values(
                        values.iter().map(|list| list.join(", ")),
                    )),
                };
                (column.name.replace(' ', "_"), array, true)
            });
        Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
    }
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Number(values) => values.len(),
            Self::Percent(values) => values.len(),
            Self::Flag(values) => values.len(),
            Self::List(values) => values.len(),
        }
    }

    fn cell(&self, row: usize) -> String {
        let cell = match self {
            Self::Text(values) => values.get(row).cloned().flatten(),
            Self::Number(values) => values.get(row).copied().flatten().map(|n| n.to_string()),
            Self::Percent(values) => {
                let part = values.get(row).copied().flatten();
                part.map(|part| format!("{}%", whole(part)))
            }
            Self::Flag(values) => {
                let flag = values.get(row).copied().unwrap_or_default();
                Some(if flag { "yes" } else { "" }.to_owned())
            }
            Self::List(values) => values.get(row).map(|list| list.join(", ")),
        };
        cell.unwrap_or_else(|| "–".to_owned())
    }
}

/// The part of a hundred in whole numbers; only all of it is 100, and only nothing is 0.
fn whole(part: f64) -> f64 {
    match part.round() {
        100.0 if part < 100.0 => 99.0,
        0.0 if part > 0.0 => 1.0,
        whole => whole,
    }
}

fn list_array(lists: &[Vec<String>]) -> ListArray {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for list in lists {
        builder.append_value(list.iter().map(Some));
    }
    builder.finish()
}

/// Names and what they stand for, one per line.
#[derive(Debug, Default)]
pub(crate) struct Facts(Vec<(String, String)>);

impl Facts {
    pub(crate) fn add(&mut self, name: &str, value: impl Display) {
        self.0.push((name.to_owned(), value.to_string()));
    }

    pub(crate) fn show(&self, screen: &Screen) -> Result<()> {
        let names = self.0.iter().map(|(name, _)| name.chars().count());
        let width = names.max().unwrap_or_default();
        for (name, value) in &self.0 {
            let gap = " ".repeat(width - name.chars().count());
            screen.line(format_args!("{}{gap}   {value}", screen.style.dim(name)))?;
        }
        Ok(())
    }
}

/// A table of cells.
#[derive(Debug, Default)]
pub(crate) struct Grid {
    columns: Vec<(String, CellAlignment)>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    pub(crate) fn text_column(&mut self, name: &str) {
        self.columns.push((name.to_owned(), CellAlignment::Left));
    }

    pub(crate) fn number_column(&mut self, name: &str) {
        self.columns.push((name.to_owned(), CellAlignment::Right));
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The widest cell of each column, its name included.
    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|(name, _)| name.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        widths
    }

    /// The table as lines: on a terminal a ruled one that fits it, otherwise columns that scripts can cut.
    pub(crate) fn render(&self, screen: &Screen) -> String {
        let mut table = Table::new();
        table
            .load_preset(match screen.terminal {
                true => "     ──            ",
                false => "                   ",
            })
            .set_content_arrangement(match screen.width {
                Some(_) => ContentArrangement::Dynamic,
                None => ContentArrangement::Disabled,
            })
            .set_header(self.columns.iter().map(|(name, _)| name));
        if let Some(width) = screen.width {
            table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
        }
        for row in &self.rows {
            table.add_row(row);
        }
        let last = self.columns.len().saturating_sub(1);
        let widths = self.widths();
        // Three spaces between columns; two where room is short.
        let is_too_wide = |gap: usize| {
            let width = widths.iter().sum::<usize>() + gap * last;
            // The last character of a line is left free.
            screen.width.is_some_and(|limit| width >= limit)
        };
        let gap = if is_too_wide(3) { 2 } else { 3 };
        let is_short = is_too_wide(gap);
        for (index, (_, alignment)) in self.columns.iter().enumerate() {
            if let Some(column) = table.column_mut(index) {
                column.set_cell_alignment(*alignment);
                // A terminal's tables have a ruled space between columns as well.
                let padding = if screen.terminal { gap - 1 } else { gap };
                let padding = if index == last { 0 } else { padding };
                column.set_padding((0, u16::try_from(padding).unwrap_or_default()));
                // Numbers, and the names that a table is about, stay whole: other columns give way.
                let limit = screen.width.unwrap_or_default() / 2;
                let stays = *alignment == CellAlignment::Right || index == 0;
                if is_short && stays && widths[index] <= limit {
                    column.set_constraint(ColumnConstraint::ContentWidth);
                }
            }
        }
        let mut text = String::new();
        for line in table.lines() {
            text.push_str(&painted(&line, screen.style));
            text.push('\n');
        }
        text
    }
}

/// Rules step back behind what they separate.
fn painted(line: &str, style: Style) -> String {
    let line = line.trim_end();
    match !line.is_empty() && line.chars().all(|c| c == '─') {
        true => style.dim(line),
        false => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};

    use super::*;

    fn screen(width: Option<usize>) -> Screen {
        Screen {
            terminal: width.is_some(),
            width,
            style: Style::new(false),
            quiet: false,
        }
    }

    fn listing() -> Listing {
        Listing::default()
            .text("feature", ["a/b", "c"])
            .number("samples", [Some(12), None])
            .text("what to do", ["compute twelve of these", "nothing"])
            .for_people()
            .maybe_text("store", [Some("dev"), None])
            .for_scripts()
    }

    #[test]
    fn scripts_get_columns_of_any_width() {
        assert_eq!(
            listing().table().render(&screen(None)),
            "feature   samples   what to do\na/b            12   compute twelve of these\nc               –   nothing\n"
        );
    }

    #[test]
    fn a_terminal_gets_a_ruled_table_that_fits() {
        // Columns are nearer to each other before a cell takes two lines.
        for (width, gap, lines) in [(60, "   ", 4), (42, "  ", 4), (41, "  ", 4), (40, "  ", 5)] {
            let text = listing().table().render(&screen(Some(width)));
            let told: Vec<&str> = text.lines().collect();
            let header = ["feature", "samples", "what to do"].join(gap);
            assert_eq!(told[0], header, "{width}");
            assert!(told[1].chars().all(|c| c == '─'), "{text}");
            let fits = told.iter().all(|line| line.chars().count() <= width);
            assert!(fits, "{width}: {text}");
            assert_eq!(told.len(), lines, "{width}: {text}");
        }
    }

    #[test]
    fn names_and_numbers_stay_whole_on_a_narrow_terminal() {
        let listing = Listing::default()
            .text("feature", ["video/transcript"])
            .number("samples", [1_234_567])
            .text("what to do", ["compute twenty-nine, delete nine"]);
        let text = listing.table().render(&screen(Some(44)));
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[2].starts_with("video/transcript  1234567  "),
            "{text}"
        );
        assert!(lines.iter().all(|line| line.width() <= 44), "{text}");
        assert!(lines.len() > 3, "the words give way: {text}");
    }

    #[test]
    fn frames_have_what_scripts_want() {
        let frame = listing().frame(Format::Json).unwrap();
        let names: Vec<&str> = frame
            .schema_ref()
            .fields()
            .iter()
            .map(|f| f.name().as_str())
            .collect();
        assert_eq!(names, ["feature", "samples", "store"]);
        assert_eq!(frame.column(1).null_count(), 1);
    }

    #[test]
    fn lists_are_text_where_a_format_has_none() {
        let listing = Listing::default().list("ids", [vec!["a", "b"], vec![]]);
        let lists = listing.frame(Format::Ndjson).unwrap();
        assert!(lists.column(0).as_list_opt::<i32>().is_some());
        let texts = listing.frame(Format::Csv).unwrap();
        assert_eq!(texts.column(0).as_string::<i32>().value(0), "a, b");
        assert_eq!(listing.table().render(&screen(None)), "ids\na, b\n\n");
    }

    #[test]
    fn only_all_of_it_is_a_hundred() {
        assert_eq!(
            [0.0, 0.2, 49.6, 99.7, 100.0].map(whole),
            [0.0, 1.0, 50.0, 99.0, 100.0]
        );
    }
}
