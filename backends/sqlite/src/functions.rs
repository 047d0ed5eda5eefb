//! The functions that a connection gets: hashes, folds, and the marks of a comparison.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metaxy_core::hash::{Fold, HashAlgorithm, Hasher};
use metaxy_core::nested::for_each_member;
use metaxy_core::plan::{HashSpec, Label, Nulls};
use metaxy_core::sql::HashArg;
use rusqlite::functions::{Aggregate, Context, FunctionFlags, WindowAggregate};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, Result};

/// The stored rows that a comparison has met, by row number: a bit each, 64 of neighbours in a word. Numbers are what the file says, so
/// memory follows how many there are, not how large they are.
#[derive(Debug, Default, Clone)]
pub(crate) struct Marks(Arc<Mutex<HashMap<i64, u64>>>);

impl Marks {
    /// Forgets all rows: before a query.
    pub(crate) fn clear(&self) {
        *self.words() = HashMap::new();
    }

    fn set(&self, row: i64) {
        *self.words().entry(row >> 6).or_default() |= bit(row);
    }

    fn contains(&self, row: i64) -> bool {
        self.words()
            .get(&(row >> 6))
            .is_some_and(|word| word & bit(row) != 0)
    }

    fn words(&self) -> MutexGuard<'_, HashMap<i64, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn bit(row: i64) -> u64 {
    1 << (row & 63)
}

/// What every function is: for statements of ours only. Nothing in a file, such as an index on an expression, may call it.
pub(crate) const OURS: FunctionFlags =
    FunctionFlags::SQLITE_UTF8.union(FunctionFlags::SQLITE_DIRECTONLY);

/// What a function is that gives the same for the same arguments.
pub(crate) const PURE: FunctionFlags = OURS.union(FunctionFlags::SQLITE_DETERMINISTIC);

/// Registers all functions in `connection`; `marks` is what `metaxy_label` and `metaxy_marked` share.
pub(crate) fn register(connection: &Connection, marks: &Marks) -> Result<()> {
    connection.create_scalar_function("metaxy_hash", -1, PURE, hash)?;
    connection.create_window_function("metaxy_fold", 2, PURE, FoldFunction)?;
    crate::compare::register(connection)?;

    let set = marks.clone();
    connection.create_scalar_function("metaxy_label", 3, OURS, move |ctx| label(ctx, &set))?;
    let read = marks.clone();
    connection.create_scalar_function("metaxy_marked", 1, OURS, move |ctx| {
        Ok(match ctx.get_raw(0) {
            ValueRef::Integer(row) => read.contains(row),
            _ => false,
        })
    })
}

/// `metaxy_label(row, changed, leads)`: see `metaxy_core::sql::Dialect::label`.
fn label(ctx: &Context<'_>, marks: &Marks) -> Result<i64> {
    let ValueRef::Integer(row) = ctx.get_raw(0) else {
        return Ok(Label::New as i64);
    };
    marks.set(row);
    let changed = matches!(ctx.get_raw(1), ValueRef::Integer(changed) if changed != 0);
    let leads = !matches!(ctx.get_raw(2), ValueRef::Integer(0));
    Ok(match (changed, leads) {
        (false, _) => Label::Unchanged as i64,
        (true, true) => Label::Stale as i64,
        (true, false) => Label::Orphaned as i64,
    })
}

/// What `metaxy_hash` hashes, as its first argument says it: an algorithm, a length, and parts that refer to the other arguments.
struct Recipe {
    hasher: Mutex<Hasher>,
    length: usize,
    parts: Vec<RecipePart>,
    members: Vec<RecipeMember>,
    /// The arguments that members are taken from, each once.
    structs: Vec<usize>,
    /// How many arguments it needs, itself included.
    arguments: usize,
}

enum RecipePart {
    Text(String),
    /// The text of an argument.
    Argument(usize, Nulls),
    /// The member that was found for this position of [`Recipe::members`].
    Member(usize, Nulls),
}

struct RecipeMember {
    argument: usize,
    name: String,
}

