//! What is left of a cluster whose process is killed: nothing.

use std::{fs::File, io::Read as _, os::unix::process::ExitStatusExt as _, process::Command};

use crate::client::Served;

const FIFO: &str = "WM_LOCAL_TEST_FIFO";

/// Not a test by itself: the process that is to be killed.
#[tokio::test]
async fn holder() {
    let Some(fifo) = std::env::var_os(FIFO) else { return };
    let served = Served::start().await;
    // Whoever of them lives holds the pipe open.
    let script = format!(
        "exec > {}; trap '' TERM HUP; (setsid sh -c '(sleep 600; :) & echo up; sleep 600' &); sleep 600",
        fifo.to_string_lossy()
    );
    served.job("held", &script).await;
    std::future::pending::<()>().await;
}

#[test]
fn no_process_outlives_a_cluster_that_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let (fifo, temporary) = (directory.path().join("fifo"), directory.path().join("tmp"));
    std::fs::create_dir(&temporary).unwrap();
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::holder"])
        .env(FIFO, &fifo)
        .env("TMPDIR", &temporary)
        .spawn()
        .unwrap();
    // Both wait for the pod: to open it, and to write to it.
    let mut pipe = File::open(&fifo).unwrap();
    let mut up = [0; 3];
    pipe.read_exact(&mut up).unwrap();
    holder.kill().unwrap();
    assert_eq!(holder.wait().unwrap().signal(), Some(9));
    // It ends when nobody is left who could write.
    assert_eq!(pipe.read(&mut up).unwrap(), 0);
    while std::fs::read_dir(&temporary).unwrap().next().is_some() {
        std::thread::yield_now();
    }
}
