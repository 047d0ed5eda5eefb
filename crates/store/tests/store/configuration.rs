//! The options that the configuration reference lists are those that the stores take.

use std::collections::BTreeSet;

use metaxy_store::backend::registry::{Descriptor, OpenRequest, Registry};
use metaxy_store::config::{CommonStoreOptions, OptionDoc, REQUIRED, StoreOptions};
use metaxy_store::{Access, ErrorKind};

/// What a store says of an option that it does not know: the names of those that it knows.
fn taken_by(backend: &Descriptor) -> BTreeSet<String> {
    // What has to be there, in a form that every backend accepts.
    let mut options = toml::Table::new();
    for required in ["database", "root_path"] {
        if backend.options.iter().any(|o| o.name == required) {
            options.insert(required.into(), "somewhere".into());
        }
    }
    if backend
        .options
        .iter()
        .any(|o| o.name == "connection_string")
    {
        let address = "postgresql://localhost/somewhere";
        options.insert("connection_string".into(), address.into());
    }
    options.insert("zzzzzzzzzzzz".into(), 1.into());
    let request = OpenRequest::new(StoreOptions::new("it", options), Access::Read);
    let error = (backend.open)(request).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    let hint = error.hint().unwrap();
    let names = hint.strip_prefix("its options are ").unwrap();
    names.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_reference_lists_what_each_store_takes() {
    let registry = Registry::linked().unwrap();
    let mut backends = 0;
    for backend in registry.iter() {
        let listed: BTreeSet<String> = backend
            .options
            .iter()
            .chain(CommonStoreOptions::DOCS)
            .map(|option| option.name.to_owned())
            .collect();
        assert_eq!(listed, taken_by(backend), "{}", backend.name);
        backends += 1;
    }
    assert!(backends > 0, "no store is in this build");
}

#[test]
fn what_is_listed_as_required_is_asked_for() {
    for backend in Registry::linked().unwrap().iter() {
        let required: Vec<&OptionDoc> = backend
            .options
            .iter()
            .filter(|option| option.default.starts_with(REQUIRED))
            .collect();
        assert!(!required.is_empty(), "{}", backend.name);
        let options = StoreOptions::new("it", toml::Table::new());
        let error = (backend.open)(OpenRequest::new(options, Access::Read));
        let error = error.err().unwrap().to_string();
        for option in required {
            assert!(error.contains(option.name), "{}: {error}", backend.name);
        }
    }
}
