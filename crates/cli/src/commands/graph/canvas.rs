//! A field of characters to draw boxes and lines on.

use unicode_width::UnicodeWidthChar;

use super::view::Tone;
use crate::screen::Style;

/// How text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    Plain,
    Bold,
    Dim,
    Tone(Tone),
}

impl Ink {
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        let code = match self {
            Self::Plain | Self::Tone(Tone::Plain) => return text.to_owned(),
            Self::Bold => "1",
            Self::Dim | Self::Tone(Tone::Missing) => "2",
            Self::Tone(Tone::Good) => "32",
            Self::Tone(Tone::New) => "34",
            Self::Tone(Tone::Stale) => "33",
            Self::Tone(Tone::Orphaned) => "35",
        };
        style.paint(code, text)
    }
}

/// Some text of one ink.
pub(super) type Span = (Ink, String);

/// How many columns a text takes. Characters that move the cursor take none, and are not drawn.
pub(super) fn width(text: &str) -> i64 {
    let columns = text
        .chars()
        .filter_map(UnicodeWidthChar::width)
        .sum::<usize>();
    i64::try_from(columns).unwrap_or(i64::MAX)
}

/// The directions in which a line leaves a cell.
const UP: u8 = 1;
const DOWN: u8 = 2;
const LEFT: u8 = 4;
const RIGHT: u8 = 8;

#[derive(Debug, Clone, Default)]
struct Cell {
    text: Option<(char, Option<Ink>)>,
    /// It belongs to the wide character before it.
    covered: bool,
    /// The lines here: whose, and where to. Lines of one owner join, those of two cross.
    lines: Vec<(usize, u8)>,
}

#[derive(Debug, Default)]
pub(super) struct Canvas {
    rows: Vec<Vec<Cell>>,
}

impl Canvas {
    /// Writes text from a cell on; `None` is the ink of lines.
    pub(super) fn text(&mut self, mut x: i64, y: i64, ink: Option<Ink>, text: &str) {
        for c in text.chars() {
            let Some(columns) = c.width() else {
                continue;
            };
            if columns > 0
                && let Some(cell) = self.cell(x, y)
            {
                cell.text = Some((c, ink));
            }
            for covered in 1..columns {
                let x = x + i64::try_from(covered).unwrap_or_default();
                if let Some(cell) = self.cell(x, y) {
                    cell.covered = true;
                }
            }
            x += i64::try_from(columns).unwrap_or_default();
        }
    }

    /// A line of `owner` down a column, from the middle of one cell to that of another.
    pub(super) fn down(&mut self, owner: usize, x: i64, from: i64, to: i64) {
        for y in from..to {
            self.line(owner, x, y, DOWN);
            self.line(owner, x, y + 1, UP);
        }
    }

    /// A line of `owner` along a row.
    pub(super) fn along(&mut self, owner: usize, y: i64, from: i64, to: i64) {
        for x in from..to {
            self.line(owner, x, y, RIGHT);
            self.line(owner, x + 1, y, LEFT);
        }
    }

    fn line(&mut self, owner: usize, x: i64, y: i64, direction: u8) {
        if let Some(cell) = self.cell(x, y) {
            match cell.lines.iter_mut().find(|line| line.0 == owner) {
                Some(line) => line.1 |= direction,
                None => cell.lines.push((owner, direction)),
            }
        }
    }

    /// The cell; `None` left of the canvas or above it.
    fn cell(&mut self, x: i64, y: i64) -> Option<&mut Cell> {
        let (x, y) = (usize::try_from(x).ok()?, usize::try_from(y).ok()?);
        if self.rows.len() <= y {
            self.rows.resize(y + 1, Vec::new());
        }
        let row = &mut self.rows[y];
        if row.len() <= x {
            row.resize(x + 1, Cell::default());
        }
        Some(&mut row[x])
    }

    pub(super) fn render(&self, style: Style) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let mut runs: Vec<Span> = Vec::new();
            for cell in row.iter().filter(|cell| !cell.covered) {
                let (c, ink) = cell.shown();
                match runs.last_mut() {
                    Some((last, run)) if *last == ink || c == ' ' => run.push(c),
                    _ => runs.push((ink, c.to_string())),
                }
            }
            if let Some((_, last)) = runs.last_mut() {
                last.truncate(last.trim_end().len());
            }
            for (ink, run) in runs {
                text.push_str(&ink.paint(style, &run));
            }
            text.push('\n');
        }
        text
    }
}

impl Cell {
    fn shown(&self) -> (char, Ink) {
        if let Some((c, ink)) = self.text {
            return (c, ink.unwrap_or(Ink::Dim));
        }
        // Where lines cross, the one that goes up or down lies above.
        let above = self.lines.iter().find(|line| line.1 & (UP | DOWN) != 0);
        let bits = above.or(self.lines.first()).map_or(0, |line| line.1);
        let c = match bits {
            0 => return (' ', Ink::Plain),
            b if b == DOWN | RIGHT => '╭',
            b if b == DOWN | LEFT => '╮',
            b if b == UP | RIGHT => '╰',
            b if b == UP | LEFT => '╯',
            b if b == UP | DOWN | RIGHT => '├',
            b if b == UP | DOWN | LEFT => '┤',
            b if b == LEFT | RIGHT | DOWN => '┬',
            b if b == LEFT | RIGHT | UP => '┴',
            b if b == UP | DOWN | LEFT | RIGHT => '┼',
            b if b & (UP | DOWN) != 0 => '│',
            _ => '─',
        };
        (c, Ink::Dim)
    }
}
