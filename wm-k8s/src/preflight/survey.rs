//! What the cluster is asked: reads, reviews and dry runs, none of which leaves anything behind.

use std::fmt;

use bytes::Bytes;
use futures::future::join_all;
use http::HeaderMap;
use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value, json};
use wm_core::{
    Attempt, Error, ErrorKind, ImageReference, ImageRequest, ImageStrategy, Result, RunId, RunRequest,
    Workload, WorkloadId, WorkloadKind,
};

use super::warning;
use crate::{
    api::Api,
    error::{CallError, Refusal},
    lost,
    manifest::{self, SecretMode},
    rights::{self, RIGHTS, Right, right},
    shared::Shared,
};

/// What is looked at only if it may be; the manager itself uses none of it.
pub(super) const GET_ACCOUNT: Right =
    right("", "serviceaccounts", "get", false, "look at the service account");
const GET_SECRET: Right = right("", "secrets", "get", false, "look at the pull secrets");
const LIST_QUOTAS: Right = right("", "resourcequotas", "list", false, "look at the quotas");
const LIST_LIMITS: Right = right("", "limitranges", "list", false, "look at the limit ranges");
const CREATE_POD: Right = right("", "pods", "create", false, "try a pod out");
const EXTRAS: [Right; 5] = [GET_ACCOUNT, GET_SECRET, LIST_QUOTAS, LIST_LIMITS, CREATE_POD];

/// Something that was asked for.
#[derive(Clone, Debug)]
pub(super) enum Told<T> {
    Is(T),
    /// There is no such object.
    Missing,
    /// It can't be told, and why.
    Unknown(String),
}

/// What a dry run said.
#[derive(Clone, Debug)]
pub(super) enum Trial {
    Accepted { warnings: Vec<String>, lost: Vec<String> },
    Refused(Refusal),
    Unknown(String),
}

/// A Secret, as far as it is anybody's business: what is in it is never decoded.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PullSecret {
    pub(super) r#type: String,
    pub(super) data: Keys,
}

/// The keys of a map whose values are left alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct OfMap;
        impl<'de> Visitor<'de> for OfMap {
            type Value = Keys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Keys, A::Error> {
                let mut keys = Keys::default();
                while let Some((key, IgnoredAny)) = map.next_entry()? {
                    keys.0.push(key);
                }
                Ok(keys)
            }
        }
        deserializer.deserialize_map(OfMap)
    }
}

