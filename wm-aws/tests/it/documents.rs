//! docs/aws.md says what the code does.

use wm_aws::{AWS_CALLS, AwsNames, AwsPolicy, aws_calls_table, aws_policy};

const PAGE: &str = include_str!("../../../docs/aws.md");
const SOURCES: [&str; 2] = [include_str!("../../src/s3.rs"), include_str!("../../src/ecr.rs")];

#[test]
fn the_page_has_each_call_with_its_right() {
    let table = aws_calls_table();
    assert!(PAGE.contains(&table), "docs/aws.md lacks this table:\n{table}");
}

#[test]
fn the_page_has_the_policies() {
    let names = AwsNames {
        partition: "aws".to_owned(),
        bucket: "my-bucket".to_owned(),
        prefix: Some("run-template-logs".to_owned()),
        account: "339712793861".to_owned(),
        region: "eu-central-1".to_owned(),
        repositories: "zenml-runner".to_owned(),
    };
    for policy in AwsPolicy::ALL {
        let text = serde_json::to_string_pretty(&aws_policy(policy, &names)).unwrap();
        assert!(PAGE.contains(&format!("```json\n{text}\n```")), "docs/aws.md lacks this policy:\n{text}");
    }
}

/// The name of an operation's method in AWS' clients.
fn method(operation: &str) -> String {
    let name = if operation == "ListObjectsV2" { "ListObjectsv2" } else { operation };
    let mut method = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !method.is_empty() {
            method.push('_');
        }
        method.push(c.to_ascii_lowercase());
    }
    method.replace("objectsv2", "objects_v2")
}

#[test]
fn the_table_has_what_the_server_calls_and_nothing_else() {
    let own = AWS_CALLS.iter().filter(|call| call.policy != AwsPolicy::Builder);
    let mut expected: Vec<_> = own.map(|call| method(call.operation)).collect();
    expected.sort();
    expected.dedup();
    let known = ["put", "get", "list", "delete", "head", "copy", "describe", "batch", "create", "upload"];
    let words = SOURCES.iter().flat_map(|source| source.split('.').skip(1));
    let calls = words.filter_map(|word| word.split_once("()")).map(|(name, _)| name);
    let calls = calls.filter(|name| !name.contains(char::is_whitespace));
    let mut called: Vec<_> = calls
        .filter(|name| name.split_once('_').is_some_and(|(verb, _)| known.contains(&verb)))
        .map(str::to_owned)
        .collect();
    called.sort();
    called.dedup();
    assert_eq!(called, expected);
}
