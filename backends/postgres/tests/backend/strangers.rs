//! A database that several roles share: nobody runs what another has put beside or into a table, and no setting of a role changes an answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::listener::logged;
use crate::support::{appended, cluster, key, notes, open, rows, store, write};
use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use futures::executor::block_on;
use metaxy_conformance::hostile;
use metaxy_postgres::{PostgresBackend, PostgresConfig};
use metaxy_store::backend::append::{Stamp, Times};
use metaxy_store::expr::col;
use metaxy_store::{Access, Backend, Error, ErrorKind};

const CORPUS: &str = include_str!("../../../../conformance/hostile/postgres.toml");

/// The database that stands for a folder.
fn url(folder: &Path) -> String {
    static URLS: Mutex<BTreeMap<PathBuf, String>> = Mutex::new(BTreeMap::new());
    let mut urls = URLS.lock().unwrap();
    let url = urls.entry(folder.to_owned());
    url.or_insert_with(|| cluster().database("hostile").unwrap())
        .clone()
}

fn in_folder(folder: &Path, access: Access) -> Arc<dyn Backend> {
    let config = PostgresConfig::new(&url(folder)).unwrap();
    Arc::new(config.open(access))
}

#[test]
fn a_store_of_an_enemy_is_read_or_refused() {
    hostile::check(CORPUS, in_folder, |folder, change| {
        let does = change.text("does").unwrap();
        cluster().sql(&url(folder), does).unwrap();
    });
}

const PASSWORD: &str = "correct-horse-battery";

/// Two roles of one database, and a table in which what runs notes who it runs as.
struct Shared {
    url: String,
    alice: String,
    mallory: String,
}

impl Shared {
    fn new(about: &str) -> Self {
        let (_, url) = store(about);
        let [alice, mallory] =
            ["alice", "mallory"].map(|name| format!("{name}_{about}_{}", std::process::id()));
        let sql = format!(
            "CREATE ROLE {alice} LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE {mallory} LOGIN PASSWORD '{PASSWORD}'; \
             GRANT CREATE, USAGE ON SCHEMA public TO {mallory}; GRANT USAGE ON SCHEMA public TO {alice}; \
             CREATE TABLE ran (who text); GRANT ALL ON ran TO PUBLIC; \
             CREATE FUNCTION note() RETURNS boolean LANGUAGE plpgsql VOLATILE AS \
             $$ BEGIN INSERT INTO public.ran VALUES (current_user); RETURN TRUE; END $$; ALTER FUNCTION note() OWNER TO {mallory}"
        );
        cluster().sql(&url, &sql).unwrap();
        Self {
            url,
            alice,
            mallory,
        }
    }

    fn address(&self, role: &str) -> String {
        let (_, place) = self.url.rsplit_once('@').unwrap();
        format!("postgresql://{role}:{PASSWORD}@{place}")
    }

    fn as_mallory(&self, sql: &str) {
        cluster().sql(&self.address(&self.mallory), sql).unwrap();
    }

    /// A table of mallory's that alice may read and write.
    fn table(&self, name: &str) {
        let mallory = open(&self.address(&self.mallory));
        write(&mallory, name, &[(1, "x")]).unwrap();
        self.as_mallory(&format!("GRANT ALL ON {name} TO {}", self.alice));
    }

    fn alice(&self) -> PostgresBackend {
        open(&self.address(&self.alice))
    }

    fn trusting(&self) -> PostgresBackend {
        let config = PostgresConfig::new(&self.address(&self.alice)).unwrap();
        let config = config.with_row_security(true).with_code_of_others(true);
        config.open(Access::Write)
    }

    /// As whom something has run that mallory made, but mallory.
    fn ran(&self) -> String {
        let sql = format!(
            "SELECT DISTINCT who FROM ran WHERE who <> '{}'",
            self.mallory
        );
        cluster().sql(&self.url, &sql).unwrap()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let (alice, mallory) = (&self.alice, &self.mallory);
        let sql = format!("DROP OWNED BY {alice}, {mallory} CASCADE; DROP ROLE {alice}, {mallory}");
        let _ = cluster().sql(&self.url, &sql);
    }
}

