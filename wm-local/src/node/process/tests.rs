//! Processes with and without namespaces of their own. Where this user may make none, both are without.

use std::path::Path;

use tokio::io::AsyncReadExt as _;

use super::*;
use crate::node::{
    isolation::{Mount, Plain},
    launcher::{Launch, LaunchError, Launcher},
};

fn launch(command: &str, arguments: &[&str]) -> Launch {
    Launch {
        command: command.into(),
        arguments: arguments.iter().map(Into::into).collect(),
        environment: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
        directory: std::env::temp_dir(),
        mounts: Vec::new(),
    }
}

fn script(text: &str) -> Launch {
    launch("sh", &["-c", text])
}

/// One launcher that makes namespaces, if this user may, and one that does not.
fn launchers(directory: &Path) -> [Launcher; 2] {
    let plain = Plain::new(directory, "not in this test".to_owned());
    [Launcher::new(directory, false), Launcher::plain(directory, plain)]
}

/// Runs this with both kinds of launchers.
async fn with_each(check: impl AsyncFn(&Launcher)) {
    let directory = tempfile::tempdir().unwrap();
    for launcher in launchers(directory.path()) {
        check(&launcher).await;
        launcher.close();
    }
}

/// Runs this with the launchers that can mount here; if there is none it says so, since then less is tested.
#[expect(clippy::print_stderr, reason = "it is a test that tells")]
async fn with_each_that_mounts(check: impl AsyncFn(&Launcher, &Path)) {
    let mut count = 0;
    for index in 0..2 {
        let directory = tempfile::tempdir().unwrap();
        let launcher = &launchers(directory.path())[index];
        let mounts = vec![mount(directory.path(), "/mnt", false)];
        if launcher.start(Launch { mounts, ..launch("true", &[]) }).await.is_ok() {
            count += 1;
            check(launcher, directory.path()).await;
        }
    }
    eprintln!("{count} of 2 launchers can mount");
}

async fn refused(launcher: &Launcher, launch: Launch) -> String {
    match launcher.start(launch).await.unwrap_err() {
        LaunchError::Start(message) | LaunchError::Exec(message) => message,
    }
}

/// What it prints, once nobody holds its standard output any more, and how it ends.
async fn output(launcher: &Launcher, launch: Launch) -> (String, i32) {
    let mut process = launcher.start(launch).await.unwrap();
    let (mut stdout, _stderr) = process.output.take().unwrap();
    let status = process.wait().await.unwrap();
    let mut printed = String::new();
    stdout.read_to_string(&mut printed).await.unwrap();
    (printed, exit_code(status))
}

#[tokio::test]
async fn exit_codes_and_signals_are_told() {
    with_each(async |launcher| {
        assert_eq!(output(launcher, script("exit 3")).await.1, 3);
        let killed = script("sh -c 'kill -TERM $$'; exit $?");
        assert_eq!(output(launcher, killed).await.1, 143);
    })
    .await;
}

#[tokio::test]
async fn refusals_are_worded_as_the_runtimes() {
    with_each(async |launcher| {
        let not_found =
            "unable to start container process: exec: \"no-such\": executable file not found in $PATH";
        assert_eq!(refused(launcher, launch("no-such", &[])).await, not_found);
        let denied = "unable to start container process: exec: \"/etc\": permission denied";
        assert_eq!(refused(launcher, launch("/etc", &[])).await, denied);
        let absent = "exec: \"/no/such\": stat /no/such: no such file or directory";
        assert!(refused(launcher, launch("/no/such", &[])).await.ends_with(absent));
        let elsewhere = Launch { directory: "/etc/passwd".into(), ..launch("true", &[]) };
        let message = "error during container init: mkdir /etc/passwd: not a directory";
        assert!(refused(launcher, elsewhere).await.ends_with(message));
    })
    .await;
}

#[tokio::test]
async fn an_environment_that_is_too_large_fails_in_the_container() {
    with_each(async |launcher| {
        let mut huge = launch("true", &[]);
        huge.environment.push(("X".into(), "x".repeat(200 * 1024).into()));
        assert_eq!(refused(launcher, huge).await, "exec true: argument list too long");
    })
    .await;
}

#[tokio::test]
async fn closing_kills_running_groups_and_those_to_come() {
    with_each(async |launcher| {
        let mut running = launcher.start(launch("sleep", &["600"])).await.unwrap();
        launcher.close();
        assert_eq!(exit_code(running.wait().await.unwrap()), 137);
        let mut late = launcher.start(launch("sleep", &["600"])).await.unwrap();
        assert_eq!(exit_code(late.wait().await.unwrap()), 137);
    })
    .await;
}

