//! Variables out of a Helm values file.
//!
//! The text of a scalar counts, not its YAML type: `1.10` unquoted is still `1.10`. A YAML reader gives that text only
//! to who asks for a string, and asking for one where a list stands fails for the file as a whole. So the document is
//! read twice, first for its shape and then for its text.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// Where the guide's fragments keep the variables.
const HOMES: [&str; 2] = ["zenml", "server"];

/// What a variable is set to in a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Entry {
    Text(String),
    /// Not a scalar: Helm would write it into the container as Go prints it.
    Nested,
}

/// What a file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values {
    pub(crate) entries: Vec<(String, Entry)>,
    /// Whether there was a place for variables at all.
    pub(crate) has_place: bool,
}

pub(crate) fn values(text: &str) -> Result<Values, String> {
    let options = || serde_saphyr::options! { with_snippet: false };
    let read = |error: serde_saphyr::Error| format!("is not YAML that can be read: {error}");
    let shape: Shape = serde_saphyr::from_str_with_options(text, options()).map_err(read)?;
    let Shape::Map(top) = &shape else {
        let is_empty = matches!(shape, Shape::Null);
        return if is_empty { Ok(Values::default()) } else { Err("is not a map of variables".to_owned()) };
    };
    let document = serde_saphyr::with_deserializer_from_str_with_options(text, options(), |deserializer| {
        Mapping(top).deserialize(deserializer)
    });
    let document = document.map_err(read)?;

    let mut found = Values::default();
    for home in HOMES {
        let Some(Node::Map(chart)) = document.get(home) else { continue };
        match chart.get("environment") {
            Some(Node::Map(environment)) => found.add(environment),
            Some(Node::Null) => found.has_place = true,
            Some(_) => {
                return Err(format!("has something else than a map of variables at {home}.environment"));
            }
            None => {}
        }
    }
    if !found.has_place {
        found.add(&document);
        found.has_place = found.entries.iter().any(|(_, entry)| matches!(entry, Entry::Text(_)));
        found.entries.retain(|(name, _)| !HOMES.contains(&name.as_str()));
    }
    Ok(found)
}

impl Values {
    fn add(&mut self, environment: &BTreeMap<String, Node>) {
        self.has_place = true;
        for (name, node) in environment {
            match node {
                Node::Text(text) => self.entries.push((name.clone(), Entry::Text(text.clone()))),
                Node::Map(_) | Node::List => self.entries.push((name.clone(), Entry::Nested)),
                Node::Null => {}
            }
        }
    }
}

/// What stands where, without the text.
enum Shape {
    Null,
    Scalar,
    List,
    Map(BTreeMap<String, Self>),
}

/// The document with the text as it is written.
enum Node {
    Null,
    Text(String),
    List,
    Map(BTreeMap<String, Self>),
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_none<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Shape, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Shape::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Shape, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, shape)) = entries.next_entry::<String, Shape>()? {
            map.insert(key, shape);
        }
        Ok(Shape::Map(map))
    }
}

/// Reads what a shape says is there.
impl<'de> DeserializeSeed<'de> for &Shape {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        match self {
            Shape::Map(children) => Mapping(children).deserialize(deserializer).map(Node::Map),
            Shape::Scalar => String::deserialize(deserializer).map(Node::Text),
            Shape::Null => IgnoredAny::deserialize(deserializer).map(|_| Node::Null),
            Shape::List => IgnoredAny::deserialize(deserializer).map(|_| Node::List),
        }
    }
}

struct Mapping<'s>(&'s BTreeMap<String, Shape>);

impl<'de> DeserializeSeed<'de> for Mapping<'_> {
    type Value = BTreeMap<String, Node>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Mapping<'_> {
    type Value = BTreeMap<String, Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = entries.next_key::<String>()? {
            let node = entries.next_value_seed(self.0.get(&key).unwrap_or(&Shape::List))?;
            map.insert(key, node);
        }
        Ok(map)
    }
}
