//! Configuration: where settings come from, which wins, and what they mean (`semantics.md` §7, §9).

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml covers #[test] functions only

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use metaxy_store::ErrorKind;
use metaxy_store::backend::Access;
use metaxy_store::config::{
    Config, ConfigLoader, ConfigOverrides, Environment, Origin, StoreConfig, StoreOptions,
    VersioningEngine,
};
use tempfile::TempDir;

struct Project(TempDir);

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    fn loader(&self, from: &str) -> ConfigLoader {
        ConfigLoader::new()
            .with_start_dir(self.path(from))
            .with_environment(Environment::empty())
    }

    fn load(&self, variables: &[(&str, &str)]) -> Config {
        self.loader("")
            .with_environment(variables.iter().copied().collect())
            .load()
            .unwrap()
    }
}

fn one(text: &str) -> Config {
    Project::new(&[("metaxy.toml", text)]).load(&[])
}

fn names(chain: &[&StoreConfig]) -> Vec<String> {
    chain.iter().map(|store| store.name().to_owned()).collect()
}

#[test]
fn nothing_given_means_defaults() {
    let config = ConfigLoader::new()
        .without_file()
        .with_environment(Environment::empty())
        .load()
        .unwrap();
    assert_eq!(config.project(), None);
    assert_eq!(config.default_store(), "dev");
    assert_eq!(config.hash_truncation_length(), 8);
    assert_eq!(config.auto_create_tables(), None);
    assert_eq!(config.locked(), None);
    assert!(config.sync());
    assert!(!config.enable_map_datatype());
    assert!(config.features().is_empty() && config.extra_features().is_empty());
    assert_eq!(config.lock_file(), None);
    assert_eq!(config.origin("sync"), Some(&Origin::Default));
    assert_eq!(config.origin("nonsense"), None);
    let error = config.store("dev").unwrap_err();
    assert!(error.hint().unwrap().contains("metaxy init"), "{error:?}");
}

#[test]
fn files_are_found_upwards() {
    let project = Project::new(&[
        ("metaxy.toml", "project = 'outer'"),
        ("a/pyproject.toml", "[tool.metaxy]\nproject = 'python'"),
        ("a/b/pyproject.toml", "[tool.other]\nx = 1"),
        ("c/metaxy.toml", "project = 'own'"),
        ("c/pyproject.toml", "[tool.metaxy]\nproject = 'python'"),
        ("d/e/readme", ""),
    ]);
    let found = |from: &str| project.loader(from).load().unwrap();
    assert_eq!(found("").project(), Some("outer"));
    assert_eq!(found("a/b").project(), Some("python"));
    assert_eq!(found("c").project(), Some("own"));
    assert_eq!(found("d/e").project(), Some("outer"));
    assert_eq!(
        found("d/e").file(),
        Some(project.path("metaxy.toml").as_path())
    );
    assert_eq!(found("d/e").lock_file(), Some(project.path("metaxy.lock")));
}

#[test]
fn explicit_file_then_variable_then_discovery() {
    let project = Project::new(&[
        ("metaxy.toml", "project = 'found'"),
        ("x.toml", "project = 'variable'"),
        ("y.toml", "project = 'explicit'"),
    ]);
    let variables = Environment::from_iter([("METAXY_CONFIG", "x.toml")]);
    let loader = project.loader("").with_environment(variables);
    assert_eq!(loader.clone().load().unwrap().project(), Some("variable"));
    let explicit = loader.with_file("y.toml").load().unwrap();
    assert_eq!(explicit.project(), Some("explicit"));
    assert_eq!(
        project.load(&[("METAXY_CONFIG", "")]).project(),
        Some("found")
    );
}

