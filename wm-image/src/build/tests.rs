use std::{error::Error as _, sync::Arc};

use futures::{FutureExt as _, future::join_all};
use tokio::task::JoinSet;
use wm_core::{ErrorKind, ImageReference, Reason, WorkloadKind, testkit::StrategyHarness};

use super::{
    yard::{DIGEST, OTHER, Yard, failure, success},
    *,
};
use crate::{BuildFailed, EngineName};

const TEXT: &str = "FROM registry.example/parent:1\nRUN pip install uv";

fn settings() -> BuilderSettings {
    BuilderSettings::new("registry.example/team")
}

fn request(workload: &str) -> ImageRequest {
    ImageRequest::new(WorkloadId::new(workload).unwrap(), WorkloadKind::Run, None).with_dockerfile(TEXT)
}

fn image() -> String {
    format!("registry.example/team/zenml-runner:{}", crate::dockerfile_hash(TEXT))
}

fn by_digest(digest: &str) -> String {
    format!("registry.example/team/zenml-runner@{digest}")
}

/// Asks for an image in a task of its own.
fn ask(build: &Build, workload: &str, tasks: &mut JoinSet<Result<ResolvedImage>>) {
    let (build, request) = (build.clone(), request(workload));
    tasks.spawn(async move { build.resolve(&request).await });
}

/// One caller, and what a test does once its Job is there.
async fn built(yard: &Yard, then: impl FnOnce(&Yard)) -> Result<ResolvedImage> {
    let build = yard.build(settings());
    let mut tasks = JoinSet::new();
    ask(&build, "w", &mut tasks);
    yard.until(|seen| !seen.included.is_empty()).await;
    then(yard);
    tasks.join_next().await.unwrap().unwrap()
}

async fn plan(yard: &Yard) -> BuildPlan {
    yard.build(settings()).plan(&request("w")).await.unwrap()
}

