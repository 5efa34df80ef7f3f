//! Whether a check passes.

use std::{collections::BTreeSet, panic::AssertUnwindSafe};

use futures::FutureExt as _;
use wm_core::testkit::{Check, LIMIT};

/// Runs a check; its complaint if it fails.
pub(crate) async fn complaint<H: ?Sized + Sync>(check: &Check<H>, harness: &H) -> Option<String> {
    let run = AssertUnwindSafe((check.run)(harness)).catch_unwind();
    match tokio::time::timeout(LIMIT, run).await {
        Ok(Ok(())) => None,
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<String>().cloned();
            Some(
                text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                    .unwrap_or_default(),
            )
        }
        Err(_elapsed) => Some("it waits for something that never comes".to_owned()),
    }
}

/// Proves that each check passes on a healthy backend, that each fault makes its check fail, and that each check has a
/// fault.
pub(crate) async fn prove<H: ?Sized + Send + Sync, F: Copy + std::fmt::Debug + Send + Sync>(
    checks: &[Check<H>],
    faults: &[(&str, F)],
    harness: impl Fn(Option<F>) -> Box<H> + Send + Sync,
) {
    let mut wrong = Vec::new();
    let caught: BTreeSet<&str> = faults.iter().map(|(name, _)| *name).collect();
    for check in checks {
        if let Some(complaint) = complaint(check, &*harness(None)).await {
            wrong.push(format!("{} fails on the healthy backend: {complaint}", check.name));
        }
        if !caught.contains(check.name) {
            wrong.push(format!("{} has no fault that it catches", check.name));
        }
    }
    for (name, fault) in faults {
        let Some(check) = checks.iter().find(|check| check.name == *name) else {
            wrong.push(format!("there is no check {name}"));
            continue;
        };
        if complaint(check, &*harness(Some(*fault))).await.is_none() {
            wrong.push(format!("{name} does not catch {fault:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
