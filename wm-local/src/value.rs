//! Reading the JSON of objects.

use serde_json::Value;

/// The elements of a member that is a list; none if it is missing or something else.
pub(crate) fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value[field].as_array().into_iter().flatten()
}
