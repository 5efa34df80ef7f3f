use std::{error, fmt, slice, vec};

use serde::Serialize;

use crate::table::{self, Variable};

/// Why one variable can't be used.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// The variable's name as it was written, or the file's if the file as a whole is at fault.
    pub variable: String,
    /// What it was set to: cut if long, redacted if secret, `None` if it is missing.
    pub value: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What is allowed instead.
    pub allowed: String,
    /// A value that works.
    pub example: String,
}

/// What a reader of the settings should know, though they work.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Warning {
    /// The variable's name as it was written, or the file's if the file as a whole is meant.
    pub variable: String,
    /// What it was set to: cut if long, redacted if secret or unknown.
    pub value: Option<String>,
    /// What to know.
    pub message: String,
}

/// A fault inside a JSON value, as an injected check reports it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct FieldProblem {
    /// The path of the field, such as `rules[0].action`; empty for the value as a whole.
    pub field: String,
    /// What is wrong with it.
    pub detail: String,
}

/// Every problem of the configuration, in the order of the reference page.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Iterates over the problems.
    pub fn iter(&self) -> slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// Counts the problems: at least one.
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one problem")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type IntoIter = slice::Iter<'a, Problem>;
    type Item = &'a Problem;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Problems {
    type IntoIter = vec::IntoIter<Problem>;
    type Item = Problem;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, value, message, allowed, example } = self;
        match value {
            Some(value) => write!(f, "{variable}={value}\n    {message}")?,
            None => write!(f, "{variable}\n    {message}")?,
        }
        if !allowed.is_empty() {
            write!(f, "\n    allowed: {allowed}")?;
        }
        if !example.is_empty() {
            write!(f, "\n    example: {example}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.len() {
            1 => writeln!(f, "the configuration has a problem")?,
            count => writeln!(f, "the configuration has {count} problems")?,
        }
        for (index, problem) in self.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{problem}")?;
        }
        Ok(())
    }
}

impl error::Error for Problems {}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}: {}", self.variable, self.message),
            None => write!(f, "{}: {}", self.variable, self.message),
        }
    }
}

/// Where problems and warnings gather, each with its place in the table's order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    problems: Vec<(usize, Problem)>,
    warnings: Vec<(usize, Warning)>,
}

impl Report {
    pub(crate) fn problem(&mut self, variable: &Variable, value: Option<&str>, message: impl Into<String>) {
        self.allowing(variable, value, message, variable.allowed.to_owned());
    }

    /// As [`problem`](Self::problem), where what is allowed is not in the table.
    pub(crate) fn allowing(
        &mut self,
        variable: &Variable,
        value: Option<&str>,
        message: impl Into<String>,
        allowed: String,
    ) {
        let problem = Problem {
            variable: variable.name.to_owned(),
            value: value.map(|text| variable.shown(text)),
            message: message.into(),
            allowed,
            example: variable.assignment(),
        };
        self.problems.push((table::rank(variable.name), problem));
    }

    /// A problem of something that is not in the table, listed where `rank` says.
    pub(crate) fn foreign(&mut self, rank: usize, problem: Problem) {
        self.problems.push((rank, problem));
    }

    pub(crate) fn warn(&mut self, variable: &Variable, value: Option<&str>, message: impl Into<String>) {
        let warning = Warning {
            variable: variable.name.to_owned(),
            value: value.map(|text| variable.shown(text)),
            message: message.into(),
        };
        self.warnings.push((table::rank(variable.name), warning));
    }

    /// A warning of something that is not in the table; its value stays out, as nobody knows what is in it.
    pub(crate) fn warn_foreign(&mut self, variable: String, message: String) {
        self.warnings.push((usize::MAX, Warning { variable, value: None, message }));
    }

    pub(crate) fn into_result(mut self) -> Result<Vec<Warning>, Problems> {
        self.problems.sort_by_key(|(rank, _)| *rank);
        self.warnings.sort_by_key(|(rank, _)| *rank);
        if self.problems.is_empty() {
            Ok(self.warnings.into_iter().map(|(_, warning)| warning).collect())
        } else {
            Err(Problems(self.problems.into_iter().map(|(_, problem)| problem).collect()))
        }
    }
}
