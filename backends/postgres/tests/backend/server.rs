//! What a server brings with it: names, roles, tables of others, secrets.

use std::sync::Arc;

use crate::support::{appended, cluster, key, notes, open, rows, store, write};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use futures::executor::block_on;
use metaxy_postgres::PostgresConfig;
use metaxy_store::backend::append::{Append, Stamp, Times};
use metaxy_store::backend::maintain::{Maintenance, Prune};
use metaxy_store::expr::col;
use metaxy_store::plan::{Plan, Relation, Scan};
use metaxy_store::{Access, Backend, ErrorKind};

const NOON: i64 = 1_772_366_400_000_000;

#[test]
fn names_are_taken_as_they_are_or_told_apart() {
    let (backend, url) = store("names");
    // A word of SQL, and names that PostgreSQL would cut.
    let long = ["x", "y"].map(|end| format!("{}{end}", "n".repeat(80)));
    for table in ["select", "user", &long[0], &long[1]] {
        write(&backend, table, &[(1, table)]).unwrap();
        assert_eq!(rows(&backend, table, true).unwrap(), [format!("1 {table}")]);
    }
    let cut = cluster()
        .sql(
            &url,
            "SELECT COUNT(*) FROM pg_class WHERE relkind = 'r' AND length(relname) = 63",
        )
        .unwrap();
    assert_eq!(cut, "2", "both long names carry a hash");
    // A column of mixed case, and one that differs in nothing else.
    let texts = |word: &str| -> ArrayRef { Arc::new(StringArray::from(vec![word])) };
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let mixed = RecordBatch::try_from_iter([
        ("id", ids.clone()),
        ("Name", texts("A")),
        ("name", texts("b")),
        ("note", texts("x")),
    ]);
    let times = Times::Write(Stamp::AfterAll(NOON));
    block_on(backend.append(vec![appended("mixed", mixed.unwrap(), times)])).unwrap();
    assert_eq!(rows(&backend, "mixed", true).unwrap(), ["1 x"]);
    for bad in ["ctid", &"ü".repeat(32)] {
        let frame = RecordBatch::try_from_iter([("id", ids.clone()), (bad, texts("x"))]).unwrap();
        let refused = block_on(backend.append(vec![appended("bad", frame, times)])).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidFrame);
        assert!(
            refused.message().contains(bad) && refused.message().contains("bad"),
            "{refused}"
        );
    }
    assert!(block_on(backend.schema(&key("bad"))).unwrap().is_none());
}

#[test]
fn a_role_that_may_only_read_reads_and_is_told_what_to_grant() {
    let (owner, url) = store("rights");
    write(&owner, "a", &[(1, "x")]).unwrap();
    let role = format!("reader_{}", std::process::id());
    let made = format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'correct-horse-battery'; GRANT SELECT ON a TO {role}"
    );
    cluster().sql(&url, &made).unwrap();
    let (_, place) = url.rsplit_once('@').unwrap();
    let reader = open(&format!(
        "postgresql://{role}:correct-horse-battery@{place}"
    ));
    assert_eq!(rows(&reader, "a", true).unwrap(), ["1 x"]);

    let refused = write(&reader, "a", &[(2, "y")]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnly);
    assert!(
        refused.message().contains("INSERT") && refused.message().contains("feature a"),
        "{refused}"
    );
    let hint = refused.hint().unwrap().to_owned();
    assert!(
        hint.starts_with("GRANT SELECT, INSERT ON \"public\".\"a\""),
        "{hint}"
    );

    let refused = write(&reader, "b", &[(2, "y")]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnly);
    assert!(refused.message().contains("CREATE"), "{refused}");
    let refused = block_on(reader.delete(&key("a"), None)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnly);
    assert!(refused.message().contains("DELETE"), "{refused}");
    let refused = block_on(reader.drop_table(&key("a"))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnly);
    assert!(refused.message().contains("does not own"), "{refused}");

    // What was asked for is enough.
    cluster().sql(&url, &hint).unwrap();
    write(&reader, "a", &[(2, "y")]).unwrap();
    assert_eq!(rows(&owner, "a", true).unwrap(), ["1 x", "2 y"]);
    // Another column is the owner's to add.
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![3]));
    let more = RecordBatch::try_from_iter([("id", ids.clone()), ("more", ids)]).unwrap();
    let times = Times::Write(Stamp::AfterAll(NOON));
    let refused = block_on(reader.append(vec![appended("a", more, times)])).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnly);
    assert!(
        refused
            .hint()
            .unwrap()
            .contains("ALTER TABLE \"public\".\"a\" ADD COLUMN \"more\" bigint"),
        "{refused:?}"
    );
    drop(reader);
    cluster()
        .sql(&url, &format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .unwrap();
}

