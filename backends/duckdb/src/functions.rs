//! The hash function of the engine: `metaxy_hash(recipe, text, …)`.
//!
//! The recipe is a constant that says what is hashed: the algorithm, how many characters are kept, and the parts, which are texts
//! or refer to the arguments. So the engine never builds the joined text as a column; a few rows are hashed at a time. The hash is null
//! if an argument is.

#![allow(unsafe_code)]

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use duckdb::core::{DataChunkHandle, Inserter, LogicalTypeHandle, LogicalTypeId};
use duckdb::vscalar::{ScalarFunctionSignature, VScalar};
use duckdb::vtab::arrow::WritableVector;
use duckdb::{Connection, ffi};
use metaxy_core::hash::{CommonText, HashAlgorithm, HashBatch, HashText, RowText};
use metaxy_core::plan::{HashSpec, Nulls};
use metaxy_core::sql::HashArg;

use crate::dialect::text;

const NAME: &str = "metaxy_hash";

/// Makes the function known to a database.
pub(crate) fn register(connection: &Connection) -> duckdb::Result<()> {
    connection.register_scalar_function::<HashFunction>(NAME)
}

/// The SQL of a hash; `member` gives the SQL of a member of a struct or map.
pub(crate) fn hash_sql(
    spec: HashSpec,
    parts: &[HashArg],
    member: impl Fn(&str, &arrow::datatypes::DataType, &str) -> String,
) -> String {
    let mut recipe = format!("{}:{}:", spec.algorithm, spec.length);
    let mut arguments: Vec<String> = Vec::new();
    for part in parts {
        let (sql, nulls) = match part {
            HashArg::Text(text) => {
                recipe.push_str(&format!("t{}:{text}", text.len()));
                continue;
            }
            HashArg::Value(sql, nulls) => (sql.clone(), nulls),
            HashArg::Member {
                column,
                data_type,
                member: name,
                nulls,
            } => (member(column, data_type, name), nulls),
        };
        let argument = match nulls {
            Nulls::Propagate => sql,
            Nulls::Empty => format!("COALESCE({sql}, '')"),
        };
        let index = arguments.iter().position(|known| *known == argument);
        let index = index.unwrap_or_else(|| {
            arguments.push(argument);
            arguments.len() - 1
        });
        recipe.push_str(&format!("a{index}:"));
    }
    arguments.insert(0, text(&recipe));
    format!("{NAME}({})", arguments.join(", "))
}

/// What is hashed.
struct Recipe {
    algorithm: HashAlgorithm,
    length: usize,
    parts: Vec<RecipePart>,
}

enum RecipePart {
    Text(CommonText),
    /// The text of the argument at this position, the recipe not counted.
    Argument(usize),
}

impl Recipe {
    /// The parts of some rows, one after the other. The rows have no null argument.
    fn write(&self, arguments: &[Texts<'_>], rows: &[usize], texts: &mut [RowText]) {
        for part in &self.parts {
            match part {
                RecipePart::Text(common) => common.push_to(texts),
                RecipePart::Argument(index) => {
                    let Some(argument) = arguments.get(*index) else {
                        continue;
                    };
                    for (text, row) in texts.iter_mut().zip(rows) {
                        match argument.get(*row) {
                            Some(Text::Short(short)) => {
                                text.push_start(&short.bytes, short.length as usize);
                            }
                            Some(Text::Long(long)) => text.push(long),
                            None => {}
                        }
                    }
                }
            }
        }
    }

    /// Those of the arguments in which a row may be null.
    fn nullable<'a>(&self, arguments: &'a [Texts<'a>]) -> Result<Vec<&'a Texts<'a>>, &'static str> {
        let indices = self.parts.iter().filter_map(|part| match part {
            RecipePart::Text(_) => None,
            RecipePart::Argument(index) => Some(*index),
        });
        let used: Result<Vec<_>, _> = indices
            .map(|index| arguments.get(index).ok_or("metaxy_hash: no such argument"))
            .collect();
        Ok(used?
            .into_iter()
            .filter(|texts| texts.has_nulls())
            .collect())
    }

    fn parse(text: &str) -> Option<Self> {
        let (algorithm, rest) = text.split_once(':')?;
        let (length, mut rest) = rest.split_once(':')?;
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let (head, tail) = rest.split_once(':')?;
            let number: usize = head.get(1..)?.parse().ok()?;
            rest = match head.as_bytes().first()? {
                b't' => {
                    let (text, tail) = tail.split_at_checked(number)?;
                    parts.push(RecipePart::Text(CommonText::new(text)));
                    tail
                }
                b'a' => {
                    parts.push(RecipePart::Argument(number));
                    tail
                }
                _ => return None,
            };
        }
        Some(Self {
            algorithm: algorithm.parse().ok()?,
            length: length.parse().ok()?,
            parts,
        })
    }
}

/// The recipes that were read so far: a statement has a handful, and its function is called for every 2,048 rows.
#[derive(Default, Clone)]
struct Recipes(Arc<Mutex<HashMap<String, Arc<Recipe>>>>);

/// More recipes than this are forgotten, and read again where they are needed.
const MOST_RECIPES: usize = 1_000;

impl Recipes {
    fn get(&self, text: &str) -> Result<Arc<Recipe>, String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(recipe) = known.get(text) {
            return Ok(recipe.clone());
        }
        let recipe = Recipe::parse(text).ok_or_else(|| format!("{NAME}: {text:?} is no recipe"))?;
        let recipe = Arc::new(recipe);
        if known.len() >= MOST_RECIPES {
            known.clear();
        }
        known.insert(text.to_owned(), recipe.clone());
        Ok(recipe)
    }
}