/// All answers.
#[derive(Clone, Debug)]
pub(super) struct Survey {
    /// The user that the credentials stand for.
    pub(super) user: Told<String>,
    /// Whether we have each right; `None` where nobody answered.
    pub(super) rights: Vec<(&'static Right, Option<bool>)>,
    pub(super) namespace: Told<Value>,
    pub(super) account: Told<Value>,
    /// By name, and whether the settings name it: else the service account does.
    pub(super) pull_secrets: Vec<(String, bool, Told<PullSecret>)>,
    pub(super) quotas: Told<Vec<Value>>,
    pub(super) limit_ranges: Told<Vec<Value>>,
    /// The Job that is tried out: a real one, but for its command.
    pub(super) job: Value,
    pub(super) job_trial: Trial,
    /// The same of the Job's pod, if the credentials may make pods.
    pub(super) pod_trial: Option<Trial>,
}

impl Survey {
    pub(super) async fn take(shared: &Shared, images: &dyn ImageStrategy) -> Result<Self> {
        let api = &shared.api;
        let rights = join_all(RIGHTS.iter().map(|right| async move {
            (right, api.may(&rights::review(right, api.namespace())).await.ok())
        }));
        let extras = join_all(EXTRAS.iter().map(|right| may(api, right)));
        let (rights, extras, user) = futures::join!(rights, extras, user(api));
        let [account, secret, quotas, limits, pod]: [_; 5] = extras
            .try_into()
            .map_err(|_| Error::new(ErrorKind::Unexpected, "the answers are not as many as the questions"))?;
        let sees_namespace = granted(&rights, "namespaces", "get");

        let path = |rest: &str| format!("/api/v1/namespaces/{}{rest}", api.namespace());
        let namespace =
            async { if sees_namespace { object(api, &path("")).await } else { refused("get namespaces") } };
        let account_name = &shared.settings.service_account;
        let account = async {
            if let Err(why) = account {
                return Told::Unknown(why);
            }
            object::<Value>(api, &path(&format!("/serviceaccounts/{account_name}"))).await
        };
        let quotas = list(api, path("/resourcequotas"), quotas);
        let limit_ranges = list(api, path("/limitranges"), limits);
        let (namespace, account, quotas, limit_ranges) =
            futures::join!(namespace, account, quotas, limit_ranges);

        let names = pull_secret_names(&shared.settings.image_pull_secrets, &account);
        let pull_secrets = join_all(names.into_iter().map(|(name, is_ours)| {
            let (secret, path) = (secret.clone(), path(&format!("/secrets/{name}")));
            async move {
                let told = match secret {
                    Ok(()) => object(api, &path).await,
                    Err(why) => Told::Unknown(why),
                };
                (name, is_ours, told)
            }
        }));
        let job = job(shared, images).await?;
        let jobs = format!("/apis/batch/v1/namespaces/{}/jobs?dryRun=All", api.namespace());
        let pod_object = pod_of(&job);
        let pods = path("/pods?dryRun=All");
        let pod_trial =
            async { if pod.is_err() { None } else { Some(trial(api, &pods, &pod_object).await) } };
        let (pull_secrets, job_trial, pod_trial) =
            futures::join!(pull_secrets, trial(api, &jobs, &job), pod_trial);
        Ok(Self {
            user,
            rights,
            namespace,
            account,
            pull_secrets,
            quotas,
            limit_ranges,
            job,
            job_trial,
            pod_trial,
        })
    }
}

fn granted(rights: &[(&'static Right, Option<bool>)], resource: &str, verb: &str) -> bool {
    rights
        .iter()
        .any(|(right, granted)| right.resource == resource && right.verb == verb && *granted != Some(false))
}

/// Whether there is a right; else why not.
async fn may(api: &Api, right: &Right) -> std::result::Result<(), String> {
    match api.may(&rights::review(right, api.namespace())).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(no_right(&format!("{} {}", right.verb, right.resource))),
        Err(error) => Err(words(error, api)),
    }
}

fn no_right(what: &str) -> String {
    format!("the credentials may not {what}")
}

fn refused<T>(what: &str) -> Told<T> {
    Told::Unknown(no_right(what))
}

/// The user that asks. Servers older than 1.28 don't tell.
async fn user(api: &Api) -> Told<String> {
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
    match api.submit_to_be_judged(path, &review).await {
        Ok(answer) => {
            let name = serde_json::from_slice::<Value>(&answer.body)
                .ok()
                .and_then(|review| review["status"]["userInfo"]["username"].as_str().map(str::to_owned));
            name.map_or_else(|| Told::Unknown("the answer names nobody".to_owned()), Told::Is)
        }
        Err(error) => Told::Unknown(words(error, api)),
    }
}

async fn object<T: serde::de::DeserializeOwned>(api: &Api, path: &str) -> Told<T> {
    match api.read(path).await {
        Ok(answer) => match serde_json::from_slice(&answer.body) {
            Ok(object) => Told::Is(object),
            Err(error) => Told::Unknown(words(CallError::Unreadable(error), api)),
        },
        Err(error) if error.is_not_found() && !is_unserved(&error) => Told::Missing,
        Err(error) => Told::Unknown(words(error, api)),
    }
}

async fn list(api: &Api, path: String, allowed: std::result::Result<(), String>) -> Told<Vec<Value>> {
    if let Err(why) = allowed {
        return Told::Unknown(why);
    }
    match object::<Value>(api, &path).await {
        Told::Is(mut list) => match list["items"].take() {
            Value::Array(items) => Told::Is(items),
            _ => Told::Is(Vec::new()),
        },
        Told::Missing => Told::Unknown("the server does not know them".to_owned()),
        Told::Unknown(why) => Told::Unknown(why),
    }
}

/// Whether it is the kind of object that the server does not know, not this one.
fn is_unserved(error: &CallError) -> bool {
    error.refusal().is_some_and(|refusal| {
        refusal.reason != "NotFound" || refusal.message.contains("could not find the requested resource")
    })
}

fn words(error: CallError, api: &Api) -> String {
    match error {
        CallError::Refused(refusal) if !refusal.message.is_empty() => refusal.message,
        CallError::Refused(refusal) => format!("HTTP {}", refusal.code),
        error => error.into_error("no answer", api.namespace()).message().to_owned(),
    }
}

/// The pull secrets of the settings, then those that only the service account names.
fn pull_secret_names(ours: &[String], account: &Told<Value>) -> Vec<(String, bool)> {
    let mut names: Vec<_> = ours.iter().map(|name| (name.clone(), true)).collect();
    // A pod that names some does not get those of its account.
    if let (Told::Is(account), true) = (account, ours.is_empty()) {
        let theirs = account["imagePullSecrets"].as_array().into_iter().flatten();
        names.extend(theirs.filter_map(|secret| Some((secret["name"].as_str()?.to_owned(), false))));
    }
    names
}

/// A runner's Job as it would be submitted now, of a name that nothing has.
async fn job(shared: &Shared, images: &dyn ImageStrategy) -> Result<Value> {
    let id: WorkloadId = format!("preflight-{}", Timestamp::now().as_millisecond()).parse()?;
    let any: ImageReference = "registry.example.com/preflight:1".parse()?;
    let image = if images.capabilities().build_images {
        // To resolve it would build it.
        any
    } else {
        images.resolve(&ImageRequest::new(id.clone(), WorkloadKind::Run, Some(any))).await?.image
    };
    let run = RunId { workload: id.clone(), kind: WorkloadKind::Run, attempt: Attempt::FIRST };
    let workload = Workload::builder(id, WorkloadKind::Run).command(["true"]).build()?;
    let request = RunRequest::new(workload, image);
    let restriction = shared.restriction().await;
    let manifests =
        manifest::job(&request, &run, &shared.settings, restriction, SecretMode::Plain, &[], None)?;
    Ok(manifests.job)
}

/// The pod that the Job controller would make of a Job.
fn pod_of(job: &Value) -> Value {
    let template = &job["spec"]["template"];
    let mut metadata = template["metadata"].as_object().cloned().unwrap_or_else(Map::new);
    metadata.insert("name".to_owned(), job["metadata"]["name"].clone());
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"] })
}

async fn trial(api: &Api, path: &str, object: &Value) -> Trial {
    match api.submit_to_be_judged(path, object).await {
        Ok(answer) => accepted(object, &answer.headers, &answer.body),
        Err(CallError::Refused(refusal)) => Trial::Refused(refusal),
        Err(error) => Trial::Unknown(words(error, api)),
    }
}

fn accepted(sent: &Value, headers: &HeaderMap, made: &Bytes) -> Trial {
    match lost::fields(sent, made) {
        Ok(lost) => Trial::Accepted { warnings: warning::texts(headers), lost },
        Err(error) => Trial::Unknown(format!("the answer can't be read: {error}")),
    }
}
