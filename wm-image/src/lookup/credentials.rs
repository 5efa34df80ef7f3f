//! Where the credentials for registries come from.

use std::{
    collections::HashMap,
    fmt, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use oci_client::secrets::RegistryAuth;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::{io::AsyncWriteExt as _, process::Command, time::timeout};

/// A helper may ask a cloud, but not a person.
const HELPER: Duration = Duration::from_secs(10);
/// What Docker Hub is called in docker configs.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// The user in whose name registries take an identity token as a password.
const TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";

/// The server's own credentials for registries.
#[derive(Clone, Debug, Default)]
pub enum RegistryCredentials {
    /// None.
    #[default]
    Anonymous,
    /// One name and password for every registry.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// One token for every registry.
    Bearer(SecretString),
    /// Those of a docker `config.json`, which may name programs (`docker-credential-…`) that have them. A file that is
    /// not there has none. It is read again every few minutes.
    DockerConfig(PathBuf),
}

impl RegistryCredentials {
    /// Fetches the credentials for a registry. An error says why there are none, without a secret.
    pub(super) async fn fetch(&self, registry: &str) -> Result<RegistryAuth, String> {
        match self {
            Self::Anonymous => Ok(RegistryAuth::Anonymous),
            Self::Basic { username, password } => {
                Ok(RegistryAuth::Basic(username.clone(), password.expose_secret().to_owned()))
            }
            Self::Bearer(token) => Ok(RegistryAuth::Bearer(token.expose_secret().to_owned())),
            Self::DockerConfig(path) => {
                let text = match tokio::fs::read(path).await {
                    Ok(text) => text,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        return Ok(RegistryAuth::Anonymous);
                    }
                    Err(error) => return Err(format!("the docker config can't be read: {}", error.kind())),
                };
                // What the parser says may quote the file.
                let config: DockerConfig = serde_json::from_slice(&text)
                    .map_err(|_| "the docker config is no JSON of its kind".to_owned())?;
                config.auth(registry).await
            }
        }
    }
}

/// The part of a docker config that is about credentials.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DockerConfig {
    auths: HashMap<String, Entry>,
    cred_helpers: HashMap<String, String>,
    creds_store: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

/// What a helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl DockerConfig {
    async fn auth(&self, registry: &str) -> Result<RegistryAuth, String> {
        let is_it = |key: &str| host(key) == host(registry);
        let key = if registry == "docker.io" { HUB_KEY } else { registry };
        let own = self.cred_helpers.iter().find(|(key, _)| is_it(key)).map(|(_, helper)| helper);
        let store = Some(&self.creds_store).filter(|store| !store.is_empty());
        if let Some(helper) = own.or(store) {
            let found = ask(helper, key).await?;
            // A store that does not know the registry leaves the entries of the file.
            if found != RegistryAuth::Anonymous || own.is_some() {
                return Ok(found);
            }
        }
        let entry = self
            .auths
            .get(key)
            .or_else(|| self.auths.iter().find(|(key, _)| is_it(key)).map(|(_, entry)| entry));
        entry.map_or(Ok(RegistryAuth::Anonymous), Entry::auth)
    }
}

impl Entry {
    fn auth(&self) -> Result<RegistryAuth, String> {
        if !self.identitytoken.is_empty() {
            return Ok(RegistryAuth::Basic(TOKEN_USER.to_owned(), self.identitytoken.clone()));
        }
        if !self.auth.is_empty() {
            let bytes = STANDARD.decode(self.auth.trim()).ok();
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            let pair = text.as_deref().and_then(|text| text.split_once(':'));
            let (username, password) = pair
                .ok_or_else(|| "an entry of the docker config is not name:password in base64".to_owned())?;
            return Ok(RegistryAuth::Basic(username.to_owned(), password.trim_end_matches('\0').to_owned()));
        }
        if self.username.is_empty() {
            return Ok(RegistryAuth::Anonymous);
        }
        Ok(RegistryAuth::Basic(self.username.clone(), self.password.clone()))
    }
}

/// The host of a key, which may have a scheme and a path; all names of Docker Hub are one.
fn host(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    match key.split('/').next().unwrap_or(key) {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    }
}

/// Asks a helper. Neither what it says to us nor what it complains of is repeated: it may be a secret.
async fn ask(helper: &str, key: &str) -> Result<RegistryAuth, String> {
    if !helper.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        return Err("the docker config names a credential helper that is no name".to_owned());
    }
    asked(Path::new(&format!("docker-credential-{helper}")), key).await
}

/// Asks a program in the way of docker's credential helpers.
pub(super) async fn asked(program: &Path, key: &str) -> Result<RegistryAuth, String> {
    let failed = |what: &str| format!("{} {what}", program.display());
    let run = async {
        let mut child = Command::new(program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(&format!("can't be started: {}", error.kind())))?;
        if let Some(mut input) = child.stdin.take() {
            // One that does not read its input has its reasons, and answers all the same.
            drop(input.write_all(key.as_bytes()).await);
        }
        child.wait_with_output().await.map_err(|error| failed(&format!("can't be heard: {}", error.kind())))
    };
    let output = timeout(HELPER, run).await.map_err(|_| failed("did not answer in time"))??;
    if !output.status.success() {
        // The one failure that has fixed words.
        let is_unknown = String::from_utf8_lossy(&output.stdout).contains("credentials not found");
        return if is_unknown { Ok(RegistryAuth::Anonymous) } else { Err(failed("failed")) };
    }
    let answer: Answer =
        serde_json::from_slice(&output.stdout).map_err(|_| failed("answered what is no credential"))?;
    let username = if answer.username == "<token>" { TOKEN_USER.to_owned() } else { answer.username };
    Ok(RegistryAuth::Basic(username, answer.secret))
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}
