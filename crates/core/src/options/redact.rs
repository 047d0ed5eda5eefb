//! Keeping secrets out of logs, errors and `Debug`.

use std::borrow::Cow;

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// Shorter texts are not looked for in messages: they would hide what is none of them.
pub const HIDDEN: usize = 4;

/// `value` as it may be shown under `key`, which may be a dotted path.
///
/// A value under a key that [looks secret](is_secret_key) becomes [`MASK`]. In any other value, what looks like a
/// password or a token inside a URL is masked: `postgres://me:***@host/db`, `md:db?motherduck_token=***`.
///
/// ```
/// use metaxy_core::options::redact;
/// assert_eq!(redact("password", "hunter2"), "***");
/// assert_eq!(redact("storage_options.region", "eu-1"), "***");
/// assert_eq!(redact("database", "postgres://me:pw@host/db"), "postgres://me:***@host/db");
/// assert_eq!(redact("root_path", "s3://bucket/metaxy"), "s3://bucket/metaxy");
/// ```
#[must_use]
pub fn redact<'v>(key: &str, value: &'v str) -> Cow<'v, str> {
    if is_secret_key(key) {
        return Cow::Borrowed(MASK);
    }
    let shown = mask_user_info(value);
    match mask_query(&shown) {
        Some(masked) => Cow::Owned(masked),
        None => shown,
    }
}

/// Whether a key, or any segment of a dotted path, is one under which secrets are usually kept: passwords, tokens, keys,
/// credentials, connection strings and the option tables that hold such things.
#[must_use]
pub fn is_secret_key(key: &str) -> bool {
    const WORDS: &[&str] = &[
        "key",
        "pwd",
        "auth",
        "authorization",
        "dsn",
        "sas",
        "sig",
        "signature",
    ];
    const PARTS: &[&str] = &[
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "credential",
        "accesskey",
        "privatekey",
        "apikey",
        "connectionstring",
        "connectionparams",
        "storageoptions",
        "initsql",
    ];
    let lower = key.to_ascii_lowercase();
    if lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| WORDS.contains(&word))
    {
        return true;
    }
    lower.split('.').any(|segment| {
        let compact: String = segment
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        PARTS.iter().any(|part| compact.contains(part))
    })
}

/// Masks the password of `scheme://user:password@host`, wherever in the text it stands.
fn mask_user_info(value: &str) -> Cow<'_, str> {
    let Some(start) = value.find("://").map(|at| at + 3) else {
        return Cow::Borrowed(value);
    };
    let (head, rest) = value.split_at(start);
    // A password may hold `/` or `?` unescaped, so the last `@` ends it: rather too much is hidden than too little.
    let Some(at) = rest.rfind('@') else {
        return Cow::Borrowed(value);
    };
    match rest[..at].split_once(':') {
        Some((user, _)) => Cow::Owned(format!("{head}{user}:{MASK}{}", &rest[at..])),
        None => Cow::Borrowed(value),
    }
}

/// Masks `name=value` pairs with a secret name behind `?`, `&`, `;` or a blank; `None` when there is none.
fn mask_query(value: &str) -> Option<String> {
    let mut shown = String::with_capacity(value.len());
    let mut changed = false;
    for piece in value.split_inclusive(['?', '&', ';', ' ']) {
        match piece.split_once('=') {
            Some((name, rest)) if is_secret_key(name) => {
                shown.push_str(name);
                shown.push('=');
                shown.push_str(MASK);
                shown.extend(rest.chars().last().filter(|c| "?&; ".contains(*c)));
                changed = true;
            }
            _ => shown.push_str(piece),
        }
    }
    changed.then_some(shown)
}