/// The SQL of a hash: the recipe as text, and the arguments it refers to.
pub(crate) fn hash_sql(spec: HashSpec, parts: &[HashArg], text: impl Fn(&str) -> String) -> String {
    let mut arguments: Vec<&str> = Vec::new();
    let mut argument = |sql| match arguments.iter().position(|a| *a == sql) {
        Some(index) => index,
        None => {
            arguments.push(sql);
            arguments.len() - 1
        }
    };
    let empty = |nulls: &Nulls| *nulls == Nulls::Empty;
    let parts: Vec<serde_json::Value> = parts
        .iter()
        .map(|part| match part {
            HashArg::Text(text) => serde_json::json!([text]),
            HashArg::Value(sql, nulls) => serde_json::json!([argument(sql), empty(nulls)]),
            HashArg::Member {
                column,
                member,
                nulls,
                ..
            } => serde_json::json!([argument(column), empty(nulls), member]),
        })
        .collect();
    let recipe = serde_json::json!([spec.algorithm.to_string(), spec.length, parts]).to_string();
    let mut list = vec![text(&recipe)];
    list.extend(arguments.into_iter().map(str::to_owned));
    format!("metaxy_hash({})", list.join(", "))
}

impl Recipe {
    fn parse(value: ValueRef<'_>) -> Result<Self, String> {
        let broken = || "metaxy_hash: not a recipe".to_owned();
        let text = value.as_str().map_err(|e| e.to_string())?;
        let json: serde_json::Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let algorithm = json[0].as_str().ok_or_else(broken)?;
        let algorithm: HashAlgorithm = algorithm.parse().map_err(|e| format!("{e}"))?;
        let index = |v: &serde_json::Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
        let length = index(&json[1]).ok_or_else(broken)?;
        let mut members: Vec<RecipeMember> = Vec::new();
        let mut parts = Vec::new();
        let mut arguments = 1;
        for part in json[2].as_array().ok_or_else(broken)? {
            if let Some(text) = part[0].as_str() {
                parts.push(RecipePart::Text(text.to_owned()));
                continue;
            }
            let argument = index(&part[0]).and_then(|index| index.checked_add(1));
            let argument = argument.ok_or_else(broken)?;
            arguments = arguments.max(argument.saturating_add(1));
            let nulls = match part[1].as_bool() {
                Some(true) => Nulls::Empty,
                _ => Nulls::Propagate,
            };
            parts.push(match part[2].as_str() {
                None => RecipePart::Argument(argument, nulls),
                Some(name) => {
                    members.push(RecipeMember {
                        argument,
                        name: name.to_owned(),
                    });
                    RecipePart::Member(members.len() - 1, nulls)
                }
            });
        }
        let mut structs: Vec<usize> = members.iter().map(|m| m.argument).collect();
        structs.sort_unstable();
        structs.dedup();
        Ok(Self {
            hasher: Mutex::new(Hasher::new(algorithm)),
            length,
            parts,
            members,
            structs,
            arguments,
        })
    }
}

/// `metaxy_hash(recipe, …)`: the hash of the parts, one after the other; null if a part is that must not be.
fn hash(ctx: &Context<'_>) -> Result<Option<String>> {
    if ctx.is_empty() {
        return Err(user("metaxy_hash: no recipe"));
    }
    let recipe = ctx.get_or_create_aux(0, Recipe::parse)?;
    if ctx.len() < recipe.arguments {
        return Err(user("metaxy_hash: fewer arguments than the recipe needs"));
    }
    let mut hasher = recipe.hasher.lock().unwrap_or_else(PoisonError::into_inner);
    let mut slots: Vec<Option<Cow<'_, str>>> = vec![None; recipe.members.len()];
    for &argument in &recipe.structs {
        let json = match ctx.get_raw(argument) {
            ValueRef::Null => continue,
            value => as_text(value)?,
        };
        let whole = for_each_member(json, |name, value| {
            for (slot, member) in slots.iter_mut().zip(&recipe.members) {
                if member.argument == argument && member.name == name {
                    slot.clone_from(&value);
                }
            }
        });
        if !whole {
            return Err(stored("in a by-field column is no object of texts"));
        }
    }
    hasher.reset();
    for part in &recipe.parts {
        let (value, nulls) = match part {
            RecipePart::Text(text) => {
                hasher.update(text.as_bytes());
                continue;
            }
            RecipePart::Argument(index, nulls) => match ctx.get_raw(*index) {
                ValueRef::Null => (None, nulls),
                value => (Some(as_text(value)?), nulls),
            },
            RecipePart::Member(index, nulls) => (slots[*index].as_deref(), nulls),
        };
        match (value, nulls) {
            (Some(value), _) => hasher.update(value.as_bytes()),
            (None, Nulls::Empty) => {}
            (None, Nulls::Propagate) => return Ok(None),
        }
    }
    let hashed = hasher.finish().truncated(recipe.length);
    Ok(Some(hashed.as_str().to_owned()))
}