struct HashFunction;

impl VScalar for HashFunction {
    type State = Recipes;

    fn signatures() -> Vec<ScalarFunctionSignature> {
        let text = || LogicalTypeHandle::from(LogicalTypeId::Varchar);
        vec![ScalarFunctionSignature::variadic(text(), text())]
    }

    fn invoke(
        recipes: &Recipes,
        input: &mut DataChunkHandle,
        output: &mut dyn WritableVector,
    ) -> Result<(), Box<dyn Error>> {
        let rows = input.len();
        let columns: Vec<Texts<'_>> = (0..input.num_columns())
            .map(|i| Texts::of(input, i))
            .collect();
        let mut output = output.flat_vector();
        if rows == 0 {
            return Ok(());
        }
        let Some((recipe, arguments)) = columns.split_first() else {
            return Err(format!("{NAME}: there is no recipe").into());
        };
        let text = recipe.get(0);
        let text = text.as_ref().map(Text::bytes).unwrap_or_default();
        let recipe = recipes.get(std::str::from_utf8(text)?)?;
        let nullable = recipe.nullable(arguments)?;
        let mut batch = HashBatch::new(recipe.algorithm, recipe.length);
        // SAFETY: the column is VARCHAR as the signature says.
        let texts = unsafe { output.as_mut_ptr::<ffi::duckdb_string_t>() };
        let mut waiting = Vec::with_capacity(HashBatch::ROWS);
        for row in 0..rows {
            match nullable.iter().all(|argument| argument.is_valid(row)) {
                false => output.set_null(row),
                true => waiting.push(row),
            }
            if waiting.len() == HashBatch::ROWS || row + 1 == rows {
                recipe.write(arguments, &waiting, batch.rows(waiting.len()));
                for (row, hash) in waiting.drain(..).zip(batch.finish()) {
                    match inline(&hash) {
                        // SAFETY: the row is one of the column's.
                        Some(text) => unsafe { texts.add(row).write(text) },
                        None => output.insert(row, hash.as_bytes()),
                    }
                }
            }
        }
        Ok(())
    }
}

/// A column of texts of a chunk, which the engine has flattened.
struct Texts<'a> {
    texts: *const ffi::duckdb_string_t,
    /// Null if no row is null; otherwise a bit per row, set where it is not.
    valid: *const u64,
    rows: usize,
    chunk: std::marker::PhantomData<&'a DataChunkHandle>,
}

/// Texts of at most so many bytes stand in the column itself.
const INLINE: u32 = 12;

/// A text of a column.
enum Text<'a> {
    Short(Short),
    Long(&'a [u8]),
}

impl Text<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short(short) => &short.bytes[..short.length as usize],
            Self::Long(long) => long,
        }
    }
}

