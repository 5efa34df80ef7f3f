use std::{env, ffi::OsString};

use figment::Figment;

use crate::{
    assembly,
    effective::Origin,
    family::{Family, KnownSource},
    helm::{self, Entry},
    problem::{FieldProblem, Problem, Problems, Report, Warning},
    reader::{Check, Reader},
    settings::Settings,
    source::RawSource,
    spelling::{self, Likeness},
    table, variable,
};

/// Gathers variables from the environment and from files, and makes settings of them.
///
/// The environment wins over files, a later file over an earlier one, and everything over the defaults. Variables that
/// have nothing to do with the workload manager are not kept.
#[derive(Clone, Debug, Default)]
pub struct Loader {
    sources: Vec<RawSource>,
    known: Vec<KnownSource>,
    default_source: Option<String>,
    checks: Vec<(&'static str, Check)>,
    report: Report,
}

/// What was loaded.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// What to tell the reader about them, in the order of the reference page.
    pub warnings: Vec<Warning>,
}

impl Loader {
    /// Makes a loader that knows no variable's value and no implementation.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds environment variables. One that is not UTF-8 is a problem if it is one of ours.
    #[must_use]
    pub fn environment(mut self, pairs: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut texts = Vec::new();
        for (name, value) in pairs {
            let Ok(name) = name.into_string() else { continue };
            if matches!(spelling::likeness(&name), Likeness::Unrelated) {
                continue;
            }
            match value.into_string() {
                Ok(value) => texts.push((name, value)),
                Err(value) => self.reject(&name, Some(&value.to_string_lossy()), "is not valid UTF-8"),
            }
        }
        self.sources.push(RawSource::new(Origin::Environment, texts));
        self
    }

    /// Adds the environment of this process.
    #[must_use]
    pub fn process_environment(self) -> Self {
        self.environment(env::vars_os())
    }

    /// Adds the variables of a Helm values file, at `zenml.environment` or `server.environment`, or of a plain map.
    /// `origin` is the name that the file goes by.
    #[must_use]
    pub fn helm_yaml(mut self, text: &str, origin: &str) -> Self {
        let values = match helm::values(text) {
            Ok(values) => values,
            Err(message) => {
                let problem = Problem {
                    variable: origin.to_owned(),
                    value: None,
                    message,
                    allowed:
                        "YAML with variables at zenml.environment or server.environment, or a map of them"
                            .to_owned(),
                    example: format!("{}: runners", variable::NAMESPACE),
                };
                self.report.foreign(usize::MAX, problem);
                return self;
            }
        };
        if !values.has_place {
            let message =
                "has no variables: they belong at zenml.environment or server.environment".to_owned();
            self.report.warn_foreign(origin.to_owned(), message);
        }
        let mut texts = Vec::new();
        for (name, entry) in values.entries {
            match entry {
                _ if matches!(spelling::likeness(&name), Likeness::Unrelated) => {}
                Entry::Text(text) => texts.push((name, text)),
                Entry::Nested => {
                    let message = format!(
                        "is nested YAML in {origin}, where text is due: write it as JSON in single quotes"
                    );
                    self.reject(&name, None, &message);
                }
            }
        }
        self.sources.push(RawSource::new(Origin::File(origin.to_owned()), texts));
        self
    }

    /// Names an implementation source, and what it needs.
    #[must_use]
    pub fn known_source(mut self, name: impl Into<String>, family: Family) -> Self {
        self.known.push(KnownSource { name: name.into(), family });
        self
    }

    /// Names the implementation source that is used if none is set. Without one, it has to be set.
    #[must_use]
    pub fn default_source(mut self, name: impl Into<String>) -> Self {
        self.default_source = Some(name.into());
        self
    }

    /// Adds a rule for a variable's value, which it gets as JSON once the value is well-formed.
    #[must_use]
    pub fn check(
        mut self,
        variable: &'static str,
        check: fn(&serde_json::Value) -> Vec<FieldProblem>,
    ) -> Self {
        self.checks.push((variable, check));
        self
    }

    /// Makes settings of what was added, or says everything that is wrong with it.
    pub fn load(self) -> Result<Loaded, Problems> {
        let (files, environments): (Vec<_>, Vec<_>) =
            self.sources.iter().partition(|source| source.is_file());
        let merged = files
            .into_iter()
            .chain(environments)
            .fold(Figment::new(), |figment, source| figment.merge(source));
        let mut reader = Reader::new(merged, &self.checks, self.report.clone());
        for (name, _) in self.checks.iter().filter(|(name, _)| table::find(name).is_none()) {
            reader.report.foreign(usize::MAX, stray_check(name));
        }
        reader.check_spelling(self.sources.iter().flat_map(RawSource::names));

        let (source, family) = self.implementation(&mut reader);
        reader.add_defaults(family, &source);
        let settings = assembly::assemble(&mut reader, source, family);
        let (mut settings, warnings) = reader.into_result(settings)?;
        assembly::annotate(&mut settings.effective, &warnings);
        Ok(Loaded { settings, warnings })
    }

    /// Which implementation it is, and what it needs. If that can't be said, it is guessed, so that the other problems
    /// come to light too.
    fn implementation(&self, reader: &mut Reader<'_>) -> (String, Family) {
        let entry = &table::IMPLEMENTATION_SOURCE;
        let set =
            if reader.is_set(&entry.variable) { reader.read(entry) } else { self.default_source.clone() };
        let Some(source) = set else {
            if !reader.is_meant(&entry.variable) {
                let message = entry.variable.required.reason();
                reader.report.allowing(&entry.variable, None, message, self.allowed_sources());
            }
            let is_aws = [&table::BUCKET.variable, &table::REGION.variable]
                .into_iter()
                .any(|entry| reader.is_set(entry));
            return (String::new(), if is_aws { Family::Aws } else { Family::Kubernetes });
        };
        if let Some(family) = self.family_of(&source) {
            return (source, family);
        }
        let nearest = spelling::nearest(&source, self.known.iter().map(|known| known.name.as_str()));
        let hint = nearest.map(|name| format!(": did you mean {name}?")).unwrap_or_default();
        let message = format!("is no known implementation{hint}");
        reader.report.allowing(&entry.variable, Some(&source), message, self.allowed_sources());
        let family = nearest.and_then(|name| self.family_of(name)).unwrap_or(Family::Other);
        (source, family)
    }

    fn family_of(&self, source: &str) -> Option<Family> {
        self.known.iter().find(|known| known.name == source).map(|known| known.family)
    }

    fn allowed_sources(&self) -> String {
        let names: Vec<&str> = self.known.iter().map(|known| known.name.as_str()).collect();
        if names.is_empty() { "no implementation is known".to_owned() } else { names.join(", ") }
    }

    /// Reports a variable whose value is no text.
    fn reject(&mut self, name: &str, value: Option<&str>, message: &str) {
        if let Some(entry) = table::find(name) {
            self.report.problem(entry, value, message);
        } else {
            let problem = Problem {
                variable: name.to_owned(),
                value: None,
                message: message.to_owned(),
                allowed: "text".to_owned(),
                example: String::new(),
            };
            self.report.foreign(usize::MAX, problem);
        }
    }
}

/// A rule that would silently never run.
fn stray_check(name: &str) -> Problem {
    Problem {
        variable: name.to_owned(),
        value: None,
        message: "has a check, but is no variable".to_owned(),
        allowed: "a name of wm_config::variable".to_owned(),
        example: variable::POD_RESOURCES.to_owned(),
    }
}
