//! Label selectors: `a=b,c!=d,e,!f,g in (h,i),j notin (k),l>1`.

use std::{iter::Peekable, vec::IntoIter};

use serde_json::Value;

use crate::error::ApiError;

/// All requirements must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LabelSelector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    DoesNotExist,
    GreaterThan(i64),
    LessThan(i64),
}

impl LabelSelector {
    pub(super) fn parse(text: &str) -> Result<Self, ApiError> {
        let mut parser = Parser { tokens: tokens(text).into_iter().peekable() };
        let mut requirements = Vec::new();
        while parser.tokens.peek().is_some() {
            requirements.push(parser.requirement().map_err(|detail| refuse(&detail))?);
            match parser.next().as_str() {
                "" => break,
                "," if parser.tokens.peek().is_some() => {}
                "," => return Err(refuse("found '', expected: identifier after ','")),
                found => return Err(refuse(&format!("found '{found}', expected: ',' or 'end of string'"))),
            }
        }
        Ok(Self(requirements))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.0.iter().all(|requirement| requirement.holds(labels[&requirement.key].as_str()))
    }
}

impl Requirement {
    fn holds(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.operator {
            Operator::In(values) => value.is_some_and(|value| values.iter().any(|one| one == value)),
            Operator::NotIn(values) => value.is_none_or(|value| values.iter().all(|one| one != value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan(bound) => number().is_some_and(|number| number > *bound),
            Operator::LessThan(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

fn refuse(detail: &str) -> ApiError {
    ApiError::bad_request(format!("unable to parse requirement: {detail}"))
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut in_word = false;
    for character in text.chars() {
        if character.is_whitespace() {
            in_word = false;
        } else if "=!(),<>".contains(character) {
            in_word = false;
            // `==` and `!=` are the only symbols of two characters.
            match tokens.last_mut() {
                Some(last) if character == '=' && (last == "=" || last == "!") => last.push('='),
                _ => tokens.push(character.to_string()),
            }
        } else if let (true, Some(last)) = (in_word, tokens.last_mut()) {
            last.push(character);
        } else {
            in_word = true;
            tokens.push(character.to_string());
        }
    }
    tokens
}

fn is_word(token: &str) -> bool {
    token.chars().next().is_some_and(|first| !"=!(),<>".contains(first))
}

struct Parser {
    tokens: Peekable<IntoIter<String>>,
}

impl Parser {
    /// The next token, empty at the end.
    fn next(&mut self) -> String {
        self.tokens.next().unwrap_or_default()
    }

    fn peek(&mut self) -> &str {
        self.tokens.peek().map_or("", String::as_str)
    }

    fn word(&mut self) -> Result<String, String> {
        let token = self.next();
        if is_word(&token) { Ok(token) } else { Err(format!("found '{token}', expected: identifier")) }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        if self.peek() == "!" {
            self.next();
            return Ok(Requirement { key: self.word()?, operator: Operator::DoesNotExist });
        }
        let key = self.word()?;
        if matches!(self.peek(), "" | ",") {
            return Ok(Requirement { key, operator: Operator::Exists });
        }
        let operator = match self.next().as_str() {
            "=" | "==" => Operator::In(vec![self.exact_value()?]),
            "!=" => Operator::NotIn(vec![self.exact_value()?]),
            "in" => Operator::In(self.values()?),
            "notin" => Operator::NotIn(self.values()?),
            ">" => Operator::GreaterThan(self.number()?),
            "<" => Operator::LessThan(self.number()?),
            found => return Err(format!("found '{found}', expected: in, notin, =, ==, !=, gt, lt")),
        };
        Ok(Requirement { key, operator })
    }

    /// A value may be empty.
    fn exact_value(&mut self) -> Result<String, String> {
        if matches!(self.peek(), "" | ",") { Ok(String::new()) } else { self.word() }
    }

    fn number(&mut self) -> Result<i64, String> {
        let word = self.word()?;
        word.parse().map_err(|_| {
            format!(
                "values[0]: Invalid value: {word:?}: for 'Gt', 'Lt' operators, the value must be an integer"
            )
        })
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        let found = self.next();
        if found != "(" {
            return Err(format!("found '{found}' expected: '('"));
        }
        let mut values = Vec::new();
        loop {
            // An empty place between commas is the empty value.
            let value = if matches!(self.peek(), "," | ")") { String::new() } else { self.word()? };
            values.push(value);
            match self.next().as_str() {
                "," => {}
                ")" => return Ok(values),
                found => return Err(format!("found '{found}', expected: ',' or ')'")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(selector: &str) -> bool {
        let object = json!({"metadata": {"labels": {"app": "a", "x.io/n": "5", "empty": ""}}});
        LabelSelector::parse(selector).unwrap().matches(&object)
    }

    #[test]
    fn each_operator_selects() {
        for selector in [
            "",
            "app",
            "app=a",
            "app==a",
            "app!=b",
            "none!=b",
            "!none",
            "app in (b, a)",
            "app notin (b,c)",
            "none notin (b)",
            "x.io/n>4",
            "x.io/n<6,app=a",
            "empty=",
            "empty in (,x)",
            " app = a , !none ",
        ] {
            assert!(matches(selector), "{selector}");
        }
        for selector in [
            "none",
            "app=b",
            "app!=a",
            "!app",
            "app in (b)",
            "app notin (a)",
            "x.io/n>5",
            "app=a,none",
            "app<1",
        ] {
            assert!(!matches(selector), "{selector}");
        }
    }

    #[test]
    fn what_does_not_parse_is_refused() {
        let refusal = LabelSelector::parse("a===b").unwrap_err();
        assert_eq!(refusal.code, 400);
        assert_eq!(refusal.message, "unable to parse requirement: found '=', expected: identifier");
        for selector in ["=a", "a=b,", "a in b", "a in (b", "a b", "a > x", "!", "a=b=c"] {
            assert!(LabelSelector::parse(selector).is_err(), "{selector}");
        }
    }
}
