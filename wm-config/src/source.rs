use std::{collections::BTreeMap, fmt};

use figment::{
    Error, Metadata, Profile, Provider, Source,
    value::{Dict, Map, Value},
};

use crate::effective::Origin;

/// Variables from one place, as the text that was written there. Blank values are left out: empty counts as unset.
///
/// Figment's own provider for the environment guesses types (`1.10` becomes a number), so it is not used.
#[derive(Clone)]
pub(crate) struct RawSource {
    origin: Origin,
    values: BTreeMap<String, String>,
}

impl RawSource {
    pub(crate) fn new(origin: Origin, pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut values = BTreeMap::new();
        for (name, value) in pairs {
            let value = value.trim();
            if !value.is_empty() {
                values.insert(name, value.to_owned());
            }
        }
        Self { origin, values }
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self.origin, Origin::File(_))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }
}

/// The names alone: nobody knows yet which value is a secret.
impl fmt::Debug for RawSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawSource").field("origin", &self.origin).field("names", &self.values.keys()).finish()
    }
}

impl Provider for RawSource {
    fn metadata(&self) -> Metadata {
        match &self.origin {
            Origin::Default => Metadata::named("default"),
            Origin::Environment => Metadata::named("environment"),
            Origin::File(name) => Metadata::from("file", Source::Custom(name.clone())),
        }
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let dict =
            self.values.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        Ok(Profile::Default.collect(dict))
    }
}

/// Reads back what [`RawSource`] wrote into figment's metadata.
pub(crate) fn origin_of(metadata: Option<&Metadata>) -> Origin {
    match metadata {
        Some(Metadata { source: Some(Source::Custom(name)), .. }) => Origin::File(name.clone()),
        Some(metadata) if metadata.name == "environment" => Origin::Environment,
        _ => Origin::Default,
    }
}
