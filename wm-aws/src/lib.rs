//! What AWS is to a workload manager: S3 for logs, ECR for images.
//!
//! Nothing here is more than a third party could write for another cloud: [`S3ChunkStore`] is a
//! [`ChunkStore`](wm_core::ChunkStore), all else that makes an archive of logs is elsewhere. [`Ecr`] is a
//! [`ManifestProbe`](wm_core::ManifestProbe) and a [`RegistrySetup`](wm_core::RegistrySetup) that leaves other registries to
//! others.

mod account;
mod ecr;
mod error;
mod rights;
mod s3;

pub use crate::{
    account::AwsAccount,
    ecr::{Ecr, EcrHost, EcrSettings},
    rights::{AWS_CALLS, AwsCall, AwsNames, AwsPolicy, AwsResource, aws_calls_table, aws_policy},
    s3::{S3ChunkStore, S3Encryption, S3Settings},
};
