use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{Attempt, Error, ErrorKind, ImageReference, WorkloadId, WorkloadKind};

/// What somebody asks to have run: an id, a command, its environment, the image that its snapshot was built with.
///
/// Invariants, checked by [`WorkloadBuilder::build`]: environment names are not empty and hold neither `=` nor NUL, no
/// text holds a NUL, the time-out is a positive number of whole seconds.
#[derive(Clone, Debug)]
pub struct Workload {
    id: WorkloadId,
    kind: WorkloadKind,
    aliases: BTreeSet<WorkloadId>,
    attempt: AttemptRequest,
    snapshot_image: Option<ImageReference>,
    command: Vec<String>,
    arguments: Vec<String>,
    environment: BTreeMap<String, EnvironmentValue>,
    timeout: Option<Duration>,
    priority: i32,
    tenant: Option<String>,
}

/// Which attempt a workload asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttemptRequest {
    /// The unfinished attempt of the same spec if there is one, else the one after the last.
    #[default]
    Next,
    /// This very one: submitting it again is the same run.
    Exactly(Attempt),
}

/// The value of an environment variable.
#[derive(Clone)]
pub enum EnvironmentValue {
    /// Anyone who may read the run may read it.
    Plain(String),
    /// Never shown: not in a Job, a log, an error or a `Debug`.
    Secret(SecretString),
}

impl EnvironmentValue {
    /// The value itself, secret or not; only for handing it to the container.
    pub fn expose(&self) -> &str {
        match self {
            Self::Plain(value) => value,
            Self::Secret(value) => value.expose_secret(),
        }
    }

    /// Whether it must never be shown.
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }
}

impl fmt::Debug for EnvironmentValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(value) => fmt::Debug::fmt(value, f),
            Self::Secret(_) => f.write_str("[secret]"),
        }
    }
}

impl Workload {
    /// Starts to describe a workload.
    pub fn builder(id: WorkloadId, kind: WorkloadKind) -> WorkloadBuilder {
        WorkloadBuilder {
            workload: Self {
                id,
                kind,
                aliases: BTreeSet::new(),
                attempt: AttemptRequest::Next,
                snapshot_image: None,
                command: Vec::new(),
                arguments: Vec::new(),
                environment: BTreeMap::new(),
                timeout: None,
                priority: 0,
                tenant: None,
            },
        }
    }

    /// Its id.
    pub fn id(&self) -> &WorkloadId {
        &self.id
    }

    /// What its id names.
    pub fn kind(&self) -> WorkloadKind {
        self.kind
    }

    /// Other ids under which it is asked for, never its own.
    pub fn aliases(&self) -> impl Iterator<Item = &WorkloadId> {
        self.aliases.iter()
    }

    /// The same, asking for this attempt.
    pub(crate) fn at_attempt(self, attempt: Attempt) -> Self {
        Self { attempt: AttemptRequest::Exactly(attempt), ..self }
    }

    /// Which attempt it asks for.
    pub fn attempt(&self) -> AttemptRequest {
        self.attempt
    }

    /// The image that its snapshot was built with.
    pub fn snapshot_image(&self) -> Option<&ImageReference> {
        self.snapshot_image.as_ref()
    }

    /// The program; empty for the image's own entrypoint.
    pub fn command(&self) -> &[String] {
        &self.command
    }

    /// The program's arguments.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Its environment, by name.
    pub fn environment(&self) -> &BTreeMap<String, EnvironmentValue> {
        &self.environment
    }

    /// How long it may run; `None` without a limit.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Its place in a queue: higher goes first, 0 by default.
    pub fn priority(&self) -> i32 {
        self.priority
    }

    /// For whom it runs; a queue is fair between tenants.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// A hash of all that makes it another run: SHA-256, 40 hexadecimal digits.
    ///
    /// Of secrets only the names count: a server mints a new token for each try, and a hash of a value would tell about it.
    pub fn fingerprint(&self) -> String {
        #[derive(Serialize)]
        struct Spec<'a> {
            id: &'a WorkloadId,
            kind: WorkloadKind,
            image: Option<String>,
            command: &'a [String],
            arguments: &'a [String],
            plain: BTreeMap<&'a str, &'a str>,
            secret: BTreeSet<&'a str>,
            timeout: Option<u64>,
        }
        let (mut plain, mut secret) = (BTreeMap::new(), BTreeSet::new());
        for (name, value) in &self.environment {
            match value {
                EnvironmentValue::Plain(value) => drop(plain.insert(name.as_str(), value.as_str())),
                EnvironmentValue::Secret(_) => drop(secret.insert(name.as_str())),
            }
        }
        let spec = Spec {
            id: &self.id,
            kind: self.kind,
            image: self.snapshot_image.as_ref().map(ToString::to_string),
            command: &self.command,
            arguments: &self.arguments,
            plain,
            secret,
            timeout: self.timeout.map(|timeout| timeout.as_secs()),
        };
        // Serializing strings and numbers into memory can't fail.
        let text = serde_json::to_vec(&spec).unwrap_or_default();
        let digest = Sha256::digest(&text);
        digest.iter().take(20).fold(String::with_capacity(40), |mut hex, byte| {
            use fmt::Write as _;
            // Writing to a String can't fail.
            write!(hex, "{byte:02x}").unwrap_or_default();
            hex
        })
    }
}

