//! The parameters of a query, with the refusals that a real server has for them.

use axum::extract::Query;
use http::Uri;
use serde_json::{Value, json};

use crate::error::{ApiError, Cause};

/// The pairs of a query. Of a parameter given twice the first counts, unknown ones are ignored.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

/// What to do about unknown fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

impl Parameters {
    pub(crate) fn from_uri(uri: &Uri) -> Result<Self, ApiError> {
        let Query(pairs) = Query::try_from_uri(uri)
            .map_err(|error| ApiError::bad_request(format!("invalid query: {error}")))?;
        Ok(Self(pairs))
    }

    /// The parameter, if it is there and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The same parameters, with this one instead of what was given.
    pub(crate) fn with(mut self, name: &str, value: String) -> Self {
        self.0.retain(|(key, _)| key != name);
        self.0.push((name.to_owned(), value));
        self
    }

    /// A parameter without a value is true, as the API has it.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let given = self.0.iter().find(|(key, _)| key == name);
        given.is_some_and(|(_, value)| !matches!(value.as_str(), "0" | "false" | "False" | "FALSE"))
    }

    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        self.get(name)
            .map(|value| {
                value.parse().map_err(|_| {
                    ApiError::bad_request(format!("strconv.ParseInt: parsing {value:?}: invalid syntax"))
                })
            })
            .transpose()
    }

    /// `dryRun=All`. `options` is the kind that the refusal names, such as `CreateOptions`.
    pub(crate) fn dry_run(&self, options: &str) -> Result<bool, ApiError> {
        let values: Vec<&str> =
            self.0.iter().filter(|(key, _)| key == "dryRun").map(|(_, value)| value.as_str()).collect();
        check_dry_run(&values, options)
    }

    pub(crate) fn field_validation(&self, options: &str) -> Result<FieldValidation, ApiError> {
        match self.get("fieldValidation") {
            Some("Ignore") => Ok(FieldValidation::Ignore),
            None | Some("Warn") => Ok(FieldValidation::Warn),
            Some("Strict") => Ok(FieldValidation::Strict),
            Some(other) => {
                let supported = ["", "Ignore", "Strict", "Warn"];
                let cause = Cause::unsupported("fieldValidation", &json!(other), &supported);
                Err(invalid_options(options, cause))
            }
        }
    }
}

/// Whether the values of `dryRun`, from a query or a body, ask for a dry run.
pub(crate) fn check_dry_run(values: &[&str], options: &str) -> Result<bool, ApiError> {
    if values.iter().all(|value| *value == "All") {
        return Ok(!values.is_empty());
    }
    let values = Value::from(values.to_vec());
    Err(invalid_options(options, Cause::unsupported("dryRun", &values, &["All"])))
}

pub(crate) fn invalid_options(options: &str, cause: Cause) -> ApiError {
    ApiError::invalid("meta.k8s.io", options, "", vec![cause])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        Parameters::from_uri(&format!("/x?{query}").parse().unwrap()).unwrap()
    }

    #[test]
    fn parameters_are_decoded() {
        let parameters = parameters("labelSelector=a%20in%20(b)&watch=1&follow&limit=5&continue=");
        assert_eq!(parameters.get("labelSelector"), Some("a in (b)"));
        assert!(parameters.flag("watch"));
        assert!(parameters.flag("follow"));
        assert!(!parameters.flag("absent"));
        assert_eq!(parameters.integer("limit").unwrap(), Some(5));
        assert_eq!(parameters.get("continue"), None);
    }

    #[test]
    fn only_all_is_a_dry_run() {
        assert!(parameters("dryRun=All").dry_run("CreateOptions").unwrap());
        assert!(!parameters("").dry_run("CreateOptions").unwrap());
        let refusal = parameters("dryRun=Some").dry_run("CreateOptions").unwrap_err();
        assert_eq!(refusal.code, 422);
        assert_eq!(
            refusal.message,
            "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Some\"]: \
             supported values: \"All\""
        );
    }
}
