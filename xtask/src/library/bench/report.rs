//! What is printed in the end: a Markdown table with the means below it, and JSON.

use std::fmt::Write as _;

use metaxy_store::json::Json;

use super::contest::Cell;
use super::measured::{Measured, PHASES};

/// The cells that were measured, in the order in which they are shown.
pub(super) struct Report {
    cells: Vec<Cell>,
}

/// What the cells of one store and size have in common.
struct Summary {
    store: String,
    rows: u64,
    cells: usize,
    speed_up: Option<Spread>,
    memory: Option<Spread>,
    of_floor: Option<Spread>,
}

/// Ratios of several cells.
struct Spread {
    geometric_mean: f64,
    least: f64,
    most: f64,
}

impl Report {
    pub(super) fn new(cells: Vec<Cell>) -> Self {
        Self { cells }
    }

    /// Whether all contestants found the same in each cell.
    pub(super) fn agrees(&self) -> bool {
        self.cells.iter().all(Cell::agrees)
    }

    /// The table, and a line for each store and size that was compared with anything.
    pub(super) fn markdown(&self) -> String {
        let mut columns = vec![
            self.column("store", |cell| cell.directory.backend.clone()),
            self.column("graph", |cell| cell.directory.graph.clone()),
            self.column("phase", |cell| cell.directory.phase.clone()),
            self.column("rows", |cell| grouped(cell.directory.rows)),
            self.column("new/stale/orphaned", |cell| {
                cell.ours.counts.map(grouped).join("/")
            }),
            self.column("median s", |cell| seconds(cell.ours.median())),
            self.column("peak MiB", |cell| mib(Some(&cell.ours))),
            self.column("checksum", |cell| cell.ours.checksum.clone()),
        ];
        let compared = |cell: &Cell| cell.reference.is_some() || cell.floor.is_some();
        if self.cells.iter().any(compared) {
            columns.push(
                self.column("same", |cell| match (compared(cell), cell.agrees()) {
                    (false, _) => NONE.to_owned(),
                    (true, true) => "yes".to_owned(),
                    (true, false) => "NO".to_owned(),
                }),
            );
        }
        if self.cells.iter().any(|cell| cell.reference.is_some()) {
            columns.extend([
                self.column("reference s", |cell| time(cell.reference.as_ref())),
                self.column("times faster", |cell| ratio(cell.speed_up())),
                self.column("reference MiB", |cell| mib(cell.reference.as_ref())),
                self.column("of its memory", |cell| ratio(cell.memory())),
            ]);
        }
        if self.cells.iter().any(|cell| cell.floor.is_some()) {
            columns.extend([
                self.column("floor s", |cell| time(cell.floor.as_ref())),
                self.column("floor MiB", |cell| mib(cell.floor.as_ref())),
                self.column("times the floor", |cell| ratio(cell.of_floor())),
            ]);
        }
        if self.cells.iter().any(|cell| cell.ours.has_phases()) {
            for (i, phase) in PHASES.iter().enumerate() {
                columns.push(self.column(
                    &format!("{phase} s"),
                    |cell| match cell.ours.has_phases() {
                        true => seconds(cell.ours.phase_medians()[i]),
                        false => NONE.to_owned(),
                    },
                ));
            }
        }
        let mut text = table(&columns);
        for summary in self.summaries() {
            if let Some(line) = summary.line() {
                let _ = write!(text, "\n{line}\n");
            }
        }
        text
    }

