//! kubectl works. Where it is not installed these tests only say so.

use std::process::Stdio;

use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, Command},
};

use crate::client::Served;

struct Kubectl {
    served: Served,
    home: TempDir,
}

impl Kubectl {
    /// `None` where there is no kubectl.
    async fn start() -> Option<Self> {
        let version = Command::new("kubectl").args(["version", "--client"]).output().await;
        if !version.is_ok_and(|output| output.status.success()) {
            #[expect(clippy::print_stderr, reason = "a skipped test says why")]
            {
                eprintln!("skipped: kubectl is not installed");
            }
            return None;
        }
        let served = Served::start().await;
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config"), served.cluster.kubeconfig()).unwrap();
        Some(Self { served, home })
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        Command::new("kubectl")
            .args(arguments)
            .env("KUBECONFIG", self.home.path().join("config"))
            .env("HOME", self.home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// The output of a command that must succeed.
    async fn run(&self, arguments: &[&str], input: &str) -> String {
        let mut child = self.spawn(arguments);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "kubectl {arguments:?}: {error}");
        assert!(!error.contains("Unhandled"), "kubectl {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn ok(&self, line: &str) -> String {
        self.run(&line.split(' ').collect::<Vec<_>>(), "").await
    }
}

const MANIFEST: &str = "
apiVersion: batch/v1
kind: Job
metadata: {name: hello}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
      - {name: main, image: 'image:1', command: [sh, -c, 'echo one; echo two; exec sleep 0.3']}
";

#[tokio::test]
async fn a_job_is_applied_followed_described_and_deleted() {
    let Some(kubectl) = Kubectl::start().await else { return };
    assert_eq!(kubectl.run(&["apply", "-f", "-"], MANIFEST).await, "job.batch/hello created\n");
    assert_eq!(kubectl.run(&["apply", "-f", "-"], MANIFEST).await, "job.batch/hello unchanged\n");
    let waited = kubectl.ok("wait --for=condition=complete job/hello --timeout=60s").await;
    assert_eq!(waited, "job.batch/hello condition met\n");
    let listed = kubectl.ok("get jobs,pods -o wide").await;
    assert!(listed.contains("job.batch/hello   Complete   1/1"), "{listed}");
    assert!(listed.contains("Completed") && listed.contains("image:1"), "{listed}");
    assert_eq!(kubectl.ok("logs job/hello --tail=1").await, "two\n");
    assert_eq!(kubectl.ok("logs -f job/hello").await, "one\ntwo\n");
    let stamped = kubectl.ok("logs job/hello --timestamps").await;
    assert!(stamped.lines().all(|line| line.contains("Z ")), "{stamped}");
    let described = kubectl.ok("describe job hello").await;
    assert!(described.contains("1 Succeeded") && described.contains("SuccessfulCreate"), "{described}");
    let described = kubectl.ok("describe pods -l job-name=hello").await;
    assert!(described.contains("Exit Code:    0") && described.contains("Started"), "{described}");
    let events = kubectl.ok("get events").await;
    assert!(events.contains("job/hello"), "{events}");
    assert_eq!(kubectl.ok("delete job hello").await, "job.batch \"hello\" deleted\n");
    assert_eq!(kubectl.ok("get jobs --ignore-not-found -o name").await, "");
    kubectl.served.cluster.shutdown().await;
}

#[tokio::test]
async fn a_watch_prints_each_change() {
    let Some(kubectl) = Kubectl::start().await else { return };
    kubectl.run(&["create", "-f", "-"], MANIFEST).await;
    let watch = kubectl.spawn(&["get", "jobs", "-w", "--request-timeout=60s"]);
    kubectl.ok("wait --for=condition=complete job/hello --timeout=60s").await;
    kubectl.ok("delete job hello").await;
    // The end of the cluster is the end of the watch.
    kubectl.served.cluster.shutdown().await;
    let output = String::from_utf8(watch.wait_with_output().await.unwrap().stdout).unwrap();
    assert!(output.contains("NAME") && output.contains("hello"), "{output}");
}

#[tokio::test]
async fn typed_commands_work() {
    let Some(kubectl) = Kubectl::start().await else { return };
    let created =
        kubectl.run(&["create", "job", "typed", "--image=image:1", "--", "sh", "-c", "echo typed"], "").await;
    assert_eq!(created, "job.batch/typed created\n");
    kubectl.ok("wait --for=condition=complete job/typed --timeout=60s").await;
    assert_eq!(kubectl.ok("logs job/typed").await, "typed\n");
    assert_eq!(kubectl.ok("auth can-i create jobs").await, "yes\n");
    kubectl.ok("create secret generic token --from-literal=value=abc").await;
    assert_eq!(kubectl.ok("get secret token -o jsonpath={.data.value}").await, "YWJj");
    kubectl.ok("create configmap settings --from-literal=a=b").await;
    kubectl.ok("create namespace team").await;
    assert!(kubectl.ok("get namespaces,serviceaccounts,nodes -A").await.contains("team"));
    kubectl.served.cluster.shutdown().await;
}

#[tokio::test]
async fn a_dry_run_makes_nothing_and_a_patch_changes_what_is_there() {
    let Some(kubectl) = Kubectl::start().await else { return };
    let dry = kubectl.run(&["create", "-f", "-", "--dry-run=server"], MANIFEST).await;
    assert_eq!(dry, "job.batch/hello created (server dry run)\n");
    assert_eq!(kubectl.ok("get jobs -o name").await, "");
    kubectl.run(&["create", "-f", "-"], MANIFEST).await;
    let patched = kubectl.ok(r#"patch job hello -p {"spec":{"ttlSecondsAfterFinished":600}}"#).await;
    assert_eq!(patched, "job.batch/hello patched\n");
    kubectl.ok("label job hello team=a").await;
    let yaml = kubectl.ok("get job hello -o yaml").await;
    assert!(yaml.contains("ttlSecondsAfterFinished: 600") && yaml.contains("team: a"), "{yaml}");
    let job: serde_json::Value = serde_json::from_str(&kubectl.ok("get job hello -o json").await).unwrap();
    assert_eq!(job["spec"]["ttlSecondsAfterFinished"], 600);
    let followed = kubectl.ok("logs job/hello -f --timestamps --pod-running-timeout=60s").await;
    assert_eq!(followed.lines().filter(|line| line.contains("Z one") || line.contains("Z two")).count(), 2);
    kubectl.served.cluster.shutdown().await;
}

#[tokio::test]
async fn each_cascade_leaves_what_it_should() {
    let Some(kubectl) = Kubectl::start().await else { return };
    for (cascade, pods_left) in [("background", false), ("foreground", false), ("orphan", true)] {
        kubectl.run(&["create", "-f", "-"], MANIFEST).await;
        kubectl.ok("wait --for=condition=complete job/hello --timeout=60s").await;
        kubectl.ok(&format!("delete job hello --cascade={cascade}")).await;
        assert_eq!(kubectl.ok("get jobs -o name").await, "");
        if !pods_left {
            kubectl.ok("wait --for=delete pods -l job-name=hello --timeout=60s").await;
        }
        let pods = kubectl.ok("get pods -l job-name=hello -o name").await;
        assert_eq!(pods.starts_with("pod/"), pods_left, "{cascade}: {pods}");
    }
    kubectl.served.cluster.shutdown().await;
}

#[tokio::test]
async fn server_side_apply_is_refused_in_words() {
    let Some(kubectl) = Kubectl::start().await else { return };
    let mut child = kubectl.spawn(&["apply", "--server-side", "-f", "-"]);
    child.stdin.take().unwrap().write_all(MANIFEST.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(error.contains("the embedded cluster does not support server-side apply"), "{error}");
    kubectl.served.cluster.shutdown().await;
}