fn refused(error: &Error, words: &[&str]) {
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    for word in words {
        assert!(error.message().contains(word), "{word}: {error}");
    }
    assert!(error.hint().is_some(), "{error:?}");
}

#[test]
fn a_function_beside_the_tables_is_not_called_in_place_of_the_servers() {
    let shared = Shared::new("shadows");
    shared.table("a");
    // These fit better than the server's own: the arguments need no cast.
    shared.as_mallory(
        "CREATE FUNCTION col_description(oid, smallint) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM public.note(); RETURN NULL; END $$; \
         CREATE FUNCTION starts_with(name, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM public.note(); RETURN TRUE; END $$; \
         CREATE FUNCTION starts_with(name, varchar) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM public.note(); RETURN TRUE; END $$; \
         CREATE FUNCTION md5(varchar) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM public.note(); RETURN 'x'; END $$; \
         CREATE FUNCTION string_out(varchar, varchar) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM public.note(); RETURN TRUE; END $$; \
         CREATE OPERATOR = (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = string_out); \
         CREATE OPERATOR || (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = string_out)",
    );
    let alice = shared.alice();
    assert_eq!(rows(&alice, "a", true).unwrap(), ["1 x"]);
    assert_eq!(block_on(alice.tables()).unwrap(), ["a"]);
    write(&alice, "a", &[(2, "y")]).unwrap();
    let schema = block_on(alice.schema(&key("a"))).unwrap().unwrap();
    let gone = col("note").eq("y").bind(&schema).unwrap();
    assert_eq!(block_on(alice.delete(&key("a"), Some(&gone))).unwrap(), 1);
    assert_eq!(shared.ran(), "");
}

#[test]
fn policies_do_not_run_unless_they_are_allowed() {
    let shared = Shared::new("policies");
    shared.table("a");
    shared.as_mallory(
        "ALTER TABLE a ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON a USING (public.note())",
    );
    let alice = shared.alice();
    let error = rows(&alice, "a", true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.hint().unwrap().contains("row_security"), "{error:?}");
    assert!(write(&alice, "a", &[(2, "y")]).is_err());
    assert_eq!(shared.ran(), "");
    // The owner is bound by none.
    let mallory = open(&shared.address(&shared.mallory));
    assert_eq!(rows(&mallory, "a", true).unwrap(), ["1 x"]);

    shared.as_mallory("DROP POLICY p ON a; CREATE POLICY p ON a USING (id < 2)");
    write(&mallory, "a", &[(2, "y")]).unwrap();
    assert_eq!(rows(&shared.trusting(), "a", true).unwrap(), ["1 x"]);
}

#[test]
fn what_others_put_into_a_table_does_not_run() {
    let shared = Shared::new("tables");
    let trigger = "CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.note(); RETURN NEW; END $$";
    shared.as_mallory(&format!(
        "{trigger}; CREATE FUNCTION noted(bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM public.note(); RETURN $1; END $$"
    ));
    for (name, sql, words) in [
        (
            "t",
            "CREATE TRIGGER spy BEFORE INSERT OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION spy()",
            ["trigger", "spy"],
        ),
        (
            "r",
            "CREATE RULE spy AS ON INSERT TO r DO ALSO SELECT public.note()",
            ["rule", "spy"],
        ),
        (
            "c",
            "ALTER TABLE c ADD CONSTRAINT spy CHECK (public.note())",
            ["constraint", "spy"],
        ),
        (
            "g",
            "ALTER TABLE g ADD COLUMN more bigint GENERATED ALWAYS AS (public.noted(id)) STORED",
            ["computed", "more"],
        ),
        (
            "i",
            "CREATE INDEX spy ON i (public.noted(id))",
            ["index", "spy"],
        ),
        (
            "p",
            "CREATE INDEX spy_too ON p (id) WHERE public.noted(id) > 0",
            ["index", "spy"],
        ),
        ("h", "CREATE TABLE child () INHERITS (h)", ["inherit", "h"]),
    ] {
        shared.table(name);
        shared.as_mallory(sql);
        let alice = shared.alice();
        assert_eq!(
            rows(&alice, name, true).unwrap(),
            ["1 x"],
            "{name}: reading runs nothing"
        );
        refused(&write(&alice, name, &[(2, "y")]).unwrap_err(), &words);
        refused(
            &block_on(alice.delete(&key(name), None)).unwrap_err(),
            &words,
        );
        assert_eq!(shared.ran(), "", "{name}");
    }
    write(&shared.trusting(), "t", &[(2, "y")]).unwrap();
    assert_eq!(shared.ran(), shared.alice, "what is allowed runs");
}

