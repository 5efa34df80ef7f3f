use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use serde_json::Value;

use crate::{Error, ErrorKind, Result, WorkloadManager};

/// Makes the workload manager that an implementation source names.
///
/// Options are a JSON object: the settings of a built-in implementation; for any other, its environment variables with
/// the prefix taken off and in lower case, as strings.
#[async_trait]
pub trait ManagerFactory: fmt::Debug + Send + Sync + 'static {
    /// The prefix of its environment variables, for example `ACME_WORKLOAD_MANAGER_`; `None` if it reads none.
    fn environment_prefix(&self) -> Option<&str>;

    /// Checks the options without touching anything outside this process.
    ///
    /// # Errors
    /// `InvalidConfig` that names what is wrong.
    fn check(&self, options: &Value) -> Result<()>;

    /// Makes the manager; may read credentials and ask a server.
    ///
    /// # Errors
    /// `InvalidConfig` as [`check`](Self::check) gives it, and whatever keeps it from its server.
    async fn build(&self, options: &Value) -> Result<Arc<dyn WorkloadManager>>;
}

/// The implementation sources that are known: a value, made by whoever composes a program.
///
/// ```
/// use wm_core::{ErrorKind, Registry};
///
/// let registry = Registry::new();
/// let error = registry.factory("acme.Manager").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidConfig);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Registry {
    factories: BTreeMap<String, Arc<dyn ManagerFactory>>,
    aliases: BTreeMap<String, String>,
}

impl Registry {
    /// Makes an empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an implementation under its source string, in place of an earlier one of that name.
    pub fn register(&mut self, source: impl Into<String>, factory: impl ManagerFactory) {
        self.factories.insert(source.into(), Arc::new(factory));
    }

    /// Adds an implementation and returns the registry.
    #[must_use]
    pub fn with(mut self, source: impl Into<String>, factory: impl ManagerFactory) -> Self {
        self.register(source, factory);
        self
    }

    /// Adds another, shorter name for a source.
    #[must_use]
    pub fn with_alias(mut self, alias: impl Into<String>, source: impl Into<String>) -> Self {
        self.aliases.insert(alias.into(), source.into());
        self
    }

    /// The source strings that are known, aliases first.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.aliases.keys().chain(self.factories.keys()).map(String::as_str)
    }

    /// The full name of a source: the alias resolved, surrounding blanks and a version pin (`@…`) taken off.
    pub fn canonical<'a>(&'a self, source: &'a str) -> &'a str {
        let source = source.split('@').next().unwrap_or(source).trim();
        self.aliases.get(source).map_or(source, String::as_str)
    }

    /// Finds the factory of a source.
    ///
    /// # Errors
    /// `InvalidConfig` that lists the known sources.
    pub fn factory(&self, source: &str) -> Result<&Arc<dyn ManagerFactory>> {
        self.factories.get(self.canonical(source)).ok_or_else(|| {
            let known = self.sources().collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() {
                "none is registered".to_owned()
            } else {
                format!("known are: {known}")
            };
            Error::new(ErrorKind::InvalidConfig, format!("there is no such implementation source; {known}"))
                .with_context("source", source)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Refusing;

    #[async_trait]
    impl ManagerFactory for Refusing {
        fn environment_prefix(&self) -> Option<&str> {
            None
        }

        fn check(&self, _options: &Value) -> Result<()> {
            Err(Error::new(ErrorKind::InvalidConfig, "no"))
        }

        async fn build(&self, options: &Value) -> Result<Arc<dyn WorkloadManager>> {
            self.check(options)?;
            Err(Error::new(ErrorKind::Unexpected, "never"))
        }
    }

    #[test]
    fn a_source_is_found_by_name_by_alias_and_with_a_version_pin() {
        let registry = Registry::new().with("a.b.C", Refusing).with_alias("c", "a.b.C");
        for source in ["a.b.C", "c", "a.b.C@1.2", " c "] {
            assert!(registry.factory(source).is_ok(), "{source}");
        }
    }

    #[test]
    fn an_unknown_source_lists_the_known_ones() {
        let registry = Registry::new().with("a.b.C", Refusing).with_alias("c", "a.b.C");
        let error = registry.factory("a.b.D").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().contains("known are: c, a.b.C"), "{error}");
    }
}
