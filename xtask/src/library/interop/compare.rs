//! What two answers do not share, in words.

use std::collections::BTreeMap;

use metaxy_store::json::Json;

/// So many differences are shown of one answer.
const SHOWN: usize = 12;

/// The part of an increment with stored rows.
const ORPHANED: &str = "orphaned";

/// Who says what: the one whose answer counts, and the one that is compared with it.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) expected: &'a str,
    pub(super) found: &'a str,
}

/// The differences between two answers, none if they are equal. Rows are told apart by `ids`, and their order does not matter.
pub(super) fn differences(
    names: Names<'_>,
    ids: &[String],
    expected: &Json,
    found: &Json,
) -> Vec<String> {
    let mut all = Vec::new();
    compare(names, ids, "", expected, found, &mut all);
    let more = all.len().saturating_sub(SHOWN);
    all.truncate(SHOWN);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all
}

fn compare(
    names: Names<'_>,
    ids: &[String],
    place: &str,
    expected: &Json,
    found: &Json,
    out: &mut Vec<String>,
) {
    let prefix = match place {
        "" => String::new(),
        place => format!("{place}: "),
    };
    if let (Some(left), Some(right)) = (Table::of(expected), Table::of(found)) {
        // What columns nothing has is nobody's promise: before a first write none are known.
        if !(place == ORPHANED && left.rows.is_empty() && right.rows.is_empty()) {
            left.compare(&right, names, ids, &prefix, out);
        }
        return;
    }
    let (Some(left), Some(right)) = (expected.as_object(), found.as_object()) else {
        if let (Some(left), Some(right)) = (expected.as_array(), found.as_array())
            && left.len() == right.len()
        {
            for (at, (left, right)) in left.iter().zip(right).enumerate() {
                compare(names, ids, &below(place, &at.to_string()), left, right, out);
            }
            return;
        }
        let (left, right) = (text(expected), text(found));
        if left != right {
            out.push(format!(
                "{prefix}{} {left}, {} {right}",
                names.expected, names.found
            ));
        }
        return;
    };
    for (name, left) in left {
        match right.get(name) {
            Some(right) => compare(names, ids, &below(place, name), left, right, out),
            None => out.push(format!(
                "{prefix}only {} has {name}: {}",
                names.expected,
                text(left)
            )),
        }
    }
    for (name, right) in right.iter().filter(|(name, _)| !left.contains_key(*name)) {
        out.push(format!(
            "{prefix}only {} has {name}: {}",
            names.found,
            text(right)
        ));
    }
}

/// An answer that is a frame.
struct Table<'a> {
    columns: BTreeMap<&'a str, &'a str>,
    rows: Vec<BTreeMap<&'a str, String>>,
}

impl<'a> Table<'a> {
    fn of(answer: &'a Json) -> Option<Self> {
        let columns = answer.get("columns")?.as_object()?;
        let columns = columns
            .iter()
            .map(|(name, kind)| (name.as_str(), kind.as_str().unwrap_or_default()))
            .collect();
        let row = |row: &'a Json| -> Option<BTreeMap<&'a str, String>> {
            let cells = row.as_object()?.iter();
            Some(
                cells
                    .map(|(name, cell)| (name.as_str(), shown(name, cell)))
                    .collect(),
            )
        };
        let rows = answer.get("rows")?.as_array()?.iter().map(row);
        Some(Self {
            columns,
            rows: rows.collect::<Option<_>>()?,
        })
    }

