//! Kubernetes objects on stdout.

use serde_json::Value;
use wm_core::{Error, ErrorKind, Result};

use super::{
    failure::Failure,
    output::{self, Output},
};

/// Prints objects as YAML documents, or one JSON object a line.
pub(crate) fn print(objects: &[Value], output: Output) -> Result<(), Failure> {
    if output.is_json() {
        output.list(objects, |_| String::new())?;
    } else {
        output::text(&yaml(objects)?)?;
    }
    Ok(())
}

fn yaml(objects: &[Value]) -> Result<String> {
    serde_saphyr::to_string_multiple(objects).map_err(|error| {
        Error::new(ErrorKind::Unexpected, "the objects can't be written as YAML")
            .with_source(error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn a_text_comes_back_from_yaml_as_the_same_text(text in "\\PC{0,40}|[ \\n:#'\"-]{0,20}|true|1.10|0x1f|null|~") {
            let object = json!({ "kind": "Job", "metadata": { "annotations": { "a": text } }, "list": [text] });
            let documents = yaml(&[object.clone(), object.clone()]).unwrap();
            let read: Vec<Value> = serde_saphyr::from_multiple(&documents).unwrap();
            prop_assert_eq!(read, [object.clone(), object]);
        }
    }
}
