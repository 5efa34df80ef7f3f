use std::{
    collections::VecDeque,
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::*;

const DIGEST: &str = "sha256:262da7b14968ecf0c6d9c058a0c5d28dcfb9c0cf483d3c987bd2da129d0b635d";
const PLANTED: &str = "hunter2";

/// A registry that answers questions about manifests as a test says.
#[derive(Clone, Default)]
struct Registry(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    /// What it asks for: the header of its 401, and what it takes.
    challenge: Option<(String, String)>,
    answers: VecDeque<(u16, Option<&'static str>, String)>,
    seen: Vec<String>,
}

impl Registry {
    fn answering(answers: &[(u16, Option<&'static str>, &str)]) -> Self {
        let registry = Self::default();
        registry.0.lock().unwrap().answers =
            answers.iter().map(|(status, digest, body)| (*status, *digest, (*body).to_owned())).collect();
        registry
    }

    fn challenges(&self, challenge: &str, takes: &str) {
        self.0.lock().unwrap().challenge = Some((challenge.to_owned(), takes.to_owned()));
    }

    /// Serves it, and tells its host and port.
    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let script = Arc::clone(&self.0);
        let router = Router::new().fallback(move |request: Request<Body>| {
            let script = Arc::clone(&script);
            async move { script.lock().unwrap().answer(&request) }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        host
    }

    fn seen(&self) -> Vec<String> {
        self.0.lock().unwrap().seen.clone()
    }
}

impl Script {
    fn answer(&mut self, request: &Request<Body>) -> Response<Body> {
        let given = request.headers().get("authorization").map_or("", |value| value.to_str().unwrap());
        let path = request.uri().path();
        self.seen.push(format!("{} {path}", request.method()));
        if path == "/token" {
            let is_known = given == basic(PLANTED);
            let body = if is_known { r#"{"token":"t0ken","access_token":"t0ken"}"# } else { "{}" };
            return Response::builder().status(if is_known { 200 } else { 401 }).body(body.into()).unwrap();
        }
        if let Some((challenge, takes)) = &self.challenge
            && given != takes
        {
            return Response::builder()
                .status(401)
                .header("WWW-Authenticate", challenge)
                .body(Body::empty())
                .unwrap();
        }
        if path == "/v2/" {
            return Response::new(Body::empty());
        }
        // The last answer stays.
        let answer =
            if self.answers.len() > 1 { self.answers.pop_front() } else { self.answers.front().cloned() };
        let (status, digest, body) = answer.unwrap();
        let response = Response::builder().status(status);
        let response = match digest {
            Some(digest) => response.header("Docker-Content-Digest", digest),
            None => response,
        };
        response.body(body.into()).unwrap()
    }
}

fn basic(password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("user:{password}")))
}

fn refusal(code: &str) -> String {
    format!(r#"{{"errors":[{{"code":"{code}","message":"m"}}]}}"#)
}

fn probe(host: &str, credentials: RegistryCredentials) -> RegistryProbe {
    RegistryProbe::new(credentials, vec![host.to_owned()]).unwrap()
}

async fn look(host: &str, probe: &RegistryProbe) -> Probe {
    probe.probe(&format!("{host}/team/runner:1").parse().unwrap()).await
}

async fn anonymous(registry: &Registry) -> Probe {
    let host = registry.serve().await;
    look(&host, &probe(&host, RegistryCredentials::Anonymous)).await
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    let manifest = r#"{"schemaVersion":2}"#;
    assert_eq!(
        anonymous(&Registry::answering(&[(200, Some(DIGEST), "")])).await,
        Probe::Found(DIGEST.to_owned())
    );
    let Probe::Found(digest) = anonymous(&Registry::answering(&[(200, None, manifest)])).await else {
        panic!("without the header the manifest tells");
    };
    assert!(digest.starts_with("sha256:") && digest != DIGEST);
    for code in ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"] {
        assert_eq!(
            anonymous(&Registry::answering(&[(404, None, &refusal(code))])).await,
            Probe::Absent,
            "{code}"
        );
    }
    assert_eq!(anonymous(&Registry::answering(&[(404, None, "<html>")])).await, Probe::Absent);
    let unknown: [(u16, &str, &str); 6] = [
        (401, "", "credentials"),
        (403, &refusal("DENIED"), "refuses"),
        (403, "<html>", "refuses"),
        (429, &refusal("TOOMANYREQUESTS"), "too often"),
        (503, "<html>", "503"),
        (400, &refusal("UNSUPPORTED"), "Unsupported"),
    ];
    for (status, body, why) in unknown {
        let Probe::Unknown(said) = anonymous(&Registry::answering(&[(status, None, body)])).await else {
            panic!("nobody can tell after {status}");
        };
        assert!(said.contains(why), "{status}: {said}");
    }
}

#[tokio::test]
async fn trouble_that_passes_is_ridden_out() {
    let registry = Registry::answering(
        &[503, 503, 429, 429, 200].map(|status| (status, (status == 200).then_some(DIGEST), "")),
    );
    // A question is a HEAD and, without a digest, a GET.
    assert_eq!(anonymous(&registry).await, Probe::Found(DIGEST.to_owned()));
}

#[tokio::test]
async fn a_registry_that_cannot_be_reached_is_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let Probe::Unknown(why) = look(&host, &probe(&host, RegistryCredentials::Anonymous)).await else {
        panic!("nobody can tell");
    };
    assert!(why.contains("can't be reached"), "{why}");
    // It speaks plain HTTP, and nobody allowed that.
    let host = Registry::answering(&[(200, Some(DIGEST), "")]).serve().await;
    let probe = RegistryProbe::new(RegistryCredentials::Anonymous, Vec::new()).unwrap();
    let Probe::Unknown(why) = look(&host, &probe).await else { panic!("nobody can tell") };
    assert!(why.contains("does not speak TLS"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_never_answers_is_unknown_in_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let before = Instant::now();
    let Probe::Unknown(why) = look(&host, &probe(&host, RegistryCredentials::Anonymous)).await else {
        panic!("nobody can tell");
    };
    assert!(why.contains("in time"), "{why}");
    assert!(before.elapsed() <= WHOLE, "the clock is the test's");
    drop(listener);
}

#[tokio::test]
async fn names_and_passwords_are_used_as_the_registry_asks() {
    let ours = || RegistryCredentials::Basic { username: "user".to_owned(), password: PLANTED.into() };
    let found = Probe::Found(DIGEST.to_owned());

    let registry = Registry::answering(&[(200, Some(DIGEST), "")]);
    registry.challenges("Basic realm=\"r\"", &basic(PLANTED));
    let host = registry.serve().await;
    assert_eq!(look(&host, &probe(&host, ours())).await, found);
    let wrong = RegistryCredentials::Basic { username: "user".to_owned(), password: "wrong".into() };
    assert!(matches!(look(&host, &probe(&host, wrong)).await, Probe::Unknown(_)));
    assert!(matches!(look(&host, &probe(&host, RegistryCredentials::Anonymous)).await, Probe::Unknown(_)));

    let registry = Registry::answering(&[(200, Some(DIGEST), "")]);
    let host = registry.serve().await;
    registry.challenges(&format!("Bearer realm=\"http://{host}/token\",service=\"s\""), "Bearer t0ken");
    assert_eq!(look(&host, &probe(&host, ours())).await, found);
    let wrong = RegistryCredentials::Basic { username: "user".to_owned(), password: "wrong".into() };
    assert!(matches!(look(&host, &probe(&host, wrong)).await, Probe::Unknown(_)));
    let direct = RegistryCredentials::Bearer("t0ken".into());
    assert_eq!(look(&host, &probe(&host, direct)).await, found);
}

/// A docker config, and programs beside it that answer for it.
struct Home {
    directory: TempDir,
}

impl Home {
    fn new(config: &str) -> Self {
        let home = Self { directory: tempfile::tempdir().unwrap() };
        home.write(config);
        home
    }

    fn write(&self, config: &str) {
        fs::write(self.directory.path().join("config.json"), config).unwrap();
    }

    fn credentials(&self) -> RegistryCredentials {
        RegistryCredentials::DockerConfig(self.directory.path().join("config.json"))
    }
}

fn auths(host: &str, password: &str) -> String {
    format!(r#"{{"auths":{{"{host}":{{"auth":"{}"}}}}}}"#, STANDARD.encode(format!("user:{password}")))
}

#[tokio::test]
async fn a_new_password_in_the_docker_config_is_taken() {
    let registry = Registry::answering(&[(200, Some(DIGEST), "")]);
    registry.challenges("Basic realm=\"r\"", &basic(PLANTED));
    let host = registry.serve().await;
    let home = Home::new(&auths(&host, "old"));
    let probe = probe(&host, home.credentials());
    assert!(matches!(look(&host, &probe).await, Probe::Unknown(_)));
    home.write(&auths(&host, PLANTED));
    assert_eq!(
        look(&host, &probe).await,
        Probe::Found(DIGEST.to_owned()),
        "the client must not keep the old one"
    );
    // It is known now, so the file is not read each time.
    home.write("no JSON");
    assert_eq!(look(&host, &probe).await, Probe::Found(DIGEST.to_owned()));
}

#[tokio::test]
async fn credentials_are_looked_at_again_after_a_while() {
    let registry = Registry::answering(&[(200, Some(DIGEST), "")]);
    registry.challenges("Basic realm=\"r\"", &basic("old"));
    let host = registry.serve().await;
    let home = Home::new(&auths(&host, "old"));
    let probe = probe(&host, home.credentials());
    assert_eq!(look(&host, &probe).await, Probe::Found(DIGEST.to_owned()));
    registry.challenges("Basic realm=\"r\"", &basic("new"));
    home.write(&auths(&host, "new"));
    tokio::time::pause();
    tokio::time::advance(LIFETIME).await;
    tokio::time::resume();
    assert_eq!(look(&host, &probe).await, Probe::Found(DIGEST.to_owned()));
    let questions = registry.seen().iter().filter(|request| request.contains("HEAD")).count();
    assert_eq!(questions, 2, "the old ones are not tried first: {:?}", registry.seen());
}

#[tokio::test]
async fn credentials_that_are_refused_are_renewed_once() {
    let registry =
        Registry::answering(&[(403, None, &refusal("DENIED")), (403, None, ""), (200, Some(DIGEST), "")]);
    let host = registry.serve().await;
    let home = Home::new(&auths(&host, PLANTED));
    assert_eq!(look(&host, &probe(&host, home.credentials())).await, Probe::Found(DIGEST.to_owned()));
    let registry = Registry::answering(&[(403, None, &refusal("DENIED"))]);
    let host = registry.serve().await;
    let home = Home::new(&auths(&host, PLANTED));
    assert!(matches!(look(&host, &probe(&host, home.credentials())).await, Probe::Unknown(_)));
    let questions = registry.seen().iter().filter(|request| request.contains("HEAD")).count();
    assert_eq!(questions, 2, "{:?}", registry.seen());
}

#[tokio::test]
async fn every_form_of_a_docker_config_is_read() {
    let fetch = |config: String| async move { Home::new(&config).credentials().fetch("r.example").await };
    let basic = |name: &str, password: &str| Ok(RegistryAuth::Basic(name.to_owned(), password.to_owned()));
    assert_eq!(fetch("{}".to_owned()).await, Ok(RegistryAuth::Anonymous));
    assert_eq!(fetch(auths("other.example", PLANTED)).await, Ok(RegistryAuth::Anonymous));
    for key in ["r.example", "https://r.example", "https://r.example/v1/"] {
        assert_eq!(fetch(auths(key, PLANTED)).await, basic("user", PLANTED), "{key}");
    }
    let plain = format!(r#"{{"auths":{{"r.example":{{"username":"u","password":"{PLANTED}"}}}},"other":1}}"#);
    assert_eq!(fetch(plain).await, basic("u", PLANTED));
    let token = format!(r#"{{"auths":{{"r.example":{{"auth":"","identitytoken":"{PLANTED}"}}}}}}"#);
    assert_eq!(fetch(token).await, basic(TOKEN_USER, PLANTED));
    let hub = Home::new(&auths("https://index.docker.io/v1/", PLANTED));
    assert_eq!(hub.credentials().fetch("docker.io").await, basic("user", PLANTED));
    let missing = RegistryCredentials::DockerConfig("/no/such/config.json".into());
    assert_eq!(missing.fetch("r.example").await, Ok(RegistryAuth::Anonymous));
    for broken in
        [format!("{{\"auths\": {PLANTED}"), format!(r#"{{"auths":{{"r.example":{{"auth":"{PLANTED}"}}}}}}"#)]
    {
        let why = fetch(broken).await.unwrap_err();
        assert!(!why.contains(PLANTED), "{why}");
    }
}

const TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";

#[tokio::test]
async fn helpers_of_a_docker_config_are_asked() {
    let home = Home::new("{}");
    let helper = |name: &str, script: &str| {
        let path = home.directory.path().join(format!("docker-credential-{name}"));
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let answer = format!(
        r#"read key; printf '{{"ServerURL":"%s","Username":"%s","Secret":"{PLANTED}"}}' "$key" "$key""#
    );
    let ours = helper("wm-test", &answer);
    let unknown = helper("wm-unknown", "echo 'credentials not found in native keychain'; exit 1");
    let broken = helper("wm-broken", &format!("echo {PLANTED}; echo {PLANTED} >&2; exit 1"));
    let nonsense = helper("wm-nonsense", &format!("echo {PLANTED}"));
    let basic = |name: &str| Ok(RegistryAuth::Basic(name.to_owned(), PLANTED.to_owned()));
    assert_eq!(credentials::asked(&ours, "r.example").await, basic("r.example"));
    assert_eq!(credentials::asked(&unknown, "r.example").await, Ok(RegistryAuth::Anonymous));
    for path in [broken, nonsense, "/no/such/program".into()] {
        let why = credentials::asked(&path, "r.example").await.unwrap_err();
        assert!(why.contains("credential") || why.contains("program"), "{why}");
        assert!(!why.contains(PLANTED), "{why}");
    }
    // The names come from a file, and must not lead elsewhere.
    home.write(r#"{"credHelpers":{"r.example":"../../bin/sh"}}"#);
    let why = home.credentials().fetch("r.example").await.unwrap_err();
    assert!(why.contains("no name"), "{why}");
    home.write(r#"{"credHelpers":{"r.example":"wm-no-such"}}"#);
    let why = home.credentials().fetch("r.example").await.unwrap_err();
    assert!(why.contains("docker-credential-wm-no-such can't be started"), "{why}");
}

#[test]
fn docker_hubs_images_have_a_registry_and_a_directory() {
    let shown = |text: &str| canonical(&text.parse().unwrap()).to_string();
    assert_eq!(shown("debian"), "docker.io/library/debian:latest");
    assert_eq!(shown("docker.io/debian:12"), "docker.io/library/debian:12");
    assert_eq!(shown("index.docker.io/zenmldocker/zenml:1"), "docker.io/zenmldocker/zenml:1");
    assert_eq!(shown(&format!("r.io:5000/a@{DIGEST}")), format!("r.io:5000/a@{DIGEST}"));
    assert_eq!(shown(&format!("r.io/a:1@{DIGEST}")), format!("r.io/a@{DIGEST}"));
}

#[test]
fn a_bad_certificate_is_an_error_and_no_secret_is_shown() {
    let credentials = RegistryCredentials::Basic { username: "user".to_owned(), password: PLANTED.into() };
    let probe = RegistryProbe::new(credentials, Vec::new()).unwrap();
    assert!(!format!("{probe:?}").contains(PLANTED));
    let pem = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    assert_eq!(probe.with_certificate(pem).unwrap_err().kind(), ErrorKind::InvalidConfig);
}