fn as_text(value: ValueRef<'_>) -> Result<&str> {
    value.as_str().map_err(|_| stored("as text is none"))
}

/// What the errors of functions begin with that are errors of the rows.
pub(crate) const STORED: &str = "what is stored ";

/// An error of the rows: they hold what they should not.
pub(crate) fn stored(problem: &str) -> Error {
    Error::UserFunctionError(format!("{STORED}{problem}").into())
}

fn user(message: &str) -> Error {
    Error::UserFunctionError(message.into())
}

/// `metaxy_fold('algorithm:length', value) OVER (…)` over a whole group.
struct FoldFunction;

struct FoldState {
    fold: Fold,
    folded: Option<String>,
}

/// The SQL of a fold.
pub(crate) fn fold_sql(spec: HashSpec, value: &str, over: &str) -> String {
    format!(
        "metaxy_fold('{}:{}', {value}) OVER {over}",
        spec.algorithm, spec.length
    )
}

impl Aggregate<FoldState, Option<String>> for FoldFunction {
    fn init(&self, ctx: &mut Context<'_>) -> Result<FoldState> {
        let spec = as_text(ctx.get_raw(0))?;
        let (algorithm, length) = spec
            .split_once(':')
            .ok_or_else(|| user("metaxy_fold: no spec"))?;
        let algorithm: HashAlgorithm = algorithm
            .parse()
            .map_err(|_| user("metaxy_fold: no algorithm"))?;
        let length = length.parse().map_err(|_| user("metaxy_fold: no length"))?;
        Ok(FoldState {
            fold: Fold::new(algorithm, length),
            folded: None,
        })
    }

    fn step(&self, ctx: &mut Context<'_>, state: &mut FoldState) -> Result<()> {
        match ctx.get_raw(1) {
            ValueRef::Null => state.fold.push(None),
            value => state.fold.push(Some(as_text(value)?)),
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, state: Option<FoldState>) -> Result<Option<String>> {
        Ok(state.map(|mut state| state.text()))
    }
}

impl WindowAggregate<FoldState, Option<String>> for FoldFunction {
    fn value(&self, state: Option<&mut FoldState>) -> Result<Option<String>> {
        Ok(state.map(FoldState::text))
    }

