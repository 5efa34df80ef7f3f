use crate::{
    grammar::{bucket, region, scalar},
    settings::{S3Encryption, S3Location},
    table::{COMMON, Documented, Key, Requirement, Section, Variable},
    variable,
};

pub(crate) static BUCKET: Key<S3Location> = Key {
    variable: Variable {
        name: variable::BUCKET,
        section: Section::Aws,
        required: Requirement::WhenLogsExternal,
        unset: "no external logs",
        description: "The S3 bucket of the external logs, and what their keys begin with.",
        allowed: "s3://bucket or s3://bucket/prefix",
        example: "s3://my-bucket/run-template-logs",
        ..COMMON
    },
    parse: bucket::location,
};

pub(crate) static REGION: Key<String> = Key {
    variable: Variable {
        name: variable::REGION,
        section: Section::Aws,
        required: Requirement::WhenAwsIsUsed,
        unset: "the AWS client's own rule",
        description: "The AWS region of registry and bucket.",
        allowed: "an AWS region as AWS spells it",
        example: "eu-central-1",
        ..COMMON
    },
    parse: region::region,
};

pub(crate) static S3_ENDPOINT: Key<String> = Key {
    variable: Variable {
        name: variable::S3_ENDPOINT,
        section: Section::Aws,
        documented: Documented::Here,
        unset: "S3 itself",
        description: "The address of a store that speaks S3 and is not AWS'. Its buckets are addressed by path, and it is \
                      sent no checksums that not all stores understand.",
        allowed: "http:// or https://, a host, and perhaps a port",
        example: "https://minio.example.com:9000",
        ..COMMON
    },
    parse: bucket::endpoint,
};

pub(crate) static S3_ENCRYPTION: Key<S3Encryption> = Key {
    variable: Variable {
        name: variable::S3_ENCRYPTION,
        section: Section::Aws,
        documented: Documented::Here,
        unset: "as the bucket says",
        description: "How the objects of the external logs are encrypted: with S3's own keys, with the account's KMS key for \
                      S3, or with the KMS key of this id or ARN.",
        allowed: "AES256, aws:kms, or aws:kms: and a key's id or ARN",
        example: "aws:kms:arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        ..COMMON
    },
    parse: bucket::encryption,
};

pub(crate) static CREATE_REPOSITORIES: Key<bool> = Key {
    variable: Variable {
        name: variable::CREATE_REPOSITORIES,
        section: Section::Aws,
        documented: Documented::Here,
        default: Some("true"),
        description: "Whether a repository that ECR does not have is made before the first image is pushed to it, with \
                      tags that can't be changed.",
        allowed: "true or false",
        example: "false",
        ..COMMON
    },
    parse: scalar::boolean,
};
