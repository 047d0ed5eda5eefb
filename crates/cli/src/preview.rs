//! The first rows of a frame, for people.

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use metaxy_store::{Result, columns};

use crate::listing::Grid;
use crate::rows::PART_COLUMN;
use crate::screen::Screen;

/// The widest a cell gets, in characters.
const CELL: usize = 60;
/// What stands between two columns.
const GAP: usize = 3;

/// How rows are shown.
pub(crate) struct Preview<'a> {
    /// The columns that come first.
    pub(crate) ids: &'a [String],
    /// Columns of the system that come next, as they tell rows of one ID apart.
    pub(crate) apart: &'a [&'a str],
    /// Whether all columns of the system are shown.
    pub(crate) system: bool,
}

impl Preview<'_> {
    /// Shows the rows in as many columns as fit, and says which are left out.
    pub(crate) fn show(
        &self,
        screen: &Screen,
        schema: &SchemaRef,
        rows: &[RecordBatch],
    ) -> Result<()> {
        let order = self.order(schema);
        let mut room = screen.width.unwrap_or(usize::MAX);
        let mut grid = Grid::default();
        let mut shown: Vec<Vec<String>> = Vec::new();
        let mut left_out = Vec::new();
        for index in order {
            let field = schema.field(index);
            let cells = cells(index, rows)?;
            let title = if field.name() == PART_COLUMN {
                "part"
            } else {
                field.name()
            };
            let width = cells
                .iter()
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0);
            let width = width.max(title.chars().count());
            if width > room && !shown.is_empty() {
                left_out.push(field.name().as_str());
                continue;
            }
            room = room.saturating_sub(width + GAP);
            match field.data_type().is_numeric() {
                true => grid.number_column(title),
                false => grid.text_column(title),
            }
            shown.push(cells);
        }
        for row in 0..rows.iter().map(RecordBatch::num_rows).sum() {
            grid.row(shown.iter().map(|column| column[row].clone()));
        }
        screen.text(&grid.render(screen))?;
        let hidden = match self.system {
            true => 0,
            false => schema
                .fields()
                .iter()
                .filter(|f| !self.shows(f.name()))
                .count(),
        };
        if hidden > 0 {
            left_out.push("columns of the system");
        }
        if !left_out.is_empty() {
            screen.note(format_args!("not shown: {}", left_out.join(", ")))?;
        }
        Ok(())
    }

    fn shows(&self, column: &str) -> bool {
        self.system || !columns::is_system(column) || self.apart.contains(&column)
    }

    /// The columns to show: part, IDs, what tells rows apart, all others.
    fn order(&self, schema: &Schema) -> Vec<usize> {
        let mut order: Vec<usize> = (0..schema.fields().len())
            .filter(|i| self.shows(schema.field(*i).name()))
            .collect();
        order.sort_by_key(|i| {
            let name = schema.field(*i).name();
            let ids = self.ids.iter().map(String::as_str);
            let mut first = ids.chain(self.apart.iter().copied());
            match first.position(|column| column == name) {
                _ if name == PART_COLUMN => 0,
                Some(position) => 1 + position,
                None => 1 + self.ids.len() + self.apart.len(),
            }
        });
        order
    }
}

fn cells(column: usize, rows: &[RecordBatch]) -> Result<Vec<String>> {
    let options = FormatOptions::default()
        .with_null("null")
        .with_display_error(true);
    let mut cells = Vec::new();
    for batch in rows {
        let array = batch.column(column);
        let formatter = ArrayFormatter::try_new(array.as_ref(), &options)?;
        cells.extend((0..array.len()).map(|row| short(&formatter.value(row).to_string())));
    }
    Ok(cells)
}

/// One line of at most [`CELL`] characters.
fn short(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(CELL + 1)
        .collect();
    if line.chars().count() > CELL {
        line = line.chars().take(CELL - 1).collect();
        line.push('…');
    }
    line
}