    fn inverse(&self, _: &mut Context<'_>, _: &mut FoldState) -> Result<()> {
        Err(user("metaxy_fold: only over whole groups"))
    }
}

impl FoldState {
    /// The group's hash. It is asked for once per row of the group, after all of them were pushed.
    fn text(&mut self) -> String {
        if self.folded.is_none() {
            let mut text = String::new();
            self.fold.finish_into(&mut text);
            self.folded = Some(text);
        }
        self.folded.clone().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::types::Value;

    use super::*;

    #[test]
    fn marks_take_as_much_memory_as_there_are_rows() {
        let marks = Marks::default();
        let rows = [i64::MIN, -65, -1, 0, 1, 63, 64, 1 << 35, 1 << 40, i64::MAX];
        rows.iter().for_each(|row| marks.set(*row));
        assert!(rows.iter().all(|row| marks.contains(*row)));
        assert!(![-2, 2, 65, 1 << 39].iter().any(|row| marks.contains(*row)));
        assert!(marks.words().len() <= rows.len());
        marks.clear();
        assert!(!rows.iter().any(|row| marks.contains(*row)));
    }

    /// Whatever a function is given, it answers or refuses, and the connection goes on.
    #[test]
    fn no_arguments_make_a_function_panic() {
        let connection = Connection::open_in_memory().unwrap();
        register(&connection, &Marks::default()).unwrap();
        let recipe = |parts: &str| format!("'[\"xxhash64\",8,[{parts}]]'");
        let mut arguments: Vec<String> = [
            "NULL",
            "0",
            "-1",
            "9223372036854775807",
            "-9223372036854775808",
            "1e999",
            "-1e-300",
            "x''",
            "x'fffe'",
            "CAST(x'ff' AS TEXT)",
            "''",
            "'['",
            "'{}'",
            "'[]'",
            "'[1,2,3]'",
            "'{\"a\":1}'",
            "'{\"a\":\"'",
            "'%'",
            "'!'",
            "'xxhash64:8'",
            "'xxhash64:99999999999999999999'",
            "'md5:0'",
            "'sha:4'",
        ]
        .map(String::from)
        .to_vec();
        arguments.push(recipe("[0,true]"));
        arguments.push(recipe("[18446744073709551615,true]"));
        arguments.push(recipe("[4,false,\"a\"]"));
        arguments.push(recipe("[0,false,\"a\"],[\"text\"]"));
        arguments.push("'[\"md5\",18446744073709551615,[[\"a\"]]]'".into());
        let mut tried = 0;
        let mut call = |function: &str, given: &[&String], over: &str| {
            let given: Vec<&str> = given.iter().map(|given| given.as_str()).collect();
            let sql = format!("SELECT {function}({}){over}", given.join(", "));
            match connection.query_row(&sql, [], |row| row.get::<_, Value>(0)) {
                Err(Error::UnwindingPanic) => panic!("{sql} panicked"),
                Err(error) => assert!(!error.to_string().contains("panic"), "{sql}: {error}"),
                Ok(_) => {}
            }
            tried += 1;
        };
        let functions = [
            ("metaxy_hash", ""),
            ("metaxy_order", ""),
            ("metaxy_like", ""),
            ("metaxy_ilike", ""),
            ("metaxy_label", ""),
            ("metaxy_marked", ""),
            ("metaxy_fold", " OVER ()"),
            ("metaxy_fold", ""),
        ];
        for (function, over) in functions {
            call(function, &[], over);
            for a in &arguments {
                call(function, &[a], over);
                for b in &arguments {
                    call(function, &[a, b], over);
                    call(function, &[a, b, a], over);
                    call(function, &[a, b, b, a], over);
                }
            }
        }
        assert!(tried > 10_000, "{tried}");
    }

    #[test]
    fn nothing_in_a_file_calls_our_functions() {
        let connection = Connection::open_in_memory().unwrap();
        register(&connection, &Marks::default()).unwrap();
        for sql in [
            "CREATE TABLE a (x, y AS (metaxy_hash())); INSERT INTO a VALUES (1); SELECT y FROM a",
            "CREATE TABLE b (x CHECK (metaxy_like(x, 'a'))); INSERT INTO b VALUES (1)",
            "CREATE TABLE c (x); CREATE INDEX i ON c (metaxy_like(x, 'a')); INSERT INTO c VALUES (1)",
            "CREATE TABLE d (x); CREATE TRIGGER t AFTER INSERT ON d BEGIN SELECT metaxy_marked(1); END; INSERT INTO d VALUES (1)",
        ] {
            let error = connection.execute_batch(sql).unwrap_err();
            assert!(
                error.to_string().contains("unsafe use of metaxy_"),
                "{error}"
            );
        }
        connection
            .execute_batch("CREATE VIEW v AS SELECT metaxy_marked(1) AS m")
            .unwrap();
        let read = connection.query_row("SELECT m FROM v", [], |row| row.get::<_, i64>(0));
        assert!(
            read.unwrap_err()
                .to_string()
                .contains("unsafe use of metaxy_")
        );
    }
}
