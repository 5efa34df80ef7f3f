use std::collections::BTreeSet;

use figment::Figment;
use serde::Serialize;
use serde_json::Value;

use crate::{
    effective::Origin,
    family::Family,
    problem::{FieldProblem, Problem, Report, Warning},
    source::{RawSource, origin_of},
    spelling::{self, Likeness},
    table::{self, Circumstances, Key, Variable},
};

/// A rule for a variable's value that the composing crate knows.
pub(crate) type Check = fn(&Value) -> Vec<FieldProblem>;

/// Takes typed values out of the merged text, and gathers what is wrong with it.
///
/// A value that can't be read is `None` like one that isn't set: as there is a problem then, no caller sees settings
/// that were made of it.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    figment: Figment,
    checks: &'a [(&'static str, Check)],
    pub(crate) report: Report,
    /// Variables that somebody meant to set, but misspelt.
    misspelt: BTreeSet<&'static str>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(figment: Figment, checks: &'a [(&'static str, Check)], report: Report) -> Self {
        Self { figment, checks, report, misspelt: BTreeSet::new() }
    }

    /// Puts the defaults below everything else.
    pub(crate) fn add_defaults(&mut self, family: Family, source: &str) {
        let defaults = table::variables().filter_map(|entry| {
            let text = if entry.name == table::IMPLEMENTATION_SOURCE.variable.name {
                Some(source)
            } else {
                entry.default_for(family)
            };
            text.map(|text| (entry.name.to_owned(), text.to_owned()))
        });
        let defaults = RawSource::new(Origin::Default, defaults);
        self.figment = std::mem::take(&mut self.figment).join(defaults);
    }

    /// The text in effect, and where it came from.
    pub(crate) fn text(&self, variable: &Variable) -> Option<(String, Origin)> {
        let value = self.figment.find_value(variable.name).ok()?;
        let origin = origin_of(self.figment.get_metadata(value.tag()));
        value.into_string().map(|text| (text, origin))
    }

    /// Whether somebody set it.
    pub(crate) fn is_set(&self, variable: &Variable) -> bool {
        self.text(variable).is_some_and(|(_, origin)| origin != Origin::Default)
    }

    /// Whether somebody meant to set it.
    pub(crate) fn is_meant(&self, variable: &Variable) -> bool {
        self.is_set(variable) || self.misspelt.contains(variable.name)
    }

    pub(crate) fn read<T: Serialize>(&mut self, key: &Key<T>) -> Option<T> {
        let (text, _) = self.text(&key.variable)?;
        let value = match (key.parse)(&text) {
            Ok(value) => value,
            Err(faults) => {
                for message in faults {
                    self.report.problem(&key.variable, Some(&text), message);
                }
                return None;
            }
        };
        let checks = self.checks.iter().filter(|(name, _)| *name == key.variable.name);
        for (_, check) in checks {
            let Ok(json) = serde_json::to_value(&value) else { continue };
            for FieldProblem { field, detail } in check(&json) {
                let message = if field.is_empty() { detail } else { format!("`{field}`: {detail}") };
                self.report.problem(&key.variable, Some(&text), message);
            }
        }
        Some(value)
    }

    /// Reports the variable if it has to be set and is not.
    pub(crate) fn require(&mut self, variable: &Variable, circumstances: Circumstances) {
        if variable.required.holds(circumstances) && self.text(variable).is_none() && !self.is_meant(variable)
        {
            self.report.problem(variable, None, variable.required.reason());
        }
    }

    /// Warns of a variable that is set, if it is.
    pub(crate) fn warn_if_set(&mut self, variable: &Variable, message: &str) {
        if let Some((text, origin)) = self.text(variable)
            && origin != Origin::Default
        {
            self.report.warn(variable, Some(&text), message);
        }
    }

    /// Reports the names that are not in the table.
    pub(crate) fn check_spelling<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        for name in names.collect::<BTreeSet<_>>() {
            match spelling::likeness(name) {
                Likeness::Slip(entry) => {
                    self.misspelt.insert(entry.name);
                    let problem = Problem {
                        variable: name.to_owned(),
                        value: None,
                        message: format!("is a misspelling: did you mean {}?", entry.name),
                        allowed: entry.name.to_owned(),
                        example: entry.assignment(),
                    };
                    self.report.foreign(table::rank(entry.name), problem);
                }
                Likeness::Unknown(prefix) => {
                    let known: Vec<&str> =
                        table::variables().filter_map(|entry| entry.name.strip_prefix(prefix)).collect();
                    let message = format!(
                        "has no effect, as no variable has this name; those that begin with {prefix} are {}",
                        known.join(", ")
                    );
                    self.report.warn_foreign(name.to_owned(), message);
                }
                Likeness::Known | Likeness::Unrelated => {}
            }
        }
    }

    pub(crate) fn into_result<T>(self, value: T) -> Result<(T, Vec<Warning>), crate::problem::Problems> {
        self.report.into_result().map(|warnings| (value, warnings))
    }
}
