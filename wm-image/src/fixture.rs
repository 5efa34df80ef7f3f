//! What the tests of several modules use.

use serde_json::Value;

/// What a real builder's Job on a real cluster came to.
pub(crate) fn recording(name: &str) -> Value {
    let text = match name {
        "success" => include_str!("../tests/data/builders/success.json"),
        "bad-dockerfile" => include_str!("../tests/data/builders/bad-dockerfile.json"),
        "failing-run" => include_str!("../tests/data/builders/failing-run.json"),
        "missing-base" => include_str!("../tests/data/builders/missing-base.json"),
        "oom" => include_str!("../tests/data/builders/oom.json"),
        "registry-down" => include_str!("../tests/data/builders/registry-down.json"),
        _ => panic!("there is no recording {name}"),
    };
    serde_json::from_str(text).unwrap()
}
