use crate::{
    grammar::{bucket, region},
    settings::S3Location,
    table::{COMMON, Key, Requirement, Section, Variable},
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
