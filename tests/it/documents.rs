//! What the documents quote is what the code says.

use std::{collections::BTreeSet, fs, path::Path};

use wm_core::testkit::{chunks, manager, store, strategy};

const BACKENDS: &str = include_str!("../../docs/backends.md");

/// The blocks of a language, as their lines.
fn blocks(language: &str) -> Vec<Vec<&'static str>> {
    let fence = format!("```{language}\n");
    let after = BACKENDS.split(fence.as_str()).skip(1);
    after.map(|text| text.split("\n```").next().unwrap().lines().collect()).collect()
}

#[test]
fn each_excerpt_stands_in_the_file_that_it_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let blocks = blocks("rust");
    assert!(blocks.len() > 10);
    for block in blocks {
        let path = block[0].strip_prefix("// ").unwrap();
        let text = fs::read_to_string(root.join(path)).unwrap();
        let file: Vec<_> = text.lines().map(str::trim).collect();
        let excerpt: Vec<_> = block[1..].iter().map(|line| line.trim()).collect();
        let found = file.windows(excerpt.len()).any(|lines| lines == excerpt);
        assert!(found, "{path} has no such lines any more:\n{}", block[1..].join("\n"));
    }
}

#[test]
fn dependencies_are_the_workspaces_own() {
    let manifest = include_str!("../../Cargo.toml");
    let names = |line: &'static str| line.split_once(" = ");
    for (name, value) in blocks("toml").concat().into_iter().filter_map(names) {
        let own = manifest.lines().find(|line| line.starts_with(&format!("{name} = "))).unwrap();
        let version = value.split('"').nth(1).unwrap();
        assert!(own.contains(&format!("\"{version}\"")), "{name} is {own}");
    }
}

#[test]
fn every_check_has_its_mistake_and_no_other_is_named() {
    let names = |checks: Vec<&'static str>| checks.into_iter().collect::<BTreeSet<_>>();
    let kits = [
        ("conformance!", names(manager::CHECKS.iter().map(|check| check.name).collect())),
        ("strategy_conformance!", names(strategy::CHECKS.iter().map(|check| check.name).collect())),
        ("store_conformance!", names(store::CHECKS.iter().map(|check| check.name).collect())),
        ("chunk_conformance!", names(chunks::CHECKS.iter().map(|check| check.name).collect())),
    ];
    for (kit, checks) in kits {
        let section = BACKENDS.split("\n### ").find(|text| text.contains(&format!("(`{kit}`)"))).unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| ") && line.ends_with("` |"));
        let named = rows.map(|row| row.rsplit('`').nth(1).unwrap()).collect::<BTreeSet<_>>();
        assert_eq!(named, checks, "{kit}");
    }
}

const OPERATIONS: &str = include_str!("../../docs/operations.md");

#[test]
fn the_table_of_metrics_is_that_of_the_code() {
    let table = wm_core::metrics_table(workload_manager::metrics());
    assert!(OPERATIONS.contains(&format!("\n\n{table}\n")), "docs/operations.md should have:\n{table}");
}

#[test]
fn alerts_are_about_metrics_that_there_are() {
    let alerts = OPERATIONS.split("## Alerts").last().unwrap();
    let names: BTreeSet<_> = workload_manager::metrics().map(|metric| metric.name).collect();
    let words = alerts.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let named: BTreeSet<_> = words.filter(|word| word.starts_with("wm_")).collect();
    assert!(named.len() > 5);
    assert_eq!(named.difference(&names).collect::<Vec<_>>(), [&""; 0]);
}

#[test]
fn every_reason_of_a_verdict_is_explained_and_no_other() {
    let source = include_str!("../../wm-core/src/verdict.rs");
    let reasons = source.split("pub enum Reason {").nth(1).unwrap().split("\n}").next().unwrap();
    let reasons: BTreeSet<_> = reasons
        .lines()
        .filter_map(|line| line.trim().strip_suffix(','))
        .filter(|name| !name.contains(' '))
        .collect();
    assert!(reasons.contains("OutOfMemory"));
    let section = OPERATIONS.split("\n## ").find(|text| text.starts_with("Every reason")).unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let explained: BTreeSet<_> = rows.map(|(name, _)| name).collect();
    assert_eq!(explained, reasons);
}
