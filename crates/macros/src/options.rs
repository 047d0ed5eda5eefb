//! The small grammar that the attributes share: `name`, `name = value`, `name(…)`.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Ident, LitStr, Token, bracketed, parenthesized};

use crate::key;

/// Reads `option, option, …` to the end; `read` gets each option's name and what follows it.
pub(crate) fn each(
    input: ParseStream<'_>,
    mut read: impl FnMut(&Ident, ParseStream<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    while !input.is_empty() {
        let name = Ident::parse_any(input)?;
        read(&name, input)?;
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok(())
}

/// The error of an option that does not exist, at its name.
pub(crate) fn unknown(name: &Ident, place: &str, known: &[&str]) -> syn::Error {
    let hint = key::hint(&name.to_string(), known.iter().copied());
    syn::Error::new(
        name.span(),
        format!("unknown option `{name}` in {place}{hint}"),
    )
}

/// Sets an option that may be given once.
pub(crate) fn set<T>(slot: &mut Option<T>, name: &Ident, value: T) -> syn::Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(syn::Error::new(
            name.span(),
            format!("`{name}` is given twice"),
        )),
    }
}

/// `= value`
pub(crate) fn value<T: Parse>(input: ParseStream<'_>) -> syn::Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

/// `(item, item, …)`
pub(crate) fn list<T: Parse>(input: ParseStream<'_>) -> syn::Result<Vec<T>> {
    let content;
    parenthesized!(content in input);
    items(&content)
}

/// `item, item, …`
pub(crate) fn items<T: Parse>(content: ParseStream<'_>) -> syn::Result<Vec<T>> {
    Ok(Punctuated::<T, Token![,]>::parse_terminated(content)?
        .into_iter()
        .collect())
}

/// `name = value` or `"any name" = value`.
pub(crate) struct Pair<T> {
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) value: T,
}

impl<T: Parse> Parse for Pair<T> {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let (name, span) = if input.peek(LitStr) {
            let text: LitStr = input.parse()?;
            (text.value(), text.span())
        } else {
            let ident = Ident::parse_any(input)?;
            (ident.unraw().to_string(), ident.span())
        };
        Ok(Self {
            name,
            span,
            value: value(input)?,
        })
    }
}

/// `["a", "b"]`
pub(crate) struct Texts(pub(crate) Vec<LitStr>);

impl Parse for Texts {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let content;
        bracketed!(content in input);
        items(&content).map(Self)
    }
}
