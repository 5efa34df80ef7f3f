use std::collections::BTreeMap;

use expect_test::{ExpectFile, expect_file};
use serde_json::{Value, json};

use super::{
    BuilderEngine, Work,
    pod_security::{against_baseline, against_restricted},
};
use crate::{
    fixture,
    settings::{BuilderSettings, EngineName, Mirror},
};

const DOCKERFILE: &str =
    "FROM registry.example:5000/debian:12\nRUN [\"sh\",\"-c\",\"echo ok > /ok; ls -l /ok\"]\n";

fn plain() -> BuilderSettings {
    BuilderSettings::new("registry.example:5000/team")
}

/// Everything that can be set.
fn full(engine: EngineName) -> BuilderSettings {
    let mirror = |registry: &str, location: &str| Mirror {
        registry: registry.to_owned(),
        location: location.to_owned(),
    };
    BuilderSettings {
        engine,
        image: Some("mirror.example.com/builder:latest".parse().unwrap()),
        resources: Some(json!({ "limits": { "memory": "4Gi" } })),
        timeout_seconds: 600,
        service_account: Some("builder".to_owned()),
        cache_repository: Some("registry.example:5000/cache".parse().unwrap()),
        platform: Some("linux/arm64".parse().unwrap()),
        ca_bundle_config_map: Some("company-ca".to_owned()),
        mirrors: vec![
            mirror("docker.io", "mirror.example.com/hub"),
            mirror("ghcr.io", "registry.example:5000"),
        ],
        plain_http_registries: vec!["registry.example:5000".to_owned()],
        docker_config_secret: Some("registry-credentials".to_owned()),
        ..plain()
    }
}

fn template(engine: &dyn BuilderEngine, settings: &BuilderSettings, has_credentials: bool) -> Value {
    let image = settings.image_of("zenml-runner:6b04b49db060cc779055da6c9b8434d2").unwrap();
    let environment = BTreeMap::from([("AWS_REGION".to_owned(), "eu-central-1".to_owned())]);
    engine.template(&Work {
        image: &image,
        dockerfile: DOCKERFILE,
        settings,
        environment: if has_credentials { &environment } else { const { &BTreeMap::new() } },
        has_credentials,
    })
}

fn expect(file: &ExpectFile, template: &Value) {
    file.assert_eq(&format!("{}\n", serde_json::to_string_pretty(template).unwrap()));
}

#[test]
fn the_pods_are_the_golden_ones() {
    let golden = [
        (
            EngineName::Kaniko,
            expect_file!["../../tests/data/golden/kaniko.json"],
            expect_file!["../../tests/data/golden/kaniko-full.json"],
        ),
        (
            EngineName::BuildKit,
            expect_file!["../../tests/data/golden/buildkit.json"],
            expect_file!["../../tests/data/golden/buildkit-full.json"],
        ),
        (
            EngineName::Buildah,
            expect_file!["../../tests/data/golden/buildah.json"],
            expect_file!["../../tests/data/golden/buildah-full.json"],
        ),
    ];
    for (name, least, most) in golden {
        let engine = name.engine();
        assert_eq!(engine.name(), name);
        expect(&least, &template(&*engine, &plain(), false));
        expect(&most, &template(&*engine, &full(name), false));
    }
}

#[test]
fn each_engine_needs_its_level_of_pod_security_and_no_more() {
    for settings in [plain(), full(EngineName::Kaniko)] {
        let spec = &template(&*EngineName::Kaniko.engine(), &settings, true)["spec"];
        assert_eq!(against_baseline(spec), [""; 0]);
        assert_eq!(against_restricted(spec), ["runAsNonRoot", "runAsUser", "add nothing"]);
    }
    for name in [EngineName::BuildKit, EngineName::Buildah] {
        for settings in [plain(), full(name)] {
            let spec = &template(&*name.engine(), &settings, true)["spec"];
            assert_eq!(against_baseline(spec), ["seccomp", "AppArmor"], "{name}");
        }
    }
}

/// What a real namespace of the level *baseline* admitted, and a real kaniko built.
#[test]
fn kanikos_pod_is_the_one_that_built_on_a_real_cluster() {
    let recorded = fixture::recording("success")["template"].clone();
    let mut settings = plain();
    settings.registry = "registry.example:5000".to_owned();
    settings.plain_http_registries = vec!["registry.example:5000".to_owned()];
    let ours = template(&*EngineName::Kaniko.engine(), &settings, false);
    let (theirs, ours) = (&recorded["spec"], &ours["spec"]);
    let (builder, built) = (&ours["containers"][0], &theirs["containers"][0]);
    for field in
        ["image", "securityContext", "terminationMessagePath", "terminationMessagePolicy", "name", "command"]
    {
        assert_eq!(builder[field], built[field], "{field}");
    }
    for field in ["restartPolicy", "automountServiceAccountToken", "securityContext"] {
        assert_eq!(ours[field], theirs[field], "{field}");
    }
    let arguments =
        |container: &Value| -> Vec<String> { serde_json::from_value(container["args"].clone()).unwrap() };
    let mine = arguments(builder);
    for argument in arguments(built) {
        let same = match argument.split_once('=') {
            // The registries without TLS are named one by one.
            None if argument.starts_with("--insecure") => {
                "--insecure-registry=registry.example:5000".to_owned()
            }
            Some(("--destination", _)) => {
                "--destination=registry.example:5000/zenml-runner:6b04b49db060cc779055da6c9b8434d2".to_owned()
            }
            _ => argument,
        };
        assert!(mine.contains(&same), "{same}: {mine:?}");
    }
    let paths = |container: &Value| -> Vec<Value> {
        container["volumeMounts"].as_array().unwrap().iter().map(|mount| mount["mountPath"].clone()).collect()
    };
    assert_eq!(paths(builder), paths(built));
}

/// Kubernetes expands `$(NAME)` and `$$` in commands too; the scripts are written so that there is nothing to expand.
#[test]
fn the_cluster_changes_nothing_in_what_is_written() {
    for name in EngineName::ALL {
        let mut settings = full(name);
        settings.cache_repository = None;
        let template = template(&*name.engine(), &settings, true);
        let container = &template["spec"]["containers"][0];
        for word in container["command"].as_array().into_iter().flatten() {
            let word = word.as_str().unwrap();
            assert!(!word.contains("$(") && !word.contains("$$"), "{word}");
        }
    }
}

#[test]
fn a_dockerfile_travels_unchanged() {
    for name in EngineName::ALL {
        let template = template(&*name.engine(), &plain(), false);
        assert_eq!(template["metadata"]["annotations"]["workload-manager/dockerfile"], DOCKERFILE, "{name}");
        let items = &template["spec"]["volumes"][0]["downwardAPI"]["items"];
        assert_eq!(items[0]["fieldRef"]["fieldPath"], "metadata.annotations['workload-manager/dockerfile']");
    }
}
