//! The table of what is called at AWS, and the policies that are made of it.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// A call that is made, and the right that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AwsCall {
    /// The operation, as AWS' documents name it.
    pub operation: &'static str,
    /// The IAM action.
    pub action: &'static str,
    /// What the right is about.
    pub resource: AwsResource,
    /// For which of the policies.
    pub policy: AwsPolicy,
    /// What it is for.
    pub purpose: &'static str,
    /// What happens without the right.
    pub without: &'static str,
}

/// What a right is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsResource {
    /// The objects of the logs.
    Objects,
    /// The bucket of the logs.
    Bucket,
    /// The repositories of the registry.
    Repositories,
    /// Nothing in particular.
    Any,
}

/// Who needs which rights for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsPolicy {
    /// The server, to keep logs.
    Logs,
    /// The server, to remove logs too.
    LogRemoval,
    /// The server, to look for runner images and to make their repositories.
    Images,
    /// The pods that build images, and push them by the identity of their pod.
    Builder,
}

impl AwsPolicy {
    /// All, in the order of the documents.
    pub const ALL: [Self; 4] = [Self::Logs, Self::LogRemoval, Self::Images, Self::Builder];

    const fn who(self) -> &'static str {
        match self {
            Self::Logs => "server, logs",
            Self::LogRemoval => "server, removal of logs",
            Self::Images => "server, images",
            Self::Builder => "builder pods",
        }
    }
}

/// All calls.
pub const AWS_CALLS: &[AwsCall] = &[
    AwsCall {
        operation: "PutObject",
        action: "s3:PutObject",
        resource: AwsResource::Objects,
        policy: AwsPolicy::Logs,
        purpose: "writes a chunk of a log, a seal, a mark",
        without: "the server does not start with external logs",
    },
    AwsCall {
        operation: "GetObject",
        action: "s3:GetObject",
        resource: AwsResource::Objects,
        policy: AwsPolicy::Logs,
        purpose: "reads a chunk, also to see who wrote it",
        without: "logs are neither written nor read",
    },
    AwsCall {
        operation: "ListObjectsV2",
        action: "s3:ListBucket",
        resource: AwsResource::Bucket,
        policy: AwsPolicy::Logs,
        purpose: "finds the chunks of a log",
        without: "logs are neither written nor read; S3 answers 403 for an object that is missing",
    },
    AwsCall {
        operation: "DeleteObject",
        action: "s3:DeleteObject",
        resource: AwsResource::Objects,
        policy: AwsPolicy::LogRemoval,
        purpose: "removes the log of a workload that is deleted",
        without: "the log stays, until a lifecycle rule removes it",
    },
    AwsCall {
        operation: "DescribeImages",
        action: "ecr:DescribeImages",
        resource: AwsResource::Repositories,
        policy: AwsPolicy::Images,
        purpose: "looks whether a runner image is there",
        without: "`BatchGetImage` is asked instead",
    },
    AwsCall {
        operation: "BatchGetImage",
        action: "ecr:BatchGetImage",
        resource: AwsResource::Repositories,
        policy: AwsPolicy::Images,
        purpose: "the same, where `DescribeImages` is refused",
        without: "nobody knows whether the image is there, so its build is asked for",
    },
    AwsCall {
        operation: "CreateRepository",
        action: "ecr:CreateRepository",
        resource: AwsResource::Repositories,
        policy: AwsPolicy::Images,
        purpose: "makes the repository of runner images, with immutable tags",
        without: "the repository has to be there, or be made with the first push",
    },
    AwsCall {
        operation: "CreateRepository",
        action: "ecr:TagResource",
        resource: AwsResource::Repositories,
        policy: AwsPolicy::Images,
        purpose: "tags it `managed-by: workload-manager`",
        without: "as without `ecr:CreateRepository`",
    },
    AwsCall {
        operation: "GetAuthorizationToken",
        action: "ecr:GetAuthorizationToken",
        resource: AwsResource::Any,
        policy: AwsPolicy::Images,
        purpose: "a token to push with, for builders that can't use the identity of their pod",
        without: "only such builders fail",
    },
    AwsCall {
        operation: "GetAuthorizationToken",
        action: "ecr:GetAuthorizationToken",
        resource: AwsResource::Any,
        policy: AwsPolicy::Builder,
        purpose: "the push of an image",
        without: "the push is refused",
    },
    push("BatchCheckLayerAvailability", "ecr:BatchCheckLayerAvailability"),
    push("InitiateLayerUpload", "ecr:InitiateLayerUpload"),
    push("UploadLayerPart", "ecr:UploadLayerPart"),
    push("CompleteLayerUpload", "ecr:CompleteLayerUpload"),
    push("PutImage", "ecr:PutImage"),
    push("BatchGetImage", "ecr:BatchGetImage"),
    push("GetDownloadUrlForLayer", "ecr:GetDownloadUrlForLayer"),
];

const fn push(operation: &'static str, action: &'static str) -> AwsCall {
    let (resource, policy) = (AwsResource::Repositories, AwsPolicy::Builder);
    AwsCall {
        operation,
        action,
        resource,
        policy,
        purpose: "the push of an image",
        without: "the push is refused",
    }
}

/// What the rights of a policy are about.
#[derive(Clone, Debug)]
pub struct AwsNames {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// The bucket of the logs.
    pub bucket: String,
    /// What the keys of logs begin with.
    pub prefix: Option<String>,
    /// The account of the registry.
    pub account: String,
    /// The region of the registry.
    pub region: String,
    /// The repositories; `*` for any part of a name.
    pub repositories: String,
}

impl AwsNames {
    fn arn(&self, resource: AwsResource) -> String {
        let Self { partition, bucket, account, region, repositories, .. } = self;
        match (resource, &self.prefix) {
            (AwsResource::Objects, Some(prefix)) => format!("arn:{partition}:s3:::{bucket}/{prefix}/v1/*"),
            (AwsResource::Objects, None) => format!("arn:{partition}:s3:::{bucket}/v1/*"),
            (AwsResource::Bucket, _) => format!("arn:{partition}:s3:::{bucket}"),
            (AwsResource::Repositories, _) => {
                format!("arn:{partition}:ecr:{region}:{account}:repository/{repositories}")
            }
            (AwsResource::Any, _) => "*".to_owned(),
        }
    }
}

/// The IAM policy for this, with no more rights than are used.
pub fn aws_policy(policy: AwsPolicy, names: &AwsNames) -> Value {
    let mut statements: Vec<(AwsResource, Vec<&str>)> = Vec::new();
    for call in AWS_CALLS.iter().filter(|call| call.policy == policy) {
        match statements.iter_mut().find(|(resource, _)| *resource == call.resource) {
            Some((_, actions)) => actions.push(call.action),
            None => statements.push((call.resource, vec![call.action])),
        }
    }
    let statements = statements.into_iter().map(|(resource, actions)| {
        json!({ "Effect": "Allow", "Action": actions, "Resource": names.arn(resource) })
    });
    json!({ "Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>() })
}

/// Writes the calls as a table in Markdown.
pub fn aws_calls_table() -> String {
    let mut table =
        String::from("| Who | Operation | Right | What for | Without it |\n|---|---|---|---|---|\n");
    for AwsCall { operation, action, policy, purpose, without, .. } in AWS_CALLS {
        // Writing to a String can't fail.
        let _infallible =
            writeln!(table, "| {} | `{operation}` | `{action}` | {purpose} | {without} |", policy.who());
    }
    table
}