#[test]
fn golden_stores_load() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/golden/stores");
    let mut seen = 0;
    for entry in fs::read_dir(golden).unwrap() {
        let file = entry.unwrap().path().join("metaxy.toml");
        if !file.is_file() {
            continue;
        }
        let config = ConfigLoader::new()
            .with_file(file)
            .with_environment(Environment::empty())
            .load()
            .unwrap();
        let (common, mut options) = config
            .store(config.default_store())
            .unwrap()
            .split()
            .unwrap();
        assert!(common.hash_algorithm.is_some());
        options.string("root_path").unwrap();
        let layout = options.opt_choice("layout", &["nested", "flat"]).unwrap();
        assert!(layout.is_some());
        options.finish().unwrap();
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn every_key_is_read() {
    let config = one(r#"
        project = "demo-1"
        store = "main"
        hash_truncation_length = 20
        auto_create_tables = false
        features = ["features/*.toml"]
        metaxy_lock_path = "locks/my.lock"
        locked = true
        sync = false
        enable_map_datatype = true
        entrypoints = ["some.python"]
        theme = "${NOT_LOOKED_AT}"
        [[extra_features]]
        projects = ["other"]
        keys = ["a/b", ["c", "d"]]
        [[extra_features]]
        all = true
        [ext.sqlmodel]
        enable = true
        [stores.main]
        type = "sqlite"
    "#);
    assert_eq!(config.project(), Some("demo-1"));
    assert_eq!(config.default_store(), "main");
    assert_eq!(config.hash_truncation_length(), 20);
    assert_eq!(config.auto_create_tables(), Some(false));
    assert_eq!(config.features()[0].pattern(), "features/*.toml");
    assert!(config.lock_file().unwrap().ends_with("locks/my.lock"));
    assert_eq!(config.locked(), Some(true));
    assert!(!config.sync());
    assert!(config.enable_map_datatype());
    let [first, second] = config.extra_features() else {
        panic!("{:?}", config.extra_features())
    };
    assert_eq!(first.projects, ["other"]);
    assert_eq!(
        first.keys.iter().map(|k| k.as_str()).collect::<Vec<_>>(),
        ["a/b", "c/d"]
    );
    assert!(!first.all && second.all);
    assert_eq!(config.origin("theme"), None);
}

#[test]
fn options_beside_the_type_or_below_config() {
    let config = one(r#"
        [stores.a]
        type = "sqlite"
        database = "a.db"
        [stores.b]
        type = "duckdb"
        [stores.b.config]
        database = "b.db"
        config = { threads = "4" }
    "#);
    for name in ["a", "b"] {
        let (_, mut options) = config.store(name).unwrap().split().unwrap();
        assert_eq!(options.string("database").unwrap(), format!("{name}.db"));
        let settings = options.opt_string_map("config").unwrap();
        assert_eq!(settings.is_some(), name == "b");
        options.finish().unwrap();
        let path = format!("stores.{name}.database");
        assert!(config.origin(&path).unwrap().file().is_some());
    }
}

/// An engine's settings stand in an option called `config`, which is also the table that options may stand in.
#[test]
fn settings_of_an_engine_below_config() {
    let settings = |text: &str| {
        let config = one(text);
        let (_, mut options) = config.store("dev").unwrap().split().unwrap();
        options.string("database").unwrap();
        let settings = options.engine_settings();
        settings.map(|settings| (settings, options.finish()))
    };
    for text in [
        "[stores.dev]\ntype = 'duckdb'\ndatabase = 'a'\nconfig = { threads = 4 }",
        "[stores.dev]\ntype = 'duckdb'\nconfig = { database = 'a', threads = 4 }",
        "[stores.dev]\ntype = 'duckdb'\n[stores.dev.config]\ndatabase = 'a'\nconfig = { threads = 4 }",
    ] {
        let (settings, finished) = settings(text).unwrap();
        assert_eq!(settings.to_string(), "threads = 4\n", "{text}");
        finished.unwrap();
    }
    // What stands beside the type is an option, and an unknown one is refused.
    let text = "[stores.dev]\ntype = 'duckdb'\ndatabase = 'a'\nthreads = 4";
    let (settings_beside, finished) = settings(text).unwrap();
    assert!(settings_beside.is_empty());
    assert!(finished.unwrap_err().to_string().contains("`threads`"));
    let twice = "[stores.dev]\ntype = 'duckdb'\ndatabase = 'a'\n[stores.dev.config]\nthreads = 1\nconfig = { threads = 2 }";
    let error = settings(twice).unwrap_err().to_string();
    assert!(
        error.contains("`threads`") && error.contains("twice"),
        "{error}"
    );
}

#[test]
fn variables_override_files_and_arguments_override_both() {
    let text = "
        project = 'file'
        store = 'file'
        [stores.Dev]
        type = 'delta'
        root_path = 'file'
        layout = 'flat'
        [stores.Dev.config.storage_options]
        AWS_REGION = 'file'
        other = 'file'
    ";
    let project = Project::new(&[("metaxy.toml", text)]);
    let loader = project.loader("").with_environment(Environment::from_iter([
        ("METAXY_PROJECT", "variable"),
        ("METAXY_STORE", "variable"),
        ("METAXY_HASH_TRUNCATION_LENGTH", "16"),
        ("METAXY_LOCKED", "yes"),
        ("METAXY_FEATURES", r#"["x/*.toml"]"#),
        ("METAXY_EXTRA_FEATURES", r#"[{"all": true}]"#),
        ("METAXY_STORES__DEV__CONFIG__ROOT_PATH", "variable"),
        (
            "METAXY_STORES__DEV__CONFIG__STORAGE_OPTIONS__AWS_REGION",
            "variable",
        ),
        ("METAXY_STORES__NEW__TYPE", "sqlite"),
        (
            "METAXY_STORES__NEW__CONFIG",
            r#"{"database": "json", "n": 1}"#,
        ),
        ("METAXY_STORES__NEW__CONFIG__N", "2"),
        ("METAXY_STORES__NEW__FALLBACK_STORES", r#"["Dev"]"#),
        ("METAXY_ENTRYPOINT_X", "ignored"),
        ("METAXY_TEST_POSTGRES_URL", "ignored"),
    ]));
    let overrides = ConfigOverrides::new()
        .with_project("argument")
        .with_store_option("Dev", "layout", "nested");
    let config = loader.with_overrides(overrides).load().unwrap();
    assert_eq!(config.project(), Some("argument"));
    assert_eq!(config.default_store(), "variable");
    assert_eq!(config.hash_truncation_length(), 16);
    assert_eq!(config.locked(), Some(true));
    assert_eq!(config.features()[0].base_dir(), project.path("").as_path());
    assert!(config.extra_features()[0].all);

    let (_, mut dev) = config.store("Dev").unwrap().split().unwrap();
    assert_eq!(dev.string("root_path").unwrap(), "variable");
    assert_eq!(dev.string("layout").unwrap(), "nested");
    let storage = dev.opt_string_map("storage_options").unwrap().unwrap();
    assert_eq!(storage["AWS_REGION"], "variable");
    assert_eq!(storage["other"], "file");

    assert_eq!(names(&config.chain("new").unwrap()), ["new", "Dev"]);
    let (_, mut new) = config.store("new").unwrap().split().unwrap();
    assert_eq!(new.string("database").unwrap(), "json");
    assert_eq!(new.opt_u64("n").unwrap(), Some(2));

    let origin = |path: &str| config.origin(path).unwrap().to_string();
    assert_eq!(origin("project"), "argument");
    assert_eq!(origin("store"), "environment variable METAXY_STORE");
    assert_eq!(
        origin("stores.Dev.root_path"),
        "environment variable METAXY_STORES__DEV__CONFIG__ROOT_PATH"
    );
    assert_eq!(origin("stores.Dev.layout"), "argument");
    assert!(origin("stores.Dev.type").ends_with("metaxy.toml"));
    assert_eq!(origin("sync"), "default");
    assert_eq!(
        origin("stores"),
        "argument",
        "the last source that touched it"
    );
}

#[test]
fn a_store_that_only_variables_mention_needs_a_type() {
    let project = Project::new(&[("metaxy.toml", "[stores.dev]\ntype = 'sqlite'")]);
    let config = project.load(&[("METAXY_STORES__PROD__CONFIG__CONNECTION_STRING", "x")]);
    assert_eq!(
        config.stores().map(StoreConfig::name).collect::<Vec<_>>(),
        ["dev"]
    );
    let config = project.load(&[
        ("METAXY_STORES__PROD__CONFIG__CONNECTION_STRING", "x"),
        ("METAXY_STORES__PROD__TYPE", "postgres"),
    ]);
    assert_eq!(config.store("prod").unwrap().type_path(), "postgres");
}

#[test]
fn a_store_given_as_an_argument_replaces_the_configured_one() {
    let text = "[stores.dev]\ntype = 'delta'\nroot_path = 'x'";
    let project = Project::new(&[("metaxy.toml", text)]);
    let options = toml::toml! { config = { database = "y" } };
    let overrides = ConfigOverrides::new().with_store("dev", "sqlite", options);
    let config = project.loader("").with_overrides(overrides).load().unwrap();
    let store = config.store("dev").unwrap();
    assert_eq!(store.type_path(), "sqlite");
    assert_eq!(store.options(), toml::toml! { database = "y" });
    assert_eq!(store.base_dir(), None);
}

#[test]
fn references_to_variables_are_replaced() {
    let text = r#"
        project = "${NAME}-${WHO:-me}"
        [stores.dev]
        type = "delta"
        root_path = "${HOME}/.metaxy/${EMPTY:-not used}$HOME ${} ${A:?b} ${unclosed"
        fallback_stores = ["${NAME}"]
        table = { inner = ["${NAME}"] }
        [stores."${NAME}"]
        type = "sqlite"
    "#;
    let project = Project::new(&[("metaxy.toml", text)]);
    let config = project.load(&[
        ("NAME", "demo"),
        ("HOME", "/home/${NAME}"),
        ("EMPTY", ""),
        ("METAXY_STORES__DEV__RAW", "${NAME}"),
    ]);
    assert_eq!(config.project(), Some("demo-me"));
    let store = config.settings_of("dev");
    assert_eq!(
        store["root_path"].as_str().unwrap(),
        "/home/${NAME}/.metaxy/$HOME ${} ${A:?b} ${unclosed"
    );
    assert_eq!(store["table"]["inner"][0].as_str(), Some("demo"));
    assert_eq!(
        store["raw"].as_str(),
        Some("${NAME}"),
        "only files have references"
    );
    assert_eq!(config.store("dev").unwrap().fallback_stores(), ["demo"]);
}

trait Options {
    fn settings_of(&self, store: &str) -> toml::Table;
}

impl Options for Config {
    fn settings_of(&self, store: &str) -> toml::Table {
        self.store(store).unwrap().options()
    }
}

#[test]
fn a_variable_that_another_store_needs_may_be_unset() {
    let text = r#"
        [stores.dev]
        type = "sqlite"
        [stores.prod]
        type = "postgres"
        connection_string = "${PROD_URL}"
        [stores.both]
        type = "sqlite"
        fallback_stores = ["prod"]
    "#;
    let project = Project::new(&[("metaxy.toml", text)]);
    let config = project.load(&[]);
    config.chain("dev").unwrap();
    for error in [
        config.store("prod").unwrap_err(),
        config.chain("both").unwrap_err(),
        config.check().unwrap_err(),
    ] {
        let text = error.to_string();
        for culprit in ["PROD_URL", "stores.prod.connection_string", "metaxy.toml"] {
            assert!(text.contains(culprit), "{text}");
        }
    }
    project.load(&[("PROD_URL", "x")]).check().unwrap();
}

#[test]
fn a_file_extends_another() {
    let project = Project::new(&[
        (
            "base.toml",
            "
            project = 'base'
            sync = false
            features = ['base/*.toml']
            [stores.dev]
            type = 'delta'
            root_path = 'base'
            layout = 'flat'
            fallback_stores = ['a']
            [stores.kept]
            type = 'sqlite'
            [stores.anew]
            type = 'delta'
            root_path = 'base'
            ",
        ),
        ("mid/mid.toml", "extend = '../base.toml'\nlocked = true"),
        (
            "app/metaxy.toml",
            "
            extend = '${MID:-../mid/mid.toml}'
            project = 'app'
            features = ['own/*.toml']
            [stores.dev.config]
            root_path = 'app'
            fallback_stores = ['b']
            [stores.anew]
            type = 'sqlite'
            database = 'app'
            ",
        ),
        ("base/b.toml", ""),
        ("base/a.toml", ""),
        ("app/own/c.toml", ""),
    ]);
    let config = project.loader("app").load().unwrap();
    assert_eq!(config.project(), Some("app"));
    assert_eq!(config.locked(), Some(true));
    assert!(!config.sync());
    assert_eq!(
        config.settings_of("dev"),
        toml::toml! { root_path = "app" layout = "flat" }
    );
    assert_eq!(config.store("dev").unwrap().fallback_stores(), ["a", "b"]);
    assert_eq!(config.settings_of("anew"), toml::toml! { database = "app" });
    assert_eq!(config.store("kept").unwrap().type_path(), "sqlite");
    assert_eq!(
        config.store("dev").unwrap().base_dir(),
        Some(project.path("").as_path())
    );
    let expected = ["app/metaxy.toml", "mid/mid.toml", "base.toml"].map(|f| project.path(f));
    assert_eq!(config.files().collect::<Vec<_>>(), expected);
    let expected = ["base/a.toml", "base/b.toml", "app/own/c.toml"].map(|f| project.path(f));
    assert_eq!(config.feature_files().unwrap(), expected);
    let base = Origin::File(project.path("base.toml").into());
    assert_eq!(config.origin("stores.dev.layout"), Some(&base));
}

#[test]
fn chains_are_depth_first_and_name_each_store_once() {
    let config = one("
        [stores]
        a = { type = 't', fallback_stores = ['b', 'c'] }
        b = { type = 't', config = { fallback_stores = ['d'] } }
        c = { type = 't', fallback_stores = ['d', 'e'] }
        d = { type = 't' }
        e = { type = 't' }
    ");
    assert_eq!(
        names(&config.chain("a").unwrap()),
        ["a", "b", "d", "c", "e"]
    );
    assert_eq!(names(&config.chain("d").unwrap()), ["d"]);
}

#[test]
fn a_long_chain_does_not_exhaust_the_stack() {
    let mut text = String::new();
    for i in 0..5000 {
        text += &format!(
            "[stores.s{i}]\ntype = 't'\nfallback_stores = ['s{}']\n",
            i + 1
        );
    }
    let config = one(&(text + "[stores.s5000]\ntype = 't'"));
    assert_eq!(config.chain("s0").unwrap().len(), 5001);
}

#[test]
fn secrets_are_masked() {
    let config = one(r#"
        [stores.dev]
        type = "postgres"
        connection_string = "hidden-1"
        database = "postgres://me:hidden-2@host/db"
        password = "hidden-3"
        attach = "md:db?motherduck_token=hidden-4&mode=ro"
        table_prefix = "shown_"
        storage_options = { region = "hidden-5" }
        [stores.dev.config.connection_params]
        port = 123456
    "#);
    let store = config.store("dev").unwrap();
    let (_, options) = store.split().unwrap();
    let request = config.open_request(store, Access::Read).unwrap();
    let entries: Vec<_> = config.entries().collect();
    for text in [
        format!("{config:?}"),
        format!("{store:?}"),
        format!("{options:?}"),
        format!("{request:#?}"),
        format!("{entries:?}"),
    ] {
        assert!(!text.contains("hidden"), "{text}");
        assert!(!text.contains("123456"), "{text}");
        assert!(text.contains("shown_"), "{text}");
        assert!(text.contains("mode=ro"), "{text}");
    }
}

#[test]
fn broken_toml_is_not_quoted() {
    let project = Project::new(&[("metaxy.toml", "project = 'x'\npassword = 'hidden")]);
    let error = project.loader("").load().unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(
        text.contains("line 2") && text.contains("metaxy.toml"),
        "{text}"
    );
    assert!(!text.contains("hidden"), "{text}");
}

#[test]
fn common_options_and_open_requests() {
    let text = "
        auto_create_tables = false
        [stores.dev]
        type = 'sqlite'
        database = 'x'
        hash_algorithm = 'sha256'
        versioning_engine = 'native'
        materialization_id = 'run-1'
        [stores.other]
        type = 'sqlite'
        auto_create_tables = true
    ";
    let project = Project::new(&[("metaxy.toml", text)]);
    let config = project.load(&[]);
    let dev = config
        .open_request(config.store("dev").unwrap(), Access::Write)
        .unwrap();
    assert_eq!(dev.store_name, "dev");
    assert_eq!(dev.access, Access::Write);
    assert_eq!(dev.common.hash_algorithm.as_deref(), Some("sha256"));
    assert_eq!(dev.common.versioning_engine, VersioningEngine::Native);
    assert_eq!(dev.common.materialization_id.as_deref(), Some("run-1"));
    assert_eq!(dev.base_dir, Some(project.path("")));
    assert!(!dev.auto_create_tables());
    let other = config.store("other").unwrap();
    assert!(
        config
            .open_request(other, Access::Read)
            .unwrap()
            .auto_create_tables()
    );
    let plain = StoreConfig::new("x", "sqlite", toml::Table::new()).unwrap();
    let config = one("");
    assert!(
        config
            .open_request(&plain, Access::Read)
            .unwrap()
            .auto_create_tables()
    );
}

#[test]
fn options_are_read_by_type() {
    let table = toml::toml! {
        text = "t"
        flag = true
        flag_text = "off"
        number = 7
        number_text = "8"
        seconds = 3
        half = 0.5
        timed = "250ms"
        minutes = "2m"
        word = "flat"
        list = ["a", "b"]
        list_json = "[\"c\"]"
        single = "d"
        map = { a = "x", b = 1, c = true }
        map_json = "{\"k\": \"v\", \"n\": null}"
        odd = [1]
        backend = "postgres"
    };
    let mut options = StoreOptions::new("dev", table);
    assert_eq!(options.string("text").unwrap(), "t");
    assert_eq!(options.opt_bool("flag").unwrap(), Some(true));
    assert_eq!(options.opt_bool("flag_text").unwrap(), Some(false));
    assert_eq!(options.opt_bool("absent").unwrap(), None);
    assert_eq!(options.opt_u64("number").unwrap(), Some(7));
    assert_eq!(options.opt_u64("number_text").unwrap(), Some(8));
    for (name, millis) in [
        ("seconds", 3000),
        ("half", 500),
        ("timed", 250),
        ("minutes", 120_000),
    ] {
        let expected = Some(Duration::from_millis(millis));
        assert_eq!(options.opt_duration(name).unwrap(), expected, "{name}");
    }
    assert_eq!(
        options.opt_choice("word", &["nested", "flat"]).unwrap(),
        Some("flat")
    );
    assert_eq!(
        options.opt_string_list("list").unwrap().unwrap(),
        ["a", "b"]
    );
    assert_eq!(
        options.opt_string_list("list_json").unwrap().unwrap(),
        ["c"]
    );
    assert_eq!(options.opt_string_list("single").unwrap().unwrap(), ["d"]);
    let map = options.opt_string_map("map").unwrap().unwrap();
    assert_eq!(map.values().collect::<Vec<_>>(), ["x", "1", "true"]);
    assert_eq!(
        options.opt_table("map_json").unwrap(),
        Some(toml::toml! { k = "v" })
    );
    assert!(options.opt_value("odd").is_some());
    options.ignore(&["backend"]);
    options.finish().unwrap();
}

#[test]
fn misfits_name_store_option_expected_and_found() {
    let misfit = |table: toml::Table, read: fn(&mut StoreOptions) -> metaxy_store::Result<()>| {
        let mut options = StoreOptions::new("dev", table);
        let error = read(&mut options)
            .and_then(|()| options.finish())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        format!("{error} | {}", error.hint().unwrap_or_default())
    };
    let cases = [
        (
            misfit(toml::toml! { x = 1 }, |o| o.string("x").map(drop)),
            "a string, found an integer (1)",
        ),
        (
            misfit(toml::toml! { x = "si" }, |o| o.opt_bool("x").map(drop)),
            "a boolean, found \"si\"",
        ),
        (
            misfit(toml::toml! { x = (-1) }, |o| o.opt_u64("x").map(drop)),
            "found an integer (-1)",
        ),
        (
            misfit(toml::toml! { x = "3 weeks" }, |o| {
                o.opt_duration("x").map(drop)
            }),
            "\"3 weeks\"",
        ),
        (
            misfit(toml::toml! { x = (-3) }, |o| o.opt_duration("x").map(drop)),
            "a duration",
        ),
        (
            misfit(toml::toml! { x = [1] }, |o| {
                o.opt_string_list("x").map(drop)
            }),
            "a list of strings",
        ),
        (
            misfit(toml::toml! { x = "y" }, |o| o.opt_table("x").map(drop)),
            "a table, found \"y\"",
        ),
        (
            misfit(toml::toml! { x = { k = [] } }, |o| {
                o.opt_string_map("x").map(drop)
            }),
            "`k` is an array",
        ),
        (
            misfit(toml::toml! { x = "nestd" }, |o| {
                o.opt_choice("x", &["nested", "flat"]).map(drop)
            }),
            "did you mean \"nested\"?",
        ),
        (
            misfit(toml::Table::new(), |o| o.string("x").map(drop)),
            "needs the option `x`",
        ),
    ];
    for (text, expected) in cases {
        assert!(text.contains("`dev`") && text.contains("`x`"), "{text}");
        assert!(text.contains(expected), "{text} should say {expected}");
    }
    let typo = |o: &mut StoreOptions| o.opt_string("database").map(drop);
    let text = misfit(toml::toml! { databse = "x" }, typo);
    assert!(
        text.contains("`databse`") && text.contains("`database`"),
        "{text}"
    );
    let text = misfit(toml::toml! { databse = "x" }, |o| {
        o.string("database").map(drop)
    });
    assert!(
        text.contains("`databse`") && text.contains("`database`"),
        "{text}"
    );
    let text = misfit(toml::toml! { hash_algoritm = "x" }, typo);
    assert!(text.contains("`hash_algorithm`"), "{text}");
    let text = misfit(toml::toml! { password = 4711 }, |o| {
        o.string("password").map(drop)
    });
    assert!(
        text.contains("found an integer") && !text.contains("4711"),
        "{text}"
    );
}