#[test]
fn types_of_others_are_not_read() {
    let shared = Shared::new("types");
    for (name, sql) in [
        (
            "e",
            "CREATE TYPE mood AS ENUM ('ok'); \
             CREATE FUNCTION shown(mood) RETURNS varchar LANGUAGE plpgsql STRICT AS $$ BEGIN PERFORM public.note(); RETURN 'x'; END $$; \
             CREATE CAST (mood AS varchar) WITH FUNCTION shown(mood); ALTER TABLE e ADD COLUMN mood mood",
        ),
        (
            "d",
            "CREATE DOMAIN noted AS text CHECK (public.note()); ALTER TABLE d ADD COLUMN more noted[]",
        ),
    ] {
        shared.table(name);
        shared.as_mallory(sql);
        let alice = shared.alice();
        refused(&block_on(alice.schema(&key(name))).unwrap_err(), &["type"]);
        refused(&write(&alice, name, &[(2, "y")]).unwrap_err(), &["type"]);
        assert_eq!(shared.ran(), "", "{name}");
        assert_eq!(rows(&shared.trusting(), name, true).unwrap(), ["1 x"]);
    }
}

#[test]
fn no_setting_of_a_role_changes_what_is_read() {
    let shared = Shared::new("settings");
    let (alice, mallory) = (&shared.alice, &shared.mallory);
    let owner = open(&shared.address(mallory));
    write(&owner, "a", &[(1, "x")]).unwrap();
    let extra = "ALTER TABLE a ADD COLUMN f double precision, ADD COLUMN t timestamptz, ADD COLUMN b bytea, ADD COLUMN w interval, \
        ADD COLUMN l varchar[], ADD COLUMN \"Odd\" numeric(10,2), ADD COLUMN u uuid; \
        UPDATE a SET f = 0.1::double precision / 3, t = '2026-01-02 03:04:05+00', b = '\\xff00', w = '1 mon -2 days 3 h', \
        l = ARRAY['NULL', NULL], \"Odd\" = 1.5, u = '00000000-0000-0000-0000-000000000001'";
    shared.as_mallory(&format!("{extra}; GRANT ALL ON a TO {alice}"));
    let everything = |backend: &PostgresBackend| {
        let schema = block_on(backend.schema(&key("a"))).unwrap().unwrap();
        let scan = metaxy_store::plan::Scan {
            table: key("a"),
            feature_version: None,
            as_of: None,
            latest_per: None,
        };
        let plan = metaxy_store::plan::Relation::scan(scan, schema);
        block_on(async { backend.query(plan.into()).await?.collect().await })
            .unwrap()
            .to_batch()
            .unwrap()
    };
    let expected = everything(&shared.alice());
    for setting in [
        "quote_all_identifiers = on",
        "\"DateStyle\" = 'SQL, DMY'",
        "\"IntervalStyle\" = 'sql_standard'",
        "extra_float_digits = -5",
        "bytea_output = 'escape'",
        "\"TimeZone\" = 'Asia/Tokyo'",
        "array_nulls = off",
        "standard_conforming_strings = off",
        "transform_null_equals = on",
        "default_transaction_isolation = 'serializable'",
        "client_encoding = 'LATIN1'",
        "row_security = off",
    ] {
        let set = format!("ALTER ROLE {alice} SET {setting}");
        if let Err(error) = cluster().sql(&shared.url, &set) {
            // A server that knows no such setting, or no such value.
            assert!(error.contains("ERROR"), "{error}");
            continue;
        }
        assert_eq!(everything(&shared.alice()), expected, "{setting}");
        let sql = format!("ALTER ROLE {alice} RESET ALL");
        cluster().sql(&shared.url, &sql).unwrap();
    }
    // The path still says where the tables are.
    cluster().sql(&shared.url, &format!("CREATE SCHEMA own AUTHORIZATION {alice}; ALTER ROLE {alice} SET search_path = missing, own, public")).unwrap();
    write(&shared.alice(), "a", &[(7, "own")]).unwrap();
    let found = cluster().sql(&shared.url, "SELECT note FROM own.a");
    assert_eq!(found.unwrap(), "own");
}

