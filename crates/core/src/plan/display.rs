//! Relations as text that people read: a tree, the last step first.

use std::fmt::{self, Write as _};

use super::{Compare, Fold, HashPart, JoinKind, Leader, Node, Nulls, Relation, Scalar, Scan};

/// The steps of the relation, each above what it takes its rows from. For people: the text may change.
impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        write_step(&mut text, self, 0, "")?;
        f.write_str(text.trim_end())
    }
}

fn write_step(out: &mut String, relation: &Relation, depth: usize, role: &str) -> fmt::Result {
    let indent = "  ".repeat(depth);
    write!(out, "{indent}{role}")?;
    match relation.node() {
        Node::Scan(scan) => write_scan(out, scan)?,
        Node::Frame(position) => writeln!(out, "rows handed in ({position})")?,
        Node::Empty => writeln!(out, "no rows")?,
        Node::Filter { condition, .. } => writeln!(out, "rows where {condition}")?,
        Node::Project { columns, .. } => write_columns(out, columns, &indent)?,
        Node::Join { on, kind, .. } => {
            let kind = match kind {
                JoinKind::Inner => "inner",
                JoinKind::Left => "left",
                JoinKind::Full => "full",
            };
            writeln!(out, "{kind} join on {}", on.join(", "))?;
        }
        Node::Fold(fold) => write_fold(out, fold, &indent)?,
        Node::Leader(leader) => write_leader(out, leader)?,
        Node::Compare(compare) => write_compare(out, compare)?,
        Node::Count { by, .. } if by.is_empty() => writeln!(out, "count")?,
        Node::Count { by, .. } => writeln!(out, "count per {}", by.join(", "))?,
        Node::Limit { rows, .. } => writeln!(out, "at most {rows} rows")?,
    }
    let roles: &[&str] = match relation.node() {
        Node::Compare(_) => &["expected: ", "stored: "],
        _ => &[],
    };
    for (position, input) in relation.inputs().into_iter().enumerate() {
        let role = roles.get(position).copied().unwrap_or_default();
        write_step(out, input, depth + 1, role)?;
    }
    Ok(())
}

fn write_scan(out: &mut String, scan: &Scan) -> fmt::Result {
    write!(out, "table of {}", scan.table)?;
    if let Some(version) = &scan.feature_version {
        write!(out, ", version {version}")?;
    }
    if let Some(as_of) = scan.as_of {
        write!(out, ", as of {as_of} microseconds")?;
    }
    match &scan.latest_per {
        Some(ids) => writeln!(out, ", the latest row per {}", ids.join(", ")),
        None => writeln!(out, ", every row"),
    }
}

/// Columns that are kept stand in one line; those that are computed get one each.
fn write_columns(out: &mut String, columns: &[(String, Scalar)], indent: &str) -> fmt::Result {
    let is_kept = |name: &str, value: &Scalar| matches!(value, Scalar::Column(c) if c == name);
    let kept: Vec<&str> = columns
        .iter()
        .filter(|(name, value)| is_kept(name, value))
        .map(|(name, _)| name.as_str())
        .collect();
    writeln!(out, "columns {}", kept.join(", "))?;
    let computed = columns.iter().filter(|(name, value)| !is_kept(name, value));
    for (name, value) in computed {
        writeln!(out, "{indent}    {name} = {value}")?;
    }
    Ok(())
}

fn write_fold(out: &mut String, fold: &Fold, indent: &str) -> fmt::Result {
    let (keys, order) = (fold.keys.join(", "), fold.order.join(", "));
    writeln!(out, "versions folded per {keys}, in the order of {order}")?;
    for (name, value) in &fold.values {
        let hash = fold.hash;
        writeln!(
            out,
            "{indent}    {name} = {}[..{}] of all {value}",
            hash.algorithm, hash.length
        )?;
    }
    Ok(())
}

fn write_leader(out: &mut String, leader: &Leader) -> fmt::Result {
    writeln!(
        out,
        "what the latest row per {} has as {}",
        leader.keys.join(", "),
        leader.value
    )
}

fn write_compare(out: &mut String, compare: &Compare) -> fmt::Result {
    write!(
        out,
        "compare on {}: {} with {}",
        compare.on.join(", "),
        compare.expected_version,
        compare.stored_version
    )?;
    match &compare.stale_if {
        Some(condition) => writeln!(out, ", stale too where {condition}"),
        None => writeln!(out),
    }
}

/// The value as a formula.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(name) => f.write_str(name),
            Self::Member { column, member } => write!(f, "{column}.{member}"),
            Self::Converted { column, data_type } => write!(f, "{column} as {data_type}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Test(condition) => condition.fmt(f),
            Self::Hash { spec, parts } => {
                write!(f, "{}[..{}](", spec.algorithm, spec.length)?;
                for (position, part) in parts.iter().enumerate() {
                    if position > 0 {
                        f.write_str(" || ")?;
                    }
                    match part {
                        HashPart::Text(text) => write!(f, "{text:?}")?,
                        HashPart::Value(value, Nulls::Propagate) => write!(f, "{value}")?,
                        HashPart::Value(value, Nulls::Empty) => write!(f, "{value} or \"\"")?,
                    }
                }
                f.write_str(")")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use crate::FeatureKey;
    use crate::expr::{col, lit};

    #[test]
    fn each_step_stands_above_where_its_rows_come_from() {
        let schema = Schema::new(vec![
            Field::new("id", DataType::Utf8, true),
            Field::new("size", DataType::Int64, true),
        ]);
        let schema = Arc::new(schema);
        let scan = Scan {
            table: FeatureKey::new("a/b").unwrap(),
            feature_version: Some("4f1c".into()),
            as_of: None,
            latest_per: Some(vec!["id".into()]),
        };
        let large = col("size").gt(lit(3)).bind(&schema).unwrap();
        let rows = Relation::scan(scan, schema)
            .filter(Scalar::Test(large))
            .unwrap()
            .project(vec![
                ("id".into(), Scalar::column("id")),
                ("kind".into(), Scalar::Text("x".into())),
            ])
            .unwrap();
        assert_eq!(
            rows.to_string(),
            "columns id\n    kind = \"x\"\n  rows where size > 3\n    table of a/b, version 4f1c, the latest row per id"
        );
    }
}
