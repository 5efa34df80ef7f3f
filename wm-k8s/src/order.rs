//! What a Job is to be made of.

use jiff::Timestamp;
use wm_core::{AttemptRequest, EnvironmentValue, Result, RunId, RunRequest, WorkloadId, WorkloadKind};

use crate::{
    builds::BuildRequest,
    manifest::{self, Manifests, SecretMode},
    messages::Message,
    names,
    security::Restriction,
    settings::KubernetesSettings,
};

/// A run of a workload, or the build of an image.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order<'a> {
    Run(&'a RunRequest),
    Build(&'a BuildRequest),
}

impl<'a> Order<'a> {
    /// What makes two orders the same.
    pub(crate) fn fingerprint(self) -> String {
        match self {
            Self::Run(request) => request.workload.fingerprint(),
            Self::Build(request) => names::build_spec(&request.fingerprint),
        }
    }

    pub(crate) fn kind(self) -> WorkloadKind {
        match self {
            Self::Run(request) => request.workload.kind(),
            Self::Build(_) => WorkloadKind::Build,
        }
    }

    pub(crate) fn attempt(self) -> AttemptRequest {
        match self {
            Self::Run(request) => request.workload.attempt(),
            Self::Build(request) => AttemptRequest::Exactly(request.attempt),
        }
    }

    /// The ids under which it is asked for, its own last.
    pub(crate) fn ids(self) -> impl Iterator<Item = &'a WorkloadId> {
        let (aliases, own) = match self {
            Self::Run(request) => (Some(request.workload.aliases()), request.workload.id()),
            Self::Build(request) => (None, &request.id),
        };
        aliases.into_iter().flatten().chain([own])
    }

    /// What is to be in the log from the beginning.
    pub(crate) fn messages(self) -> Vec<Message> {
        let texts = match self {
            Self::Run(request) => request.messages.as_slice(),
            Self::Build(_) => &[],
        };
        texts.iter().flat_map(|text| Message::lines(text)).collect()
    }

    /// The values that must not be in a Job.
    pub(crate) fn secrets(self) -> Vec<(&'a str, &'a EnvironmentValue)> {
        let values = match self {
            Self::Run(request) => request.workload.environment(),
            Self::Build(request) => &request.secrets,
        };
        let named = values.iter().map(|(name, value)| (name.as_str(), value));
        named.filter(|(_, value)| value.is_secret()).collect()
    }

    pub(crate) fn manifests(
        self,
        run: &RunId,
        settings: &KubernetesSettings,
        restriction: Restriction,
        secrets: SecretMode,
        messages: &[Message],
        submitted: Timestamp,
    ) -> Result<Manifests> {
        let submitted = Some(submitted);
        match self {
            Self::Run(request) => {
                manifest::job(request, run, settings, restriction, secrets, messages, submitted)
            }
            Self::Build(request) => manifest::build(request, run, settings, secrets, messages, submitted),
        }
    }
}