/// A text that stands in the column itself, with zeros behind it.
struct Short {
    bytes: [u8; INLINE as usize],
    length: u32,
}

/// A short text as it stands in a column.
#[inline]
fn inline(text: &HashText) -> Option<ffi::duckdb_string_t> {
    let inlined = text.padded::<{ INLINE as usize }>()?;
    let inlined = ffi::duckdb_string_t__bindgen_ty_1__bindgen_ty_2 {
        length: text.as_bytes().len() as u32,
        inlined: inlined.map(|byte| byte as std::ffi::c_char),
    };
    Some(ffi::duckdb_string_t {
        value: ffi::duckdb_string_t__bindgen_ty_1 { inlined },
    })
}

impl<'a> Texts<'a> {
    fn of(chunk: &'a DataChunkHandle, column: usize) -> Self {
        // SAFETY: the column exists, and is VARCHAR as the signature of the function says.
        let (texts, valid) = unsafe {
            let vector = ffi::duckdb_data_chunk_get_vector(chunk.get_ptr(), column as u64);
            (
                ffi::duckdb_vector_get_data(vector).cast(),
                ffi::duckdb_vector_get_validity(vector),
            )
        };
        Self {
            texts,
            valid,
            rows: chunk.len(),
            chunk: std::marker::PhantomData,
        }
    }

    fn has_nulls(&self) -> bool {
        !self.valid.is_null()
    }

    #[inline]
    fn is_valid(&self, row: usize) -> bool {
        // SAFETY: the row is one of the chunk's, so the mask, if there is one, has its bit.
        row < self.rows
            && (self.valid.is_null() || unsafe { *self.valid.add(row / 64) } >> (row % 64) & 1 == 1)
    }

    #[inline]
    fn get(&self, row: usize) -> Option<Text<'a>> {
        if !self.is_valid(row) {
            return None;
        }
        // SAFETY: the row is one of the chunk's, and a text that is not null is initialised, and stays as long as the
        // chunk, which is borrowed.
        unsafe {
            let text = &*self.texts.add(row);
            let length = text.value.inlined.length;
            Some(match length <= INLINE {
                true => Text::Short(Short {
                    bytes: text.value.inlined.inlined.as_ptr().cast::<[u8; _]>().read(),
                    length,
                }),
                false => {
                    let start = text.value.pointer.ptr.cast_const().cast();
                    Text::Long(std::slice::from_raw_parts(start, length as usize))
                }
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_function_is_given_it_answers_or_refuses() {
        let connection = Connection::open_in_memory().unwrap();
        register(&connection).unwrap();
        let ask = |call: &str| {
            let sql = format!("SELECT {call}::VARCHAR FROM range(3000) AS t(i)");
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map([], |row| row.get::<_, Option<String>>(0))?;
            rows.collect::<duckdb::Result<Vec<_>>>()
        };
        for refused in [
            "metaxy_hash()",
            "metaxy_hash('')",
            "metaxy_hash('md5')",
            "metaxy_hash('md5:8:a0:')",
            "metaxy_hash('md5:8:a99999999999999999999:', 'x')",
            "metaxy_hash('md5:8:t9:abc', 'x')",
            "metaxy_hash('md5:8:t18446744073709551615:abc', 'x')",
            "metaxy_hash('md5:-1:a0:', 'x')",
            "metaxy_hash('none:8:a0:', 'x')",
            "metaxy_hash(i::VARCHAR, 'x')",
        ] {
            let error = ask(refused).expect_err(refused).to_string();
            assert!(error.contains("metaxy_hash"), "{refused}: {error}");
        }
        for (call, expected) in [
            ("metaxy_hash('md5:4:')", Some("d41d")),
            ("metaxy_hash('md5:4:a0:', NULL)", None),
            ("metaxy_hash('md5:4:a1:', '1', 'x')", Some("9dd4")),
        ] {
            let rows = ask(call).unwrap_or_else(|e| panic!("{call}: {e}"));
            assert_eq!(rows.len(), 3000, "{call}");
            let expected = expected.map(str::to_owned);
            assert!(
                rows.iter().all(|row| *row == expected),
                "{call}: {:?}",
                rows[0]
            );
        }
    }
}
