//! The backends that can be seeded and measured.

/// A backend that this program can seed.
pub(super) struct Known {
    /// Its short name, which is also its Cargo feature.
    pub(super) name: &'static str,
    /// The file of the database, or the folder of its tables; `None` for a database on a server.
    pub(super) file: Option<&'static str>,
    /// The option that says where that is.
    pub(super) option: &'static str,
    /// The hash algorithm that the reference's benchmark takes for it.
    pub(super) hash: &'static str,
    /// Whether the reference has it as well.
    pub(super) in_reference: bool,
    /// Whether it is part of this build.
    built: bool,
}

/// Every one, in the order in which they are measured.
static KNOWN: [Known; 4] = [
    Known {
        name: "sqlite",
        file: Some("store.db"),
        option: "database",
        hash: "xxhash32",
        in_reference: false,
        built: cfg!(feature = "sqlite"),
    },
    Known {
        name: "duckdb",
        file: Some("store.duckdb"),
        option: "database",
        hash: "md5",
        in_reference: true,
        built: cfg!(feature = "duckdb"),
    },
    Known {
        name: "delta",
        file: Some("delta"),
        option: "root_path",
        hash: "xxhash32",
        in_reference: true,
        built: cfg!(feature = "delta"),
    },
    Known {
        name: "postgres",
        file: None,
        option: "connection_string",
        hash: "xxhash32",
        in_reference: true,
        built: cfg!(feature = "postgres"),
    },
];

/// Those of the given names; without a name those of this build.
pub(super) fn chosen(names: &[String]) -> Result<Vec<&'static Known>, String> {
    if names.is_empty() {
        return Ok(KNOWN.iter().filter(|known| known.built).collect());
    }
    let one = |name: &String| {
        let found = KNOWN.iter().find(|known| known.name == name);
        found.ok_or_else(|| {
            let known: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
            format!(
                "no store {name:?} can be seeded; known are {}",
                known.join(", ")
            )
        })
    };
    names.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_store_is_named() {
        let why = chosen(&["mysql".to_owned()]).err().unwrap();
        assert_eq!(
            why,
            "no store \"mysql\" can be seeded; known are sqlite, duckdb, delta, postgres"
        );
    }

    #[test]
    fn stores_come_in_the_order_asked_for() {
        let names = ["duckdb", "sqlite"].map(str::to_owned);
        let found: Vec<&str> = chosen(&names).unwrap().iter().map(|k| k.name).collect();
        assert_eq!(found, names);
    }
}
