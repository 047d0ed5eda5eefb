//! Deliberate differences of `filters.json` (findings 50 to 58).

use super::{Deviation, Instead, When};

/// Quirks that are errors here.
pub(in super::super) const REFUSED_QUIRKS: [&str; 8] = [
    "subquery-ignored",
    "in-without-list",
    "truthy-int",
    "bool-int",
    "bool-string",
    "int-bool",
    "is-literal",
    "is-column",
];

pub(in super::super) static REFUSED: Deviation = Deviation {
    name: "filter_refused",
    reason: "subqueries, IN without a list, IS with a value, and comparisons across types have some meaning there (50, 53, 56); here they are errors",
    when: When::Code,
    instead: Instead::Refuses,
};

pub(in super::super) static NO_RULE: Deviation = Deviation {
    name: "filter_quirk",
    reason: "some filters with a plain meaning fail there for want of a rule (54, 58); here they have SQL's meaning",
    when: When::Code,
    instead: Instead::Succeeds,
};

pub(in super::super) static NUMBERS_IN_NUMBERS: Deviation = Deviation {
    name: "filter_in_numbers",
    reason: "IN needs literals of exactly the column's type there (55); here numbers are numbers",
    when: When::Code,
    instead: Instead::Succeeds,
};

pub(in super::super) static NULL_IN_LIST: Deviation = Deviation {
    name: "filter_null_in_list",
    reason: "nulls in lists do not count there (51); here they do, as in SQL",
    when: When::Code,
    instead: Instead::Without(&[]),
};

pub(in super::super) static IS_BOOL: Deviation = Deviation {
    name: "filter_is_bool",
    reason: "IS TRUE of null is null there (52); here it is false, as in SQL",
    when: When::Code,
    instead: Instead::Without(&[]),
};