#[test]
fn a_refusal_for_good_is_told_at_once() {
    let (_, url) = store("refusals");
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let name = format!("metaxy_{}_{}", encoding.to_lowercase(), std::process::id());
        let made =
            format!("CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0");
        cluster().sql(&url, &made).unwrap();
        let backend = open(&cluster().url_of(&name));
        for _ in 0..2 {
            let error = block_on(backend.tables()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::CannotOpen, "{error:?}");
            let text = format!("{error} {}", error.hint().unwrap_or_default());
            assert!(text.contains(encoding) && text.contains("UTF8"), "{text}");
            assert!(!text.contains("pool_size"), "{text}");
        }
        drop(backend);
        let _ = cluster().sql(&url, &format!("DROP DATABASE {name} WITH (FORCE)"));
    }
    let missing = open(&cluster().url_of("metaxy_missing"));
    let error = block_on(missing.tables()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CannotOpen, "{error:?}");
    assert!(!error.is_retryable(), "{error:?}");
    assert!(error.to_string().contains("metaxy_missing"), "{error}");
    assert!(
        error.hint().unwrap().contains("create the database"),
        "{error:?}"
    );
    // Somebody may start a server there.
    let nobody = PostgresConfig::new("postgresql://me@127.0.0.1:1/x").unwrap();
    let nobody = nobody.with_connect_timeout(Duration::from_millis(300));
    let error = block_on(nobody.open(Access::Read).tables()).unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
}

#[test]
fn what_a_table_cannot_hold_is_told_with_the_limit() {
    let (backend, url) = store("limits");
    let wide = |columns: usize| {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX]));
        let names = (0..columns).map(|i| (format!("c{i}"), values.clone()));
        let ids = std::iter::once(("id".to_owned(), values.clone()));
        RecordBatch::try_from_iter(ids.chain(names)).unwrap()
    };
    let times = Times::Write(Stamp::AfterAll(1_772_366_400_000_000));
    for columns in [1_100, 1_599, 1_700] {
        let error = block_on(backend.append(vec![
            appended("small", notes(&[(1, "x")]), times),
            appended("wide", wide(columns), times),
        ]))
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidFrame, "{error:?}");
        let text = format!("{error} {}", error.hint().unwrap());
        assert!(text.contains("1600") || text.contains("8,160"), "{text}");
        assert!(text.len() < 700, "{text}");
        for word in ["INSERT", "CREATE", "COPY"] {
            assert!(!text.contains(word), "{text}");
        }
        assert_eq!(
            block_on(backend.tables()).unwrap().len(),
            0,
            "nothing is half written"
        );
    }
    let left = cluster().sql(
        &url,
        "SELECT count(*) FROM pg_class WHERE relname LIKE '%wide%' OR relname = 'small'",
    );
    assert_eq!(left.unwrap(), "0");
    block_on(backend.append(vec![appended("wide", wide(900), times)])).unwrap();
}

#[test]
fn the_driver_tells_neither_statements_nor_parameters() {
    let events = logged();
    let (_, url) = store("quiet");
    let odd = format!("{url}?colour=a-hidden-colour&sslpassword=a-hidden-word");
    let backend = open(&odd);
    write(&backend, "a", &[(1, "a note that nobody logs")]).unwrap();
    assert_eq!(rows(&backend, "a", true).unwrap().len(), 1);
    let events = events.lock().unwrap();
    let hidden = [
        PASSWORD,
        "a-hidden-colour",
        "a-hidden-word",
        "a note that nobody logs",
    ];
    for (_, line) in events.iter() {
        assert!(hidden.iter().all(|word| !line.contains(word)), "{line}");
        if line.starts_with("sqlx") {
            let words = ["SELECT", "INSERT", "COPY", "SET "];
            assert!(words.iter().all(|word| !line.contains(word)), "{line}");
        }
    }
    assert!(
        events.iter().any(|(_, line)| line.contains("colour")),
        "the name is told"
    );
}