    /// Everything that was measured, and the means.
    pub(super) fn json(&self) -> Json {
        let ratio =
            |value: Option<f64>| Json::from(value.filter(|x| x.is_finite()).map(Json::Float));
        let cells = self.cells.iter().map(|cell| {
            let directory = &cell.directory;
            Json::object([
                ("store", Json::from(directory.backend.as_str())),
                ("graph", Json::from(directory.graph.as_str())),
                ("phase", Json::from(directory.phase.as_str())),
                ("rows", Json::from(directory.rows)),
                ("hash", Json::from(directory.hash.as_str())),
                ("ours", measured(&cell.ours)),
                ("reference", cell.reference.as_ref().map(measured).into()),
                ("floor", cell.floor.as_ref().map(measured).into()),
                ("same", cell.agrees().into()),
                ("times_faster", ratio(cell.speed_up())),
                ("of_its_memory", ratio(cell.memory())),
                ("times_the_floor", ratio(cell.of_floor())),
            ])
        });
        let spread = |spread: &Option<Spread>| match spread {
            None => Json::Null,
            Some(spread) => Json::object([
                ("geometric_mean", ratio(Some(spread.geometric_mean))),
                ("least", ratio(Some(spread.least))),
                ("most", ratio(Some(spread.most))),
            ]),
        };
        let summaries = self.summaries().into_iter().map(|summary| {
            Json::object([
                ("store", Json::from(summary.store.as_str())),
                ("rows", Json::from(summary.rows)),
                ("cells", Json::from(summary.cells)),
                ("times_faster", spread(&summary.speed_up)),
                ("of_its_memory", spread(&summary.memory)),
                ("times_the_floor", spread(&summary.of_floor)),
            ])
        });
        Json::object([
            ("cells", cells.collect::<Json>()),
            ("summaries", summaries.collect()),
        ])
    }

    /// The title of a column, then what it says of each cell.
    fn column(&self, title: &str, of: impl Fn(&Cell) -> String) -> Vec<String> {
        let mut column = vec![title.to_owned()];
        column.extend(self.cells.iter().map(of));
        column
    }

    fn summaries(&self) -> Vec<Summary> {
        let mut groups: Vec<(String, u64)> = Vec::new();
        for cell in &self.cells {
            let group = (cell.directory.backend.clone(), cell.directory.rows);
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        let summary = |(store, rows): (String, u64)| {
            let cells = self.cells.iter();
            let cells = cells.filter(|c| c.directory.backend == store && c.directory.rows == rows);
            let cells: Vec<&Cell> = cells.collect();
            let spread = |of: fn(&Cell) -> Option<f64>| {
                let ratios: Vec<f64> = cells.iter().filter_map(|cell| of(cell)).collect();
                Spread::of(&ratios)
            };
            Summary {
                cells: cells.len(),
                speed_up: spread(Cell::speed_up),
                memory: spread(Cell::memory),
                of_floor: spread(Cell::of_floor),
                store,
                rows,
            }
        };
        groups.into_iter().map(summary).collect()
    }
}

impl Summary {
    /// The means in words; `None` if nothing was compared.
    fn line(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(spread) = &self.speed_up {
            parts.push(format!(
                "{:.1} times as fast as the reference (at least {:.1})",
                spread.geometric_mean, spread.least
            ));
        }
        if let Some(spread) = &self.memory {
            parts.push(format!(
                "{:.2} of its memory (at most {:.2})",
                spread.geometric_mean, spread.most
            ));
        }
        if let Some(spread) = &self.of_floor {
            parts.push(format!(
                "{:.2} times the floor (at most {:.2})",
                spread.geometric_mean, spread.most
            ));
        }
        (!parts.is_empty()).then(|| {
            format!(
                "{}, {} rows, geometric mean of {} cells: {}",
                self.store,
                grouped(self.rows),
                self.cells,
                parts.join("; ")
            )
        })
    }
}

impl Spread {
    /// Of no ratios there is none.
    fn of(ratios: &[f64]) -> Option<Self> {
        let least = ratios.iter().copied().min_by(f64::total_cmp)?;
        let most = ratios.iter().copied().max_by(f64::total_cmp)?;
        let logarithms: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
        Some(Self {
            geometric_mean: (logarithms / ratios.len() as f64).exp(),
            least,
            most,
        })
    }
}

/// What stands where there is nothing to say.
const NONE: &str = "–";

/// A Markdown table of columns, each with its title first, padded so that it reads well as text.
pub(super) fn table(columns: &[Vec<String>]) -> String {
    let width = |column: &Vec<String>| column.iter().map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = columns
        .iter()
        .map(|c| width(c).unwrap_or_default())
        .collect();
    let lines = columns.first().map(Vec::len).unwrap_or_default();
    let mut text = String::new();
    for line in 0..lines {
        for (column, width) in columns.iter().zip(&widths) {
            let _ = write!(text, "| {:width$} ", column[line]);
        }
        text.push_str("|\n");
        if line == 0 {
            for width in &widths {
                let _ = write!(text, "|{}", "-".repeat(width + 2));
            }
            text.push_str("|\n");
        }
    }
    text
}

fn measured(measured: &Measured) -> Json {
    let Json::Object(mut members) = measured.to_json() else {
        return Json::Null;
    };
    members.insert("median".to_owned(), Json::Float(measured.median()));
    Json::Object(members)
}

fn time(measured: Option<&Measured>) -> String {
    measured.map_or_else(|| NONE.to_owned(), |m| seconds(m.median()))
}

pub(super) fn seconds(seconds: f64) -> String {
    format!("{seconds:.4}")
}

fn mib(measured: Option<&Measured>) -> String {
    let peak = measured.and_then(|measured| measured.peak_mib);
    peak.map_or_else(|| NONE.to_owned(), |mib| format!("{mib:.0}"))
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| NONE.to_owned(), |ratio| format!("{ratio:.2}"))
}