    fn compare(
        mut self,
        other: &Self,
        names: Names<'_>,
        ids: &[String],
        prefix: &str,
        out: &mut Vec<String>,
    ) {
        for (side, these, those) in [(names.expected, &self, other), (names.found, other, &self)] {
            let only = these
                .columns
                .keys()
                .filter(|name| !those.columns.contains_key(*name));
            out.extend(only.map(|name| format!("{prefix}only {side} has column {name}")));
        }
        for (name, kind) in &self.columns {
            match other.columns.get(name) {
                // The types of system columns are each store's own: zoned or not, struct or map.
                Some(found) if found != kind && !is_system(name) => out.push(format!(
                    "{prefix}column {name}: {} has type {kind}, {} {found}",
                    names.expected, names.found
                )),
                _ => {}
            }
        }
        // A column that one side lacks has been told; it does not make every row another one.
        for row in &mut self.rows {
            row.retain(|name, _| other.columns.contains_key(name));
        }
        let mut unmatched: Vec<BTreeMap<&str, String>> = other.rows.clone();
        for row in &mut unmatched {
            row.retain(|name, _| self.columns.contains_key(name));
        }
        let mut missing = Vec::new();
        for row in self.rows {
            match unmatched.iter().position(|found| *found == row) {
                Some(at) => drop(unmatched.swap_remove(at)),
                None => missing.push(row),
            }
        }
        for row in missing {
            let id = identity(&row, ids);
            let same_id = unmatched.iter().enumerate();
            let nearest = same_id
                .filter(|(_, found)| identity(found, ids) == id)
                .min_by_key(|(_, found)| {
                    row.iter()
                        .filter(|(name, cell)| found.get(*name) != Some(cell))
                        .count()
                })
                .map(|(at, _)| at);
            let Some(at) = nearest else {
                out.push(format!(
                    "{prefix}only {} has row {id}: {}",
                    names.expected,
                    whole(&row)
                ));
                continue;
            };
            let found = unmatched.swap_remove(at);
            for (name, left) in &row {
                let right = found.get(name).map_or("nothing", String::as_str);
                if left != right {
                    out.push(format!(
                        "{prefix}row {id}, column {name}: {} {left}, {} {right}",
                        names.expected, names.found
                    ));
                }
            }
        }
        for row in unmatched {
            let id = identity(&row, ids);
            out.push(format!(
                "{prefix}only {} has row {id}: {}",
                names.found,
                whole(&row)
            ));
        }
    }
}

/// A cell as text in which equal values are equal. Whether a store keeps its own times with a zone is its own affair.
fn shown(column: &str, cell: &Json) -> String {
    match cell.get("timestamp").or_else(|| cell.get("instant")) {
        Some(micros) if is_system(column) => format!("{} µs", text(micros)),
        _ => text(cell),
    }
}

fn is_system(column: &str) -> bool {
    column.starts_with(metaxy_store::columns::SYSTEM_PREFIX)
}

fn identity(row: &BTreeMap<&str, String>, ids: &[String]) -> String {
    let known = ids
        .iter()
        .filter_map(|id| Some(format!("{id}={}", row.get(id.as_str())?)));
    known.collect::<Vec<_>>().join(" ")
}

fn whole(row: &BTreeMap<&str, String>) -> String {
    let user = row.iter().filter(|(name, _)| !is_system(name));
    let cells: Vec<String> = user.map(|(name, cell)| format!("{name}={cell}")).collect();
    cells.join(" ")
}

fn text(value: &Json) -> String {
    value.to_python_dumps(true)
}