/// Describes a [`Workload`].
#[derive(Clone, Debug)]
#[must_use]
pub struct WorkloadBuilder {
    workload: Workload,
}

impl WorkloadBuilder {
    /// Adds another id under which it will be asked for.
    pub fn alias(mut self, id: WorkloadId) -> Self {
        self.workload.aliases.insert(id);
        self
    }

    /// Asks for this attempt instead of the next.
    pub fn attempt(mut self, attempt: Attempt) -> Self {
        self.workload.attempt = AttemptRequest::Exactly(attempt);
        self
    }

    /// Sets the image that the snapshot was built with.
    pub fn snapshot_image(mut self, image: ImageReference) -> Self {
        self.workload.snapshot_image = Some(image);
        self
    }

    /// Sets the program.
    pub fn command(mut self, command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.workload.command = command.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the program's arguments.
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.workload.arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// Sets an environment variable that anyone may read.
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.workload.environment.insert(name.into(), EnvironmentValue::Plain(value.into()));
        self
    }

    /// Sets an environment variable that is never shown.
    pub fn secret(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.workload.environment.insert(name.into(), EnvironmentValue::Secret(value.into()));
        self
    }

    /// Limits the time that it may run, in whole seconds; unlimited by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.workload.timeout = Some(timeout);
        self
    }

    /// Sets its place in a queue: higher goes first, 0 by default.
    pub fn priority(mut self, priority: i32) -> Self {
        self.workload.priority = priority;
        self
    }

    /// Says for whom it runs.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.workload.tenant = Some(tenant.into());
        self
    }

    /// Checks the description.
    ///
    /// # Errors
    /// `InvalidRequest` naming the part that can't be run.
    pub fn build(mut self) -> Result<Workload, Error> {
        let workload = &mut self.workload;
        let own = workload.id.clone();
        workload.aliases.remove(&own);
        let refuse = |message: String| {
            Err(Error::new(ErrorKind::InvalidRequest, message).with_context("workload", own.as_str()))
        };
        for (name, value) in &workload.environment {
            if name.is_empty() || name.contains(['=', '\0']) {
                return refuse(format!(
                    "{name:?} is no name for an environment variable: it must not be empty or hold '=' or NUL"
                ));
            }
            if value.expose().contains('\0') {
                return refuse(format!("the value of the environment variable {name} holds a NUL character"));
            }
        }
        if let Some(index) = workload.command.iter().position(|word| word.contains('\0')) {
            return refuse(format!("command[{index}] holds a NUL character"));
        }
        if let Some(index) = workload.arguments.iter().position(|word| word.contains('\0')) {
            return refuse(format!("arguments[{index}] holds a NUL character"));
        }
        if workload.command.first().is_some_and(String::is_empty) {
            return refuse("command[0] is empty: name a program, or leave the command out".to_owned());
        }
        if let Some(timeout) = workload.timeout
            && (timeout.as_secs() == 0 || timeout.as_secs() > MAX_TIMEOUT_SECS)
        {
            return refuse(format!(
                "a time-out is 1 to {MAX_TIMEOUT_SECS} seconds; leave it out to run without a limit"
            ));
        }
        Ok(self.workload)
    }
}

/// The API of Kubernetes holds deadlines as 31 bits; half of that leaves room for grace periods.
const MAX_TIMEOUT_SECS: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> WorkloadBuilder {
        Workload::builder(WorkloadId::new("w").unwrap(), WorkloadKind::Run)
    }

    #[test]
    fn a_secret_is_never_shown() {
        let workload = builder().secret("TOKEN", "hunter2".to_owned()).build().unwrap();
        assert!(!format!("{workload:?}").contains("hunter2"));
        assert_eq!(workload.environment()["TOKEN"].expose(), "hunter2");
    }

    #[test]
    fn another_token_is_the_same_spec_but_another_argument_is_not() {
        let print = |token: &str, argument: &str| {
            builder().secret("TOKEN", token.to_owned()).arguments([argument]).build().unwrap().fingerprint()
        };
        assert_eq!(print("a", "x"), print("b", "x"));
        assert_ne!(print("a", "x"), print("a", "y"));
        assert_eq!(print("a", "x").len(), 40);
    }

    #[test]
    fn each_part_counts_for_the_fingerprint() {
        let base = builder().build().unwrap().fingerprint();
        let others = [
            builder().command(["a"]).build(),
            builder().arguments(["a"]).build(),
            builder().variable("A", "").build(),
            builder().secret("A", String::new()).build(),
            builder().timeout(Duration::from_secs(1)).build(),
            builder().snapshot_image("a".parse().unwrap()).build(),
        ];
        let prints: BTreeSet<_> =
            others.into_iter().map(|workload| workload.unwrap().fingerprint()).collect();
        assert_eq!(prints.len(), 6);
        assert!(!prints.contains(&base));
    }

    #[test]
    fn bad_parts_are_named() {
        for (workload, part) in [
            (builder().variable("A=B", ""), "A=B"),
            (builder().variable("", ""), "\"\""),
            (builder().variable("A", "x\0"), "variable A"),
            (builder().command(["a", "\0"]), "command[1]"),
            (builder().command([""]), "command[0]"),
            (builder().arguments(["\0"]), "arguments[0]"),
            (builder().timeout(Duration::from_millis(10)), "time-out"),
        ] {
            let error = workload.build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest);
            assert!(error.message().contains(part), "{error}");
        }
    }
}
