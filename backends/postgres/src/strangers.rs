//! What a table of another role has that would run with the rights of whoever reads or writes it.
//!
//! A store makes none of it, but for an index of stamps. Whoever owns the table, or may make triggers of it, chose it, and could use the rights of
//! others through it. So such a table is refused before a statement names it, unless the configuration allows it. The owner of a table, and a
//! superuser, could do anything to the role in other ways.

use metaxy_core::sql::literal_text;
use metaxy_core::{Error, ErrorKind};

use crate::error::Failure;
use crate::names::Names;
use crate::session::Session;

/// Whether the owner of a table under the alias `c` is trusted, in SQL.
pub(crate) const IS_TRUSTED: &str =
    "(SELECT o.rolsuper OR o.rolname = current_user FROM pg_roles AS o WHERE o.oid = c.relowner)";

/// The index that a store makes of stamps, as the server writes it.
const STAMP: &str = "COALESCE(metaxy_deleted_at, metaxy_updated_at)";

/// What would run, in words.
#[derive(Debug, Clone, Default)]
pub(crate) struct Strange {
    owner: String,
    role: String,
    /// When the table is read or written.
    read: Option<String>,
    /// When it is written.
    write: Option<String>,
}

impl Strange {
    /// Looks at a table. Nothing of it runs for that.
    pub(crate) async fn of(
        session: &mut Session,
        names: &Names,
        table: &str,
    ) -> Result<Self, Failure> {
        let sql = format!(
            "SELECT pg_get_userbyid(c.relowner), current_user, \
             (SELECT format('the type %s of column %I', format_type(a.atttypid, NULL), a.attname) FROM pg_attribute AS a \
             JOIN pg_type AS t ON t.oid = a.atttypid LEFT JOIN pg_type AS e ON e.oid = t.typelem AND t.typcategory = 'A' \
             JOIN pg_roles AS o ON o.oid = COALESCE(e.typowner, t.typowner) \
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND NOT o.rolsuper AND o.rolname <> current_user LIMIT 1), \
             COALESCE(\
             (SELECT format('the trigger %I', t.tgname) FROM pg_trigger AS t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal LIMIT 1), \
             (SELECT format('the rule %I', r.rulename) FROM pg_rewrite AS r WHERE r.ev_class = c.oid LIMIT 1), \
             (SELECT format('the constraint %I', k.conname) FROM pg_constraint AS k WHERE k.conrelid = c.oid AND k.contype IN ('c', 'x') LIMIT 1), \
             (SELECT format('the computed column %I', a.attname) FROM pg_attribute AS a \
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND (a.attgenerated <> '' OR a.attidentity <> '') LIMIT 1), \
             (SELECT format('the index %I', i.relname) FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid \
             AND (x.indpred IS NOT NULL OR pg_get_expr(x.indexprs, x.indrelid) <> {stamp}) LIMIT 1), \
             CASE WHEN c.relkind = 'p' THEN 'partitions' END, \
             (SELECT 'tables that inherit from it' FROM pg_inherits AS h WHERE h.inhparent = c.oid LIMIT 1)) \
             FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = {schema} AND c.relname = {table}",
            stamp = literal_text(STAMP),
            schema = literal_text(&names.schema),
            table = literal_text(table)
        );
        let row = session.rows(&sql).await?.into_iter().next();
        let [owner, role, read, write] = match row {
            Some(row) => crate::catalog::take(row)?,
            None => return Ok(Self::default()),
        };
        Ok(Self {
            owner: owner.unwrap_or_default(),
            role: role.unwrap_or_default(),
            read,
            write,
        })
    }

    /// # Errors
    /// [`ErrorKind::Unsupported`] if something of the table would run when it is read.
    pub(crate) fn refuse_read(&self, table: &str) -> Result<(), Error> {
        self.refuse(table, self.read.as_ref())
    }

    /// # Errors
    /// [`ErrorKind::Unsupported`] if something of the table would run when it is written.
    pub(crate) fn refuse_write(&self, table: &str) -> Result<(), Error> {
        self.refuse(table, self.read.as_ref().or(self.write.as_ref()))
    }

    fn refuse(&self, table: &str, what: Option<&String>) -> Result<(), Error> {
        let Some(what) = what else {
            return Ok(());
        };
        let (owner, role) = (&self.owner, &self.role);
        let problem = format!(
            "the table {table:?} is role {owner:?}'s and has {what}, which would run with the rights of role {role:?}"
        );
        Err(Error::new(ErrorKind::Unsupported, problem).with_hint(
            "ask its owner to take that away, or set the option `code_of_others = true` if you trust everybody who may change the table; nothing was run",
        ))
    }
}