/// A number with its thousands set apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::bench::directory::Directory;

    fn measured(seconds: f64, peak: f64, checksum: &str) -> Measured {
        Measured::parse(&format!(
            r#"{{"new": 1200, "stale": 0, "orphaned": 3, "checksum": "{checksum}", "seconds": [{seconds}], "peak_mib": {peak}}}"#
        ))
        .unwrap()
    }

    fn cell(phase: &str, ours: f64, reference: Option<f64>) -> Cell {
        Cell {
            directory: Directory {
                path: "d".into(),
                backend: "sqlite".into(),
                graph: "wide".into(),
                phase: phase.into(),
                rows: 1_200,
                hash: "md5".into(),
                leaf: "bench/wide_leaf".into(),
            },
            ours: measured(ours, 10.0, "00ff"),
            reference: reference.map(|seconds| measured(seconds, 40.0, "00ff")),
            floor: None,
        }
    }

    #[test]
    fn the_mean_is_geometric() {
        let spread = Spread::of(&[2.0, 8.0]).unwrap();
        assert!((spread.geometric_mean - 4.0).abs() < 1e-9);
        assert_eq!((spread.least, spread.most), (2.0, 8.0));
        assert!(Spread::of(&[]).is_none());
    }

    #[test]
    fn the_table_alone_has_no_columns_of_others() {
        let report = Report::new(vec![cell("new", 0.25, None)]);
        assert_eq!(
            report.markdown(),
            "\
| store  | graph | phase | rows  | new/stale/orphaned | median s | peak MiB | checksum |
|--------|-------|-------|-------|--------------------|----------|----------|----------|
| sqlite | wide  | new   | 1,200 | 1,200/0/3          | 0.2500   | 10       | 00ff     |
"
        );
        assert!(report.agrees());
    }

    #[test]
    fn ratios_and_their_mean_are_shown() {
        let report = Report::new(vec![
            cell("new", 0.5, Some(1.0)),
            cell("same", 0.5, Some(4.0)),
        ]);
        let text = report.markdown();
        assert!(
            text.contains("| yes  | 1.0000      | 2.00         | 40            | 0.25          |"),
            "{text}"
        );
        assert!(
            text.ends_with("\nsqlite, 1,200 rows, geometric mean of 2 cells: 4.0 times as fast as the reference (at least 2.0); 0.25 of its memory (at most 0.25)\n"),
            "{text}"
        );
        let json = report.json();
        let cells = json.get("cells").and_then(Json::as_array).unwrap();
        assert_eq!(cells[1].get("times_faster"), Some(&Json::Float(8.0)));
    }

    #[test]
    fn another_checksum_shows() {
        let mut other = cell("new", 0.5, Some(1.0));
        other.reference = Some(measured(1.0, 40.0, "0bad"));
        let report = Report::new(vec![other]);
        assert!(!report.agrees());
        assert!(report.markdown().contains("| NO "));
    }

    #[test]
    fn thousands_are_set_apart() {
        let shown = [0, 999, 1_000, 12_345_678].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "12,345,678"]);
    }
}
