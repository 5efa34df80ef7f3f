//! S3 and ECR as AWS' clients see them, on servers of this process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod bucket;
mod contract;
mod documents;
mod ecr;
mod live;
mod s3;
mod serve;
