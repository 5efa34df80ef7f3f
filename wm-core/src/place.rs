use std::{fmt, sync::Arc};

use serde::{Serialize, Serializer};

/// Where to find a run in its backend: texts by name, in the order of their names.
///
/// It takes the room of what it holds, and a clone shares its texts, since a manager knows the places of thousands of
/// runs.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Place(Vec<(&'static str, Arc<str>)>);

impl Place {
    /// Sets the text of a name.
    pub fn insert(&mut self, name: &'static str, text: impl Into<Arc<str>>) {
        match self.0.binary_search_by_key(&name, |(known, _)| known) {
            Ok(index) => self.0[index].1 = text.into(),
            Err(index) => self.0.insert(index, (name, text.into())),
        }
    }

    /// Finds the text of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let index = self.0.binary_search_by_key(&name, |(known, _)| known).ok()?;
        Some(&self.0[index].1)
    }

    /// All names with their texts.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, text)| (*name, text.as_ref()))
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        let mut place = Place::default();
        place.insert("pod", "first".to_owned());
        place.insert("job", "runner-w-1");
        place.insert("pod", "second");
        place
    }

    #[test]
    fn a_name_has_the_text_that_it_was_given_last() {
        assert_eq!(place().get("pod"), Some("second"));
        assert_eq!(place().get("job"), Some("runner-w-1"));
        assert_eq!(place().get("node"), None);
        assert!(Place::default().is_empty() && !place().is_empty());
    }

    #[test]
    fn names_are_told_in_their_order_as_a_map() {
        assert_eq!(serde_json::to_string(&place()).unwrap(), r#"{"job":"runner-w-1","pod":"second"}"#);
        assert_eq!(format!("{:?}", place()), r#"{"job": "runner-w-1", "pod": "second"}"#);
    }
}
