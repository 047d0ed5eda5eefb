//! What one struct can get wrong, each error at the words at fault.

use std::collections::{BTreeMap, HashMap};

use proc_macro2::Span;
use syn::LitStr;

use crate::attributes::{Dep, Feature, Field, FieldDeps, Mapping};
use crate::columns::Column;
use crate::key;

/// What the names of system columns start with.
const SYSTEM_PREFIX: &str = "metaxy_";

/// All errors of a feature at once.
pub(crate) fn feature(feature: &Feature) -> syn::Result<()> {
    let mut errors = Errors(None);
    errors.take(key::check(&feature.key, "feature key"));
    columns(&feature.columns, &mut errors);
    ids(feature, &mut errors);
    let mut metadata = HashMap::new();
    for pair in &feature.metadata {
        if metadata.insert(&pair.name, ()).is_some() {
            errors.at(pair.span, format!("`{}` is given twice", pair.name));
        }
    }
    deps(feature, &mut errors);
    fields(feature, &mut errors);
    errors.0.map_or(Ok(()), Err)
}

fn columns(columns: &[Column], errors: &mut Errors) {
    for column in columns {
        if column.name.is_empty() {
            errors.at(column.span, "the column has no name");
        } else if column.name.starts_with(SYSTEM_PREFIX) {
            errors.at(
                column.span,
                format!(
                    "`{}` would be a system column\nhint: names that start with `{SYSTEM_PREFIX}` belong to the system; the versions of a sample travel in `Sample`",
                    column.name
                ),
            );
        }
    }
}

fn ids(feature: &Feature, errors: &mut Errors) {
    if feature.ids.is_empty() {
        errors.at(
            feature.key.span(),
            format!(
                "feature `{}` has no ID columns\nhint: mark the members that identify a sample with `#[metaxy(id)]`, or name them: `#[metaxy(id = \"column\")]`",
                feature.key.value()
            ),
        );
    }
    let mut seen = HashMap::new();
    for id in &feature.ids {
        let name = id.value();
        match feature.columns.iter().find(|column| column.name == name) {
            None => errors.at(
                id.span(),
                format!(
                    "ID column `{name}` is no member of the struct{}",
                    key::hint(&name, feature.columns.iter().map(|c| c.name.as_str()))
                ),
            ),
            Some(column) if column.is_option() => errors.at(
                id.span(),
                format!("ID column `{name}` may be null\nhint: every sample has its IDs: take the `Option` away"),
            ),
            Some(_) => {}
        }
        if seen.insert(name.clone(), ()).is_some() {
            errors.at(id.span(), format!("ID column `{name}` is named twice"));
        }
    }
}

fn deps(feature: &Feature, errors: &mut Errors) {
    let mut seen = HashMap::new();
    for dep in &feature.deps {
        let upstream = dep.feature.value();
        errors.take(key::check(&dep.feature, "feature key"));
        if upstream == feature.key.value() {
            errors.at(
                dep.feature.span(),
                format!("feature `{upstream}` depends on itself"),
            );
        }
        if seen.insert(upstream.clone(), ()).is_some() {
            errors.at(
                dep.feature.span(),
                format!("`{upstream}` is an upstream already\nhint: put what you need of it into one `#[dep]`"),
            );
        }
        names(dep, errors);
        match &dep.fields_mapping {
            Some(Mapping::Default { exclude_fields, .. }) => field_keys(exclude_fields, errors),
            Some(Mapping::Specific(pairs)) => {
                for (field, upstream) in pairs {
                    field_keys(std::slice::from_ref(field), errors);
                    field_keys(&upstream.0, errors);
                }
            }
            _ => {}
        }
    }
}

/// Renames, and the names that must be the new ones.
fn names(dep: &Dep, errors: &mut Errors) {
    let mut new_names = BTreeMap::new();
    let mut old_names = BTreeMap::new();
    for pair in dep.rename.iter().flatten() {
        let new = pair.value.value();
        if old_names.insert(pair.name.as_str(), new.clone()).is_some() {
            errors.at(pair.span, format!("`{}` is renamed twice", pair.name));
        }
        if new_names.insert(new.clone(), ()).is_some() {
            errors.at(
                pair.value.span(),
                format!("two columns are renamed to `{new}`"),
            );
        }
    }
    for name in dep.select.iter().flatten() {
        let text = name.value();
        if let Some(new) = old_names.get(text.as_str())
            && !new_names.contains_key(&text)
        {
            errors.at(
                name.span(),
                format!(
                    "`{text}` is renamed to `{new}`\nhint: renames come first: use the new name"
                ),
            );
        }
    }
}

fn fields(feature: &Feature, errors: &mut Errors) {
    let mut seen: HashMap<String, String> = HashMap::new();
    for field in &feature.fields {
        let name = field.key.value();
        errors.take(key::check(&field.key, "field key"));
        match seen.insert(name.replace('/', "_"), name.clone()) {
            Some(other) if other == name => errors.at(
                field.key.span(),
                format!("field `{name}` is defined twice\nhint: remove one"),
            ),
            Some(other) => errors.at(
                field.key.span(),
                format!(
                    "fields `{other}` and `{name}` are both stored as `{}`\nhint: rename one: `/` and `_` are the same in stored columns",
                    name.replace('/', "_")
                ),
            ),
            None => {}
        }
        field_deps(feature, field, errors);
    }
}

fn field_deps(feature: &Feature, field: &Field, errors: &mut Errors) {
    let Some(FieldDeps::List(deps)) = &field.deps else {
        return;
    };
    for dep in deps {
        let upstream = dep.feature.value();
        if !feature.deps.iter().any(|d| d.feature.value() == upstream) {
            let known: Vec<String> = feature.deps.iter().map(|d| d.feature.value()).collect();
            let hint = match known.is_empty() {
                true => format!("\nhint: add `#[dep(\"{upstream}\")]`"),
                false => key::hint(&upstream, known.iter().map(String::as_str)),
            };
            errors.at(
                dep.feature.span(),
                format!(
                    "field `{}` depends on `{upstream}`, which is not an upstream of the feature{hint}",
                    field.key.value()
                ),
            );
        }
        field_keys(dep.fields.iter().flat_map(|fields| &fields.0), errors);
    }
}

fn field_keys<'a>(keys: impl IntoIterator<Item = &'a LitStr>, errors: &mut Errors) {
    for text in keys {
        errors.take(key::check(text, "field key"));
    }
}

/// Errors that are shown together.
struct Errors(Option<syn::Error>);

impl Errors {
    fn at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.take(Err(syn::Error::new(span, message)));
    }

    fn take(&mut self, result: syn::Result<()>) {
        if let Err(error) = result {
            match &mut self.0 {
                Some(errors) => errors.combine(error),
                none => *none = Some(error),
            }
        }
    }
}