fn below(place: &str, name: &str) -> String {
    match place {
        "" => name.to_owned(),
        place => format!("{place}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names<'static> = Names {
        expected: "reference",
        found: "metaxy",
    };

    fn compared(expected: &str, found: &str) -> Vec<String> {
        let [expected, found] = [expected, found].map(|text| Json::parse(text).unwrap());
        differences(NAMES, &["id".to_owned()], &expected, &found)
    }

    fn frame(columns: &str, rows: &str) -> String {
        format!("{{\"columns\": {{{columns}}}, \"rows\": [{rows}]}}")
    }

    #[test]
    fn order_of_rows_columns_and_members_does_not_matter() {
        let left = frame(
            r#""id": "i64", "s": "struct<a:i64,b:i64>""#,
            r#"{"id": 1, "s": {"a": 1, "b": 2}}, {"id": 2, "s": null}"#,
        );
        let right = frame(
            r#""s": "struct<a:i64,b:i64>", "id": "i64""#,
            r#"{"s": null, "id": 2}, {"s": {"b": 2, "a": 1}, "id": 1}"#,
        );
        assert_eq!(compared(&left, &right), Vec::<String>::new());
    }

    #[test]
    fn a_difference_names_row_column_and_both_values() {
        let columns = r#""id": "i64", "v": "f64""#;
        let found = compared(
            &frame(columns, r#"{"id": 1, "v": 0.5}, {"id": 2, "v": 0.0}"#),
            &frame(columns, r#"{"id": 1, "v": 0.25}, {"id": 2, "v": -0.0}"#),
        );
        assert_eq!(
            found,
            [
                "row id=1, column v: reference 0.5, metaxy 0.25",
                "row id=2, column v: reference 0.0, metaxy -0.0",
            ]
        );
    }

    #[test]
    fn rows_repeated_missing_and_added_show() {
        let columns = r#""id": "i64""#;
        let found = compared(
            &frame(columns, r#"{"id": 1}, {"id": 1}, {"id": 2}"#),
            &frame(columns, r#"{"id": 1}, {"id": 3}"#),
        );
        assert_eq!(
            found,
            [
                "only reference has row id=1: id=1",
                "only reference has row id=2: id=2",
                "only metaxy has row id=3: id=3",
            ]
        );
    }

    #[test]
    fn columns_and_types_are_compared() {
        let found = compared(
            &frame(
                r#""id": "i64", "a": "i32", "b": "text""#,
                r#"{"id": 1, "a": 1, "b": "x"}"#,
            ),
            &frame(
                r#""id": "i64", "a": "i64", "c": "text""#,
                r#"{"id": 1, "a": 1, "c": "x"}"#,
            ),
        );
        assert_eq!(
            found,
            [
                "only reference has column b",
                "only metaxy has column c",
                "column a: reference has type i32, metaxy i64",
            ]
        );
    }

    #[test]
    fn columns_of_no_orphaned_rows_do_not_matter() {
        let increment =
            |part: &str, columns: &str| format!("{{\"{part}\": {}}}", frame(columns, ""));
        let (some, none) = (r#""id": "i64""#, "");
        let orphaned = compared(&increment("orphaned", some), &increment("orphaned", none));
        assert_eq!(orphaned, Vec::<String>::new());
        let new = compared(&increment("new", some), &increment("new", none));
        assert_eq!(new, ["new: only reference has column id"]);
    }

    #[test]
    fn a_zone_counts_in_columns_of_the_user_only() {
        let columns = r#""id": "i64", "at": "instant", "metaxy_updated_at": "instant""#;
        let others = r#""id": "i64", "at": "timestamp", "metaxy_updated_at": "timestamp""#;
        let found = compared(
            &frame(
                columns,
                r#"{"id": 1, "at": {"instant": 5}, "metaxy_updated_at": {"instant": 5}}"#,
            ),
            &frame(
                others,
                r#"{"id": 1, "at": {"timestamp": 5}, "metaxy_updated_at": {"timestamp": 5}}"#,
            ),
        );
        assert_eq!(
            found,
            [
                "column at: reference has type instant, metaxy timestamp",
                "row id=1, column at: reference {\"instant\": 5}, metaxy {\"timestamp\": 5}",
            ]
        );
    }

    #[test]
    fn other_answers_are_compared_member_by_member() {
        let found = compared(
            r#"{"features": {"a": {"version": "1"}, "b": 1}, "list": [1, 2]}"#,
            r#"{"features": {"a": {"version": "2"}}, "list": [1, 3], "more": null}"#,
        );
        assert_eq!(
            found,
            [
                "features.a.version: reference \"1\", metaxy \"2\"",
                "features: only reference has b: 1",
                "list.1: reference 2, metaxy 3",
                "only metaxy has more: null",
            ]
        );
    }
}