#[tokio::test]
async fn whatever_it_started_ends_with_it() {
    with_each(async |launcher| {
        // The pipe is closed once the sleeping processes, which hold it as well, are gone. The first process ends only
        // when they have left its group.
        for text in [
            "sleep 600 & echo up",
            "mkfifo left; setsid sh -c 'echo up; : > left; exec sleep 600' & : < left",
            "mkfifo left; (setsid sh -c '(sleep 600; :) & echo up; : > left; sleep 600' &) ; : < left",
        ] {
            let directory = tempfile::tempdir().unwrap();
            let launch = Launch { directory: directory.path().to_owned(), ..script(text) };
            let printed =
                tokio::time::timeout(std::time::Duration::from_mins(1), output(launcher, launch)).await;
            assert_eq!(printed.expect("nobody is left"), ("up\n".to_owned(), 0), "{text}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_to_end_reaches_only_who_has_a_handler() {
    with_each(async |launcher| {
        let text = "trap 'echo asked; exit 5' TERM; echo up; while :; do sleep 0.01; done";
        let mut process = launcher.start(script(text)).await.unwrap();
        let (mut stdout, _stderr) = process.output.take().unwrap();
        let mut up = [0; 3];
        stdout.read_exact(&mut up).await.unwrap();
        process.signaller().terminate();
        assert_eq!(exit_code(process.wait().await.unwrap()), 5);

        let mut deaf = launcher.start(script("echo up; exec sleep 600")).await.unwrap();
        let (mut stdout, _stderr) = deaf.output.take().unwrap();
        stdout.read_exact(&mut up).await.unwrap();
        deaf.signaller().terminate();
        deaf.signaller().kill();
        assert_eq!(exit_code(deaf.wait().await.unwrap()), 137);
    })
    .await;
}

fn mount(source: &Path, target: &str, is_read_only: bool) -> Mount {
    Mount { source: source.to_owned(), target: target.into(), is_read_only, is_needed: true }
}

#[tokio::test]
async fn a_mount_is_refused_where_there_are_no_namespaces() {
    let directory = tempfile::tempdir().unwrap();
    let launcher = Launcher::plain(directory.path(), Plain::helpless(directory.path()));
    let mounting = Launch { mounts: vec![mount(directory.path(), "/mnt", false)], ..launch("true", &[]) };
    let message = refused(&launcher, mounting).await;
    for part in ["not in this test", "nor that", "CAP_SYS_ADMIN"] {
        assert!(message.contains(part), "{message}");
    }
    let mut optional = mount(directory.path(), "/mnt", false);
    optional.is_needed = false;
    let printed = output(&launcher, Launch { mounts: vec![optional], ..script("echo up") }).await;
    assert_eq!(printed, ("up\n".to_owned(), 0));
}

#[tokio::test]
async fn mounts_are_seen_by_the_container_alone_wherever_they_are() {
    with_each_that_mounts(async |launcher, directory| {
        let source = directory.join("source");
        std::fs::create_dir(&source).unwrap();
        std::fs::write(source.join("file"), "content\n").unwrap();
        for target in [
            "/wm-local-a",
            "/wm-local-a/b/c",
            "/etc/wm-local/deep",
            "/dev/wm-local",
            "/tmp/wm-local-t/x",
            "/mnt",
        ] {
            let text = format!("cat {target}/file; echo written > {target}/{}", target.replace('/', "_"));
            let mounting = Launch { mounts: vec![mount(&source, target, false)], ..script(&text) };
            assert_eq!(output(launcher, mounting).await, ("content\n".to_owned(), 0), "{target}");
            assert!(source.join(target.replace('/', "_")).exists(), "{target}");
            let is_seen_outside = target != "/mnt" && Path::new(target).exists();
            assert!(!is_seen_outside, "{target}");
        }
        let file = mount(&source.join("file"), "/etc/wm-local.conf", true);
        let text = "cat /etc/wm-local.conf; grep -c root: /etc/passwd; echo x > /etc/wm-local.conf";
        let mounting = Launch { mounts: vec![file], ..script(text) };
        assert_eq!(output(launcher, mounting).await, ("content\n1\n".to_owned(), 2), "it is read-only");
        assert_eq!(std::fs::read_to_string(source.join("file")).unwrap(), "content\n");
    })
    .await;
}

#[tokio::test]
async fn a_mount_within_a_mount_is_seen_whatever_their_order() {
    with_each_that_mounts(async |launcher, directory| {
        let (outer, inner) = (directory.join("outer"), directory.join("inner"));
        for source in [&outer, &inner] {
            std::fs::create_dir(source).unwrap();
            std::fs::write(source.join("name"), source.file_name().unwrap().as_encoded_bytes()).unwrap();
        }
        let mounts = vec![mount(&inner, "/wm-local/inner", false), mount(&outer, "/wm-local", false)];
        let text = "cat /wm-local/name; echo; cat /wm-local/inner/name; echo";
        let printed = output(launcher, Launch { mounts, ..script(text) }).await.0;
        assert_eq!(printed, "outer\ninner\n");
    })
    .await;
}

#[tokio::test]
async fn a_container_with_mounts_sees_its_own_processes_and_devices() {
    with_each_that_mounts(async |launcher, directory| {
        let message = directory.join("message");
        std::fs::write(&message, "").unwrap();
        let text = "echo $$; ls -d /proc/[0-9]* | head -c 7; echo; echo x > /dev/null; head -c 1 /dev/zero | wc -c; \
                    echo last > /dev/termination-log";
        let mounts = vec![mount(&message, "/dev/termination-log", false)];
        let (printed, code) = output(launcher, Launch { mounts, ..script(text) }).await;
        assert_eq!((printed.as_str(), code), ("1\n/proc/1\n1\n", 0));
        assert_eq!(std::fs::read_to_string(message).unwrap(), "last\n");
    })
    .await;
}

#[tokio::test]
async fn a_program_and_a_directory_may_be_in_a_volume() {
    with_each_that_mounts(async |launcher, directory| {
        let program = directory.join("run");
        std::fs::write(
            &program,
            "#!/bin/sh\npwd; trap 'exit 6' TERM; echo up; while :; do sleep 0.01; done\n",
        )
        .unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mounts = vec![mount(directory, "/wm-local/bin", true)];
        let running =
            Launch { mounts, directory: "/wm-local/bin".into(), ..launch("/wm-local/bin/run", &[]) };
        let mut process = launcher.start(running).await.unwrap();
        let (mut stdout, _stderr) = process.output.take().unwrap();
        let mut printed = [0; "/wm-local/bin\nup\n".len()];
        stdout.read_exact(&mut printed).await.unwrap();
        assert_eq!(&printed, b"/wm-local/bin\nup\n");
        // It reaches the container's first process, whatever that was started by.
        process.signaller().terminate();
        assert_eq!(exit_code(process.wait().await.unwrap()), 6);
    })
    .await;
}