#[tokio::test]
async fn an_image_that_is_there_is_taken_as_it_is() {
    let yard = Yard::new();
    yard.has_image(&image(), DIGEST);
    let resolved = yard.build(settings()).resolve(&request("w")).await.unwrap();
    assert_eq!(resolved.image.as_str(), by_digest(DIGEST));
    assert!(resolved.explanation.contains("built before"), "{}", resolved.explanation);
    let seen = yard.seen();
    assert_eq!(
        (seen.submissions, seen.probes, seen.messages.len()),
        (0, 1, 0),
        "one question and nothing else"
    );
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_not_there_is_built_and_run_by_its_digest() {
    let yard = Yard::new();
    // The registry's word counts, not the builder's.
    let resolved = built(&yard, |yard| yard.ends(1, success(Some(OTHER)), Some(DIGEST))).await.unwrap();
    assert_eq!(resolved.image.as_str(), by_digest(DIGEST));
    assert!(resolved.explanation.contains("has been built"), "{}", resolved.explanation);
    let seen = yard.seen();
    assert_eq!(seen.repositories, [image()]);
    assert_eq!(seen.created.len(), 1);
    let (workload, message) = &seen.messages[0];
    assert_eq!(workload, "w");
    assert!(message.starts_with(&format!("Building image {} with kaniko", image())), "{message}");
    assert_eq!(seen.included, [("w".to_owned(), wm_core::Attempt::FIRST)], "its log is the workload's");
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_cannot_be_asked_fails_no_launch() {
    let yard = Yard::new();
    yard.trouble(Some("it asks for credentials"));
    let resolved =
        built(&yard, |yard| yard.ends(1, success(Some(&format!("{DIGEST}\n"))), None)).await.unwrap();
    assert_eq!(resolved.image.as_str(), by_digest(DIGEST), "the builder's own word");
    assert!(
        resolved.explanation.contains("does not confirm it: it asks for credentials"),
        "{}",
        resolved.explanation
    );
}

#[tokio::test(start_paused = true)]
async fn a_builder_that_leaves_no_digest_leaves_the_tag() {
    for message in [None, Some("sha256:123"), Some("some log\nlines"), Some(&DIGEST.to_uppercase())] {
        let yard = Yard::new();
        yard.trouble(Some("it is down"));
        let resolved = built(&yard, |yard| yard.ends(1, success(message), None)).await.unwrap();
        assert_eq!(resolved.image.as_str(), image(), "{message:?}");
        assert!(resolved.explanation.contains("does not confirm it"), "{}", resolved.explanation);
    }
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_is_slow_to_know_is_asked_again() {
    let yard = Yard::new();
    let resolved = built(&yard, |yard| {
        yard.answers([Probe::Absent, Probe::Unknown("503".to_owned())]);
        yard.ends(1, success(Some(OTHER)), Some(DIGEST));
    });
    assert_eq!(resolved.await.unwrap().image.as_str(), by_digest(DIGEST));
}

#[tokio::test(start_paused = true)]
async fn a_build_of_another_server_is_joined() {
    let yard = Yard::new();
    yard.has_job(&plan(&yard).await, 1, None);
    let resolved = built(&yard, |yard| {
        yard.has_image(&image(), DIGEST);
        yard.ends(1, success(None), None);
    });
    assert_eq!(resolved.await.unwrap().image.as_str(), by_digest(DIGEST));
    let seen = yard.seen();
    assert_eq!((seen.created.len(), seen.submissions), (0, 1));
    assert!(seen.messages[0].1.contains("is being built already"), "{:?}", seen.messages);
}

#[tokio::test(start_paused = true)]
async fn what_became_of_earlier_builds_decides() {
    // It ended well a moment ago, and the first look came before.
    let yard = Yard::new();
    yard.has_job(&plan(&yard).await, 1, Some(success(Some(OTHER))));
    yard.answers([Probe::Absent]);
    yard.has_image(&image(), DIGEST);
    let resolved = yard.build(settings()).resolve(&request("w")).await.unwrap();
    assert_eq!(resolved.image.as_str(), by_digest(DIGEST));
    assert!(yard.seen().created.is_empty());

    // It ended well, and its image was deleted since.
    let yard = Yard::new();
    yard.has_job(&plan(&yard).await, 1, Some(success(Some(OTHER))));
    let resolved = built(&yard, |yard| yard.ends(2, success(None), Some(DIGEST))).await.unwrap();
    assert_eq!(resolved.image.as_str(), by_digest(DIGEST));
    assert_eq!(yard.seen().created.iter().map(|one| one.get()).collect::<Vec<_>>(), [2]);

    // It ended well, and nobody can tell whether the image is there: the builder's word counts.
    let yard = Yard::new();
    yard.has_job(&plan(&yard).await, 1, Some(success(Some(OTHER))));
    yard.trouble(Some("it is down"));
    let resolved = yard.build(settings()).resolve(&request("w")).await.unwrap();
    assert_eq!(resolved.image.as_str(), by_digest(OTHER));

    // It failed for others: this caller has a try of its own.
    let yard = Yard::new();
    let plan = plan(&yard).await;
    yard.has_job(&plan, 1, Some(failure(Reason::ExitCode, &[], None)));
    yard.has_job(&plan, 2, Some(failure(Reason::ExitCode, &[], None)));
    let resolved = built(&yard, |yard| yard.ends(3, success(None), Some(DIGEST))).await.unwrap();
    assert_eq!(resolved.image.as_str(), by_digest(DIGEST));
}

#[tokio::test(start_paused = true)]
async fn fifty_callers_on_two_servers_make_one_job() {
    let yard = Yard::new();
    let servers = [yard.build(settings()), yard.build(settings())];
    let mut tasks = JoinSet::new();
    for number in 0..50 {
        ask(&servers[number % 2], &format!("w-{number}"), &mut tasks);
    }
    yard.until(|seen| seen.included.len() == 50).await;
    yard.ends(1, success(Some(OTHER)), Some(DIGEST));
    for resolved in tasks.join_all().await {
        assert_eq!(resolved.unwrap().image.as_str(), by_digest(DIGEST));
    }
    let seen = yard.seen();
    assert_eq!(seen.created.len(), 1);
    assert_eq!(seen.submissions, 2, "one from each server");
    assert_eq!(seen.probes, 4, "each server looks before and after");
}

#[tokio::test(start_paused = true)]
async fn a_failed_build_gives_all_who_waited_the_same_verdict() {
    let yard = Yard::new();
    let servers = [yard.build(settings()), yard.build(settings())];
    let mut tasks = JoinSet::new();
    for number in 0..10 {
        ask(&servers[number % 2], &format!("w-{number}"), &mut tasks);
    }
    yard.until(|seen| seen.included.len() == 10).await;
    let log = ["RUN pip install uv", "no such thing", "error building image: exit status 3"];
    // The digest is written before the push, so it says nothing of a build that failed.
    yard.ends(1, failure(Reason::ExitCode, &log, Some(DIGEST)), None);
    let errors: Vec<_> = tasks.join_all().await.into_iter().map(Result::unwrap_err).collect();
    let verdict = |error: &wm_core::Error| {
        let failed: &BuildFailed = error.source().unwrap().downcast_ref().unwrap();
        failed.verdict().clone()
    };
    for error in &errors {
        assert_eq!(verdict(error), verdict(&errors[0]));
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        for word in
            ["line 2 of the Dockerfile", "RUN pip install uv", "no such thing", "read the build's log"]
        {
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
    }
    assert_eq!(verdict(&errors[0]).evidence.log_tail, log);
    assert_eq!(yard.seen().created.len(), 1, "nobody tries again for them");
}

#[tokio::test(start_paused = true)]
async fn who_comes_after_a_failure_has_a_try_of_their_own() {
    let yard = Yard::new();
    let build = yard.build(settings());
    let order = build.workshop.order(&request("w")).unwrap();
    // Somebody still holds the failed one.
    let held = build.workshop.flight(order);
    let mut tasks = JoinSet::new();
    ask(&build, "w", &mut tasks);
    yard.until(|seen| !seen.included.is_empty()).await;
    yard.ends(1, failure(Reason::ExitCode, &[], None), None);
    tasks.join_next().await.unwrap().unwrap().unwrap_err();
    assert!(held.has_ended());
    ask(&build, "v", &mut tasks);
    yard.until(|seen| seen.created.len() == 2).await;
    yard.ends(2, success(None), Some(DIGEST));
    tasks.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_harms_nobody() {
    let yard = Yard::new();
    let build = yard.build(settings());
    let (first, second) = (request("first"), request("second"));
    let mut first = Box::pin(build.resolve(&first));
    let mut tasks = JoinSet::new();
    // It has asked the registry, or submitted the Job, or waits for it: whenever it goes, the others go on.
    for polls in 0..12 {
        for _ in 0..polls {
            assert!((&mut first).now_or_never().is_none());
        }
        drop(first);
        ask(&build, "other", &mut tasks);
        first = Box::pin(build.resolve(&second));
        tokio::task::yield_now().await;
    }
    drop(first);
    yard.until(|seen| seen.included.iter().filter(|(workload, _)| workload == "other").count() == 12).await;
    yard.ends(1, success(None), Some(DIGEST));
    for resolved in tasks.join_all().await {
        assert_eq!(resolved.unwrap().image.as_str(), by_digest(DIGEST));
    }
    assert_eq!(yard.seen().created.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_build_goes_on_when_all_callers_have_gone() {
    let yard = Yard::new();
    let build = yard.build(settings());
    let mut tasks = JoinSet::new();
    ask(&build, "w", &mut tasks);
    yard.until(|seen| !seen.included.is_empty()).await;
    tasks.shutdown().await;
    let mut tasks = JoinSet::new();
    ask(&build, "w", &mut tasks);
    yard.until(|seen| seen.included.len() == 2).await;
    assert!(yard.seen().messages[1].1.contains("is being built already"));
    yard.ends(1, success(None), Some(DIGEST));
    tasks.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(yard.seen().created.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_build_that_is_lost_is_looked_for_and_made_again() {
    // Its Job is gone, and its image is there.
    let yard = Yard::new();
    let resolved = built(&yard, |yard| {
        yard.has_image(&image(), DIGEST);
        yard.loses(1);
    });
    assert_eq!(resolved.await.unwrap().image.as_str(), by_digest(DIGEST));

    // Neither is there; then a node goes, and the next build ends well.
    let yard = Yard::new();
    let build = yard.build(settings());
    let mut tasks = JoinSet::new();
    ask(&build, "w", &mut tasks);
    yard.until(|seen| !seen.included.is_empty()).await;
    yard.loses(1);
    yard.until(|seen| seen.included.len() == 2).await;
    yard.ends(1, failure(Reason::NodeLost, &[], None), None);
    yard.until(|seen| seen.included.len() == 3).await;
    yard.ends(2, success(None), Some(DIGEST));
    tasks.join_next().await.unwrap().unwrap().unwrap();
    let attempts: Vec<_> = yard.seen().included.iter().map(|(_, attempt)| attempt.get()).collect();
    assert_eq!(attempts, [1, 1, 2], "the log has each attempt");

    // An eviction may have been over what the build uses: once more, and no more.
    let yard = Yard::new();
    let build = yard.build(settings());
    ask(&build, "w", &mut tasks);
    for attempt in 1..=2 {
        yard.until(|seen| seen.included.len() == attempt).await;
        yard.ends(u32::try_from(attempt).unwrap(), failure(Reason::Evicted, &[], None), None);
    }
    let error = tasks.join_next().await.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("the builder was evicted"), "{error}");

    // It is not made again for ever.
    let yard = Yard::new();
    let build = yard.build(settings());
    ask(&build, "w", &mut tasks);
    for attempt in 1..=4 {
        yard.until(|seen| seen.included.len() == attempt).await;
        yard.ends(u32::try_from(attempt).unwrap(), failure(Reason::Disrupted, &[], None), None);
    }
    let error = tasks.join_next().await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_image_that_somebody_else_pushed_meanwhile_is_as_good() {
    let yard = Yard::new();
    let log = ["ERROR: failed to push: TAG_INVALID: the tag is immutable"];
    let resolved = built(&yard, |yard| yard.ends(1, failure(Reason::ExitCode, &log, None), Some(DIGEST)));
    let resolved = resolved.await.unwrap();
    assert_eq!(resolved.image.as_str(), by_digest(DIGEST));
    assert!(resolved.explanation.contains("somebody else has pushed it"), "{}", resolved.explanation);
    assert!(!resolved.explanation.contains('\n'));
}

#[tokio::test(start_paused = true)]
async fn what_the_cluster_refuses_is_told_to_all_and_can_be_tried_again() {
    let yard = Yard::new();
    yard.refuses(Some(ErrorKind::QuotaExceeded));
    let build = yard.build(settings());
    let (one, two) = (request("one"), request("two"));
    for error in
        join_all([build.resolve(&one), build.resolve(&two)]).await.into_iter().map(Result::unwrap_err)
    {
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
        assert!(error.to_string().contains("workload: "), "{error}");
    }
    assert_eq!(yard.seen().submissions, 1);
    yard.refuses(None);
    yard.quick();
    build.resolve(&one).await.unwrap();
}

#[tokio::test]
async fn a_name_that_something_else_has_is_a_conflict() {
    let yard = Yard::new();
    yard.has_foreign_job(&plan(&yard).await);
    let error = yard.build(settings()).resolve(&request("w")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_build_that_always_fails_is_not_tried_without_end() {
    let yard = Yard::new();
    let plan = plan(&yard).await;
    for attempt in 1..=100 {
        yard.has_job(&plan, attempt, Some(failure(Reason::ExitCode, &[], None)));
    }
    let error = yard.build(settings()).resolve(&request("w")).await.unwrap_err();
    assert!(error.to_string().contains("failed 100 times"), "{error}");
}

#[tokio::test]
async fn a_log_that_is_down_fails_no_launch() {
    let yard = Yard::new();
    yard.quick();
    yard.log_is_down();
    yard.build(settings()).resolve(&request("w")).await.unwrap();
}

#[tokio::test]
async fn a_build_is_named_by_all_that_decides_about_it() {
    let yard = Yard::new();
    let first = plan(&yard).await;
    assert_eq!(plan(&yard).await.fingerprint, first.fingerprint, "the same on every server");
    let changes: [fn(&mut BuilderSettings); 7] = [
        |s| s.registry = "registry.example/other".to_owned(),
        |s| s.engine = EngineName::BuildKit,
        |s| s.image = Some("registry.example/kaniko:2".parse().unwrap()),
        |s| s.timeout_seconds = 60,
        |s| s.platform = Some("linux/arm64".parse().unwrap()),
        |s| s.resources = Some(serde_json::json!({ "limits": { "memory": "8Gi" } })),
        |s| s.rebuild_salt = Some("2".to_owned()),
    ];
    let mut ids = vec![first.id];
    for change in changes {
        let mut settings = settings();
        change(&mut settings);
        ids.push(yard.build(settings).plan(&request("w")).await.unwrap().id);
    }
    let other = request("w").with_dockerfile("FROM a");
    ids.push(yard.build(settings()).plan(&other).await.unwrap().id);
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[tokio::test]
async fn no_credential_is_in_a_plan_a_log_an_error_or_a_debug() {
    const PLANTED: &str = "hunter2";
    for name in EngineName::ALL {
        let yard = Yard::new();
        yard.needs(
            &format!("{{\"auths\":{{\"registry.example\":{{\"auth\":\"{PLANTED}\"}}}}}}"),
            ("AWS_REGION", "eu-central-1"),
        );
        yard.quick();
        let mut settings = settings();
        settings.engine = name;
        let build = yard.build(settings.clone());
        build.resolve(&request("w")).await.unwrap();
        let plan = yard.plan(1);
        assert_eq!(plan.secrets.len(), usize::from(name != EngineName::Kaniko), "{name}");
        assert!(plan.template.to_string().contains("eu-central-1"));
        if name != EngineName::Kaniko {
            assert!(plan.template.to_string().contains("DOCKER_AUTH_CONFIG"), "{name}");
            assert!(plan.secrets.values().all(|value| value.expose().contains(PLANTED)));
        }
        let without = BuildPlan { secrets: std::collections::BTreeMap::new(), ..plan.clone() };
        assert_eq!(without.fingerprint, plan.fingerprint);
        let shown = format!("{plan:?} {build:?} {} {:?}", plan.template, yard.seen());
        yard.refuses(Some(ErrorKind::PermissionDenied));
        let other = request("w").with_dockerfile("FROM b");
        let error = build.resolve(&other).await.unwrap_err();
        assert!(!format!("{shown} {error:?}").contains(PLANTED), "{name}");
        // Who names a Secret with credentials has all that is needed in it.
        settings.docker_config_secret = Some("registry-credentials".to_owned());
        let plan = yard.build(settings).plan(&request("w")).await.unwrap();
        assert!(plan.secrets.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn an_image_that_was_given_with_nothing_to_build_from_is_taken() {
    let yard = Yard::new();
    let given: ImageReference = by_digest(DIGEST).parse().unwrap();
    let request = ImageRequest::new(WorkloadId::new("w").unwrap(), WorkloadKind::Run, Some(given.clone()));
    assert_eq!(yard.build(settings()).resolve(&request).await.unwrap().image, given);
    assert_eq!(yard.seen().probes, 0);
}

/// The strategy as the conformance kit makes it: each server builds for the same registry.
struct Harness {
    yard: Yard,
    /// Whether the kit's requests get the Dockerfile that they lack.
    brings_dockerfile: bool,
}

#[async_trait]
impl StrategyHarness for Harness {
    async fn strategy(&self) -> Arc<dyn ImageStrategy> {
        let build = self.yard.build(settings());
        if self.brings_dockerfile { Arc::new(Defaults(build)) } else { Arc::new(build) }
    }

    fn snapshot_image(&self) -> ImageReference {
        "r.io/a:1".parse().unwrap()
    }

    fn needs_snapshot_image(&self) -> bool {
        !self.brings_dockerfile
    }
}

/// Brings the Dockerfile that the kit's requests lack.
#[derive(Debug)]
struct Defaults(Build);

#[async_trait]
impl ImageStrategy for Defaults {
    fn name(&self) -> &'static str {
        ImageStrategy::name(&self.0)
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn resolve(&self, request: &ImageRequest) -> Result<ResolvedImage> {
        self.0.resolve(&request.clone().with_dockerfile(TEXT)).await
    }
}

mod conformance {
    use super::*;

    fn quick() -> Yard {
        let yard = Yard::new();
        yard.quick();
        yard
    }

    mod building {
        use super::*;

        wm_core::strategy_conformance!(Harness { yard: quick(), brings_dockerfile: true });
    }

    mod given {
        use super::*;

        wm_core::strategy_conformance!(Harness { yard: quick(), brings_dockerfile: false });
    }
}