#[test]
fn tables_of_others_are_left_as_they_are() {
    let (backend, url) = store("others");
    cluster().sql(&url, "CREATE TABLE a (id bigint, note text); INSERT INTO a VALUES (1, 'theirs'); CREATE VIEW v AS SELECT * FROM a").unwrap();
    for table in ["a", "v"] {
        let refused = write(&backend, table, &[(2, "ours")]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        assert!(refused.message().contains("is not metaxy's"), "{refused}");
    }
    let refused = block_on(backend.delete(&key("a"), None)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    let refused = block_on(backend.drop_table(&key("a"))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    let refused =
        block_on(backend.prune(&key("a"), &Prune::default().with_id_columns(["id"]))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert_eq!(block_on(backend.tables()).unwrap().len(), 0);
    assert_eq!(
        block_on(backend.maintain(&Maintenance::default()))
            .unwrap()
            .actions
            .len(),
        0
    );
    assert_eq!(cluster().sql(&url, "SELECT * FROM a").unwrap(), "1|theirs");
}

#[test]
fn a_table_of_the_reference_is_read_and_written() {
    let (backend, url) = store("foreign");
    // As the reference declares it, with columns of types that we have no other for.
    cluster().sql(&url, "CREATE TABLE a (id bigint, note varchar, metaxy_provenance_by_field jsonb, metaxy_feature_version varchar, \
         metaxy_updated_at timestamp(6) with time zone, metaxy_deleted_at timestamp(6) with time zone, \
         tags varchar[], price numeric(10,2), token uuid, extra jsonb); \
         INSERT INTO a VALUES (1, 'x', '{\"b\": \"1\", \"longer\": \"2\"}', 'v1', '2026-01-01T00:00:00Z', NULL, '{p,q}', 1.50, \
         '00000000-0000-0000-0000-000000000001', '{\"k\": [1]}'), \
         (2, 'y', '{\"other\": \"3\"}', 'v2', '2026-01-02T00:00:00Z', NULL, NULL, NULL, NULL, NULL)").unwrap();
    let schema = block_on(backend.schema(&key("a"))).unwrap().unwrap();
    let members = |schema: &arrow::datatypes::SchemaRef| match schema
        .field_with_name("metaxy_provenance_by_field")
        .unwrap()
        .data_type()
    {
        DataType::Struct(members) => members.iter().map(|m| m.name().clone()).collect::<Vec<_>>(),
        other => vec![other.to_string()],
    };
    assert_eq!(
        members(&schema),
        ["b", "longer", "other"],
        "of all feature versions"
    );
    assert_eq!(
        schema.field_with_name("price").unwrap().data_type(),
        &DataType::Decimal128(10, 2)
    );
    assert_eq!(
        schema.field_with_name("token").unwrap().data_type(),
        &DataType::Utf8
    );
    assert_eq!(rows(&backend, "a", true).unwrap(), ["1 x", "2 y"]);
    // The types that are read as text can be asked for as such.
    let condition = col("token")
        .eq("00000000-0000-0000-0000-000000000001")
        .bind(&schema)
        .unwrap();
    write(&backend, "a", &[(2, "z"), (3, "z")]).unwrap();
    assert_eq!(rows(&backend, "a", true).unwrap(), ["1 x", "2 z", "3 z"]);
    assert_eq!(
        block_on(backend.delete(&key("a"), Some(&condition))).unwrap(),
        1
    );
    let schema = block_on(backend.schema(&key("a"))).unwrap().unwrap();
    assert!(members(&schema).contains(&"default".to_owned()), "{schema}");
    let indexes = cluster()
        .sql(
            &url,
            "SELECT COUNT(*) FROM pg_indexes WHERE tablename = 'a'",
        )
        .unwrap();
    assert_eq!(indexes, "2", "the owner gives it the indexes");
    // A text that is no token is refused, and nothing is written.
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![9]));
    let token: ArrayRef = Arc::new(StringArray::from(vec!["none"]));
    let frame = RecordBatch::try_from_iter([("id", ids), ("token", token)]).unwrap();
    let times = Times::Write(Stamp::AfterAll(NOON));
    let refused = block_on(backend.append(vec![appended("a", frame, times)])).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidFrame);
    assert_eq!(rows(&backend, "a", true).unwrap(), ["2 z", "3 z"]);
}

#[test]
fn the_later_stored_of_equal_stamps_counts_where_room_is_used_again() {
    let (backend, url) = store("order");
    let keep = |rows: &[(i64, &str)]| {
        let times = Times::Write(Stamp::Exactly(NOON));
        block_on(backend.append(vec![appended("a", notes(rows), times)])).unwrap();
    };
    let many: Vec<(i64, &str)> = (0..5_000).map(|id| (id, "old")).collect();
    keep(&many);
    keep(&[(9_999, "first")]);
    // The room of the first rows is free again.
    let schema = block_on(backend.schema(&key("a"))).unwrap().unwrap();
    let gone = col("id").lt(2_500).bind(&schema).unwrap();
    assert_eq!(
        block_on(backend.delete(&key("a"), Some(&gone))).unwrap(),
        2_500
    );
    cluster().sql(&url, "VACUUM a").unwrap();
    for word in ["second", "third", "a fourth"] {
        keep(&[
            (9_999, word),
            (9_998, "between"),
            (9_999, &format!("{word} again")),
        ]);
        let latest = rows(&backend, "a", true).unwrap();
        assert!(latest.contains(&format!("9999 {word} again")), "{latest:?}");
    }
    let history = rows(&backend, "a", false).unwrap();
    let of_it = history.iter().filter(|row| row.starts_with("9999 "));
    assert_eq!(of_it.count(), 7, "all of its history is there");
}

#[test]
fn nothing_shows_a_secret_where_the_server_refuses() {
    let url = cluster().url();
    let (start, place) = url.rsplit_once('@').unwrap();
    let (user, _) = start.rsplit_once(':').unwrap();
    let wrong = open(&format!("{user}:not-the-password@{place}"));
    let refused = block_on(wrong.tables()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::CannotOpen);
    let shown = format!(
        "{refused:?} {refused} {wrong:?}",
        wrong = PostgresConfig::new(&format!("{user}:not-the-password@{place}")).unwrap()
    );
    assert!(!shown.contains("not-the-password"), "{shown}");
    let nowhere = PostgresConfig::new("postgresql://me:not-the-password@127.0.0.1:1/x").unwrap();
    let nowhere = nowhere
        .with_connect_timeout(std::time::Duration::from_millis(300))
        .open(Access::Read);
    let refused = block_on(nowhere.tables()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Storage);
    assert!(
        !format!("{refused:?}").contains("not-the-password"),
        "{refused:?}"
    );
    assert!(refused.hint().is_some());
}

#[test]
fn several_writers_of_one_moment_are_stamped_one_after_the_other() {
    let (backend, _) = store("stamps");
    let append = |id: i64| -> Append {
        appended(
            "a",
            notes(&[(id, "x")]),
            Times::Write(Stamp::AfterAll(NOON)),
        )
    };
    let all = (0..24).map(|id| backend.append(vec![append(id)]));
    let done = block_on(futures::future::join_all(all));
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert_eq!(rows(&backend, "a", true).unwrap().len(), 24);
}

/// The snapshot of a read may be older than the table that it finds under the name: none of its rows is in it.
#[test]
fn a_table_that_is_made_anew_under_a_read_is_told_as_gone() {
    let (backend, url) = store("anew");
    write(&backend, "a", &[(1, "x")]).unwrap();
    let schema = block_on(backend.schema(&key("a"))).unwrap().unwrap();
    let anew = "BEGIN; LOCK TABLE a IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(2); CREATE TABLE b (LIKE a INCLUDING ALL); \
                INSERT INTO b SELECT * FROM a; DROP TABLE a; ALTER TABLE b RENAME TO a; COMMIT";
    let maker = std::thread::spawn(move || cluster().sql(&url, anew).unwrap());
    std::thread::sleep(std::time::Duration::from_millis(500));
    let read = || {
        let plan = Plan::from(Relation::scan(Scan::all(key("a")), schema.clone()));
        block_on(async { backend.query(plan).await?.collect().await })
    };
    let gone = read().unwrap_err();
    maker.join().unwrap();
    assert_eq!(gone.kind(), ErrorKind::TableNotFound, "{gone}");
    assert_eq!(read().unwrap().num_rows(), 1);
}
