//! Builds on the embedded cluster, whose builder is a process of this machine.

use std::error::Error as _;

use futures::future::join_all;
use wm_config::variable;
use wm_core::{ManifestProbe as _, Probe};
use wm_image::{BuildFailed, RegistryCredentials, RegistryProbe};
use workload_manager::{
    ErrorKind, ImageCall, ImageReference, RunnerCall, ServerInterface, Setup, WorkloadId, WorkloadKind,
};

use super::parts::Registry;

async fn server(registry: &Registry) -> ServerInterface {
    let variables = [
        (variable::IMPLEMENTATION_SOURCE, "local".to_owned()),
        (variable::BUILD_RUNNER_IMAGE, "true".to_owned()),
        (variable::DOCKER_REGISTRY, format!("{}/team", registry.host())),
        (variable::BUILDER_ENGINE, "buildah".to_owned()),
        (variable::PLAIN_HTTP_REGISTRIES, registry.host().to_owned()),
    ];
    let configuration = Setup::new().environment(variables).load().unwrap();
    ServerInterface::new(configuration.launcher().await.unwrap())
}

fn id(text: &str) -> WorkloadId {
    WorkloadId::new(text).unwrap()
}

fn call(dockerfile: &str) -> ImageCall {
    let image_name = format!("zenml-runner:{}", wm_image::dockerfile_hash(dockerfile));
    ImageCall { kind: WorkloadKind::Run, dockerfile: dockerfile.to_owned(), image_name }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs docker-registry and buildah"]
async fn an_image_is_built_once_and_run_by_the_digest_that_the_registry_has() {
    let registry = Registry::start(false, false);
    registry.push_base("base:1");
    let server = server(&registry).await;
    let text = format!(
        "FROM {}/base:1\nRUN echo \"it is $((6 * 7))\" > /made; read said < /made; echo $said",
        registry.host()
    );
    let call = call(&text);
    let ids: Vec<_> = (0..8).map(|number| id(&format!("caller-{number}"))).collect();
    let images = join_all(ids.iter().map(|id| server.build_and_push_image(id, call.clone()))).await;
    let image = images[0].as_ref().unwrap();
    assert!(images.iter().all(|one| one.as_ref().unwrap() == image), "{images:?}");

    let named: ImageReference = format!("{}/team/{}", registry.host(), call.image_name).parse().unwrap();
    let probe = RegistryProbe::new(RegistryCredentials::Anonymous, vec![registry.host().to_owned()]).unwrap();
    let Probe::Found(digest) = probe.probe(&named).await else { panic!("it was pushed as {named}") };
    assert_eq!(*image, named.with_digest(&digest).unwrap().to_string());

    for id in &ids {
        let log = server.get_logs(id).await.unwrap();
        assert_eq!(log.matches("it is 42\n").count(), 1, "the build's log is each one's: {log}");
        assert_eq!(log.matches("attempt 1").count(), 1, "{log}");
        assert!(log.contains(&format!("Building image {named} with buildah")), "{log}");
    }

    let run = |image: &str| RunnerCall {
        image: image.to_owned(),
        command: ["sh", "-c", "echo hello"].map(str::to_owned).to_vec(),
        ..RunnerCall::default()
    };
    let verdict = server.run_to_end(&ids[0], run(image)).await.unwrap();
    assert!(verdict.is_success(), "{verdict}");
    let log = server.get_logs(&ids[0]).await.unwrap();
    assert!(log.contains(image.as_str()) && log.contains("hello"), "it says what runs: {log}");

    // It is there now.
    let late = id("late");
    assert_eq!(server.build_and_push_image(&late, call).await.unwrap(), *image);
    let log = server.get_logs(&late).await.unwrap();
    assert!(!log.contains("Building") && !log.contains("it is 42"), "nothing was built: {log}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs docker-registry and buildah"]
async fn a_build_that_fails_says_which_line_and_can_be_asked_for_again() {
    let registry = Registry::start(false, false);
    registry.push_base("base:1");
    let server = server(&registry).await;
    let cases = [
        (
            format!("FROM {}/base:1\nRUN echo oh no && exit 3", registry.host()),
            ErrorKind::InvalidRequest,
            "`RUN echo oh no && exit 3`",
        ),
        (
            format!("FROM {}/none:1\nRUN true", registry.host()),
            ErrorKind::NotFound,
            "the base image does not exist",
        ),
        (
            format!("FROM {}/base:1\nRNU true", registry.host()),
            ErrorKind::InvalidRequest,
            "line 2 of the Dockerfile, `RNU true`",
        ),
        (
            format!("FROM {}/base:1\nRUN no-such-program", registry.host()),
            ErrorKind::InvalidRequest,
            "a program is not in the image",
        ),
    ];
    for (number, (text, kind, words)) in cases.iter().enumerate() {
        let id = id(&format!("failing-{number}"));
        for attempt in 1..=2 {
            let error = server.build_and_push_image(&id, call(text)).await.unwrap_err();
            assert_eq!(error.kind(), *kind, "{error}");
            assert!(error.to_string().contains(words), "{error}");
            assert!(error.to_string().contains(&format!("attempt {attempt}")), "{error}");
            let failed: &BuildFailed = error.source().unwrap().downcast_ref().unwrap();
            assert!(!failed.verdict().evidence.log_tail.is_empty());
        }
        let log = server.get_logs(&id).await.unwrap();
        assert!(log.contains("No image for the runner: the image could not be built"), "{log}");
    }
    // A registry that is gone is told as such, and nothing hangs.
    drop(registry);
    let error = server.build_and_push_image(&id("gone"), call("FROM scratch\nRUN true")).await.unwrap_err();
    assert!(error.to_string().contains("could not be built"), "{error}");
}
