//! A registry as a process of this machine, and images in it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use tempfile::TempDir;

/// The one who may use a registry with credentials.
pub(crate) const USER: &str = "builder";
pub(crate) const PASSWORD: &str = "hunter2";
/// The password as `htpasswd -B` keeps it.
const HASH: &str = "$2b$05$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8.";

/// A registry that lasts as long as the value.
pub(crate) struct Registry {
    directory: TempDir,
    process: Child,
    host: String,
    with_password: bool,
    with_tls: bool,
}

impl Registry {
    pub(crate) fn start(with_password: bool, with_tls: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        let mut configuration = vec![
            "version: 0.1".to_owned(),
            format!("storage: {{filesystem: {{rootdirectory: {}}}}}", at("images")),
        ];
        if with_password {
            fs::write(at("htpasswd"), format!("{USER}:{HASH}\n")).unwrap();
            configuration.push(format!("auth: {{htpasswd: {{realm: test, path: {}}}}}", at("htpasswd")));
        }
        configuration.push("http:\n  addr: 127.0.0.1:0".to_owned());
        if with_tls {
            certificate(directory.path());
            let (certificate, key) = (at("certificate.pem"), at("key.pem"));
            configuration.push(format!("  tls: {{certificate: {certificate}, key: {key}}}"));
        }
        let configuration = configuration.join("\n");
        fs::write(at("registry.yml"), configuration).unwrap();
        let mut process = Command::new("docker-registry")
            .args(["serve", &at("registry.yml")])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = lines.by_ref().map(Result::unwrap).find_map(|line| {
            let (_, rest) = line.split_once("listening on ")?;
            Some(rest.split([',', '"', ' ']).next().unwrap().to_owned())
        });
        // Its log is read on, or it would stand still when the pipe is full.
        thread::spawn(move || lines.for_each(drop));
        Self { directory, process, host: address.unwrap(), with_password, with_tls }
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The file of its certificate authority.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.directory.path().join("ca.crt")
    }

    pub(crate) fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// A docker config with credentials for it.
    pub(crate) fn docker_config(&self, password: &str) -> String {
        // What base64 says of `name:password`, without a crate for it.
        let output =
            Command::new("sh").args(["-c", &format!("printf %s '{USER}:{password}' | base64")]).output();
        let auth = String::from_utf8(output.unwrap().stdout).unwrap();
        format!(r#"{{"auths":{{"{}":{{"auth":"{}"}}}}}}"#, self.host, auth.trim())
    }

    /// Pushes an image with a shell in it, and tells its digest.
    pub(crate) fn push_base(&self, name: &str) -> String {
        let context = self.directory.path().join("context");
        shell_into(&context.join("root"));
        fs::write(context.join("Dockerfile"), "FROM scratch\nCOPY root /\n").unwrap();
        let image = format!("{}/{name}", self.host);
        self.buildah(&["build", "--tag", &image, &context.display().to_string()]);
        let digest = self.directory.path().join("digest");
        let mut push = vec!["push".to_owned(), format!("--digestfile={}", digest.display())];
        if self.with_password {
            push.push(format!("--creds={USER}:{PASSWORD}"));
        }
        if self.with_tls {
            push.push(format!("--cert-dir={}", self.directory.path().display()));
        } else {
            push.push("--tls-verify=false".to_owned());
        }
        push.extend([image.clone(), format!("docker://{image}")]);
        self.buildah(&push.iter().map(String::as_str).collect::<Vec<_>>());
        fs::read_to_string(digest).unwrap().trim().to_owned()
    }

    fn buildah(&self, arguments: &[&str]) {
        let storage = self.directory.path().join("storage.conf");
        let at = |name: &str| self.directory.path().join(name).display().to_string();
        let (graph, run) = (at("graph"), at("run"));
        fs::write(
            &storage,
            format!("[storage]\ndriver = \"vfs\"\ngraphroot = {graph:?}\nrunroot = {run:?}\n"),
        )
        .unwrap();
        let mut command = Command::new("buildah");
        command.args(arguments).env("CONTAINERS_STORAGE_CONF", storage).env("BUILDAH_ISOLATION", "chroot");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Copies a shell and what it needs into a directory that becomes the root of an image.
fn shell_into(root: &Path) {
    let libraries = Command::new("ldd").arg("/bin/sh").output().unwrap();
    let libraries = String::from_utf8(libraries.stdout).unwrap();
    let files = libraries.split_whitespace().filter(|word| word.starts_with('/')).chain(["/bin/sh"]);
    for file in files {
        let target = root.join(file.trim_start_matches('/'));
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, target).unwrap();
    }
}

/// Makes an authority, and its certificate for the loopback address.
fn certificate(directory: &Path) {
    let extensions = "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";
    fs::write(directory.join("extensions"), extensions).unwrap();
    for line in [
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout authority.pem -out ca.crt",
        "req -newkey rsa:2048 -nodes -subj /CN=registry -keyout key.pem -out request.pem",
        "x509 -req -in request.pem -days 2 -CA ca.crt -CAkey authority.pem -CAcreateserial -extfile extensions -out certificate.pem",
    ] {
        let output = Command::new("openssl").args(line.split(' ')).current_dir(directory).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
