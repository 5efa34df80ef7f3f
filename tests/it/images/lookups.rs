//! What a real registry answers, with and without credentials and TLS.

use std::fs;

use wm_core::{ManifestProbe as _, Probe};
use wm_image::{RegistryCredentials, RegistryProbe};

use super::parts::{PASSWORD, Registry, USER};

fn probe(registry: &Registry, credentials: RegistryCredentials, with_tls: bool) -> RegistryProbe {
    if with_tls {
        let pem = fs::read(registry.certificate()).unwrap();
        return RegistryProbe::new(credentials, Vec::new()).unwrap().with_certificate(pem).unwrap();
    }
    RegistryProbe::new(credentials, vec![registry.host().to_owned()]).unwrap()
}

async fn look(probe: &RegistryProbe, registry: &Registry, name: &str) -> Probe {
    probe.probe(&format!("{}/{name}", registry.host()).parse().unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs docker-registry, buildah and openssl"]
async fn a_registry_tells_what_it_has_to_those_whom_it_knows() {
    for (with_password, with_tls) in [(false, false), (true, false), (false, true), (true, true)] {
        let case = format!("with a password: {with_password}, with TLS: {with_tls}");
        let mut registry = Registry::start(with_password, with_tls);
        let digest = registry.push_base("team/base:1");
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.json");
        fs::write(&file, registry.docker_config(PASSWORD)).unwrap();

        let known = [
            RegistryCredentials::DockerConfig(file.clone()),
            RegistryCredentials::Basic { username: USER.to_owned(), password: PASSWORD.into() },
        ];
        for credentials in known {
            let probe = probe(&registry, credentials, with_tls);
            assert_eq!(look(&probe, &registry, "team/base:1").await, Probe::Found(digest.clone()), "{case}");
            let by_digest = format!("team/base@{digest}");
            assert_eq!(look(&probe, &registry, &by_digest).await, Probe::Found(digest.clone()), "{case}");
            assert_eq!(look(&probe, &registry, "team/base:2").await, Probe::Absent, "{case}");
            assert_eq!(look(&probe, &registry, "team/none:1").await, Probe::Absent, "{case}");
        }

        let anonymous = probe(&registry, RegistryCredentials::Anonymous, with_tls);
        let answer = look(&anonymous, &registry, "team/base:1").await;
        fs::write(&file, registry.docker_config("wrong")).unwrap();
        let wrong = probe(&registry, RegistryCredentials::DockerConfig(file.clone()), with_tls);
        if with_password {
            assert!(matches!(answer, Probe::Unknown(_)), "{case}: {answer:?}");
            let refused = look(&wrong, &registry, "team/base:1").await;
            assert!(matches!(refused, Probe::Unknown(_)), "{case}: {refused:?}");
            // Somebody mends the password; the probe finds out by itself.
            fs::write(&file, registry.docker_config(PASSWORD)).unwrap();
            assert_eq!(look(&wrong, &registry, "team/base:1").await, Probe::Found(digest.clone()), "{case}");
        } else {
            assert_eq!(answer, Probe::Found(digest.clone()), "{case}");
        }

        if with_tls {
            let trusting_nobody = RegistryProbe::new(RegistryCredentials::Anonymous, Vec::new()).unwrap();
            let Probe::Unknown(why) = look(&trusting_nobody, &registry, "team/base:1").await else {
                panic!("{case}: its certificate is its own");
            };
            assert!(why.contains("certificate"), "{case}: {why}");
        }
        registry.stop();
        let answer = look(&anonymous, &registry, "team/base:1").await;
        assert!(matches!(answer, Probe::Unknown(_)), "{case}: {answer:?}");
    }
}
