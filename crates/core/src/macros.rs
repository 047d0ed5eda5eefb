//! The setters of options structs, said once.

/// Setters: each takes the struct and gives it back with one thing set. `options` is what the bodies call the struct.
///
/// `setters! { options => with_limit(limit: u64) { options.limit = Some(limit); } }` is
/// `pub fn with_limit(mut self, limit: u64) -> Self`.
#[doc(hidden)]
#[macro_export]
macro_rules! setters {
    ($options:ident => $(
        $(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),+) $set:block
    )*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, $($argument: $type),+) -> Self {
            let $options = &mut self;
            $set
            self
        }
    )*};
}
