//! The embedded cluster as its clients see it.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod client;
mod clock;
mod deletion;
mod faults_http;
mod faults_pods;
mod killed;
mod kube_client;
mod kubectl;
mod lists;
mod logs;
mod many;
mod refusals;
mod replay;
mod security;
mod updates;
mod volumes;
mod watches;
